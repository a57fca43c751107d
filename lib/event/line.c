#include "line.h"

#include "../base/json.h"
#include "../base/time.h"
#include "../base/uuid.h"

#include "../base/banned.h"

/* Enough of a bad value to find it again. */
#define SHOWN_MAX 80

static struct slice shown(struct slice s)
{
	return (struct slice){ s.ptr, s.len < SHOWN_MAX ? s.len : SHOWN_MAX };
}

struct reading {
	struct event *event;
	struct arena *arena;
	struct ledger_error *err;
};

static enum ledger_status out_of_memory(struct reading *r)
{
	return fail(r->err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status refuse(struct reading *r, const char *field, struct slice value)
{
	return fail(r->err, LEDGER_INVALID, "%s %.*s is not valid", field, SLICE_ARG(shown(value)));
}

/* --- Kinds of values ------------------------------------------------------------------------- */

/* The text of a JSON string: in place, or decoded into the arena. */
static enum ledger_status take_text(
	struct reading *r, const char *field, struct slice value, struct slice *text)
{
	if (json_kind(value) != JSON_STRING)
		return fail(r->err, LEDGER_INVALID, "%s is not a string", field);
	struct slice inner = { value.ptr + 1, value.len - 2 };
	if (!memchr(inner.ptr, '\\', inner.len)) {
		*text = inner;
		return LEDGER_OK;
	}
	CLEANUP_BUF struct buf decoded = { 0 };
	json_decode_string(value, &decoded);
	TRY(buf_check(&decoded, r->err));
	*text = arena_copy(r->arena, buf_slice(&decoded));
	return text->ptr ? LEDGER_OK : out_of_memory(r);
}

static enum ledger_status take_number(
	struct reading *r, const char *field, struct slice value, uint64_t *number)
{
	if (json_kind(value) == JSON_NUMBER && json_u64(value, number) && *number >= 1 &&
		*number <= TIME_MAX)
		return LEDGER_OK;
	return refuse(r, field, value);
}

/* One moment has one text, so that two lines of one event differ only where they may. */
static enum ledger_status take_moment(
	struct reading *r, const char *field, struct slice value, uint64_t *us)
{
	char text[TIME_TEXT_MAX];
	struct slice given;
	TRY(take_text(r, field, value, &given));
	if (time_parse(given, us, r->err) != LEDGER_OK || *us > TIME_MAX)
		return refuse(r, field, value);
	time_format(*us, text);
	return slice_is(given, text) ? LEDGER_OK : refuse(r, field, value);
}

static const uint8_t lower_hex[256] = {
	['0'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['a'] = 1, 1, 1, 1, 1, 1
};

static bool is_lower_hex(struct slice s)
{
	unsigned all = 1;
	for (size_t i = 0; i < s.len; i++)
		all &= lower_hex[(uint8_t)s.ptr[i]];
	return all;
}

static enum ledger_status take_hex(
	struct reading *r, const char *field, struct slice value, uint8_t *out, size_t n)
{
	struct slice text;
	TRY(take_text(r, field, value, &text));
	if (text.len == 2 * n && is_lower_hex(text) && slice_unhex(text, out, n))
		return LEDGER_OK;
	return refuse(r, field, value);
}

/* A value that is stored as it stands: on one line, as append makes it. */
static enum ledger_status take_json(
	struct reading *r, const char *field, struct slice value, size_t max, struct slice *out)
{
	if (value.len > max)
		return fail(r->err, LEDGER_INVALID, "the %s has %zu bytes, at most %zu are taken",
			field, value.len, max);
	*out = value;
	return LEDGER_OK;
}

/* --- The fields ------------------------------------------------------------------------------ */

static enum ledger_status take_v(struct reading *r, struct slice value)
{
	uint64_t version;
	if (json_kind(value) != JSON_NUMBER || !json_u64(value, &version))
		return refuse(r, "v", value);
	if (version == 1)
		return LEDGER_OK;
	fail(r->err, LEDGER_UNVERIFIED, "format version %.*s is not known here",
		SLICE_ARG(shown(value)));
	return hint(r->err, "this program is older than the one that wrote it");
}

static enum ledger_status take_id(struct reading *r, struct slice value)
{
	static const uint8_t nil[16];
	char canonical[UUID_TEXT_MAX];
	struct slice text;
	TRY(take_text(r, "id", value, &text));
	if (!uuid_parse(text, r->event->id) || memcmp(r->event->id, nil, sizeof(nil)) == 0)
		return refuse(r, "id", value);
	uuid_format(r->event->id, canonical);
	return slice_is(text, canonical) ? LEDGER_OK : refuse(r, "id", value);
}

static enum ledger_status take_origin(struct reading *r, struct slice value)
{
	TRY(take_text(r, "origin", value, &r->event->origin));
	return slice_is_token(r->event->origin) ? LEDGER_OK : refuse(r, "origin", value);
}

static enum ledger_status take_epoch(struct reading *r, struct slice value)
{
	return take_number(r, "epoch", value, &r->event->epoch);
}

static enum ledger_status take_domain(struct reading *r, struct slice value)
{
	TRY(take_text(r, "domain", value, &r->event->domain));
	return event_check_domain(r->event->domain, r->err);
}

static enum ledger_status take_sequence(struct reading *r, struct slice value)
{
	return take_number(r, "sequence", value, &r->event->sequence);
}

static enum ledger_status take_stream(struct reading *r, struct slice value)
{
	TRY(take_text(r, "stream", value, &r->event->stream));
	return event_check_stream(r->event->stream, r->err);
}

static enum ledger_status take_version(struct reading *r, struct slice value)
{
	return take_number(r, "version", value, &r->event->version);
}

static enum ledger_status take_type(struct reading *r, struct slice value)
{
	TRY(take_text(r, "type", value, &r->event->type));
	return event_check_type(r->event->type, r->err);
}

static enum ledger_status take_schema(struct reading *r, struct slice value)
{
	return take_number(r, "schema", value, &r->event->schema);
}

static enum ledger_status take_clock(struct reading *r, struct slice value)
{
	return take_moment(r, "clock", value, &r->event->clock);
}

static enum ledger_status take_time(struct reading *r, struct slice value)
{
	return take_moment(r, "time", value, &r->event->time);
}

/* Sorted and unique, as they were hashed; in memory one space stands between two. */
static enum ledger_status take_tags(struct reading *r, struct slice value)
{
	CLEANUP_BUF struct buf joined = { 0 };
	struct slice before = { "", 0 }, key, item, tag;
	struct json_walk walk;
	unsigned n = 0;
	if (json_kind(value) != JSON_ARRAY)
		return fail(r->err, LEDGER_INVALID, "tags is not an array of strings");
	json_walk_init(&walk, value);
	for (; json_walk_next(&walk, &key, &item); before = tag) {
		TRY(take_text(r, "one of the tags", item, &tag));
		TRY(event_check_tag(tag, r->err));
		if (slice_cmp(before, tag) >= 0)
			return fail(r->err, LEDGER_INVALID, "tag '%.*s' is not in order",
				SLICE_ARG(shown(tag)));
		if (n++ == EVENT_TAGS_MAX)
			return fail(r->err, LEDGER_INVALID, "more than %d tags", EVENT_TAGS_MAX);
		if (n > 1)
			buf_add_char(&joined, ' ');
		buf_add_slice(&joined, tag);
	}
	if (n == 0)
		return fail(r->err, LEDGER_INVALID, "tags is empty; without tags it is left out");
	TRY(buf_check(&joined, r->err));
	r->event->tags = arena_copy(r->arena, buf_slice(&joined));
	return r->event->tags.ptr ? LEDGER_OK : out_of_memory(r);
}

static enum ledger_status take_payload(struct reading *r, struct slice value)
{
	return take_json(r, "payload", value, EVENT_PAYLOAD_MAX, &r->event->payload);
}

static enum ledger_status take_metadata(struct reading *r, struct slice value)
{
	TRY(take_json(r, "metadata", value, EVENT_METADATA_MAX, &r->event->metadata));
	if (json_kind(value) != JSON_OBJECT)
		return fail(r->err, LEDGER_INVALID, "metadata is not an object");
	if (json_check_unique(value, r->err) != LEDGER_OK)
		return fail_in(r->err, "metadata: ");
	return LEDGER_OK;
}

static enum ledger_status take_salt(struct reading *r, struct slice value)
{
	return take_hex(r, "salt", value, r->event->salt, sizeof(r->event->salt));
}

static enum ledger_status take_prev(struct reading *r, struct slice value)
{
	return take_hex(r, "prev", value, r->event->prev, EVENT_HASH_SIZE);
}

static enum ledger_status take_hash(struct reading *r, struct slice value)
{
	return take_hex(r, "hash", value, r->event->hash, EVENT_HASH_SIZE);
}

/* Another algorithm has another name in front of its dash. */
static enum ledger_status take_key(struct reading *r, struct slice value)
{
	struct slice algorithm, digits, *key = &r->event->key;
	TRY(take_text(r, "key", value, key));
	if (!slice_cut(*key, '-', &algorithm, &digits) || !slice_is_token(*key))
		return refuse(r, "key", value);
	if (!slice_is(algorithm, "hs256"))
		return fail(r->err, LEDGER_UNVERIFIED,
			"the algorithm of key %.*s is not known here", SLICE_ARG(shown(value)));
	if (key->len != EVENT_KEY_ID_SIZE || !is_lower_hex(digits))
		return refuse(r, "key", value);
	return LEDGER_OK;
}

static enum ledger_status take_mac(struct reading *r, struct slice value)
{
	return take_hex(r, "mac", value, r->event->mac, EVENT_HASH_SIZE);
}

static enum ledger_status take_body(struct reading *r, struct slice value)
{
	(void)value;
	return fail(r->err, LEDGER_UNVERIFIED,
		"its payload was erased; this version cannot take such an event");
}

/* --- The line -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum ledger_status (*take)(struct reading *r, struct slice value);
	bool optional;
} fields[] = {
	{ "v", take_v, false },
	{ "id", take_id, false },
	{ "origin", take_origin, false },
	{ "epoch", take_epoch, false },
	{ "domain", take_domain, false },
	{ "sequence", take_sequence, false },
	{ "stream", take_stream, true },
	{ "version", take_version, true },
	{ "type", take_type, false },
	{ "schema", take_schema, false },
	{ "clock", take_clock, false },
	{ "time", take_time, false },
	{ "tags", take_tags, true },
	{ "payload", take_payload, false },
	{ "metadata", take_metadata, true },
	{ "salt", take_salt, false },
	{ "prev", take_prev, false },
	{ "hash", take_hash, false },
	{ "key", take_key, false },
	{ "mac", take_mac, false },
	{ "body", take_body, true },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* The writer's order is tried first: then one comparison a field is all. */
static size_t find_field(struct slice key, size_t expected)
{
	for (size_t n = 0; n < FIELDS; n++) {
		size_t i = (expected + n) % FIELDS;
		if (json_string_is(key, slice_of(fields[i].name)))
			return i;
	}
	return FIELDS;
}

/* A format to come may have other fields: what `v` says goes before all else. */
static enum ledger_status check_version(struct slice object, struct reading *r)
{
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, object);
	bool found = json_walk_next(&walk, &key, &value) && json_string_is(key, SLICE("v"));
	if (!found && !json_member(object, SLICE("v"), &value))
		return fail(r->err, LEDGER_INVALID, "there is no field 'v'");
	return take_v(r, value);
}

static enum ledger_status take_fields(struct slice object, struct reading *r, uint32_t *seen)
{
	struct json_walk walk;
	struct slice key, value;
	size_t at = 0;
	json_walk_init(&walk, object);
	for (; json_walk_next(&walk, &key, &value); at++) {
		at = find_field(key, at);
		if (at == FIELDS)
			return fail(r->err, LEDGER_INVALID, "unknown field %.*s",
				SLICE_ARG(shown(key)));
		if (*seen & 1u << at)
			return fail(
				r->err, LEDGER_INVALID, "field '%s' stands twice", fields[at].name);
		*seen |= 1u << at;
		TRY(fields[at].take(r, value));
	}
	return LEDGER_OK;
}

static enum ledger_status check_complete(struct reading *r, uint32_t seen)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (!fields[i].optional && !(seen & 1u << i))
			return fail(
				r->err, LEDGER_INVALID, "there is no field '%s'", fields[i].name);
	if (!r->event->stream.ptr != !r->event->version)
		return fail(r->err, LEDGER_INVALID, "stream and version go together");
	return LEDGER_OK;
}

enum ledger_status event_read_line(
	struct slice line, struct arena *arena, struct event *event, struct ledger_error *err)
{
	struct event read = { 0 };
	struct reading r = { .event = &read, .arena = arena, .err = err };
	struct slice object;
	uint32_t seen = 0;
	if (line.len >= EVENT_LINE_MAX)
		return fail(err, LEDGER_INVALID, "a line of %zu bytes, it must be under %u",
			line.len, EVENT_LINE_MAX);
	if (memchr(line.ptr, '\n', line.len) || memchr(line.ptr, '\r', line.len))
		return fail(err, LEDGER_INVALID, "a line break inside the line");
	TRY(json_check_line(line, &object, err));
	if (json_kind(object) != JSON_OBJECT)
		return fail(err, LEDGER_INVALID, "not a JSON object");
	TRY(check_version(object, &r));
	TRY(take_fields(object, &r, &seen));
	TRY(check_complete(&r, seen));
	*event = read;
	return LEDGER_OK;
}
