/* UUIDs: RFC 9562's own example, text both ways, and order. */
#include "../../lib/base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

/* RFC 9562, appendix A.6, with its time and rand_b; its rand_a (0xCC3) is random there, here it is
 * the µs: 797 of 1000 are 0xCC0 of 4096. */
static void the_example_of_the_rfc_comes_out(void **state)
{
	static const uint8_t random[8] = { 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F };
	char text[UUID_TEXT_MAX];
	uint8_t id[16];
	(void)state;
	uuid_v7(UINT64_C(1645557742000) * 1000 + 797, random, id);
	uuid_format(id, text);
	assert_string_equal(text, "017f22e2-79b0-7cc0-98c4-dc0c0c07398f");
}

static void version_and_variant_are_set_whatever_is_random(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t random[8], id[16];
		memset(random, (int)c, sizeof(random));
		uuid_v7(UINT64_C(1763658000123999) + c, random, id);
		assert_int_equal(id[6] >> 4, 7);
		assert_int_equal(id[8] >> 6, 2);
		assert_memory_equal(id + 9, random, 7);
	}
}

static void ids_of_later_microseconds_sort_later(void **state)
{
	static const uint8_t most[8] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF },
			     least[8] = { 0 };
	(void)state;
	for (uint64_t us = 1763658000000000; us < 1763658000003000; us++) {
		uint8_t earlier[16], later[16];
		uuid_v7(us, most, earlier);
		uuid_v7(us + 1, least, later);
		assert_true(memcmp(earlier, later, 16) < 0);
	}
}

static void text_is_read_in_either_case_and_written_in_lower(void **state)
{
	char text[UUID_TEXT_MAX];
	uint8_t id[16];
	(void)state;
	assert_true(uuid_parse(SLICE("017F22E2-79b0-7CC3-98c4-DC0C0C07398F"), id));
	assert_memory_equal(
		id, "\x01\x7F\x22\xE2\x79\xB0\x7C\xC3\x98\xC4\xDC\x0C\x0C\x07\x39\x8F", 16);
	uuid_format(id, text);
	assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void other_forms_are_refused(void **state)
{
	static const char *const bad[] = { "", "017f22e279b07cc398c4dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "017f22e2_79b0_7cc3_98c4_dc0c0c07398f",
		"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}", "017f22e-279b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4 dc0c0c07398f" };
	uint8_t id[16] = { 42 };
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(uuid_parse(slice_of(bad[i]), id));
	assert_false(uuid_parse((struct slice){ NULL, 0 }, id));
	assert_int_equal(id[0], 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_rfc_comes_out),
		cmocka_unit_test(version_and_variant_are_set_whatever_is_random),
		cmocka_unit_test(ids_of_later_microseconds_sort_later),
		cmocka_unit_test(text_is_read_in_either_case_and_written_in_lower),
		cmocka_unit_test(other_forms_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
