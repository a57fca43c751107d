#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "banned.h"

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char bytes[];
};

#define BLOCK_SIZE (64u << 10)

void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
}

void arena_reset(struct arena *a)
{
	struct arena_block *kept = NULL;
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		if (!kept && a->blocks->size == BLOCK_SIZE)
			kept = a->blocks;
		else
			free(a->blocks);
		a->blocks = next;
	}
	if (kept) {
		kept->next = NULL;
		kept->used = 0;
	}
	a->blocks = kept;
}

static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct arena_block *block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	block->used = 0;
	block->size = size;
	block->next = a->blocks;
	a->blocks = block;
	return block;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct arena_block *block = a->blocks;
	if (!block || block->size - block->used < n)
		block = add_block(a, n);
	if (!block)
		return NULL;
	void *piece = block->bytes + block->used;
	block->used += n;
	return piece;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	void *array = arena_alloc(a, bytes);
	return array ? memset(array, 0, bytes) : NULL;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *copy = arena_alloc(a, s.len + 1);
	if (!copy)
		return (struct slice){ NULL, 0 };
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return (struct slice){ copy, s.len };
}
