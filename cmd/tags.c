#include "tags.h"

#include "input.h"

#include "../lib/base/banned.h"

/* Where a value is being taken from. */
struct taking {
	const struct tag_source *source;
	struct draft *draft;
	struct arena *arena;
};

static enum ledger_status refuse(const struct taking *t, const char *why, struct ledger_error *err)
{
	struct slice type = input_shown(t->draft->event.type);
	struct slice stream = input_shown(t->draft->event.stream);
	fail(err, LEDGER_INVALID, "no tag '%s' from %s of event %.*s%s%.*s: %s", t->source->name,
		t->source->path, SLICE_ARG(type), stream.len ? " " : "", SLICE_ARG(stream), why);
	return hint(err, "tags_from in the config asks for it: give a text without white space, a "
			 "whole number, "
			 "an array of these, or leave the member out");
}

/* "$.a.b": the keys from the root down; what is no object on the way has no members. */
static bool find(struct slice root, const char *path, struct slice *value)
{
	struct slice rest = slice_of(path + 1);
	*value = root;
	while (rest.len) {
		rest = slice_from(rest, 1);
		const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
		struct slice key = { rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len };
		if (json_kind(*value) != JSON_OBJECT || !json_member(*value, key, value))
			return false;
		rest = slice_from(rest, key.len);
	}
	return true;
}

static bool find_source(const struct taking *t, struct slice *value)
{
	static const char metadata[] = "metadata.";
	const struct ledger_new *event = &t->draft->event;
	const char *path = t->source->path;
	struct slice root = event->payload;
	if (strncmp(path, metadata, sizeof(metadata) - 1) == 0) {
		path += sizeof(metadata) - 1;
		root = event->metadata;
	}
	return root.ptr && path[0] == '$' && find(root, path, value);
}

/* Digits with or without a minus: what is a number in JSON and looks the same in every language. */
static bool is_whole_number(struct slice value)
{
	if (json_kind(value) != JSON_NUMBER)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if ((value.ptr[i] < '0' || value.ptr[i] > '9') && value.ptr[i] != '-')
			return false;
	return true;
}

static enum ledger_status add_tag(
	const struct taking *t, struct slice value, struct ledger_error *err)
{
	struct slice name = slice_of(t->source->name);
	char *text = arena_alloc(t->arena, name.len + 1 + value.len);
	if (!text)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	char *end = mempcpy(text, name.ptr, name.len);
	*end++ = ':';
	end = mempcpy(end, value.ptr, value.len);
	struct slice tag = { text, (size_t)(end - text) };
	if (event_check_tag(tag, err) != LEDGER_OK)
		return refuse(t, "not a legal tag value", err);
	return draft_add_tag(t->draft, tag, err);
}

/* One tag from a text or a whole number. */
static enum ledger_status take_one(
	const struct taking *t, struct slice value, struct ledger_error *err)
{
	if (is_whole_number(value))
		return add_tag(t, value, err);
	if (json_kind(value) != JSON_STRING)
		return refuse(t, "neither a text nor a whole number", err);
	struct slice text;
	TRY(draft_text(value, t->source->path, t->arena, &text, err));
	return add_tag(t, text, err);
}

static enum ledger_status take(const struct taking *t, struct ledger_error *err)
{
	struct json_walk walk;
	struct slice value, key, item;
	if (!find_source(t, &value))
		return LEDGER_OK;
	if (json_kind(value) != JSON_ARRAY)
		return take_one(t, value, err);
	json_walk_init(&walk, value);
	while (json_walk_next(&walk, &key, &item))
		TRY(take_one(t, item, err));
	return LEDGER_OK;
}

enum ledger_status tags_from(const struct domain_settings *domain, struct draft *d,
	struct arena *arena, struct ledger_error *err)
{
	for (size_t i = 0; domain && i < domain->n_tags_from; i++) {
		struct taking t = { .source = &domain->tags_from[i], .draft = d, .arena = arena };
		TRY(take(&t, err));
	}
	return LEDGER_OK;
}
