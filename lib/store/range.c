/* Reading by chain: what peers ask for and what is published, and whether an event somebody names is here. */
#include "accept.h"

#include "../base/banned.h"

enum ledger_status range_chain(struct ledger *l, const struct ledger_chain_name *name,
	uint64_t *chain, struct ledger_error *err)
{
	uint64_t domain, found = 0;
	enum ledger_status status = names_domain_id(l, name->domain, false, &domain, err);
	if (!status)
		status = names_chain_id(l, name->origin, name->epoch, domain, false, &found, err);
	if (status && status != LEDGER_NO)
		return status;
	*chain = status ? 0 : found;
	return LEDGER_OK;
}

enum ledger_status range_hash(struct ledger *l, uint64_t chain, uint64_t sequence, bool *there,
	uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_CHAIN_HASH, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, sequence);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice bytes = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (row && bytes.len != EVENT_HASH_SIZE)
		return fail(err, LEDGER_DAMAGED, "an event of %s has a malformed hash",
			store_path(l->store));
	if (row)
		memcpy(hash, bytes.ptr, EVENT_HASH_SIZE);
	*there = row;
	return LEDGER_OK;
}

enum ledger_status ledger_chain_end(struct ledger *l, const struct ledger_chain_name *name,
	uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t chain, last = 0;
	bool row;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(range_chain(l, name, &chain, err));
	TRY(store_get(l->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, chain);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, &last))
		return fail(err, LEDGER_DAMAGED, "an event of %s has a malformed sequence",
			store_path(l->store));
	*sequence = last;
	return LEDGER_OK;
}

static enum ledger_status look_beside(struct ledger *l, uint64_t chain,
	const struct ledger_head *head, bool taken, enum ledger_presence *presence,
	struct ledger_error *err)
{
	bool in_branch;
	TRY(branch_has(l, chain, head->sequence, head->hash, &in_branch, err));
	*presence = in_branch ? LEDGER_IN_BRANCH : taken ? LEDGER_OTHER : LEDGER_ABSENT;
	return LEDGER_OK;
}

enum ledger_status ledger_has(struct ledger *l, const struct ledger_head *head,
	enum ledger_presence *presence, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct ledger_chain_name name = { head->origin, head->epoch, head->domain };
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t chain;
	bool there = false;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(range_chain(l, &name, &chain, err));
	if (chain)
		TRY(range_hash(l, chain, head->sequence, &there, hash, err));
	if (there && memcmp(hash, head->hash, EVENT_HASH_SIZE) == 0) {
		*presence = LEDGER_PRESENT;
		return LEDGER_OK;
	}
	return look_beside(l, chain, head, there, presence, err);
}

/* --- Ranges -------------------------------------------------------------------------------------- */

struct range {
	struct ledger *ledger;
	uint64_t left; /* bytes of lines that may still go out */
	ledger_event_fn *fn;
	void *context;
};

/* No line is longer than this: what is fixed in it, and twice the text that may need escapes. */
static uint64_t line_bound(const struct event *e)
{
	return 1024 + e->origin.len + e->domain.len + e->type.len + 2 * e->stream.len +
	       4 * e->tags.len + e->payload.len + e->metadata.len;
}

/* *more: there may be room for another. */
static enum ledger_status hand_out(
	struct range *r, const struct event *event, bool *more, struct ledger_error *err)
{
	uint64_t size = line_bound(event);
	TRY(r->fn(event, r->context, err));
	*more = r->left > size;
	r->left -= *more ? size : r->left;
	return LEDGER_OK;
}

static enum ledger_status read_rows(
	struct range *r, struct stmt *st, bool branches, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	for (bool more = true; more; arena_reset(&arena)) {
		struct event event;
		bool row;
		TRY(stmt_row(r->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		if (branches)
			TRY(branch_read(r->ledger, st, &arena, &event, err));
		else
			TRY(row_read(r->ledger, st, &event, err));
		TRY(hand_out(r, &event, &more, err));
	}
	return LEDGER_OK;
}

static enum ledger_status read_range(struct range *r, enum sql which,
	const struct ledger_chain_name *name, uint64_t from, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	struct ledger *l = r->ledger;
	uint64_t chain;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(range_chain(l, name, &chain, err));
	if (!chain)
		return LEDGER_OK;
	TRY(store_prepare(l->store, which, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, from);
	return read_rows(r, st, which == SQL_BRANCH_RANGE, err);
}

enum ledger_status ledger_read_chain(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t from, uint64_t max_bytes, ledger_event_fn *fn, void *context,
	struct ledger_error *err)
{
	struct range r = { l, max_bytes, fn, context };
	return read_range(&r, SQL_CHAIN_RANGE, chain, from, err);
}

enum ledger_status ledger_read_branches(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t from, uint64_t max_bytes, ledger_event_fn *fn, void *context,
	struct ledger_error *err)
{
	struct range r = { l, max_bytes, fn, context };
	return read_range(&r, SQL_BRANCH_RANGE, chain, from, err);
}

/* --- Heads --------------------------------------------------------------------------------------- */

struct wanted {
	const struct slice *domains;
	size_t n;
	ledger_chain_fn *fn;
	void *context;
};

static enum ledger_status pick_head(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	const struct wanted *w = context;
	for (size_t i = 0; i < w->n; i++)
		if (slice_eq(chain->domain, w->domains[i]))
			return w->fn(chain, w->context, err);
	return w->n ? LEDGER_OK : w->fn(chain, w->context, err);
}

enum ledger_status ledger_heads(struct ledger *l, const struct slice *domains, size_t n,
	ledger_chain_fn *fn, void *context, struct ledger_error *err)
{
	struct wanted w = { domains, n, fn, context };
	return ledger_chains(l, pick_head, &w, err);
}
