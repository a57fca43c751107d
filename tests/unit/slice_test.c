/* Slices: borrowed bytes compared, cut and read. */
#include "../../lib/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static const struct slice absent = { NULL, 0 };

/* The text in memory of exactly its size, so that a sanitizer sees one step too far. */
static struct slice exact(const char *text)
{
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, text, n);
	return (struct slice){ copy, n };
}

static void absent_is_not_empty_but_equal_in_bytes(void **state)
{
	(void)state;
	assert_null(slice_of(NULL).ptr);
	assert_non_null(slice_of("").ptr);
	assert_true(slice_eq(absent, SLICE("")));
	assert_true(slice_is(absent, ""));
	assert_true(slice_starts(absent, absent));
	assert_int_equal(slice_cmp(absent, SLICE("")), 0);
	assert_int_equal(slice_trim(absent).len, 0);
}

static void order_is_bytewise_and_a_prefix_comes_first(void **state)
{
	static const char *const sorted[] = { "", "A", "Aa", "B", "a", "a:", "aa", "\x7F", "\x80",
		"\xFF" };
	(void)state;
	for (size_t i = 0; i < COUNT(sorted); i++)
		for (size_t j = 0; j < COUNT(sorted); j++) {
			int order = slice_cmp(slice_of(sorted[i]), slice_of(sorted[j]));
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
			assert_int_equal(
				slice_eq(slice_of(sorted[i]), slice_of(sorted[j])), i == j);
		}
}

static void a_nul_is_a_byte_like_any_other(void **state)
{
	(void)state;
	assert_false(slice_is(SLICE("a\0b"), "a"));
	assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
	assert_true(slice_starts(SLICE("a\0b"), SLICE("a\0")));
}

static void starts_asks_for_the_whole_prefix(void **state)
{
	(void)state;
	assert_true(slice_starts(SLICE("product/1"), SLICE("product/")));
	assert_true(slice_starts(SLICE("x"), SLICE("")));
	assert_false(slice_starts(SLICE("prod"), SLICE("product/")));
	assert_false(slice_starts(SLICE("Product/1"), SLICE("product/")));
}

static void a_cut_is_at_the_first_place(void **state)
{
	struct slice head = SLICE("untouched"), tail = SLICE("untouched");
	(void)state;
	assert_false(slice_cut(SLICE("abc"), '/', &head, &tail));
	assert_false(slice_cut(absent, '/', &head, &tail));
	assert_true(slice_is(head, "untouched") && slice_is(tail, "untouched"));
	assert_true(slice_cut(SLICE("a/b/c"), '/', &head, &tail));
	assert_true(slice_is(head, "a") && slice_is(tail, "b/c"));
	assert_true(slice_cut(SLICE("/"), '/', &head, &tail));
	assert_true(slice_is(head, "") && slice_is(tail, ""));
}

static void trimming_takes_blanks_from_both_ends_only(void **state)
{
	(void)state;
	assert_true(slice_is(slice_trim(SLICE(" \ta b\t ")), "a b"));
	assert_true(slice_is(slice_trim(SLICE(" \t ")), ""));
	assert_true(slice_is(slice_trim(SLICE("\na\n")), "\na\n"));
}

static void only_whole_numbers_that_fit_are_read(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1.0", "0x1",
		"18446744073709551616", "99999999999999999999999" };
	uint64_t n = 7;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(slice_u64(slice_of(bad[i]), &n));
	assert_true(n == 7);
	assert_true(slice_u64(SLICE("18446744073709551615"), &n) && n == UINT64_MAX);
	assert_true(slice_u64(SLICE("000"), &n) && n == 0);
}

static void hex_is_read_in_either_case(void **state)
{
	uint8_t bytes[3] = { 0 };
	(void)state;
	assert_true(slice_unhex(SLICE("00fFA1"), bytes, 3));
	assert_memory_equal(bytes, "\x00\xFF\xA1", 3);
	assert_false(slice_unhex(SLICE("00ff"), bytes, 3));
	assert_false(slice_unhex(SLICE("00ffg1"), bytes, 3));
	assert_false(slice_unhex(SLICE("00ff 1"), bytes, 3));
}

static void utf8_is_read_to_its_last_character(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t code;
	} cases[] = {
		{ "a", 'a' },
		{ "\x7F", 0x7F },
		{ "\xC2\x80", 0x80 },
		{ "\xDF\xBF", 0x7FF },
		{ "\xE0\xA0\x80", 0x800 },
		{ "\xED\x9F\xBF", 0xD7FF },
		{ "\xEE\x80\x80", 0xE000 },
		{ "\xEF\xBF\xBF", 0xFFFF },
		{ "\xF0\x90\x80\x80", 0x10000 },
		{ "\xF4\x8F\xBF\xBF", 0x10FFFF },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t code = 0;
		struct slice s = exact(cases[i].bytes);
		assert_int_equal(slice_utf8_char(s, &code), s.len);
		assert_int_equal(code, cases[i].code);
		assert_true(slice_is_utf8(s));
		for (s.len--; s.len; s.len--)
			assert_false(slice_is_utf8(s));
		free((char *)s.ptr);
	}
}

static void what_is_not_utf8_is_refused(void **state)
{
	static const char *const bad[] = { "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2",
		"\xC2\xC2", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xE2\x82", "\xE2\x82x", "\xED\xA0\x80",
		"\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF", "ok\xFF" };
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct slice s = exact(bad[i]);
		assert_false(slice_is_utf8(s));
		free((char *)s.ptr);
	}
	assert_int_equal(slice_utf8_char(absent, NULL), 0);
	assert_true(slice_is_utf8(absent));
	assert_true(slice_is_utf8(SLICE("a\0b \xC3\xA9 \xF0\x9F\x98\x80")));
}

static void a_token_is_1_to_64_of_its_letters(void **state)
{
	static const char *const bad[] = { "", " ", "a.b", "a*", ">", "a/b", "a\r\nb", "\xC3\xA9",
		"a b", ":" };
	char text[65];
	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(slice_is_token((struct slice){ text, 64 }));
	assert_false(slice_is_token((struct slice){ text, 65 }));
	assert_true(slice_is_token(SLICE("Az09_-")));
	assert_false(slice_is_token(SLICE("a\0")));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(slice_is_token(slice_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_is_not_empty_but_equal_in_bytes),
		cmocka_unit_test(order_is_bytewise_and_a_prefix_comes_first),
		cmocka_unit_test(a_nul_is_a_byte_like_any_other),
		cmocka_unit_test(starts_asks_for_the_whole_prefix),
		cmocka_unit_test(a_cut_is_at_the_first_place),
		cmocka_unit_test(trimming_takes_blanks_from_both_ends_only),
		cmocka_unit_test(only_whole_numbers_that_fit_are_read),
		cmocka_unit_test(hex_is_read_in_either_case),
		cmocka_unit_test(utf8_is_read_to_its_last_character),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(a_token_is_1_to_64_of_its_letters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
