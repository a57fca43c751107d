/* Memory that goes together: what a batch needs is taken piece by piece and given back at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
};

#define CLEANUP_ARENA __attribute__((cleanup(arena_done)))

void arena_done(struct arena *a);

/* All pieces are gone, one block is kept for the next batch. */
void arena_reset(struct arena *a);

/* n bytes, aligned for anything, not cleared; NULL without memory. */
void *arena_alloc(struct arena *a, size_t n);

/* n cleared elements of `size` bytes; NULL without memory or on overflow. */
void *arena_array(struct arena *a, size_t n, size_t size);

/* A copy that lives as long as the arena, with a NUL behind it; ptr is NULL without memory. */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
