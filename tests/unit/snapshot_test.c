/* Snapshots: taken, used, and not used when anything about them does not fit. */
#include "../../lib/fold.h"
#include "ledger_fixture.h"

static struct ledger_error err;
static const struct ledger_rules no_rules;
static const struct ledger_moment now;

static int refusals;
static char last_why[256];

static void count_refusal(struct slice stream, uint64_t position, const char *why, void *context)
{
	(void)stream;
	(void)position;
	(void)context;
	refusals++;
	snprintf(last_why, sizeof(last_why), "%s", why);
}

static struct ledger_fold *open_fold(struct ledger *l, const struct ledger_rules *rules)
{
	struct ledger_fold *f = NULL;
	MUST(ledger_fold_open(&f, l, rules, &err));
	ledger_fold_on_refused(f, count_refusal, NULL);
	refusals = 0;
	return f;
}

static void put(struct ledger *l, const char *stream, uint64_t time, const char *payload)
{
	struct ledger_new new = plain();
	new.stream = slice_of(stream);
	new.has_time = time != 0;
	new.time = time;
	new.payload = slice_of(payload);
	append_one(l, &new);
}

static struct ledger_state get(
	struct ledger_fold *f, const char *stream, struct ledger_moment moment)
{
	struct ledger_state s;
	refusals = 0;
	MUST(ledger_state(f, slice_of(stream), SLICE("inventory"), &moment, &s, &err));
	return s;
}

static void take(struct ledger_fold *f, const char *stream)
{
	struct ledger_state s;
	bool taken = false;
	MUST(ledger_snapshot_take(f, slice_of(stream), SLICE("inventory"), 1, &s, &taken, &err));
	assert_true(taken);
}

static void a_snapshot_spares_reading_what_is_in_it(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	struct ledger_state s;
	bool taken;
	put(l, "a/a", 0, "{\"a\":1}");
	put(l, "a/a", 0, "{\"b\":2}");
	take(f, "a/a");
	MUST(ledger_snapshot_take(f, SLICE("a/a"), SLICE("inventory"), 1, &s, &taken, &err));
	assert_false(taken);
	put(l, "a/a", 0, "{\"c\":3}");
	MUST(ledger_snapshot_take(f, SLICE("a/a"), SLICE("inventory"), 2, &s, &taken, &err));
	assert_false(taken); /* one event is new, not two */
	s = get(f, "a/a", now);
	assert_true(slice_is(s.state, "{\"a\":1,\"b\":2,\"c\":3}"));
	assert_int_equal(s.folded, 1);
	assert_int_equal(s.snapshot, 2);
	assert_int_equal(s.events, 3);
	assert_int_equal(s.version, 3);
	assert_int_equal(s.last, 3);
	assert_int_equal(refusals, 0);
	ledger_fold_close(f);
	ledger_close(l);
}

/* What is in a snapshot must all have happened by then, and been known. */
static void a_moment_before_a_snapshot_does_without(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	put(l, "a/a", 5000, "{\"a\":1}");
	put(l, "a/a", 1000, "{\"b\":2}");
	take(f, "a/a");
	put(l, "a/a", 3000, "{\"c\":3}");
	uint64_t clock = get(f, "a/a", (struct ledger_moment){ .position = 1 }).clock;
	const struct {
		struct ledger_moment moment;
		const char *state;
		uint64_t snapshot;
	} cases[] = {
		{ { .has_time = true, .time = 4999 }, "{\"b\":2,\"c\":3}", 0 },
		{ { .has_time = true, .time = 5000 }, "{\"a\":1,\"b\":2,\"c\":3}", 2 },
		{ { .version = 1 }, "{\"a\":1}", 0 },
		{ { .version = 2 }, "{\"a\":1,\"b\":2}", 2 },
		{ { .position = 1 }, "{\"a\":1}", 0 },
		{ { .position = 2 }, "{\"a\":1,\"b\":2}", 2 },
		{ { .has_clock = true, .clock = clock }, "{\"a\":1}", 0 },
		{ { .has_clock = true, .clock = UINT64_C(1) << 52 }, "{\"a\":1,\"b\":2,\"c\":3}",
			2 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ledger_state s = get(f, "a/a", cases[i].moment);
		assert_true(slice_is(s.state, cases[i].state));
		assert_int_equal(s.snapshot, cases[i].snapshot);
		assert_int_equal(refusals, 0);
	}
	ledger_fold_close(f);
	ledger_close(l);
}

static enum ledger_snapshot_verdict found[8];
static size_t n_found;

static enum ledger_status keep_verdict(
	const struct ledger_snapshot *s, void *context, struct ledger_error *e)
{
	(void)context;
	(void)e;
	assert_true(n_found < COUNT(found));
	found[n_found++] = s->verdict;
	return LEDGER_OK;
}

static enum ledger_snapshot_verdict verdict(struct ledger_fold *f, const char *stream)
{
	n_found = 0;
	MUST(ledger_snapshots(
		f, slice_of(stream), (struct slice){ NULL, 0 }, true, keep_verdict, NULL, &err));
	assert_int_equal(n_found, 1);
	return found[0];
}

static void a_row_that_was_edited_or_swapped_is_not_used(void **state)
{
	static const char *const edits[] = {
		"state = '{\"a\":99}'",
		"events = events + 1",
		"version = version + 1",
		"position = position - 1",
		"last = 3",
		"max_time = 1",
		"hash = zeroblob(32)",
		"reducer = zeroblob(32)",
		"schema = 2",
		"epoch = epoch + 1",
		"taken = taken + 1",
		"digest = zeroblob(32)",
		"signing_key = 'hs256-0000000000000000'",
		"mac = zeroblob(32)",
		"mac = zeroblob(31)",
		"hash = zeroblob(0)",
		"events = -1",
		"state = ''",
		"state = (select state from snapshot where stream = 'a/b')",
		"(state, digest, mac) = (select state, digest, mac from snapshot where stream = "
		"'a/b')",
		"(position, last, hash, state, digest, mac) = (select position, last, hash, state, "
		"digest, mac from snapshot where stream = 'a/b')",
	};
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	put(l, "a/a", 0, "{\"a\":1}");
	put(l, "a/a", 0, "{\"a\":2}");
	put(l, "a/b", 0, "{\"a\":1}");
	put(l, "a/b", 0, "{\"a\":3}");
	take(f, "a/a");
	take(f, "a/b");
	run_sql(p->db, "create table kept as select * from snapshot");
	for (size_t i = 0; i < COUNT(edits); i++) {
		CLEANUP_BUF struct buf sql = { 0 };
		buf_addf(&sql, "update snapshot set %s where stream = 'a/a'", edits[i]);
		run_sql(p->db, buf_text(&sql));
		struct ledger_state s = get(f, "a/a", now);
		if (!slice_is(s.state, "{\"a\":2}") || s.snapshot || refusals != 1)
			fail_msg("%s: %.*s, %d refused", edits[i], SLICE_ARG(s.state), refusals);
		assert_int_not_equal(verdict(f, "a/a"), LEDGER_SNAPSHOT_GOOD);
		run_sql(p->db, "delete from snapshot; insert into snapshot select * from kept");
		assert_int_equal(verdict(f, "a/a"), LEDGER_SNAPSHOT_GOOD);
	}
	ledger_fold_close(f);
	ledger_close(l);
}

static void a_row_from_another_ledger_is_not_used(void **state)
{
	const struct place *p = *state;
	char other_path[128], sql[512];
	struct ledger_options options = p->options;
	struct ledger *l = open_ledger(&p->options), *other;
	options.path = path_in(p, "other.db", other_path);
	options.node = "store-b";
	MUST(ledger_create(&options, &err)); /* the same key */
	other = open_ledger(&options);
	struct ledger_fold *f = open_fold(other, &no_rules);
	put(other, "a/a", 0, "{\"a\":9}");
	take(f, "a/a");
	ledger_fold_close(f);
	ledger_close(other);
	put(l, "a/a", 0, "{\"a\":1}");
	snprintf(sql, sizeof(sql),
		"attach '%s' as other; insert into snapshot select * from other.snapshot",
		other_path);
	run_sql(p->db, sql);
	f = open_fold(l, &no_rules);
	assert_true(slice_is(get(f, "a/a", now).state, "{\"a\":1}"));
	assert_int_equal(refusals, 1);
	assert_int_equal(verdict(f, "a/a"), LEDGER_SNAPSHOT_DAMAGED);
	ledger_fold_close(f);
	ledger_close(l);
}

static void who_has_no_key_trusts_no_snapshot(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	put(l, "a/a", 0, "{\"a\":1}");
	take(f, "a/a");
	ledger_fold_close(f);
	ledger_close(l);
	struct ledger_options options = { .path = p->db, .timeout = TIME_SECOND };
	l = open_ledger(&options);
	f = open_fold(l, &no_rules);
	assert_int_equal(get(f, "a/a", now).snapshot, 0);
	assert_int_equal(refusals, 1);
	assert_int_equal(verdict(f, "a/a"), LEDGER_SNAPSHOT_UNVERIFIED);
	ledger_fold_close(f);
	ledger_close(l);
}

static void another_reducer_or_upcaster_makes_it_stale(void **state)
{
	static const struct ledger_reducer count = { .stream_type = TEXT("a"),
		.kind = LEDGER_REDUCER_COUNT };
	static const struct ledger_upcast upcast = { TEXT("x"), 1, TEXT(":payload") };
	static const struct ledger_rules others[] = { { &count, 1, NULL, 0 },
		{ NULL, 0, &upcast, 1 } };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	put(l, "a/a", 0, "{\"a\":1}");
	take(f, "a/a");
	for (size_t i = 0; i < COUNT(others); i++) {
		struct ledger_fold *other = open_fold(l, &others[i]);
		assert_int_equal(get(other, "a/a", now).snapshot, 0);
		assert_int_equal(refusals, 1);
		assert_int_equal(verdict(other, "a/a"), LEDGER_SNAPSHOT_STALE);
		ledger_fold_close(other);
	}
	assert_int_equal(get(f, "a/a", now).snapshot, 1);
	ledger_fold_close(f);
	ledger_close(l);
}

/* In the golden ledger events of one origin come an hour late. A snapshot signed with its key as it
 * would have been taken after half of them is stale where one of the rest sorts before its last. */
static void an_event_that_sorts_in_later_makes_it_stale(void **state)
{
	const struct place *p = *state;
	char path[128], key[128];
	make_golden(p, "1500");
	struct ledger_options options = { .path = path_in(p, "golden.db", path),
		.mode = LEDGER_MODE_WRITE,
		.sign_key = path_in(p, "golden-a.key", key),
		.timeout = TIME_SECOND };
	struct ledger *l = open_ledger(&options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	int stale = 0;
	for (uint64_t position = 300; position < 1500; position += 100) {
		struct ledger_state then =
			get(f, "product/sku-3", (struct ledger_moment){ .position = position });
		MUST(ledger_snapshot_keep(f, &then, &err));
		struct ledger_state all = get(f, "product/sku-3", now);
		stale += all.snapshot != then.position;
		assert_int_equal(refusals, all.snapshot != then.position);
		CLEANUP_BUF struct buf with = { 0 };
		buf_add_slice(&with, all.state);
		run_sql(path, "delete from snapshot");
		struct ledger_state without = get(f, "product/sku-3", now);
		assert_true(slice_eq(without.state, buf_slice(&with)));
		assert_int_equal(without.events, all.events);
	}
	assert_true(stale > 0);
	ledger_fold_close(f);
	ledger_close(l);
}

static void the_newest_are_kept_and_the_rest_is_pruned(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	struct slice none = { NULL, 0 };
	uint64_t n = 99;
	for (int i = 0; i < 5; i++) {
		put(l, "a/a", 0, "{}");
		take(f, "a/a");
		put(l, "b/b", 0, "{}");
		take(f, "b/b");
	}
	MUST(ledger_snapshot_prune(l, SLICE(""), none, 3, 0, true, &n, &err));
	assert_int_equal(n, 4);
	assert_int_equal(ask_sql(p->db, "select count(*) from snapshot"), 10);
	MUST(ledger_snapshot_prune(l, SLICE("a/"), none, 3, 0, false, &n, &err));
	assert_int_equal(n, 2);
	MUST(ledger_snapshot_prune(l, SLICE("b/b"), none, 1, 0, false, &n, &err));
	assert_int_equal(n, 4);
	assert_int_equal(
		ask_sql(p->db, "select min(position) from snapshot where stream = 'a/a'"), 5);
	assert_int_equal(ask_sql(p->db, "select position from snapshot where stream = 'b/b'"), 10);
	MUST(ledger_snapshot_prune(l, SLICE(""), SLICE("other"), 0, 0, false, &n, &err));
	assert_int_equal(n, 0);
	MUST(ledger_snapshot_prune(l, SLICE(""), none, 0, 1000, false, &n, &err));
	assert_int_equal(n, 0); /* none was taken that long ago */
	MUST(ledger_snapshot_prune(l, SLICE(""), none, 0, TIME_MAX, false, &n, &err));
	assert_int_equal(n, 4);
	ledger_fold_close(f);
	ledger_close(l);
}

#define ON_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PLACE(a_snapshot_spares_reading_what_is_in_it),
		ON_PLACE(a_moment_before_a_snapshot_does_without),
		ON_PLACE(a_row_that_was_edited_or_swapped_is_not_used),
		ON_PLACE(a_row_from_another_ledger_is_not_used),
		ON_PLACE(who_has_no_key_trusts_no_snapshot),
		ON_PLACE(another_reducer_or_upcaster_makes_it_stale),
		ON_PLACE(an_event_that_sorts_in_later_makes_it_stale),
		ON_PLACE(the_newest_are_kept_and_the_rest_is_pruned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
