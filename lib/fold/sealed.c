/*
 * The sealed connection. What an expression may use is a list of what is harmless, not of what is
 * not: a function that a newer SQLite brings is refused until somebody has looked at it. Each gives the
 * same for the same arguments on every machine, because every node that has the same events has to
 * come to the same state. So exp, sin and their like are missing: their last digit is the C library's.
 */
#include <stdio.h>
#include <time.h>

#include "door.h"

#include "../base/banned.h"

#define EVALUATION_CPU	  (2 * TIME_SECOND)
#define EVALUATION_MEMORY (48 << 20)
#define OPS_PER_LOOK	  1000

static const char *const functions[] = { "->", "->>", "abs", "avg", "ceil", "ceiling", "char",
	"coalesce", "concat", "concat_ws", "count", "floor", "format", "glob", "group_concat",
	"hex", "if", "ifnull", "iif", "instr", "json", "json_array", "json_array_length",
	"json_error_position", "json_extract", "json_group_array", "json_group_object",
	"json_insert", "json_object", "json_patch", "json_pretty", "json_quote", "json_remove",
	"json_replace", "json_set", "json_type", "json_valid", "length", "like", "likelihood",
	"likely", "lower", "ltrim", "max", "min", "mod", "nullif", "octet_length", "printf",
	"quote", "replace", "round", "rtrim", "sign", "sqrt", "string_agg", "substr", "substring",
	"sum", "total", "trim", "trunc", "typeof", "unhex", "unicode", "unlikely", "upper" };

/* These give the same unless they are asked for the present or for the local time zone. */
static const char *const date_functions[DATE_FUNCTIONS] = { "date", "datetime", "julianday",
	"strftime", "time", "unixepoch" };

static bool is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sqlite3_stricmp(name, list[i]) == 0)
			return true;
	return false;
}

static bool is_date_function(const char *name)
{
	return is_in(name, date_functions, DATE_FUNCTIONS);
}

static int refuse(struct sqlite *db, const char *what, const char *name, const char *why)
{
	snprintf(db->refused, sizeof(db->refused), "%s%s%s is refused here: %s", what,
		*what && *name ? " " : "", name, why);
	return SQLITE_DENY;
}

static int authorize_function(struct sqlite *db, const char *name)
{
	if (is_date_function(name) ||
		is_in(name, functions, sizeof(functions) / sizeof(*functions)))
		return SQLITE_OK;
	return refuse(db, "function", name,
		"it is not among those that give the same everywhere and always");
}

static int authorize(void *context, int action, const char *first, const char *second,
	const char *database, const char *trigger)
{
	struct sqlite *db = context;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return authorize_function(db, second);
	case SQLITE_READ:
		if (sqlite3_stricmp(first, "json_each") == 0 ||
			sqlite3_stricmp(first, "json_tree") == 0)
			return SQLITE_OK;
		return refuse(db, "table", first, "an expression has functions only");
	case SQLITE_RECURSIVE:
		return refuse(db, "recursion", "", "it may never end");
	case SQLITE_PRAGMA:
		return refuse(db, "PRAGMA", first, "an expression has functions only");
	default:
		return refuse(db, "this", "", "an expression has functions only");
	}
}

/* --- Limits ---------------------------------------------------------------------------------- */

static uint64_t cpu_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * TIME_SECOND + (uint64_t)t.tv_nsec / 1000;
}

/* Processor time: a machine that is busy elsewhere does not make an honest expression fail. Most end
 * before the first look, so that they do not pay for a clock. */
static int look_at_time(void *context)
{
	struct sqlite *db = context;
	if (!db->timing) {
		db->timing = true;
		db->began = cpu_time();
		return 0;
	}
	db->out_of_time = cpu_time() - db->began >= EVALUATION_CPU;
	return db->out_of_time;
}

static void set_limits(struct sqlite *db)
{
	static const struct {
		int which, value;
	} limits[] = {
		{ SQLITE_LIMIT_LENGTH, SQLITE_STATE_MAX },
		{ SQLITE_LIMIT_SQL_LENGTH, 64 << 10 },
		{ SQLITE_LIMIT_COLUMN, 64 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 200 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 16 },
		{ SQLITE_LIMIT_VDBE_OP, 25000 },
		{ SQLITE_LIMIT_ATTACHED, 0 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256 },
		{ SQLITE_LIMIT_VARIABLE_NUMBER, PARAMS_MAX },
		{ SQLITE_LIMIT_TRIGGER_DEPTH, 1 },
		{ SQLITE_LIMIT_WORKER_THREADS, 0 },
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		sqlite3_limit(db->db, limits[i].which, limits[i].value);
	sqlite3_progress_handler(db->db, OPS_PER_LOOK, look_at_time, db);
}

/* --- Dates ----------------------------------------------------------------------------------- */

static bool is_word(sqlite3_value *value, const char *word)
{
	return sqlite3_value_type(value) == SQLITE_TEXT &&
	       sqlite3_stricmp((const char *)sqlite3_value_text(value), word) == 0;
}

/* What makes a date function look at the clock or the time zone; NULL: nothing. Without a moment, or
 * with one that is "now" or only a modifier, it takes the present. */
static const char *unsteady(int first, int argc, sqlite3_value **argv)
{
	static const char *const words[] = { "now", "localtime", "utc" };
	if (argc <= first)
		return "the present";
	for (int i = first; i < argc; i++)
		for (size_t k = 0; k < sizeof(words) / sizeof(*words); k++)
			if (is_word(argv[i], words[k]))
				return words[k];
	if (is_word(argv[first], "subsec") || is_word(argv[first], "subsecond"))
		return "the present";
	return NULL;
}

/* SQL for a call with so many arguments. */
static enum ledger_status add_call(
	struct buf *out, const char *name, int argc, struct ledger_error *err)
{
	buf_addf(out, "SELECT %s(", name);
	for (int i = 0; i < argc; i++)
		buf_add_text(out, i ? ",?" : "?");
	buf_add_char(out, ')');
	return buf_check(out, err);
}

static int open_dates(struct sqlite *db)
{
	if (db->dates)
		return SQLITE_OK;
	return sqlite3_open_v2(
		":memory:", &db->dates, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
}

/* Hands the call on to a connection that has the function as SQLite made it. */
static int call_original(
	const struct date_function *f, int argc, sqlite3_value **argv, sqlite3_context *context)
{
	CLEANUP_BUF struct buf sql = { 0 };
	struct ledger_error err;
	sqlite3_stmt *st = NULL;
	int code = add_call(&sql, f->name, argc, &err) ? SQLITE_NOMEM : open_dates(f->db);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(f->db->dates, buf_text(&sql), -1, &st, NULL);
	for (int i = 0; i < argc && code == SQLITE_OK; i++)
		code = sqlite3_bind_value(st, i + 1, argv[i]);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		sqlite3_result_value(context, sqlite3_column_value(st, 0));
	sqlite3_finalize(st);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

static void call_date(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const struct date_function *f = sqlite3_user_data(context);
	const char *what = unsteady(strcmp(f->name, "strftime") == 0 ? 1 : 0, argc, argv);
	if (!what) {
		int code = call_original(f, argc, argv, context);
		if (code != SQLITE_OK)
			sqlite3_result_error_code(context, code);
		return;
	}
	snprintf(f->db->refused, sizeof(f->db->refused),
		"%s() of %s is refused here: it gives something else each time; :time and :clock "
		"are the event's",
		f->name, what);
	sqlite3_result_error(context, f->db->refused, -1);
}

static int add_date_functions(struct sqlite *db)
{
	int code = SQLITE_OK;
	for (int i = 0; i < DATE_FUNCTIONS && code == SQLITE_OK; i++) {
		struct date_function *f = &db->date_functions[i];
		*f = (struct date_function){ db, date_functions[i] };
		code = sqlite3_create_function_v2(db->db, f->name, -1,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC, f, call_date, NULL, NULL, NULL);
	}
	return code;
}

/* --- Open, compile, evaluate ----------------------------------------------------------------- */

static enum ledger_status open_sealed(struct sqlite *db, struct ledger_error *err)
{
	int code = sqlite3_open_v2(":memory:", &db->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (!db->db)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	/* What is sorted stays in memory, where it is counted: no temporary files. Two tables that are
	 * functions are named once here, because SQLite declares them on first use. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(db->db,
			"PRAGMA temp_store = MEMORY; SELECT 1 FROM json_each('1'), json_tree('1')",
			NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = add_date_functions(db);
	if (code != SQLITE_OK)
		return sqlite_fail(db, code, err);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	set_limits(db);
	sqlite3_set_authorizer(db->db, authorize, db);
	return LEDGER_OK;
}

enum ledger_status sqlite_open_sealed(struct sqlite **out, struct ledger_error *err)
{
	struct sqlite *db = NULL;
	TRY(sqlite_new(&db, "an expression", err));
	enum ledger_status status = open_sealed(db, err);
	if (status) {
		sqlite_close(db);
		return status;
	}
	*out = db;
	return LEDGER_OK;
}

/* The text between our parentheses must not get out of them. */
static enum ledger_status check_shape(
	struct sqlite_stmt *st, struct slice rest, struct slice text, struct ledger_error *err)
{
	if (st->n_parts == 1 && rest.len == 0 && sqlite3_column_count(st->parts[0].st) == 1 &&
		sqlite3_stmt_readonly(st->parts[0].st))
		return LEDGER_OK;
	return fail(err, LEDGER_USAGE, "'%.*s' is not one SQL expression",
		(int)(text.len < 120 ? text.len : 120), text.ptr);
}

enum ledger_status sqlite_compile_expression(struct sqlite *db, enum sqlite_use use,
	struct slice text, struct sqlite_stmt **out, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	CLEANUP_BUF struct buf sql = { 0 };
	struct slice rest;
	if (memchr(text.ptr ? text.ptr : "", '\0', text.len))
		return fail(err, LEDGER_USAGE, "an expression has a NUL in it");
	/* On a line of its own: behind a comment the parenthesis still closes. */
	buf_add_text(&sql, "SELECT (\n");
	buf_add_slice(&sql, text);
	buf_add_text(&sql, "\n)");
	TRY(buf_check(&sql, err));
	TRY(sqlite_stmt_new(db, true, &st, err));
	if (sqlite_compile_part(st, buf_slice(&sql), &rest, err))
		return err->status;
	TRY(check_shape(st, rest, text, err));
	TRY(params_find(&st->parts[0], use, err));
	*out = st;
	st = NULL;
	return LEDGER_OK;
}

/* Steps once, under the limits of memory and time. */
static int step(struct sqlite *db, sqlite3_stmt *st)
{
	db->refused[0] = '\0';
	db->timing = db->out_of_time = false;
	sqlite3_hard_heap_limit64(sqlite3_memory_used() + EVALUATION_MEMORY);
	int code = sqlite3_step(st);
	sqlite3_hard_heap_limit64(0);
	sqlite3_soft_heap_limit64(0); /* the hard limit has set it too */
	return code;
}

static enum ledger_status evaluation_failed(struct sqlite *db, int code, struct ledger_error *err)
{
	if (db->out_of_time)
		return fail(err, LEDGER_INVALID, "it takes longer than %d seconds",
			(int)(EVALUATION_CPU / TIME_SECOND));
	if ((code & 0xFF) == SQLITE_NOMEM)
		return fail(err, LEDGER_INVALID, "it needs more than %d MiB of memory",
			EVALUATION_MEMORY >> 20);
	if ((code & 0xFF) == SQLITE_TOOBIG)
		return fail(err, LEDGER_INVALID, "it makes a value of more than %u KiB",
			SQLITE_STATE_MAX >> 10);
	return fail(
		err, LEDGER_INVALID, "%s", db->refused[0] ? db->refused : sqlite3_errmsg(db->db));
}

static enum ledger_status take_value(sqlite3_stmt *st, struct buf *out, struct ledger_error *err)
{
	int type = sqlite3_column_type(st, 0);
	if (type == SQLITE_NULL || type == SQLITE_BLOB)
		return fail(err, LEDGER_INVALID, "it gives %s instead of JSON",
			type == SQLITE_NULL ? "NULL" : "a BLOB");
	const char *text = (const char *)sqlite3_column_text(st, 0);
	if (!text)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	buf_reset(out);
	buf_add(out, text, (size_t)sqlite3_column_bytes(st, 0));
	return buf_check(out, err);
}

enum ledger_status sqlite_evaluate(struct sqlite_stmt *st, const struct event *event,
	struct slice state, struct buf *out, struct ledger_error *err)
{
	struct part *part = &st->parts[0];
	params_facts(&st->facts, event);
	int code = params_bind(part, &st->facts, event, state);
	if (code == SQLITE_OK)
		code = step(st->db, part->st);
	enum ledger_status status;
	if (code == SQLITE_ROW)
		status = take_value(part->st, out, err);
	else if (code == SQLITE_DONE)
		status = fail(err, LEDGER_INVALID, "it gives no value");
	else
		status = evaluation_failed(st->db, code, err);
	sqlite3_reset(part->st);
	return status;
}
