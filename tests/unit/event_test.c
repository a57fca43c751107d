/* Form and limits of the fields of an event. */
#include "../../lib/event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))
#define TEXT(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

typedef enum ledger_status check_fn(struct slice text, struct ledger_error *err);

static struct ledger_error err;

/* The same bytes in memory of exactly their size, so that a sanitizer sees one step too far. */
static enum ledger_status check_exact(check_fn *check, struct slice text)
{
	char *copy = malloc(text.len ? text.len : 1);
	assert_non_null(copy);
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	enum ledger_status status = check((struct slice){ copy, text.len }, &err);
	free(copy);
	return status;
}

static void expect_good(check_fn *check, const struct slice *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (check_exact(check, texts[i]) != LEDGER_OK)
			fail_msg("row %zu: %s", i, err.text);
}

static void expect_bad(check_fn *check, const struct slice *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (check_exact(check, texts[i]) != LEDGER_INVALID)
			fail_msg("row %zu was taken: '%.*s'", i, SLICE_ARG(texts[i]));
		assert_int_equal(err.status, LEDGER_INVALID);
		assert_true(err.text[0] && err.hint[0]);
	}
}

/* A prefix, then n times a byte. */
static struct slice repeated(const char *prefix, char byte, size_t n)
{
	static char room[1024];
	size_t before = strlen(prefix);
	assert_true(before + n <= sizeof(room));
	memcpy(room, prefix, before);
	memset(room + before, byte, n);
	return (struct slice){ room, before + n };
}

static void expect_longest(check_fn *check, const char *prefix, size_t n)
{
	assert_int_equal(check_exact(check, repeated(prefix, 'x', n)), LEDGER_OK);
	assert_int_equal(check_exact(check, repeated(prefix, 'x', n + 1)), LEDGER_INVALID);
}

/* Every byte alone behind a prefix: only those of the word's alphabet are taken. */
static void expect_alphabet(check_fn *check, const char *more)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	for (int c = 0; c < 256; c++) {
		bool good = c && (strchr(letters, c) || strchr(more, c));
		if ((check_exact(check, repeated("a", (char)c, 1)) == LEDGER_OK) != good)
			fail_msg("byte %d is %s", c, good ? "refused" : "taken");
	}
}

static void a_domain_is_a_token(void **state)
{
	static const struct slice bad[] = { TEXT(""), { NULL, 0 }, TEXT("a.b"), TEXT("a b"),
		TEXT("a/b"), TEXT("é"), TEXT("a\r\nPUB x"), TEXT("*"), TEXT(">") };
	(void)state;
	expect_alphabet(event_check_domain, "");
	expect_longest(event_check_domain, "", 64);
	expect_bad(event_check_domain, bad, COUNT(bad));
}

static void a_type_has_dots_and_colons_too(void **state)
{
	static const struct slice good[] = { TEXT("stock_adjusted"), TEXT("a.b:c-d_E"), TEXT(".") };
	static const struct slice bad[] = { TEXT(""), { NULL, 0 }, TEXT("a,b"), TEXT("a b") };
	(void)state;
	expect_alphabet(event_check_type, ".:");
	expect_longest(event_check_type, "", EVENT_TYPE_MAX);
	expect_good(event_check_type, good, COUNT(good));
	expect_bad(event_check_type, bad, COUNT(bad));
}

/* What UTF-8 is not, and control characters: C0, DEL, C1. */
static const struct slice unfit[] = {
	TEXT("\0"), TEXT("\t"), TEXT("\n"), TEXT("\r"), TEXT("\x1B[2J"), TEXT("\x1F"), TEXT("\x7F"),
	TEXT("\xC2\x80"), TEXT("\xC2\x85"), TEXT("\xC2\x9B"), TEXT("\xC2\x9F"), /* C1 */
	TEXT("\x80"), TEXT("\xFF"), TEXT("\xC3"), TEXT("\xC0\xAF"), /* not UTF-8, overlong */
	TEXT("\xED\xA0\x80"), TEXT("\xF4\x90\x80\x80"), /* a surrogate, beyond U+10FFFF */
	TEXT("\xE2\x82"),				/* cut short */
};

/* Bidi controls are format characters, not control characters: they are taken, and escaped on screen. */
static const struct slice odd[] = {
	TEXT("é"),
	TEXT("e\xCC\x81"),
	TEXT("日本語"),
	TEXT("\xF0\x9F\x98\x80"),
	TEXT("\xE2\x80\xAE"), /* right-to-left override */
	TEXT("\xE2\x81\xA6"),
	TEXT("\xE2\x80\x8B"), /* isolate, zero width space */
	TEXT("\xEF\xBF\xBD"),
	TEXT("\xF4\x8F\xBF\xBF"),
	TEXT("\"\\'"),
	TEXT("../../x"),
};

/* White space: fit for the key of a stream, not for a tag. */
static const struct slice blanks[] = {
	TEXT(" "),
	TEXT("a b"),
	TEXT("\xC2\xA0"),
	TEXT("\xE1\x9A\x80"),
	TEXT("\xE2\x80\x80"),
	TEXT("\xE2\x80\x8A"),
	TEXT("\xE2\x80\xA8"),
	TEXT("\xE2\x80\xA9"),
	TEXT("\xE2\x80\xAF"),
	TEXT("\xE2\x81\x9F"),
	TEXT("\xE3\x80\x80"),
};

/* In front, behind, and in the middle of good text. */
static void expect_within(
	check_fn *check, const char *prefix, const struct slice *parts, size_t n, bool good)
{
	static const char *const around[][2] = { { "", "" }, { "x", "" }, { "", "x" },
		{ "x", "x" } };
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < COUNT(around); j++) {
			CLEANUP_BUF struct buf text = { 0 };
			buf_addf(&text, "%s%s", prefix, around[j][0]);
			buf_add_slice(&text, parts[i]);
			buf_add_text(&text, around[j][1]);
			struct slice whole = buf_slice(&text);
			/* A character cut short takes its end from what follows: 'x' is none. */
			(good ? expect_good : expect_bad)(check, &whole, 1);
		}
	}
}

static void a_stream_is_a_token_and_a_key(void **state)
{
	static const struct slice good[] = { TEXT("product/sku-1"), TEXT("a/b/c"), TEXT("a//"),
		TEXT("file/../../etc/passwd"), TEXT("p/ ") };
	static const struct slice bad[] = { TEXT(""), { NULL, 0 }, TEXT("product"), TEXT("/"),
		TEXT("/key"), TEXT("product/"), TEXT("pro duct/x"), TEXT("pro.duct/x"),
		TEXT("../../x"), TEXT("é/x") };
	(void)state;
	expect_good(event_check_stream, good, COUNT(good));
	expect_bad(event_check_stream, bad, COUNT(bad));
	expect_longest(event_check_stream, "p/", EVENT_STREAM_KEY_MAX);
	assert_int_equal(check_exact(event_check_stream, repeated("", 'p', 64)), LEDGER_INVALID);
}

static void the_type_of_a_stream_is_at_most_64_long(void **state)
{
	char stream[80];
	(void)state;
	snprintf(stream, sizeof(stream), "%064d/x", 0);
	assert_int_equal(event_check_stream(slice_of(stream), &err), LEDGER_OK);
	snprintf(stream, sizeof(stream), "%065d/x", 0);
	assert_int_equal(event_check_stream(slice_of(stream), &err), LEDGER_INVALID);
}

static void the_key_of_a_stream_is_text_without_control_characters(void **state)
{
	(void)state;
	expect_within(event_check_stream, "p/", unfit, COUNT(unfit), false);
	expect_within(event_check_stream, "p/", odd, COUNT(odd), true);
	expect_within(event_check_stream, "p/", blanks, COUNT(blanks), true);
}

static void a_tag_is_a_token_and_a_value(void **state)
{
	static const struct slice good[] = { TEXT("product:sku-1"), TEXT("a:b:c"), TEXT("a::"),
		TEXT("url:http://h/p?q=1") };
	static const struct slice bad[] = { TEXT(""), { NULL, 0 }, TEXT("product"), TEXT(":"),
		TEXT(":x"), TEXT("product:"), TEXT("pro duct:x"), TEXT("@correlation:x"),
		TEXT("a.b:x") };
	(void)state;
	expect_good(event_check_tag, good, COUNT(good));
	expect_bad(event_check_tag, bad, COUNT(bad));
	expect_longest(event_check_tag, "t:", EVENT_TAG_VALUE_MAX);
}

static void the_value_of_a_tag_is_text_without_blanks_and_control_characters(void **state)
{
	(void)state;
	expect_within(event_check_tag, "t:", unfit, COUNT(unfit), false);
	expect_within(event_check_tag, "t:", odd, COUNT(odd), true);
	expect_within(event_check_tag, "t:", blanks, COUNT(blanks), false);
}

static void a_long_bad_value_is_cut_in_the_message(void **state)
{
	(void)state;
	assert_int_equal(event_check_domain(repeated("", '!', 1000), &err), LEDGER_INVALID);
	assert_true(strlen(err.text) < 200);
	assert_non_null(strstr(err.text, "!!!"));
}

/* --- What stands in an event ----------------------------------------------------------------- */

static void tags_are_walked_in_order(void **state)
{
	struct slice rest = SLICE("a:1 b:2 c:3"), tag;
	(void)state;
	for (const char *want = "a:1\0b:2\0c:3\0"; *want; want += 4) {
		assert_true(event_next_tag(&rest, &tag));
		assert_true(slice_is(tag, want));
	}
	assert_false(event_next_tag(&rest, &tag));
	rest = (struct slice){ NULL, 0 };
	assert_false(event_next_tag(&rest, &tag));
}

static const struct {
	const char *metadata;
	const char *correlation; /* NULL: none */
} correlations[] = {
	{ "{\"correlation_id\":\"order-17\",\"actor\":\"ada\"}", "order-17" },
	{ "{ \"actor\" : \"ada\" , \"correlation_id\" : \"a b\" }", "a b" },
	{ "{\"correlation_id\":\"caf\\u00e9\"}", "café" },
	{ "{\"\\u0063orrelation_id\":\"x\"}", "x" },
	{ "{\"a\":{\"correlation_id\":\"x\"}}", NULL },
	{ "{\"correlation_id\":17}", NULL },
	{ "{\"correlation_id\":null}", NULL },
	{ "{\"correlation_id\":\"\"}", NULL },
	{ "{\"correlation\":\"x\"}", NULL },
	{ "{}", NULL },
	{ NULL, NULL },
};

static void the_correlation_is_the_text_of_that_member(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(correlations); i++) {
		CLEANUP_BUF struct buf got = { 0 };
		struct event e = { .metadata = slice_of(correlations[i].metadata) };
		const char *want = correlations[i].correlation;
		buf_add_text(&got, "from before");
		if (event_correlation(&e, &got) != (want != NULL))
			fail_msg("row %zu", i);
		if (want)
			assert_string_equal(buf_text(&got), want);
	}
}

static void a_correlation_is_at_most_as_long_as_the_value_of_a_tag(void **state)
{
	(void)state;
	for (int n = EVENT_TAG_VALUE_MAX; n <= EVENT_TAG_VALUE_MAX + 1; n++) {
		CLEANUP_BUF struct buf got = { 0 };
		char metadata[256];
		snprintf(metadata, sizeof(metadata), "{\"correlation_id\":\"%0*d\"}", n, 0);
		struct event e = { .metadata = slice_of(metadata) };
		assert_int_equal(event_correlation(&e, &got), n == EVENT_TAG_VALUE_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_is_a_token),
		cmocka_unit_test(a_type_has_dots_and_colons_too),
		cmocka_unit_test(a_stream_is_a_token_and_a_key),
		cmocka_unit_test(the_type_of_a_stream_is_at_most_64_long),
		cmocka_unit_test(the_key_of_a_stream_is_text_without_control_characters),
		cmocka_unit_test(a_tag_is_a_token_and_a_value),
		cmocka_unit_test(the_value_of_a_tag_is_text_without_blanks_and_control_characters),
		cmocka_unit_test(a_long_bad_value_is_cut_in_the_message),
		cmocka_unit_test(tags_are_walked_in_order),
		cmocka_unit_test(the_correlation_is_the_text_of_that_member),
		cmocka_unit_test(a_correlation_is_at_most_as_long_as_the_value_of_a_tag),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
