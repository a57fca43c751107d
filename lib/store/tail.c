/* The ends of chains while a batch is written: read once, then kept up with what is inserted. */
#include "handle.h"

#include "../base/banned.h"

static enum ledger_status damaged_index(struct ledger *l, struct ledger_error *err)
{
	fail(err, LEDGER_DAMAGED, "an index of %s does not fit its events", store_path(l->store));
	return hint(err, "ledgerbox verify --deep lists what is wrong");
}

static enum ledger_status read_place(struct ledger *l, uint64_t position, uint64_t *chain,
	uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_CHAIN_PLACE, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(l->store, st, &row, err));
	return row && column_u64(st, 0, chain) && column_u64(st, 1, sequence)
		       ? LEDGER_OK
		       : damaged_index(l, err);
}

/*
 * Is the row at a position that place in the chain? An index says so; a damaged one must not be built on.
 * One that lost the newest entry leads to the one before: the ledger's last row, if of this chain, is it.
 */
static enum ledger_status check_place(struct ledger *l, const struct chain_tail *tail,
	uint64_t position, struct ledger_error *err)
{
	uint64_t chain, sequence;
	TRY(read_place(l, position, &chain, &sequence, err));
	if (chain != tail->chain || sequence != tail->sequence)
		return damaged_index(l, err);
	if (position == l->batch.seal.position)
		return LEDGER_OK;
	TRY(read_place(l, l->batch.seal.position, &chain, &sequence, err));
	return chain == tail->chain ? damaged_index(l, err) : LEDGER_OK;
}

static void name_tail(
	struct chain_tail *tail, struct slice origin, uint64_t epoch, struct slice domain)
{
	*tail = (struct chain_tail){ .epoch = epoch };
	memcpy(tail->origin, origin.ptr, origin.len); /* tokens: at most 64 */
	memcpy(tail->domain_name, domain.ptr, domain.len);
	chain_genesis(origin, epoch, domain, tail->hash);
}

static bool is_tail(
	const struct chain_tail *tail, struct slice origin, uint64_t epoch, struct slice domain)
{
	return tail->epoch == epoch && slice_is(origin, tail->origin) &&
	       slice_is(domain, tail->domain_name);
}

/* Row ids; 0 where there are none yet. */
static enum ledger_status find_rows(
	struct ledger *l, struct chain_tail *tail, struct ledger_error *err)
{
	struct slice origin = slice_of(tail->origin), domain = slice_of(tail->domain_name);
	enum ledger_status status = names_domain_id(l, domain, false, &tail->domain, err);
	if (!status)
		status = names_chain_id(
			l, origin, tail->epoch, tail->domain, false, &tail->chain, err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

static enum ledger_status read_head(
	struct ledger *l, struct chain_tail *tail, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t position;
	bool row;
	TRY(store_get(l->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, tail->chain);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row) /* a chain's row comes with its first event, in one transaction */
		return damaged_index(l, err);
	struct slice hash = column_blob(st, 1);
	if (!column_u64(st, 0, &tail->sequence) || hash.len != EVENT_HASH_SIZE ||
		!column_u64(st, 2, &position) || !column_u64(st, 3, &tail->clock))
		return fail(err, LEDGER_DAMAGED, "the head of chain %s/%" PRIu64 "/%s is malformed",
			tail->origin, tail->epoch, tail->domain_name);
	memcpy(tail->hash, hash.ptr, EVENT_HASH_SIZE);
	return check_place(l, tail, position, err);
}

static enum ledger_status load_tail(struct ledger *l, struct slice origin, uint64_t epoch,
	struct slice domain, struct chain_tail *tail, struct ledger_error *err)
{
	name_tail(tail, origin, epoch, domain);
	TRY(find_rows(l, tail, err));
	if (tail->chain)
		TRY(read_head(l, tail, err));
	return LEDGER_OK;
}

enum ledger_status tail_find(struct ledger *l, struct slice origin, uint64_t epoch,
	struct slice domain, struct chain_tail **out, struct ledger_error *err)
{
	struct batch *b = &l->batch;
	for (size_t i = 0; i < b->n_tails; i++) {
		if (is_tail(&b->tails[i], origin, epoch, domain)) {
			*out = &b->tails[i];
			return LEDGER_OK;
		}
	}
	if (b->n_tails == BATCH_TAILS_MAX)
		b->n_tails = 0; /* all are in the ledger too */
	TRY(load_tail(l, origin, epoch, domain, &b->tails[b->n_tails], err));
	*out = &b->tails[b->n_tails++];
	return LEDGER_OK;
}

enum ledger_status tail_make(struct ledger *l, struct chain_tail *tail, struct ledger_error *err)
{
	if (tail->chain)
		return LEDGER_OK;
	TRY(names_domain_id(l, slice_of(tail->domain_name), true, &tail->domain, err));
	return names_chain_id(
		l, slice_of(tail->origin), tail->epoch, tail->domain, true, &tail->chain, err);
}
