/* The event line: one object on one line, what is absent left out. */
#include "../../lib/event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../lib/base/json.h"
#include "event_cases.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))
#define TEXT(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static struct ledger_error err;

/* The line, checked to be one JSON value without a line break. */
static const char *line_of(const struct event *e)
{
	static struct buf line;
	struct slice value;
	buf_reset(&line);
	event_add_line(&line, e);
	if (json_check(buf_slice(&line), &value, &err) != LEDGER_OK)
		fail_msg("%s: %s", err.text, buf_text(&line));
	assert_int_equal(value.len, line.len);
	assert_null(memchr(line.ptr, '\n', line.len));
	return buf_text(&line);
}

#define B4(x)  x x x x
#define B16(x) B4(x) B4(x) B4(x) B4(x)
#define B32(x) B16(x) B16(x)

static void a_line_has_every_field_in_order(void **state)
{
	struct event e = sample_event(42);
	(void)state;
	assert_string_equal(line_of(&e),
		"{\"v\":1,\"id\":\"0193abcd-ef01-7203-8405-060708090a0b\",\"origin\":\"store-a\","
		"\"epoch\":1763658000123456,\"domain\":\"inventory\",\"sequence\":42,"
		"\"stream\":\"product/"
		"sku-1\",\"version\":3,\"type\":\"stock_adjusted\",\"schema\":1,"
		"\"clock\":\"2025-11-20T17:00:00.123456Z\",\"time\":\"2025-11-20T16:59:58."
		"000000Z\","
		"\"tags\":[\"order:17\",\"product:sku-1\"],\"payload\":{ \"delta\" : -2 },"
		"\"metadata\":{\"actor\":\"ada\"},\"salt\":\"" B16("a1") "\",\"prev\":\"" B32(
			"b2") "\",\"hash\":\"" B32("c3") "\",\"key\":\"hs256-0123456789abcdef\","
							 "\"mac\":\"" B32("d4") "\"}");
}

static void the_position_is_added_where_there_is_one(void **state)
{
	struct event e = sample_event(42);
	(void)state;
	assert_null(strstr(line_of(&e), "position"));
	e.position = 17;
	assert_non_null(strstr(line_of(&e), "{\"v\":1,\"position\":17,\"id\":"));
}

static void what_is_absent_is_left_out(void **state)
{
	struct event e = sample_event(42);
	(void)state;
	e.stream = e.tags = e.metadata = (struct slice){ NULL, 0 };
	e.version = 0;
	const char *line = line_of(&e);
	assert_null(strstr(line, "stream"));
	assert_null(strstr(line, "version"));
	assert_null(strstr(line, "tags"));
	assert_null(strstr(line, "metadata"));
	assert_null(strstr(line, "null"));
}

/* Text that JSON must escape, as it stands in a line. */
static const struct {
	struct slice text;
	const char *shown;
} escapes[] = {
	{ TEXT("a/\"\\"), "\"a/\\\"\\\\\"" },
	{ TEXT("a/日本語-é-\xF0\x9F\x98\x80"), "\"a/日本語-é-\xF0\x9F\x98\x80\"" },
	{ TEXT("a/x\ny"), "\"a/x\\ny\"" }, /* a row that somebody changed */
	{ TEXT("a/\x1B[2J"), "\"a/\\u001b[2J\"" },
	{ TEXT("a/\x7F"), "\"a/\\u007f\"" },
	{ TEXT("a/\0x"), "\"a/\\u0000x\"" },
	{ TEXT("a/\xFF"), "\"a/\xEF\xBF\xBD\"" },
};

static void text_is_escaped_wherever_it_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(escapes); i++) {
		struct event e = sample_event(42);
		e.stream = escapes[i].text;
		assert_non_null(strstr(line_of(&e), escapes[i].shown));
		e = sample_event(42);
		e.type = escapes[i].text;
		assert_non_null(strstr(line_of(&e), escapes[i].shown));
		e = sample_event(42);
		e.tags = escapes[i].text;
		assert_non_null(strstr(line_of(&e), escapes[i].shown));
		e = sample_event(42);
		e.origin = e.domain = e.key = escapes[i].text;
		assert_non_null(strstr(line_of(&e), escapes[i].shown));
	}
}

static void payload_and_metadata_come_out_byte_for_byte(void **state)
{
	static const char *const values[] = { "null", "-0.0", "1e9999", "18446744073709551617",
		"\"\\u0000\\/\\u00E9\"", "{\"b\":1,  \"a\":\t2}", "[ ]" };
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct event e = sample_event(42);
		char want[64];
		e.payload = slice_of(values[i]);
		snprintf(want, sizeof(want), ",\"payload\":%s,\"metadata\":", values[i]);
		assert_non_null(strstr(line_of(&e), want));
	}
}

static void the_largest_numbers_fit(void **state)
{
	struct event e = sample_event(42);
	(void)state;
	e.position = e.sequence = e.version = e.epoch = e.clock = e.time = TIME_MAX;
	const char *line = line_of(&e);
	assert_non_null(strstr(line, "\"position\":9007199254740991,"));
	assert_non_null(strstr(line, "\"clock\":\"2255-06-05T23:47:34.740991Z\""));
}

/* The limits of the fields leave room: no event that append takes makes a line over the limit. */
static void the_largest_event_is_under_the_limit_of_a_line(void **state)
{
	static char payload[EVENT_PAYLOAD_MAX], metadata[EVENT_METADATA_MAX];
	static char tags[EVENT_TAGS_MAX * (64 + 1 + EVENT_TAG_VALUE_MAX + 1)];
	char stream[64 + 1 + EVENT_STREAM_KEY_MAX];
	struct event e = sample_event(42);
	(void)state;
	memset(payload, 'x', sizeof(payload));
	payload[0] = payload[sizeof(payload) - 1] = '"';
	memset(metadata, ' ', sizeof(metadata));
	metadata[0] = '{';
	metadata[sizeof(metadata) - 1] = '}';
	memset(tags, '"', sizeof(tags));
	for (size_t i = 256; i < sizeof(tags); i += 257)
		tags[i] = ' ';
	memset(stream, '"', sizeof(stream));
	stream[64] = '/';
	e.payload = (struct slice){ payload, sizeof(payload) };
	e.metadata = (struct slice){ metadata, sizeof(metadata) };
	e.tags = (struct slice){ tags, sizeof(tags) - 1 };
	e.stream = (struct slice){ stream, sizeof(stream) };
	e.position = e.sequence = e.version = e.schema = TIME_MAX;
	assert_true(strlen(line_of(&e)) < EVENT_LINE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_every_field_in_order),
		cmocka_unit_test(the_position_is_added_where_there_is_one),
		cmocka_unit_test(what_is_absent_is_left_out),
		cmocka_unit_test(text_is_escaped_wherever_it_stands),
		cmocka_unit_test(payload_and_metadata_come_out_byte_for_byte),
		cmocka_unit_test(the_largest_numbers_fit),
		cmocka_unit_test(the_largest_event_is_under_the_limit_of_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
