/* Event lines, and what the flags add to them. */
#include "../../cmd/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct ledger_error err;

static const char whole_line[] =
	"{\"id\":\"0193466d-1f2e-7abc-8def-0123456789ab\",\"domain\":\"inventory\",\"type\":"
	"\"sold\","
	"\"stream\":\"product/sku-\\u0031\",\"schema\":2,\"time\":\"2026-11-20T17:30:00Z\","
	"\"tags\":[\"a:1\",\"b:2\",\"a:1\"],\"payload\": {\"n\" : 1.50, \"n\":2} ,"
	"\"metadata\":{ \"actor\":\"me\" }}";

static void every_key_of_a_line_is_taken(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena arena = { 0 };
	struct draft d;
	assert_int_equal(draft_from_line(&d, slice_of(whole_line), &arena, &err), LEDGER_OK);
	assert_true(d.event.has_id);
	assert_int_equal(d.event.id[15], 0xab);
	assert_true(slice_is(d.event.domain, "inventory"));
	assert_true(slice_is(d.event.type, "sold"));
	assert_true(slice_is(d.event.stream, "product/sku-1"));
	assert_int_equal(d.event.schema, 2);
	assert_true(d.event.has_time);
	assert_int_equal(d.event.time, 1795195800 * TIME_SECOND);
	assert_int_equal(d.n_tags, 2);
	assert_true(slice_is(d.tags[1], "b:2"));
}

static void payload_and_metadata_keep_their_bytes(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena arena = { 0 };
	struct draft d;
	assert_int_equal(draft_from_line(&d, slice_of(whole_line), &arena, &err), LEDGER_OK);
	assert_true(slice_is(d.event.payload, "{\"n\" : 1.50, \"n\":2}"));
	assert_true(slice_is(d.event.metadata, "{ \"actor\":\"me\" }"));
}

static void a_bad_line_is_refused_with_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *reason;
	} cases[] = {
		{ "{\"type\":\"sold\",\"payl", "ends in the middle" },
		{ "[]", "not a JSON object" },
		{ "7", "not a JSON object" },
		{ "{} {}", "unexpected" },
		{ "{\"type\":\"a\",\"type\":\"b\"}", "'type' stands twice" },
		{ "{\"type\":\"a\",\"t\\u0079pe\":\"b\"}", "'type' stands twice" },
		{ "{\"typ\":\"a\"}", "unknown key \"typ\"" },
		{ "{\"Type\":\"a\"}", "unknown key" },
		{ "{\"\":1}", "unknown key" },
		{ "{\"sequence\":4}", "gives an event its 'sequence'" },
		{ "{\"v\":1}", "gives an event its 'v'" },
		{ "{\"origin\":\"x\"}", "'origin'" },
		{ "{\"epoch\":1}", "'epoch'" },
		{ "{\"version\":1}", "'version'" },
		{ "{\"clock\":\"x\"}", "'clock'" },
		{ "{\"salt\":\"x\"}", "'salt'" },
		{ "{\"prev\":\"x\"}", "'prev'" },
		{ "{\"hash\":\"x\"}", "'hash'" },
		{ "{\"key\":\"x\"}", "'key'" },
		{ "{\"mac\":\"x\"}", "'mac'" },
		{ "{\"position\":1}", "'position'" },
		{ "{\"domain\":null}", "domain is not a string" },
		{ "{\"stream\":{}}", "stream is not a string" },
		{ "{\"id\":\"17\"}", "id '17' is not a UUID" },
		{ "{\"schema\":\"2\"}", "schema \"2\" is not a whole number" },
		{ "{\"schema\":0}", "schema 0 is not" },
		{ "{\"schema\":1.0}", "schema 1.0 is not" },
		{ "{\"time\":5}", "time is not a string" },
		{ "{\"time\":\"yesterday\"}", "yesterday" },
		{ "{\"tags\":\"a:b\"}", "tags is not an array" },
		{ "{\"tags\":[1]}", "not a string" },
		{ "{\"metadata\":[]}", "metadata is not an object" },
		{ "{\"payload\":\"\xff\"}", "UTF-8" },
		{ "{\"payload\":01}", "unexpected" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d;
		enum ledger_status status =
			draft_from_line(&d, slice_of(cases[i].line), &arena, &err);
		if (status != LEDGER_INVALID || !strstr(err.text, cases[i].reason))
			fail_msg("%s: status %d, '%s'", cases[i].line, (int)status, err.text);
	}
}

static void a_nul_byte_is_refused_wherever_it_stands(void **state)
{
	(void)state;
	for (size_t at = 0; at < sizeof(whole_line) - 1; at++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d;
		char line[sizeof(whole_line)];
		memcpy(line, whole_line, sizeof(line));
		line[at] = '\0';
		struct slice text = { line, sizeof(line) - 1 };
		assert_int_equal(draft_from_line(&d, text, &arena, &err), LEDGER_INVALID);
	}
}

static void a_line_cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(whole_line) - 1; n++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d;
		struct slice text = { whole_line, n };
		assert_int_equal(draft_from_line(&d, text, &arena, &err), LEDGER_INVALID);
	}
}

static void the_33rd_tag_is_refused_and_a_repeated_one_is_not(void **state)
{
	(void)state;
	struct draft d = { 0 };
	char tags[EVENT_TAGS_MAX + 1][16];
	for (int i = 0; i <= EVENT_TAGS_MAX; i++) {
		snprintf(tags[i], sizeof(tags[i]), "n:%d", i);
		enum ledger_status expected = i < EVENT_TAGS_MAX ? LEDGER_OK : LEDGER_INVALID;
		assert_int_equal(draft_add_tag(&d, slice_of(tags[i]), &err), expected);
		assert_int_equal(draft_add_tag(&d, slice_of(tags[0]), &err), LEDGER_OK);
	}
}

/* --- Defaults -------------------------------------------------------------------------------- */

static const struct draft_member members[] = {
	{ { "actor", 5 }, { "\"actor\":\"cron\"", 14 } },
	{ { "n", 1 }, { "\"n\":5", 5 } },
};

static const struct draft_defaults defaults = {
	.domain = { "shop", 4 },
	.type = { "noted", 5 },
	.schema = 1,
	.members = members,
	.n_members = 2,
	.metadata = { "{\"actor\":\"cron\",\"n\":5}", 22 },
};

static void flags_speak_where_the_line_is_silent(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena arena = { 0 };
	struct draft d;
	assert_int_equal(
		draft_from_line(&d, SLICE("{\"type\":\"sold\"}"), &arena, &err), LEDGER_OK);
	assert_int_equal(draft_fill(&d, &defaults, &arena, &err), LEDGER_OK);
	assert_true(slice_is(d.event.type, "sold"));
	assert_true(slice_is(d.event.domain, "shop"));
	assert_int_equal(d.event.schema, 1);
	assert_null(d.event.stream.ptr);
	assert_false(d.event.has_time);
	assert_true(slice_is(d.event.metadata, "{\"actor\":\"cron\",\"n\":5}"));
}

static void metadata_is_completed_without_touching_its_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *own;
		const char *merged;
	} cases[] = {
		{ "{}", "{\"actor\":\"cron\",\"n\":5}" },
		{ "{ }", "{ \"actor\":\"cron\",\"n\":5}" },
		{ "{ \"x\" : 1e2 }", "{ \"x\" : 1e2 ,\"actor\":\"cron\",\"n\":5}" },
		{ "{\"actor\":\"me\"}", "{\"actor\":\"me\",\"n\":5}" },
		{ "{\"\\u0061ctor\":\"me\",\"n\":null}", "{\"\\u0061ctor\":\"me\",\"n\":null}" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d = { .event.metadata = slice_of(cases[i].own) };
		assert_int_equal(draft_fill(&d, &defaults, &arena, &err), LEDGER_OK);
		assert_true(slice_is(d.event.metadata, cases[i].merged));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_of_a_line_is_taken),
		cmocka_unit_test(payload_and_metadata_keep_their_bytes),
		cmocka_unit_test(a_bad_line_is_refused_with_its_reason),
		cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
		cmocka_unit_test(a_line_cut_anywhere_is_refused),
		cmocka_unit_test(the_33rd_tag_is_refused_and_a_repeated_one_is_not),
		cmocka_unit_test(flags_speak_where_the_line_is_silent),
		cmocka_unit_test(metadata_is_completed_without_touching_its_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
