/* Expressions of reducers and upcasters: what they may use, and that nothing gets out. */
#include "../../lib/fold/sqlite.h"
#include "ledger_fixture.h"

static struct ledger_error err;
static struct sqlite *db;

static int open_db(void **state)
{
	(void)state;
	MUST(sqlite_open_sealed(&db, &err));
	return 0;
}

static int close_db(void **state)
{
	(void)state;
	sqlite_close(db);
	return 0;
}

static struct event sample(void)
{
	return (struct event){
		.position = 7,
		.id = { 0x01, 0xa1 },
		.origin = SLICE("store-a"),
		.epoch = 5,
		.domain = SLICE("inventory"),
		.sequence = 3,
		.stream = SLICE("product/a/b"),
		.version = 2,
		.type = SLICE("stock_adjusted"),
		.schema = 4,
		.clock = 1763658000123456,
		.time = 1763657998000000,
		.payload = SLICE("{\"delta\":-2,\"tags\":[\"x\",\"y\"]}"),
		.metadata = SLICE("{\"actor\":\"ada\"}"),
	};
}

static void expect(const char *expression, const char *value)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	CLEANUP_BUF struct buf out = { 0 };
	struct event event = sample();
	MUST(sqlite_compile_expression(db, FOR_REDUCER, slice_of(expression), &st, &err));
	MUST(sqlite_evaluate(st, &event, SLICE("{\"quantity\":12}"), &out, &err));
	assert_string_equal(buf_text(&out), value);
}

/* It is refused, when it is compiled or when it runs, and the reason has that word in it. */
static void expect_refused(const char *expression, const char *word)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	CLEANUP_BUF struct buf out = { 0 };
	struct event event = sample();
	struct slice state = SLICE("{\"quantity\":12}");
	err = (struct ledger_error){ .status = LEDGER_OK };
	enum ledger_status status =
		sqlite_compile_expression(db, FOR_REDUCER, slice_of(expression), &st, &err);
	if (status == LEDGER_OK) {
		status = sqlite_evaluate(st, &event, state, &out, &err);
		assert_true(status == LEDGER_OK || status == LEDGER_INVALID);
	} else {
		assert_int_equal(status, LEDGER_USAGE);
	}
	if (status == LEDGER_OK)
		fail_msg("%s gives %s", expression, buf_text(&out));
	if (!strstr(err.text, word))
		fail_msg("%s: '%s' without '%s'", expression, err.text, word);
}

static void every_field_of_an_event_is_a_parameter(void **state)
{
	(void)state;
	expect(":state", "{\"quantity\":12}");
	expect(":payload", "{\"delta\":-2,\"tags\":[\"x\",\"y\"]}");
	expect(":metadata", "{\"actor\":\"ada\"}");
	expect(":type", "stock_adjusted");
	expect(":schema", "4");
	expect("typeof(:schema) || typeof(:version) || typeof(:time)", "integerintegertext");
	expect(":id", "01a10000-0000-0000-0000-000000000000");
	expect(":origin", "store-a");
	expect(":domain", "inventory");
	expect(":stream_type", "product");
	expect(":stream_key", "a/b");
	expect(":version", "2");
	expect(":time", "2025-11-20T16:59:58.000000Z");
	expect(":clock", "2025-11-20T17:00:00.123456Z");
}

static void what_an_event_does_not_have_is_null(void **state)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	CLEANUP_BUF struct buf out = { 0 };
	struct event event = sample();
	(void)state;
	event.stream = event.metadata = (struct slice){ NULL, 0 };
	MUST(sqlite_compile_expression(db, FOR_UPCASTER,
		SLICE("(:metadata is null) + (:stream_type is null) + (:stream_key is null)"), &st,
		&err));
	MUST(sqlite_evaluate(st, &event, (struct slice){ NULL, 0 }, &out, &err));
	assert_string_equal(buf_text(&out), "3");
}

static void a_parameter_belongs_to_its_use(void **state)
{
	static const struct {
		enum sqlite_use use;
		struct slice text;
	} cases[] = {
		{ FOR_UPCASTER, TEXT(":state") },
		{ FOR_REDUCER, TEXT(":position") },
		{ FOR_REDUCER, TEXT(":sate") },
		{ FOR_REDUCER, TEXT("?") },
		{ FOR_REDUCER, TEXT("?1") },
		{ FOR_REDUCER, TEXT("@payload") },
		{ FOR_REDUCER, TEXT("$payload") },
	};
	struct sqlite_stmt *st = NULL;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		MUST_FAIL(LEDGER_USAGE,
			sqlite_compile_expression(db, cases[i].use, cases[i].text, &st, &err));
	assert_null(st);
}

static void json_and_dates_can_be_worked_with(void **state)
{
	(void)state;
	expect("json_set(:state, '$.quantity', (:state->>'$.quantity') + (:payload->>'$.delta'))",
		"{\"quantity\":10}");
	expect("(select json_group_array(value) from json_each(:payload, '$.tags') where value <> "
	       "'x')",
		"[\"y\"]");
	expect("select count(*) from json_tree(:payload)", "5");
	expect("(with t as (select 1 as a union all select 2) select sum(a) from t)", "3");
	expect("date(:time, '+1 day')", "2025-11-21");
	expect("strftime('%Y', :clock)", "2025");
	expect("unixepoch(:time)", "1763657998");
	expect("coalesce(date(NULL), 'none')", "none");
	expect("1 -- and a comment", "1");
	expect("round(2.5) || max(1, 2) || upper('x') || sqrt(4.0)", "3.02X2.0");
}

static void only_functions_that_always_give_the_same_are_there(void **state)
{
	static const char *const texts[] = { "random()", "hex(randomblob(4))", "date('now')",
		"date('NOW')", "datetime()", "date()", "time('now', '+1 day')", "strftime('%Y')",
		"strftime('%Y', 'now')", "julianday('now')", "unixepoch('now')",
		"datetime(:time, 'localtime')", "datetime(:time, 'UTC')", "current_timestamp",
		"current_date", "current_time", "date('subsec')", "sqlite_version()",
		"sqlite_source_id()", "changes()", "total_changes()", "last_insert_rowid()",
		"sin(1.0)", "exp(1.0)", "soundex('x')" };
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_refused(texts[i], "is refused here");
}

static void nothing_outside_is_reached(void **state)
{
	static const char *const texts[] = { "(select count(*) from sqlite_schema)",
		"(select sql from sqlite_master)", "load_extension('/tmp/x.so')",
		"(select * from pragma_table_list)", "(select file from pragma_database_list)",
		"(select name from pragma_function_list)", "(select * from dbstat)",
		"(select sql from sqlite_stmt)", "fts3_tokenizer('simple')" };
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_refused(texts[i], "refused");
	expect_refused("readfile('/etc/passwd')", "no such function");
	expect_refused("(select * from csv)", "no such table");
	expect_refused("\"payload\"", "no such column");
}

static void one_expression_is_not_a_script(void **state)
{
	static const char *const texts[] = { "", " ", "1), (2", "1); attach 'x.db' as y; select (1",
		"1;", "1; select 2", "attach 'x.db' as y", "(attach 'x.db' as y)",
		"create table t(a)", "pragma journal_mode", "1 /*", "vacuum", "(delete from t)",
		"(insert into t values (1) returning 1)", "*" };
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct sqlite_stmt *st = NULL;
		MUST_FAIL(LEDGER_USAGE,
			sqlite_compile_expression(db, FOR_REDUCER, slice_of(texts[i]), &st, &err));
		assert_null(st);
	}
}

static void what_would_run_for_ever_is_stopped(void **state)
{
	(void)state;
	expect_refused("(with recursive n(i) as (select 1 union all select i + 1 from n) select "
		       "max(i) from n)",
		"recursion");
	expect_refused(
		"(with a(x) as (select value from json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6]')) "
		"select sum(a.x+b.x+c.x+d.x+e.x+f.x+g.x+h.x+i.x+j.x) from "
		"a, a b, a c, a d, a e, a f, a g, a h, a i, a j)",
		"seconds");
	expect("1 + 1", "2"); /* and it goes on */
}

static void what_would_be_a_gigabyte_is_refused(void **state)
{
	(void)state;
	expect_refused("hex(printf('%.*c', 1000000, 'x'))", "KiB");
	expect_refused("printf('%.*c', 1000000000, 'x')", "it gives NULL");
	expect_refused(
		"replace(printf('%.*c', 40000, 'x'), 'x', printf('%.*c', 40000, 'x'))", "KiB");
	expect_refused(
		"(select group_concat(a.value || b.value || printf('%.*c', 1000, 'x')) from "
		"json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]') a,"
		"json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]') b,"
		"json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]') c)",
		"KiB");
	expect("1 + 1", "2");
}

/* Each value is small enough, but there are many. */
static void memory_has_a_limit(void **state)
{
	(void)state;
	expect_refused("(with a(x) as (select value from json_each('[1,2,3,4,5,6,7,8,9,0]')), "
		       "big(x, y) as materialized (select a.x+b.x+c.x+d.x, printf('%.*c', 500000, "
		       "'x') from a, a b, a c, a d) select count(distinct y || x) from big)",
		"MiB of memory");
	expect("1 + 1", "2");
	assert_int_equal(sqlite3_hard_heap_limit64(-1), 0);
	assert_int_equal(sqlite3_soft_heap_limit64(-1), 0);
}

static void a_state_is_text_or_a_number(void **state)
{
	(void)state;
	expect("1.5", "1.5");
	expect("9223372036854775807", "9223372036854775807");
	expect_refused("NULL", "NULL");
	expect_refused("x'00'", "BLOB");
	expect_refused(":state->'$.nothing'", "NULL");
	expect_refused("json('{')", "malformed JSON");
	expect_refused("abs(-9223372036854775808)", "overflow");
}

static void a_state_of_the_largest_size_goes_in_and_out(void **state)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	CLEANUP_BUF struct buf big = { 0 }, out = { 0 };
	struct event event = sample();
	(void)state;
	memset(buf_extend(&big, SQLITE_STATE_MAX), '1', SQLITE_STATE_MAX);
	MUST(sqlite_compile_expression(db, FOR_REDUCER, SLICE(":state"), &st, &err));
	MUST(sqlite_evaluate(st, &event, buf_slice(&big), &out, &err));
	assert_int_equal(out.len, SQLITE_STATE_MAX);
	buf_add_char(&big, '1');
	MUST_FAIL(LEDGER_INVALID, sqlite_evaluate(st, &event, buf_slice(&big), &out, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_an_event_is_a_parameter),
		cmocka_unit_test(what_an_event_does_not_have_is_null),
		cmocka_unit_test(a_parameter_belongs_to_its_use),
		cmocka_unit_test(json_and_dates_can_be_worked_with),
		cmocka_unit_test(only_functions_that_always_give_the_same_are_there),
		cmocka_unit_test(nothing_outside_is_reached),
		cmocka_unit_test(one_expression_is_not_a_script),
		cmocka_unit_test(what_would_run_for_ever_is_stopped),
		cmocka_unit_test(what_would_be_a_gigabyte_is_refused),
		cmocka_unit_test(memory_has_a_limit),
		cmocka_unit_test(a_state_is_text_or_a_number),
		cmocka_unit_test(a_state_of_the_largest_size_goes_in_and_out),
	};
	return cmocka_run_group_tests(tests, open_db, close_db);
}
