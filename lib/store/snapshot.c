#include "snapshot.h"

#include "../base/banned.h"

static bool read_bytes(struct stmt *st, int at, uint8_t out[EVENT_HASH_SIZE])
{
	struct slice bytes = column_blob(st, at);
	if (bytes.len != EVENT_HASH_SIZE)
		return false;
	memcpy(out, bytes.ptr, EVENT_HASH_SIZE);
	return true;
}

static bool read_columns(struct stmt *st, struct snapshot *s)
{
	return column_u64(st, 3, &s->position) && column_u64(st, 4, &s->last) &&
	       column_u64(st, 5, &s->events) && column_u64(st, 6, &s->version) &&
	       column_u64(st, 7, &s->max_time) && read_bytes(st, 8, s->hash) &&
	       read_bytes(st, 9, s->reducer) && column_u64(st, 10, &s->schema) &&
	       column_u64(st, 11, &s->epoch) && column_u64(st, 12, &s->taken) &&
	       read_bytes(st, 13, s->digest) && read_bytes(st, 15, s->mac);
}

/* A row with a column of a wrong type or size is handed out too: it is one that was changed. */
static void read_row(struct stmt *st, struct snapshot *s)
{
	struct slice *const texts[] = { &s->stream, &s->domain, &s->key, &s->state };
	static const int columns[] = { 1, 2, 14, 16 };
	s->malformed = !column_u64(st, 0, &s->id) || !read_columns(st, s);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		*texts[i] = column_text(st, columns[i]);
		s->malformed = s->malformed || !texts[i]->ptr;
		if (!texts[i]->ptr)
			*texts[i] = SLICE("");
	}
}

static enum ledger_status each(
	struct ledger *l, struct stmt *st, snapshot_fn *fn, void *context, struct ledger_error *err)
{
	for (;;) {
		struct snapshot s = { 0 };
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		read_row(st, &s);
		TRY(fn(&s, context, err));
	}
}

enum ledger_status snapshot_each(struct ledger *l, struct slice stream, struct slice domain,
	snapshot_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(store_prepare(l->store, SQL_SNAPSHOTS, &st, err));
	bind_text(st, 1, stream);
	bind_text(st, 2, domain);
	return each(l, st, fn, context, err);
}

enum ledger_status snapshot_each_of(struct ledger *l, struct slice prefix, snapshot_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	CLEANUP_BUF struct buf end = { 0 };
	/* "0" is what follows "/"; no stream begins with "{" or more. */
	if (prefix.len) {
		buf_add(&end, prefix.ptr, prefix.len - 1);
		buf_add_char(&end, (char)(prefix.ptr[prefix.len - 1] + 1));
	} else {
		buf_add_char(&end, '{');
	}
	TRY(buf_check(&end, err));
	TRY(store_prepare(l->store, SQL_SNAPSHOTS_ALL, &st, err));
	bind_text(st, 1, prefix);
	bind_text(st, 2, buf_slice(&end));
	return each(l, st, fn, context, err);
}

static struct slice bytes_of(const uint8_t bytes[EVENT_HASH_SIZE])
{
	return (struct slice){ (const char *)bytes, EVENT_HASH_SIZE };
}

static enum ledger_status compute_digest(const struct ledger *l, const struct snapshot *s,
	uint8_t out[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	pae_begin(&bytes, 15);
	pae_add(&bytes, SLICE("ledgerbox/snapshot/v1"));
	pae_add(&bytes, slice_of(l->node));
	pae_add_u64(&bytes, s->epoch);
	pae_add(&bytes, s->stream);
	pae_add(&bytes, s->domain);
	pae_add_u64(&bytes, s->position);
	pae_add_u64(&bytes, s->last);
	pae_add_u64(&bytes, s->events);
	pae_add_u64(&bytes, s->version);
	pae_add_u64(&bytes, s->max_time);
	pae_add(&bytes, bytes_of(s->hash));
	pae_add(&bytes, bytes_of(s->reducer));
	pae_add_u64(&bytes, s->schema);
	pae_add_u64(&bytes, s->taken);
	pae_add(&bytes, s->state);
	TRY(buf_check(&bytes, err));
	chain_sha256(buf_slice(&bytes), out);
	return LEDGER_OK;
}

static void compute_mac(const struct chain_key *key, const uint8_t digest[EVENT_HASH_SIZE],
	uint8_t out[EVENT_HASH_SIZE])
{
	chain_sign(key, "ledgerbox/snapshot-mac/v1", bytes_of(digest), out);
}

enum ledger_status snapshot_check(
	struct ledger *l, const struct snapshot *s, struct ledger_error *err)
{
	uint8_t digest[EVENT_HASH_SIZE], mac[EVENT_HASH_SIZE];
	if (s->malformed)
		return fail(err, LEDGER_DAMAGED, "a column of it has a wrong type or size");
	if (s->schema != SNAPSHOT_SCHEMA)
		return fail(err, LEDGER_UNVERIFIED, "it has schema %" PRIu64 ", not %d", s->schema,
			SNAPSHOT_SCHEMA);
	TRY(compute_digest(l, s, digest, err));
	if (!chain_same(digest, s->digest, EVENT_HASH_SIZE))
		return fail(err, LEDGER_DAMAGED, "its digest is not that of its content");
	TRY(handle_load_keys(l, err));
	const struct chain_key *key = handle_find_key(l, s->key);
	if (!key)
		return fail(err, LEDGER_UNVERIFIED,
			"it is signed with key %.*s, which is not among the keys here",
			s->key.len < 64 ? (int)s->key.len : 64, s->key.ptr);
	compute_mac(key, digest, mac);
	if (!chain_same(mac, s->mac, EVENT_HASH_SIZE))
		return fail(err, LEDGER_DAMAGED, "it was made by somebody without the key");
	if (s->epoch != l->epoch)
		return fail(err, LEDGER_REFUSED,
			"it was taken in epoch %" PRIu64 ", before the ledger was recovered",
			s->epoch);
	return LEDGER_OK;
}

static enum ledger_status insert(
	struct ledger *l, const struct snapshot *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_SNAPSHOT_INSERT, &st, err));
	bind_text(st, 1, s->stream);
	bind_text(st, 2, s->domain);
	bind_u64(st, 3, s->position);
	bind_u64(st, 4, s->last);
	bind_u64(st, 5, s->events);
	bind_u64(st, 6, s->version);
	bind_u64(st, 7, s->max_time);
	bind_blob(st, 8, s->hash, EVENT_HASH_SIZE);
	bind_blob(st, 9, s->reducer, EVENT_HASH_SIZE);
	bind_u64(st, 10, s->schema);
	bind_u64(st, 11, s->epoch);
	bind_u64(st, 12, s->taken);
	bind_blob(st, 13, s->digest, EVENT_HASH_SIZE);
	bind_text(st, 14, s->key);
	bind_blob(st, 15, s->mac, EVENT_HASH_SIZE);
	bind_text(st, 16, s->state);
	return stmt_run(l->store, st, err);
}

/* Inside the transaction, so that the epoch is the one in which it is written. */
static enum ledger_status sign_and_insert(
	struct ledger *l, struct snapshot *s, struct ledger_error *err)
{
	struct seal seal;
	TRY(seal_read(l, &seal, err));
	s->epoch = seal.epoch;
	s->schema = SNAPSHOT_SCHEMA;
	s->taken = time_now();
	s->key = slice_of(l->keys[0].id);
	TRY(compute_digest(l, s, s->digest, err));
	compute_mac(&l->keys[0], s->digest, s->mac);
	return insert(l, s, err);
}

enum ledger_status snapshot_write(
	struct ledger *l, const struct snapshot *s, struct ledger_error *err)
{
	struct snapshot signed_one = *s;
	TRY(handle_load_keys(l, err));
	if (!l->can_sign) {
		fail(err, LEDGER_REFUSED, "a snapshot is signed, and there is no key to sign with");
		return hint(err, "name one with --key-file");
	}
	TRY(guard_begin_write(l, err));
	enum ledger_status status = sign_and_insert(l, &signed_one, err);
	if (status)
		store_rollback(l->store);
	return status ? status : store_commit(l->store, err);
}

enum ledger_status snapshot_delete(struct ledger *l, uint64_t id, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_SNAPSHOT_DELETE, &st, err));
	bind_u64(st, 1, id);
	return stmt_run(l->store, st, err);
}
