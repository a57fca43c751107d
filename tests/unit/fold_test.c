/* States: reducers, upcasters, the order of folding, moments. */
#include "../../lib/fold.h"
#include "../../lib/store/shared.h"
#include "ledger_fixture.h"

static struct ledger_error err;

static const struct ledger_reducer_rule stock[] = {
	{ TEXT("counted"), TEXT("json_set(:state, '$.n', :payload->>'$.n')") },
	{ TEXT("moved"), TEXT("json_set(:state, '$.n', (:state->>'$.n') + (:payload->>'$.by'))") },
};
static const struct ledger_reducer_rule list[] = {
	{ TEXT("*"), TEXT("json_insert(:state, '$[#]', :id)") },
};
static const struct ledger_reducer reducers[] = {
	{ .stream_type = TEXT("product"),
		.kind = LEDGER_REDUCER_SQL,
		.initial = TEXT("{\"n\":0}"),
		.rules = stock,
		.n_rules = COUNT(stock) },
	{ .stream_type = TEXT("tally"), .kind = LEDGER_REDUCER_COUNT },
	{ .stream_type = TEXT("last"), .kind = LEDGER_REDUCER_LAST },
	{ .stream_type = TEXT("list"),
		.kind = LEDGER_REDUCER_SQL,
		.initial = TEXT("[]"),
		.rules = list,
		.n_rules = COUNT(list) },
};
static const struct ledger_upcast upcasts[] = {
	{ TEXT("moved"), 2, TEXT("json_object('by', :payload->'$.delta')") },
	{ TEXT("moved"), 1, TEXT("json_object('delta', -(:payload->>'$.out'))") },
};
static const struct ledger_rules rules = { reducers, COUNT(reducers), upcasts, COUNT(upcasts) };
static const struct ledger_rules no_rules;

static void put(struct ledger *l, const char *domain, const char *stream, const char *type,
	uint64_t schema, uint64_t time, const char *payload)
{
	append_one(l, &(struct ledger_new){ .domain = slice_of(domain),
			      .stream = slice_of(stream),
			      .type = slice_of(type),
			      .schema = schema,
			      .has_time = time != 0,
			      .time = time,
			      .payload = slice_of(payload) });
}

static struct ledger_state get(
	struct ledger_fold *f, const char *stream, struct ledger_moment moment)
{
	struct ledger_state s;
	MUST(ledger_state(f, slice_of(stream), (struct slice){ NULL, 0 }, &moment, &s, &err));
	return s;
}

static void expect_state(
	struct ledger_fold *f, const char *stream, struct ledger_moment moment, const char *state)
{
	struct ledger_state s = get(f, stream, moment);
	if (!slice_is(s.state, state))
		fail_msg("%s is %.*s instead of %s", stream, SLICE_ARG(s.state), state);
}

static struct ledger_fold *open_fold(struct ledger *l, const struct ledger_rules *r)
{
	struct ledger_fold *f = NULL;
	MUST(ledger_fold_open(&f, l, r, &err));
	return f;
}

static const struct ledger_moment now;

static void each_reducer_makes_its_state(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &rules);
	static const char *const types[] = { "product/a", "tally/a", "last/a", "any/a" };
	for (size_t i = 0; i < COUNT(types); i++) {
		put(l, "inventory", types[i], "counted", 1, 0, "{\"n\":5,\"x\":{\"y\":1}}");
		put(l, "inventory", types[i], "unknown", 1, 0, "{\"n\":6,\"x\":{\"z\":2}}");
		put(l, "inventory", types[i], "moved", 3, 0, "{\"by\":-2}");
	}
	expect_state(f, "product/a", now, "{\"n\":3}");
	expect_state(f, "tally/a", now, "3");
	expect_state(f, "last/a", now, "{\"by\":-2}");
	expect_state(f, "any/a", now, "{\"n\":6,\"x\":{\"y\":1,\"z\":2},\"by\":-2}");
	struct ledger_state s = get(f, "product/a", now);
	assert_int_equal(s.events, 3);
	assert_int_equal(s.version, 3);
	assert_int_equal(s.position, 3);
	assert_int_equal(s.last, 3);
	assert_int_equal(s.folded, 3);
	assert_int_equal(s.snapshot, 0);
	assert_string_equal(s.reducer, "sql");
	ledger_fold_close(f);
	ledger_close(l);
}

static void payloads_are_cast_up_step_by_step(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &rules);
	put(l, "inventory", "product/a", "moved", 1, 0, "{\"out\":4}");
	put(l, "inventory", "product/a", "moved", 2, 0, "{\"delta\":10}");
	put(l, "inventory", "product/a", "moved", 3, 0, "{\"by\":100}");
	expect_state(f, "product/a", now, "{\"n\":106}");
	ledger_fold_close(f);
	ledger_close(l);
}

static void a_moment_takes_what_had_happened_or_was_known(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	put(l, "inventory", "a/a", "x", 1, 3000, "{\"a\":1}");
	put(l, "inventory", "a/a", "x", 1, 1000, "{\"b\":2}");
	put(l, "inventory", "a/a", "x", 1, 2000, "{\"c\":3}");
	expect_state(
		f, "a/a", (struct ledger_moment){ .has_time = true, .time = 1000 }, "{\"b\":2}");
	expect_state(f, "a/a", (struct ledger_moment){ .has_time = true, .time = 2999 },
		"{\"b\":2,\"c\":3}");
	expect_state(f, "a/a", (struct ledger_moment){ .version = 1 }, "{\"a\":1}");
	expect_state(f, "a/a", (struct ledger_moment){ .position = 2 }, "{\"a\":1,\"b\":2}");
	struct ledger_state second = get(f, "a/a", (struct ledger_moment){ .position = 2 });
	uint64_t clock = second.clock;
	expect_state(f, "a/a", (struct ledger_moment){ .has_clock = true, .clock = clock },
		"{\"a\":1,\"b\":2}");
	expect_state(f, "a/a",
		(struct ledger_moment){
			.has_clock = true, .clock = clock, .has_time = true, .time = 2500 },
		"{\"b\":2}");
	struct ledger_state s;
	struct ledger_moment before = { .has_time = true, .time = 999 };
	MUST_FAIL(LEDGER_NO, ledger_state(f, SLICE("a/a"), SLICE("inventory"), &before, &s, &err));
	ledger_fold_close(f);
	ledger_close(l);
}

static void a_stream_of_two_domains_has_to_be_named_with_one(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	struct ledger_state s;
	put(l, "inventory", "a/a", "x", 1, 0, "{\"a\":1}");
	put(l, "sales", "a/a", "x", 1, 0, "{\"b\":2}");
	MUST_FAIL(LEDGER_USAGE,
		ledger_state(f, SLICE("a/a"), (struct slice){ NULL, 0 }, &now, &s, &err));
	assert_non_null(strstr(err.text, "inventory and sales"));
	MUST(ledger_state(f, SLICE("a/a"), SLICE("sales"), &now, &s, &err));
	assert_true(slice_is(s.state, "{\"b\":2}"));
	MUST_FAIL(LEDGER_NO, ledger_state(f, SLICE("a/a"), SLICE("other"), &now, &s, &err));
	MUST_FAIL(LEDGER_NO,
		ledger_state(f, SLICE("a/b"), (struct slice){ NULL, 0 }, &now, &s, &err));
	MUST_FAIL(LEDGER_INVALID,
		ledger_state(f, SLICE("a"), (struct slice){ NULL, 0 }, &now, &s, &err));
	ledger_fold_close(f);
	ledger_close(l);
}

static void an_expression_that_fails_names_event_and_rule(void **state)
{
	static const struct ledger_reducer_rule bad[] = {
		{ TEXT("null"), TEXT(":payload->'$.nothing'") },
		{ TEXT("text"), TEXT("'no json'") },
		{ TEXT("*"), TEXT("json_set(:state, '$.x'") },
	};
	static const struct ledger_reducer reducer = { TEXT("p"), LEDGER_REDUCER_SQL, { NULL, 0 },
		bad, COUNT(bad) };
	static const struct ledger_rules bad_rules = { &reducer, 1, NULL, 0 };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &bad_rules);
	struct ledger_state s;
	put(l, "inventory", "p/a", "null", 1, 0, "{}");
	put(l, "inventory", "p/b", "text", 1, 0, "{}");
	put(l, "inventory", "p/c", "else", 1, 0, "{}");
	MUST_FAIL(
		LEDGER_INVALID, ledger_state(f, SLICE("p/a"), SLICE("inventory"), &now, &s, &err));
	assert_non_null(strstr(err.text, "reducer of p, null, at position 1: it gives NULL"));
	MUST_FAIL(
		LEDGER_INVALID, ledger_state(f, SLICE("p/b"), SLICE("inventory"), &now, &s, &err));
	assert_non_null(strstr(err.text, "not JSON"));
	MUST_FAIL(LEDGER_USAGE, ledger_state(f, SLICE("p/c"), SLICE("inventory"), &now, &s, &err));
	MUST_FAIL(LEDGER_USAGE, ledger_rules_check(&bad_rules, &err));
	MUST(ledger_rules_check(&rules, &err));
	ledger_fold_close(f);
	ledger_close(l);
}

static void a_changed_event_is_not_folded(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_fold *f = open_fold(l, &no_rules);
	struct ledger_state s;
	put(l, "inventory", "a/a", "x", 1, 0, "{\"a\":1}");
	put(l, "inventory", "a/a", "x", 1, 0, "{\"b\":2}");
	run_sql(p->db, "drop trigger event_no_update;"
		       "update event set payload = '{\"a\":9}' where position = 1");
	MUST_FAIL(
		LEDGER_DAMAGED, ledger_state(f, SLICE("a/a"), SLICE("inventory"), &now, &s, &err));
	assert_non_null(strstr(err.text, "position 1"));
	ledger_fold_close(f);
	ledger_close(l);
}

/* A ledger of three origins, one of which is an hour behind: arrival is not the order. */
static struct ledger *open_golden(const struct place *p, char path[128])
{
	make_golden(p, "1500");
	struct ledger_options options = { .path = path_in(p, "golden.db", path),
		.timeout = TIME_SECOND };
	struct ledger *l = open_ledger(&options);
	assert_true(
		ask_sql(path, "select count(*) from event a join event b on a.stream = "
			      "b.stream and a.domain = b.domain and a.position < b.position and "
			      "a.clock > b.clock") > 100);
	return l;
}

/* The ids of all nine streams are in the order in which SQL sorts them. */
static void expect_sorted(struct ledger *l, const char *path)
{
	static const struct ledger_reducer each = { TEXT("*"), LEDGER_REDUCER_SQL, TEXT("[]"), list,
		COUNT(list) };
	static const struct ledger_rules each_rules = { &each, 1, NULL, 0 };
	struct ledger_fold *f = open_fold(l, &each_rules);
	for (int i = 0; i < 9; i++) {
		CLEANUP_BUF struct buf query = { 0 };
		char stream[32];
		snprintf(stream, sizeof(stream), "product/sku-%d", i);
		struct ledger_state s = get(f, stream, now);
		assert_true(s.events > 10);
		buf_addf(&query,
			"select '%.*s' = (select json_group_array(id) from (select id from events "
			"where stream = '%s' order by clock, origin, epoch, domain, sequence))",
			SLICE_ARG(s.state), stream);
		assert_int_equal(ask_sql(path, buf_text(&query)), 1);
	}
	ledger_fold_close(f);
}

static void the_order_is_that_of_all_nodes(void **state)
{
	char path[128];
	struct ledger *l = open_golden(*state, path);
	expect_sorted(l, path);
	ledger_close(l);
}

static void so_it_is_where_the_stream_does_not_fit_into_memory(void **state)
{
	static const size_t windows[] = { 1, 2, 7, 30 };
	char path[128];
	size_t usual = shared_window;
	struct ledger *l = open_golden(*state, path);
	for (size_t i = 0; i < COUNT(windows); i++) {
		shared_window = windows[i];
		expect_sorted(l, path);
	}
	shared_window = usual;
	ledger_close(l);
}

#define ON_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_PLACE(each_reducer_makes_its_state),
		ON_PLACE(payloads_are_cast_up_step_by_step),
		ON_PLACE(a_moment_takes_what_had_happened_or_was_known),
		ON_PLACE(a_stream_of_two_domains_has_to_be_named_with_one),
		ON_PLACE(an_expression_that_fails_names_event_and_rule),
		ON_PLACE(a_changed_event_is_not_folded),
		ON_PLACE(the_order_is_that_of_all_nodes),
		ON_PLACE(so_it_is_where_the_stream_does_not_fit_into_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
