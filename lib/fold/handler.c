/*
 * A handler's way through the events: a page at a time, in order of position; what fails is tried
 * again, then parked, or the handler stops before it. The cursor moves behind what is done.
 */
#include "handler.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "../store/parked.h"
#include "lock.h"

#include "../base/banned.h"

/* What a program says in one run is handed on up to here. */
#define SAID_MAX (64u << 10)

/* A commit waits for the disk: mode lines has one each so often, and in the end. After a crash the events of that
 * time come again. */
#define SAVE_EVERY TIME_SECOND

/* Pauses before trying again: doubled each time. */
#define PAUSE_FIRST (TIME_SECOND / 10)
#define PAUSE_MAX   (30 * TIME_SECOND)

static struct slice name_of(const struct ledger_handler_run *run)
{
	return slice_of(run->handler->name);
}

bool handler_is_stopping(const struct ledger_handler_run *run)
{
	return run->options.is_stopping && run->options.is_stopping();
}

static bool is_wanted(const struct event *event, void *context)
{
	const struct ledger_handler_run *run = context;
	return ledger_handler_takes(run->handlers, run->n, run->which, event);
}

/* --- What programs say ----------------------------------------------------------------------- */

static void say_line(struct ledger_handler_run *run, struct slice line)
{
	if (line.len == 0)
		return;
	buf_reset(&run->last_said);
	buf_add_slice(&run->last_said, (struct slice){ line.ptr, line.len < 200 ? line.len : 200 });
	if (!run->options.said || run->said > SAID_MAX)
		return;
	run->said += line.len;
	run->options.said(run->handler->name,
		run->said > SAID_MAX ? SLICE("(what it says from here on is not shown)") : line,
		run->options.context);
}

void handler_say(struct ledger_handler_run *run, struct buf *said, bool all)
{
	struct slice rest = buf_slice(said), line;
	if (said->len == 0)
		return;
	while (slice_cut(rest, '\n', &line, &rest))
		say_line(run, line);
	if (all) {
		say_line(run, rest);
		rest.len = 0;
	}
	memmove(said->ptr, rest.ptr, rest.len);
	said->len = rest.len;
}

enum ledger_status handler_failed(struct ledger_handler_run *run, struct page_event *e,
	struct slice reason, bool with_said, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_add_slice(&text, reason.len ? reason : SLICE("(no reason given)"));
	if (with_said && run->last_said.len) {
		buf_add_text(&text, ": ");
		buf_add_slice(&text, buf_slice(&run->last_said));
	}
	e->state = PAGE_FAILED;
	e->reason = arena_copy(&run->page.arena, buf_slice(&text));
	return e->reason.ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- The cursor ------------------------------------------------------------------------------ */

static enum ledger_status save(struct ledger_handler_run *run, struct ledger_error *err)
{
	if (run->options.only || run->position == run->saved)
		return LEDGER_OK;
	TRY(ledger_cursor_set(run->options.writer, slice_of(run->cursor), run->position, err));
	run->saved = run->position;
	run->saved_at = time_monotonic();
	return LEDGER_OK;
}

static void cursor_name(const struct ledger_handler *h, char out[HANDLER_CURSOR_MAX])
{
	snprintf(out, HANDLER_CURSOR_MAX, "handler:%s", h->name);
}

/* Where a handler without cursor begins. */
static enum ledger_status beginning(struct ledger *l, const struct ledger_handler *h,
	uint64_t *position, struct ledger_error *err)
{
	uint64_t last;
	TRY(ledger_last_position(l, &last, err));
	*position = 0;
	if (h->start == LEDGER_START_NOW)
		*position = last;
	else if (h->start == LEDGER_START_POSITION && h->start_position)
		*position = h->start_position - 1 < last ? h->start_position - 1 : last;
	return LEDGER_OK;
}

enum ledger_status ledger_handler_next(struct ledger *l, const struct ledger_handler *handler,
	uint64_t *position, struct ledger_error *err)
{
	char name[HANDLER_CURSOR_MAX];
	cursor_name(handler, name);
	enum ledger_status status = ledger_cursor_get(l, slice_of(name), position, err);
	return status == LEDGER_NO ? beginning(l, handler, position, err) : status;
}

/* A new handler remembers at once where it began: "now" is the moment of its first run. */
static enum ledger_status find_position(struct ledger_handler_run *run, struct ledger_error *err)
{
	if (run->options.only) {
		run->position = run->options.only->from ? run->options.only->from - 1 : 0;
		return LEDGER_OK;
	}
	enum ledger_status status =
		ledger_cursor_get(run->options.writer, slice_of(run->cursor), &run->position, err);
	run->saved = run->position;
	if (status != LEDGER_NO)
		return status;
	TRY(beginning(run->options.writer, run->handler, &run->position, err));
	run->saved = UINT64_MAX;
	return save(run, err);
}

/* --- Opening --------------------------------------------------------------------------------- */

static enum ledger_status find_parked(struct ledger_handler_run *run, struct ledger_error *err)
{
	struct ledger_failing failing;
	enum ledger_status status =
		ledger_handler_failing(run->options.writer, name_of(run), &failing, err);
	if (status != LEDGER_OK && status != LEDGER_NO)
		return status;
	run->is_failing = status == LEDGER_OK;
	return parked_any(run->options.writer, name_of(run), &run->has_parked, err);
}

static enum ledger_status open_run(struct ledger_handler_run *run, struct ledger_error *err)
{
	CLEANUP_BUF struct buf what = { 0 };
	/* A copy of a ledger must not send everybody their mails again. */
	TRY(ledger_check_home(run->options.writer, err));
	buf_addf(&what, "handler %s", run->handler->name);
	TRY(lock_take(run->options.writer, buf_text(&what), &run->lock, err));
	TRY(find_position(run, err));
	if (run->handler->rules && run->handler->rules->n_upcasts)
		TRY(ledger_fold_open(&run->fold, run->options.ledger, run->handler->rules, err));
	return run->options.only ? LEDGER_OK : find_parked(run, err);
}

enum ledger_status ledger_handler_open(struct ledger_handler_run **out,
	const struct ledger_replay_options *options, const struct ledger_handler *handlers,
	size_t n, size_t which, struct ledger_error *err)
{
	struct ledger_handler_run *run = calloc(1, sizeof(*run));
	if (!run)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	run->options = *options;
	run->handlers = handlers;
	run->n = n;
	run->which = which;
	run->handler = &handlers[which];
	run->lock = -1;
	run->left = options->limit ? options->limit : UINT64_MAX;
	run->process = (struct process)PROCESS_NONE;
	cursor_name(run->handler, run->cursor);
	enum ledger_status status = open_run(run, err);
	if (status != LEDGER_OK)
		ledger_handler_close(run);
	else
		*out = run;
	return status;
}

void ledger_handler_close(struct ledger_handler_run *run)
{
	if (!run)
		return;
	process_done(&run->process);
	page_done(&run->page);
	ledger_fold_close(run->fold);
	buf_done(&run->last_said);
	buf_done(&run->text);
	file_close(&run->lock);
	free(run);
}

enum ledger_status ledger_handler_finish(struct ledger_handler_run *run, struct ledger_error *err)
{
	return lines_finish(run, err);
}

uint64_t ledger_handler_position(const struct ledger_handler_run *run)
{
	return run->position;
}

uint64_t ledger_handler_count(const struct ledger_handler_run *run)
{
	return run->count;
}

/* --- Parking --------------------------------------------------------------------------------- */

static enum ledger_status park(struct ledger_handler_run *run, struct page_event *e,
	uint64_t failures, struct slice reason, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	TRY(parked_add(run->options.writer, name_of(run), &e->event, failures, reason, err));
	run->has_parked = true;
	run->is_failing = false;
	e->state = PAGE_DONE;
	buf_add_slice(&text, reason);
	if (run->options.parked)
		run->options.parked(run->handler->name, &e->event, failures, buf_text(&text),
			run->options.context);
	return LEDGER_OK;
}

enum ledger_status handler_pass_over(struct ledger_handler_run *run, struct page_event *e,
	bool *passed, struct ledger_error *err)
{
	CLEANUP_BUF struct buf reason = { 0 };
	uint64_t before;
	*passed = false;
	if (!run->has_parked)
		return LEDGER_OK;
	/* Parked by a run that was cut off before it could move the cursor. */
	TRY(parked_is(run->options.writer, name_of(run), e->event.position, passed, err));
	if (*passed) {
		e->state = PAGE_DONE;
		return LEDGER_OK;
	}
	TRY(parked_before(run->options.writer, name_of(run), &e->event, &before, err));
	*passed = before != 0;
	if (!*passed)
		return LEDGER_OK;
	buf_addf(&reason, "waits behind position %" PRIu64 " of its stream", before);
	return park(run, e, 0, buf_slice(&reason), err);
}

/* --- Trying again ---------------------------------------------------------------------------- */

/* Waits, but not longer than the world wants us. */
static void pause_before(struct ledger_handler_run *run, uint64_t tries)
{
	uint64_t us = tries < 9 ? PAUSE_FIRST << tries : PAUSE_MAX;
	struct pollfd fd = { run->options.wake, POLLIN, 0 };
	if (!handler_is_stopping(run))
		poll(&fd, 1, (int)((us < PAUSE_MAX ? us : PAUSE_MAX) / 1000));
}

static enum ledger_status stopped(struct ledger_handler_run *run, const struct page_event *e,
	uint64_t failures, struct ledger_error *err)
{
	CLEANUP_BUF struct buf reason = { 0 };
	uuid_format(e->event.id, err->id);
	buf_add_slice(&reason, e->reason);
	fail(err, e->timed_out ? LEDGER_TIMED_OUT : LEDGER_UNREACHABLE,
		"handler %s stopped before position %" PRIu64 " after %" PRIu64
		" failure%s: %.300s",
		run->handler->name, e->event.position, failures, failures == 1 ? "" : "s",
		buf_text(&reason));
	uuid_format(e->event.id, err->id);
	return hint(
		err, "mend the program and run replay again; with park_after the rest would go on");
}

static enum ledger_status try_one(
	struct ledger_handler_run *run, size_t i, struct ledger_error *err)
{
	struct page_event *e = &run->page.events[i];
	if (run->fold)
		TRY(page_upcast(&run->page, e, run->fold, err));
	if (run->fold && e->state == PAGE_FAILED)
		return LEDGER_OK;
	if (run->handler->mode == LEDGER_HANDLER_LINES)
		return lines_try(run, i, true, err);
	return each_try(run, e, err);
}

/* An event has failed once: it is tried again until it is done, parked, or the tries are used up. It is
 * left failed where it is time to end. */
static enum ledger_status insist(struct ledger_handler_run *run, size_t i, struct ledger_error *err)
{
	struct page_event *e = &run->page.events[i];
	uint64_t failures = 0;
	for (uint64_t tries = 0; e->state == PAGE_FAILED; tries++) {
		failures++;
		if (!run->options.only)
			TRY(failing_set(run->options.writer, name_of(run), e->event.position,
				e->reason, &failures, err));
		run->is_failing = true;
		bool is_last = run->handler->park_after && failures >= run->handler->park_after;
		if (is_last && !run->options.only)
			return park(run, e, failures, e->reason, err);
		if (tries == run->handler->retries)
			return stopped(run, e, failures, err);
		pause_before(run, tries);
		if (handler_is_stopping(run))
			return LEDGER_OK;
		TRY(try_one(run, i, err));
	}
	return LEDGER_OK;
}

/* --- A page ---------------------------------------------------------------------------------- */

static enum ledger_status handle_waiting(
	struct ledger_handler_run *run, size_t i, struct ledger_error *err)
{
	struct page_event *e = &run->page.events[i];
	bool passed;
	TRY(handler_pass_over(run, e, &passed, err));
	if (passed)
		return LEDGER_OK;
	return run->handler->mode == LEDGER_HANDLER_LINES ? lines_try(run, i, false, err)
							  : each_try(run, e, err);
}

static enum ledger_status is_done(
	struct ledger_handler_run *run, const struct page_event *e, struct ledger_error *err)
{
	run->position = e->event.position;
	run->count++;
	if (run->is_failing && !run->options.only)
		TRY(failing_forget(run->options.writer, name_of(run), err));
	run->is_failing = false;
	if (run->options.progress)
		run->options.progress(run->position, run->options.context);
	/* A process each costs more than a commit, and nobody wants a mail twice. */
	return run->handler->mode == LEDGER_HANDLER_EACH ? save(run, err) : LEDGER_OK;
}

/* Up to the first event that is not done: run->position is before it. */
static enum ledger_status handle_page(struct ledger_handler_run *run, struct ledger_error *err)
{
	for (size_t i = 0; i < run->page.n; i++) {
		struct page_event *e = &run->page.events[i];
		if (e->state == PAGE_WAITING && handler_is_stopping(run))
			return LEDGER_OK;
		if (e->state == PAGE_WAITING)
			TRY(handle_waiting(run, i, err));
		if (e->state == PAGE_FAILED) {
			bool passed;
			TRY(save(run, err));
			TRY(handler_pass_over(run, e, &passed, err));
			if (!passed)
				TRY(insist(run, i, err));
		}
		if (e->state != PAGE_DONE)
			return LEDGER_OK;
		TRY(is_done(run, e, err));
	}
	return LEDGER_OK;
}

static struct ledger_filter page_filter(const struct ledger_handler_run *run, uint64_t end)
{
	struct ledger_filter f = { 0 };
	if (run->options.only)
		f = *run->options.only;
	if (f.n_domains == 0) {
		f.domains = &run->handler->domain;
		f.n_domains = 1;
	}
	if (f.n_types == 0 && run->handler->type.ptr) {
		f.types = &run->handler->type;
		f.n_types = 1;
	}
	f.from = run->position + 1;
	if (!run->options.only && f.from < run->handler->start_position)
		f.from = run->handler->start_position;
	if (f.to == 0 || f.to > end)
		f.to = end;
	f.limit = run->left;
	return f;
}

enum ledger_status ledger_handler_step(
	struct ledger_handler_run *run, uint64_t end, bool *done, struct ledger_error *err)
{
	struct ledger_filter filter = page_filter(run, end);
	uint64_t before = run->count;
	*done = true;
	if (run->position >= end || run->left == 0 || handler_is_stopping(run))
		return LEDGER_OK;
	TRY(page_read(&run->page, run->options.ledger, &filter, is_wanted, run, run->fold, err));
	enum ledger_status status = handle_page(run, err);
	bool all = status == LEDGER_OK && run->count - before == run->page.n;
	run->left -= run->left == UINT64_MAX ? 0 : run->count - before;
	/* What is behind the last one is for others. */
	if (all && !run->page.is_full)
		run->position = end;
	*done = !all || run->position >= end || run->left == 0;
	if (status == LEDGER_OK && !*done && time_monotonic() - run->saved_at < SAVE_EVERY)
		return LEDGER_OK;
	struct ledger_error save_err = { 0 };
	enum ledger_status saved = save(run, &save_err);
	if (status == LEDGER_OK && saved != LEDGER_OK)
		*err = save_err;
	return status ? status : saved;
}

/* --- What is parked -------------------------------------------------------------------------- */

struct wanted {
	uint64_t position;
	bool found;
	struct ledger_parked parked;
};

static enum ledger_status look(
	const struct ledger_parked *parked, void *context, struct ledger_error *err)
{
	struct wanted *w = context;
	(void)err;
	if (parked->position == w->position) {
		w->found = true;
		w->parked = *parked;
	}
	return LEDGER_OK;
}

/* The event into a page of its own. */
static enum ledger_status load_parked(
	struct ledger_handler_run *run, uint64_t position, struct ledger_error *err)
{
	struct wanted w = { .position = position };
	struct ledger_filter filter = { .from = position, .to = position };
	TRY(ledger_parked(run->options.writer, name_of(run), look, &w, err));
	if (!w.found) {
		fail(err, LEDGER_NO, "no event at position %" PRIu64 " is parked for handler %s",
			position, run->handler->name);
		return hint(err, "see them with: ledgerbox replay parked list");
	}
	TRY(page_read(&run->page, run->options.ledger, &filter, NULL, NULL, run->fold, err));
	if (run->page.n == 1 &&
		memcmp(run->page.events[0].event.hash, w.parked.hash, EVENT_HASH_SIZE) == 0)
		return LEDGER_OK;
	return fail(err, LEDGER_REFUSED,
		"what is parked at position %" PRIu64 " is an event of another history", position);
}

enum ledger_status ledger_handler_retry(
	struct ledger_handler_run *run, uint64_t position, struct ledger_error *err)
{
	uint64_t before;
	TRY(load_parked(run, position, err));
	struct page_event *e = &run->page.events[0];
	TRY(parked_before(run->options.writer, name_of(run), &e->event, &before, err));
	if (before) {
		fail(err, LEDGER_CONFLICT,
			"position %" PRIu64 " waits behind position %" PRIu64 " of its stream",
			position, before);
		return hint(err, "retry or discard that one first");
	}
	TRY(try_one(run, 0, err));
	if (e->state == PAGE_DONE)
		return ledger_parked_discard(run->options.writer, name_of(run), position, err);
	if (e->state != PAGE_FAILED)
		return LEDGER_OK;
	TRY(parked_failed(run->options.writer, name_of(run), position, e->reason, err));
	return fail(err, e->timed_out ? LEDGER_TIMED_OUT : LEDGER_UNREACHABLE,
		"handler %s failed again at position %" PRIu64 ": %.*s", run->handler->name,
		position, (int)(e->reason.len < 300 ? e->reason.len : 300), e->reason.ptr);
}
