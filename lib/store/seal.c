/* The seal: one row, signed, that says how far this file has come and which file it is. */
#include "handle.h"

#include "../base/banned.h"

enum ledger_status seal_read(struct ledger *l, struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_SEAL, &st, err));
	TRY(stmt_row(l->store, st, &row, err));
	struct seal read = { 0 };
	struct slice node = row ? column_text(st, 0) : (struct slice){ NULL, 0 };
	struct slice link = row ? column_blob(st, 4) : node;
	struct slice key = row ? column_text(st, 7) : node;
	struct slice mac = row ? column_blob(st, 8) : node;
	if (!slice_is_token(node) || !column_u64(st, 1, &read.epoch) ||
		!column_u64(st, 2, &read.position) || !column_u64(st, 3, &read.clock) ||
		link.len != EVENT_HASH_SIZE || !column_u64(st, 5, &read.inode) ||
		!column_u64(st, 6, &read.birth) || key.len != EVENT_KEY_ID_SIZE ||
		mac.len != EVENT_HASH_SIZE) {
		fail(err, LEDGER_DAMAGED, "the seal of %s is missing or malformed",
			store_path(l->store));
		return hint(err,
			"put a backup in its place and run: ledgerbox recover (without other "
			"nodes: ledgerbox recover --offline)");
	}
	memcpy(read.link, link.ptr, EVENT_HASH_SIZE);
	memcpy(read.key, key.ptr, EVENT_KEY_ID_SIZE);
	memcpy(read.mac, mac.ptr, EVENT_HASH_SIZE);
	memset(l->node, 0, sizeof(l->node));
	memcpy(l->node, node.ptr, node.len);
	*seal = read;
	return LEDGER_OK;
}

void seal_mac(const struct ledger *l, const struct seal *seal, const struct chain_key *key,
	uint8_t out[EVENT_HASH_SIZE])
{
	const struct pae_piece pieces[] = { PAE_BYTES(slice_of(l->node)), PAE_NUMBER(seal->epoch),
		PAE_NUMBER(seal->position), PAE_NUMBER(seal->clock), PAE_DIGEST(seal->link),
		PAE_NUMBER(seal->inode), PAE_NUMBER(seal->birth) };
	pae_sign(key, "ledgerbox/seal/v1", PAE_PIECES(pieces), out);
}

enum ledger_status seal_check_mac(
	struct ledger *l, const struct seal *seal, struct ledger_error *err)
{
	uint8_t mac[EVENT_HASH_SIZE];
	const struct chain_key *key = handle_find_key(l, slice_of(seal->key));
	if (!key) {
		fail(err, LEDGER_UNVERIFIED,
			"%s was sealed with key %s, which is not among the keys here",
			store_path(l->store), seal->key);
		return hint(err,
			"name its key file with --key-file, or in the config under keys: verify");
	}
	seal_mac(l, seal, key, mac);
	if (chain_same(mac, seal->mac, EVENT_HASH_SIZE))
		return LEDGER_OK;
	fail(err, LEDGER_DAMAGED, "the seal of %s was changed by somebody without the key",
		store_path(l->store));
	return hint(err, "run: ledgerbox verify");
}

enum ledger_status seal_insert(struct ledger *l, const struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_SEAL_INSERT, &st, err));
	bind_text(st, 1, slice_of(l->node));
	bind_u64(st, 2, seal->epoch);
	bind_u64(st, 3, seal->position);
	bind_u64(st, 4, seal->clock);
	bind_blob(st, 5, seal->link, EVENT_HASH_SIZE);
	bind_u64(st, 6, seal->inode);
	bind_u64(st, 7, seal->birth);
	bind_text(st, 8, slice_of(seal->key));
	bind_blob(st, 9, seal->mac, EVENT_HASH_SIZE);
	return stmt_run(l->store, st, err);
}

enum ledger_status seal_write(struct ledger *l, struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	memcpy(seal->key, l->keys[0].id, sizeof(seal->key));
	seal_mac(l, seal, &l->keys[0], seal->mac);
	TRY(store_get(l->store, SQL_SEAL_UPDATE, &st, err));
	bind_u64(st, 1, seal->position);
	bind_u64(st, 2, seal->clock);
	bind_blob(st, 3, seal->link, EVENT_HASH_SIZE);
	bind_text(st, 4, slice_of(seal->key));
	bind_blob(st, 5, seal->mac, EVENT_HASH_SIZE);
	return stmt_run(l->store, st, err);
}

enum ledger_status seal_move_in(struct ledger *l, const struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_SEAL_MOVE_IN, &st, err));
	bind_u64(st, 1, seal->epoch);
	bind_u64(st, 2, seal->inode);
	bind_u64(st, 3, seal->birth);
	return stmt_run(l->store, st, err);
}
