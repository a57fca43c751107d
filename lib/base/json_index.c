#include "json_index.h"

#include <stdlib.h>

#include "banned.h"

struct slice json_key_name(struct slice key, struct arena *arena)
{
	if (!memchr(key.ptr, '\\', key.len))
		return (struct slice){ key.ptr + 1, key.len - 2 };
	CLEANUP_BUF struct buf name = { 0 };
	json_decode_string(key, &name);
	return name.failed ? (struct slice){ NULL, 0 } : arena_copy(arena, buf_slice(&name));
}

static int by_place(const void *a, const void *b)
{
	const struct json_entry *x = a, *y = b;
	return (x->at > y->at) - (x->at < y->at);
}

static int by_name(const void *a, const void *b)
{
	const struct json_entry *x = a, *y = b;
	int order = slice_cmp(x->name, y->name);
	return order ? order : by_place(a, b);
}

static size_t count_members(struct slice object)
{
	struct json_walk walk;
	struct slice key, value;
	size_t n = 0;
	json_walk_init(&walk, object);
	while (json_walk_next(&walk, &key, &value))
		n++;
	return n;
}

bool json_index_init(struct json_index *index, struct slice object, struct arena *arena)
{
	struct json_walk walk;
	size_t n = count_members(object);
	struct json_entry *entries = arena_array(arena, n + 1, sizeof(*entries));
	if (!entries)
		return false;
	json_walk_init(&walk, object);
	for (size_t i = 0; i < n; i++) {
		json_walk_next(&walk, &entries[i].key, &entries[i].value);
		entries[i].name = json_key_name(entries[i].key, arena);
		entries[i].at = i;
		if (!entries[i].name.ptr)
			return false;
	}
	qsort(entries, n, sizeof(*entries), by_name);
	for (size_t i = 1; i < n; i++)
		entries[i - 1].repeated = slice_eq(entries[i - 1].name, entries[i].name);
	*index = (struct json_index){ entries, n };
	return true;
}

struct json_entry *json_index_find(struct json_index *index, struct slice name)
{
	size_t low = 0, high = index->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_cmp(index->entries[middle].name, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	struct json_entry *entry = low ? &index->entries[low - 1] : NULL;
	return entry && slice_eq(entry->name, name) ? entry : NULL;
}

void json_index_unsort(struct json_index *index)
{
	qsort(index->entries, index->n, sizeof(*index->entries), by_place);
}
