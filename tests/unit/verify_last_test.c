/* verify --since-last: what the last complete run left in the state folder, and what is built on it. */
#include "verify_fixture.h"

static struct ledger_error err;

static const struct ledger_verify_options whole = { .workers = 1 },
					  since_last = { .since_last = true };

static const char *state_path(const struct place *p)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/store-a-%" PRId64 ".verified", p->state,
		ask_sql(p->db, "SELECT epoch FROM seal"));
	return path;
}

/* A run that must be good and read these positions. */
static void expect_read(
	struct ledger *l, const struct ledger_verify_options *o, uint64_t from, uint64_t to)
{
	const struct verdict *v = verify_open(l, o);
	if (v->status)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_OK);
	assert_true(v->report.complete);
	assert_int_equal(v->report.from, from);
	assert_int_equal(v->report.to, to);
	assert_int_equal(v->report.events, to + 1 - from);
}

static struct ledger_last_verify last_of(struct ledger *l)
{
	struct ledger_last_verify last;
	MUST(ledger_last_verify(l, &last, &err));
	assert_true(last.finished <= time_now() && last.finished + 60 * TIME_SECOND > time_now());
	return last;
}

static void only_what_is_new_is_read(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_last_verify last;
	append_many(l, 1500);
	MUST_FAIL(LEDGER_NO, ledger_last_verify(l, &last, &err));
	expect_read(l, &since_last, 1, 1500); /* the first time all of it */
	assert_int_equal(last_of(l).position, 1500);
	assert_true(last_of(l).ok);
	append_many(l, 1500);
	expect_read(l, &since_last, 1501, 3000);
	append_many(l, 1);
	expect_read(l, &since_last, 3001, 3001);
	expect_read(l, &whole, 1, 3001);
	ledger_close(l);
}

static void nothing_new_is_nothing_wrong(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	expect_read(l, &since_last, 1, 0);
	append_many(l, 5);
	expect_read(l, &since_last, 1, 5);
	expect_read(l, &since_last, 6, 5);
	expect_read(l, &since_last, 6, 5);
	ledger_close(l);
}

static void damage_behind_the_last_run_is_found(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	expect_read(l, &since_last, 1, 5);
	append_many(l, 5);
	ledger_close(l);
	tamper(p->db, "UPDATE event SET payload = '1' WHERE position = 8");
	const struct verdict *v = verify_file_at(&p->options, p->db, &since_last);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "HASH_MISMATCH", 8));
	/* It is remembered, and the next run begins at the beginning. */
	l = open_ledger(&p->options);
	assert_false(last_of(l).ok);
	v = verify_open(l, &since_last);
	assert_int_equal(v->report.from, 1);
	ledger_close(l);
}

/* What was verified must still be there. */
static const char *const rollbacks[] = {
	"DELETE FROM event WHERE position >= 5",
	"UPDATE event SET hash = zeroblob(32) WHERE position = 5",
};

static void a_ledger_that_lacks_what_was_verified_is_damaged(void **state)
{
	struct place *p = *state;
	char copy[128];
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	for (size_t i = 0; i < COUNT(rollbacks); i++) {
		expect_read(l, &whole, 1, 5);
		run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
		copy_file(p->db, path_in(p, "copy.db", copy));
		tamper(copy, rollbacks[i]);
		const struct verdict *v = verify_file_at(&p->options, copy, &since_last);
		assert_int_equal(v->status, LEDGER_DAMAGED);
		if (!has_finding(v, "ROLLED_BACK", 5))
			fail_msg("%s", rollbacks[i]);
	}
	ledger_close(l);
}

/* Runs that did not read all of it, or checked no MACs, are nothing to build on. */
/* The file shows nothing of it, and the run that finds it must not be the last that does. */
static void what_was_verified_is_asked_for_until_it_is_there(void **state)
{
	const struct place *p = *state;
	char copy[128];
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	ledger_close(l);
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(p->db, path_in(p, "copy.db", copy));
	l = open_ledger(&p->options);
	append_many(l, 5);
	expect_read(l, &whole, 1, 10);
	ledger_close(l);
	copy_file(copy, p->db);
	for (int run = 0; run < 3; run++) {
		const struct verdict *v =
			verify_file_at(&p->options, p->db, run == 1 ? &since_last : &whole);
		assert_int_equal(v->status, LEDGER_DAMAGED);
		assert_true(has_finding(v, "ROLLED_BACK", 0));
	}
	l = open_ledger(&p->options);
	assert_false(last_of(l).ok);
	assert_int_equal(last_of(l).position, 10);
	ledger_close(l);
}

static void a_partial_run_is_not_remembered(void **state)
{
	static const struct ledger_verify_options parts[] = {
		{ .from = 2 },
		{ .to = 4 },
		{ .domain = TEXT("inventory") },
		{ .origin = TEXT("store-a") },
		{ .hash_only = true },
		{ .since_last = true, .hash_only = true },
		{ .since_last = true, .domain = TEXT("nowhere") },
	};
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct ledger_last_verify last;
		assert_int_equal(verify_open(l, &parts[i])->status, LEDGER_OK);
		if (ledger_last_verify(l, &last, &err) != LEDGER_NO)
			fail_msg("row %zu is remembered", i);
	}
	ledger_close(l);
}

static void a_run_without_the_key_is_not_remembered(void **state)
{
	const struct place *p = *state;
	struct ledger_options o = p->options;
	struct ledger_last_verify last;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	ledger_close(l);
	o.sign_key = NULL;
	assert_int_equal(verify_file_at(&o, p->db, &since_last)->status, LEDGER_UNVERIFIED);
	l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_NO, ledger_last_verify(l, &last, &err));
	ledger_close(l);
}

/* Somebody without the key cannot say that all was verified. */
static void a_forged_or_garbled_state_is_not_believed(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 5);
	expect_read(l, &since_last, 1, 5);
	char line[256];
	int fd = open(state_path(p), O_RDWR | O_CLOEXEC);
	ssize_t n = read(fd, line, sizeof(line));
	assert_true(n > 150);
	for (ssize_t i = 0; i < n; i++) {
		struct ledger_last_verify last;
		char garbled[256];
		memcpy(garbled, line, (size_t)n);
		garbled[i] ^= 1;
		assert_int_equal(pwrite(fd, garbled, (size_t)n, 0), n);
		if (i < n - 1 && ledger_last_verify(l, &last, &err) != LEDGER_NO)
			fail_msg("byte %zd: believed", i);
	}
	for (ssize_t i = 0; i < n - 1; i += 9) {
		struct ledger_last_verify last;
		assert_int_equal(pwrite(fd, line, (size_t)n, 0), n);
		assert_int_equal(ftruncate(fd, i), 0);
		MUST_FAIL(LEDGER_NO, ledger_last_verify(l, &last, &err));
	}
	close(fd);
	append_many(l, 5);
	expect_read(l, &since_last, 1, 10);
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(only_what_is_new_is_read),
		TEST(nothing_new_is_nothing_wrong),
		TEST(damage_behind_the_last_run_is_found),
		TEST(a_ledger_that_lacks_what_was_verified_is_damaged),
		TEST(what_was_verified_is_asked_for_until_it_is_there),
		TEST(a_partial_run_is_not_remembered),
		TEST(a_run_without_the_key_is_not_remembered),
		TEST(a_forged_or_garbled_state_is_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
