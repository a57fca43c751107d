#include "merge.h"

#include <stdlib.h>

#include "../base/arena.h"

#include "../base/banned.h"

void merge_add_compact(struct buf *out, struct slice value)
{
	bool quoted = false;
	size_t begin = 0;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (quoted && c == '\\') {
			i++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
			buf_add(out, value.ptr + begin, i - begin);
			begin = i + 1;
		}
	}
	buf_add(out, value.ptr + begin, value.len - begin);
}

/* A member of the patch. */
struct member {
	struct slice key;  /* as it stands, quotes included */
	struct slice name; /* decoded */
	struct slice value;
	size_t at;     /* its place in the patch */
	bool is_taken; /* it has been written, or a later one has its key */
};

struct merge {
	struct buf *out;
	struct arena arena;
	bool failed;
};

static struct slice decode(struct merge *m, struct slice key)
{
	if (!memchr(key.ptr, '\\', key.len))
		return (struct slice){ key.ptr + 1, key.len - 2 };
	CLEANUP_BUF struct buf name = { 0 };
	json_decode_string(key, &name);
	struct slice kept = arena_copy(&m->arena, buf_slice(&name));
	m->failed = m->failed || name.failed || !kept.ptr;
	return kept.ptr ? kept : SLICE("");
}

static int by_name(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = slice_cmp(x->name, y->name);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	return (x->at > y->at) - (x->at < y->at);
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

/* The members of an object by name; of those with one name all but the last are taken already. */
static struct member *sorted_members(struct merge *m, struct slice object, size_t *n)
{
	struct json_walk walk;
	*n = count_members(object);
	struct member *members = arena_array(&m->arena, *n ? *n : 1, sizeof(*members));
	if (!members) {
		m->failed = true;
		*n = 0;
		return NULL;
	}
	json_walk_init(&walk, object);
	for (size_t i = 0; i < *n; i++) {
		json_walk_next(&walk, &members[i].key, &members[i].value);
		members[i].name = decode(m, members[i].key);
		members[i].at = i;
	}
	qsort(members, *n, sizeof(*members), by_name);
	for (size_t i = 1; i < *n; i++)
		members[i - 1].is_taken = slice_eq(members[i - 1].name, members[i].name);
	return members;
}

/* The last member of that name. */
static struct member *find(struct member *members, size_t n, struct slice name)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_cmp(members[middle].name, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && slice_eq(members[low - 1].name, name) ? &members[low - 1] : NULL;
}

static void merge(struct merge *m, struct slice target, struct slice patch);

static void add_member(
	struct merge *m, struct slice key, struct slice target, struct slice patch, bool *first)
{
	if (json_kind(patch) == JSON_NULL)
		return;
	if (!*first)
		buf_add_char(m->out, ',');
	*first = false;
	buf_add_slice(m->out, key);
	buf_add_char(m->out, ':');
	merge(m, target, patch);
}

/* Members of the target that the patch does not name stay as they are, those it names are merged. */
static void merge_known(
	struct merge *m, struct slice target, struct member *members, size_t n, bool *first)
{
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, target);
	while (json_walk_next(&walk, &key, &value)) {
		struct member *patch = find(members, n, decode(m, key));
		if (patch) {
			patch->is_taken = true;
			add_member(m, key, value, patch->value, first);
			continue;
		}
		if (!*first)
			buf_add_char(m->out, ',');
		*first = false;
		buf_add_slice(m->out, key);
		buf_add_char(m->out, ':');
		merge_add_compact(m->out, value);
	}
}

/* As deep as JSON may be: JSON_DEPTH_MAX. */
static void merge(struct merge *m, struct slice target, struct slice patch)
{
	const struct slice none = { NULL, 0 };
	bool first = true;
	size_t n;
	if (json_kind(patch) != JSON_OBJECT) {
		merge_add_compact(m->out, patch);
		return;
	}
	struct member *members = sorted_members(m, patch, &n);
	buf_add_char(m->out, '{');
	if (target.ptr && json_kind(target) == JSON_OBJECT)
		merge_known(m, target, members, n, &first);
	if (n)
		qsort(members, n, sizeof(*members), by_place);
	for (size_t i = 0; i < n; i++)
		if (!members[i].is_taken)
			add_member(m, members[i].key, none, members[i].value, &first);
	buf_add_char(m->out, '}');
}

enum ledger_status merge_patch(
	struct slice target, struct slice patch, struct buf *out, struct ledger_error *err)
{
	struct merge m = { .out = out };
	merge(&m, target, patch);
	arena_done(&m.arena);
	if (m.failed)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return buf_check(out, err);
}
