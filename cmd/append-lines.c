/*
 * Lines of stdin as they come. A batch grows until it is full or stdin has nothing more to give right
 * now, is committed, answered, and forgotten:
 *
 *	read lines -> pending events -> begin, add each, commit -> answers -> read on
 *
 * A line that is refused ends the reading; the lines before it are recorded first.
 */
#include "append.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "answers.h"
#include "input.h"

#include "../lib/base/banned.h"

struct pending {
	struct ledger_new event;
	uint64_t line;
};

struct lines {
	const struct append *append;
	struct input input;
	struct arena arena; /* what the pending events need beside their lines */
	struct pending *pending;
	size_t n;
	struct buf answers;
	uint64_t events;   /* taken so far */
	uint64_t recorded; /* number of the last line that was */
	uint64_t position; /* the last one that was answered for */
	bool unsure;	   /* a commit could not tell how it ended */
};

#define CLEANUP_LINES __attribute__((cleanup(lines_done)))

static void lines_done(struct lines *s)
{
	input_close(&s->input);
	arena_done(&s->arena);
	free(s->pending);
	buf_done(&s->answers);
}

static enum ledger_status lines_init(
	struct lines *s, const struct append *a, struct ledger_error *err)
{
	s->append = a;
	s->pending = calloc(a->batch, sizeof(*s->pending));
	if (!s->pending)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return input_open(&s->input, STDIN_FILENO, err);
}

enum ledger_status append_say_recorded(uint64_t line, struct ledger_error *err)
{
	char before[160];
	memcpy(before, err->hint, sizeof(before));
	before[sizeof(before) - 1] = '\0';
	const char *between = before[0] ? "; " : "";
	if (line == 0)
		return hint(err, "%s%snothing is recorded", before, between);
	return hint(err,
		"%s%slines 1 to %" PRIu64 " are recorded, go on with: tail -n +%" PRIu64
		" FILE | ledgerbox append",
		before, between, line, line + 1);
}

/* --- In -------------------------------------------------------------------------------------- */

static enum ledger_status take_line(struct lines *s, struct slice line, struct ledger_error *err)
{
	struct draft d;
	struct pending *pending = &s->pending[s->n];
	enum ledger_status status = draft_from_line(&d, line, &s->arena, err);
	if (status == LEDGER_OK)
		status = append_complete(
			s->append, s->events + 1, &d, &s->arena, &pending->event, err);
	if (status != LEDGER_OK)
		return fail_in(err, "line %" PRIu64 "%s: ", s->input.line,
			s->input.cut ? " (without a newline)" : "");
	pending->line = s->input.line;
	s->events++;
	s->n++;
	return LEDGER_OK;
}

/* Waits for the first event only. */
static enum ledger_status fill(struct lines *s, bool *end, struct ledger_error *err)
{
	while (s->n < s->append->batch) {
		enum input_got got;
		struct slice line;
		TRY(input_next(&s->input, s->n == 0, &got, &line, err));
		*end = got == INPUT_END;
		if (got != INPUT_LINE)
			return LEDGER_OK;
		TRY(take_line(s, line, err));
	}
	return LEDGER_OK;
}

/* --- Out ------------------------------------------------------------------------------------- */

/* The first n pending events in one transaction; *added is how many were taken before a failure. */
static enum ledger_status record(struct lines *s, size_t n, size_t *added, struct ledger_error *err)
{
	struct ledger *l = s->append->ledger;
	struct ledger_answer answer;
	uint64_t position = s->position;
	buf_reset(&s->answers);
	*added = 0;
	TRY(ledger_begin(l, err));
	for (size_t i = 0; i < n; i++) {
		TRY(ledger_add(l, &s->pending[i].event, NULL, &answer, err));
		answer_add(&s->answers, &answer);
		position = answer.position > position ? answer.position : position;
		*added = i + 1;
	}
	enum ledger_status status = ledger_commit(l, err);
	s->unsure = status == LEDGER_UNKNOWN;
	TRY(status);
	s->position = position;
	s->recorded = s->pending[n - 1].line;
	return LEDGER_OK;
}

static enum ledger_status answer(struct lines *s, struct ledger_error *err)
{
	answers_warn(s->append->ledger);
	if (buf_check(&s->answers, err) == LEDGER_OK &&
		answers_print(buf_slice(&s->answers), err) == LEDGER_OK)
		return LEDGER_OK;
	return answers_lost(s->position, err);
}

/* Is it the event that was refused? Then those before it are sound, and can be recorded without it. */
static bool is_about_event(enum ledger_status status)
{
	return status == LEDGER_INVALID || status == LEDGER_CONFLICT || status == LEDGER_NOT_OWNER;
}

static enum ledger_status record_pending(struct lines *s, struct ledger_error *err)
{
	size_t added, again;
	struct ledger_error refusal;
	enum ledger_status status = record(s, s->n, &added, err);
	if (status == LEDGER_OK)
		return answer(s, err);
	if (!is_about_event(status))
		return status;
	fail_in(err, "line %" PRIu64 ": ", s->pending[added].line);
	if (added == 0)
		return status;
	refusal = *err;
	TRY(record(s, added, &again, err));
	TRY(answer(s, err));
	*err = refusal;
	return status;
}

/* --- Both ------------------------------------------------------------------------------------ */

/* One batch. What was read before a bad line is recorded before that line is complained about. */
static enum ledger_status step(struct lines *s, bool *end, struct ledger_error *err)
{
	struct ledger_error bad_line;
	enum ledger_status status = fill(s, end, &bad_line);
	if (s->n > 0)
		TRY(record_pending(s, err));
	input_recycle(&s->input);
	arena_reset(&s->arena);
	s->n = 0;
	if (status != LEDGER_OK)
		*err = bad_line;
	return status;
}

enum ledger_status append_lines(const struct append *a, struct ledger_error *err)
{
	CLEANUP_LINES struct lines s = { 0 };
	enum ledger_status status = lines_init(&s, a, err);
	for (bool end = false; status == LEDGER_OK && !end;)
		status = step(&s, &end, err);
	return status == LEDGER_OK || s.unsure ? status : append_say_recorded(s.recorded, err);
}
