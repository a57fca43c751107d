#include "merge.h"

#include "../base/json_index.h"

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

struct merge {
	struct buf *out;
	struct arena arena;
	bool failed;
};

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

static void add_known(struct merge *m, struct slice key, struct slice value, bool *first)
{
	if (!*first)
		buf_add_char(m->out, ',');
	*first = false;
	buf_add_slice(m->out, key);
	buf_add_char(m->out, ':');
	merge_add_compact(m->out, value);
}

/* Members of the target that the patch does not name stay as they are, those it names are merged. */
static void merge_known(struct merge *m, struct slice target, struct json_index *patch, bool *first)
{
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, target);
	while (json_walk_next(&walk, &key, &value)) {
		struct slice name = json_key_name(key, &m->arena);
		m->failed = m->failed || !name.ptr;
		struct json_entry *entry = name.ptr ? json_index_find(patch, name) : NULL;
		if (!entry) {
			add_known(m, key, value, first);
			continue;
		}
		entry->seen = true;
		add_member(m, key, value, entry->value, first);
	}
}

/* As deep as JSON may be: JSON_DEPTH_MAX. */
static void merge(struct merge *m, struct slice target, struct slice patch)
{
	struct json_index index;
	bool first = true;
	if (json_kind(patch) != JSON_OBJECT) {
		merge_add_compact(m->out, patch);
		return;
	}
	if (!json_index_init(&index, patch, &m->arena)) {
		m->failed = true;
		return;
	}
	buf_add_char(m->out, '{');
	if (target.ptr && json_kind(target) == JSON_OBJECT)
		merge_known(m, target, &index, &first);
	json_index_unsort(&index);
	for (size_t i = 0; i < index.n; i++) {
		const struct json_entry *e = &index.entries[i];
		if (!e->seen && !e->repeated)
			add_member(m, e->key, (struct slice){ NULL, 0 }, e->value, &first);
	}
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
