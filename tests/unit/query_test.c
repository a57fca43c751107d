/* Append conditions: how a query is written, and what --expect and --fail-if hold back. */
#include "ledger_fixture.h"

static struct ledger_error err;

/* --- The text of a query --------------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *types, *tags; /* what was understood, joined by '|'; NULL: it is refused */
} queries[] = {
	{ "type=a", "a", "" },
	{ "type=a,b", "a|b", "" },
	{ "type=a type=b", "a|b", "" },
	{ "tag=k:v", "", "k:v" },
	{ "tag=k:v tag=k:w", "", "k:v|k:w" },
	{ "type=a,b tag=k:v tag=l:w", "a|b", "k:v|l:w" },
	{ "tag=k:v type=a", "a", "k:v" },
	{ "  tag=k:v   type=a  ", "a", "k:v" },
	{ "tag=url:http://h/p?q=1,2", "", "url:http://h/p?q=1,2" },
	{ "type=a.b:c-d_E", "a.b:c-d_E", "" },
	{ "", NULL, NULL },
	{ "   ", NULL, NULL },
	{ "type=", NULL, NULL },
	{ "type=a,", NULL, NULL },
	{ "type=,a", NULL, NULL },
	{ "type=a,,b", NULL, NULL },
	{ "type=a b", NULL, NULL },
	{ "tag=k", NULL, NULL },
	{ "tag=", NULL, NULL },
	{ "tag=:v", NULL, NULL },
	{ "tag=k:", NULL, NULL },
	{ "tags=k:v", NULL, NULL },
	{ "Type=a", NULL, NULL },
	{ "stream=a/b", NULL, NULL },
	{ "type", NULL, NULL },
	{ "=a", NULL, NULL },
	{ "type=a\ntag=k:v", NULL, NULL },
	{ "tag=@correlation:x", NULL, NULL },
};

static void expect_words(const char *query, const struct slice *words, size_t n, const char *want)
{
	CLEANUP_BUF struct buf got = { 0 };
	for (size_t i = 0; i < n; i++) {
		buf_add_text(&got, i ? "|" : "");
		buf_add_slice(&got, words[i]);
	}
	if (strcmp(buf_text(&got), want) != 0)
		fail_msg("%s: %s instead of %s", query, buf_text(&got), want);
}

static void a_query_is_types_and_tags(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(queries); i++) {
		struct ledger_query_item item = { .n_types = 7 };
		enum ledger_status status =
			ledger_query_parse(slice_of(queries[i].text), &item, &err);
		if (status != (queries[i].types ? LEDGER_OK : LEDGER_INVALID))
			fail_msg("'%s': %s", queries[i].text, status ? err.text : "taken");
		if (status) {
			assert_int_equal(item.n_types, 7); /* written only on success */
			assert_true(err.text[0]);
			continue;
		}
		expect_words(queries[i].text, item.types, item.n_types, queries[i].types);
		expect_words(queries[i].text, item.tags, item.n_tags, queries[i].tags);
	}
}

/* "prefix" and n words. */
static void compose(struct buf *out, const char *first, const char *next, int n)
{
	for (int i = 0; i < n; i++)
		buf_addf(out, "%s%d", i ? next : first, i);
}

static void a_query_has_at_most_16_types_and_32_tags(void **state)
{
	static const struct {
		const char *first, *next;
		int most;
	} limits[] = { { "type=t", ",t", 16 }, { "type=t", " type=t", 16 },
		{ "tag=t:", " tag=t:", 32 } };
	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		CLEANUP_BUF struct buf fits = { 0 }, over = { 0 };
		struct ledger_query_item item;
		compose(&fits, limits[i].first, limits[i].next, limits[i].most);
		compose(&over, limits[i].first, limits[i].next, limits[i].most + 1);
		MUST(ledger_query_parse(buf_slice(&fits), &item, &err));
		assert_int_equal(item.n_types + item.n_tags, limits[i].most);
		MUST_FAIL(LEDGER_INVALID, ledger_query_parse(buf_slice(&over), &item, &err));
	}
}

/* --- Expected versions ----------------------------------------------------------------------- */

static enum ledger_status append_if(struct ledger *l, const struct ledger_new *new,
	const struct ledger_condition *condition, struct ledger_answer *answer)
{
	return ledger_append(l, new, 1, condition, answer, &err);
}

/* Against stream a/b of domain inventory with two events; "a/none" has none, "a/c" one elsewhere. */
static const struct {
	const char *stream;
	enum ledger_expect expect;
	uint64_t version;
	enum ledger_status status;
} expectations[] = {
	{ "a/b", LEDGER_EXPECT_ANY, 0, LEDGER_OK },
	{ "a/b", LEDGER_EXPECT_NONE, 0, LEDGER_CONFLICT },
	{ "a/b", LEDGER_EXPECT_EXISTS, 0, LEDGER_OK },
	{ "a/b", LEDGER_EXPECT_VERSION, 0, LEDGER_CONFLICT },
	{ "a/b", LEDGER_EXPECT_VERSION, 1, LEDGER_CONFLICT },
	{ "a/b", LEDGER_EXPECT_VERSION, 2, LEDGER_OK },
	{ "a/b", LEDGER_EXPECT_VERSION, 3, LEDGER_CONFLICT },
	{ "a/none", LEDGER_EXPECT_ANY, 0, LEDGER_OK },
	{ "a/none", LEDGER_EXPECT_NONE, 0, LEDGER_OK },
	{ "a/none", LEDGER_EXPECT_EXISTS, 0, LEDGER_CONFLICT },
	{ "a/none", LEDGER_EXPECT_VERSION, 0, LEDGER_OK },
	{ "a/none", LEDGER_EXPECT_VERSION, 1, LEDGER_CONFLICT },
	{ "a/c", LEDGER_EXPECT_NONE, 0, LEDGER_OK },
	{ "a/c", LEDGER_EXPECT_EXISTS, 0, LEDGER_CONFLICT },
	{ NULL, LEDGER_EXPECT_ANY, 0, LEDGER_OK },
	{ NULL, LEDGER_EXPECT_NONE, 0, LEDGER_INVALID },
	{ NULL, LEDGER_EXPECT_EXISTS, 0, LEDGER_INVALID },
	{ NULL, LEDGER_EXPECT_VERSION, 0, LEDGER_INVALID },
};

static void add_three(struct ledger *l)
{
	struct ledger_new new = plain();
	new.stream = SLICE("a/b");
	append_one(l, &new);
	append_one(l, &new);
	new.stream = SLICE("a/c");
	new.domain = SLICE("orders");
	append_one(l, &new);
}

static void an_expected_version_must_be_that_of_the_stream(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	add_three(l);
	for (size_t i = 0; i < COUNT(expectations); i++) {
		struct ledger_condition c = { .expect = expectations[i].expect,
			.version = expectations[i].version };
		struct ledger_new new = plain();
		struct ledger_answer answer;
		new.stream = slice_of(expectations[i].stream);
		MUST(ledger_begin(l, &err));
		enum ledger_status status = ledger_add(l, &new, &c, &answer, &err);
		ledger_rollback(l);
		if (status != expectations[i].status)
			fail_msg("row %zu: %d", i, status);
	}
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 3);
	ledger_close(l);
}

static void the_second_of_two_with_one_expectation_fails(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	struct ledger_condition none = { .expect = LEDGER_EXPECT_NONE };
	struct ledger_new new = plain();
	struct ledger_answer answer;
	new.stream = SLICE("order/17");
	MUST(append_if(l, &new, &none, &answer));
	MUST_FAIL(LEDGER_CONFLICT, append_if(other, &new, &none, &answer));
	assert_non_null(strstr(err.text, "order/17"));
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 1);
	ledger_close(l);
	ledger_close(other);
}

/* --- Fail if --------------------------------------------------------------------------------- */

/* What is in the ledger, by position from 1. */
static const struct {
	const char *type;
	struct slice tags[2];
	size_t n_tags;
} present[] = {
	{ "placed", { TEXT("order:1") }, 1 },
	{ "placed", { TEXT("order:2"), TEXT("sku:a") }, 2 },
	{ "paid", { TEXT("order:1"), TEXT("sku:a") }, 2 },
	{ "sent", { TEXT("order:11") }, 1 },
	{ "sent", { { NULL, 0 } }, 0 },
};

static const struct {
	const char *queries[3];
	uint64_t after;
	enum ledger_status status;
} conditions[] = {
	{ { "type=placed" }, 0, LEDGER_CONFLICT }, { { "type=cancelled" }, 0, LEDGER_OK },
	{ { "type=cancelled,paid" }, 0, LEDGER_CONFLICT }, /* types: any of them */
	{ { "tag=order:1" }, 0, LEDGER_CONFLICT }, { { "tag=order:3" }, 0, LEDGER_OK },
	{ { "tag=order:1 tag=sku:a" }, 0, LEDGER_CONFLICT }, /* tags: all of them, in one event */
	{ { "tag=order:1 tag=order:2" }, 0, LEDGER_OK },
	{ { "tag=order:11 tag=sku:a" }, 0, LEDGER_OK },
	{ { "type=placed tag=order:2" }, 0, LEDGER_CONFLICT },
	{ { "type=paid tag=order:2" }, 0, LEDGER_OK },
	{ { "type=placed,sent tag=sku:a" }, 0, LEDGER_CONFLICT },
	{ { "type=sent tag=sku:a" }, 0, LEDGER_OK },
	{ { "type=cancelled", "tag=order:3" }, 0, LEDGER_OK },
	{ { "type=cancelled", "tag=order:2" }, 0, LEDGER_CONFLICT }, /* items: any of them */
	{ { "type=cancelled", "tag=order:3", "type=sent" }, 0, LEDGER_CONFLICT },
	{ { "tag=order:1" }, 2, LEDGER_CONFLICT }, { { "tag=order:1" }, 3, LEDGER_OK },
	{ { "type=placed" }, 1, LEDGER_CONFLICT }, { { "type=placed" }, 2, LEDGER_OK },
	{ { "type=sent" }, 4, LEDGER_CONFLICT }, { { "type=sent" }, 5, LEDGER_OK },
	{ { "type=sent" }, 6, LEDGER_INVALID }, /* a position that is not reached */
};

static void add_present(struct ledger *l)
{
	for (size_t i = 0; i < COUNT(present); i++) {
		struct ledger_new new = plain();
		new.type = slice_of(present[i].type);
		new.tags = present[i].tags;
		new.n_tags = present[i].n_tags;
		append_one(l, &new);
	}
}

static void an_event_that_matches_holds_the_append_back(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	add_present(l);
	for (size_t i = 0; i < COUNT(conditions); i++) {
		struct ledger_query_item items[3];
		struct ledger_condition c = { .fail_if = items, .after = conditions[i].after };
		struct ledger_new new = plain();
		struct ledger_answer answer;
		for (; c.n_fail_if < 3 && conditions[i].queries[c.n_fail_if]; c.n_fail_if++)
			MUST(ledger_query_parse(slice_of(conditions[i].queries[c.n_fail_if]),
				&items[c.n_fail_if], &err));
		MUST(ledger_begin(l, &err));
		enum ledger_status status = ledger_add(l, &new, &c, &answer, &err);
		ledger_rollback(l);
		if (status != conditions[i].status)
			fail_msg("row %zu, %s: %d", i, conditions[i].queries[0], status);
	}
	ledger_close(l);
}

static void the_event_in_the_way_is_named(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_query_item item = { .tags = { TEXT("sku:a") }, .n_tags = 1 };
	struct ledger_condition c = { .fail_if = &item, .n_fail_if = 1 };
	struct ledger_new new = plain();
	struct ledger_answer answer;
	add_present(l);
	MUST_FAIL(LEDGER_CONFLICT, append_if(l, &new, &c, &answer));
	assert_non_null(strstr(err.text, "position 2"));
	ledger_close(l);
}

static void both_an_expectation_and_a_query_must_hold(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_query_item item = { .types = { TEXT("sent") }, .n_types = 1 };
	struct ledger_condition c = {
		.expect = LEDGER_EXPECT_NONE, .fail_if = &item, .n_fail_if = 1
	};
	struct ledger_new new = plain();
	struct ledger_answer answer;
	new.stream = SLICE("a/b");
	add_present(l);
	MUST_FAIL(LEDGER_CONFLICT, append_if(l, &new, &c, &answer));
	c.after = 5;
	MUST(append_if(l, &new, &c, &answer));
	MUST_FAIL(LEDGER_CONFLICT, append_if(l, &new, &c, &answer));
	ledger_close(l);
}

/* --- A cursor in the same transaction -------------------------------------------------------- */

static int64_t cursor_at(const struct place *p)
{
	return ask_sql(p->db, "SELECT ifnull(max(position), -1) FROM cursor");
}

static void a_cursor_moves_with_the_append_or_not_at_all(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_condition c = { .cursor = SLICE("reader"), .cursor_position = 1 };
	struct ledger_new new = plain();
	struct ledger_answer answer;
	MUST(append_if(l, &new, &c, &answer)); /* at the event itself */
	assert_int_equal(cursor_at(p), 1);
	c.cursor_position = 2;
	c.expect = LEDGER_EXPECT_NONE; /* without a stream: refused */
	MUST_FAIL(LEDGER_INVALID, append_if(l, &new, &c, &answer));
	assert_int_equal(cursor_at(p), 1);
	c.expect = LEDGER_EXPECT_ANY;
	c.cursor_position = 3;
	MUST_FAIL(LEDGER_INVALID, append_if(l, &new, &c, &answer));
	assert_int_equal(cursor_at(p), 1);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 1);
	c.cursor_position = 2;
	MUST(append_if(l, &new, &c, &answer));
	assert_int_equal(cursor_at(p), 2);
	c.cursor = SLICE("no name");
	MUST_FAIL(LEDGER_INVALID, append_if(l, &new, &c, &answer));
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 2);
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_types_and_tags),
		cmocka_unit_test(a_query_has_at_most_16_types_and_32_tags),
		TEST(an_expected_version_must_be_that_of_the_stream),
		TEST(the_second_of_two_with_one_expectation_fails),
		TEST(an_event_that_matches_holds_the_append_back),
		TEST(the_event_in_the_way_is_named),
		TEST(both_an_expectation_and_a_query_must_hold),
		TEST(a_cursor_moves_with_the_append_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
