/* Buffers: they grow up to a ceiling, and a failure sticks. */
#include "../../lib/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ledger_error err;

static void an_empty_one_is_an_empty_text(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	assert_true(slice_is(buf_slice(&b), ""));
	assert_non_null(buf_slice(&b).ptr);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_check(&b, &err), LEDGER_OK);
}

static void pieces_come_out_in_order(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	buf_add(&b, "ab", 2);
	buf_add_char(&b, 'c');
	buf_add_slice(&b, SLICE("de"));
	buf_add_slice(&b, (struct slice){ NULL, 0 });
	buf_add(&b, NULL, 0);
	buf_add_text(&b, " ");
	buf_add_u64(&b, 0);
	buf_add_u64(&b, UINT64_MAX);
	buf_add_hex(&b, (const uint8_t *)"\x00\xAF", 2);
	buf_addf(&b, "%s=%d", "x", -1);
	assert_string_equal(buf_text(&b), "abcde 01844674407370955161500afx=-1");
	assert_int_equal(buf_check(&b, &err), LEDGER_OK);
}

static void big_endian_is_eight_bytes(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	buf_add_be64(&b, UINT64_C(0x0102030405060708));
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.ptr, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
}

/* A NUL has a place at every length, and all bytes survive each move of the memory. */
static void growing_keeps_every_byte(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	for (size_t n = 0; n < 5000; n++) {
		assert_int_equal(strlen(buf_text(&b)), n);
		buf_add_char(&b, (char)('a' + n % 26));
	}
	for (size_t n = 0; n < 5000; n++)
		assert_int_equal(b.ptr[n], 'a' + n % 26);
}

static void room_is_counted_at_once(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	buf_add_text(&b, "x");
	char *room = buf_extend(&b, 1000);
	assert_non_null(room);
	memset(room, 'y', 1000);
	assert_int_equal(b.len, 1001);
	assert_non_null(buf_extend(&b, 0));
}

static void the_ceiling_is_reached_but_not_passed(void **state)
{
	CLEANUP_BUF struct buf b = { .max = 1000 };
	(void)state;
	for (size_t i = 0; i < 1000; i++)
		buf_add_char(&b, 'x');
	assert_int_equal(buf_check(&b, &err), LEDGER_OK);
	assert_int_equal(strlen(buf_text(&b)), 1000);
	buf_add_char(&b, 'x');
	assert_int_equal(buf_check(&b, &err), LEDGER_NO_MEMORY);
	assert_int_equal(b.len, 1000);
}

static void a_failure_sticks_until_reset(void **state)
{
	CLEANUP_BUF struct buf b = { .max = 10 };
	(void)state;
	buf_add_text(&b, "12345");
	buf_addf(&b, "%s", "too long for it");
	buf_add_text(&b, "6");
	assert_null(buf_extend(&b, 1));
	assert_null(buf_extend(&b, SIZE_MAX));
	assert_int_equal(b.len, 5);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_check(&b, &err), LEDGER_NO_MEMORY);
	buf_reset(&b);
	buf_add_text(&b, "fits");
	assert_string_equal(buf_text(&b), "fits");
	assert_int_equal(buf_check(&b, &err), LEDGER_OK);
}

static void the_default_ceiling_holds(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };
	(void)state;
	assert_null(buf_extend(&b, BUF_MAX_DEFAULT + 1));
	buf_reset(&b);
	assert_null(buf_extend(&b, SIZE_MAX));
}

static void a_done_one_can_be_used_again(void **state)
{
	CLEANUP_BUF struct buf b = { .max = 100 };
	(void)state;
	buf_add_text(&b, "a");
	buf_done(&b);
	buf_done(&b);
	assert_int_equal(b.max, 100);
	buf_add_text(&b, "b");
	assert_string_equal(buf_text(&b), "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_is_an_empty_text),
		cmocka_unit_test(pieces_come_out_in_order),
		cmocka_unit_test(big_endian_is_eight_bytes),
		cmocka_unit_test(growing_keeps_every_byte),
		cmocka_unit_test(room_is_counted_at_once),
		cmocka_unit_test(the_ceiling_is_reached_but_not_passed),
		cmocka_unit_test(a_failure_sticks_until_reset),
		cmocka_unit_test(the_default_ceiling_holds),
		cmocka_unit_test(a_done_one_can_be_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
