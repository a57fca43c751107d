/* Statements of a connection: theirs, with an event's fields as parameters, and our own. */
#include <stdio.h>
#include <stdlib.h>

#include "door.h"

#include "../base/banned.h"

/* --- Theirs ---------------------------------------------------------------------------------- */

static int refuse(struct sqlite *db, const char *what, const char *name)
{
	snprintf(db->refused, sizeof(db->refused), "%s %s is refused here", what, name ? name : "");
	return SQLITE_DENY;
}

static bool is_ours(const char *table)
{
	return table && sqlite3_strnicmp(table, "ledgerbox_", 10) == 0;
}

static int authorize_pragma(struct sqlite *db, const char *name)
{
	static const char *const harmless[] = { "user_version", "application_id", "table_info",
		"table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
		"foreign_key_list" };
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (sqlite3_stricmp(name, harmless[i]) == 0)
			return SQLITE_OK;
	return refuse(db, "PRAGMA", name);
}

/* Their texts may do what they like to their database, but not end our transaction, leave the file,
 * or touch what tells how far we have come. Our own are not looked at. */
int sqlite_authorize_theirs(void *context, int action, const char *first, const char *second,
	const char *database, const char *trigger)
{
	struct sqlite *db = context;
	(void)database;
	(void)trigger;
	if (!db->theirs)
		return SQLITE_OK;
	switch (action) {
	case SQLITE_ATTACH:
		return refuse(db, "ATTACH", first);
	case SQLITE_DETACH:
		return refuse(db, "DETACH", first);
	case SQLITE_TRANSACTION:
		return refuse(db, first, "");
	case SQLITE_SAVEPOINT:
		return refuse(db, "SAVEPOINT", second);
	case SQLITE_PRAGMA:
		return authorize_pragma(db, first);
	case SQLITE_FUNCTION:
		return sqlite3_stricmp(second, "load_extension") == 0
			       ? refuse(db, "function", second)
			       : SQLITE_OK;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_DROP_TABLE:
		return is_ours(first) ? refuse(db, "changing table", first) : SQLITE_OK;
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_TEMP_TABLE:
	case SQLITE_CREATE_VIEW:
	case SQLITE_CREATE_TEMP_VIEW:
	case SQLITE_CREATE_VTABLE:
		return is_ours(first) ? refuse(db, "the name", first) : SQLITE_OK;
	case SQLITE_ALTER_TABLE:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_CREATE_TEMP_TRIGGER:
		return is_ours(second) ? refuse(db, "changing table", second) : SQLITE_OK;
	default:
		return SQLITE_OK;
	}
}

enum ledger_status sqlite_stmt_new(
	struct sqlite *db, bool theirs, struct sqlite_stmt **out, struct ledger_error *err)
{
	struct sqlite_stmt *st = calloc(1, sizeof(*st));
	if (!st)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	st->db = db;
	st->theirs = theirs;
	*out = st;
	return LEDGER_OK;
}

void sqlite_stmt_close(struct sqlite_stmt *st)
{
	if (!st)
		return;
	for (size_t i = 0; i < st->n_parts; i++)
		sqlite3_finalize(st->parts[i].st);
	free(st);
}

void sqlite_stmt_cleanup(struct sqlite_stmt **st)
{
	sqlite_stmt_close(*st);
	*st = NULL;
}

static struct slice part_text(const struct part *part)
{
	return slice_of(sqlite3_sql(part->st));
}

enum ledger_status sqlite_compile_part(
	struct sqlite_stmt *st, struct slice text, struct slice *rest, struct ledger_error *err)
{
	struct sqlite *db = st->db;
	sqlite3_stmt *compiled = NULL;
	const char *tail = text.ptr;
	if (text.len > INT32_MAX)
		return fail(err, LEDGER_USAGE, "a text of %zu bytes is too long", text.len);
	db->theirs = st->theirs;
	db->refused[0] = '\0';
	int code = sqlite3_prepare_v3(
		db->db, text.ptr, (int)text.len, SQLITE_PREPARE_PERSISTENT, &compiled, &tail);
	db->theirs = false;
	if (code != SQLITE_OK)
		return sqlite_fail_at(db, code, LEDGER_USAGE, text, err);
	*rest = slice_from(text, (size_t)(tail - text.ptr));
	if (!compiled)
		return LEDGER_OK;
	if (st->n_parts == PARTS_MAX) {
		sqlite3_finalize(compiled);
		return fail(err, LEDGER_USAGE, "more than %d statements in one text", PARTS_MAX);
	}
	st->parts[st->n_parts++] = (struct part){ .st = compiled };
	return LEDGER_OK;
}

static enum ledger_status compile_all(
	struct sqlite_stmt *st, struct slice text, struct ledger_error *err)
{
	while (text.len) {
		size_t before = st->n_parts;
		TRY(sqlite_compile_part(st, text, &text, err));
		if (st->n_parts == before)
			continue;
		if (params_find(&st->parts[before], FOR_PROJECTION, err))
			return err->status;
	}
	return st->n_parts ? LEDGER_OK : fail(err, LEDGER_USAGE, "there is no statement in it");
}

enum ledger_status sqlite_compile(
	struct sqlite *db, struct slice text, struct sqlite_stmt **out, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	TRY(sqlite_stmt_new(db, true, &st, err));
	/* clang 14 does not follow cleanup attributes. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	TRY(compile_all(st, text, err));
	*out = st;
	st = NULL;
	return LEDGER_OK;
}

/* To its end, rows passed over. */
static enum ledger_status run_part(
	struct sqlite_stmt *st, struct part *part, struct ledger_error *err)
{
	struct sqlite *db = st->db;
	db->theirs = st->theirs;
	db->refused[0] = '\0';
	int code = sqlite3_step(part->st);
	while (code == SQLITE_ROW)
		code = sqlite3_step(part->st);
	db->theirs = false;
	enum ledger_status status = code == SQLITE_DONE ? LEDGER_OK
							: sqlite_fail_at(db, code, LEDGER_INVALID,
								  part_text(part), err);
	sqlite3_reset(part->st);
	return status;
}

enum ledger_status sqlite_apply(
	struct sqlite_stmt *st, const struct event *event, struct ledger_error *err)
{
	params_facts(&st->facts, event);
	for (size_t i = 0; i < st->n_parts; i++) {
		struct part *part = &st->parts[i];
		int code = params_bind(part, &st->facts, event, (struct slice){ NULL, 0 });
		if (code != SQLITE_OK)
			return sqlite_fail_at(st->db, code, LEDGER_INVALID, part_text(part), err);
		TRY(run_part(st, part, err));
	}
	return LEDGER_OK;
}

/* One statement after the other: each may need the table that the one before has made. */
enum ledger_status sqlite_run_script(
	struct sqlite *db, struct slice script, struct ledger_error *err)
{
	while (script.len) {
		CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
		TRY(sqlite_stmt_new(db, true, &st, err));
		/* clang 14 does not follow cleanup attributes. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		TRY(sqlite_compile_part(st, script, &script, err));
		if (st->n_parts == 0)
			continue;
		if (sqlite3_bind_parameter_count(st->parts[0].st))
			return fail(err, LEDGER_USAGE,
				"a script has no parameters, but there is %s",
				sqlite3_bind_parameter_name(st->parts[0].st, 1));
		TRY(run_part(st, &st->parts[0], err));
	}
	return LEDGER_OK;
}

/* --- Own ------------------------------------------------------------------------------------- */

enum ledger_status sqlite_compile_own(
	struct sqlite *db, const char *text, struct sqlite_stmt **out, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	struct slice rest;
	TRY(sqlite_stmt_new(db, false, &st, err));
	if (sqlite_compile_part(st, slice_of(text), &rest, err))
		/* clang 14 does not follow cleanup attributes. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		return err->status == LEDGER_USAGE
			       ? fail(err, LEDGER_NO, "%s: %s", db->path, sqlite3_errmsg(db->db))
			       : err->status;
	*out = st;
	st = NULL;
	return LEDGER_OK;
}

static sqlite3_stmt *own(struct sqlite_stmt *st)
{
	return st->parts[0].st;
}

void sqlite_bind_u64(struct sqlite_stmt *st, int at, uint64_t value)
{
	sqlite3_bind_int64(own(st), at, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void sqlite_bind_text(struct sqlite_stmt *st, int at, struct slice text)
{
	if (text.ptr)
		sqlite3_bind_text64(own(st), at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_null(own(st), at);
}

void sqlite_bind_blob(struct sqlite_stmt *st, int at, struct slice bytes)
{
	if (bytes.ptr)
		sqlite3_bind_blob64(own(st), at, bytes.ptr, bytes.len, SQLITE_STATIC);
	else
		sqlite3_bind_null(own(st), at);
}

enum ledger_status sqlite_row(struct sqlite_stmt *st, bool *row, struct ledger_error *err)
{
	int code = sqlite3_step(own(st));
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return sqlite_fail(st->db, code, err);
	*row = code == SQLITE_ROW;
	return LEDGER_OK;
}

enum ledger_status sqlite_run(struct sqlite_stmt *st, struct ledger_error *err)
{
	bool row = true;
	enum ledger_status status = LEDGER_OK;
	while (status == LEDGER_OK && row)
		status = sqlite_row(st, &row, err);
	sqlite3_reset(own(st));
	return status;
}

void sqlite_reset(struct sqlite_stmt *st)
{
	sqlite3_reset(own(st));
}

bool sqlite_column_u64(struct sqlite_stmt *st, int at, uint64_t *out)
{
	if (sqlite3_column_type(own(st), at) != SQLITE_INTEGER)
		return false;
	int64_t number = sqlite3_column_int64(own(st), at);
	if (number < 0)
		return false;
	*out = (uint64_t)number;
	return true;
}

struct slice sqlite_column_text(struct sqlite_stmt *st, int at)
{
	if (sqlite3_column_type(own(st), at) != SQLITE_TEXT)
		return (struct slice){ NULL, 0 };
	const char *text = (const char *)sqlite3_column_text(own(st), at);
	return (struct slice){ text, (size_t)sqlite3_column_bytes(own(st), at) };
}

struct slice sqlite_column_blob(struct sqlite_stmt *st, int at)
{
	if (sqlite3_column_type(own(st), at) != SQLITE_BLOB)
		return (struct slice){ NULL, 0 };
	const char *bytes = sqlite3_column_blob(own(st), at);
	return (struct slice){ bytes ? bytes : "", (size_t)sqlite3_column_bytes(own(st), at) };
}
