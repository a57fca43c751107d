/* Cursors: how far a named consumer has come, and whether the history is still the one it read. */
#include "ledger_fixture.h"

static struct ledger_error err;

static void a_cursor_is_set_moved_and_deleted(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	uint64_t position = 99;
	append_many(l, 5);
	MUST_FAIL(LEDGER_NO, ledger_cursor_get(l, SLICE("mail"), &position, &err));
	assert_int_equal(position, 99);
	MUST(ledger_cursor_set(l, SLICE("mail"), 5, &err));
	MUST(ledger_cursor_get(l, SLICE("mail"), &position, &err));
	assert_int_equal(position, 5);
	MUST(ledger_cursor_set(l, SLICE("mail"), 2, &err)); /* back, too */
	MUST(ledger_cursor_get(l, SLICE("mail"), &position, &err));
	assert_int_equal(position, 2);
	MUST(ledger_cursor_delete(l, SLICE("mail"), &err));
	MUST_FAIL(LEDGER_NO, ledger_cursor_get(l, SLICE("mail"), &position, &err));
	MUST_FAIL(LEDGER_NO, ledger_cursor_delete(l, SLICE("mail"), &err));
	assert_non_null(strstr(err.text, "mail"));
	ledger_close(l);
}

static void a_cursor_can_stand_before_the_first_event(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	uint64_t position = 99;
	MUST(ledger_cursor_set(l, SLICE("mail"), 0, &err));
	MUST(ledger_cursor_get(l, SLICE("mail"), &position, &err));
	assert_int_equal(position, 0);
	ledger_close(l);
}

static void a_cursor_cannot_stand_where_no_event_is(void **state)
{
	static const uint64_t positions[] = { 6, 1000, INT64_MAX, UINT64_MAX };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	for (size_t i = 0; i < COUNT(positions); i++)
		MUST_FAIL(LEDGER_INVALID, ledger_cursor_set(l, SLICE("mail"), positions[i], &err));
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM cursor"), 0);
	MUST(ledger_cursor_set(l, SLICE("mail"), 5, &err)); /* and the lock is free again */
	ledger_close(l);
}

static const struct {
	struct slice name;
	bool good;
} names[] = {
	{ TEXT("mail"), true },
	{ TEXT("A.b:c-d_E9"), true },
	{ TEXT(""), false },
	{ { NULL, 0 }, false },
	{ TEXT("a b"), false },
	{ TEXT("a/b"), false },
	{ TEXT("é"), false },
	{ TEXT("a\n"), false },
	{ TEXT("a\0"), false },
};

static void a_cursor_has_the_name_of_a_token_with_dots_and_colons(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	char longest[130];
	uint64_t position;
	for (size_t i = 0; i < COUNT(names); i++) {
		enum ledger_status want = names[i].good ? LEDGER_OK : LEDGER_INVALID;
		assert_int_equal(ledger_cursor_set(l, names[i].name, 0, &err), want);
		assert_int_equal(ledger_cursor_get(l, names[i].name, &position, &err), want);
		assert_int_equal(ledger_cursor_delete(l, names[i].name, &err), want);
	}
	memset(longest, 'x', sizeof(longest));
	MUST(ledger_cursor_set(l, (struct slice){ longest, 128 }, 0, &err));
	MUST_FAIL(LEDGER_INVALID, ledger_cursor_set(l, (struct slice){ longest, 129 }, 0, &err));
	ledger_close(l);
}

static enum ledger_status add_to_list(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *unused)
{
	(void)unused;
	buf_addf(context, "%.*s=%" PRIu64 " ", SLICE_ARG(cursor->name), cursor->position);
	assert_true(
		cursor->updated <= time_now() && cursor->updated + 60 * TIME_SECOND > time_now());
	return LEDGER_OK;
}

static void cursors_are_listed_by_name(void **state)
{
	static const char *const in[] = { "b", "a", "B", "a.1" };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	CLEANUP_BUF struct buf list = { 0 };
	append_many(l, 4);
	for (size_t i = 0; i < COUNT(in); i++)
		MUST(ledger_cursor_set(l, slice_of(in[i]), i + 1, &err));
	MUST(ledger_cursors(l, add_to_list, &list, &err));
	assert_string_equal(buf_text(&list), "B=3 a=2 a.1=4 b=1 ");
	ledger_close(l);
}

static enum ledger_status stop_at_once(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *unused)
{
	(void)cursor;
	(void)unused;
	++*(int *)context;
	return LEDGER_UNKNOWN;
}

static void a_list_ends_when_its_reader_says_so(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	int n = 0;
	MUST(ledger_cursor_set(l, SLICE("a"), 0, &err));
	MUST(ledger_cursor_set(l, SLICE("b"), 0, &err));
	assert_int_equal(ledger_cursors(l, stop_at_once, &n, &err), LEDGER_UNKNOWN);
	assert_int_equal(n, 1);
	MUST(ledger_cursor_set(l, SLICE("c"), 0, &err)); /* nothing is left open */
	ledger_close(l);
}

/* What makes a cursor one of another history: by SQL that an older copy put back amounts to. */
static const char *const other_histories[] = {
	"UPDATE cursor SET hash = zeroblob(32)",
	"UPDATE cursor SET position = 2",
	"UPDATE cursor SET position = 99",
	"UPDATE cursor SET position = 0",
	"DROP TRIGGER event_no_delete; DELETE FROM event WHERE position = 3",
	"DROP TRIGGER event_no_update; UPDATE event SET hash = zeroblob(32) WHERE position = 3",
};

static void a_cursor_of_another_history_is_refused(void **state)
{
	const struct place *p = *state;
	char copy[128];
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	MUST(ledger_cursor_set(l, SLICE("mail"), 3, &err));
	ledger_close(l);
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (size_t i = 0; i < COUNT(other_histories); i++) {
		struct ledger_options options = p->options;
		uint64_t position;
		copy_file(p->db, path_in(p, "copy.db", copy));
		run_sql(copy, other_histories[i]);
		run_sql(copy, "PRAGMA wal_checkpoint(TRUNCATE)");
		options.path = copy;
		options.mode = LEDGER_MODE_READ;
		l = open_ledger(&options);
		if (ledger_cursor_get(l, SLICE("mail"), &position, &err) != LEDGER_REFUSED)
			fail_msg("%s", other_histories[i]);
		assert_non_null(strstr(err.hint, "cursor set"));
		ledger_close(l);
	}
}

static void a_reader_cannot_set_a_cursor(void **state)
{
	struct place *p = *state;
	p->options.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_REFUSED, ledger_cursor_set(l, SLICE("mail"), 0, &err));
	MUST_FAIL(LEDGER_REFUSED, ledger_cursor_delete(l, SLICE("mail"), &err));
	ledger_close(l);
}

static void a_cursor_waits_for_the_lock_no_longer_than_the_timeout(void **state)
{
	struct place *p = *state;
	p->options.timeout = 20000;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	MUST(ledger_begin(l, &err));
	MUST_FAIL(LEDGER_BUSY, ledger_cursor_set(other, SLICE("mail"), 0, &err));
	ledger_rollback(l);
	MUST(ledger_cursor_set(other, SLICE("mail"), 0, &err));
	ledger_close(l);
	ledger_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_cursor_is_set_moved_and_deleted),
		TEST(a_cursor_can_stand_before_the_first_event),
		TEST(a_cursor_cannot_stand_where_no_event_is),
		TEST(a_cursor_has_the_name_of_a_token_with_dots_and_colons),
		TEST(cursors_are_listed_by_name),
		TEST(a_list_ends_when_its_reader_says_so),
		TEST(a_cursor_of_another_history_is_refused),
		TEST(a_reader_cannot_set_a_cursor),
		TEST(a_cursor_waits_for_the_lock_no_longer_than_the_timeout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
