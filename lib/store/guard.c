/*
 * Nothing is written to a file whose schema is not ours: a trigger that somebody added would run with
 * each row, and might change it, swallow it, or never end. verify says what is wrong; here it is enough
 * that SQLite follows the objects of schema.sql, each word for word, and no others.
 */
#include "handle.h"

#include "../base/banned.h"

/* The object's text as a statement of schema.sql: from the start of a line up to its semicolon. */
static const char *find_statement(const char *script, struct slice object)
{
	for (const char *at = script; (at = memmem(at, strlen(at), object.ptr, object.len)); at++)
		if ((at == sql_schema || at[-1] == '\n') && at[object.len] == ';')
			return at;
	return NULL;
}

static size_t count_objects(void)
{
	size_t n = 0;
	for (const char *at = sql_schema; (at = strstr(at, "\nCREATE ")); at++)
		n++;
	return n;
}

static enum ledger_status compare_schema(struct ledger *l, bool *same, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	const char *next = sql_schema; /* they mostly stand in order */
	size_t left = count_objects();
	bool row;
	*same = false;
	TRY(store_get(l->store, SQL_SCHEMA_OBJECTS, &st, err));
	for (;;) {
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			break;
		struct slice object = column_text(st, 0);
		const char *at = object.len && left ? find_statement(next, object) : NULL;
		if (!at && object.len && left)
			at = find_statement(sql_schema, object);
		if (!at)
			return LEDGER_OK;
		next = at + object.len;
		left--; /* SQLite itself refuses two objects of one name */
	}
	*same = left == 0;
	return LEDGER_OK;
}

/* The number that SQLite goes by: while it is the same, so is the schema that its statements follow. */
static enum ledger_status schema_version(
	struct ledger *l, uint64_t *version, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_SCHEMA_VERSION, &st, err));
	TRY(stmt_row(l->store, st, &row, err));
	if (!row || !column_u64(st, 0, version))
		*version = 0;
	return LEDGER_OK;
}

static enum ledger_status check_schema(struct ledger *l, struct ledger_error *err)
{
	uint64_t version;
	bool same;
	TRY(schema_version(l, &version, err));
	if (l->has_schema && version == l->schema_version)
		return LEDGER_OK;
	TRY(compare_schema(l, &same, err));
	if (!same) {
		fail(err, LEDGER_DAMAGED, "the schema of %s was changed: nothing is written to it",
			store_path(l->store));
		return hint(err, "ledgerbox verify lists what is wrong");
	}
	l->schema_version = version;
	l->has_schema = true;
	return LEDGER_OK;
}

/* Readers make do with a schema that somebody changed, but never read what is computed. Only then is it asked
 * for: the comparison costs a tenth of that. */
enum ledger_status guard_open(struct ledger *l, struct ledger_error *err)
{
	uint64_t version;
	bool same;
	TRY(schema_version(l, &version, err));
	TRY(compare_schema(l, &same, err));
	if (!same)
		return store_check_columns(l->store, err);
	l->schema_version = version;
	l->has_schema = true;
	return LEDGER_OK;
}

enum ledger_status guard_begin_write(struct ledger *l, struct ledger_error *err)
{
	TRY(store_begin_write(l->store, err));
	enum ledger_status status = check_schema(l, err);
	if (status)
		store_rollback(l->store);
	return status;
}
