/* Operands of append: one payload, however it is written. */
#include "../../cmd/operands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct ledger_error err;

/* What operands (NULL at the end) mean, or NULL where they are refused. */
static const char *payload_of(const char *const *words, enum ledger_status *status)
{
	static char text[4096];
	CLEANUP_BUF struct buf out = { 0 };
	struct slice payload;
	char *operands[8];
	int n = 0;
	for (; words[n]; n++)
		operands[n] = strdup(words[n]);
	*status = operands_payload(n, operands, &out, &payload, &err);
	if (*status == LEDGER_OK)
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(payload));
	for (int i = 0; i < n; i++)
		free(operands[i]);
	return *status == LEDGER_OK ? text : NULL;
}

static void operands_mean_one_payload(void **state)
{
	(void)state;
	static const struct {
		const char *words[6];
		const char *payload;
	} cases[] = {
		{ { "{\"a\": 1}" }, "{\"a\": 1}" },
		{ { " [1 , 2]\n" }, "[1 , 2]" },
		{ { "\"text\"" }, "\"text\"" },
		{ { "-5" }, "-5" },
		{ { "1.50" }, "1.50" },
		{ { "true" }, "true" },
		{ { "null" }, "null" },
		{ { "sku=sku-1", "delta:=-2" }, "{\"sku\":\"sku-1\",\"delta\":-2}" },
		{ { "a=" }, "{\"a\":\"\"}" },
		{ { "a=b=c" }, "{\"a\":\"b=c\"}" },
		{ { "a:= {\"x\" : 1} " }, "{\"a\":{\"x\" : 1}}" },
		{ { "say=\"hi\"\n" }, "{\"say\":\"\\\"hi\\\"\\n\"}" },
		{ { "true=1" }, "{\"true\":\"1\"}" },
		{ { "gr\xc3\xb6\xc3\x9f"
		    "e=3" },
			"{\"gr\xc3\xb6\xc3\x9f"
			"e\":\"3\"}" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum ledger_status status;
		const char *payload = payload_of(cases[i].words, &status);
		if (!payload || strcmp(payload, cases[i].payload) != 0)
			fail_msg("%s: %s", cases[i].words[0], payload ? payload : err.text);
	}
}

static void operands_that_are_no_payload_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *words[4];
		enum ledger_status status;
	} cases[] = {
		{ { "" }, LEDGER_INVALID },
		{ { "hello" }, LEDGER_INVALID },
		{ { "truth" }, LEDGER_INVALID },
		{ { "{\"a\":" }, LEDGER_INVALID },
		{ { "{\"a\":1} x" }, LEDGER_INVALID },
		{ { "01" }, LEDGER_INVALID },
		{ { "=x" }, LEDGER_INVALID },
		{ { ":=1" }, LEDGER_INVALID },
		{ { "a:=x" }, LEDGER_INVALID },
		{ { "a:=" }, LEDGER_INVALID },
		{ { "a=1", "a=2" }, LEDGER_INVALID },
		{ { "a=1", "hello" }, LEDGER_INVALID },
		{ { "a=\xff" }, LEDGER_INVALID },
		{ { "a\xff=1" }, LEDGER_INVALID },
		{ { "@no-such-file.json" }, LEDGER_INVALID },
		{ { "@" }, LEDGER_INVALID },
		{ { "{}", "{}" }, LEDGER_USAGE },
		{ { "a=1", "{}" }, LEDGER_USAGE },
		{ { "-", "a=1" }, LEDGER_USAGE },
		{ { "@x", "a=1" }, LEDGER_USAGE },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum ledger_status status;
		payload_of(cases[i].words, &status);
		if (status != cases[i].status)
			fail_msg("%s: status %d", cases[i].words[0], (int)status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_mean_one_payload),
		cmocka_unit_test(operands_that_are_no_payload_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
