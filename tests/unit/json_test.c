/* JSON: what is taken and what is refused, walking, decoding, writing. */
#include "../../lib/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_cases.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct ledger_error err;

/* The same bytes in memory of exactly their size, so that a sanitizer sees one step too far. */
static struct slice exact(struct slice s)
{
	char *copy = malloc(s.len ? s.len : 1);
	assert_non_null(copy);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return (struct slice){ copy, s.len };
}

static void expect_outcome(struct slice text, bool good)
{
	struct slice copy = exact(text), value;
	if ((json_check(copy, &value, &err) == LEDGER_OK) != good)
		fail_msg("%s: %.*s", good ? err.text : "taken", SLICE_ARG(text));
	if (!good) {
		assert_int_equal(err.status, LEDGER_INVALID);
		assert_true(err.text[0]);
	}
	free((char *)copy.ptr);
}

static void expect_each(const struct slice *texts, size_t n, bool good)
{
	for (size_t i = 0; i < n; i++)
		expect_outcome(texts[i], good);
}

static void expect_error(const char *text, const char *message)
{
	struct slice value = SLICE("untouched");
	assert_int_equal(json_check(slice_of(text), &value, &err), LEDGER_INVALID);
	assert_string_equal(err.text, message);
	assert_true(slice_is(value, "untouched"));
}

static struct slice checked(const char *text)
{
	struct slice value;
	assert_int_equal(json_check(slice_of(text), &value, &err), LEDGER_OK);
	return value;
}

static void expect_text(struct buf *b, const char *text)
{
	assert_string_equal(buf_text(b), text);
	assert_int_equal(b->len, strlen(text));
	buf_reset(b);
}

/* `before` n times, `middle`, `after` n times; to be freed. */
static char *nested(size_t n, const char *before, const char *middle, const char *after)
{
	CLEANUP_BUF struct buf b = { 0 };
	for (size_t i = 0; i < n; i++)
		buf_add_text(&b, before);
	buf_add_text(&b, middle);
	for (size_t i = 0; i < n; i++)
		buf_add_text(&b, after);
	return strdup(buf_text(&b));
}

static void expect_nested(size_t n, const char *before, const char *after, const char *message)
{
	char *text = nested(n, before, "", after);
	if (message)
		expect_error(text, message);
	else
		checked(text);
	free(text);
}

static void the_suite_is_answered_as_rfc_8259_says(void **state)
{
	(void)state;
	expect_each(accepted, COUNT(accepted), true);
	expect_each(refused, COUNT(refused), false);
}

static void what_the_rfc_leaves_open_is_answered_as_decided(void **state)
{
	(void)state;
	expect_each(accepted_by_choice, COUNT(accepted_by_choice), true);
	expect_each(refused_by_choice, COUNT(refused_by_choice), false);
}

static void nesting_ends_at_64_levels(void **state)
{
	(void)state;
	expect_nested(64, "[", "]", NULL);
	expect_nested(63, "{\"\":", "}", "unexpected '}' at byte 253");
	expect_nested(65, "[", "]", "nested deeper than 64 levels at byte 65");
	expect_nested(500, "[", "]", "nested deeper than 64 levels at byte 65");
	expect_nested(100000, "[", "", "nested deeper than 64 levels at byte 65");
	expect_nested(50000, "[{\"\":", "", "nested deeper than 64 levels at byte 161");
}

/* Each level remembers its own kind: closing with the other bracket is refused at every depth. */
static void brackets_must_match_at_every_level(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 31; n++) {
		char *good = nested(n, "[{\"a\":", "1", "}]");
		char *bad = strdup(good);
		checked(good);
		for (size_t i = strlen(bad) - 2 * n; bad[i]; i++) {
			struct slice value;
			bad[i] = good[i] == ']' ? '}' : ']';
			assert_int_equal(json_check(slice_of(bad), &value, &err), LEDGER_INVALID);
			bad[i] = good[i];
		}
		free(good);
		free(bad);
	}
}

/* The check looks at eight bytes at a time: every byte at every place of several words. */
static void every_byte_in_a_string_is_judged_wherever_it_stands(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 1; at < 25; at++) {
			char text[] = "\"aaaaaaaaaaaaaaaaaaaaaaaa\"";
			bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
			text[at] = (char)c;
			expect_outcome((struct slice){ text, 26 }, good);
		}
}

static void every_cut_of_a_text_is_refused(void **state)
{
	static const char text[] = "{\"a\":[1.5e3,\"\\ud83d\\ude39\\n\xE2\x82\xAC\",true,null,{}]}";
	(void)state;
	checked(text);
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		expect_outcome((struct slice){ text, n }, false);
}

static void errors_say_what_and_where(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "nothing there" },
		{ " \n", "nothing there" },
		{ "{\"a\":1,\"b\":2 ,,", "unexpected ',' at byte 15" },
		{ "[1] x", "unexpected 'x' at byte 5" },
		{ "[NaN]", "unexpected 'N' at byte 2" },
		{ "[\x01]", "unexpected byte 0x01 at byte 2" },
		{ "[\xE2\x80\x9C]", "unexpected U+201C at byte 2" },
		{ "[\x80]", "invalid UTF-8 at byte 2" },
		{ "\"abcdefg\xC3(\"", "invalid UTF-8 at byte 9" },
		{ "\xEF\xBB\xBF{}", "byte order mark at byte 1" },
		{ "[\"a\\ud800b\"]", "lone surrogate \\ud800 at byte 4" },
		{ "[\"\\uDC00\"]", "lone surrogate \\udc00 at byte 3" },
		{ "[\"\\u12x4\"]", "\\u without four hex digits at byte 3" },
		{ "\"\\u1\"", "\\u without four hex digits at byte 2" },
		{ "\"\\q\"", "unknown escape \\q at byte 2" },
		{ "\"\\\t\"", "unknown escape at byte 2" },
		{ "\"a\nb\"", "raw control character 0x0a in a string at byte 3" },
		{ "\"abc", "ends in the middle of a string at byte 4" },
		{ "\"abc\\", "ends in the middle of a string at byte 5" },
		{ "\"abc\\u00", "ends in the middle of a string at byte 8" },
		{ "[1.", "ends in the middle of a number at byte 3" },
		{ "[1", "ends in the middle of an array at byte 2" },
		{ "{\"a\"", "ends in the middle of an object at byte 4" },
		{ "[tru", "ends in the middle of a word at byte 4" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_error(cases[i].text, cases[i].message);
}

static void the_value_is_without_the_white_space_around_it(void **state)
{
	(void)state;
	assert_true(slice_is(checked(" \t\r\n{ \"a\" : 1 }\n "), "{ \"a\" : 1 }"));
	assert_true(slice_is(checked("12"), "12"));
	assert_int_equal(json_check((struct slice){ NULL, 0 }, &(struct slice){ NULL, 0 }, &err),
		LEDGER_INVALID);
}

static void a_walk_hands_out_members_and_items(void **state)
{
	struct json_walk walk;
	struct slice key, value;
	static const char *const members[][2] = {
		{ "\"a\"", "{\"x\":[1,\"}]\"]}" },
		{ "\"b\\\"\"", "\"q\\\\\"" },
		{ "\"\"", "-1e5" },
		{ "\"c\"", "null" },
	};
	(void)state;
	json_walk_init(&walk, checked("{ \"a\":{\"x\":[1,\"}]\"]} , \"b\\\"\" "
				      ":\"q\\\\\",\"\":-1e5\n,\"c\":null }"));
	for (size_t i = 0; i < COUNT(members); i++) {
		assert_true(json_walk_next(&walk, &key, &value));
		assert_true(slice_is(key, members[i][0]));
		assert_true(slice_is(value, members[i][1]));
	}
	assert_false(json_walk_next(&walk, &key, &value));
	json_walk_init(&walk, checked("[ [] , {},3 ]"));
	for (const char *const *item = (const char *const[]){ "[]", "{}", "3", NULL }; *item;
		item++) {
		assert_true(json_walk_next(&walk, &key, &value));
		assert_null(key.ptr);
		assert_true(slice_is(value, *item));
	}
	assert_false(json_walk_next(&walk, &key, &value));
}

static void empty_ones_and_scalars_have_nothing_to_walk(void **state)
{
	(void)state;
	for (const char *const *text =
			(const char *const[]){ "{}", "[ ]", "1", "\"a\"", "null", NULL };
		*text; text++) {
		struct json_walk walk;
		struct slice key, value;
		json_walk_init(&walk, checked(*text));
		assert_false(json_walk_next(&walk, &key, &value));
	}
}

/* Fuzzing calls it so; nothing but staying inside is asked of it. */
static void walking_what_is_not_json_stays_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		CLEANUP_BUF struct buf out = { 0 };
		struct slice copy = exact(refused[i]), key, value;
		struct json_walk walk;
		json_walk_init(&walk, copy);
		while (json_walk_next(&walk, &key, &value))
			json_decode_string(value, &out);
		json_decode_string(copy, &out);
		json_add_pretty(&out, copy, 0);
		json_add_string(&out, copy);
		free((char *)copy.ptr);
	}
}

static void kinds_are_told_apart(void **state)
{
	static const char *const texts[] = { "null", "false", "true", "-1", "\"\"", "[]", "{}" };
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(json_kind(checked(texts[i])), i);
}

static void the_last_member_of_a_name_is_found(void **state)
{
	struct slice object = checked("{\"a\":1,\"b\":{\"c\":2},\"\\u0061\":3}"),
		     value = SLICE("-");
	(void)state;
	assert_true(json_member(object, SLICE("a"), &value));
	assert_true(slice_is(value, "3"));
	assert_false(json_member(object, SLICE("c"), &value));
	assert_false(json_member(checked("[\"a\"]"), SLICE("a"), &value));
	assert_true(slice_is(value, "3"));
}

static void strings_are_decoded_and_compared(void **state)
{
	static const struct {
		const char *string;
		struct slice text;
	} cases[] = {
		{ "\"\"", CASE("") },
		{ "\"plain \xC3\xA9\"", CASE("plain \xC3\xA9") },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", CASE("\"\\/\b\f\n\r\t") },
		{ "\"a\\u0000b\\u0041\"", CASE("a\0bA") },
		{ "\"\\u00e9\\u20AC\\ud83d\\ude39!\"",
			CASE("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\xB9!") },
		{ "\"\\uDBFF\\uDFFF\\ud800\\udc00\"", CASE("\xF4\x8F\xBF\xBF\xF0\x90\x80\x80") },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_BUF struct buf out = { 0 };
		struct slice string = checked(cases[i].string);
		json_decode_string(string, &out);
		assert_true(slice_eq(buf_slice(&out), cases[i].text));
		assert_true(json_string_is(string, cases[i].text));
		buf_add_char(&out, 'x');
		assert_false(json_string_is(string, buf_slice(&out)));
		if (cases[i].text.len)
			assert_false(json_string_is(string, slice_from(cases[i].text, 1)));
	}
}

static void a_key_that_stands_twice_is_named(void **state)
{
	static const struct {
		const char *object, *message; /* NULL: taken */
	} cases[] = {
		{ "{}", NULL },
		{ "{\"a\":{\"x\":1},\"b\":{\"x\":1},\"A\":[]}", NULL },
		{ "{\"a\":1,\"b\":2,\"a\":3}", "key \"a\" stands twice" },
		{ "{\"a\\n\":1,\"\\u0061\\u000a\":2}", "key \"a\\n\" stands twice" },
		{ "{\"\":1,\"\":2}", "key \"\" stands twice" },
		{ "{\"\\u0000\":1,\"\":2,\"\\u0000\\u0000\":3}", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum ledger_status status = json_check_unique(checked(cases[i].object), &err);
		assert_int_equal(status, cases[i].message ? LEDGER_INVALID : LEDGER_OK);
		if (cases[i].message)
			assert_string_equal(err.text, cases[i].message);
	}
}

static void thousands_of_keys_are_compared(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++) {
		CLEANUP_BUF struct buf b = { 0 };
		buf_add_text(&b, "{\"\\u0031\":0");
		for (unsigned i = 2; i < 10000; i++)
			buf_addf(&b, i % 3 ? ",\"%u\":0" : ",\"\\u0030%u\":0", i);
		buf_add_text(&b, again ? ",\"1\":0}" : "}");
		enum ledger_status status = json_check_unique(checked(buf_text(&b)), &err);
		assert_int_equal(status, again ? LEDGER_INVALID : LEDGER_OK);
	}
	assert_string_equal(err.text, "key \"1\" stands twice");
}

static void written_strings_are_printable_and_read_back(void **state)
{
	CLEANUP_BUF struct buf out = { 0 };
	(void)state;
	json_add_string(&out, SLICE("a\"b\\c\b\f\n\r\t\0\x1F\x7F\xC3\xA9/"));
	expect_text(&out, "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f\xC3\xA9/\"");
	json_add_string(&out, SLICE("x\xFFy\xE2\x82"));
	expect_text(&out, "\"x\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD\"");
	json_add_string(&out, (struct slice){ NULL, 0 });
	expect_text(&out, "\"\"");
}

static void flat_is_the_same_bytes_on_one_line(void **state)
{
	CLEANUP_BUF struct buf out = { 0 };
	(void)state;
	json_add_flat(&out, checked("{\r\n\t\"a\\n\" : [\n1.50 ] }\n"));
	expect_text(&out, "{  \t\"a\\n\" : [ 1.50 ] }");
}

static void pretty_is_indented_by_two(void **state)
{
	CLEANUP_BUF struct buf out = { 0 };
	(void)state;
	json_add_pretty(&out, checked("{\"a\" :[1, {\"b,\":\"x:y\"},[ ]],\"c\":{ }}"), 0);
	expect_text(&out, "{\n  \"a\": [\n    1,\n    {\n      \"b,\": \"x:y\"\n    },\n    []\n  "
			  "],\n  \"c\": {}\n}");
	json_add_pretty(&out, checked("[1]"), 2);
	expect_text(&out, "[\n      1\n    ]");
	json_add_pretty(&out, checked(" -1.0e5 "), 3);
	expect_text(&out, "-1.0e5");
}

static void only_whole_numbers_of_64_bits_are_u64(void **state)
{
	uint64_t n = 7;
	(void)state;
	assert_true(json_u64(checked("18446744073709551615"), &n));
	assert_true(n == UINT64_MAX);
	for (const char *const *text = (const char *const[]){ "18446744073709551616", "-0", "1.0",
		     "1e2", "\"1\"", "null", "[]", NULL };
		*text; text++)
		assert_false(json_u64(checked(*text), &n));
	assert_true(n == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_suite_is_answered_as_rfc_8259_says),
		cmocka_unit_test(what_the_rfc_leaves_open_is_answered_as_decided),
		cmocka_unit_test(nesting_ends_at_64_levels),
		cmocka_unit_test(brackets_must_match_at_every_level),
		cmocka_unit_test(every_byte_in_a_string_is_judged_wherever_it_stands),
		cmocka_unit_test(every_cut_of_a_text_is_refused),
		cmocka_unit_test(errors_say_what_and_where),
		cmocka_unit_test(the_value_is_without_the_white_space_around_it),
		cmocka_unit_test(a_walk_hands_out_members_and_items),
		cmocka_unit_test(empty_ones_and_scalars_have_nothing_to_walk),
		cmocka_unit_test(walking_what_is_not_json_stays_inside),
		cmocka_unit_test(kinds_are_told_apart),
		cmocka_unit_test(the_last_member_of_a_name_is_found),
		cmocka_unit_test(strings_are_decoded_and_compared),
		cmocka_unit_test(a_key_that_stands_twice_is_named),
		cmocka_unit_test(thousands_of_keys_are_compared),
		cmocka_unit_test(written_strings_are_printable_and_read_back),
		cmocka_unit_test(flat_is_the_same_bytes_on_one_line),
		cmocka_unit_test(pretty_is_indented_by_two),
		cmocka_unit_test(only_whole_numbers_of_64_bits_are_u64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
