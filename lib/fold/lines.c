/*
 * Mode lines: one process that gets event lines and answers each, in order. Many are under way at a
 * time, but of a stream never two. Whatever does not keep to that (see lines_try) ends the process; the
 * event whose answer was next has failed, those behind it were not answered and are sent again.
 */
#include "handler.h"

#include <inttypes.h>
#include <sys/wait.h>

#include "answer.h"

#include "../base/banned.h"

#define WINDOW 1024

/* Bytes queued before they are written. */
#define WRITE_SIZE (64u << 10)

/* One that does not read any more has so long to say its last. */
#define LAST_WORDS TIME_SECOND

struct window {
	struct ledger_handler_run *run;
	size_t head;	/* of the page: the first that is not answered */
	size_t next;	/* the next to be sent */
	size_t end;	/* none is sent from here on */
	uint64_t since; /* head is waited for */
	bool alone;	/* one event, tried again, whatever is parked */
	bool broken;	/* the process did what it must not */
};

/* --- The program ----------------------------------------------------------------------------- */

static enum ledger_status start(struct ledger_handler_run *run, struct ledger_error *err)
{
	const char *environment[64] = { 0 };
	CLEANUP_BUF struct buf name = { 0 };
	size_t n = 0;
	if (run->is_running)
		return LEDGER_OK;
	buf_addf(&name, "LEDGER_HANDLER=%s", run->handler->name);
	for (; n < 62 && run->options.environment[n]; n++)
		environment[n] = run->options.environment[n];
	environment[n] = buf_text(&name);
	struct process_spec spec = { run->handler->exec, environment, run->options.folder };
	buf_reset(&run->last_said);
	TRY(process_start(&run->process, &spec, err));
	run->is_running = true;
	return LEDGER_OK;
}

static void end(struct ledger_handler_run *run)
{
	process_stop(&run->process, 2 * TIME_SECOND);
	handler_say(run, &run->process.complaint, true);
	run->is_running = false;
}

/* --- The streams under way ------------------------------------------------------------------- */

/* NULL: an event without stream is in nobody's way. */
static uint8_t *stream_of(struct ledger_handler_run *run, const struct event *e)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	if (!e->stream.ptr)
		return NULL;
	for (size_t i = 0; i < e->domain.len; i++)
		hash = (hash ^ (unsigned char)e->domain.ptr[i]) * 16777619u;
	for (size_t i = 0; i < e->stream.len; i++)
		hash = (hash ^ (unsigned char)e->stream.ptr[i]) * 16777619u;
	return &run->under_way[(hash ^ hash >> 16) % HANDLER_STREAMS];
}

static void settle(struct window *w, struct page_event *e, enum page_state state)
{
	uint8_t *stream = stream_of(w->run, &e->event);
	if (stream)
		*stream = 0;
	e->state = state;
}

/* --- Sending --------------------------------------------------------------------------------- */

static enum ledger_status send_one(struct window *w, struct page_event *e, struct ledger_error *err)
{
	struct ledger_handler_run *run = w->run;
	uint8_t *stream = stream_of(run, &e->event);
	buf_reset(&run->text);
	event_add_line(&run->text, &e->event);
	buf_add_char(&run->text, '\n');
	TRY(buf_check(&run->text, err));
	process_send(&run->process, buf_slice(&run->text));
	if (stream)
		*stream = 1;
	e->state = PAGE_SENT;
	return LEDGER_OK;
}

static bool may_send(const struct window *w, const struct page_event *e)
{
	const uint8_t *stream = stream_of(w->run, &e->event);
	const struct process *p = &w->run->process;
	return e->state == PAGE_WAITING && w->next - w->head < WINDOW && !(stream && *stream) &&
	       p->input.len - p->written < WRITE_SIZE;
}

/* As many as may be under way. */
static enum ledger_status send_more(struct window *w, struct ledger_error *err)
{
	struct page *page = &w->run->page;
	while (w->next < w->end && !handler_is_stopping(w->run)) {
		struct page_event *e = &page->events[w->next];
		bool passed = false;
		if (e->state == PAGE_FAILED) {
			w->end = w->next;
			break;
		}
		if (e->state == PAGE_WAITING && !w->alone)
			TRY(handler_pass_over(w->run, e, &passed, err));
		if (e->state == PAGE_WAITING && !may_send(w, e))
			break;
		if (e->state == PAGE_WAITING)
			TRY(send_one(w, e, err));
		w->next++;
	}
	return LEDGER_OK;
}

/* --- Answers --------------------------------------------------------------------------------- */

static void find_head(struct window *w)
{
	while (w->head < w->next && w->run->page.events[w->head].state != PAGE_SENT)
		w->head++;
}

/* The process did what it must not: the event whose turn it was has failed, the others wait again. */
static enum ledger_status give_up(
	struct window *w, const char *what, bool with_said, struct ledger_error *err)
{
	struct page_event *events = w->run->page.events;
	TRY(handler_failed(w->run, &events[w->head], slice_of(what), with_said, err));
	for (size_t i = w->head; i < w->next; i++)
		if (events[i].state == PAGE_SENT)
			settle(w, &events[i], PAGE_WAITING);
	settle(w, &events[w->head], PAGE_FAILED);
	w->broken = true;
	end(w->run);
	return LEDGER_OK;
}

static enum ledger_status refuse_line(struct window *w, struct slice line, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_add_text(&text, "it answered ");
	json_add_string(
		&text, (struct slice){ line.ptr ? line.ptr : "", line.len < 80 ? line.len : 80 });
	buf_add_text(&text, ", not \"ok\" or \"error\" and the id of the event that is next");
	return give_up(w, buf_text(&text), false, err);
}

static enum ledger_status take_line(struct window *w, struct slice line, struct ledger_error *err)
{
	struct page_event *e = &w->run->page.events[w->head];
	uint8_t id[16];
	struct slice reason;
	enum answer answer = answer_parse(line, id, &reason);
	if (w->head == w->next || answer == ANSWER_GARBAGE ||
		memcmp(id, e->event.id, sizeof(id)) != 0)
		return refuse_line(w, line, err);
	settle(w, e, PAGE_DONE);
	if (answer == ANSWER_ERROR) {
		TRY(handler_failed(w->run, e, reason, false, err));
		w->end = w->next; /* what is under way may end, nothing more is sent */
	}
	find_head(w);
	w->since = time_monotonic();
	return LEDGER_OK;
}

static enum ledger_status take_lines(struct window *w, struct ledger_error *err)
{
	struct process *p = &w->run->process;
	struct slice line;
	while (!w->broken && w->head < w->next && process_line(p, &line))
		TRY(take_line(w, line, err));
	if (!w->broken && w->head < w->next && process_has_garbage(p))
		return refuse_line(w,
			(struct slice){ p->output.ptr + p->taken, p->output.len - p->taken }, err);
	return LEDGER_OK;
}

/* --- Waiting --------------------------------------------------------------------------------- */

static enum ledger_status lost(struct window *w, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct process *p = &w->run->process;
	uint64_t deadline = time_monotonic() + LAST_WORDS;
	/* Its end comes a moment after its last word. */
	while (!process_has_ended(p) && time_monotonic() < deadline)
		TRY(process_step(p, deadline, err));
	bool ended = p->pid == 0;
	handler_say(w->run, &p->complaint, true);
	buf_add_text(&text, "it ended without an answer: ");
	if (ended)
		process_add_end(&text, p->status);
	return give_up(w,
		ended	     ? buf_text(&text)
		: p->is_deaf ? "it closed its stdin"
			     : "it closed its output",
		true, err);
}

static enum ledger_status too_late(struct window *w, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_addf(&text, "no answer within %" PRIu64 " ms", w->run->handler->timeout / 1000);
	w->run->page.events[w->head].timed_out = true;
	return give_up(w, buf_text(&text), true, err);
}

static enum ledger_status wait_for_answer(struct window *w, struct ledger_error *err)
{
	struct process *p = &w->run->process;
	uint64_t patience = w->run->handler->timeout;
	if (p->is_deaf && patience > LAST_WORDS)
		patience = LAST_WORDS;
	TRY(process_step(p, w->since + patience, err));
	handler_say(w->run, &p->complaint, false);
	TRY(take_lines(w, err));
	if (w->broken || w->head == w->next)
		return LEDGER_OK;
	bool late = time_monotonic() >= w->since + patience;
	if (p->is_silent || (p->is_deaf && late))
		return lost(w, err);
	return late ? too_late(w, err) : LEDGER_OK;
}

/* Nothing is under way, and yet it said something: it is ended before it can be taken for an answer. */
static void check_silence(struct ledger_handler_run *run)
{
	struct process *p = &run->process;
	if (run->is_running && (process_has_ended(p) || p->output.len > p->taken))
		end(run);
}

enum ledger_status lines_try(
	struct ledger_handler_run *run, size_t first, bool alone, struct ledger_error *err)
{
	struct window w = { .run = run, .head = first, .next = first, .since = time_monotonic() };
	w.end = alone ? first + 1 : run->page.n;
	w.alone = alone;
	check_silence(run);
	if (alone) /* whatever it was, it is tried again */
		run->page.events[first].state = PAGE_WAITING;
	memset(run->under_way, 0, sizeof(run->under_way));
	while (!w.broken) {
		TRY(start(run, err));
		bool idle = w.head == w.next;
		TRY(send_more(&w, err));
		find_head(&w);
		if (w.head == w.next)
			break;
		if (idle)
			w.since = time_monotonic();
		TRY(wait_for_answer(&w, err));
	}
	return LEDGER_OK;
}

enum ledger_status lines_finish(struct ledger_handler_run *run, struct ledger_error *err)
{
	struct process *p = &run->process;
	uint64_t deadline = time_monotonic() + run->handler->timeout;
	if (!run->is_running)
		return LEDGER_OK;
	process_finish(p);
	while (p->pid && time_monotonic() < deadline) {
		p->taken = p->output.len;
		TRY(process_step(p, deadline, err));
	}
	bool ended = p->pid == 0;
	int status = p->status;
	end(run);
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return LEDGER_OK;
	CLEANUP_BUF struct buf text = { 0 };
	if (ended)
		process_add_end(&text, status);
	else
		buf_addf(&text, "had to be ended %" PRIu64 " ms after the end of its input",
			run->handler->timeout / 1000);
	return fail(err, ended ? LEDGER_UNREACHABLE : LEDGER_TIMED_OUT,
		"handler %s, all of its events answered: %s", run->handler->name, buf_text(&text));
}
