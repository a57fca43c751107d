/* JSON Merge Patch: the cases of RFC 7396, and what it leaves open. */
#include "../../lib/fold/merge.h"
#include "ledger_fixture.h"

static struct ledger_error err;

static struct slice checked(const char *text)
{
	struct slice value;
	MUST(json_check(slice_of(text), &value, &err));
	return value;
}

static void expect(const char *target, const char *patch, const char *result)
{
	CLEANUP_BUF struct buf out = { 0 };
	struct slice none = { NULL, 0 };
	MUST(merge_patch(target ? checked(target) : none, checked(patch), &out, &err));
	assert_string_equal(buf_text(&out), result);
	checked(buf_text(&out));
}

static void the_cases_of_the_rfc_come_out(void **state)
{
	static const char *const cases[][3] = {
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
			"{\"a\":{\"b\":\"d\"}}" },
		{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
		{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
		{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
		{ "{\"a\":\"foo\"}", "null", "null" },
		{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
		{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
		{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect(cases[i][0], cases[i][1], cases[i][2]);
}

static void without_a_target_nulls_go_too(void **state)
{
	(void)state;
	expect(NULL, "{\"a\":null,\"b\":{\"c\":null}}", "{\"b\":{}}");
	expect(NULL, "[null]", "[null]");
	expect(NULL, "3", "3");
}

static void of_a_key_that_stands_twice_the_last_counts(void **state)
{
	(void)state;
	expect("{\"a\":1}", "{\"a\":2,\"a\":3}", "{\"a\":3}");
	expect("{}", "{\"a\":2,\"b\":0,\"a\":3}", "{\"b\":0,\"a\":3}");
	expect("{}", "{\"a\":2,\"a\":null}", "{}");
	expect("{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2},\"a\":{\"z\":3}}",
		"{\"a\":{\"x\":1,\"z\":3}}");
}

static void keys_are_the_same_however_they_are_written(void **state)
{
	(void)state;
	expect("{\"a\":1}", "{\"\\u0061\":2}", "{\"a\":2}");
	expect("{\"\\u0061\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}");
	expect("{}", "{\"\":1}", "{\"\":1}");
	expect("{\"\":1}", "{\"\":null}", "{}");
}

static void values_keep_their_bytes_and_lose_the_space_between(void **state)
{
	(void)state;
	expect("{ \"a\" : 1.50 , \"b\":[ 1 ,\n2 ] }",
		" {\"c\" : { \"d e\" : \" \\\" , x\" } , \"f\":1e9999}",
		"{\"a\":1.50,\"b\":[1,2],\"c\":{\"d e\":\" \\\" , x\"},\"f\":1e9999}");
	expect("{\"a\":\"\\\\\"}", "{\"b\" : 1}", "{\"a\":\"\\\\\",\"b\":1}");
}

/* Merges n keys into n others, half of them the same; returns what it took, in µs of computing. */
static uint64_t merge_keys(int n, struct buf *out)
{
	CLEANUP_BUF struct buf a = { 0 }, b = { 0 };
	for (int i = 0; i < n; i++) {
		buf_addf(&a, "%s\"a%d\":1", i ? "," : "{", i);
		buf_addf(&b, "%s\"%c%d\":2", i ? "," : "{", i % 2 ? 'a' : 'b', i);
	}
	buf_add_char(&a, '}');
	buf_add_char(&b, '}');
	uint64_t begin = computed();
	MUST(merge_patch(buf_slice(&a), buf_slice(&b), out, &err));
	return computed() - begin;
}

/* If each were looked for by reading, twenty times the keys would take four hundred times as long. */
static void many_keys_take_little_time(void **state)
{
	CLEANUP_BUF struct buf few = { 0 }, many = { 0 };
	(void)state;
	uint64_t took_few = merge_keys(3000, &few), took_many = merge_keys(60000, &many);
	if (took_many > 150 * took_few)
		fail_msg("%" PRIu64 " us for many, %" PRIu64 " us for few", took_many, took_few);
	checked(buf_text(&many));
	struct json_walk walk;
	struct slice key, value;
	size_t n = 0;
	json_walk_init(&walk, buf_slice(&many));
	while (json_walk_next(&walk, &key, &value))
		n++;
	assert_int_equal(n, 90000);
}

static void the_ceiling_of_the_buffer_holds(void **state)
{
	CLEANUP_BUF struct buf out = { .max = 8 };
	(void)state;
	MUST_FAIL(LEDGER_NO_MEMORY,
		merge_patch(checked("{\"a\":1}"), checked("{\"bcd\":2}"), &out, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cases_of_the_rfc_come_out),
		cmocka_unit_test(without_a_target_nulls_go_too),
		cmocka_unit_test(of_a_key_that_stands_twice_the_last_counts),
		cmocka_unit_test(keys_are_the_same_however_they_are_written),
		cmocka_unit_test(values_keep_their_bytes_and_lose_the_space_between),
		cmocka_unit_test(many_keys_take_little_time),
		cmocka_unit_test(the_ceiling_of_the_buffer_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
