/* Opening a projection: is its file still what the config and the ledger say? And what it looks like. */
#include "projection-run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../store/handle.h"
#include "lock.h"

#include "../base/banned.h"

/* --- Which events ---------------------------------------------------------------------------- */

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

enum ledger_status projection_suggest_rebuild(
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
		return projection_suggest_rebuild(p, err);
	}
	if (cursor_hash_at(l, place->position, hash, err) != LEDGER_OK && err->status != LEDGER_NO)
		return err->status;
	if (memcmp(hash, place->hash, sizeof(hash)) != 0) {
		fail(err, LEDGER_REFUSED,
			"projection %s stands at position %" PRIu64 " of another history", p->name,
			place->position);
		return projection_suggest_rebuild(p, err);
	}
	if (place->stale) {
		fail(err, LEDGER_REFUSED, "projection %s is stale: %s", p->name, place->reason);
		return projection_suggest_rebuild(p, err);
	}
	return LEDGER_OK;
}

void projection_close_statements(struct ledger_projection_run *run)
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
	projection_close_statements(run);
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
void projection_remove_rebuild(struct ledger_projection_run *run)
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
	projection_remove_rebuild(run);
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
	if (run->projection->rules && run->projection->rules->n_upcasts)
		TRY(ledger_fold_open(&run->fold, run->options.ledger, run->projection->rules, err));
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
	projection_close_statements(run);
	if (run->db != run->live)
		sqlite_close(run->db);
	sqlite_close(run->live);
	projection_remove_rebuild(run);
	buf_done(&run->rebuild);
	ledger_fold_close(run->fold);
	free(run->statements);
	free(run->types);
	file_close(&run->lock);
	free(run);
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
