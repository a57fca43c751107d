#include "event.h"

#include "../base/json.h"
#include "../base/time.h"
#include "../base/uuid.h"

#include "../base/banned.h"

/* Enough of a bad value to find it again, not enough to flood a terminal. */
#define SHOWN_MAX 80

/* As text in a message: a NUL would end it, and the value would look like a good one. */
static const char *shown(struct slice s, char out[SHOWN_MAX + 2])
{
	size_t n = 0;
	for (size_t i = 0; i < s.len && n < SHOWN_MAX; i++) {
		if (s.ptr[i] == '\0')
			out[n++] = '\\';
		out[n++] = s.ptr[i] == '\0' ? '0' : s.ptr[i];
	}
	out[n] = '\0';
	return out;
}

enum ledger_status event_check_domain(struct slice domain, struct ledger_error *err)
{
	char text[SHOWN_MAX + 2];
	if (slice_is_token(domain))
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "domain '%s' is not a token", shown(domain, text));
	return hint(err, "1 to 64 of A-Z a-z 0-9 _ -");
}

static bool is_type_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

enum ledger_status event_check_type(struct slice type, struct ledger_error *err)
{
	char text[SHOWN_MAX + 2];
	bool good = type.len >= 1 && type.len <= EVENT_TYPE_MAX;
	for (size_t i = 0; good && i < type.len; i++)
		good = is_type_char(type.ptr[i]);
	if (good)
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "event type '%s' is not valid", shown(type, text));
	return hint(err, "1 to 128 of A-Z a-z 0-9 _ - . :");
}

/* UTF-8 without C0, DEL and C1; without white space too where `solid`. */
static bool is_plain_text(struct slice s, bool solid)
{
	while (s.len) {
		uint32_t code;
		size_t n = slice_utf8_char(s, &code);
		if (n == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0))
			return false;
		if (solid && (code == ' ' || code == 0xA0 || code == 0x1680 ||
				     (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
				     code == 0x2029 || code == 0x202F || code == 0x205F ||
				     code == 0x3000))
			return false;
		s = slice_from(s, n);
	}
	return true;
}

enum ledger_status event_check_stream(struct slice stream, struct ledger_error *err)
{
	char text[SHOWN_MAX + 2];
	struct slice type, key;
	if (!slice_cut(stream, '/', &type, &key)) {
		fail(err, LEDGER_INVALID, "stream '%s' has no '/'", shown(stream, text));
		return hint(err, "write it type/key, for example product/sku-1");
	}
	if (!slice_is_token(type)) {
		fail(err, LEDGER_INVALID, "stream type '%s' is not a token", shown(type, text));
		return hint(err, "1 to 64 of A-Z a-z 0-9 _ -, then / and the key");
	}
	if (key.len < 1 || key.len > EVENT_STREAM_KEY_MAX) {
		fail(err, LEDGER_INVALID, "the key of stream '%s' has %zu bytes",
			shown(stream, text), key.len);
		return hint(err, "1 to 256 bytes of UTF-8");
	}
	if (!is_plain_text(key, false)) {
		fail(err, LEDGER_INVALID,
			"the key of stream '%s' has control characters or invalid UTF-8",
			shown(stream, text));
		return hint(err, "1 to 256 bytes of UTF-8 without control characters");
	}
	return LEDGER_OK;
}

enum ledger_status event_check_tag(struct slice tag, struct ledger_error *err)
{
	char text[SHOWN_MAX + 2];
	struct slice name, value;
	if (slice_cut(tag, ':', &name, &value) && slice_is_token(name) && value.len >= 1 &&
		value.len <= EVENT_TAG_VALUE_MAX && is_plain_text(value, true))
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "tag '%s' is not valid", shown(tag, text));
	return hint(err, "write it name:value, the value 1 to 191 bytes without white space");
}

bool event_next_tag(struct slice *rest, struct slice *tag)
{
	if (rest->len == 0)
		return false;
	if (!slice_cut(*rest, ' ', tag, rest)) {
		*tag = *rest;
		rest->len = 0;
	}
	return true;
}

bool event_correlation(const struct event *event, struct buf *out)
{
	struct slice value;
	buf_reset(out);
	if (!event->metadata.ptr ||
		!json_member(event->metadata, SLICE("correlation_id"), &value) ||
		json_kind(value) != JSON_STRING)
		return false;
	json_decode_string(value, out);
	return !out->failed && out->len >= 1 && out->len <= EVENT_TAG_VALUE_MAX;
}

static void add_text_member(struct buf *out, const char *name, struct slice text)
{
	buf_add_text(out, name);
	json_add_string(out, text);
}

static void add_number_member(struct buf *out, const char *name, uint64_t value)
{
	buf_add_text(out, name);
	buf_add_u64(out, value);
}

static void add_hex_member(struct buf *out, const char *name, const uint8_t *bytes, size_t n)
{
	buf_add_text(out, name);
	buf_add_hex(out, bytes, n);
	buf_add_char(out, '"');
}

static void add_moment_member(struct buf *out, const char *name, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	buf_add_text(out, name);
	buf_add_text(out, text);
	buf_add_char(out, '"');
}

static void add_tags(struct buf *out, struct slice tags)
{
	const char *before = ",\"tags\":[";
	struct slice tag;
	while (event_next_tag(&tags, &tag)) {
		buf_add_text(out, before);
		json_add_string(out, tag);
		before = ",";
	}
	buf_add_char(out, ']');
}

void event_add_line(struct buf *out, const struct event *event)
{
	char id[UUID_TEXT_MAX];
	uuid_format(event->id, id);
	buf_add_text(out, "{\"v\":1");
	if (event->position)
		add_number_member(out, ",\"position\":", event->position);
	buf_add_text(out, ",\"id\":\"");
	buf_add(out, id, UUID_TEXT_MAX - 1);
	add_text_member(out, "\",\"origin\":", event->origin);
	add_number_member(out, ",\"epoch\":", event->epoch);
	add_text_member(out, ",\"domain\":", event->domain);
	add_number_member(out, ",\"sequence\":", event->sequence);
	if (event->stream.ptr) {
		add_text_member(out, ",\"stream\":", event->stream);
		add_number_member(out, ",\"version\":", event->version);
	}
	add_text_member(out, ",\"type\":", event->type);
	add_number_member(out, ",\"schema\":", event->schema);
	add_moment_member(out, ",\"clock\":\"", event->clock);
	add_moment_member(out, ",\"time\":\"", event->time);
	if (event->tags.len)
		add_tags(out, event->tags);
	buf_add_text(out, ",\"payload\":");
	buf_add_slice(out, event->payload);
	if (event->metadata.ptr) {
		buf_add_text(out, ",\"metadata\":");
		buf_add_slice(out, event->metadata);
	}
	add_hex_member(out, ",\"salt\":\"", event->salt, sizeof(event->salt));
	add_hex_member(out, ",\"prev\":\"", event->prev, EVENT_HASH_SIZE);
	add_hex_member(out, ",\"hash\":\"", event->hash, EVENT_HASH_SIZE);
	add_text_member(out, ",\"key\":", event->key);
	add_hex_member(out, ",\"mac\":\"", event->mac, EVENT_HASH_SIZE);
	buf_add_char(out, '}');
}
