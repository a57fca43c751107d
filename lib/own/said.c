/*
 * What a handler says: lines as `append` takes them, for the stream of its command, and at most one line
 * {"result":…}. Whatever else it says makes all of it worth nothing.
 */
#include "command.h"

#include <inttypes.h>

#include "../base/banned.h"

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- One line -------------------------------------------------------------------------------- */

/* An object whose only member is "result". */
static bool is_result(struct slice line, struct slice *result)
{
	struct ledger_error ignored;
	struct json_walk walk;
	struct slice object, key, value;
	if (json_check(line, &object, &ignored) != LEDGER_OK || json_kind(object) != JSON_OBJECT)
		return false;
	json_walk_init(&walk, object);
	return json_walk_next(&walk, &key, result) && json_string_is(key, SLICE("result")) &&
	       !json_walk_next(&walk, &key, &value);
}

static enum ledger_status take_result(
	struct job *job, struct slice result, struct ledger_error *err)
{
	if (job->reply.result.ptr)
		return fail(err, LEDGER_INVALID, "a second result");
	if (result.len > RESULT_MAX)
		return fail(err, LEDGER_INVALID, "a result of %zu bytes, at most %u are taken",
			result.len, RESULT_MAX);
	job->reply.result = arena_copy(&job->arena, result);
	return job->reply.result.ptr ? LEDGER_OK : no_memory(err);
}

static enum ledger_status another_stream(
	const struct job *job, struct slice stream, struct ledger_error *err)
{
	if (!stream.ptr)
		return fail(err, LEDGER_INVALID, "an event without a stream");
	return fail(err, LEDGER_INVALID, "an event of stream %.*s: the command is for %.*s",
		(int)(stream.len < 80 ? stream.len : 80), stream.ptr,
		(int)(job->command.stream.len < 80 ? job->command.stream.len : 80),
		job->command.stream.ptr);
}

/* Ids are made of that of the command, so that another owner knows them. */
static enum ledger_status give_id(
	const struct job *job, struct ledger_new *event, uint64_t nth, struct ledger_error *err)
{
	if (event->has_id && job->handler)
		return fail(err, LEDGER_INVALID,
			"an event with an id of its own: it is made of that of the command");
	if (!event->has_id)
		ledger_command_event_id(job->command.id, nth, event->id);
	event->has_id = true;
	return LEDGER_OK;
}

static enum ledger_status take_event(
	struct ledger_commands *c, struct job *job, struct slice line, struct ledger_error *err)
{
	struct ledger_new *event = &job->events[job->n_events];
	if (job->n_events == EVENTS_MAX)
		return fail(err, LEDGER_INVALID, "more than %d events", EVENTS_MAX);
	TRY(c->options->event_of(line, job->command.stream, job->domain, &job->arena, event, err));
	if (!slice_eq(event->stream, job->command.stream))
		return another_stream(job, event->stream, err);
	if (job->domain.ptr && !slice_eq(event->domain, job->domain))
		return fail(err, LEDGER_INVALID, "an event of domain %.*s: the stream is in %.*s",
			SLICE_ARG(event->domain), SLICE_ARG(job->domain));
	job->domain = event->domain;
	TRY(give_id(job, event, ++job->n_events, err));
	return ledger_check_new(event, err);
}

/* --- All of them ----------------------------------------------------------------------------- */

static enum ledger_status make_room(struct job *job, size_t lines, struct ledger_error *err)
{
	job->n_events = 0;
	job->events = arena_array(
		&job->arena, (lines < EVENTS_MAX ? lines : EVENTS_MAX) + 1, sizeof(*job->events));
	return job->events ? LEDGER_OK : no_memory(err);
}

static size_t count_lines(struct slice text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n';
	return n;
}

enum ledger_status said_read(
	struct ledger_commands *c, struct job *job, bool only_result, struct ledger_error *err)
{
	struct slice line, result, rest = buf_slice(&job->said);
	uint64_t number = 0;
	if (rest.len && rest.ptr[rest.len - 1] != '\n')
		buf_add_char(&job->said, '\n');
	TRY(buf_check(&job->said, err));
	rest = buf_slice(&job->said);
	TRY(make_room(job, count_lines(rest), err));
	while (rest.len && slice_cut(rest, '\n', &line, &rest)) {
		enum ledger_status status = LEDGER_OK;
		number++;
		if (slice_trim(line).len == 0)
			continue;
		if (is_result(line, &result))
			status = take_result(job, result, err);
		else if (!only_result)
			status = take_event(c, job, line, err);
		if (status)
			return fail_in(err, "line %" PRIu64 " of the handler: ", number);
	}
	return LEDGER_OK;
}

/* "none", "exists" or a version. */
static enum ledger_status read_expect(
	struct slice value, struct ledger_condition *out, struct ledger_error *err)
{
	if (json_u64(value, &out->version))
		out->expect = LEDGER_EXPECT_VERSION;
	else if (json_string_is(value, SLICE("none")))
		out->expect = LEDGER_EXPECT_NONE;
	else if (json_string_is(value, SLICE("exists")))
		out->expect = LEDGER_EXPECT_EXISTS;
	else
		return fail(err, LEDGER_INVALID, "\"expect\" is none, exists or a version");
	return LEDGER_OK;
}

enum ledger_status said_read_payload(
	struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	struct slice list, value, key, object = job->command.payload;
	struct json_walk walk;
	if (json_kind(object) != JSON_OBJECT || !json_member(object, SLICE("events"), &list) ||
		json_kind(list) != JSON_ARRAY) {
		fail(err, LEDGER_INVALID, "the payload has no list \"events\"");
		return hint(err, "it is sent by: ledgerbox append --at-owner");
	}
	if (json_member(object, SLICE("expect"), &value))
		TRY(read_expect(value, &job->condition, err));
	TRY(make_room(job, EVENTS_MAX, err));
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &value))
		if (take_event(c, job, value, err) != LEDGER_OK)
			return fail_in(err, "event %zu: ", job->n_events + 1);
	return job->n_events ? LEDGER_OK : fail(err, LEDGER_INVALID, "the command has no events");
}
