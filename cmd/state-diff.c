/*
 * What differs between two states. Each change has a path ($.quantity, $.tags[2], $."a b") and the
 * values before and after, one of which is absent where something came or went.
 */
#include <inttypes.h>

#include "output.h"
#include "state.h"

#include "../lib/base/banned.h"

struct diff {
	struct buf path;
	struct buf out; /* lines of text, or items of a JSON list */
	uint64_t n;
	bool failed; /* no memory */
};

static bool is_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			    (i && c >= '0' && c <= '9')))
			return false;
	}
	return text.len > 0;
}

/* The key as it stands, quotes included. */
static void add_key(struct buf *path, struct slice key)
{
	struct slice bare = { key.ptr + 1, key.len - 2 };
	buf_add_char(path, '.');
	buf_add_slice(path, is_word(bare) ? bare : key);
}

static void add_change(struct diff *d, struct slice from, struct slice to)
{
	struct buf *out = &d->out;
	if (output.format == FORMAT_JSON) {
		buf_add_text(out, d->n ? ",{\"path\":" : "{\"path\":");
		json_add_string(out, buf_slice(&d->path));
		if (from.ptr)
			buf_add_text(out, ",\"from\":");
		buf_add_slice(out, from);
		if (to.ptr)
			buf_add_text(out, ",\"to\":");
		buf_add_slice(out, to);
		buf_add_char(out, '}');
	} else {
		buf_addf(out, "%.*s: ", SLICE_ARG(buf_slice(&d->path)));
		buf_add_slice(out, from.ptr ? from : SLICE("(absent)"));
		buf_add_text(out, " -> ");
		buf_add_slice(out, to.ptr ? to : SLICE("(absent)"));
		buf_add_char(out, '\n');
	}
	d->n++;
}

static void compare(struct diff *d, struct slice from, struct slice to);

/* Members of `from` that `to` has too are compared, those that it has not are gone; what is left is new. */
static void compare_members(struct diff *d, struct slice from, struct slice to)
{
	const struct slice none = { NULL, 0 };
	CLEANUP_ARENA struct arena arena = { 0 };
	struct json_index before, after;
	size_t length = d->path.len;
	d->failed = d->failed || !json_index_init(&before, from, &arena) ||
		    !json_index_init(&after, to, &arena);
	if (d->failed)
		return;
	json_index_unsort(&before);
	for (size_t i = 0; i < before.n; i++) {
		const struct json_entry *old = &before.entries[i];
		struct json_entry *new = json_index_find(&after, old->name);
		add_key(&d->path, old->key);
		compare(d, old->value, new ? new->value : none);
		d->path.len = length;
		if (new)
			new->seen = true;
	}
	json_index_unsort(&after);
	for (size_t i = 0; i < after.n; i++) {
		if (after.entries[i].seen || after.entries[i].repeated)
			continue;
		add_key(&d->path, after.entries[i].key);
		compare(d, none, after.entries[i].value);
		d->path.len = length;
	}
}

static void compare_items(struct diff *d, struct slice from, struct slice to)
{
	struct json_walk a, b;
	struct slice key, x = { NULL, 0 }, y = { NULL, 0 };
	size_t before = d->path.len;
	json_walk_init(&a, from);
	json_walk_init(&b, to);
	for (size_t i = 0;; i++) {
		if (!json_walk_next(&a, &key, &x))
			x = (struct slice){ NULL, 0 };
		if (!json_walk_next(&b, &key, &y))
			y = (struct slice){ NULL, 0 };
		if (!x.ptr && !y.ptr)
			return;
		buf_addf(&d->path, "[%zu]", i);
		compare(d, x, y);
		d->path.len = before;
	}
}

static void compare(struct diff *d, struct slice from, struct slice to)
{
	bool both = from.ptr && to.ptr;
	if (both && slice_eq(from, to))
		return;
	enum json_kind a = both ? json_kind(from) : JSON_NULL, b = both ? json_kind(to) : JSON_NULL;
	if (both && a == JSON_OBJECT && b == JSON_OBJECT) {
		compare_members(d, from, to);
	} else if (both && a == JSON_ARRAY && b == JSON_ARRAY) {
		compare_items(d, from, to);
	} else {
		add_change(d, from, to);
	}
}

/* --- Two moments ----------------------------------------------------------------------------- */

/* A state as JSON in `json`, and by itself in `state`; where there is none, both are empty. */
static enum ledger_status read_state(struct ledger_fold *f, struct slice stream,
	struct slice domain, const struct ledger_moment *moment, struct buf *json,
	struct buf *state, struct ledger_error *err)
{
	struct ledger_state s;
	enum ledger_status status = ledger_state(f, stream, domain, moment, &s, err);
	if (status == LEDGER_NO)
		return LEDGER_OK;
	TRY(status);
	if (output.format == FORMAT_JSON)
		state_add_json(json, &s);
	else
		state_say_events(&s);
	buf_add_slice(state, s.state);
	TRY(buf_check(json, err));
	return buf_check(state, err);
}

static enum ledger_status print(
	struct diff *d, const struct buf *from, const struct buf *to, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	if (d->failed)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	TRY(buf_check(&d->path, err));
	if (output.format == FORMAT_JSON) {
		buf_add_text(&line, "{\"from\":");
		buf_add_slice(&line, from->len ? buf_slice(from) : SLICE("null"));
		buf_add_text(&line, ",\"to\":");
		buf_add_slice(&line, to->len ? buf_slice(to) : SLICE("null"));
		buf_add_text(&line, ",\"changes\":[");
		buf_add_slice(&line, buf_slice(&d->out));
		buf_add_text(&line, "]}\n");
	} else {
		buf_add_slice(&line, buf_slice(&d->out));
	}
	TRY(buf_check(&d->out, err));
	TRY(buf_check(&line, err));
	out_safe_lines(buf_slice(&line));
	return LEDGER_OK;
}

static struct slice or_absent(const struct buf *state)
{
	return state->len ? buf_slice(state) : (struct slice){ NULL, 0 };
}

enum ledger_status state_diff(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct ledger_moment *from, const struct ledger_moment *to, struct ledger_error *err)
{
	CLEANUP_BUF struct buf before = { 0 }, after = { 0 }, from_json = { 0 }, to_json = { 0 };
	struct diff d = { 0 };
	TRY(read_state(f, stream, domain, from, &from_json, &before, err));
	TRY(read_state(f, stream, domain, to, &to_json, &after, err));
	if (!before.len && !after.len)
		return fail(err, LEDGER_NO, "stream %.*s has no events at either moment",
			SLICE_ARG(stream));
	buf_add_char(&d.path, '$');
	compare(&d, or_absent(&before), or_absent(&after));
	enum ledger_status status = print(&d, &from_json, &to_json, err);
	buf_done(&d.path);
	buf_done(&d.out);
	return status;
}
