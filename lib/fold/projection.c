/*
 * A projection's way through the events. Events are applied inside the reading, so many to a transaction
 * of the database, whose last statement moves the cursor in it: both are there or neither.
 */
#include "projection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../store/handle.h"
#include "lock.h"

#include "../base/banned.h"

/* To one transaction: a commit waits for the disk, and a reader of the ledger holds its -wal meanwhile. */
#define BATCH_EVENTS 20000
#define BATCH_TIME   TIME_SECOND

struct ledger_projection_run {
	struct ledger_replay_options options;
	const struct ledger_projection *projection;
	int lock;
	struct sqlite *live;		 /* the database */
	struct sqlite *db;		 /* where events go: live, or the one that is rebuilt */
	struct buf rebuild;		 /* the path of that one; empty: none */
	struct sqlite_stmt **statements; /* of apply, one for each */
	struct projection_place place;
	struct slice *types; /* to be read; none: all */
	size_t n_types;
	uint64_t count, left;
	/* of the batch at hand */
	struct shared_key key; /* of the last event */
	uint64_t in_batch, begun;
	uint64_t last;	 /* position of the last event applied */
	uint64_t failed; /* position whose statement failed; 0: none */
	bool is_cut;	 /* the batch ended before its range did */
	bool is_stopped; /* it was time to end, the batch is undone */
};

/* --- Which events ---------------------------------------------------------------------------- */

static bool has_domain(const struct ledger_projection *p, struct slice domain)
{
	for (size_t i = 0; i < p->n_domains; i++)
		if (slice_eq(p->domains[i], domain))
			return true;
	return p->n_domains == 0;
}

const struct ledger_apply *ledger_projection_takes(
	const struct ledger_projection *p, const struct event *event)
{
	const struct ledger_apply *other = NULL;
	if (!has_domain(p, event->domain))
		return NULL;
	for (size_t i = 0; i < p->n_apply; i++) {
		if (slice_eq(p->apply[i].type, event->type))
			return &p->apply[i];
		if (slice_is(p->apply[i].type, "*"))
			other = &p->apply[i];
	}
	return other;
}

/* The types that are named, unless "*" takes the rest. */
static enum ledger_status find_types(struct ledger_projection_run *run, struct ledger_error *err)
{
	const struct ledger_projection *p = run->projection;
	run->types = calloc(p->n_apply + 1, sizeof(*run->types));
	run->statements = calloc(p->n_apply + 1, sizeof(*run->statements));
	if (!run->types || !run->statements)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < p->n_apply; i++)
		run->types[i] = p->apply[i].type;
	run->n_types = p->n_apply;
	for (size_t i = 0; i < p->n_apply; i++)
		if (slice_is(p->apply[i].type, "*"))
			run->n_types = 0;
	return LEDGER_OK;
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

/* --- Opening --------------------------------------------------------------------------------- */

static enum ledger_status open_file(const struct ledger_projection_run *run, const char *path,
	bool scratch, uint32_t page_size, struct sqlite **out, struct ledger_error *err)
{
	struct ledger *l = run->options.ledger;
	struct sqlite_options options = {
		.path = path,
		.ledger = ledger_path(l),
		.scratch = scratch,
		.page_size = page_size,
		.timeout = l->options.timeout,
	};
	return sqlite_open_file(out, &options, err);
}

static enum ledger_status suggest_rebuild(
	const struct ledger_projection *p, struct ledger_error *err)
{
	return hint(err, "build it anew with: ledgerbox replay %s --rebuild", p->name);
}

/* Is what the file holds still what the config says, of this history? */
static enum ledger_status check_place(struct ledger *l, const struct ledger_projection *p,
	const struct projection_place *place, struct ledger_error *err)
{
	uint8_t definition[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE];
	TRY(projection_definition(p, definition, err));
	if (memcmp(definition, place->definition, sizeof(definition)) != 0) {
		fail(err, LEDGER_REFUSED,
			"the definition of projection %s has changed since it was built", p->name);
		return suggest_rebuild(p, err);
	}
	if (cursor_hash_at(l, place->position, hash, err) != LEDGER_OK && err->status != LEDGER_NO)
		return err->status;
	if (memcmp(hash, place->hash, sizeof(hash)) != 0) {
		fail(err, LEDGER_REFUSED,
			"projection %s stands at position %" PRIu64 " of another history", p->name,
			place->position);
		return suggest_rebuild(p, err);
	}
	if (place->stale) {
		fail(err, LEDGER_REFUSED, "projection %s is stale: %s", p->name, place->reason);
		return suggest_rebuild(p, err);
	}
	return LEDGER_OK;
}

static void close_statements(struct ledger_projection_run *run)
{
	for (size_t i = 0; run->statements && i < run->projection->n_apply; i++) {
		sqlite_stmt_close(run->statements[i]);
		run->statements[i] = NULL;
	}
}

/* All at once, so that a slip of the pen shows before an event does. */
static enum ledger_status compile(struct ledger_projection_run *run, struct ledger_error *err)
{
	const struct ledger_projection *p = run->projection;
	for (size_t i = 0; i < p->n_apply; i++)
		if (sqlite_compile(run->db, p->apply[i].sql, &run->statements[i], err) != LEDGER_OK)
			return fail_in(err, "projection %s, apply %.*s: ", p->name,
				SLICE_ARG(p->apply[i].type));
	return LEDGER_OK;
}

static enum ledger_status create_tables(struct ledger_projection_run *run, struct ledger_error *err)
{
	if (projection_create(run->db, run->projection, &run->place, err) != LEDGER_OK)
		return fail_in(err, "projection %s, its schema: ", run->projection->name);
	TRY(compile(run, err));
	return sqlite_commit(run->db, err);
}

/* Tables and a cursor at the beginning, in one transaction: what is wrong in the config leaves nothing. */
static enum ledger_status create(struct ledger_projection_run *run, struct ledger_error *err)
{
	run->place.position = 0;
	memset(run->place.hash, 0, EVENT_HASH_SIZE);
	TRY(projection_definition(run->projection, run->place.definition, err));
	TRY(sqlite_begin(run->db, err));
	enum ledger_status status = create_tables(run, err);
	if (status == LEDGER_OK)
		return LEDGER_OK;
	close_statements(run);
	sqlite_rollback(run->db);
	return status;
}

static enum ledger_status open_live(struct ledger_projection_run *run, struct ledger_error *err)
{
	TRY(open_file(run, run->projection->database, false, 0, &run->live, err));
	run->db = run->live;
	enum ledger_status status =
		projection_read_place(run->live, run->projection, &run->place, err);
	if (status == LEDGER_NO)
		return create(run, err);
	TRY(status);
	TRY(check_place(run->options.ledger, run->projection, &run->place, err));
	return compile(run, err);
}

/* What a rebuild that was cut off left behind. */
static void remove_rebuild(struct ledger_projection_run *run)
{
	static const char *const suffixes[] = { "", "-journal", "-wal", "-shm" };
	for (size_t i = 0; run->rebuild.len && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		CLEANUP_BUF struct buf path = { 0 };
		buf_addf(&path, "%s%s", buf_text(&run->rebuild), suffixes[i]);
		unlink(buf_text(&path));
	}
}

/* What cannot be read of the old one does not matter, as long as it was this projection. */
static enum ledger_status check_old(struct ledger_projection_run *run, struct ledger_error *err)
{
	struct projection_place old;
	enum ledger_status status = projection_read_place(run->live, run->projection, &old, err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

static enum ledger_status open_rebuild(struct ledger_projection_run *run, struct ledger_error *err)
{
	uint32_t page_size;
	TRY(open_file(run, run->projection->database, false, 0, &run->live, err));
	TRY(check_old(run, err));
	TRY(sqlite_page_size(run->live, &page_size, err));
	buf_addf(&run->rebuild, "%s-rebuild", run->projection->database);
	TRY(buf_check(&run->rebuild, err));
	remove_rebuild(run);
	TRY(open_file(run, buf_text(&run->rebuild), true, page_size, &run->db, err));
	return create(run, err);
}

static enum ledger_status open_run(
	struct ledger_projection_run *run, bool rebuild, struct ledger_error *err)
{
	CLEANUP_BUF struct buf what = { 0 };
	buf_addf(&what, "projection %s", run->projection->name);
	TRY(lock_take(run->options.ledger, buf_text(&what), &run->lock, err));
	TRY(find_types(run, err));
	return rebuild ? open_rebuild(run, err) : open_live(run, err);
}

static enum ledger_status open_any(struct ledger_projection_run **out,
	const struct ledger_replay_options *options, const struct ledger_projection *projection,
	bool rebuild, enum ledger_order order, struct ledger_error *err)
{
	struct ledger_projection_run *run = calloc(1, sizeof(*run));
	if (!run)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	run->options = *options;
	run->projection = projection;
	run->lock = -1;
	run->left = options->limit ? options->limit : UINT64_MAX;
	run->place.order = order;
	enum ledger_status status = open_run(run, rebuild, err);
	if (status != LEDGER_OK)
		ledger_projection_close(run);
	else
		*out = run;
	return status;
}

enum ledger_status ledger_projection_open(struct ledger_projection_run **out,
	const struct ledger_replay_options *options, const struct ledger_projection *projection,
	struct ledger_error *err)
{
	return open_any(out, options, projection, false, LEDGER_ORDER_ARRIVAL, err);
}

enum ledger_status ledger_projection_rebuild(struct ledger_projection_run **out,
	const struct ledger_replay_options *options, const struct ledger_projection *projection,
	enum ledger_order order, struct ledger_error *err)
{
	return open_any(out, options, projection, true, order, err);
}

void ledger_projection_close(struct ledger_projection_run *run)
{
	if (!run)
		return;
	close_statements(run);
	if (run->db != run->live)
		sqlite_close(run->db);
	sqlite_close(run->live);
	remove_rebuild(run);
	buf_done(&run->rebuild);
	free(run->statements);
	free(run->types);
	file_close(&run->lock);
	free(run);
}

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
	if (sqlite_apply(run->statements[apply - run->projection->apply], event, err) != LEDGER_OK)
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
	return suggest_rebuild(run->projection, err);
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
	close_statements(run);
	TRY(sqlite_copy_over(run->db, run->live, NULL, NULL, err));
	sqlite_close(run->db);
	run->db = run->live;
	remove_rebuild(run);
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

/* --- Looking --------------------------------------------------------------------------------- */

enum ledger_status ledger_projection_look(struct ledger *l,
	const struct ledger_projection *projection, struct ledger_projection_state *out,
	struct ledger_error *err)
{
	CLEANUP_SQLITE struct sqlite *db = NULL;
	struct projection_place place;
	if (access(projection->database, F_OK) != 0)
		return fail(err, LEDGER_NO, "projection %s was never built", projection->name);
	struct sqlite_options options = {
		.path = projection->database,
		.ledger = ledger_path(l),
		/* Whoever only reads cannot make the shared memory of a WAL that was closed well. */
		.read_only = access(projection->database, W_OK) != 0,
		.timeout = l->options.timeout,
	};
	TRY(sqlite_open_file(&db, &options, err));
	TRY(projection_read_place(db, projection, &place, err));
	*out = (struct ledger_projection_state){ .position = place.position,
		.updated = place.updated,
		.order = place.order,
		.stopped = place.stopped };
	snprintf(out->reason, sizeof(out->reason), "%s", place.reason);
	return check_place(l, projection, &place, err);
}
