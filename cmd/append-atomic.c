/*
 * All lines of stdin in one transaction. Nobody else can write while it is open, so stdin is read to
 * its end first: every line is checked and kept in a temporary file, then all are recorded from there,
 * and what is answered waits in another one for the commit.
 */
#include "append.h"

#include <inttypes.h>
#include <unistd.h>

#include "answers.h"
#include "input.h"
#include "output.h"
#include "spool.h"

#include "../lib/base/banned.h"

/* Reads lines and makes events of them. */
struct reader {
	const struct append *append;
	struct input input;
	struct arena arena; /* of the event read last */
	uint64_t events;
};

#define CLEANUP_READER __attribute__((cleanup(reader_done)))

static void reader_done(struct reader *r)
{
	input_close(&r->input);
	arena_done(&r->arena);
}

/* The next event and its line; *got is false at the end. */
static enum ledger_status read_event(struct reader *r, bool *got, struct slice *line,
	struct ledger_new *event, struct ledger_error *err)
{
	struct draft d;
	enum input_got what;
	TRY(input_next(&r->input, true, &what, line, err));
	*got = what == INPUT_LINE;
	if (!*got)
		return LEDGER_OK;
	arena_reset(&r->arena);
	enum ledger_status status = draft_from_line(&d, *line, &r->arena, err);
	if (status == LEDGER_OK)
		status = append_complete(r->append, ++r->events, &d, &r->arena, event, err);
	if (status == LEDGER_OK)
		status = ledger_check_new(event, err);
	if (status != LEDGER_OK)
		fail_in(err, "line %" PRIu64 "%s: ", r->input.line,
			r->input.cut ? " (without a newline)" : "");
	return status;
}

/* --- Check and keep -------------------------------------------------------------------------- */

/* --expect speaks of one stream: the first event's, `name` is domain/type/key of it. */
static enum ledger_status check_stream(const struct reader *r, const struct ledger_new *event,
	struct buf *name, struct ledger_error *err)
{
	CLEANUP_BUF struct buf own = { 0 };
	if (r->append->condition.expect == LEDGER_EXPECT_ANY)
		return LEDGER_OK;
	struct buf *to = name->len ? &own : name;
	buf_add_slice(to, event->domain);
	buf_add_char(to, '/');
	buf_add_slice(to, event->stream);
	TRY(buf_check(to, err));
	if (to == name || slice_eq(buf_slice(to), buf_slice(name)))
		return LEDGER_OK;
	fail(err, LEDGER_INVALID,
		"line %" PRIu64 ": --expect asks about one stream, and this line is of another",
		r->input.line);
	return hint(err, "give all lines the same domain and stream, or use --fail-if");
}

/* Blank lines are kept too, so that numbers mean the same when the lines are read again. */
static enum ledger_status keep(struct spool *lines, uint64_t number, struct slice line,
	uint64_t *kept, struct ledger_error *err)
{
	for (; *kept + 1 < number; (*kept)++) {
		buf_add_char(&lines->buf, '\n');
		TRY(spool_check(lines, err));
	}
	buf_add_slice(&lines->buf, line);
	buf_add_char(&lines->buf, '\n');
	*kept = number;
	return spool_check(lines, err);
}

static enum ledger_status keep_all(
	const struct append *a, struct spool *lines, uint64_t *n, struct ledger_error *err)
{
	CLEANUP_READER struct reader r = { .append = a };
	CLEANUP_BUF struct buf stream = { 0 };
	struct slice line;
	struct ledger_new event;
	uint64_t kept = 0;
	bool got = true;
	TRY(input_open(&r.input, STDIN_FILENO, err));
	for (;;) {
		TRY(read_event(&r, &got, &line, &event, err));
		*n = r.events;
		if (!got)
			return LEDGER_OK;
		TRY(check_stream(&r, &event, &stream, err));
		TRY(keep(lines, r.input.line, line, &kept, err));
	}
}

/* --- Record ---------------------------------------------------------------------------------- */

/* The condition goes with the first event that is not a repetition: those are answered as before. */
static enum ledger_status add_all(
	struct reader *r, struct spool *answers, uint64_t *position, struct ledger_error *err)
{
	const struct ledger_condition *condition = &r->append->condition;
	struct slice line;
	struct ledger_new event;
	struct ledger_answer answer;
	bool got = true;
	for (;;) {
		TRY(read_event(r, &got, &line, &event, err));
		if (!got)
			return LEDGER_OK;
		if (ledger_add(r->append->ledger, &event, condition, &answer, err) != LEDGER_OK)
			return fail_in(err, "line %" PRIu64 ": ", r->input.line);
		if (!answer.repeated)
			condition = NULL;
		if (answer.position > *position)
			*position = answer.position;
		answer_add(&answers->buf, &answer);
		TRY(spool_check(answers, err));
	}
}

static enum ledger_status record(const struct append *a, int fd, struct spool *answers,
	uint64_t *position, struct ledger_error *err)
{
	CLEANUP_READER struct reader r = { .append = a };
	TRY(input_open(&r.input, fd, err));
	TRY(ledger_begin(a->ledger, err));
	enum ledger_status status = add_all(&r, answers, position, err);
	if (status == LEDGER_OK && !a->dry_run)
		return ledger_commit(a->ledger, err);
	ledger_rollback(a->ledger);
	return status;
}

static enum ledger_status answer(
	const struct append *a, struct spool *answers, uint64_t position, struct ledger_error *err)
{
	answers_warn(a->ledger);
	enum ledger_status status = spool_each(answers, answers_print, err);
	if (status == LEDGER_OK || a->dry_run)
		return status;
	answers_lost(position, err);
	return hint(err, "all lines are recorded");
}

static enum ledger_status record_all(
	const struct append *a, struct spool *answers, uint64_t *position, struct ledger_error *err)
{
	CLEANUP_SPOOL struct spool lines = SPOOL_EMPTY;
	uint64_t n = 0;
	TRY(keep_all(a, &lines, &n, err));
	if (n == 0)
		return LEDGER_OK;
	TRY(spool_rewind(&lines, err));
	return record(a, lines.fd, answers, position, err);
}

enum ledger_status append_atomic(const struct append *a, struct ledger_error *err)
{
	CLEANUP_SPOOL struct spool answers = SPOOL_EMPTY;
	uint64_t position = 0;
	enum ledger_status status = record_all(a, &answers, &position, err);
	if (status == LEDGER_UNKNOWN)
		return status;
	if (status != LEDGER_OK)
		return append_say_recorded(0, err);
	return answer(a, &answers, position, err);
}
