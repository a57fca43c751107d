/* What a co-process may answer, and that nothing else is taken for an answer. */
#include "../../lib/fold/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define ID "0193a5c2-5d1e-7b3c-8f21-0123456789ab"

static void each_form_is_what_it_is(void **state)
{
	static const struct {
		const char *line;
		enum answer is;
		const char *reason;
	} cases[] = {
		{ "ok " ID, ANSWER_OK, "" },
		{ "error " ID, ANSWER_ERROR, "" },
		{ "error " ID " no such product", ANSWER_ERROR, "no such product" },
		{ "error " ID "  two", ANSWER_ERROR, " two" },
		{ "", ANSWER_GARBAGE, "" },
		{ "ok", ANSWER_GARBAGE, "" },
		{ "ok ", ANSWER_GARBAGE, "" },
		{ "ok  " ID, ANSWER_GARBAGE, "" },
		{ "ok " ID " ", ANSWER_GARBAGE, "" },
		{ "ok " ID "\r", ANSWER_GARBAGE, "" },
		{ "OK " ID, ANSWER_GARBAGE, "" },
		{ "okay " ID, ANSWER_GARBAGE, "" },
		{ " ok " ID, ANSWER_GARBAGE, "" },
		{ "error", ANSWER_GARBAGE, "" },
		{ "error no reason", ANSWER_GARBAGE, "" },
		{ "ok 0193a5c2", ANSWER_GARBAGE, "" },
		{ "ok\t" ID, ANSWER_GARBAGE, "" },
	};
	(void)state;
	uint8_t want[16], id[16];
	assert_true(uuid_parse(SLICE(ID), want));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice reason;
		enum answer is = answer_parse(slice_of(cases[i].line), id, &reason);
		if (is != cases[i].is)
			fail_msg("'%s' is %d", cases[i].line, is);
		if (is != ANSWER_GARBAGE)
			assert_memory_equal(id, want, sizeof(id));
		if (is == ANSWER_ERROR)
			assert_true(slice_is(reason, cases[i].reason));
	}
}

/* A mutated answer is either garbage, or an answer that says the same when it is written again. */
static void nothing_but_an_answer_is_an_answer(void **state)
{
	static const char *const seeds[] = { "ok " ID, "error " ID " why", "error " ID };
	(void)state;
	unsigned seed = 4711;
	for (int round = 0; round < 200000; round++) {
		char *line = strdup(seeds[rand_r(&seed) % 3]);
		size_t n = strlen(line);
		for (int edits = rand_r(&seed) % 4; edits > 0 && n > 0; edits--) {
			size_t at = (size_t)rand_r(&seed) % n;
			if (rand_r(&seed) % 3 == 0)
				n = at;
			else
				line[at] = (char)rand_r(&seed);
		}
		/* Of exactly its size, so that reading past its end is found. */
		char *exact = malloc(n ? n : 1);
		memcpy(exact, line, n);
		uint8_t id[16];
		char text[UUID_TEXT_MAX];
		struct slice reason, whole = { exact, n };
		enum answer is = answer_parse(whole, id, &reason);
		if (is != ANSWER_GARBAGE) {
			size_t head = is == ANSWER_OK ? 3 : 6;
			uuid_format(id, text);
			assert_int_equal(strncasecmp(text, exact + head, 36), 0);
			assert_true(reason.len == 0 || reason.ptr + reason.len == exact + n);
			assert_int_equal(
				n, head + 36 + (reason.len ? 1 + reason.len : n - head - 36));
		}
		free(exact);
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_what_it_is),
		cmocka_unit_test(nothing_but_an_answer_is_an_answer),
	};
	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
