/* tags_from: tags taken from payload and metadata. */
#include "../../cmd/tags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct ledger_error err;

static enum ledger_status take_tags(
	const char *path, const char *payload, struct draft *d, struct arena *arena)
{
	struct tag_source source = { .name = "product", .path = path };
	struct domain_settings domain = { .name = "shop", .tags_from = &source, .n_tags_from = 1 };
	*d = (struct draft){ .event.payload = slice_of(payload),
		.event.type = SLICE("sold"),
		.event.metadata = SLICE("{\"actor\":{\"name\":\"me\"}}") };
	return tags_from(&domain, d, arena, &err);
}

static void tags_are_taken_from_texts_whole_numbers_and_arrays(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		const char *payload;
		const char *tags[3];
	} cases[] = {
		{ "$.id", "{\"id\":\"sku-1\"}", { "product:sku-1" } },
		{ "$.id", "{\"id\":\"a\\u002db\"}", { "product:a-b" } },
		{ "$.id", "{\"id\":17}", { "product:17" } },
		{ "$.id", "{\"id\":-17}", { "product:-17" } },
		{ "$.id", "{\"id\":[\"a\",2,\"a\"]}", { "product:a", "product:2" } },
		{ "$.id", "{\"id\":[]}", { NULL } },
		{ "$.id", "{\"x\":1}", { NULL } },
		{ "$.id", "[1]", { NULL } },
		{ "$.order.id", "{\"order\":{\"id\":\"o1\"}}", { "product:o1" } },
		{ "$.order.id", "{\"order\":\"o1\"}", { NULL } },
		{ "$", "\"alone\"", { "product:alone" } },
		{ "metadata.$.actor.name", "{}", { "product:me" } },
		{ "metadata.$.other", "{}", { NULL } },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d;
		size_t n = 0;
		assert_int_equal(take_tags(cases[i].path, cases[i].payload, &d, &arena), LEDGER_OK);
		for (; n < 3 && cases[i].tags[n]; n++)
			if (n >= d.n_tags || !slice_is(d.tags[n], cases[i].tags[n]))
				fail_msg("%s of %s", cases[i].path, cases[i].payload);
		assert_int_equal(d.n_tags, n);
	}
}

static void tags_are_not_taken_from_anything_else(void **state)
{
	(void)state;
	static const char *const payloads[] = {
		"{\"id\":null}",
		"{\"id\":true}",
		"{\"id\":{}}",
		"{\"id\":1.5}",
		"{\"id\":1e3}",
		"{\"id\":\"a b\"}",
		"{\"id\":\"\"}",
		"{\"id\":[[\"a\"]]}",
		"{\"id\":[null]}",
		"{\"id\":\"\\n\"}",
	};
	for (size_t i = 0; i < COUNT(payloads); i++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct draft d;
		enum ledger_status status = take_tags("$.id", payloads[i], &d, &arena);
		if (status != LEDGER_INVALID || !strstr(err.text, "$.id") ||
			!strstr(err.text, "sold"))
			fail_msg("%s: status %d, '%s'", payloads[i], (int)status, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_taken_from_texts_whole_numbers_and_arrays),
		cmocka_unit_test(tags_are_not_taken_from_anything_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
