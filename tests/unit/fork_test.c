/* Forks, quarantine, and what is known of others. */
#include "two_nodes.h"
#include "verify_fixture.h"

static void must_be(struct ledger *l, struct slice line, enum ledger_outcome outcome)
{
	struct ledger_accepted got = offer(l, line);
	if (got.outcome != outcome)
		fail_msg("%s (%s) instead of %s: %.*s", ledger_outcome_name(got.outcome),
			ledger_reason_name(got.reason), ledger_outcome_name(outcome),
			SLICE_ARG(line));
}

struct forks {
	size_t n;
	struct ledger_fork list[8];
};

static enum ledger_status add_fork(
	const struct ledger_fork *fork, void *context, struct ledger_error *err)
{
	struct forks *f = context;
	(void)err;
	assert_true(f->n < COUNT(f->list));
	f->list[f->n++] = *fork;
	return LEDGER_OK;
}

static struct forks forks_of(struct ledger *l)
{
	struct forks f = { 0 };
	struct ledger_error err;
	MUST(ledger_forks(l, add_fork, &f, &err));
	return f;
}

static struct ledger_trouble trouble_of(struct ledger *l)
{
	struct ledger_trouble t;
	struct ledger_error err;
	MUST(ledger_trouble(l, &t, &err));
	return t;
}

static struct ledger_chain_name chain_of_b(struct ledger_options *options)
{
	struct ledger_error err;
	struct ledger *l;
	MUST(ledger_open(&l, options, &err));
	struct ledger_chain_name name = { SLICE("store-b"), ledger_epoch(l), SLICE("inventory") };
	ledger_close(l);
	return name;
}

static void two_verified_events_at_one_place_are_a_fork_kept_with_both_branches(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct lines x, y;
	make_fork(&b, &b_options, 2, 3, 4, &x, &y);
	for (size_t i = 0; i < 4; i++) /* 5 of x has not come yet */
		must_be(a, x.list[i], LEDGER_INSERTED);
	MUST(verified(a, &err));
	for (size_t i = 2; i < y.n; i++)
		must_be(a, y.list[i], LEDGER_FORKED);
	struct forks f = forks_of(a);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.list[0].sequence, 3);
	assert_int_equal(f.list[0].events, 4);
	assert_int_equal(f.list[0].last, 6);
	assert_true(f.list[0].whole);
	assert_int_equal(f.list[0].settled, 0);
	assert_int_equal(trouble_of(a).forks, 1);
	MUST_FAIL(LEDGER_DAMAGED, verified(a, &err));
	/* The chain takes nothing more, what continues it is kept; others go on. */
	must_be(a, x.list[4], LEDGER_FORKED);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 4);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM branch"), 5);
	assert_int_equal(forks_of(a).n, 1);
	append_many(a, 1);
	lines_done(&x);
	lines_done(&y);
}

static void whichever_branch_comes_first_every_node_ends_with_both(void **state)
{
	struct place *p = *state;
	struct ledger_options options;
	struct lines x, y;
	make_fork(&b, &b_options, 1, 2, 3, &x, &y);
	struct ledger *c = other_node(p, "store-c", "c.db", &options);
	for (size_t i = 0; i < x.n; i++)
		offer(a, x.list[i]);
	for (size_t i = 0; i < y.n; i++)
		offer(c, y.list[i]);
	for (size_t i = 1; i < y.n; i++)
		must_be(a, y.list[i], LEDGER_FORKED);
	for (size_t i = 1; i < x.n; i++)
		must_be(c, x.list[i], LEDGER_FORKED);
	struct forks of_a = forks_of(a), of_c = forks_of(c);
	assert_int_equal(of_a.n, 1);
	assert_int_equal(of_c.n, 1);
	assert_memory_equal(of_a.list[0].here, of_c.list[0].there, EVENT_HASH_SIZE);
	assert_memory_equal(of_a.list[0].there, of_c.list[0].here, EVENT_HASH_SIZE);
	ledger_close(c);
	lines_done(&x);
	lines_done(&y);
}

static void a_branch_that_arrives_from_its_end_is_joined_as_its_beginning_comes(void **state)
{
	(void)state;
	struct lines x, y;
	make_fork(&b, &b_options, 1, 4, 4, &x, &y);
	for (size_t i = 0; i < x.n; i++)
		must_be(a, x.list[i], LEDGER_INSERTED);
	for (size_t i = y.n; i-- > 1;) {
		struct ledger_accepted r = offer(a, y.list[i]);
		assert_int_equal(r.outcome, LEDGER_FORKED);
		assert_int_equal(r.ask_before, i > 1);
		struct forks f = forks_of(a);
		assert_int_equal(f.n, 1);
		assert_int_equal(f.list[0].whole, i == 1);
		assert_int_equal(f.list[0].events, y.n - i);
		assert_int_equal(f.list[0].last, y.n);
	}
	lines_done(&x);
	lines_done(&y);
}

static void an_event_that_continues_another_one_diverges_until_that_is_known(void **state)
{
	(void)state;
	struct lines x, y;
	make_fork(&b, &b_options, 1, 1, 2, &x, &y);
	must_be(a, x.list[0], LEDGER_INSERTED);
	must_be(a, x.list[1], LEDGER_INSERTED);
	must_be(a, y.list[2], LEDGER_DIVERGED);
	assert_int_equal(forks_of(a).n, 0);
	must_be(a, y.list[1], LEDGER_FORKED);
	must_be(a, y.list[2], LEDGER_FORKED);
	lines_done(&x);
	lines_done(&y);
}

static enum ledger_status count_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)event;
	(void)err;
	++*(size_t *)context;
	return LEDGER_OK;
}

static void settling_is_recorded_and_what_waited_goes_on(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_settlement out;
	struct lines x, y;
	size_t n = 0;
	make_fork(&b, &b_options, 1, 4, 2, &x, &y);
	for (size_t i = 0; i < 2; i++)
		must_be(a, x.list[i], LEDGER_INSERTED);
	must_be(a, y.list[1], LEDGER_FORKED);
	for (size_t i = 2; i < x.n; i++)
		must_be(a, x.list[i], LEDGER_FORKED);
	struct ledger_fork fork = forks_of(a).list[0];
	MUST(ledger_fork_events(a, fork.there, count_event, &n, &err));
	assert_int_equal(n, 1);
	MUST_FAIL(LEDGER_REFUSED, ledger_fork_settle(a, fork.there, SLICE(""), true, &out, &err));
	assert_int_equal(trouble_of(a).forks, 1);
	MUST(ledger_fork_settle(a, fork.there, SLICE("till 3 was restored"), false, &out, &err));
	assert_int_equal(out.inserted, 3);
	assert_int_equal(out.recorded, 0);
	assert_int_equal(forks_of(a).list[0].settled, out.position);
	assert_int_equal(
		ask_sql(p->db, "SELECT count(*) FROM event WHERE type = 'fork_settled'"), 1);
	assert_int_equal(trouble_of(a).forks, 0);
	MUST(verified(a, &err));
	MUST_FAIL(LEDGER_NO, ledger_fork_settle(a, fork.there, SLICE(""), false, &out, &err));
	must_be(a, x.list[4], LEDGER_KNOWN);
	must_be(a, y.list[2], LEDGER_FORKED); /* quietly, it belongs to the settled branch */
	assert_int_equal(trouble_of(a).forks, 0);
	lines_done(&x);
	lines_done(&y);
}

static void the_origin_can_record_the_lost_branch_again_with_its_ids(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_recovery recovery;
	struct ledger_settlement out;
	struct lines x, y;
	char path[128];
	make_fork(&b, &b_options, 1, 3, 1, &x, &y);
	for (size_t i = 1; i < x.n; i++)
		must_be(b, x.list[i], LEDGER_LOST);
	MUST(ledger_next_epoch(b, SLICE("a peer has more"), &recovery, &err));
	for (size_t i = 1; i < x.n; i++)
		must_be(b, x.list[i], LEDGER_FORKED);
	MUST(ledger_fork_settle(b, forks_of(b).list[0].there, SLICE("restored"), true, &out, &err));
	assert_int_equal(out.recorded, 3);
	assert_int_equal(ask_sql(path_in(p, "b.db", path),
				 "SELECT count(*) FROM event JOIN chain ON chain.id = event.chain "
				 "WHERE epoch = (SELECT epoch FROM seal) AND type = "
				 "'stock_adjusted'"),
		3);
	MUST(verified(b, &err));
	lines_done(&x);
	lines_done(&y);
}

static void a_changed_row_of_a_branch_is_found(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_settlement out;
	struct lines x, y;
	make_fork(&b, &b_options, 1, 1, 1, &x, &y);
	offer(a, x.list[0]);
	offer(a, x.list[1]);
	must_be(a, y.list[1], LEDGER_FORKED);
	MUST(ledger_fork_settle(a, forks_of(a).list[0].there, SLICE("x"), false, &out, &err));
	MUST(verified(a, &err));
	run_sql(p->db, "PRAGMA writable_schema = ON; DROP TRIGGER branch_no_update; "
		       "UPDATE branch SET line = replace(line, '-2', '-3'); "
		       "CREATE TRIGGER branch_no_update BEFORE UPDATE ON branch\n"
		       "BEGIN SELECT RAISE(ABORT, 'branches are never changed'); END;");
	MUST_FAIL(LEDGER_DAMAGED, verified(a, &err));
	lines_done(&x);
	lines_done(&y);
}

/* Another node's decision about the same branch is an event here too, and decides nothing here. */
static void a_decision_is_believed_only_of_this_node(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_options c_options;
	struct ledger_settlement out;
	struct lines x, y, decided;
	make_fork(&b, &b_options, 1, 1, 1, &x, &y);
	struct ledger *c = other_node(p, "store-c", "c.db", &c_options);
	for (int i = 0; i < 2; i++) {
		must_be(a, x.list[i], LEDGER_INSERTED);
		must_be(c, x.list[i], LEDGER_INSERTED);
	}
	must_be(a, y.list[1], LEDGER_FORKED);
	must_be(c, y.list[1], LEDGER_FORKED);
	MUST(ledger_fork_settle(c, forks_of(c).list[0].there, SLICE("x"), false, &out, &err));
	decided = lines_of(c);
	must_be(a, decided.list[decided.n - 1], LEDGER_INSERTED);
	assert_int_equal(forks_of(a).list[0].settled, 0);
	tamper(p->db, "INSERT INTO settlement SELECT root, 3 FROM branch");
	assert_int_equal(forks_of(a).list[0].settled, 3);
	MUST_FAIL(LEDGER_DAMAGED, verified(a, &err));
	ledger_close(c);
	lines_done(&x);
	lines_done(&y);
	lines_done(&decided);
}

/* --- Ranges and places --------------------------------------------------------------------------- */

static void a_range_begins_where_it_is_asked_and_ends_with_the_bytes(void **state)
{
	(void)state;
	struct ledger_error err;
	struct lines x, y;
	size_t n = 0;
	make_fork(&b, &b_options, 1, 5, 3, &x, &y);
	struct ledger_chain_name chain = chain_of_b(&b_options);
	struct ledger_chain_name strange = { SLICE("store-z"), 5, SLICE("inventory") };
	for (size_t i = 0; i < x.n; i++)
		offer(a, x.list[i]);
	for (size_t i = 1; i < y.n; i++)
		offer(a, y.list[i]);
	MUST(ledger_read_chain(a, &chain, 3, 1 << 20, count_event, &n, &err));
	assert_int_equal(n, 4);
	MUST(ledger_read_chain(a, &chain, 3, 1, count_event, (n = 0, &n), &err));
	assert_int_equal(n, 1);
	MUST(ledger_read_chain(a, &chain, 7, 1, count_event, (n = 0, &n), &err));
	MUST(ledger_read_chain(a, &strange, 1, 1, count_event, &n, &err));
	assert_int_equal(n, 0);
	MUST(ledger_read_branches(a, &chain, 3, 1 << 20, count_event, &n, &err));
	assert_int_equal(n, 2);
	lines_done(&x);
	lines_done(&y);
}

static void what_others_have_is_kept_and_never_older(void **state)
{
	(void)state;
	struct ledger_error err;
	uint64_t sequence;
	append_many(b, 2);
	struct lines lines = lines_of(b);
	struct ledger_chain_name chain = chain_of_b(&b_options);
	struct ledger_published published = { SLICE("shop"), chain, 2, 0 };
	MUST_FAIL(LEDGER_INVALID, ledger_published_set(a, &published, 1, &err));
	offer(a, lines.list[0]);
	MUST(ledger_published_set(a, &published, 1, &err));
	MUST(ledger_published_get(a, SLICE("shop"), &chain, &sequence, &err));
	assert_int_equal(sequence, 2);
	MUST(ledger_published_get(a, SLICE("mall"), &chain, &sequence, &err));
	assert_int_equal(sequence, 0);
	struct ledger_head head = { chain.origin, chain.epoch, chain.domain, 1, { 0 } };
	struct ledger_statement s = { SLICE("store-b"), 10, 7, 5, 1, &head, 1 };
	MUST(ledger_keep_statement(a, &s, &err));
	MUST_FAIL(LEDGER_NO, ledger_keep_statement(a, &s, &err));
	s.counter = 4;
	MUST_FAIL(LEDGER_NO, ledger_keep_statement(a, &s, &err));
	/* Another run of its daemon, with a clock that is behind, or in an older state. */
	s.boot = 8;
	MUST(ledger_keep_statement(a, &s, &err));
	s.boot = 9;
	s.epoch = 9;
	s.counter = 1;
	MUST(ledger_keep_statement(a, &s, &err));
	/* What an earlier run has said is no news, though no other run counts as far. */
	s.boot = 7;
	s.counter = 5;
	MUST_FAIL(LEDGER_NO, ledger_keep_statement(a, &s, &err));
	lines_done(&lines);
}

/* --- Quarantine ------------------------------------------------------------------------------------ */

static enum ledger_status keep_state(
	const struct ledger_quarantined *held, void *context, struct ledger_error *err)
{
	(void)err;
	*(enum ledger_held *)context = held->state;
	return LEDGER_OK;
}

static enum ledger_held state_of(struct ledger *l, uint64_t row)
{
	enum ledger_held held;
	struct ledger_error err;
	MUST(ledger_quarantine_show(l, row, keep_state, &held, &err));
	return held;
}

static void the_right_event_answers_its_row(void **state)
{
	(void)state;
	char room[4096];
	struct ledger_error err;
	append_many(b, 2);
	struct lines lines = lines_of(b);
	must_be(a, changed(lines.list[0], "\"delta\":-2", "\"delta\":-3", room), LEDGER_BAD);
	must_be(a, changed(lines.list[1], "\"delta\":-2", "\"delta\":-3", room), LEDGER_BAD);
	assert_int_equal(state_of(a, 1), LEDGER_HELD_OPEN);
	must_be(a, lines.list[0], LEDGER_INSERTED);
	assert_int_equal(state_of(a, 1), LEDGER_HELD_ANSWERED);
	assert_int_equal(state_of(a, 2), LEDGER_HELD_OPEN);
	assert_int_equal(trouble_of(a).quarantined, 1);
	/* One that comes when the right event is here asks nothing of anybody. */
	must_be(a, changed(lines.list[0], "\"delta\":-2", "\"delta\":-4", room), LEDGER_BAD);
	assert_int_equal(state_of(a, 3), LEDGER_HELD_ANSWERED);
	MUST(verified(a, &err));
	lines_done(&lines);
}

static void a_source_fills_its_own_share_only(void **state)
{
	struct place *p = *state;
	for (int i = 0; i < LEDGER_QUARANTINE_ROWS + 5; i++) {
		char line[32];
		snprintf(line, sizeof(line), "rubbish %d", i);
		struct ledger_accepted r = offer(a, slice_of(line));
		assert_int_equal(r.outcome, LEDGER_BAD);
		assert_int_equal(r.quarantined, i < LEDGER_QUARANTINE_ROWS ? i + 1 : 0);
	}
	assert_int_equal(trouble_of(a).dropped, 5);
	assert_int_equal(ask_sql(p->db, "SELECT messages FROM dropped"), 5);
	must_be(a, SLICE("rubbish 0"), LEDGER_BAD); /* known: counted in its row */
	assert_int_equal(ask_sql(p->db, "SELECT times FROM quarantine WHERE id = 1"), 2);
	struct ledger_source other = { .name = SLICE("peer store-c") };
	struct ledger_received r = { .line = SLICE("more"), .source = &other };
	struct ledger_accepted result;
	struct ledger_error err;
	MUST(ledger_accept(a, &r, 1, NULL, 0, &result, &err));
	assert_int_equal(result.quarantined, LEDGER_QUARANTINE_ROWS + 1);
}

static void retry_and_discard_are_recorded(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_accepted result;
	append_many(b, 1);
	struct lines lines = lines_of(b);
	struct ledger_source wrong = { .name = SLICE("x"), .domain = SLICE("orders") };
	struct ledger_received r = { .line = lines.list[0], .source = &wrong };
	MUST(ledger_accept(a, &r, 1, NULL, 0, &result, &err));
	assert_int_equal(result.reason, LEDGER_REASON_SUBJECT);
	must_be(a, SLICE("rubbish"), LEDGER_BAD);
	MUST(ledger_quarantine_retry(a, 1, &result, &err));
	assert_int_equal(result.outcome, LEDGER_INSERTED);
	assert_int_equal(state_of(a, 1), LEDGER_HELD_ANSWERED);
	MUST(ledger_quarantine_retry(a, 2, &result, &err));
	assert_int_equal(result.outcome, LEDGER_BAD);
	assert_int_equal(state_of(a, 2), LEDGER_HELD_OPEN);
	MUST(ledger_quarantine_discard(a, 2, SLICE("noise"), &err));
	assert_int_equal(state_of(a, 2), LEDGER_HELD_DISCARDED);
	MUST_FAIL(LEDGER_NO, ledger_quarantine_discard(a, 2, SLICE("noise"), &err));
	MUST_FAIL(LEDGER_NO, ledger_quarantine_retry(a, 9, &result, &err));
	assert_int_equal(
		ask_sql(p->db, "SELECT count(*) FROM event WHERE type LIKE 'quarantine_%'"), 3);
	must_be(a, SLICE("rubbish"), LEDGER_BAD);
	assert_int_equal(state_of(a, 2), LEDGER_HELD_DISCARDED);
	MUST(verified(a, &err));
	lines_done(&lines);
}

/* Restored, it must be able to go on, whatever fork it shows. */
static void a_ledger_that_shows_a_fork_can_begin_its_next_epoch(void **state)
{
	(void)state;
	struct ledger_error err;
	struct ledger_recovery recovery;
	struct lines x, y;
	make_fork(&b, &b_options, 2, 3, 4, &x, &y);
	for (size_t i = 0; i < x.n; i++)
		must_be(a, x.list[i], LEDGER_INSERTED);
	for (size_t i = 2; i < y.n; i++)
		must_be(a, y.list[i], LEDGER_FORKED);
	MUST_FAIL(LEDGER_DAMAGED, verified(a, &err));
	MUST(ledger_recover(a, SLICE("restored"), true, false, &recovery, &err));
	assert_int_equal(ledger_epoch(a), recovery.epoch);
	lines_done(&x);
	lines_done(&y);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_verified_events_at_one_place_are_a_fork_kept_with_both_branches),
		TEST(whichever_branch_comes_first_every_node_ends_with_both),
		TEST(a_branch_that_arrives_from_its_end_is_joined_as_its_beginning_comes),
		TEST(an_event_that_continues_another_one_diverges_until_that_is_known),
		TEST(settling_is_recorded_and_what_waited_goes_on),
		TEST(the_origin_can_record_the_lost_branch_again_with_its_ids),
		TEST(a_changed_row_of_a_branch_is_found),
		TEST(a_decision_is_believed_only_of_this_node),
		TEST(a_ledger_that_shows_a_fork_can_begin_its_next_epoch),
		TEST(a_range_begins_where_it_is_asked_and_ends_with_the_bytes),
		TEST(what_others_have_is_kept_and_never_older),
		TEST(the_right_event_answers_its_row),
		TEST(a_source_fills_its_own_share_only),
		TEST(retry_and_discard_are_recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
