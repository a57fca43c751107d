/* Writing to a file whose schema somebody changed. */
#include "ledger_fixture.h"
#include "../../lib/store/store.h"

static enum ledger_status try_append(struct ledger *l)
{
	struct ledger_new new = plain();
	struct ledger_answer answer;
	struct ledger_error err;
	return ledger_append(l, &new, 1, NULL, &answer, &err);
}

static enum ledger_status try_cursor(struct ledger *l)
{
	struct ledger_error err;
	return ledger_cursor_set(l, SLICE("mail"), 0, &err);
}

static void a_changed_schema_is_not_written_to(void **state)
{
	static const char *const changes[] = {
		"CREATE TRIGGER evil BEFORE INSERT ON event BEGIN SELECT RAISE(IGNORE); END",
		"CREATE TRIGGER evil BEFORE INSERT ON event BEGIN WITH RECURSIVE c(n) AS "
		"(SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c; END",
		"CREATE INDEX evil ON event (time)",
		"DROP TRIGGER event_no_delete",
		"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
		"replace(sql, 'payload TEXT', 'payload TEXT COLLATE NOCASE') WHERE name = 'event'",
		"ANALYZE; PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
		"'CREATE TABLE sqlite_stat1(tbl,idx,stat,evil)' WHERE name = 'sqlite_stat1'",
	};
	const struct place *p = *state;
	char copy[128];
	for (size_t i = 0; i < COUNT(changes); i++) {
		sqlite3 *db;
		struct ledger_error err;
		struct ledger_options o = p->options;
		o.path = path_in(p, "copy.db", copy);
		char beside[160];
		for (size_t j = 0; j < 3; j++) { /* a new ledger is not made beside an old -wal */
			snprintf(beside, sizeof(beside), "%s%s", copy,
				(const char *[]){ "", "-wal", "-shm" }[j]);
			unlink(beside);
		}
		assert_int_equal(ledger_create(&o, &err), LEDGER_OK);
		assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		struct ledger *l = open_ledger(&o);
		assert_int_equal(try_append(l), LEDGER_DAMAGED);
		assert_int_equal(try_cursor(l), LEDGER_DAMAGED);
		ledger_close(l);
	}
}

/* Rewrites the text of a table. */
static void change_text(const char *db, const char *table, const char *from, const char *to)
{
	char sql[512];
	snprintf(sql, sizeof(sql),
		"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '%s', "
		"'%s'), type = 'x', name = 'x' WHERE name = '%s'",
		from, to, table);
	run_sql(db, sql);
}

/* One call of LIKE on them would take longer than any test waits. */
static void computed_columns_are_never_computed(void **state)
{
	static const struct {
		const char *table, *from;
	} changes[] = { { "event", "payload TEXT" }, { "seal", "clock INTEGER NOT NULL" },
		{ "cursor", "updated INTEGER NOT NULL" }, { "mark", "max_time INTEGER NOT NULL" } };
	const struct place *p = *state;
	char name[32], copy[128], to[256];
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct ledger *l;
		struct ledger_error err;
		struct ledger_options o = p->options;
		snprintf(name, sizeof(name), "computed-%zu.db", i);
		o.path = path_in(p, name, copy);
		MUST(ledger_create(&o, &err));
		snprintf(to, sizeof(to),
			"%s AS (replace(hex(zeroblob(900000)), ''00'', ''aaaa'') LIKE "
			"''%%a%%a%%a%%a%%a%%a%%ab'')",
			changes[i].from);
		change_text(copy, changes[i].table, changes[i].from, to);
		MUST_FAIL(LEDGER_DAMAGED, ledger_open(&l, &o, &err));
		o.mode = LEDGER_MODE_READ;
		MUST_FAIL(LEDGER_DAMAGED, ledger_open(&l, &o, &err));
		assert_non_null(strstr(err.text, "computed"));
	}
}

static void see_problem(const struct ledger_problem *problem, void *context)
{
	*(uint64_t *)context += strcmp(problem->code, "SCHEMA_CHANGED") == 0;
}

/* SQLite's own check of a file would compute them, row by row. */
static void expressions_of_a_changed_schema_are_not_computed_by_a_deep_verify(void **state)
{
	static const char *const changes[] = {
		"CREATE TABLE more (x CHECK (replace(hex(zeroblob(900000)), '00', 'aaaa') LIKE "
		"'%a%a%a%a%a%a%ab')); PRAGMA ignore_check_constraints = ON; INSERT INTO more "
		"VALUES (1)",
		"CREATE INDEX more_of_it ON event (position + 0)",
	};
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 3);
	ledger_close(l);
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct ledger_error err;
		struct ledger_verify_report report;
		uint64_t seen = 0;
		run_sql(p->db, changes[i]);
		struct ledger_verify_options deep = {
			.deep = true, .problem = see_problem, .context = &seen
		};
		l = open_ledger(&p->options);
		MUST_FAIL(LEDGER_DAMAGED, ledger_verify(l, &deep, &report, &err));
		assert_int_equal(seen, i + 1);
		assert_false(report.file);
		ledger_close(l);
	}
}

/* A table that schema.sql gets later has to be in the list of those that are asked. */
static void every_table_is_asked_for_computed_columns(void **state)
{
	const struct place *p = *state;
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' "
					"AND name NOT IN (VALUES " STORE_TABLES ")"),
		0);
}

static void a_change_between_two_batches_is_seen(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	assert_int_equal(try_append(l), LEDGER_OK);
	assert_int_equal(try_append(l), LEDGER_OK);
	run_sql(p->db, "CREATE INDEX evil ON event (time)");
	assert_int_equal(try_append(l), LEDGER_DAMAGED);
	run_sql(p->db, "DROP INDEX evil");
	assert_int_equal(try_append(l), LEDGER_OK);
	ledger_close(l);
}

static void statistics_and_vacuum_do_no_harm(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 10);
	run_sql(p->db, "ANALYZE; VACUUM");
	assert_int_equal(try_append(l), LEDGER_OK);
	assert_int_equal(try_cursor(l), LEDGER_OK);
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_changed_schema_is_not_written_to),
		TEST(computed_columns_are_never_computed),
		TEST(expressions_of_a_changed_schema_are_not_computed_by_a_deep_verify),
		TEST(every_table_is_asked_for_computed_columns),
		TEST(a_change_between_two_batches_is_seen),
		TEST(statistics_and_vacuum_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
