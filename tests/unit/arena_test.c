/* Arenas: many pieces, given back at once. */
#include "../../lib/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	uint8_t *pieces[1000];
	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		pieces[i] = arena_alloc(&a, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)(i & 0xFF), i);
	}
	for (size_t i = 0; i < COUNT(pieces); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_equal(pieces[i][j], i & 0xFF);
}

static void a_large_piece_gets_a_block_of_its_own(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	(void)state;
	char *small = arena_alloc(&a, 8);
	char *large = arena_alloc(&a, 1u << 20);
	assert_non_null(small);
	assert_non_null(large);
	memset(large, 'x', 1u << 20);
	memset(small, 'y', 8);
	assert_int_equal(large[0], 'x');
}

static void what_cannot_be_had_is_null(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
	assert_null(arena_array(&a, SIZE_MAX / 8 + 1, 16));
	assert_non_null(arena_alloc(&a, 1));
}

static void arrays_are_cleared_even_in_used_memory(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	(void)state;
	memset(arena_alloc(&a, 60000), 0xFF, 60000);
	arena_reset(&a);
	const uint8_t *array = arena_array(&a, 1000, 60);
	assert_non_null(array);
	for (size_t i = 0; i < 60000; i++)
		assert_int_equal(array[i], 0);
}

static void copies_have_a_nul_behind_them(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	char source[] = "abc";
	(void)state;
	struct slice copy = arena_copy(&a, (struct slice){ source, 2 });
	struct slice empty = arena_copy(&a, (struct slice){ NULL, 0 });
	memset(source, 'x', 3);
	assert_string_equal(copy.ptr, "ab");
	assert_int_equal(copy.len, 2);
	assert_string_equal(empty.ptr, "");
}

static void a_reset_keeps_one_block(void **state)
{
	CLEANUP_ARENA struct arena a = { 0 };
	(void)state;
	void *first = arena_alloc(&a, 16);
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 16), first);
	for (int i = 0; i < 10; i++)
		assert_non_null(arena_alloc(&a, 50000));
	arena_reset(&a);
	assert_non_null(a.blocks);
	assert_non_null(arena_alloc(&a, 50000));
}

static void an_empty_one_can_be_reset_and_done(void **state)
{
	struct arena a = { 0 };
	(void)state;
	arena_reset(&a);
	assert_null(a.blocks);
	arena_done(&a);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
		cmocka_unit_test(a_large_piece_gets_a_block_of_its_own),
		cmocka_unit_test(what_cannot_be_had_is_null),
		cmocka_unit_test(arrays_are_cleared_even_in_used_memory),
		cmocka_unit_test(copies_have_a_nul_behind_them),
		cmocka_unit_test(a_reset_keeps_one_block),
		cmocka_unit_test(an_empty_one_can_be_reset_and_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
