/* The schema as it stands in a file: guards, settings, the view for people. */
#include "ledger_fixture.h"

static void guards_refuse_to_change_what_is_recorded(void **state)
{
	static const char *const attempts[] = { "UPDATE event SET payload = '1'",
		"DELETE FROM event", "REPLACE INTO event SELECT * FROM event",
		"UPDATE term SET term = 'x:1'", "DELETE FROM term", "DELETE FROM stream",
		"REPLACE INTO stream SELECT * FROM stream", "UPDATE stream SET version = 1",
		"UPDATE stream SET stream = 'x/y'", "UPDATE domain SET name = 'x'",
		"UPDATE chain SET epoch = 1", "DELETE FROM chain", "DELETE FROM seal",
		"UPDATE signing_key SET name = 'x'", "UPDATE mark SET max_time = 0",
		"DELETE FROM mark", "REPLACE INTO mark SELECT * FROM mark" };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	const struct slice tag = TEXT("a:1");
	struct ledger_new new = plain();
	new.stream = SLICE("a/b");
	new.tags = &tag;
	new.n_tags = 1;
	append_one(l, &new);
	append_many(l, 1024);
	for (size_t i = 0; i < COUNT(attempts); i++) {
		sqlite3 *db;
		assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
		if (sqlite3_exec(db, attempts[i], NULL, NULL, NULL) != SQLITE_CONSTRAINT)
			fail_msg("%s", attempts[i]);
		sqlite3_close(db);
	}
	ledger_close(l);
}

static void the_file_says_what_it_is(void **state)
{
	const struct place *p = *state;
	assert_int_equal(ask_sql(p->db, "PRAGMA application_id"), 0x4c424f58);
	assert_int_equal(ask_sql(p->db, "PRAGMA user_version"), 1);
	assert_int_equal(
		ask_sql(p->db,
			"SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"),
		1);
}

static void the_view_shows_what_an_event_says(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.has_time = true;
	new.time = 1763658000123456;
	new.stream = SLICE("product/sku-1");
	append_one(l, &new);
	ledger_close(l);
	assert_int_equal(
		ask_sql(p->db,
			"SELECT count(*) FROM events WHERE position = 1 AND origin = 'store-a' AND "
			"domain = 'inventory' AND sequence = 1 AND stream = 'product/sku-1' AND "
			"version = 1 AND type = 'stock_adjusted' AND "
			"time = '2025-11-20T17:00:00.123456Z' AND payload = '{\"delta\":-2}' AND "
			"length(id) = 36 AND length(hash) = 64 AND key LIKE 'hs256-%'"),
		1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(guards_refuse_to_change_what_is_recorded),
		TEST(the_file_says_what_it_is),
		TEST(the_view_shows_what_an_event_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
