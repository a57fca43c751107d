/* The shared order, held against a sort of everything. */
#include "ledger_fixture.h"

#include "../../lib/replay.h"

static struct ledger_error err;

#define EVENTS 400

struct seen {
	uint64_t positions[EVENTS + 1];
	size_t n, stop_after; /* leave the reading after so many; 0: never */
};

static enum ledger_status see(const struct event *event, void *context, struct ledger_error *e)
{
	struct seen *seen = context;
	(void)e;
	assert_true(seen->n <= EVENTS);
	seen->positions[seen->n++] = event->position;
	return seen->stop_after && seen->n % seen->stop_after == 0 ? LEDGER_NO : LEDGER_OK;
}

/* Events of several chains, whose clocks are moved so that they interleave unlike their positions. */
static void make_ledger(const struct place *p)
{
	static const char *const domains[] = { "a", "b", "c", "d", "e" };
	struct ledger *l = open_ledger(&p->options);
	unsigned seed = 7;
	MUST(ledger_begin(l, &err));
	for (int i = 0; i < EVENTS; i++) {
		struct ledger_new new = plain();
		struct ledger_answer answer;
		new.domain = slice_of(domains[(unsigned)rand_r(&seed) % COUNT(domains)]);
		MUST(ledger_add(l, &new, NULL, &answer, &err));
	}
	MUST(ledger_commit(l, &err));
	ledger_close(l);
	run_sql(p->db, "DROP TRIGGER event_no_update; UPDATE event SET clock = "
		       "1800000000000000 + sequence * 10 + (chain * 7919) % 300 - chain % 2;");
}

/* The positions from..to as SQL sorts them. */
static void expect(const struct place *p, uint64_t from, uint64_t to, size_t stop_after)
{
	struct ledger *l = open_ledger(&p->options);
	struct ledger_filter filter = { 0 };
	struct ledger_shared *shared;
	struct seen seen = { .stop_after = stop_after };
	enum ledger_status status;
	char sql[400];
	MUST(ledger_shared_open(&shared, l, from, to, &err));
	do
		status = ledger_shared_read(shared, &filter, see, &seen, &err);
	while (status == LEDGER_NO);
	MUST(status);
	ledger_shared_close(shared);
	ledger_close(l);
	snprintf(sql, sizeof(sql),
		"SELECT count(*) FROM event WHERE position BETWEEN %" PRIu64 " AND %" PRIu64, from,
		to);
	assert_int_equal(seen.n, ask_sql(p->db, sql));
	for (size_t i = 0; i < seen.n; i++) {
		snprintf(sql, sizeof(sql),
			"SELECT event.position FROM event JOIN chain ON chain.id = chain JOIN "
			"domain "
			"ON domain.id = chain.domain WHERE position BETWEEN %" PRIu64
			" AND %" PRIu64 " ORDER BY clock, origin, epoch, name, sequence LIMIT 1 "
			"OFFSET %zu",
			from, to, i);
		assert_int_equal(seen.positions[i], ask_sql(p->db, sql));
	}
}

static void chains_are_merged_as_a_sort_would(void **state)
{
	const struct place *p = *state;
	make_ledger(p);
	expect(p, 1, EVENTS, 0);
	assert_int_not_equal(ask_sql(p->db, "SELECT count(*) FROM event a JOIN event b ON "
					    "b.position = a.position + 1 WHERE b.clock < a.clock"),
		0);
}

static void a_part_is_merged_from_its_first_position_on(void **state)
{
	const struct place *p = *state;
	make_ledger(p);
	expect(p, 17, 60, 0);
	expect(p, 390, EVENTS, 0);
	expect(p, 200, 200, 0);
	expect(p, EVENTS + 1, EVENTS + 9, 0);
	expect(p, 1, 0, 0);
}

static void reading_goes_on_where_it_was_left(void **state)
{
	const struct place *p = *state;
	make_ledger(p);
	expect(p, 1, EVENTS, 1);
	expect(p, 5, 333, 7);
}

static void a_clock_that_goes_back_along_a_chain_is_damage(void **state)
{
	const struct place *p = *state;
	struct ledger_filter filter = { 0 };
	struct ledger_shared *shared = NULL;
	struct seen seen = { 0 };
	make_ledger(p);
	run_sql(p->db, "UPDATE event SET clock = 1 WHERE chain = 1 AND sequence = 50");
	struct ledger *l = open_ledger(&p->options);
	enum ledger_status status = ledger_shared_open(&shared, l, 1, EVENTS, &err);
	if (status == LEDGER_OK)
		status = ledger_shared_read(shared, &filter, see, &seen, &err);
	assert_int_equal(status, LEDGER_DAMAGED);
	assert_non_null(strstr(err.text, "sequence 50"));
	ledger_shared_close(shared);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			chains_are_merged_as_a_sort_would, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
			a_part_is_merged_from_its_first_position_on, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
			reading_goes_on_where_it_was_left, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
			a_clock_that_goes_back_along_a_chain_is_damage, place_make, place_remove),
	};
	return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
