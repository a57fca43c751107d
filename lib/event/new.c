/* What the caller gives to be recorded: its form, its query words, its derived ids. */
#include "../ledger.h"

#include "chain.h"

#include "../base/banned.h"

void ledger_once_id(struct slice domain, struct slice key, uint8_t out[16])
{
	uint8_t digest[EVENT_HASH_SIZE];
	const struct pae_piece pieces[] = { PAE_BYTES(SLICE("ledgerbox/once/v1")),
		PAE_BYTES(domain), PAE_BYTES(key) };
	pae_sha256(PAE_PIECES(pieces), digest);
	memcpy(out, digest, 16);
	out[6] = (uint8_t)(0x80 |
			   (out[6] & 0x0F)); /* RFC 9562: version 8, made by a rule of our own */
	out[8] = (uint8_t)(0x80 | (out[8] & 0x3F));
}

static enum ledger_status check_payload(struct slice payload, struct ledger_error *err)
{
	struct slice value;
	if (!payload.ptr) {
		fail(err, LEDGER_INVALID, "there is no payload");
		return hint(err, "give a JSON value, or null");
	}
	if (json_check(payload, &value, err))
		return fail_in(err, "payload: ");
	if (value.len > EVENT_PAYLOAD_MAX) {
		fail(err, LEDGER_INVALID, "the payload has %zu bytes, at most %u are taken",
			value.len, EVENT_PAYLOAD_MAX);
		return hint(err, "keep large content elsewhere and record its digest");
	}
	return LEDGER_OK;
}

static enum ledger_status check_metadata(struct slice metadata, struct ledger_error *err)
{
	struct slice value;
	if (!metadata.ptr)
		return LEDGER_OK;
	if (json_check(metadata, &value, err))
		return fail_in(err, "metadata: ");
	if (json_kind(value) != JSON_OBJECT)
		return fail(err, LEDGER_INVALID, "metadata is not a JSON object");
	if (value.len > EVENT_METADATA_MAX)
		return fail(err, LEDGER_INVALID, "the metadata has %zu bytes, at most %u are taken",
			value.len, EVENT_METADATA_MAX);
	if (json_check_unique(value, err))
		return fail_in(err, "metadata: ");
	return LEDGER_OK;
}

/* What an event line adds around payload and metadata: all other fields at their largest, and more. */
#define LINE_FRAME_MAX 2048

static enum ledger_status check_line_length(
	const struct ledger_new *event, struct ledger_error *err)
{
	size_t length =
		event->payload.len + event->metadata.len + event->stream.len + LINE_FRAME_MAX;
	for (size_t i = 0; i < event->n_tags; i++)
		length += event->tags[i].len + 3;
	if (length < EVENT_LINE_MAX)
		return LEDGER_OK;
	return fail(err, LEDGER_INVALID,
		"the event would make a line of %zu bytes, at most %u are taken", length,
		EVENT_LINE_MAX);
}

static enum ledger_status check_id(const struct ledger_new *event, struct ledger_error *err)
{
	static const uint8_t nil[16];
	if (event->has_id && memcmp(event->id, nil, sizeof(nil)) == 0)
		return fail(err, LEDGER_INVALID, "the nil UUID is no event id");
	return LEDGER_OK;
}

enum ledger_status ledger_check_new(const struct ledger_new *event, struct ledger_error *err)
{
	TRY(check_id(event, err));
	TRY(event_check_domain(event->domain, err));
	TRY(event_check_type(event->type, err));
	if (event->stream.ptr)
		TRY(event_check_stream(event->stream, err));
	if (event->schema < 1 || event->schema > TIME_MAX)
		return fail(err, LEDGER_INVALID, "schema %llu is not a whole number from 1",
			(unsigned long long)event->schema);
	if (event->has_time && event->time > TIME_MAX)
		return fail(err, LEDGER_INVALID, "the time lies too far ahead");
	if (event->n_tags > EVENT_TAGS_MAX)
		return fail(err, LEDGER_INVALID, "%zu tags, at most %d are taken", event->n_tags,
			EVENT_TAGS_MAX);
	for (size_t i = 0; i < event->n_tags; i++)
		TRY(event_check_tag(event->tags[i], err));
	TRY(check_payload(event->payload, err));
	TRY(check_metadata(event->metadata, err));
	return check_line_length(event, err);
}

/* --- Queries --------------------------------------------------------------------------------- */

static enum ledger_status add_types(
	struct slice list, struct ledger_query_item *item, struct ledger_error *err)
{
	for (bool more = true; more;) {
		struct slice type = list;
		more = slice_cut(list, ',', &type, &list);
		if (item->n_types == sizeof(item->types) / sizeof(item->types[0]))
			return fail(err, LEDGER_INVALID, "more than %zu types in one query",
				item->n_types);
		TRY(event_check_type(type, err));
		item->types[item->n_types++] = type;
	}
	return LEDGER_OK;
}

static enum ledger_status add_word(
	struct slice word, struct ledger_query_item *item, struct ledger_error *err)
{
	struct slice name, value;
	if (slice_cut(word, '=', &name, &value) && slice_is(name, "type"))
		return add_types(value, item, err);
	if (slice_cut(word, '=', &name, &value) && slice_is(name, "tag")) {
		if (item->n_tags == EVENT_TAGS_MAX)
			return fail(err, LEDGER_INVALID, "more than %d tags in one query",
				EVENT_TAGS_MAX);
		item->tags[item->n_tags++] = value;
		return event_check_tag(value, err);
	}
	fail(err, LEDGER_INVALID, "query word '%.*s' is not understood",
		(int)(word.len < 80 ? word.len : 80), word.ptr);
	return hint(err, "a query is: type=a,b tag=name:value tag=name:value");
}

enum ledger_status ledger_query_parse(
	struct slice text, struct ledger_query_item *item, struct ledger_error *err)
{
	struct ledger_query_item parsed = { .n_types = 0 };
	for (;;) {
		struct slice word, rest = slice_trim(text);
		if (rest.len == 0)
			break;
		if (!slice_cut(rest, ' ', &word, &text)) {
			word = rest;
			text.len = 0;
		}
		TRY(add_word(word, &parsed, err));
	}
	if (parsed.n_types == 0 && parsed.n_tags == 0) {
		fail(err, LEDGER_INVALID, "the query is empty: it would match every event");
		return hint(err, "a query is: type=a,b tag=name:value tag=name:value");
	}
	*item = parsed;
	return LEDGER_OK;
}
