/* Cursors: how far a named consumer has come. The hash there tells whether the history is still the same. */
#include "handle.h"

#include "../base/banned.h"

static enum ledger_status check_name(struct slice name, struct ledger_error *err)
{
	if (event_check_type(name, err) == LEDGER_OK)
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "cursor name '%.*s' is not valid",
		(int)(name.len < 80 ? name.len : 80), name.ptr ? name.ptr : "");
	return hint(err, "1 to 128 of A-Z a-z 0-9 _ - . :");
}

enum ledger_status cursor_hash_at(
	struct ledger *l, uint64_t position, uint8_t out[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	memset(out, 0, EVENT_HASH_SIZE);
	if (position == 0)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_EVENT_HASH, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (hash.len != EVENT_HASH_SIZE)
		return fail(err, LEDGER_NO, "there is no event at position %" PRIu64, position);
	memcpy(out, hash.ptr, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

enum ledger_status cursor_write(
	struct ledger *l, struct slice name, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint8_t hash[EVENT_HASH_SIZE];
	TRY(check_name(name, err));
	if (cursor_hash_at(l, position, hash, err))
		return err->status == LEDGER_NO
			       ? fail(err, LEDGER_INVALID, "there is no event at position %" PRIu64,
					 position)
			       : err->status;
	TRY(store_get(l->store, SQL_CURSOR_SET, &st, err));
	bind_text(st, 1, name);
	bind_u64(st, 2, position);
	bind_blob(st, 3, hash, EVENT_HASH_SIZE);
	bind_u64(st, 4, time_now());
	return stmt_run(l->store, st, err);
}

static enum ledger_status read_cursor(
	struct ledger *l, struct stmt *st, struct ledger_cursor *cursor, struct ledger_error *err)
{
	struct slice hash = column_blob(st, 2);
	cursor->name = column_text(st, 0);
	if (!cursor->name.ptr || !column_u64(st, 1, &cursor->position) ||
		hash.len != EVENT_HASH_SIZE || !column_u64(st, 3, &cursor->updated))
		return fail(err, LEDGER_DAMAGED, "%s has a malformed cursor", store_path(l->store));
	memcpy(cursor->hash, hash.ptr, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

enum ledger_status ledger_cursors(
	struct ledger *l, ledger_cursor_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_CURSORS, &st, err));
	for (;;) {
		struct ledger_cursor cursor;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_cursor(l, st, &cursor, err));
		TRY(fn(&cursor, context, err));
	}
}

static enum ledger_status no_cursor(struct slice name, struct ledger_error *err)
{
	fail(err, LEDGER_NO, "there is no cursor %.*s", SLICE_ARG(name));
	return hint(err, "see them with: ledgerbox cursor list");
}

enum ledger_status ledger_cursor_get(
	struct ledger *l, struct slice name, uint64_t *position, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger_cursor cursor;
	uint8_t hash[EVENT_HASH_SIZE];
	bool row;
	TRY(check_name(name, err));
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_get(l->store, SQL_CURSOR, &st, err));
	bind_text(st, 1, name);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return no_cursor(name, err);
	TRY(read_cursor(l, st, &cursor, err));
	if (cursor_hash_at(l, cursor.position, hash, err) && err->status != LEDGER_NO)
		return err->status;
	if (memcmp(hash, cursor.hash, EVENT_HASH_SIZE) != 0) {
		fail(err, LEDGER_REFUSED,
			"cursor %.*s was set at position %" PRIu64 " of another history",
			SLICE_ARG(name), cursor.position);
		return hint(err, "set it anew with: ledgerbox cursor set %.*s POSITION",
			SLICE_ARG(name));
	}
	*position = cursor.position;
	return LEDGER_OK;
}

enum ledger_status ledger_cursor_set(
	struct ledger *l, struct slice name, uint64_t position, struct ledger_error *err)
{
	TRY(guard_begin_write(l, err));
	enum ledger_status status = cursor_write(l, name, position, err);
	if (status)
		store_rollback(l->store);
	return status ? status : store_commit(l->store, err);
}

static enum ledger_status delete_cursor(
	struct ledger *l, struct slice name, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_CURSOR_DELETE, &st, err));
	bind_text(st, 1, name);
	TRY(stmt_row(l->store, st, &row, err));
	return row ? LEDGER_OK : no_cursor(name, err);
}

enum ledger_status ledger_cursor_delete(
	struct ledger *l, struct slice name, struct ledger_error *err)
{
	TRY(check_name(name, err));
	TRY(guard_begin_write(l, err));
	enum ledger_status status = delete_cursor(l, name, err);
	if (status)
		store_rollback(l->store);
	return status ? status : store_commit(l->store, err);
}
