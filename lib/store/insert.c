/*
 * One event into the tables, at the place it has: its row, its terms, the version of its stream, the
 * mark and the seal in memory. The same for what is recorded here and for what comes from elsewhere.
 */
#include "owner.h"

#include "../base/banned.h"

enum ledger_status insert_version(struct ledger *l, struct slice stream, uint64_t domain,
	uint64_t *version, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*version = 0;
	if (!stream.ptr)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_STREAM_VERSION, &st, err));
	bind_text(st, 1, stream);
	bind_u64(st, 2, domain);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, version))
		return fail(err, LEDGER_DAMAGED, "table stream of %s has a malformed version",
			store_path(l->store));
	return LEDGER_OK;
}

/* The row id of the key; remembered while events of one signer follow each other. */
static enum ledger_status find_key_row(struct ledger *l, struct slice key, struct ledger_error *err)
{
	struct batch *b = &l->batch;
	if (b->key && slice_is(key, b->key_id))
		return LEDGER_OK;
	TRY(names_key_id(l, key, &b->key, err));
	memset(b->key_id, 0, sizeof(b->key_id));
	memcpy(b->key_id, key.ptr, EVENT_KEY_ID_SIZE);
	return LEDGER_OK;
}

static enum ledger_status insert_event(struct ledger *l, const struct event *e,
	const struct chain_tail *tail, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(find_key_row(l, e->key, err));
	TRY(store_get(l->store, SQL_EVENT_INSERT, &st, err));
	bind_u64(st, 1, e->position);
	bind_u64(st, 2, tail->chain);
	bind_u64(st, 3, e->sequence);
	bind_u64(st, 4, tail->domain);
	bind_blob(st, 5, e->id, sizeof(e->id));
	bind_text(st, 6, e->stream);
	bind_u64(st, 7, e->version);
	bind_text(st, 8, e->type);
	bind_u64(st, 9, e->schema);
	bind_u64(st, 10, e->clock);
	bind_u64(st, 11, e->time);
	bind_text(st, 12, e->tags);
	bind_u64(st, 13, l->batch.key);
	bind_blob(st, 14, e->salt, sizeof(e->salt));
	bind_blob(st, 15, e->prev, EVENT_HASH_SIZE);
	bind_blob(st, 16, e->hash, EVENT_HASH_SIZE);
	bind_blob(st, 17, e->mac, EVENT_HASH_SIZE);
	bind_text(st, 18, e->metadata);
	bind_text(st, 19, e->payload);
	TRY(stmt_run(l->store, st, err));
	/* A trigger that somebody added may have swallowed it. */
	if (store_changes(l->store) != 1)
		return fail(err, LEDGER_DAMAGED, "%s does not take events: its schema was changed",
			store_path(l->store));
	return LEDGER_OK;
}

static enum ledger_status insert_term(
	struct ledger *l, struct slice term, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_TERM_INSERT, &st, err));
	bind_text(st, 1, term);
	bind_u64(st, 2, position);
	return stmt_run(l->store, st, err);
}

static enum ledger_status insert_terms(
	struct ledger *l, const struct event *e, struct ledger_error *err)
{
	struct slice rest = e->tags, tag;
	if (e->stream.ptr)
		TRY(insert_term(l, e->stream, e->position, err));
	while (event_next_tag(&rest, &tag))
		TRY(insert_term(l, tag, e->position, err));
	CLEANUP_BUF struct buf value = { 0 }, word = { 0 };
	if (!e->metadata.ptr || !event_correlation(e, &value))
		return LEDGER_OK;
	buf_add_text(&word, "@correlation:");
	buf_add_slice(&word, buf_slice(&value));
	TRY(buf_check(&word, err));
	return insert_term(l, buf_slice(&word), e->position, err);
}

/* `before`: the highest version so far, 0 for a stream that is new. */
static enum ledger_status set_version(struct ledger *l, const struct event *e, uint64_t domain,
	uint64_t before, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	if (!e->stream.ptr || e->version <= before)
		return LEDGER_OK;
	TRY(store_get(l->store, before ? SQL_STREAM_UPDATE : SQL_STREAM_INSERT, &st, err));
	bind_text(st, 1, e->stream);
	bind_u64(st, 2, domain);
	bind_u64(st, 3, e->version);
	return stmt_run(l->store, st, err);
}

static enum ledger_status insert_mark(
	struct ledger *l, const struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	if (seal->position % FORMAT_MARK_EVERY)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_MARK_INSERT, &st, err));
	bind_u64(st, 1, seal->position);
	bind_blob(st, 2, seal->link, EVENT_HASH_SIZE);
	return stmt_run(l->store, st, err);
}

enum ledger_status insert_record(struct ledger *l, const struct event *e, struct chain_tail *tail,
	uint64_t version_before, struct ledger_error *err)
{
	struct seal *seal = &l->batch.seal;
	TRY(tail_make(l, tail, err));
	TRY(insert_event(l, e, tail, err));
	TRY(insert_terms(l, e, err));
	TRY(set_version(l, e, tail->domain, version_before, err));
	tail->sequence = e->sequence;
	tail->clock = e->clock;
	memcpy(tail->hash, e->hash, EVENT_HASH_SIZE);
	chain_link(seal->link, e->hash);
	seal->position = e->position;
	if (e->clock > seal->clock)
		seal->clock = e->clock;
	memcpy(l->batch.last_hash, e->hash, EVENT_HASH_SIZE);
	TRY(insert_mark(l, seal, err));
	return owner_take(l, e, err);
}
