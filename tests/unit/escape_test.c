/* What a terminal would obey is shown instead. Needs cmd/escape.c. */
#include "../../cmd/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void assert_escaped(struct slice raw, bool keep_newlines, const char *wanted)
{
	CLEANUP_BUF struct buf out = { 0 };
	escape_slice(&out, raw, keep_newlines);
	assert_false(out.failed);
	assert_string_equal(buf_text(&out), wanted);
}

static void what_is_harmless_stays(void **state)
{
	static const char *const texts[] = {
		"", "plain ~ text", "back\\slash \\x1B", "caf\u00E9 \u20AC \U0001F600",
		"\u00A0",	/* first behind C1 */
		"\u2027\u202F", /* the neighbours of the line separators and bidi controls */
		"\u2065\u206A", "\u200D", /* joins emoji */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_escaped(slice_of(texts[i]), false, texts[i]);
}

static void what_a_terminal_obeys_is_shown(void **state)
{
	static const struct {
		struct slice raw;
		const char *wanted;
	} cases[] = {
		{ { "\x1b[31mred", 8 }, "\\x1B[31mred" },
		{ { "a\0b", 3 }, "a\\x00b" },
		{ { "\t\r\n\x1f\x7f", 5 }, "\\x09\\x0D\\x0A\\x1F\\x7F" },
		{ { "\xC2\x80\xC2\x9B\xC2\x9F", 6 }, "\\xC2\\x80\\xC2\\x9B\\xC2\\x9F" },
		{ { "\xC2\x85", 2 }, "\\xC2\\x85" },
		{ { "\xD8\x9C", 2 }, "\\xD8\\x9C" },
		{ { "\xE2\x80\x8E\xE2\x80\x8F", 6 }, "\\xE2\\x80\\x8E\\xE2\\x80\\x8F" },
		{ { "\xE2\x80\xA8\xE2\x80\xA9", 6 }, "\\xE2\\x80\\xA8\\xE2\\x80\\xA9" },
		{ { "\xE2\x80\xAA\xE2\x80\xAE", 6 }, "\\xE2\\x80\\xAA\\xE2\\x80\\xAE" },
		{ { "\xE2\x81\xA6\xE2\x81\xA9", 6 }, "\\xE2\\x81\\xA6\\xE2\\x81\\xA9" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_escaped(cases[i].raw, false, cases[i].wanted);
}

static void what_is_not_utf8_is_shown_byte_by_byte(void **state)
{
	(void)state;
	assert_escaped(SLICE("\x9b"
			     "31m"),
		false, "\\x9B31m");
	assert_escaped(SLICE("\xC3("), false, "\\xC3(");
	assert_escaped(SLICE("\xC0\x9B"), false, "\\xC0\\x9B");
	assert_escaped(SLICE("\xED\xA0\x80"), false, "\\xED\\xA0\\x80");
	assert_escaped(SLICE("x\xE2\x82"), false, "x\\xE2\\x82");
	assert_escaped(SLICE("\xF4\x90\x80\x80"), false, "\\xF4\\x90\\x80\\x80");
}

static void only_newlines_are_kept_where_lines_are_wanted(void **state)
{
	(void)state;
	assert_escaped(SLICE("a\n\tb\r\n"), true, "a\n\\x09b\\x0D\n");
	assert_escaped(SLICE("a\n"), false, "a\\x0A");
}

/* Whatever comes in, nothing but printable ASCII and whole characters that are no controls comes out. */
static void no_pair_of_bytes_comes_through(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		char raw[2] = { (char)(i >> 8), (char)(i & 255) };
		CLEANUP_BUF struct buf once = { 0 };
		escape_slice(&once, (struct slice){ raw, 2 }, false);
		struct slice rest = buf_slice(&once);
		assert_true(slice_is_utf8(rest));
		while (rest.len) {
			uint32_t code = 0;
			size_t n = slice_utf8_char(rest, &code);
			assert_true(code >= 0x20 && (code < 0x7F || code > 0x9F));
			rest = slice_from(rest, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_harmless_stays),
		cmocka_unit_test(what_a_terminal_obeys_is_shown),
		cmocka_unit_test(what_is_not_utf8_is_shown_byte_by_byte),
		cmocka_unit_test(only_newlines_are_kept_where_lines_are_wanted),
		cmocka_unit_test(no_pair_of_bytes_comes_through),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
