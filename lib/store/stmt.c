/* Statements: by name, their values in and out, row by row. */
#include "store.h"

#include "door.h"

#include "../base/banned.h"

static enum ledger_status prepare(struct store *s, enum sql which, unsigned flags,
	struct stmt **out, struct ledger_error *err)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v3(s->db, sql_text(which), -1, flags, &st, NULL);
	if (code != SQLITE_OK && (code & 0xFF) == SQLITE_ERROR) {
		fail(err, LEDGER_DAMAGED, "%s has another schema: %s", s->path,
			sqlite3_errmsg(s->db));
		return hint(err, "ledgerbox verify lists what is wrong");
	}
	if (code != SQLITE_OK)
		return door_fail(s, code, err);
	*out = (struct stmt *)(void *)st;
	return LEDGER_OK;
}

enum ledger_status store_get(
	struct store *s, enum sql which, struct stmt **out, struct ledger_error *err)
{
	if (!s->statements[which])
		TRY(prepare(s, which, SQLITE_PREPARE_PERSISTENT, &s->statements[which], err));
	*out = s->statements[which];
	return LEDGER_OK;
}

enum ledger_status store_prepare(
	struct store *s, enum sql which, struct stmt **out, struct ledger_error *err)
{
	return prepare(s, which, 0, out, err);
}

void stmt_reset(struct stmt **st)
{
	if (*st)
		sqlite3_reset(door_stmt(*st));
}

void stmt_done(struct stmt **st)
{
	sqlite3_finalize(door_stmt(*st));
	*st = NULL;
}

void bind_u64(struct stmt *st, int at, uint64_t value)
{
	sqlite3_bind_int64(door_stmt(st), at, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void bind_text(struct stmt *st, int at, struct slice text)
{
	if (text.ptr)
		sqlite3_bind_text64(
			door_stmt(st), at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_null(door_stmt(st), at);
}

void bind_blob(struct stmt *st, int at, const uint8_t *bytes, size_t n)
{
	sqlite3_bind_blob64(door_stmt(st), at, bytes, n, SQLITE_STATIC);
}

enum ledger_status stmt_row(struct store *s, struct stmt *st, bool *row, struct ledger_error *err)
{
	int code = sqlite3_step(door_stmt(st));
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return door_fail(s, code, err);
	*row = code == SQLITE_ROW;
	return LEDGER_OK;
}

enum ledger_status stmt_run(struct store *s, struct stmt *st, struct ledger_error *err)
{
	int code = sqlite3_step(door_stmt(st));
	while (code == SQLITE_ROW)
		code = sqlite3_step(door_stmt(st));
	enum ledger_status status = code == SQLITE_DONE ? LEDGER_OK : door_fail(s, code, err);
	sqlite3_reset(door_stmt(st));
	return status;
}

uint64_t store_changes(struct store *s)
{
	return (uint64_t)sqlite3_changes64(s->db);
}

static sqlite3_value *raw_value(struct value *value)
{
	return (sqlite3_value *)(void *)value;
}

bool value_u64(struct value *value, uint64_t *out)
{
	if (sqlite3_value_type(raw_value(value)) != SQLITE_INTEGER)
		return false;
	int64_t number = sqlite3_value_int64(raw_value(value));
	if (number < 0)
		return false;
	*out = (uint64_t)number;
	return true;
}

struct slice value_text(struct value *value)
{
	if (sqlite3_value_type(raw_value(value)) != SQLITE_TEXT)
		return (struct slice){ NULL, 0 };
	const char *text = (const char *)sqlite3_value_text(raw_value(value));
	return (struct slice){ text, (size_t)sqlite3_value_bytes(raw_value(value)) };
}

struct slice value_blob(struct value *value)
{
	if (sqlite3_value_type(raw_value(value)) != SQLITE_BLOB)
		return (struct slice){ NULL, 0 };
	const char *bytes = sqlite3_value_blob(raw_value(value));
	return (struct slice){ bytes ? bytes : "", (size_t)sqlite3_value_bytes(raw_value(value)) };
}

bool value_is_null(struct value *value)
{
	return sqlite3_value_type(raw_value(value)) == SQLITE_NULL;
}

/* SQLite calls this value unprotected: fit for one thread, which is what a connection has here. */
static struct value *column(struct stmt *st, int at)
{
	return (struct value *)(void *)sqlite3_column_value(door_stmt(st), at);
}

bool column_u64(struct stmt *st, int at, uint64_t *out)
{
	return value_u64(column(st, at), out);
}

struct slice column_text(struct stmt *st, int at)
{
	return value_text(column(st, at));
}

struct slice column_blob(struct stmt *st, int at)
{
	return value_blob(column(st, at));
}

void stmt_values(struct stmt *st, int n, struct value **out)
{
	for (int i = 0; i < n; i++)
		out[i] = column(st, i);
}

/* --- each(…): an aggregate function that hands its arguments on ---------------------------------- */

static void each_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct each *each = sqlite3_user_data(context);
	(void)argc;
	if (each->status == LEDGER_OK)
		each->status =
			each->fn((struct value *const *)(void *)argv, each->context, each->err);
	if (each->status != LEDGER_OK)
		sqlite3_result_error(context, "stopped", -1);
}

static void each_final(sqlite3_context *context)
{
	sqlite3_result_null(context);
}

void door_add_each(struct store *s)
{
	sqlite3_create_function_v2(s->db, "each", -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, &s->each,
		NULL, each_step, each_final, NULL);
}

enum ledger_status store_each(
	struct store *s, struct stmt *st, store_row_fn *fn, void *context, struct ledger_error *err)
{
	struct each outer = s->each;
	s->each = (struct each){ fn, context, err, LEDGER_OK };
	int code = sqlite3_step(door_stmt(st));
	enum ledger_status status = s->each.status;
	s->each = outer;
	if (status == LEDGER_OK && code != SQLITE_ROW && code != SQLITE_DONE)
		status = door_fail(s, code, err);
	sqlite3_reset(door_stmt(st));
	return status;
}

enum ledger_status store_check_finding(struct store *s, struct slice line, struct ledger_error *err)
{
	static const char words[] = "error code";
	for (; line.len > sizeof(words); line = slice_from(line, 1)) {
		if (memcmp(line.ptr, words, sizeof(words) - 1) != 0)
			continue;
		/* "error code=266", "error code 11" */
		unsigned code = 0;
		for (size_t i = sizeof(words);
			i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9'; i++)
			code = code * 10 + (unsigned)(line.ptr[i] - '0');
		if ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_NOMEM)
			return fail(err,
				(code & 0xFF) == SQLITE_IOERR ? LEDGER_IO : LEDGER_NO_MEMORY,
				"%s cannot be read to its end: %s", s->path,
				sqlite3_errstr((int)code));
	}
	return LEDGER_OK;
}

enum ledger_status store_data_version(struct store *s, uint64_t *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row = false;
	TRY(store_get(s, SQL_DATA_VERSION, &st, err));
	TRY(stmt_row(s, st, &row, err));
	return row && column_u64(st, 0, out)
		       ? LEDGER_OK
		       : fail(err, LEDGER_IO, "%s has no data_version", s->path);
}

enum ledger_status store_change_token(struct store *s, uint64_t *out, struct ledger_error *err)
{
	uint64_t version;
	TRY(store_data_version(s, &version, err));
	*out = version << 32 ^ (uint64_t)sqlite3_total_changes64(s->db);
	return LEDGER_OK;
}
