/* Writing to a file whose schema somebody changed. */
#include "ledger_fixture.h"

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
		TEST(a_change_between_two_batches_is_seen),
		TEST(statistics_and_vacuum_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
