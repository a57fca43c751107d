/* Events from elsewhere: what is taken, what is refused and why, and that any order ends in one state. */
#include "two_nodes.h"

#include <sys/syscall.h>
#include <time.h>

#include "../../lib/store/handle.h"

/* The wall clock, this much off in seconds (this definition stands before that of libc). */
static int64_t clock_is_off;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	long failed = syscall(SYS_clock_gettime, clock, now);
	if (!failed && clock == CLOCK_REALTIME)
		now->tv_sec += clock_is_off;
	return (int)failed;
}

static void must_be(struct ledger_accepted got, enum ledger_outcome outcome, enum ledger_reason why)
{
	if (got.outcome != outcome || got.reason != why)
		fail_msg("%s (%s) instead of %s (%s)", ledger_outcome_name(got.outcome),
			ledger_reason_name(got.reason), ledger_outcome_name(outcome),
			ledger_reason_name(why));
}

static void must_verify(struct ledger *l)
{
	struct ledger_error err;
	MUST(verified(l, &err));
}

static void what_another_node_recorded_is_taken_once_and_verifies(void **state)
{
	(void)state;
	append_many(a, 3);
	append_many(b, 20);
	struct lines lines = lines_of(b);
	for (size_t i = 0; i < lines.n; i++) {
		struct ledger_accepted r = offer(a, lines.list[i]);
		must_be(r, LEDGER_INSERTED, LEDGER_REASON_NONE);
		assert_int_equal(r.position, 4 + i);
		assert_int_equal(r.head, 1 + i);
	}
	for (size_t i = 0; i < lines.n; i++)
		must_be(offer(a, lines.list[i]), LEDGER_KNOWN, LEDGER_REASON_NONE);
	must_verify(a);
	append_many(a, 2); /* and goes on */
	must_verify(a);
	lines_done(&lines);
}

static void what_comes_too_early_is_ahead_and_leaves_no_trace(void **state)
{
	struct place *p = *state;
	append_many(b, 3);
	struct lines lines = lines_of(b);
	must_be(offer(a, lines.list[2]), LEDGER_AHEAD, LEDGER_REASON_NONE);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM chain"), 0);
	must_be(offer(a, lines.list[0]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[2]), LEDGER_AHEAD, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[1]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[2]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	lines_done(&lines);
}

/* One change to the second line of a chain of two, and why it is refused. */
static const struct {
	const char *from, *to;
	enum ledger_outcome outcome;
	enum ledger_reason reason;
} refusals[] = {
	{ "{\"v\":1", "{\"v\":1,\"v\":1", LEDGER_BAD, LEDGER_REASON_FORM },
	{ "\"sequence\":2", "\"sequence\":0", LEDGER_BAD, LEDGER_REASON_FORM },
	{ "\"schema\":1", "\"schema\":1,\"more\":2", LEDGER_BAD, LEDGER_REASON_FORM },
	{ "{\"v\":1", "{\"v\":2", LEDGER_WAITING, LEDGER_REASON_FORMAT },
	{ "\"key\":\"hs256-", "\"key\":\"ed25519-", LEDGER_WAITING, LEDGER_REASON_FORMAT },
	{ "\"delta\":-2", "\"delta\":-3", LEDGER_BAD, LEDGER_REASON_HASH },
	{ "\"sequence\":2", "\"sequence\":3", LEDGER_BAD, LEDGER_REASON_HASH },
	{ "\"origin\":\"store-b\"", "\"origin\":\"store-c\"", LEDGER_BAD, LEDGER_REASON_HASH },
	{ "\"domain\":\"inventory\"", "\"domain\":\"orders\"", LEDGER_BAD, LEDGER_REASON_HASH },
	{ "stock_adjusted", "stock_adjusteD", LEDGER_BAD, LEDGER_REASON_HASH },
	{ "\"version\":1", "\"version\":2", LEDGER_BAD, LEDGER_REASON_HASH },
};

static void any_change_to_a_line_is_refused_with_its_reason_and_kept(void **state)
{
	char room[4096];
	struct place *p = *state;
	append_many(b, 2);
	struct lines lines = lines_of(b);
	offer(a, lines.list[0]);
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct slice line = changed(lines.list[1], refusals[i].from, refusals[i].to, room);
		struct ledger_accepted r = offer(a, line);
		must_be(r, refusals[i].outcome, refusals[i].reason);
		assert_int_equal(r.quarantined, 1 + i);
	}
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 1);
	must_be(offer(a, lines.list[1]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	must_verify(a);
	lines_done(&lines);
}

static void a_forged_mac_is_refused_and_one_by_an_unknown_key_waits(void **state)
{
	char room[4096], key[128];
	struct place *p = *state;
	struct ledger_error err;
	struct ledger_options options = a_options;
	char path[128];
	append_many(b, 1);
	struct lines lines = lines_of(b);
	struct slice mac = { lines.list[0].ptr + lines.list[0].len - 6, 4 };
	char from[8], to[8];
	snprintf(from, sizeof(from), "%.4s\"}", mac.ptr);
	snprintf(to, sizeof(to), "%s\"}", memcmp(mac.ptr, "0000", 4) ? "0000" : "1111");
	must_be(offer(a, changed(lines.list[0], from, to, room)), LEDGER_BAD, LEDGER_REASON_MAC);

	options.sign_key = path_in(p, "other.key", key);
	options.path = path_in(p, "c.db", path);
	options.node = "store-c";
	MUST(ledger_key_create(key, NULL, &err));
	MUST(ledger_create(&options, &err));
	struct ledger *c = open_ledger(&options);
	append_many(c, 3);
	struct lines foreign = lines_of(c);
	for (size_t i = 0; i < foreign.n; i++)
		must_be(offer(a, foreign.list[i]), LEDGER_WAITING, LEDGER_REASON_KEY);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM quarantine WHERE reason = 'key'"), 1);
	assert_int_equal(ask_sql(p->db, "SELECT times FROM quarantine WHERE reason = 'key'"), 3);
	ledger_close(a);
	const char *more[] = { key };
	a_options.verify_keys = more;
	a_options.n_verify_keys = 1;
	a = open_ledger(&a_options);
	for (size_t i = 0; i < foreign.n; i++)
		must_be(offer(a, foreign.list[i]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM quarantine WHERE reason = 'key' AND "
					"state = 'answered'"),
		1);
	must_verify(a);
	ledger_close(c);
	lines_done(&lines);
	lines_done(&foreign);
}

static void a_subject_that_names_another_chain_is_refused(void **state)
{
	(void)state;
	struct ledger_error err;
	append_many(b, 1);
	struct lines lines = lines_of(b);
	const struct ledger_source wrong[] = {
		{ .name = SLICE("x"), .origin = SLICE("store-c"), .domain = SLICE("inventory") },
		{ .name = SLICE("x"), .origin = SLICE("store-b"), .domain = SLICE("orders") },
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct ledger_received r = { .line = lines.list[0], .source = &wrong[i] };
		struct ledger_accepted result;
		MUST(ledger_accept(a, &r, 1, NULL, 0, &result, &err));
		must_be(result, LEDGER_BAD, LEDGER_REASON_SUBJECT);
	}
	lines_done(&lines);
}

static void events_and_the_place_in_the_stream_go_together(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	uint64_t created, sequence;
	append_many(b, 2);
	struct lines lines = lines_of(b);
	struct ledger_received r[2] = { { .line = lines.list[0], .source = &from_b },
		{ .line = lines.list[1], .source = &from_b } };
	struct ledger_accepted results[2];
	struct ledger_stream_place place = { SLICE("shop"), SLICE("inventory"), 5, 7 };
	struct ledger_stream_place bad = { SLICE("shop"), SLICE("in ventory"), 5, 8 };
	MUST_FAIL(LEDGER_INVALID, ledger_accept(a, r, 2, &bad, 1, results, &err));
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 0);
	MUST_FAIL(LEDGER_NO, ledger_received_at(a, SLICE("shop"), SLICE("inventory"), &created,
				     &sequence, &err));
	MUST(ledger_accept(a, r, 2, &place, 1, results, &err));
	MUST(ledger_received_at(a, SLICE("shop"), SLICE("inventory"), &created, &sequence, &err));
	assert_int_equal(created, 5);
	assert_int_equal(sequence, 7);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 2);
	lines_done(&lines);
}

static void a_message_whose_events_are_not_linked_is_refused_from_there(void **state)
{
	(void)state;
	struct ledger_error err;
	struct lines x, y;
	make_fork(&b, &b_options, 1, 2, 2, &x, &y);
	struct ledger_received r[3] = { { .line = x.list[0], .source = &from_b },
		{ .line = x.list[1], .source = &from_b },
		{ .line = y.list[2], .source = &from_b } };
	struct ledger_accepted results[3];
	MUST(ledger_accept(a, r, 3, NULL, 0, results, &err));
	must_be(results[1], LEDGER_INSERTED, LEDGER_REASON_NONE);
	must_be(results[2], LEDGER_BAD, LEDGER_REASON_LINK);
	lines_done(&x);
	lines_done(&y);
}

/* --- Clocks ---------------------------------------------------------------------------------------- */

/* As a program with a bug and the key would: the next event has a clock of its own. */
static void append_at(struct ledger *l, uint64_t clock)
{
	struct ledger_error err;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	clock_is_off = -3600;
	MUST(ledger_begin(l, &err));
	l->batch.seal.clock = clock;
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_commit(l, &err));
	clock_is_off = 0;
}

static void a_clock_that_does_not_grow_or_is_beyond_all_use_is_refused(void **state)
{
	(void)state;
	append_many(b, 1);
	append_at(b, 0);
	struct lines lines = lines_of(b);
	must_be(offer(a, lines.list[0]), LEDGER_INSERTED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[1]), LEDGER_BAD, LEDGER_REASON_CLOCK);
	lines_done(&lines);
	append_at(b, TIME_MAX - 10);
	lines = lines_of(b);
	must_be(offer(a, lines.list[2]), LEDGER_BAD, LEDGER_REASON_CLOCK);
	append_many(a, 1);
	must_verify(a);
	lines_done(&lines);
}

static void a_clock_that_is_ahead_is_taken_with_a_warning(void **state)
{
	(void)state;
	clock_is_off = 7200;
	append_many(b, 1);
	clock_is_off = 0;
	struct lines lines = lines_of(b);
	struct ledger_accepted r = offer(a, lines.list[0]);
	must_be(r, LEDGER_INSERTED, LEDGER_REASON_NONE);
	assert_true(r.clock_ahead);
	assert_non_null(strstr(ledger_warning(a), "ahead"));
	append_many(a, 1); /* ordered behind it */
	must_verify(a);
	lines_done(&lines);
}

static void the_machines_own_clock_refuses_nothing(void **state)
{
	(void)state;
	append_many(b, 1);
	struct lines lines = lines_of(b);
	clock_is_off = -(int64_t)20 * 365 * 86400;
	struct ledger_accepted r = offer(a, lines.list[0]);
	clock_is_off = 0;
	must_be(r, LEDGER_INSERTED, LEDGER_REASON_NONE);
	lines_done(&lines);
}

/* --- This node's own events ------------------------------------------------------------------------ */

/* store-a as it was before its last events: a copy of the file, played back in place. */
static void own_events_from_elsewhere_are_never_inserted_in_the_present_epoch(void **state)
{
	struct place *p = *state;
	struct ledger_error err;
	char older[128];
	struct ledger_recovery recovery;
	append_many(a, 2);
	ledger_close(a);
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(p->db, path_in(p, "older.db", older));
	a = open_ledger(&a_options);
	append_many(a, 2);
	struct lines lines = lines_of(a);
	for (size_t i = 0; i < lines.n; i++)
		must_be(offer(a, lines.list[i]), LEDGER_KNOWN, LEDGER_REASON_NONE);
	ledger_close(a);
	copy_file(older, p->db);
	run_sql(p->db, "SELECT 1");
	a_options.state_dir =
		NULL; /* a snapshot of the whole machine: the head file is older too */
	a = open_ledger(&a_options);
	must_be(offer(a, lines.list[1]), LEDGER_KNOWN, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[2]), LEDGER_LOST, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[3]), LEDGER_LOST, LEDGER_REASON_NONE);
	append_many(a, 1);
	must_be(offer(a, lines.list[2]), LEDGER_LOST, LEDGER_REASON_NONE);
	MUST(ledger_next_epoch(a, SLICE("a peer has more"), &recovery, &err));
	must_be(offer(a, lines.list[3]), LEDGER_DIVERGED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[2]), LEDGER_FORKED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[3]), LEDGER_FORKED, LEDGER_REASON_NONE);
	must_be(offer(a, lines.list[3]), LEDGER_KNOWN, LEDGER_REASON_NONE);
	append_many(a, 1); /* the present epoch is not hindered */
	MUST_FAIL(LEDGER_DAMAGED, verified(a, &err));
	lines_done(&lines);
}

/* --- Any order ------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;
static size_t pick(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static enum ledger_status add_head(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	(void)err;
	buf_addf(context, "%.*s/%" PRIu64 "/%.*s/%" PRIu64 " ", SLICE_ARG(chain->origin),
		chain->epoch, SLICE_ARG(chain->domain), chain->sequence);
	buf_add_hex(context, chain->hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

static void append_some(struct ledger *l, const char *domain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char stream[32];
		struct ledger_new new = plain();
		snprintf(stream, sizeof(stream), "product/%zu", i % 3);
		new.stream = slice_of(stream);
		new.domain = slice_of(domain);
		append_one(l, &new);
	}
}

/* Everything is offered in random order, with repeats and forged lines, until all of it was taken. */
static void offer_at_random(struct ledger *l, const struct lines *lines, const struct lines *forged)
{
	for (size_t missing = lines->n; missing;) {
		struct ledger_received r[16];
		struct ledger_accepted results[16];
		struct ledger_error err;
		size_t n = 1 + pick(COUNT(r));
		for (size_t i = 0; i < n; i++) {
			const struct lines *from = pick(5) ? lines : forged;
			r[i] = (struct ledger_received){ .line = from->list[pick(from->n)],
				.source = &from_b };
		}
		MUST(ledger_accept(l, r, n, NULL, 0, results, &err));
		for (size_t i = 0; i < n; i++) {
			missing -= results[i].outcome == LEDGER_INSERTED;
			assert_true(results[i].outcome <= LEDGER_AHEAD ||
				    results[i].outcome == LEDGER_BAD);
		}
	}
}

static void any_order_with_repeats_gaps_and_forgeries_ends_with_the_same_heads(void **state)
{
	struct place *p = *state;
	struct ledger_options options;
	struct ledger_error err;
	struct lines forged = { NULL, 0 };
	append_some(b, "inventory", 9);
	append_some(b, "orders", 7);
	append_some(b, "inventory", 4);
	struct lines lines = lines_of(b);
	for (size_t i = 0; i < lines.n; i++) {
		char room[4096];
		lines_add(&forged, changed(lines.list[i], "\"delta\":-2", "\"delta\":-9", room));
	}
	struct buf want = { 0 };
	MUST(ledger_chains(b, add_head, &want, &err));
	for (int round = 0; round < 5; round++) {
		char name[16];
		struct buf got = { 0 };
		snprintf(name, sizeof(name), "n%d.db", round);
		struct ledger *l = other_node(p, "store-n", name, &options);
		offer_at_random(l, &lines, &forged);
		MUST(ledger_chains(l, add_head, &got, &err));
		assert_string_equal(buf_text(&got), buf_text(&want));
		must_verify(l);
		for (size_t i = 0; i < lines.n; i++)
			must_be(offer(l, lines.list[i]), LEDGER_KNOWN, LEDGER_REASON_NONE);
		ledger_close(l);
		buf_done(&got);
	}
	buf_done(&want);
	lines_done(&lines);
	lines_done(&forged);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_another_node_recorded_is_taken_once_and_verifies),
		TEST(what_comes_too_early_is_ahead_and_leaves_no_trace),
		TEST(any_change_to_a_line_is_refused_with_its_reason_and_kept),
		TEST(a_forged_mac_is_refused_and_one_by_an_unknown_key_waits),
		TEST(a_subject_that_names_another_chain_is_refused),
		TEST(events_and_the_place_in_the_stream_go_together),
		TEST(a_message_whose_events_are_not_linked_is_refused_from_there),
		TEST(a_clock_that_does_not_grow_or_is_beyond_all_use_is_refused),
		TEST(a_clock_that_is_ahead_is_taken_with_a_warning),
		TEST(the_machines_own_clock_refuses_nothing),
		TEST(own_events_from_elsewhere_are_never_inserted_in_the_present_epoch),
		TEST(any_order_with_repeats_gaps_and_forgeries_ends_with_the_same_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
