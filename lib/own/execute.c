/*
 * Commands, one after the other for each stream, many streams at a time:
 *
 *	offered -> waiting -> running (its program has it) -> ready -> recorded, answered
 *	              ^------------- the stream has moved -----'
 *
 * Before a program gets it: has it expired, is its answer known, are its events here, is the stream this
 * node's, is there a handler? An answer of the handler is kept, so that the command, sent again, gets it
 * again; what was never answered by one may be tried again by its sender, who seals it anew: a refusal is kept
 * too, for the message that it was the answer to.
 */
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "../store/command.h"

#include "../base/banned.h"

/* gcc's -fanalyzer does not see that a job is only gone where *over says so: its callback might change it. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"
#endif

#define STREAMS 4096

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- Jobs ------------------------------------------------------------------------------------ */

static void job_done(struct job *job)
{
	buf_done(&job->said);
	buf_done(&job->recorded);
	arena_done(&job->arena);
	free(job);
}

static void remove_job(struct ledger_commands *c, struct job *job)
{
	struct job **at = &c->first;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (c->last == &job->next)
		c->last = at;
	c->n_jobs--;
	c->bytes -= job->bytes;
	c->more = true;
}

void job_answer(struct ledger_commands *c, struct job *job, const struct ledger_reply *reply)
{
	struct ledger_reply r = *reply;
	memcpy(r.id, job->command.id, sizeof(r.id));
	r.counter = job->command.counter;
	r.node = slice_of(ledger_node(c->ledger));
	remove_job(c, job);
	c->options->answered(&job->command, &r, job->tag, c->options->context);
	job_done(job);
}

/* What has expired is not executed anyway; of what was not sealed there is no message; and what is stored is
 * offered again. */
static bool may_be_replayed(const struct job *job, bool expired)
{
	return job->command.counter && !job->command.stored && !expired;
}

bool job_refuse(struct ledger_commands *c, struct job *job, const struct ledger_error *err)
{
	struct ledger_reply reply = {
		.status = err->status, .text = slice_of(err->text), .hint = slice_of(err->hint)
	};
	bool expired = time_now() > job->command.expires;
	c->counts[err->status != LEDGER_TIMED_OUT ? COUNT_REFUSED
		  : expired			  ? COUNT_EXPIRED
						  : COUNT_TIMED_OUT]++;
	if (!may_be_replayed(job, expired)) {
		job_answer(c, job, &reply);
		return false;
	}
	reply.text = arena_copy(&job->arena, reply.text);
	reply.hint = arena_copy(&job->arena, reply.hint);
	job->reply = reply;
	job->state = JOB_REFUSED;
	c->more = true;
	return true;
}

void job_again(struct ledger_commands *c, struct job *job)
{
	job->state = JOB_WAITING;
	job->n_events = 0;
	job->reply = (struct ledger_reply){ 0 };
	job->condition = (struct ledger_condition){ 0 };
	buf_reset(&job->said);
	c->more = true;
}

static enum ledger_status copy_command(
	struct job *job, const struct ledger_command *from, struct ledger_error *err)
{
	CLEANUP_BUF struct buf flat = { 0 };
	struct ledger_command *to = &job->command;
	*to = *from;
	to->sender = arena_copy(&job->arena, from->sender);
	to->node = arena_copy(&job->arena, from->node);
	to->stream = arena_copy(&job->arena, from->stream);
	to->name = arena_copy(&job->arena, from->name);
	/* On one line, as it is sent: so it has one digest, wherever it comes from. */
	json_add_flat(&flat, from->payload);
	TRY(buf_check(&flat, err));
	to->payload = arena_copy(&job->arena, slice_trim(buf_slice(&flat)));
	if (!to->sender.ptr || !to->node.ptr || !to->stream.ptr || !to->name.ptr ||
		!to->payload.ptr)
		return no_memory(err);
	command_digest(to, job->digest);
	return LEDGER_OK;
}

static enum ledger_status no_room(
	struct ledger_commands *c, const struct ledger_command *command, struct ledger_error *err)
{
	fail(err, LEDGER_BUSY, "%zu commands are waiting here", c->n_jobs);
	hint(err, "try again later");
	const struct ledger_reply reply = {
		.status = err->status, .text = slice_of(err->text), .hint = slice_of(err->hint)
	};
	refused_remember(c, command, &reply);
	return err->status;
}

enum ledger_status ledger_commands_offer(struct ledger_commands *c,
	const struct ledger_command *command, uint64_t tag, struct ledger_error *err)
{
	size_t bytes = command->payload.len + command->stream.len + sizeof(struct job);
	TRY(ledger_command_check(command, err));
	if (c->n_jobs == JOBS_MAX || c->bytes + bytes > JOBS_BYTES)
		return no_room(c, command, err);
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return no_memory(err);
	job->tag = tag;
	job->bytes = bytes;
	if (copy_command(job, command, err) != LEDGER_OK) {
		job_done(job);
		return err->status;
	}
	*c->last = job;
	c->last = &job->next;
	c->n_jobs++;
	c->bytes += bytes;
	c->more = true;
	return LEDGER_OK;
}

/* --- What is known of it --------------------------------------------------------------------- */

static void repeat(struct ledger_commands *c, struct job *job, struct ledger_reply *reply)
{
	reply->repeated = true;
	c->counts[COUNT_REPEATED]++;
	job_answer(c, job, reply);
}

/* *over: the command was executed here before, or this very message refused, and is answered as it was. */
static enum ledger_status look_up(
	struct ledger_commands *c, struct job *job, bool *over, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	struct ledger_reply reply = { 0 };
	struct command_known known;
	TRY(command_lookup(c->ledger, &job->command, &known, &answer, err));
	if (!known.found) {
		known.executed = false;
		buf_add_slice(&answer, refused_find(c, &job->command));
		TRY(buf_check(&answer, err));
	}
	*over = answer.len > 0;
	if (!*over)
		return LEDGER_OK;
	if (known.executed && memcmp(known.digest, job->digest, sizeof(job->digest)) != 0) {
		fail(err, LEDGER_CONFLICT, "the id of the command is known with other content");
		return hint(err, "each command has an id, or a --once KEY, of its own");
	}
	TRY(ledger_reply_read(buf_slice(&answer), &job->arena, &reply, err));
	repeat(c, job, &reply);
	return LEDGER_OK;
}

/* Its first event is here: it was executed, by this node or the owner before, and its answer is forgotten. */
static enum ledger_status look_for_event(
	struct ledger_commands *c, struct job *job, bool *over, struct ledger_error *err)
{
	uint8_t id[16];
	struct ledger_reply reply = { .text = SLICE(
					      "executed before; its answer is not kept any more") };
	ledger_command_event_id(job->command.id, 1, id);
	TRY(command_has_event(c->ledger, id, over, err));
	if (*over)
		repeat(c, job, &reply);
	return LEDGER_OK;
}

/* --- Who does it ----------------------------------------------------------------------------- */

static const struct ledger_command_handler *find_handler(
	const struct ledger_commands *c, const struct ledger_command *command)
{
	struct slice type, key;
	if (!slice_cut(command->stream, '/', &type, &key))
		return NULL;
	for (size_t i = 0; i < c->options->n_handlers; i++) {
		const struct ledger_command_handler *h = &c->options->handlers[i];
		if (slice_is(type, h->stream_type) && slice_is(command->name, h->name))
			return h;
	}
	return NULL;
}

static enum ledger_status no_handler(
	struct ledger_commands *c, const struct job *job, struct ledger_error *err)
{
	struct slice type = job->command.stream, key;
	slice_cut(job->command.stream, '/', &type, &key);
	fail(err, LEDGER_INVALID, "node %s has no command %.*s for streams of type %.*s",
		ledger_node(c->ledger), SLICE_ARG(job->command.name), SLICE_ARG(type));
	return hint(err, "list it there under commands: in the config");
}

/* --- What it is given ------------------------------------------------------------------------ */

/* Else each command of a long stream would fold all of it once more. */
static void keep_if_due(
	struct ledger_commands *c, const struct job *job, const struct ledger_state *s)
{
	struct ledger_error ignored;
	uint64_t every = job->handler->snapshot_every;
	if (every && s->folded >= every)
		ledger_snapshot_keep(c->fold, s, &ignored);
}

static enum ledger_status add_state(
	struct ledger_commands *c, struct job *job, struct buf *line, struct ledger_error *err)
{
	const struct ledger_moment now = { 0 };
	struct ledger_state s = { .state = SLICE("null") };
	bool wanted = job->handler->state;
	if (!wanted && job->domain.ptr) {
		TRY(command_version(
			c->ledger, job->command.stream, job->domain, &job->version, err));
		buf_addf(line, ",\"version\":%" PRIu64, job->version);
		return LEDGER_OK;
	}
	enum ledger_status status =
		ledger_state(c->fold, job->command.stream, job->domain, &now, &s, err);
	if (status && status != LEDGER_NO)
		return status;
	if (!status && !job->domain.ptr)
		job->domain = arena_copy(&job->arena, s.domain);
	if (!status)
		keep_if_due(c, job, &s);
	job->version = status ? 0 : s.version;
	buf_addf(line, ",\"version\":%" PRIu64, job->version);
	if (wanted) {
		buf_add_text(line, ",\"state\":");
		buf_add_slice(line, status ? SLICE("null") : s.state);
	}
	return LEDGER_OK;
}

static enum ledger_status make_line(
	struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	struct buf *line = &c->text;
	char id[UUID_TEXT_MAX];
	buf_reset(line);
	uuid_format(job->command.id, id);
	buf_addf(line, "{\"id\":\"%s\",\"command\":\"%.*s\",\"stream\":", id,
		SLICE_ARG(job->command.name));
	json_add_string(line, job->command.stream);
	TRY(add_state(c, job, line, err));
	if (job->domain.ptr) {
		buf_add_text(line, ",\"domain\":");
		json_add_string(line, job->domain);
	}
	buf_add_text(line, ",\"sender\":");
	json_add_string(line, job->command.sender);
	buf_add_text(line, ",\"payload\":");
	buf_add_slice(line, job->command.payload);
	buf_add_text(line, "}\n");
	return buf_check(line, err);
}

/* --- Beginning ------------------------------------------------------------------------------- */

static enum ledger_status give(struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	bool taken;
	TRY(make_line(c, job, err));
	TRY(converse_give(c, job, buf_slice(&c->text), &taken, err));
	job->runs += taken;
	job->condition = (struct ledger_condition){ .expect = LEDGER_EXPECT_VERSION,
		.version = job->version };
	return LEDGER_OK;
}

static enum ledger_status begin(
	struct ledger_commands *c, struct job *job, bool *over, struct ledger_error *err)
{
	bool built_in = slice_is(job->command.name, LEDGER_COMMAND_APPEND);
	if (time_now() > job->command.expires) {
		fail(err, LEDGER_TIMED_OUT, "the command had expired before it was executed");
		return hint(err, "nothing was recorded; send it again, with a longer --expires");
	}
	TRY(look_up(c, job, over, err));
	if (*over)
		return LEDGER_OK;
	TRY(look_for_event(c, job, over, err));
	if (*over)
		return LEDGER_OK;
	job->domain = (struct slice){ NULL, 0 };
	TRY(c->options->owned_here(c->ledger, job->command.stream, &job->domain, err));
	job->domain = job->domain.ptr ? arena_copy(&job->arena, job->domain) : job->domain;
	if (built_in) {
		job->runs++;
		TRY(said_read_payload(c, job, err));
		job->state = JOB_READY;
		return LEDGER_OK;
	}
	job->handler = find_handler(c, &job->command);
	if (!job->handler)
		return no_handler(c, job, err);
	return converse_has_room(c, job) ? give(c, job, err) : LEDGER_OK;
}

void job_answered(struct ledger_commands *c, struct job *job, uint64_t exit, struct slice reason)
{
	struct ledger_error err = { 0 };
	if (said_read(c, job, exit != 0, &err) != LEDGER_OK) {
		hint(&err, "nothing was recorded");
		job_refuse(c, job, &err);
		return;
	}
	if (exit) {
		job->n_events = 0;
		job->reply.status = LEDGER_NO;
		job->reply.exit = exit;
		job->reply.text = arena_copy(&job->arena, reason);
	}
	job->state = JOB_READY;
	c->more = true;
}

static unsigned hash_of(struct slice stream)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < stream.len; i++)
		hash = (hash ^ (unsigned char)stream.ptr[i]) * 16777619u;
	return (hash ^ hash >> 16) % STREAMS;
}

/* Of each stream only the first; those behind it wait for it. */
static void begin_waiting(struct ledger_commands *c)
{
	uint8_t busy[STREAMS] = { 0 };
	for (struct job *next, *job = c->first; job; job = next) {
		struct ledger_error err = { 0 };
		unsigned hash = hash_of(job->command.stream);
		bool over = false;
		next = job->next;
		if (job->state == JOB_WAITING && !busy[hash] &&
			begin(c, job, &over, &err) != LEDGER_OK) {
			job_refuse(c, job, &err);
			over = true;
		}
		busy[hash] |= !over;
	}
}

enum ledger_status ledger_command_keep(struct ledger *l, const struct ledger_command *command,
	const struct ledger_reply *reply, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	uint8_t digest[EVENT_HASH_SIZE];
	command_digest(command, digest);
	ledger_reply_add(&answer, reply);
	TRY(buf_check(&answer, err));
	const struct command_answer kept = { digest, buf_slice(&answer),
		time_now() + LEDGER_COMMAND_LIFE_MAX };
	return command_refuse_alone(l, command, &kept, err);
}

/* --- The outside ----------------------------------------------------------------------------- */

enum ledger_status ledger_commands_open(struct ledger_commands **out,
	const struct ledger_commands_options *options, struct ledger_error *err)
{
	struct ledger_commands *c = calloc(1, sizeof(*c));
	if (!c)
		return no_memory(err);
	c->options = options;
	c->ledger = options->ledger;
	c->last = &c->first;
	c->last_refused = &c->refused;
	c->n_programs = PROGRAMS_EACH;
	for (size_t i = 0; i < PROGRAMS_MAX; i++)
		c->programs[i].process = (struct process)PROCESS_NONE;
	c->poll = epoll_create1(EPOLL_CLOEXEC);
	enum ledger_status status =
		c->poll < 0 ? fail_errno(err, "cannot wait for programs")
			    : ledger_fold_open(&c->fold, options->ledger, options->rules, err);
	if (status)
		ledger_commands_close(c);
	else
		*out = c;
	return status;
}

enum ledger_status ledger_commands_step(struct ledger_commands *c, struct ledger_error *err)
{
	c->more = false;
	TRY(converse_step(c, err));
	TRY(record_step(c, err));
	begin_waiting(c);
	/* What was just given is written, what needs no program recorded: not a turn later. */
	TRY(converse_step(c, err));
	return record_step(c, err);
}

int ledger_commands_fd(const struct ledger_commands *c)
{
	return c->poll;
}

uint64_t ledger_commands_due(const struct ledger_commands *c)
{
	return c->more ? 0 : converse_due(c);
}

void ledger_commands_close(struct ledger_commands *c)
{
	if (!c)
		return;
	converse_done(c);
	for (struct job *next, *job = c->first; job; job = next) {
		next = job->next;
		job_done(job);
	}
	refused_forget(c);
	ledger_fold_close(c->fold);
	file_close(&c->poll);
	buf_done(&c->text);
	free(c);
}
