/* How far clusters and other nodes are: cursors of publishing and receiving, and heads that peers named. */
#include "accept.h"

#include "../base/banned.h"

static enum ledger_status malformed(struct ledger *l, const char *table, struct ledger_error *err)
{
	return fail(err, LEDGER_DAMAGED, "table %s of %s has a malformed row", table,
		store_path(l->store));
}

static enum ledger_status check_token(struct slice name, const char *what, struct ledger_error *err)
{
	if (slice_is_token(name))
		return LEDGER_OK;
	return fail(err, LEDGER_INVALID, "%s '%.*s' is not a token", what,
		(int)(name.len < 80 ? name.len : 80), name.ptr ? name.ptr : "");
}

/* Commits what a step has written, or rolls it back. */
static enum ledger_status finish(
	struct ledger *l, enum ledger_status status, struct ledger_error *err)
{
	if (!status)
		return ledger_commit(l, err);
	ledger_rollback(l);
	return status;
}

/* --- Published ------------------------------------------------------------------------------------- */

enum ledger_status ledger_published(
	struct ledger *l, ledger_published_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_PUBLISHED, &st, err));
	for (;;) {
		struct ledger_published p;
		uint64_t chain;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		p.cluster = column_text(st, 0);
		if (!p.cluster.ptr || !column_u64(st, 1, &chain) ||
			!column_u64(st, 2, &p.sequence) || !column_u64(st, 3, &p.updated))
			return malformed(l, "published", err);
		const struct chain_row *name = names_chain(l, chain);
		if (!name || !name->domain_name.ptr)
			return malformed(l, "published", err);
		p.chain =
			(struct ledger_chain_name){ name->origin, name->epoch, name->domain_name };
		TRY(fn(&p, context, err));
	}
}

enum ledger_status ledger_published_get(struct ledger *l, struct slice cluster,
	const struct ledger_chain_name *chain, uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t id, found = 0;
	bool row;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(range_chain(l, chain, &id, err));
	TRY(store_get(l->store, SQL_PUBLISHED_GET, &st, err));
	bind_text(st, 1, cluster);
	bind_u64(st, 2, id);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, &found))
		return malformed(l, "published", err);
	*sequence = found;
	return LEDGER_OK;
}

static enum ledger_status set_published(
	struct ledger *l, const struct ledger_published *p, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t chain;
	TRY(check_token(p->cluster, "cluster", err));
	TRY(range_chain(l, &p->chain, &chain, err));
	if (!chain)
		return fail(err, LEDGER_INVALID, "there is no chain %.*s/%" PRIu64 "/%.*s",
			SLICE_ARG(p->chain.origin), p->chain.epoch, SLICE_ARG(p->chain.domain));
	TRY(store_get(l->store, SQL_PUBLISHED_SET, &st, err));
	bind_text(st, 1, p->cluster);
	bind_u64(st, 2, chain);
	bind_u64(st, 3, p->sequence);
	bind_u64(st, 4, time_now());
	return stmt_run(l->store, st, err);
}

enum ledger_status ledger_published_set(struct ledger *l, const struct ledger_published *published,
	size_t n, struct ledger_error *err)
{
	enum ledger_status status = LEDGER_OK;
	TRY(batch_begin_any_time(l, err));
	for (size_t i = 0; !status && i < n; i++)
		status = set_published(l, &published[i], err);
	return finish(l, status, err);
}

/* --- Received -------------------------------------------------------------------------------------- */

enum ledger_status peer_set_place(
	struct ledger *l, const struct ledger_stream_place *place, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(check_token(place->cluster, "cluster", err));
	TRY(check_token(place->domain, "domain", err));
	TRY(store_get(l->store, SQL_RECEIVED_SET, &st, err));
	bind_text(st, 1, place->cluster);
	bind_text(st, 2, place->domain);
	bind_u64(st, 3, place->created);
	bind_u64(st, 4, place->sequence);
	bind_u64(st, 5, time_now());
	return stmt_run(l->store, st, err);
}

static enum ledger_status read_place(struct ledger *l, struct stmt *st,
	struct ledger_stream_place *place, uint64_t *updated, struct ledger_error *err)
{
	place->cluster = column_text(st, 0);
	place->domain = column_text(st, 1);
	if (!place->cluster.ptr || !place->domain.ptr || !column_u64(st, 2, &place->created) ||
		!column_u64(st, 3, &place->sequence) || !column_u64(st, 4, updated))
		return malformed(l, "received", err);
	return LEDGER_OK;
}

enum ledger_status ledger_received_at(struct ledger *l, struct slice cluster, struct slice domain,
	uint64_t *created, uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger_stream_place place;
	uint64_t updated;
	bool row;
	TRY(store_get(l->store, SQL_RECEIVED_GET, &st, err));
	bind_text(st, 1, cluster);
	bind_text(st, 2, domain);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "nothing of %.*s was received from %.*s",
			SLICE_ARG(domain), SLICE_ARG(cluster));
	TRY(read_place(l, st, &place, &updated, err));
	*created = place.created;
	*sequence = place.sequence;
	return LEDGER_OK;
}

/* --- Peers ------------------------------------------------------------------------------------------ */

/* Each run of a daemon counts for itself: after a restart its clock may be behind. What an earlier run
 * has said is not believed again. */
static enum ledger_status check_newer(
	struct ledger *l, const struct ledger_statement *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t counter = 0;
	bool row;
	TRY(store_get(l->store, SQL_PEER_RUN, &st, err));
	bind_text(st, 1, s->node);
	bind_u64(st, 2, s->boot);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, &counter))
		return malformed(l, "peer_run", err);
	if (row && s->counter <= counter)
		return fail(err, LEDGER_NO,
			"a statement of %.*s that is older than the last one of its daemon: "
			"%" PRIu64 " after %" PRIu64,
			SLICE_ARG(s->node), s->counter, counter);
	return LEDGER_OK;
}

static enum ledger_status keep_run(
	struct ledger *l, const struct ledger_statement *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL, *forget = NULL;
	TRY(store_get(l->store, SQL_PEER_RUN_SET, &st, err));
	bind_text(st, 1, s->node);
	bind_u64(st, 2, s->boot);
	bind_u64(st, 3, s->counter);
	TRY(stmt_run(l->store, st, err));
	TRY(store_get(l->store, SQL_PEER_RUN_FORGET, &forget, err));
	bind_text(forget, 1, s->node);
	return stmt_run(l->store, forget, err);
}

static enum ledger_status keep_peer(
	struct ledger *l, const struct ledger_statement *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(keep_run(l, s, err));
	TRY(store_get(l->store, SQL_PEER_SET, &st, err));
	bind_text(st, 1, s->node);
	bind_u64(st, 2, s->epoch);
	bind_u64(st, 3, s->counter);
	bind_u64(st, 4, s->time);
	return stmt_run(l->store, st, err);
}

static enum ledger_status keep_head(struct ledger *l, const struct ledger_statement *s,
	const struct ledger_head *head, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(check_token(head->origin, "origin", err));
	TRY(check_token(head->domain, "domain", err));
	TRY(store_get(l->store, SQL_PEER_HEAD_SET, &st, err));
	bind_text(st, 1, s->node);
	bind_text(st, 2, head->origin);
	bind_u64(st, 3, head->epoch);
	bind_text(st, 4, head->domain);
	bind_u64(st, 5, head->sequence);
	bind_blob(st, 6, head->hash, EVENT_HASH_SIZE);
	bind_u64(st, 7, s->epoch);
	bind_u64(st, 8, s->counter);
	bind_u64(st, 9, s->time);
	return stmt_run(l->store, st, err);
}

static enum ledger_status keep_statement(
	struct ledger *l, const struct ledger_statement *s, struct ledger_error *err)
{
	TRY(check_token(s->node, "node", err));
	TRY(check_newer(l, s, err));
	TRY(keep_peer(l, s, err));
	for (size_t i = 0; i < s->n; i++)
		TRY(keep_head(l, s, &s->heads[i], err));
	return LEDGER_OK;
}

enum ledger_status ledger_keep_statement(
	struct ledger *l, const struct ledger_statement *statement, struct ledger_error *err)
{
	TRY(batch_begin_any_time(l, err));
	return finish(l, keep_statement(l, statement, err), err);
}

static enum ledger_status read_peer_head(
	struct ledger *l, struct stmt *st, struct ledger_peer_head *p, struct ledger_error *err)
{
	struct slice hash = column_blob(st, 5);
	p->node = column_text(st, 0);
	p->head.origin = column_text(st, 1);
	p->head.domain = column_text(st, 3);
	if (!p->node.ptr || !p->head.origin.ptr || !column_u64(st, 2, &p->head.epoch) ||
		!p->head.domain.ptr || !column_u64(st, 4, &p->head.sequence) ||
		hash.len != EVENT_HASH_SIZE || !column_u64(st, 6, &p->epoch) ||
		!column_u64(st, 7, &p->counter) || !column_u64(st, 8, &p->time))
		return malformed(l, "peer_head", err);
	memcpy(p->head.hash, hash.ptr, EVENT_HASH_SIZE);
	return ledger_has(l, &p->head, &p->presence, err);
}

enum ledger_status ledger_peer_heads(
	struct ledger *l, ledger_peer_head_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_PEER_HEADS, &st, err));
	for (;;) {
		struct ledger_peer_head p;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_peer_head(l, st, &p, err));
		TRY(fn(&p, context, err));
	}
}

enum ledger_status ledger_peers(
	struct ledger *l, ledger_peer_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_PEERS, &st, err));
	for (;;) {
		struct ledger_peer peer;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		peer.node = column_text(st, 0);
		if (!peer.node.ptr || !column_u64(st, 1, &peer.epoch) ||
			!column_u64(st, 2, &peer.time))
			return malformed(l, "peer", err);
		TRY(fn(&peer, context, err));
	}
}

static enum ledger_status read_gap(
	struct ledger *l, struct stmt *st, struct ledger_gap *gap, struct ledger_error *err)
{
	gap->chain.origin = column_text(st, 0);
	gap->chain.domain = column_text(st, 2);
	if (!gap->chain.origin.ptr || !column_u64(st, 1, &gap->chain.epoch) ||
		!gap->chain.domain.ptr || !column_u64(st, 3, &gap->named) ||
		!column_u64(st, 4, &gap->peers))
		return malformed(l, "peer_head", err);
	return ledger_chain_end(l, &gap->chain, &gap->have, err);
}

enum ledger_status ledger_gaps(
	struct ledger *l, ledger_gap_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_PEER_GAPS, &st, err));
	for (;;) {
		struct ledger_gap gap;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_gap(l, st, &gap, err));
		if (gap.named > gap.have)
			TRY(fn(&gap, context, err));
	}
}
