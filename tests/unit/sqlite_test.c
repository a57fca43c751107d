/* Databases of projections: transactions, texts from the config, copies; and what is refused. */
#include "../../lib/fold/sqlite.h"
#include "ledger_fixture.h"

static struct ledger_error err;

static struct sqlite *open_path(const char *path)
{
	struct sqlite *db = NULL;
	struct sqlite_options options = { .path = path, .timeout = 5 * TIME_SECOND };
	MUST(sqlite_open_file(&db, &options, &err));
	return db;
}

static struct event sample(uint64_t position)
{
	return (struct event){ .position = position,
		.origin = SLICE("store-a"),
		.domain = SLICE("inventory"),
		.type = SLICE("stock_adjusted"),
		.stream = SLICE("product/a"),
		.payload = SLICE("{\"delta\":-2}") };
}

static uint64_t ask_own(struct sqlite *db, const char *text)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	uint64_t number = 0;
	bool row = false;
	MUST(sqlite_compile_own(db, text, &st, &err));
	MUST(sqlite_row(st, &row, &err));
	assert_true(row && sqlite_column_u64(st, 0, &number));
	return number;
}

static void script(struct sqlite *db, const char *text)
{
	MUST(sqlite_begin(db, &err));
	MUST(sqlite_run_script(db, slice_of(text), &err));
	MUST(sqlite_commit(db, &err));
}

static void apply(struct sqlite *db, const char *text, uint64_t position)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	struct event event = sample(position);
	MUST(sqlite_compile(db, slice_of(text), &st, &err));
	MUST(sqlite_apply(st, &event, &err));
}

static void effects_count_from_the_commit_on(void **state)
{
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *db = open_path(path_in(p, "stock.db", path));
	script(db, "create table t(a, b); -- with a comment\ncreate index i on t(a);\n");
	MUST(sqlite_begin(db, &err));
	apply(db, "insert into t values (:position, :payload->>'$.delta'); update t set b = b + 1;",
		5);
	sqlite_rollback(db);
	assert_false(sqlite_in_transaction(db));
	assert_int_equal(ask_own(db, "select count(*) from t"), 0);
	MUST(sqlite_begin(db, &err));
	apply(db, "insert into t values (:position, :payload->>'$.delta'); update t set b = b + 1;",
		5);
	MUST(sqlite_commit(db, &err));
	assert_int_equal(ask_sql(path, "select a * 100 + b from t"), 499);
}

static void own_statements_take_and_give_values(void **state)
{
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *db = open_path(path_in(p, "stock.db", path));
	CLEANUP_SQLITE_STMT struct sqlite_stmt *in = NULL, *out = NULL, *none = NULL;
	bool row = false;
	uint64_t number;
	script(db, "create table t(a, b, c)");
	MUST(sqlite_compile_own(db, "insert into t values (?1, ?2, ?3)", &in, &err));
	sqlite_bind_u64(in, 1, 42);
	sqlite_bind_text(in, 2, SLICE("text"));
	sqlite_bind_blob(in, 3, SLICE("\0\1"));
	MUST(sqlite_run(in, &err));
	sqlite_bind_text(in, 2, (struct slice){ NULL, 0 });
	MUST(sqlite_run(in, &err));
	MUST(sqlite_compile_own(db, "select a, b, c from t order by rowid", &out, &err));
	MUST(sqlite_row(out, &row, &err));
	assert_true(row && sqlite_column_u64(out, 0, &number) && number == 42);
	assert_true(slice_is(sqlite_column_text(out, 1), "text"));
	assert_int_equal(sqlite_column_blob(out, 2).len, 2);
	assert_false(sqlite_column_u64(out, 1, &number));
	assert_null(sqlite_column_text(out, 0).ptr);
	MUST(sqlite_row(out, &row, &err));
	assert_true(row && !sqlite_column_text(out, 1).ptr);
	MUST(sqlite_row(out, &row, &err));
	assert_false(row);
	MUST_FAIL(LEDGER_NO, sqlite_compile_own(db, "select 1 from nothing", &none, &err));
}

static void a_text_cannot_leave_its_database_nor_end_the_transaction(void **state)
{
	static const char *const texts[] = { "attach 'other.db' as other", "detach main", "commit",
		"end", "rollback", "savepoint s", "release s", "begin", "pragma journal_mode = off",
		"pragma writable_schema = on", "pragma synchronous = off",
		"select load_extension('x')", "select * from pragma_journal_mode",
		"insert into ledgerbox_cursor values (1)", "update Ledgerbox_Cursor set a = 1",
		"delete from ledgerbox_cursor", "drop table ledgerbox_cursor",
		"alter table ledgerbox_cursor add column b", "create table ledgerbox_x(a)",
		"create temp table ledgerbox_cursor(a)", "create view ledgerbox_v as select 1",
		"create trigger x after insert on ledgerbox_cursor begin select 1; end",
		"replace into ledgerbox_cursor values (1)", "vacuum", "vacuum into 'copy.db'" };
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *db = open_path(path_in(p, "stock.db", path));
	CLEANUP_SQLITE_STMT struct sqlite_stmt *own = NULL;
	MUST(sqlite_compile_own(db, "create table ledgerbox_cursor(a)", &own, &err));
	MUST(sqlite_run(own, &err));
	for (size_t i = 0; i < COUNT(texts); i++) {
		MUST(sqlite_begin(db, &err));
		err = (struct ledger_error){ 0 };
		enum ledger_status status = sqlite_run_script(db, slice_of(texts[i]), &err);
		if (status != LEDGER_USAGE && status != LEDGER_INVALID)
			fail_msg("%s: %d %s", texts[i], status, err.text);
		assert_true(sqlite_in_transaction(db));
		sqlite_rollback(db);
	}
	assert_int_equal(access("other.db", F_OK), -1);
	assert_int_equal(access("copy.db", F_OK), -1);
}

/* A trigger that a script makes writes as the text that sets it off. */
static void a_trigger_cannot_move_the_cursor_either(void **state)
{
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *db = open_path(path_in(p, "stock.db", path));
	CLEANUP_SQLITE_STMT struct sqlite_stmt *own = NULL, *st = NULL;
	MUST(sqlite_compile_own(db, "create table ledgerbox_cursor(a)", &own, &err));
	MUST(sqlite_run(own, &err));
	script(db, "create table t(a); create trigger x after insert on t begin insert into "
		   "ledgerbox_cursor values (1); end");
	MUST_FAIL(LEDGER_USAGE, sqlite_compile(db, SLICE("insert into t values (1)"), &st, &err));
	assert_non_null(strstr(err.text, "ledgerbox_cursor"));
}

static void a_failing_statement_is_named_with_its_reason(void **state)
{
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *db = open_path(path_in(p, "stock.db", path));
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL, *none = NULL;
	struct event event = sample(1);
	script(db, "create table t(a unique)");
	MUST(sqlite_compile(
		db, SLICE("insert into t\nvalues (1); insert into t values (1)"), &st, &err));
	MUST(sqlite_begin(db, &err));
	MUST_FAIL(LEDGER_INVALID, sqlite_apply(st, &event, &err));
	assert_non_null(strstr(err.text, "UNIQUE constraint failed: t.a"));
	assert_non_null(strstr(err.text, "insert into t values (1)"));
	sqlite_rollback(db);
	MUST_FAIL(LEDGER_USAGE, sqlite_compile(db, SLICE("insert into s values (1)"), &none, &err));
	assert_non_null(strstr(err.text, "no such table: s"));
	MUST_FAIL(LEDGER_USAGE,
		sqlite_compile(db, SLICE("insert into t values (:state)"), &none, &err));
	MUST_FAIL(LEDGER_USAGE,
		sqlite_compile(db, SLICE("insert into t values (:sku)"), &none, &err));
	assert_non_null(strstr(err.text, ":sku"));
	MUST_FAIL(LEDGER_USAGE, sqlite_compile(db, SLICE(" -- nothing\n;"), &none, &err));
	MUST_FAIL(LEDGER_USAGE, sqlite_run_script(db, SLICE("insert into t values (:id)"), &err));
}

static void a_ledger_is_no_target(void **state)
{
	const struct place *p = *state;
	char other[128], link_path[128];
	struct sqlite *db = NULL;
	struct sqlite_options options = { .path = p->db, .ledger = p->db, .timeout = TIME_SECOND };
	MUST_FAIL(LEDGER_REFUSED, sqlite_open_file(&db, &options, &err));
	options.path = path_in(p, "link.db", link_path);
	assert_int_equal(symlink(p->db, link_path), 0);
	MUST_FAIL(LEDGER_REFUSED, sqlite_open_file(&db, &options, &err));
	options.path = path_in(p, "copy.db", other);
	copy_file(p->db, other);
	MUST_FAIL(LEDGER_REFUSED, sqlite_open_file(&db, &options, &err));
	assert_non_null(strstr(err.text, "is a ledger"));
	options.path = p->key;
	MUST_FAIL(LEDGER_REFUSED, sqlite_open_file(&db, &options, &err));
	options.path = p->folder;
	MUST_FAIL(LEDGER_REFUSED, sqlite_open_file(&db, &options, &err));
	options = (struct sqlite_options){ .path = "nowhere.db", .read_only = true };
	MUST_FAIL(LEDGER_NO, sqlite_open_file(&db, &options, &err));
	assert_null(db);
}

static void a_second_writer_waits_and_then_says_busy(void **state)
{
	const struct place *p = *state;
	char path[128];
	CLEANUP_SQLITE struct sqlite *a = open_path(path_in(p, "stock.db", path)), *b = NULL;
	struct sqlite_options options = { .path = path, .timeout = 20000 };
	MUST(sqlite_open_file(&b, &options, &err));
	MUST(sqlite_begin(a, &err));
	MUST_FAIL(LEDGER_BUSY, sqlite_begin(b, &err));
	sqlite_rollback(a);
	MUST(sqlite_begin(b, &err));
}

/* One value from a connection that stays open. */
static int64_t ask_open(sqlite3 *reader, const char *sql)
{
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_prepare_v2(reader, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static uint64_t last_done, last_total;
static void watch_copy(uint64_t done, uint64_t total, void *context)
{
	(void)context;
	last_done = done;
	last_total = total;
}

static void a_copy_takes_the_place_under_open_readers(void **state)
{
	const struct place *p = *state;
	char path[128], second[128];
	sqlite3 *reader;
	uint32_t size;
	run_sql(path_in(p, "stock.db", path), "pragma page_size = 8192; pragma journal_mode = wal;"
					      "create table t(a); insert into t values (1)");
	CLEANUP_SQLITE struct sqlite *live = open_path(path), *fresh = NULL;
	MUST(sqlite_page_size(live, &size, &err));
	assert_int_equal(size, 8192);
	assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
	assert_int_equal(ask_open(reader, "select a from t"), 1);
	assert_int_equal(
		sqlite3_exec(reader, "begin; select a from t", NULL, NULL, NULL), SQLITE_OK);
	struct sqlite_options options = { .path = path_in(p, "stock.new", second),
		.scratch = true,
		.page_size = size,
		.timeout = TIME_SECOND };
	MUST(sqlite_open_file(&fresh, &options, &err));
	script(fresh,
		"create table t(a); insert into t values (2); create table big(b); insert into "
		"big values (zeroblob(40000000))");
	MUST(sqlite_copy_over(fresh, live, watch_copy, NULL, &err));
	assert_true(last_total > 4096 && last_done == last_total);
	assert_int_equal(ask_open(reader, "select a from t"), 1); /* its moment stays */
	assert_int_equal(sqlite3_exec(reader, "commit", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(ask_open(reader, "select a from t"), 2);
	assert_int_equal(ask_open(reader, "select length(b) from big"), 40000000);
	assert_int_equal(
		ask_open(reader, "select journal_mode = 'wal' from pragma_journal_mode"), 1);
	assert_int_equal(ask_own(live, "select a from t"), 2);
	sqlite3_close(reader);
}

static void a_path_is_a_path_whatever_is_in_it(void **state)
{
	static const char *const names[] = { ":memory:", "a?mode=memory", "50%20", "a#b",
		"file:x" };
	const struct place *p = *state;
	char path[128], before[4096];
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(p->folder), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		CLEANUP_SQLITE struct sqlite *db = open_path(names[i]);
		script(db, "create table t(a)");
		assert_int_equal(access(path_in(p, names[i], path), F_OK), 0);
	}
	char slashes[160];
	snprintf(slashes, sizeof(slashes), "/%s/two", p->folder);
	sqlite_close(open_path(slashes));
	assert_int_equal(chdir(before), 0);
}

#define ON_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PLACE(effects_count_from_the_commit_on),
		ON_PLACE(own_statements_take_and_give_values),
		ON_PLACE(a_text_cannot_leave_its_database_nor_end_the_transaction),
		ON_PLACE(a_trigger_cannot_move_the_cursor_either),
		ON_PLACE(a_failing_statement_is_named_with_its_reason),
		ON_PLACE(a_ledger_is_no_target),
		ON_PLACE(a_second_writer_waits_and_then_says_busy),
		ON_PLACE(a_copy_takes_the_place_under_open_readers),
		ON_PLACE(a_path_is_a_path_whatever_is_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
