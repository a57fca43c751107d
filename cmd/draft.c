#include "draft.h"

#include "input.h"

#include "../lib/base/banned.h"

static enum ledger_status out_of_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

enum ledger_status draft_text(struct slice value, const char *what, struct arena *arena,
	struct slice *text, struct ledger_error *err)
{
	if (json_kind(value) != JSON_STRING)
		return fail(err, LEDGER_INVALID, "%s is not a string", what);
	struct slice inner = { value.ptr + 1, value.len - 2 };
	if (!memchr(inner.ptr, '\\', inner.len)) {
		*text = inner;
		return LEDGER_OK;
	}
	CLEANUP_BUF struct buf decoded = { 0 };
	json_decode_string(value, &decoded);
	TRY(buf_check(&decoded, err));
	*text = arena_copy(arena, buf_slice(&decoded));
	return text->ptr ? LEDGER_OK : out_of_memory(err);
}

enum ledger_status draft_add_tag(struct draft *d, struct slice tag, struct ledger_error *err)
{
	for (size_t i = 0; i < d->n_tags; i++)
		if (slice_eq(d->tags[i], tag))
			return LEDGER_OK;
	if (d->n_tags == EVENT_TAGS_MAX)
		return fail(err, LEDGER_INVALID, "more than %d tags", EVENT_TAGS_MAX);
	d->tags[d->n_tags++] = tag;
	return LEDGER_OK;
}

/* --- The keys of a line ---------------------------------------------------------------------- */

typedef enum ledger_status take_fn(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err);

static enum ledger_status take_id(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	struct slice text;
	TRY(draft_text(value, "id", arena, &text, err));
	if (!uuid_parse(text, d->event.id)) {
		fail(err, LEDGER_INVALID, "id '%.*s' is not a UUID", SLICE_ARG(input_shown(text)));
		return hint(
			err, "for a number of your own use --once KEY, or put it into the payload");
	}
	d->event.has_id = true;
	return LEDGER_OK;
}

static enum ledger_status take_domain(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	return draft_text(value, "domain", arena, &d->event.domain, err);
}

static enum ledger_status take_type(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	return draft_text(value, "type", arena, &d->event.type, err);
}

static enum ledger_status take_stream(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	return draft_text(value, "stream", arena, &d->event.stream, err);
}

static enum ledger_status take_schema(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	(void)arena;
	if (json_u64(value, &d->event.schema) && d->event.schema > 0)
		return LEDGER_OK;
	return fail(err, LEDGER_INVALID, "schema %.*s is not a whole number from 1",
		SLICE_ARG(input_shown(value)));
}

static enum ledger_status take_time(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	struct slice text;
	TRY(draft_text(value, "time", arena, &text, err));
	TRY(time_parse(text, &d->event.time, err));
	d->event.has_time = true;
	return LEDGER_OK;
}

static enum ledger_status take_tags(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	struct json_walk walk;
	struct slice key, item, tag;
	if (json_kind(value) != JSON_ARRAY)
		return fail(err, LEDGER_INVALID, "tags is not an array of strings");
	json_walk_init(&walk, value);
	while (json_walk_next(&walk, &key, &item)) {
		TRY(draft_text(item, "one of the tags", arena, &tag, err));
		TRY(draft_add_tag(d, tag, err));
	}
	return LEDGER_OK;
}

static enum ledger_status take_payload(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	(void)arena;
	(void)err;
	d->event.payload = value;
	return LEDGER_OK;
}

static enum ledger_status take_metadata(
	struct draft *d, struct slice value, struct arena *arena, struct ledger_error *err)
{
	(void)arena;
	if (json_kind(value) != JSON_OBJECT)
		return fail(err, LEDGER_INVALID, "metadata is not an object");
	d->event.metadata = value;
	return LEDGER_OK;
}

static const struct {
	const char *name;
	take_fn *take;
} keys[] = {
	{ "domain", take_domain },
	{ "type", take_type },
	{ "stream", take_stream },
	{ "payload", take_payload },
	{ "metadata", take_metadata },
	{ "tags", take_tags },
	{ "time", take_time },
	{ "id", take_id },
	{ "schema", take_schema },
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* What the ledger gives to an event when it is recorded. */
static const char *const chain_fields[] = { "v", "origin", "epoch", "sequence", "version", "clock",
	"salt", "prev", "hash", "key", "mac", "position", "body" };

static enum ledger_status refuse_key(struct slice key, struct ledger_error *err)
{
	for (size_t i = 0; i < sizeof(chain_fields) / sizeof(chain_fields[0]); i++) {
		if (!json_string_is(key, slice_of(chain_fields[i])))
			continue;
		fail(err, LEDGER_INVALID, "the ledger itself gives an event its '%s'",
			chain_fields[i]);
		return hint(err,
			"leave out what append makes; taking over events of another ledger "
			"as they are is the work of sync");
	}
	struct slice shown = input_shown(key);
	fail(err, LEDGER_INVALID, "unknown key %.*s", SLICE_ARG(shown));
	return hint(err, "keys are id domain type stream schema time tags payload metadata; "
			 "what happened goes into the payload");
}

static size_t find_key(struct slice key)
{
	size_t i = 0;
	while (i < KEYS && !json_string_is(key, slice_of(keys[i].name)))
		i++;
	return i;
}

enum ledger_status draft_from_line(
	struct draft *d, struct slice line, struct arena *arena, struct ledger_error *err)
{
	struct json_walk walk;
	struct slice object, key, value;
	unsigned seen = 0;
	d->event = (struct ledger_new){ 0 };
	d->n_tags = 0;
	TRY(json_check_line(line, &object, err));
	if (json_kind(object) != JSON_OBJECT) {
		fail(err, LEDGER_INVALID, "not a JSON object");
		return hint(err, "a line is like {\"type\":\"sold\",\"payload\":{\"n\":2}}");
	}
	json_walk_init(&walk, object);
	while (json_walk_next(&walk, &key, &value)) {
		size_t i = find_key(key);
		if (i == KEYS)
			return refuse_key(key, err);
		if (seen & 1u << i)
			return fail(err, LEDGER_INVALID, "key '%s' stands twice", keys[i].name);
		seen |= 1u << i;
		TRY(keys[i].take(d, value, arena, err));
	}
	return LEDGER_OK;
}

/* --- Defaults -------------------------------------------------------------------------------- */

static bool is_missing(struct slice object, const struct draft_member *member)
{
	struct slice value;
	return !json_member(object, member->name, &value);
}

static bool is_empty_object(struct slice object)
{
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, object);
	return !json_walk_next(&walk, &key, &value);
}

/* The event's own metadata, byte for byte, with what it lacks put in front of its last brace. */
static enum ledger_status merge_metadata(struct draft *d, const struct draft_defaults *defaults,
	struct arena *arena, struct ledger_error *err)
{
	struct slice own = d->event.metadata;
	size_t room = own.len + 1;
	for (size_t i = 0; i < defaults->n_members; i++)
		room += defaults->members[i].json.len + 1;
	char *to = arena_alloc(arena, room);
	if (!to)
		return out_of_memory(err);
	d->event.metadata.ptr = to;
	to = mempcpy(to, own.ptr, own.len - 1);
	bool first = is_empty_object(own);
	for (size_t i = 0; i < defaults->n_members; i++) {
		const struct draft_member *member = &defaults->members[i];
		if (!is_missing(own, member))
			continue;
		if (!first)
			*to++ = ',';
		first = false;
		to = mempcpy(to, member->json.ptr, member->json.len);
	}
	*to++ = '}';
	d->event.metadata.len = (size_t)(to - d->event.metadata.ptr);
	return LEDGER_OK;
}

static void fill_text(struct slice *field, struct slice text)
{
	if (!field->ptr)
		*field = text;
}

enum ledger_status draft_fill(struct draft *d, const struct draft_defaults *defaults,
	struct arena *arena, struct ledger_error *err)
{
	struct ledger_new *event = &d->event;
	fill_text(&event->domain, defaults->domain);
	fill_text(&event->type, defaults->type);
	fill_text(&event->stream, defaults->stream);
	if (event->schema == 0)
		event->schema = defaults->schema;
	if (!event->has_time) {
		event->has_time = defaults->has_time;
		event->time = defaults->time;
	}
	for (size_t i = 0; i < defaults->n_tags; i++)
		TRY(draft_add_tag(d, defaults->tags[i], err));
	if (defaults->n_members && event->metadata.ptr)
		return merge_metadata(d, defaults, arena, err);
	fill_text(&event->metadata, defaults->metadata);
	return LEDGER_OK;
}

enum ledger_status draft_finish(const struct draft *d, struct arena *arena,
	struct ledger_new *event, struct ledger_error *err)
{
	*event = d->event;
	if (d->n_tags == 0)
		return LEDGER_OK;
	struct slice *tags = arena_alloc(arena, d->n_tags * sizeof(*tags));
	if (!tags)
		return out_of_memory(err);
	memcpy(tags, d->tags, d->n_tags * sizeof(*tags));
	event->tags = tags;
	event->n_tags = d->n_tags;
	return LEDGER_OK;
}
