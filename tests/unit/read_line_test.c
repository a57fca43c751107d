/* Reading event lines: what the writer writes comes back; all else is refused with its field named. */
#include "../../lib/event/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "event_cases.h"

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct ledger_error err;
static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

/* The same bytes in memory of exactly their size, so that a sanitizer sees one step too far. */
static enum ledger_status read_exact(struct slice line, struct event *event)
{
	static char *copy;
	free(copy);
	copy = malloc(line.len ? line.len : 1);
	assert_non_null(copy);
	memcpy(copy, line.ptr, line.len);
	err = (struct ledger_error){ .status = LEDGER_OK };
	arena_reset(&arena);
	return event_read_line((struct slice){ copy, line.len }, &arena, event, &err);
}

static void expect_equal(struct slice a, struct slice b)
{
	assert_int_equal(!a.ptr, !b.ptr);
	if (!slice_eq(a, b))
		fail_msg("'%.*s' instead of '%.*s'", SLICE_ARG(a), SLICE_ARG(b));
}

static void expect_same(const struct event *a, const struct event *b)
{
	assert_int_equal(a->position, 0);
	assert_memory_equal(a->id, b->id, sizeof(a->id));
	expect_equal(a->origin, b->origin);
	assert_int_equal(a->epoch, b->epoch);
	expect_equal(a->domain, b->domain);
	assert_int_equal(a->sequence, b->sequence);
	expect_equal(a->stream, b->stream);
	assert_int_equal(a->version, b->version);
	expect_equal(a->type, b->type);
	assert_int_equal(a->schema, b->schema);
	assert_int_equal(a->clock, b->clock);
	assert_int_equal(a->time, b->time);
	expect_equal(a->tags, b->tags);
	expect_equal(a->payload, b->payload);
	expect_equal(a->metadata, b->metadata);
	assert_memory_equal(a->salt, b->salt, sizeof(a->salt));
	assert_memory_equal(a->prev, b->prev, sizeof(a->prev));
	assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
	expect_equal(a->key, b->key);
	assert_memory_equal(a->mac, b->mac, sizeof(a->mac));
}

static void expect_round(const struct event *written)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct event read;
	event_add_line(&line, written);
	if (read_exact(buf_slice(&line), &read) != LEDGER_OK)
		fail_msg("%s: %s", err.text, buf_text(&line));
	expect_same(&read, written);
}

static void what_was_written_comes_back(void **state)
{
	(void)state;
	struct event e = sample_event(42);
	expect_round(&e);
	e.stream = e.tags = e.metadata = (struct slice){ NULL, 0 };
	e.version = 0;
	expect_round(&e);
	e = sample_event(1);
	e.stream = SLICE("product/\"\\ \xE6\x97\xA5/\xF0\x9F\x98\x80");
	e.tags = SLICE("a:\" b:\\ c:\xC3\xA9");
	e.payload = SLICE("\"\\u0000\\/\"");
	e.metadata = SLICE("{ \"a\" : [1e999,null] }");
	e.epoch = e.clock = e.time = e.schema = e.version = e.sequence = TIME_MAX;
	expect_round(&e);
	e.time = 0;
	expect_round(&e);
}

/* A line with one piece replaced; `from` must be there. */
static const char *changed(const char *from, const char *to)
{
	static char out[4096];
	static struct buf line;
	struct event e = sample_event(42);
	buf_reset(&line);
	event_add_line(&line, &e);
	const char *text = buf_text(&line), *at = strstr(text, from);
	if (!at)
		fail_msg("no %s in %s", from, text);
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

#define H32 "0123456789abcdef0123456789abcdef"

/* What is replaced, by what, and what the error must name. */
static const struct {
	const char *from, *to, *named;
} bad[] = {
	{ "{\"v\":1,", "{", "'v'" },
	{ "\"v\":1,", "\"v\":1,\"v\":1,", "'v' stands twice" },
	{ "\"v\":1,", "\"v\":\"1\",", "v \"1\"" },
	{ "\"v\":1,", "\"v\":1,\"position\":7,", "unknown field \"position\"" },
	{ "\"v\":1,", "\"v\":1,\"extra\":null,", "unknown field \"extra\"" },
	{ "\"id\":\"0193", "\"id\":\"0193A", "id" },
	{ "\"id\":\"0193abcd", "\"id\":\"0193ABCD", "id" },
	{ "\"0193abcd-ef01-7203-8405-060708090a0b\"", "\"00000000-0000-0000-0000-000000000000\"",
		"id" },
	{ "\"0193abcd-ef01-7203-8405-060708090a0b\"", "7", "id is not a string" },
	{ "\"store-a\"", "\"store a\"", "origin" },
	{ "\"store-a\"", "\"store\\r\\nPUB x\"", "origin" },
	{ "\"origin\":\"store-a\",", "", "'origin'" },
	{ "\"epoch\":", "\"epoch\":-", "epoch" },
	{ "\"epoch\":1", "\"epoch\":\"1\",\"e\":1", "epoch" },
	{ "\"epoch\":1", "\"epoch\":91", "epoch" },
	{ "\"inventory\"", "\"inven.tory\"", "domain" },
	{ "\"inventory\"", "null", "domain" },
	{ "\"sequence\":42", "\"sequence\":0", "sequence 0" },
	{ "\"sequence\":42", "\"sequence\":42.0", "sequence 42.0" },
	{ "\"sequence\":42", "\"sequence\":4e1", "sequence 4e1" },
	{ "\"sequence\":42", "\"sequence\":9007199254740992", "sequence" },
	{ "\"product/sku-1\"", "\"product\"", "stream" },
	{ "\"product/sku-1\"", "\"product/a\\nb\"", "stream" },
	{ "\"product/sku-1\"", "null", "stream" },
	{ "\"version\":3,", "", "go together" },
	{ "\"stream\":\"product/sku-1\",", "", "go together" },
	{ "\"version\":3", "\"version\":0", "version" },
	{ "\"stock_adjusted\"", "\"stock adjusted\"", "type" },
	{ "\"schema\":1", "\"schema\":0", "schema" },
	{ "2025-11-20T17:00:00.123456Z", "2025-11-20T17:00:00.123Z", "clock" },
	{ "2025-11-20T17:00:00.123456Z", "2025-11-20t17:00:00.123456z", "clock" },
	{ "2025-11-20T17:00:00.123456Z", "2025-11-20T18:00:00.123456+01:00", "clock" },
	{ "2025-11-20T17:00:00.123456Z", "2300-11-20T17:00:00.123456Z", "clock" },
	{ "2025-11-20T17:00:00.123456Z", "2025-02-29T17:00:00.123456Z", "clock" },
	{ "\"2025-11-20T16:59:58.000000Z\"", "1763657998000000", "time is not a string" },
	{ "[\"order:17\",\"product:sku-1\"]", "[]", "tags is empty" },
	{ "[\"order:17\",\"product:sku-1\"]", "[\"b:1\",\"a:1\"]", "'a:1' is not in order" },
	{ "[\"order:17\",\"product:sku-1\"]", "[\"a:1\",\"a:1\"]", "'a:1' is not in order" },
	{ "[\"order:17\",\"product:sku-1\"]", "[\"a:1 b:2\"]", "tag" },
	{ "[\"order:17\",\"product:sku-1\"]", "[\"a\"]", "tag" },
	{ "[\"order:17\",\"product:sku-1\"]", "[7]", "tags is not a string" },
	{ "[\"order:17\",\"product:sku-1\"]", "\"a:1\"", "not an array" },
	{ "\"payload\":{ \"delta\" : -2 },", "", "'payload'" },
	{ "{ \"delta\" : -2 }", "{ \"delta\" : }", "" },
	{ "{\"actor\":\"ada\"}", "[]", "metadata" },
	{ "{\"actor\":\"ada\"}", "null", "metadata" },
	{ "{\"actor\":\"ada\"}", "{\"a\":1,\"\\u0061\":2}", "metadata" },
	{ "\"salt\":\"a1", "\"salt\":\"", "salt" },
	{ "\"salt\":\"a1", "\"salt\":\"A1", "salt" },
	{ "\"salt\":\"a1", "\"salt\":\"g1", "salt" },
	{ "\"prev\":\"b2", "\"prev\":\"b2b2", "prev" },
	{ "\"hash\":\"c3", "\"hash\":\"C3", "hash" },
	{ "\"mac\":\"d4", "\"mac\":\"", "mac" },
	{ "hs256-0123456789abcdef", "hs256-0123456789abcde", "key" },
	{ "hs256-0123456789abcdef", "hs256-0123456789ABCDEF", "key" },
	{ "hs256-0123456789abcdef", "", "key" },
	{ "hs256-0123456789abcdef", "hs 256-0", "key" },
	{ "}", "} x", "" },
};

static void what_is_not_a_line_is_refused_by_its_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct event e = { .sequence = 77 };
		const char *line = changed(bad[i].from, bad[i].to);
		if (read_exact(slice_of(line), &e) != LEDGER_INVALID)
			fail_msg("row %zu taken as %d: %s", i, err.status, line);
		if (!strstr(err.text, bad[i].named))
			fail_msg("row %zu: no '%s' in: %s", i, bad[i].named, err.text);
		assert_int_equal(e.sequence, 77);
	}
}

static void what_a_later_version_may_understand_is_told_apart(void **state)
{
	static const struct {
		const char *from, *to, *named;
	} later[] = {
		{ "\"v\":1,", "\"v\":2,\"new\":true,", "version 2" },
		{ "hs256-0123456789abcdef", "ed25519-00", "algorithm" },
		{ "\"payload\":{ \"delta\" : -2 }", "\"body\":\"" H32 H32 "\"", "erased" },
	};
	struct event e;
	(void)state;
	for (size_t i = 0; i < COUNT(later); i++) {
		assert_int_equal(read_exact(slice_of(changed(later[i].from, later[i].to)), &e),
			LEDGER_UNVERIFIED);
		assert_non_null(strstr(err.text, later[i].named));
	}
	/* Also where the version stands last. */
	assert_int_equal(read_exact(SLICE("{\"x\":1,\"v\":2}"), &e), LEDGER_UNVERIFIED);
}

static void order_blanks_and_escapes_are_free(void **state)
{
	struct event e, want = sample_event(42);
	(void)state;
	assert_int_equal(
		read_exact(slice_of(changed("\"origin\":\"store-a\"", "\"\\u006frigin\" :\t"
								      "\"\\u0073tore-a\"")),
			&e),
		LEDGER_OK);
	expect_same(&e, &want);
	assert_int_equal(
		read_exact(slice_of(changed("product/sku-1", "product\\/sku-1")), &e), LEDGER_OK);
	expect_same(&e, &want);
}

static void no_line_is_longer_than_the_limit(void **state)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct event e;
	(void)state;
	buf_add_text(&line, changed("}", "}"));
	while (line.len < EVENT_LINE_MAX - 1)
		buf_add_char(&line, ' ');
	assert_int_equal(read_exact(buf_slice(&line), &e), LEDGER_OK);
	buf_add_char(&line, ' ');
	assert_int_equal(read_exact(buf_slice(&line), &e), LEDGER_INVALID);
	assert_int_equal(read_exact(SLICE(""), &e), LEDGER_INVALID);
	assert_int_equal(read_exact(SLICE("[]"), &e), LEDGER_INVALID);
	assert_int_equal(read_exact(slice_of(changed(" : -2", " :\n-2")), &e), LEDGER_INVALID);
	assert_non_null(strstr(err.text, "line break"));
}

static void payload_and_metadata_have_their_limits(void **state)
{
	static char value[EVENT_PAYLOAD_MAX + 1];
	CLEANUP_BUF struct buf line = { 0 };
	struct event e = sample_event(1), read;
	(void)state;
	memset(value, ' ', sizeof(value));
	value[0] = '[';
	value[sizeof(value) - 2] = ']';
	e.payload = (struct slice){ value, EVENT_PAYLOAD_MAX };
	expect_round(&e);
	value[sizeof(value) - 2] = ' ';
	value[sizeof(value) - 1] = ']';
	e.payload.len++;
	event_add_line(&line, &e);
	assert_int_equal(read_exact(buf_slice(&line), &read), LEDGER_INVALID);
	assert_non_null(strstr(err.text, "payload"));
	e = sample_event(1);
	value[0] = '{';
	value[EVENT_METADATA_MAX] = '}';
	e.metadata = (struct slice){ value, EVENT_METADATA_MAX + 1 };
	buf_reset(&line);
	event_add_line(&line, &e);
	assert_int_equal(read_exact(buf_slice(&line), &read), LEDGER_INVALID);
	assert_non_null(strstr(err.text, "metadata"));
}

/* No cut, no changed byte makes it read beyond the line or crash. */
static void a_damaged_line_is_only_refused(void **state)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct event e = sample_event(42), read;
	(void)state;
	event_add_line(&line, &e);
	for (size_t n = 0; n < line.len; n++)
		assert_int_not_equal(read_exact((struct slice){ line.ptr, n }, &read), LEDGER_OK);
	for (size_t i = 0; i < line.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			line.ptr[i] ^= (char)(1u << bit);
			read_exact(buf_slice(&line), &read);
			line.ptr[i] ^= (char)(1u << bit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_comes_back),
		cmocka_unit_test(what_is_not_a_line_is_refused_by_its_field),
		cmocka_unit_test(what_a_later_version_may_understand_is_told_apart),
		cmocka_unit_test(order_blanks_and_escapes_are_free),
		cmocka_unit_test(no_line_is_longer_than_the_limit),
		cmocka_unit_test(payload_and_metadata_have_their_limits),
		cmocka_unit_test(a_damaged_line_is_only_refused),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
