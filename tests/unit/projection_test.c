/* Projections: what they are defined by, where they stand, and what takes them further. */
#include "ledger_fixture.h"

#include "../../lib/fold.h"
#include "../../lib/fold/projection.h"

static struct ledger_error err;

static const struct ledger_apply apply[] = {
	{ TEXT("a"), TEXT("insert into t values (:position, :schema, :payload)") },
	{ TEXT("b"), TEXT("delete from t") },
};
static const struct slice domains[] = { TEXT("inventory"), TEXT("sales") };
static const struct ledger_upcast upcasts[] = {
	{ TEXT("a"), 1, TEXT("json_object('n', json(:payload))") },
	{ TEXT("other"), 1, TEXT(":payload") },
};
static const struct ledger_rules upcasting = { NULL, 0, upcasts, 1 };

static struct ledger_projection projection(const char *database)
{
	return (struct ledger_projection){
		.name = "p",
		.database = database,
		.schema = SLICE("create table t (position, schema, payload)"),
		.domains = domains,
		.n_domains = COUNT(domains),
		.apply = apply,
		.n_apply = COUNT(apply),
	};
}

static void put(struct ledger *l, const char *type, const char *payload)
{
	struct ledger_new new = plain();
	new.type = slice_of(type);
	new.payload = slice_of(payload);
	append_one(l, &new);
}

static struct ledger_projection_run *open_run(
	struct ledger *l, const struct ledger_projection *p, uint64_t limit)
{
	struct ledger_projection_run *run;
	struct ledger_replay_options options = { .ledger = l, .limit = limit };
	MUST(ledger_projection_open(&run, &options, p, &err));
	return run;
}

/* Opens, goes up to a position, closes; how many events that were. */
static uint64_t go(
	struct ledger *l, const struct ledger_projection *p, uint64_t limit, uint64_t end)
{
	struct ledger_projection_run *run = open_run(l, p, limit);
	bool done = false;
	while (!done)
		MUST(ledger_projection_step(run, end, &done, &err));
	uint64_t count = ledger_projection_count(run);
	ledger_projection_close(run);
	return count;
}

/* --- The definition -------------------------------------------------------------------------- */

static bool is_same(const struct ledger_projection *a, const struct ledger_projection *b)
{
	uint8_t x[EVENT_HASH_SIZE], y[EVENT_HASH_SIZE];
	MUST(projection_definition(a, x, &err));
	MUST(projection_definition(b, y, &err));
	return memcmp(x, y, sizeof(x)) == 0;
}

static void everything_the_content_depends_on_is_in_the_definition(void **state)
{
	static const struct ledger_apply edited[] = {
		{ TEXT("a"), TEXT("insert into t values (:position, :schema, :type)") },
		{ TEXT("b"), TEXT("delete from t") },
	};
	static const struct ledger_apply any[] = {
		{ TEXT("*"), TEXT("insert into t values (:position, :schema, :payload)") },
		{ TEXT("b"), TEXT("delete from t") },
	};
	static const struct ledger_upcast later[] = {
		{ TEXT("a"), 2, TEXT("json_object('n', json(:payload))") },
	};
	static const struct ledger_rules other_schema = { NULL, 0, later, 1 };
	const struct ledger_projection p = projection("p.db");
	struct ledger_projection changed[8];
	(void)state;
	for (size_t i = 0; i < COUNT(changed); i++)
		changed[i] = p;
	changed[0].schema = SLICE("create table t (position, schema, payload, more)");
	changed[1].n_domains = 1;
	changed[2].n_domains = 0;
	changed[3].n_apply = 1;
	changed[4].apply = edited;
	changed[5].apply = any;
	changed[6].rules = &upcasting;
	changed[7].rules = &other_schema;
	for (size_t i = 0; i < COUNT(changed); i++) {
		assert_false(is_same(&p, &changed[i]));
		for (size_t k = 0; k < i; k++)
			if (is_same(&changed[k], &changed[i]))
				fail_msg("%zu and %zu are the same", k, i);
	}
}

static void nothing_else_is_in_the_definition(void **state)
{
	static const struct ledger_apply turned[] = {
		{ TEXT("b"), TEXT("delete from t") },
		{ TEXT("a"), TEXT("insert into t values (:position, :schema, :payload)") },
	};
	static const struct slice turned_domains[] = { TEXT("sales"), TEXT("inventory") };
	static const struct ledger_rules no_upcasters, more = { NULL, 0, upcasts, 2 },
						       others = { NULL, 0, upcasts + 1, 1 };
	const struct ledger_projection p = projection("p.db");
	struct ledger_projection q = p, upcast = p;
	(void)state;
	q.name = "q"; /* a file says whose it is by itself */
	q.database = "q.db";
	q.apply = turned;
	q.domains = turned_domains;
	assert_true(is_same(&p, &q));
	q.rules = &no_upcasters;
	assert_true(is_same(&p, &q));
	q.rules = &others; /* of a type that it does not take */
	assert_true(is_same(&p, &q));
	upcast.rules = &upcasting;
	q.rules = &more;
	assert_true(is_same(&upcast, &q));
}

/* --- Shared order ---------------------------------------------------------------------------- */

static void the_shared_order_is_clock_origin_epoch_domain_sequence(void **state)
{
	static const struct shared_key sorted[] = {
		{ 1, "z", 9, "z", 9 },
		{ 2, "a", 9, "z", 9 },
		{ 2, "a-", 1, "a", 1 },
		{ 2, "b", 1, "z", 9 },
		{ 2, "b", 2, "a", 9 },
		{ 2, "b", 2, "b", 1 },
		{ 2, "b", 2, "b", 2 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(sorted); i++)
		for (size_t k = 0; k < COUNT(sorted); k++) {
			int order = shared_key_cmp(&sorted[i], &sorted[k]);
			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
}

/* --- Going ----------------------------------------------------------------------------------- */

static void it_takes_each_event_once_up_to_where_it_is_told(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger *l = open_ledger(&p->options);
	for (int i = 0; i < 6; i++)
		put(l, i == 2 ? "unknown" : "a", "1");
	assert_int_equal(go(l, &q, 0, 4), 3);
	assert_int_equal(go(l, &q, 0, 4), 0);
	assert_int_equal(go(l, &q, 1, 6), 1);
	assert_int_equal(ask_sql(path, "select position from ledgerbox_projection"), 5);
	assert_int_equal(go(l, &q, 0, 6), 1);
	assert_int_equal(ask_sql(path, "select count(*) from t"), 5);
	assert_int_equal(ask_sql(path, "select sum(position) from t"), 1 + 2 + 4 + 5 + 6);
	ledger_close(l);
}

static int asked, patience;

/* From the call behind `patience` on; 0: never. */
static bool is_stopping(void)
{
	return patience && ++asked > patience;
}

static void who_is_told_to_stop_leaves_nothing_half_done(void **state)
{
	const struct place *p = *state;
	char path[128];
	bool done;
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger *l = open_ledger(&p->options);
	struct ledger_projection_run *run;
	struct ledger_replay_options options = { .ledger = l, .is_stopping = is_stopping };
	append_many(l, 300);
	q.apply = (const struct ledger_apply[]){ { TEXT("*"),
		TEXT("insert into t values (:position, 0, 0)") } };
	q.n_apply = 1;
	MUST(ledger_projection_rebuild(&run, &options, &q, LEDGER_ORDER_SHARED, &err));
	/* Before it begins, then with some events in the transaction. */
	for (asked = 1, patience = 1; patience <= 2; patience++, asked = 1) {
		MUST(ledger_projection_step(run, 300, &done, &err));
		assert_true(done);
		assert_int_equal(ledger_projection_count(run), 0);
	}
	patience = 0;
	MUST(ledger_projection_step(run, 300, &done, &err));
	assert_true(done);
	assert_int_equal(ledger_projection_count(run), 300);
	ledger_projection_close(run);
	assert_int_equal(ask_sql(path, "select count(*) from t"), 300);
	ledger_close(l);
}

static void events_go_through_the_upcasters(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger *l = open_ledger(&p->options);
	q.rules = &upcasting;
	put(l, "a", "17");
	assert_int_equal(go(l, &q, 0, 1), 1);
	assert_int_equal(ask_sql(path, "select schema from t"), 2);
	assert_int_equal(ask_sql(path, "select payload ->> '$.n' from t"), 17);
	ledger_close(l);
}

/* --- Whose file is it ------------------------------------------------------------------------ */

static void a_place_that_is_not_this_projections_is_refused(void **state)
{
	static const char *const edits[] = {
		"update ledgerbox_projection set name = 'q'",
		"update ledgerbox_projection set definition = zeroblob(32)",
		"update ledgerbox_projection set definition = zeroblob(31)",
		"update ledgerbox_projection set hash = zeroblob(32)",
		"update ledgerbox_projection set hash = zeroblob(0)",
		"update ledgerbox_projection set position = 1",
		"update ledgerbox_projection set position = 99",
		"update ledgerbox_projection set position = -1",
		"update ledgerbox_projection set stale = 1",
		"delete from ledgerbox_projection",
		"drop table ledgerbox_projection",
	};
	const struct place *p = *state;
	char path[128], kept[128];
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger *l = open_ledger(&p->options);
	struct ledger_replay_options options = { .ledger = l };
	struct ledger_projection_state seen;
	put(l, "a", "1");
	put(l, "a", "1");
	go(l, &q, 0, 2);
	run_sql(path, "pragma wal_checkpoint(truncate)");
	copy_file(path, path_in(p, "kept.db", kept));
	for (size_t i = 0; i < COUNT(edits); i++) {
		struct ledger_projection_run *run = NULL;
		run_sql(path, edits[i]);
		enum ledger_status status = ledger_projection_open(&run, &options, &q, &err);
		if (status != LEDGER_REFUSED)
			fail_msg("%s: %d %s", edits[i], status, err.text);
		assert_null(run);
		assert_true(err.hint[0]);
		MUST_FAIL(LEDGER_REFUSED, ledger_projection_look(l, &q, &seen, &err));
		copy_file(kept, path);
	}
	assert_int_equal(go(l, &q, 0, 2), 0);
	ledger_close(l);
}

static void one_is_opened_by_one_process_at_a_time(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger_options impatient = p->options;
	impatient.timeout = TIME_SECOND / 100;
	struct ledger *l = open_ledger(&impatient);
	struct ledger_replay_options options = { .ledger = l };
	struct ledger_projection_run *first = open_run(l, &q, 0), *second = NULL;
	MUST_FAIL(LEDGER_BUSY, ledger_projection_open(&second, &options, &q, &err));
	MUST_FAIL(LEDGER_BUSY,
		ledger_projection_rebuild(&second, &options, &q, LEDGER_ORDER_ARRIVAL, &err));
	ledger_projection_close(first);
	ledger_projection_close(open_run(l, &q, 0));
	ledger_close(l);
}

static void one_that_was_never_built_is_told_from_one_that_was(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct ledger_projection q = projection(path_in(p, "p.db", path));
	struct ledger *l = open_ledger(&p->options);
	struct ledger_projection_state seen;
	MUST_FAIL(LEDGER_NO, ledger_projection_look(l, &q, &seen, &err));
	assert_int_not_equal(access(path, F_OK), 0);
	put(l, "a", "1");
	go(l, &q, 0, 1);
	MUST(ledger_projection_look(l, &q, &seen, &err));
	assert_int_equal(seen.position, 1);
	assert_int_equal(seen.order, LEDGER_ORDER_ARRIVAL);
	assert_int_equal(seen.stopped, 0);
	ledger_close(l);
}

#define ON_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_the_content_depends_on_is_in_the_definition),
		cmocka_unit_test(nothing_else_is_in_the_definition),
		cmocka_unit_test(the_shared_order_is_clock_origin_epoch_domain_sequence),
		ON_PLACE(it_takes_each_event_once_up_to_where_it_is_told),
		ON_PLACE(who_is_told_to_stop_leaves_nothing_half_done),
		ON_PLACE(events_go_through_the_upcasters),
		ON_PLACE(a_place_that_is_not_this_projections_is_refused),
		ON_PLACE(one_is_opened_by_one_process_at_a_time),
		ON_PLACE(one_that_was_never_built_is_told_from_one_that_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
