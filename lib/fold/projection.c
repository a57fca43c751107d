/*
 * A projection's way through the events. Events are applied inside the reading, so many to a transaction
 * of the database, whose last statement moves the cursor in it: both are there or neither.
 */
#include "projection.h"

#include <inttypes.h>
#include <stdio.h>

#include "../store/handle.h"
#include "projection-run.h"

#include "../base/banned.h"

/* To one transaction: a commit waits for the disk, and a reader of the ledger holds its -wal meanwhile. */
#define BATCH_EVENTS 20000
#define BATCH_TIME   TIME_SECOND

uint64_t ledger_projection_position(const struct ledger_projection_run *run)
{
	return run->place.position;
}

uint64_t ledger_projection_count(const struct ledger_projection_run *run)
{
	return run->count;
}

/* --- Applying -------------------------------------------------------------------------------- */

/* The error as it is, with the event in front. */
static enum ledger_status say_where(struct ledger_projection_run *run, const struct event *event,
	const struct ledger_apply *apply, struct ledger_error *err)
{
	bool theirs = err->status == LEDGER_INVALID || err->status == LEDGER_USAGE;
	fail_in(err, "projection %s, apply %.*s, position %" PRIu64 ": ", run->projection->name,
		SLICE_ARG(apply->type), event->position);
	if (!theirs)
		return err->status;
	run->failed = event->position;
	uuid_format(event->id, err->id);
	hint(err,
		"it stands before that event; mend the statement, then: ledgerbox replay %s "
		"--rebuild",
		run->projection->name);
	return err->status;
}

static bool is_stopping(const struct ledger_projection_run *run)
{
	return run->options.is_stopping && run->options.is_stopping();
}

static bool is_over(const struct ledger_projection_run *run)
{
	return run->in_batch >= BATCH_EVENTS || run->left == 0 ||
	       (run->in_batch % 256 == 0 &&
		       (time_monotonic() - run->begun > BATCH_TIME || is_stopping(run)));
}

static enum ledger_status apply_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct ledger_projection_run *run = context;
	const struct ledger_apply *apply = ledger_projection_takes(run->projection, event);
	if (!apply)
		return LEDGER_OK;
	struct sqlite_stmt *st = run->statements[apply - run->projection->apply];
	struct event upcast = *event;
	if ((run->fold && ledger_fold_upcast(run->fold, event, &upcast, err) != LEDGER_OK) ||
		sqlite_apply(st, &upcast, err) != LEDGER_OK)
		return say_where(run, event, apply, err);
	run->last = event->position;
	run->in_batch++;
	run->left -= run->left != UINT64_MAX;
	run->is_cut = is_over(run);
	/* Leaves the reading; the next step comes back for the rest. */
	return run->is_cut ? LEDGER_NO : LEDGER_OK;
}

static enum ledger_status move(
	struct ledger_projection_run *run, uint64_t position, struct ledger_error *err)
{
	struct projection_place place = run->place;
	place.position = position;
	place.stopped = 0;
	place.reason[0] = '\0';
	if (run->key.clock)
		place.key = run->key;
	TRY(cursor_hash_at(run->options.ledger, position, place.hash, err));
	TRY(projection_write_place(run->db, run->projection, run->place.position, &place, err));
	TRY(sqlite_commit(run->db, err));
	run->place = place;
	run->count += run->in_batch;
	return LEDGER_OK;
}

static void begin_batch(struct ledger_projection_run *run)
{
	run->in_batch = run->failed = run->last = 0;
	run->begun = time_monotonic();
	run->key = (struct shared_key){ 0 };
	run->is_cut = false;
}

static struct ledger_filter filter_of(const struct ledger_projection_run *run)
{
	return (struct ledger_filter){
		.domains = run->projection->domains,
		.n_domains = run->projection->n_domains,
		.types = run->types,
		.n_types = run->n_types,
	};
}

/* --- In order of arrival --------------------------------------------------------------------- */

/* Events up to `end`, and the cursor behind them, in the transaction that is open. */
static enum ledger_status apply_range(
	struct ledger_projection_run *run, uint64_t end, struct ledger_error *err)
{
	struct ledger_filter f = filter_of(run);
	f.from = run->place.position + 1;
	f.to = end;
	enum ledger_status status =
		f.from > end ? LEDGER_OK
			     : ledger_read(run->options.ledger, &f, apply_event, run, err);
	if (status != LEDGER_OK && !(status == LEDGER_NO && run->is_cut))
		return status;
	return move(run, run->is_cut ? run->last : end, err);
}

static enum ledger_status apply_batch(
	struct ledger_projection_run *run, uint64_t end, struct ledger_error *err)
{
	uint64_t left = run->left;
	begin_batch(run);
	TRY(sqlite_begin(run->db, err));
	enum ledger_status status = apply_range(run, end, err);
	if (status == LEDGER_OK)
		return LEDGER_OK;
	sqlite_rollback(run->db);
	run->left = left;
	return status;
}

/* Remembers for `status` where it stopped and why; what cannot be written is not worth another error. */
static void remember_stop(
	struct ledger_projection_run *run, uint64_t position, bool stale, const char *reason)
{
	struct ledger_error ignored;
	struct projection_place place = run->place;
	place.stopped = position;
	place.stale = stale;
	snprintf(place.reason, sizeof(place.reason), "%s", reason);
	if (sqlite_begin(run->db, &ignored) != LEDGER_OK)
		return;
	if (projection_write_place(run->db, run->projection, place.position, &place, &ignored) !=
			LEDGER_OK ||
		sqlite_commit(run->db, &ignored) != LEDGER_OK)
		sqlite_rollback(run->db);
}

/* A statement failed: the events before that one are applied after all, then it stops. */
static enum ledger_status stop_before(
	struct ledger_projection_run *run, uint64_t position, struct ledger_error *err)
{
	struct ledger_error again = { 0 };
	enum ledger_status status = LEDGER_OK;
	while (status == LEDGER_OK && run->place.position < position - 1)
		status = apply_batch(run, position - 1, &again);
	if (status != LEDGER_OK)
		*err = again;
	else if (run->db == run->live)
		remember_stop(run, position, false, err->text);
	return err->status;
}

/* --- In shared order ------------------------------------------------------------------------- */

/* What is new must sort behind everything that was used. */
static enum ledger_status apply_shared(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct ledger_projection_run *run = context;
	struct shared_key key;
	char id[UUID_TEXT_MAX];
	shared_key_of(event, &key);
	if (run->place.key.clock && shared_key_cmp(&key, &run->place.key) < 0) {
		uuid_format(event->id, id);
		run->failed = event->position;
		return fail(err, LEDGER_REFUSED,
			"position %" PRIu64 " (%s) came late and sorts before what it was made of",
			event->position, id);
	}
	enum ledger_status status = apply_event(event, context, err);
	/* It is one transaction, however long. */
	run->is_stopped = run->is_cut && is_stopping(run);
	if (run->is_cut && run->options.progress)
		run->options.progress(run->place.position + run->in_batch, run->options.context);
	bool goes_on = status == LEDGER_NO && run->is_cut && !run->is_stopped;
	if (status == LEDGER_OK || goes_on)
		run->key = key;
	return goes_on ? LEDGER_OK : status;
}

static enum ledger_status apply_all_shared(
	struct ledger_projection_run *run, uint64_t end, struct ledger_error *err)
{
	struct ledger_filter filter = filter_of(run);
	struct ledger_shared *shared;
	TRY(ledger_shared_open(&shared, run->options.ledger, run->place.position + 1, end, err));
	enum ledger_status status = ledger_shared_read(shared, &filter, apply_shared, run, err);
	ledger_shared_close(shared);
	return status == LEDGER_OK ? move(run, end, err) : status;
}

static enum ledger_status become_stale(struct ledger_projection_run *run, struct ledger_error *err)
{
	remember_stop(run, run->failed, true, err->text);
	fail_in(err, "projection %s is stale: ", run->projection->name);
	return projection_suggest_rebuild(run->projection, err);
}

static enum ledger_status step_shared(
	struct ledger_projection_run *run, uint64_t end, struct ledger_error *err)
{
	begin_batch(run);
	TRY(sqlite_begin(run->db, err));
	enum ledger_status status = apply_all_shared(run, end, err);
	if (status == LEDGER_OK)
		return LEDGER_OK;
	sqlite_rollback(run->db);
	if (run->is_stopped)
		return LEDGER_OK;
	if (run->failed && run->db == run->live && status == LEDGER_REFUSED)
		return become_stale(run, err);
	if (run->failed && run->db == run->live)
		remember_stop(run, run->failed, false, err->text);
	return status;
}

/* --- Steps ----------------------------------------------------------------------------------- */

/* The rebuilt one takes the place of the old. */
static enum ledger_status put_in_place(struct ledger_projection_run *run, struct ledger_error *err)
{
	projection_close_statements(run);
	TRY(sqlite_copy_over(run->db, run->live, NULL, NULL, err));
	sqlite_close(run->db);
	run->db = run->live;
	projection_remove_rebuild(run);
	buf_reset(&run->rebuild);
	return LEDGER_OK;
}

enum ledger_status ledger_projection_step(
	struct ledger_projection_run *run, uint64_t end, bool *done, struct ledger_error *err)
{
	*done = true;
	if (is_stopping(run))
		return LEDGER_OK;
	if (run->place.position < end && run->left > 0) {
		enum ledger_status status = run->place.order == LEDGER_ORDER_SHARED
						    ? step_shared(run, end, err)
						    : apply_batch(run, end, err);
		if (status != LEDGER_OK && run->failed && run->place.order == LEDGER_ORDER_ARRIVAL)
			return stop_before(run, run->failed, err);
		TRY(status);
	}
	if (run->is_stopped)
		return LEDGER_OK;
	*done = run->place.position >= end || run->left == 0;
	return *done && run->db != run->live ? put_in_place(run, err) : LEDGER_OK;
}
