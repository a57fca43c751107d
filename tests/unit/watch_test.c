/* Waiting: what another process commits wakes at once, and so does what comes in at a descriptor. */
#include "ledger_fixture.h"

#include <signal.h>
#include <time.h>

static struct ledger_error err;

/* Longer than any of these may take; nothing here waits for it to pass. */
#define PATIENCE (60 * TIME_SECOND)

/* What wakes later than this was not woken: it is the end of some interval. */
#define SOON (PATIENCE / 2)

/* Waits until there is nothing new. */
static void catch_up(struct ledger *l)
{
	bool changed = true;
	while (changed)
		MUST(ledger_watch(l, -1, 0, &changed, &err));
}

/* A process of its own that appends when told to, a byte each time, until the pipe ends. */
struct writer {
	pid_t pid;
	int tell;
};

static void write_when_told(const struct place *p, int told)
{
	char byte;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	while (read(told, &byte, 1) == 1)
		append_one(l, &new);
	ledger_close(l);
}

static struct writer start_writer(const struct place *p)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct writer w = { fork(), ends[1] };
	assert_true(w.pid >= 0);
	if (w.pid == 0) {
		close(ends[1]);
		write_when_told(p, ends[0]);
		_exit(0);
	}
	close(ends[0]);
	return w;
}

static void tell(struct writer *w)
{
	assert_int_equal(write(w->tell, "x", 1), 1);
}

static void stop_writer(struct writer *w)
{
	int status;
	close(w->tell);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

static void a_commit_of_another_process_wakes_at_once(void **state)
{
	const struct place *p = *state;
	struct writer w = start_writer(p);
	struct ledger_options options = p->options;
	options.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&options);
	for (uint64_t i = 1; i <= 20; i++) {
		bool changed = false;
		uint64_t last;
		catch_up(l);
		tell(&w);
		uint64_t begun = time_monotonic();
		MUST(ledger_watch(l, -1, PATIENCE, &changed, &err));
		uint64_t took = time_monotonic() - begun;
		assert_true(changed);
		MUST(ledger_last_position(l, &last, &err));
		assert_int_equal(last, i);
		if (took > SOON)
			fail_msg("woken after %" PRIu64 " ms", took / 1000);
	}
	ledger_close(l);
	stop_writer(&w);
}

/* The first is seen while the second one is written, which is not seen yet. */
static void of_two_commits_in_a_row_both_wake(void **state)
{
	const struct place *p = *state;
	struct writer w = start_writer(p), v = start_writer(p);
	struct ledger_options options = p->options;
	options.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&options);
	catch_up(l);
	for (uint64_t i = 1; i <= 200; i++) {
		uint64_t last = 0;
		tell(&w);
		tell(&v);
		tell(&w);
		for (uint64_t begun = time_monotonic(); last < 3 * i;) {
			bool changed = false;
			MUST(ledger_watch(l, -1, PATIENCE, &changed, &err));
			assert_true(changed);
			MUST(ledger_last_position(l, &last, &err));
			uint64_t took = time_monotonic() - begun;
			if (took > SOON && changed)
				fail_msg("round %" PRIu64 ": %" PRIu64 " of %" PRIu64
					 " after %" PRIu64 " ms",
					i, last, 3 * i, took / 1000);
		}
	}
	ledger_close(l);
	stop_writer(&v); /* it holds the other's pipe too */
	stop_writer(&w);
}

static void a_commit_before_the_wait_is_told_at_once(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	struct ledger_new new = plain();
	bool changed = false;
	catch_up(l);
	append_one(other, &new);
	uint64_t begun = time_monotonic();
	MUST(ledger_watch(l, -1, PATIENCE, &changed, &err));
	assert_true(changed);
	assert_true(time_monotonic() - begun < SOON);
	ledger_close(l);
	ledger_close(other);
}

/* A batch that is open, or was rolled back, is nothing new. */
static void what_is_not_committed_wakes_nobody(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	bool changed = true;
	catch_up(l);
	MUST(ledger_begin(other, &err));
	MUST(ledger_add(other, &new, NULL, &answer, &err));
	MUST(ledger_watch(l, -1, 20000, &changed, &err));
	assert_false(changed);
	ledger_rollback(other);
	MUST(ledger_watch(l, -1, 20000, &changed, &err));
	assert_false(changed);
	ledger_close(l);
	ledger_close(other);
}

static void a_descriptor_that_can_be_read_ends_the_wait(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	int ends[2];
	bool changed = true;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	catch_up(l);
	MUST(ledger_watch(l, ends[0], 1000, &changed, &err)); /* nothing to read yet */
	assert_false(changed);
	assert_int_equal(write(ends[1], "x", 1), 1);
	changed = true;
	uint64_t begun = time_monotonic();
	MUST(ledger_watch(l, ends[0], PATIENCE, &changed, &err));
	assert_true(time_monotonic() - begun < SOON);
	assert_false(changed);
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 1); /* it is left to the caller to read */
	close(ends[1]);
	MUST(ledger_watch(l, ends[0], PATIENCE, &changed, &err)); /* its end too */
	assert_true(time_monotonic() - begun < SOON);
	close(ends[0]);
	ledger_close(l);
}

static void a_wait_ends_with_its_timeout(void **state)
{
	static const uint64_t timeouts[] = { 0, 1, 1000, 50000, 250000 };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	catch_up(l);
	for (size_t i = 0; i < COUNT(timeouts); i++) {
		bool changed = true;
		uint64_t begun = time_monotonic();
		MUST(ledger_watch(l, -1, timeouts[i], &changed, &err));
		uint64_t took = time_monotonic() - begun;
		assert_false(changed);
		assert_true(took >= timeouts[i] && took < timeouts[i] + SOON);
	}
	ledger_close(l);
}

/* Processor time, in µs: a wait that polls shows here. */
static uint64_t processor_time(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * TIME_SECOND + (uint64_t)used.tv_nsec / 1000;
}

static void a_wait_costs_next_to_nothing(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	bool changed;
	catch_up(l);
	uint64_t before = processor_time();
	MUST(ledger_watch(l, -1, TIME_SECOND / 2, &changed, &err));
	assert_true(processor_time() - before < 20000);
	ledger_close(l);
}

static void ignore(int number)
{
	(void)number;
}

static void a_signal_ends_the_wait(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct sigaction act = { .sa_handler = ignore };
	bool changed = true;
	sigaction(SIGALRM, &act, NULL);
	catch_up(l);
	uint64_t begun = time_monotonic();
	ualarm(50000, 0);
	MUST(ledger_watch(l, -1, PATIENCE, &changed, &err));
	assert_false(changed);
	assert_true(time_monotonic() - begun < SOON);
	ledger_close(l);
}

/* The -wal is gone and made anew (a backup put in place, the last writer gone): the wait goes on. */
static void a_new_wal_is_watched_too(void **state)
{
	const struct place *p = *state;
	struct ledger_options options = p->options;
	options.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&options);
	bool changed;
	catch_up(l);
	for (int i = 0; i < 3; i++) {
		run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
		struct writer w = start_writer(p);
		catch_up(l);
		tell(&w);
		uint64_t begun = time_monotonic();
		MUST(ledger_watch(l, -1, PATIENCE, &changed, &err));
		assert_true(changed);
		assert_true(time_monotonic() - begun < SOON);
		stop_writer(&w);
	}
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_commit_of_another_process_wakes_at_once),
		TEST(of_two_commits_in_a_row_both_wake),
		TEST(a_commit_before_the_wait_is_told_at_once),
		TEST(what_is_not_committed_wakes_nobody),
		TEST(a_descriptor_that_can_be_read_ends_the_wait),
		TEST(a_wait_ends_with_its_timeout),
		TEST(a_wait_costs_next_to_nothing),
		TEST(a_signal_ends_the_wait),
		TEST(a_new_wal_is_watched_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
