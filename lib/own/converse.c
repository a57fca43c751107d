/*
 * Talking to the programs of handlers. Mode each: a process for each command, which gets it as a line and
 * then the end of its input, and answers by its lines and its exit code. Mode lines: a process that gets
 * a line for each and answers, in order, with event lines and then
 *
 *	ok 0193a5c2-…
 *	error 0193a5c2-… not so many in stock
 *
 * Whatever does not keep to that ends the process: the command whose answer was next is refused, those
 * behind it run again.
 */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "../fold/answer.h"

#include "../base/banned.h"

/* --- What is waited for ---------------------------------------------------------------------- */

static void watch_one(struct ledger_commands *c, struct watched *w, int fd, uint32_t mask)
{
	struct epoll_event event = { .events = mask };
	if (fd != w->fd) /* what was closed is forgotten by the kernel */
		*w = (struct watched){ fd, 0 };
	if (fd < 0 || w->mask == mask)
		return;
	if (!w->mask)
		epoll_ctl(c->poll, EPOLL_CTL_ADD, fd, &event);
	else
		epoll_ctl(c->poll, mask ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, &event);
	w->mask = mask;
}

static void watch(struct ledger_commands *c, struct program *g)
{
	const struct process *p = &g->process;
	watch_one(c, &g->watched[0], p->in, p->written < p->input.len ? EPOLLOUT : 0);
	watch_one(c, &g->watched[1], p->out, EPOLLIN);
	watch_one(c, &g->watched[2], p->err, EPOLLIN);
	watch_one(c, &g->watched[3], p->pid ? p->watch : -1, EPOLLIN);
}

/* --- Its words on stderr --------------------------------------------------------------------- */

static void say_line(struct ledger_commands *c, struct program *g, struct slice line)
{
	if (slice_trim(line).len == 0)
		return;
	snprintf(g->last_word, sizeof(g->last_word), "%.*s", (int)(line.len < 180 ? line.len : 180),
		line.ptr);
	if (c->options->said)
		c->options->said(g->handler->name, line, c->options->context);
}

static void say(struct ledger_commands *c, struct program *g, bool all)
{
	struct buf *b = &g->process.complaint;
	struct slice line, rest = buf_slice(b);
	while (slice_cut(rest, '\n', &line, &rest))
		say_line(c, g, line);
	if (all && rest.len)
		say_line(c, g, rest);
	if (all)
		rest.len = 0;
	if (rest.len)
		memmove(b->ptr, rest.ptr, rest.len);
	b->len = rest.len;
}

/* --- Starting and ending --------------------------------------------------------------------- */

static enum ledger_status start(struct ledger_commands *c, struct program *g,
	const struct ledger_command_handler *h, struct ledger_error *err)
{
	const char *environment[64] = { 0 };
	CLEANUP_BUF struct buf name = { 0 };
	size_t n = 0;
	if (g->is_running)
		return LEDGER_OK;
	if (c->options->may_run)
		TRY(c->options->may_run(h->exec[0], err));
	buf_addf(&name, "LEDGER_COMMAND=%s", h->name);
	for (; n < 62 && c->options->environment[n]; n++)
		environment[n] = c->options->environment[n];
	environment[n] = buf_text(&name);
	struct process_spec spec = { h->exec, environment, c->options->folder };
	g->handler = h;
	g->n = 0;
	g->last_word[0] = '\0';
	for (size_t i = 0; i < 4; i++)
		g->watched[i] = (struct watched){ -1, 0 };
	TRY(process_start(&g->process, &spec, err));
	if (h->mode == LEDGER_HANDLER_EACH)
		g->process.out_max = SAID_MAX;
	else
		g->process.ahead = EVENT_LINE_MAX + 1024;
	g->is_running = true;
	return LEDGER_OK;
}

/* At once: nobody waits for one who goes over its time. */
static void end(struct ledger_commands *c, struct program *g)
{
	process_stop(&g->process, 0);
	say(c, g, true);
	g->is_running = false;
	c->more = true;
}

static void drop_first(struct program *g)
{
	memmove(&g->jobs[0], &g->jobs[1], (g->n - 1) * sizeof(g->jobs[0]));
	g->n--;
	g->since = time_monotonic();
}

/* The program did what it must not, or has ended: its first command is refused, the others wait again. */
static void give_up(
	struct ledger_commands *c, struct program *g, enum ledger_status status, const char *what)
{
	struct ledger_error err = { 0 };
	fail(&err, status, "the handler of %s: %s", g->handler->name, what);
	hint(&err, "nothing was recorded");
	end(c, g);
	for (size_t i = 1; i < g->n; i++) {
		g->jobs[i]->runs--;
		job_again(c, g->jobs[i]);
	}
	if (g->n)
		job_refuse(c, g->jobs[0], &err);
	g->n = 0;
}

/* --- Giving ---------------------------------------------------------------------------------- */

static struct program *program_for(
	struct ledger_commands *c, const struct ledger_command_handler *h)
{
	if (h->mode == LEDGER_HANDLER_EACH) {
		for (size_t i = 0; i < PROGRAMS_EACH; i++)
			if (!c->programs[i].is_running)
				return &c->programs[i];
		return NULL;
	}
	for (size_t i = PROGRAMS_EACH; i < c->n_programs; i++)
		if (c->programs[i].handler == h)
			return &c->programs[i];
	if (c->n_programs == PROGRAMS_MAX)
		return NULL;
	struct program *g = &c->programs[c->n_programs++];
	g->handler = h;
	return g;
}

/* One that does not read is not given more. */
static bool has_room(const struct program *g)
{
	return g->n < WINDOW_MAX && g->process.input.len - g->process.written < EVENT_LINE_MAX;
}

bool converse_has_room(const struct ledger_commands *c, const struct job *job)
{
	const struct program *g = program_for((struct ledger_commands *)(uintptr_t)c, job->handler);
	return g && has_room(g);
}

enum ledger_status converse_give(struct ledger_commands *c, struct job *job, struct slice line,
	bool *taken, struct ledger_error *err)
{
	struct program *g = program_for(c, job->handler);
	*taken = g && has_room(g);
	if (!*taken)
		return LEDGER_OK;
	TRY(start(c, g, job->handler, err));
	process_send(&g->process, line);
	if (job->handler->mode == LEDGER_HANDLER_EACH)
		process_finish(&g->process);
	if (g->n == 0)
		g->since = time_monotonic();
	g->jobs[g->n++] = job;
	job->state = JOB_RUNNING;
	buf_reset(&job->said);
	return LEDGER_OK;
}

/* --- Mode each ------------------------------------------------------------------------------- */

static void each_ended(struct ledger_commands *c, struct program *g)
{
	CLEANUP_BUF struct buf how = { 0 };
	struct process *p = &g->process;
	struct job *job = g->jobs[0];
	int status = p->status;
	if (p->is_cut) {
		give_up(c, g, LEDGER_INVALID, "it said too much");
		return;
	}
	process_add_end(&how, status);
	if (!WIFEXITED(status)) {
		give_up(c, g, LEDGER_UNREACHABLE, buf_text(&how));
		return;
	}
	job->said.max = SAID_MAX + 1;
	buf_add_slice(&job->said, buf_slice(&p->output));
	g->n = 0;
	end(c, g);
	job_answered(c, job, (uint64_t)WEXITSTATUS(status),
		slice_of(g->last_word[0] ? g->last_word : "it said nothing"));
}

/* --- Mode lines ------------------------------------------------------------------------------ */

static void take_line(struct ledger_commands *c, struct program *g, struct slice line)
{
	struct job *job = g->jobs[0];
	uint8_t id[16];
	struct slice reason;
	if (line.len && line.ptr[0] == '{') {
		job->said.max = SAID_MAX + 1;
		buf_add_slice(&job->said, line);
		buf_add_char(&job->said, '\n');
		if (job->said.failed)
			give_up(c, g, LEDGER_INVALID, "it said too much");
		return;
	}
	enum answer answer = answer_parse(line, id, &reason);
	if (answer == ANSWER_GARBAGE || memcmp(id, job->command.id, sizeof(id)) != 0) {
		give_up(c, g, LEDGER_INVALID,
			"it answered neither with an event nor with \"ok\" or \"error\" and the "
			"id of the command that is next");
		return;
	}
	drop_first(g);
	job_answered(c, job, answer == ANSWER_OK ? 0 : 1, reason);
}

static void lines_step(struct ledger_commands *c, struct program *g)
{
	CLEANUP_BUF struct buf how = { 0 };
	struct process *p = &g->process;
	struct slice line;
	while (g->is_running && g->n > 0 && process_line(p, &line))
		take_line(c, g, line);
	if (!g->is_running)
		return;
	if (g->n > 0 && p->output.len - p->taken > EVENT_LINE_MAX) {
		give_up(c, g, LEDGER_INVALID, "its line is too long");
	} else if (g->n == 0 && p->output.len > p->taken) {
		end(c, g); /* before that can be taken for an answer */
	} else if (p->is_silent || p->is_deaf) {
		if (process_has_ended(p))
			process_add_end(&how, p->status);
		else
			buf_add_text(&how, "it closed its input or output");
		give_up(c, g, LEDGER_UNREACHABLE, buf_text(&how));
	}
}

/* --- All of them ----------------------------------------------------------------------------- */

static enum ledger_status step(
	struct ledger_commands *c, struct program *g, struct ledger_error *err)
{
	struct process *p = &g->process;
	bool each = g->handler->mode == LEDGER_HANDLER_EACH;
	TRY(process_step(p, 0, err));
	if (!each)
		say(c, g, false);
	if (each && !p->pid)
		each_ended(c, g);
	else if (!each)
		lines_step(c, g);
	if (g->is_running && g->n && time_monotonic() >= g->since + g->handler->timeout)
		give_up(c, g, LEDGER_TIMED_OUT, "no answer in time");
	return LEDGER_OK;
}

enum ledger_status converse_step(struct ledger_commands *c, struct ledger_error *err)
{
	for (size_t i = 0; i < c->n_programs; i++) {
		struct program *g = &c->programs[i];
		if (!g->is_running)
			continue;
		if (step(c, g, err) != LEDGER_OK)
			give_up(c, g, err->status, err->text);
		if (g->is_running)
			watch(c, g);
	}
	return LEDGER_OK;
}

uint64_t converse_due(const struct ledger_commands *c)
{
	uint64_t due = UINT64_MAX;
	for (size_t i = 0; i < c->n_programs; i++) {
		const struct program *g = &c->programs[i];
		if (g->is_running && g->n && g->since + g->handler->timeout < due)
			due = g->since + g->handler->timeout;
	}
	return due;
}

void converse_done(struct ledger_commands *c)
{
	for (size_t i = 0; i < PROGRAMS_MAX; i++)
		process_done(&c->programs[i].process);
}
