/* The clock of events, which grows whatever the wall clock does. */
#include "ledger_fixture.h"

#include <sys/syscall.h>
#include <time.h>

static struct ledger_error err;

/* The wall clock of the ledger under test: this much off, in seconds (this definition stands before
 * that of libc). */
static int64_t clock_is_off;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	long failed = syscall(SYS_clock_gettime, clock, now);
	if (!failed && clock == CLOCK_REALTIME)
		now->tv_sec += clock_is_off;
	return (int)failed;
}

static int make(void **state)
{
	clock_is_off = 0;
	return place_make(state);
}

static int64_t clock_at(const struct place *p, int position)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "SELECT clock FROM event WHERE position = %d", position);
	return ask_sql(p->db, sql);
}

static void expect_verified(struct ledger *l)
{
	struct ledger_verify_options all = { .deep = true };
	struct ledger_verify_report report;
	MUST(ledger_verify(l, &all, &report, &err));
	assert_true(report.complete && report.seal && report.seal_mac);
	assert_int_equal(report.macs, report.last);
}

static void the_clock_grows_when_the_wall_clock_goes_back(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	append_one(l, &new);
	clock_is_off = -59;
	append_one(l, &new);
	assert_null(ledger_warning(l));
	clock_is_off = -3600;
	append_one(l, &new);
	assert_non_null(ledger_warning(l));
	assert_non_null(strstr(ledger_warning(l), "clock"));
	int64_t first = clock_at(p, 1);
	assert_int_equal(clock_at(p, 2), first + 1);
	assert_int_equal(clock_at(p, 3), first + 2);
	/* What happened when is another question. */
	assert_true(
		ask_sql(p->db, "SELECT time FROM event WHERE position = 3") < first - 3500000000);
	clock_is_off = 60;
	append_one(l, &new);
	assert_null(ledger_warning(l));
	assert_true(clock_at(p, 4) >= first + 60000000);
	expect_verified(l);
	ledger_close(l);
}

static void events_of_one_instant_have_clocks_that_grow(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 500);
	assert_int_equal(ask_sql(p->db, "SELECT count(DISTINCT clock) FROM event"), 500);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event a JOIN event b ON "
					"b.position = a.position + 1 WHERE b.clock <= a.clock"),
		0);
	ledger_close(l);
}

static void a_wall_clock_outside_2020_to_2200_is_refused(void **state)
{
	static const struct {
		int64_t now;
		bool good;
	} clocks[] = { { 0, false }, { 1577836790, false }, { 1577836810, true },
		{ 7258118390, true }, { 7258118410, false } };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	for (size_t i = 0; i < COUNT(clocks); i++) {
		struct timespec now;
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
		clock_is_off = clocks[i].now - now.tv_sec;
		if (clocks[i].good)
			MUST(ledger_append(l, &new, 1, NULL, &answer, &err));
		else
			MUST_FAIL(LEDGER_REFUSED, ledger_append(l, &new, 1, NULL, &answer, &err));
	}
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(the_clock_grows_when_the_wall_clock_goes_back),
		TEST(events_of_one_instant_have_clocks_that_grow),
		TEST(a_wall_clock_outside_2020_to_2200_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
