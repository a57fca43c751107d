/*
 * Branches: what was verified but has no place in its chain, because another event has it. Each event
 * is kept as the line that came. `root` is the hash of the first event of its branch that is here; when
 * what is before it comes later, that becomes another root, and the two are joined when read.
 */
#include "accept.h"

#include "../event/line.h"
#include "owner.h"

#include "../base/banned.h"

enum ledger_status branch_has(struct ledger *l, uint64_t chain, uint64_t sequence,
	const uint8_t hash[EVENT_HASH_SIZE], bool *has, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_BRANCH_ROOT, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, sequence);
	bind_blob(st, 3, hash, EVENT_HASH_SIZE);
	return stmt_row(l->store, st, has, err);
}

/* The root of the branch that an event continues, or its own hash. */
static enum ledger_status find_root(struct ledger *l, uint64_t chain, const struct event *e,
	uint8_t root[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	memcpy(root, e->hash, EVENT_HASH_SIZE);
	TRY(store_get(l->store, SQL_BRANCH_ROOT, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, e->sequence - 1);
	bind_blob(st, 3, e->prev, EVENT_HASH_SIZE);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice found = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (found.len == EVENT_HASH_SIZE)
		memcpy(root, found.ptr, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

enum ledger_status branch_keep(struct ledger *l, uint64_t chain, const struct event *event,
	struct slice line, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint8_t root[EVENT_HASH_SIZE];
	TRY(find_root(l, chain, event, root, err));
	TRY(store_get(l->store, SQL_BRANCH_INSERT, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, event->sequence);
	bind_blob(st, 3, event->hash, EVENT_HASH_SIZE);
	bind_blob(st, 4, event->prev, EVENT_HASH_SIZE);
	bind_blob(st, 5, root, EVENT_HASH_SIZE);
	bind_u64(st, 6, time_now());
	bind_text(st, 7, line);
	TRY(stmt_run(l->store, st, err));
	return owner_take(l, event, err); /* it was said, wherever it stands */
}

enum ledger_status branch_state(
	struct ledger *l, uint64_t chain, bool *branched, bool *forked, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t any = 0, open = 0;
	bool row; /* there is one, of two truth values */
	TRY(store_get(l->store, SQL_BRANCH_STATE, &st, err));
	bind_u64(st, 1, chain);
	TRY(stmt_row(l->store, st, &row, err));
	column_u64(st, 0, &any);
	column_u64(st, 1, &open);
	*branched = any;
	*forked = open;
	return LEDGER_OK;
}

enum ledger_status branch_read(struct ledger *l, struct stmt *st, struct arena *arena,
	struct event *event, struct ledger_error *err)
{
	uint64_t sequence = 0;
	struct slice hash = column_blob(st, 1), line = column_text(st, 2);
	if (!column_u64(st, 0, &sequence) || hash.len != EVENT_HASH_SIZE || !line.ptr ||
		event_read_line(line, arena, event, err) || event->sequence != sequence ||
		memcmp(hash.ptr, event->hash, EVENT_HASH_SIZE) != 0) {
		fail(err, LEDGER_DAMAGED, "%s has a malformed event in a branch, sequence %" PRIu64,
			store_path(l->store), sequence);
		return hint(err, "ledgerbox verify lists what is wrong");
	}
	return LEDGER_OK;
}

/* --- Forks for people ---------------------------------------------------------------------------- */

static bool read_hash(struct stmt *st, int at, uint8_t out[EVENT_HASH_SIZE])
{
	struct slice bytes = column_blob(st, at);
	if (bytes.len != EVENT_HASH_SIZE)
		return false;
	memcpy(out, bytes.ptr, EVENT_HASH_SIZE);
	return true;
}

static enum ledger_status malformed(struct ledger *l, struct ledger_error *err)
{
	fail(err, LEDGER_DAMAGED, "table branch of %s has a malformed row", store_path(l->store));
	return hint(err, "ledgerbox verify lists what is wrong");
}

/* How long the branch is, all that was joined to it with it. */
static enum ledger_status measure(
	struct ledger *l, struct ledger_fork *fork, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_FORK_SIZE, &st, err));
	bind_blob(st, 1, fork->there, EVENT_HASH_SIZE);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row || !column_u64(st, 0, &fork->events) || !column_u64(st, 1, &fork->last) ||
		!read_hash(st, 2, fork->last_hash))
		return malformed(l, err);
	return LEDGER_OK;
}

static enum ledger_status read_fork(
	struct ledger *l, struct stmt *st, struct ledger_fork *fork, struct ledger_error *err)
{
	uint64_t chain, joined;
	*fork = (struct ledger_fork){ .whole = false };
	if (!column_u64(st, 0, &chain) || !column_u64(st, 1, &fork->sequence) ||
		!read_hash(st, 2, fork->there) || !read_hash(st, 3, fork->here) ||
		!column_u64(st, 4, &fork->found) || !column_u64(st, 5, &joined) ||
		!column_u64(st, 6, &fork->settled))
		return malformed(l, err);
	const struct chain_row *name = names_chain(l, chain);
	if (!name || !name->domain_name.ptr)
		return malformed(l, err);
	fork->chain = (struct ledger_chain_name){ name->origin, name->epoch, name->domain_name };
	fork->whole = joined;
	return measure(l, fork, err);
}

enum ledger_status ledger_forks(
	struct ledger *l, ledger_fork_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_FORKS, &st, err));
	for (;;) {
		struct ledger_fork fork;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_fork(l, st, &fork, err));
		TRY(fn(&fork, context, err));
	}
}

enum ledger_status ledger_fork_events(struct ledger *l, const uint8_t there[EVENT_HASH_SIZE],
	ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	CLEANUP_ARENA struct arena arena = { NULL };
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_FORK_EVENTS, &st, err));
	bind_blob(st, 1, there, EVENT_HASH_SIZE);
	for (bool any = false;; any = true) {
		struct event event;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return any ? LEDGER_OK : fail(err, LEDGER_NO, "there is no such branch");
		arena_reset(&arena);
		TRY(branch_read(l, st, &arena, &event, err));
		TRY(fn(&event, context, err));
	}
}
