/*
 * The events of domain `_ownership`, between their payloads and what they say:
 *
 *	claimed      {"domain":"inventory","stream":"product/sku-1"}
 *	offered      {…,"follows":"<hash>","to":"store-b","expires":"2026-11-20T17:35:00.000000Z"}
 *	accepted     {…,"follows":"<hash>"}
 *	transferred  {…,"follows":"<hash>","to":"store-b","heads":[{"epoch":…,"sequence":…,"hash":"…"}]}
 *	cancelled    {…,"follows":"<hash>","reason":"expired"}
 *
 * The stream is named in the payload, not as the event's own: that would be a second stream of its name.
 */
#include "owner.h"

#include "../base/banned.h"

static const char *const names[] = { [OWNER_CLAIMED] = "claimed",
	[OWNER_OFFERED] = "offered",
	[OWNER_ACCEPTED] = "accepted",
	[OWNER_TRANSFERRED] = "transferred",
	[OWNER_CANCELLED] = "cancelled" };

const char *owner_kind_name(enum owner_kind kind)
{
	return names[kind];
}

/* --- Reading ------------------------------------------------------------------------------------- */

static bool find_kind(struct slice type, enum owner_kind *kind)
{
	for (int i = OWNER_CLAIMED; i <= OWNER_CANCELLED; i++) {
		if (slice_is(type, names[i])) {
			*kind = (enum owner_kind)i;
			return true;
		}
	}
	return false;
}

/* A member that is a string, decoded behind what is in `text`. */
static bool read_string(
	struct slice payload, const char *name, struct buf *text, size_t *at, size_t *len)
{
	struct slice value;
	if (!json_member(payload, slice_of(name), &value) || json_kind(value) != JSON_STRING)
		return false;
	*at = text->len;
	json_decode_string(value, text);
	*len = text->len - *at;
	return !text->failed;
}

static bool read_name(struct slice payload, struct buf *text, struct owner_name *name)
{
	size_t domain, domain_len, stream, stream_len;
	struct ledger_error ignored;
	if (!read_string(payload, "domain", text, &domain, &domain_len) ||
		!read_string(payload, "stream", text, &stream, &stream_len) || !text->ptr)
		return false;
	name->domain = (struct slice){ text->ptr + domain, domain_len };
	name->stream = (struct slice){ text->ptr + stream, stream_len };
	return slice_is_token(name->domain) &&
	       event_check_stream(name->stream, &ignored) == LEDGER_OK;
}

static bool read_hash(struct slice object, const char *name, uint8_t out[EVENT_HASH_SIZE])
{
	struct slice value;
	if (!json_member(object, slice_of(name), &value) || value.len != 2 * EVENT_HASH_SIZE + 2 ||
		value.ptr[0] != '"')
		return false;
	return slice_unhex((struct slice){ value.ptr + 1, value.len - 2 }, out, EVENT_HASH_SIZE);
}

/* Another node than the one that says it. */
static bool read_next(struct slice payload, struct owner_event *out)
{
	CLEANUP_BUF struct buf text = { 0 };
	size_t at, len;
	if (!read_string(payload, "to", &text, &at, &len) || !slice_is_token(buf_slice(&text)) ||
		slice_is(buf_slice(&text), out->origin))
		return false;
	memcpy(out->next, text.ptr, text.len);
	return true;
}

static bool read_expires(struct slice payload, struct owner_event *out)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger_error ignored;
	size_t at, len;
	return read_string(payload, "expires", &text, &at, &len) &&
	       time_parse(buf_slice(&text), &out->expires, &ignored) == LEDGER_OK;
}

bool ownership_next_head(struct json_walk *heads, struct ledger_head *out)
{
	struct slice key, value, number;
	return json_walk_next(heads, &key, &value) && json_kind(value) == JSON_OBJECT &&
	       json_member(value, SLICE("epoch"), &number) && json_u64(number, &out->epoch) &&
	       json_member(value, SLICE("sequence"), &number) && json_u64(number, &out->sequence) &&
	       out->sequence && read_hash(value, "hash", out->hash);
}

static bool read_heads(struct slice payload, struct slice *heads)
{
	struct json_walk walk, count;
	struct ledger_head head;
	struct slice key, value;
	size_t n = 0;
	if (!json_member(payload, SLICE("heads"), heads) || json_kind(*heads) != JSON_ARRAY)
		return false;
	json_walk_init(&walk, *heads);
	json_walk_init(&count, *heads);
	while (json_walk_next(&count, &key, &value))
		n++;
	while (n && ownership_next_head(&walk, &head))
		n--;
	return n == 0;
}

bool ownership_parse(const struct event *event, struct buf *text, struct owner_name *name,
	struct owner_event *out, struct slice *heads)
{
	struct owner_event e = {
		.clock = event->clock, .epoch = event->epoch, .sequence = event->sequence
	};
	struct slice payload = event->payload;
	*heads = (struct slice){ NULL, 0 };
	if (!find_kind(event->type, &e.kind) || !payload.ptr || !payload.len ||
		json_kind(payload) != JSON_OBJECT || !read_name(payload, text, name))
		return false;
	memcpy(e.origin, event->origin.ptr, event->origin.len); /* a token */
	memcpy(e.hash, event->hash, EVENT_HASH_SIZE);
	if (e.kind != OWNER_CLAIMED && !read_hash(payload, "follows", e.follows))
		return false;
	if ((e.kind == OWNER_OFFERED || e.kind == OWNER_TRANSFERRED) && !read_next(payload, &e))
		return false;
	if (e.kind == OWNER_OFFERED && !read_expires(payload, &e))
		return false;
	if (e.kind == OWNER_TRANSFERRED && !read_heads(payload, heads))
		return false;
	*out = e;
	return true;
}

/* --- Recording ----------------------------------------------------------------------------------- */

struct heads {
	struct buf *out;
	const char *node;
	struct slice domain;
	const char *before;
};

static enum ledger_status add_head(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct heads *heads = context;
	(void)err;
	if (!slice_is(chain->origin, heads->node) || !slice_eq(chain->domain, heads->domain))
		return LEDGER_OK;
	buf_addf(heads->out, "%s{\"epoch\":%" PRIu64 ",\"sequence\":%" PRIu64 ",\"hash\":\"",
		heads->before, chain->epoch, chain->sequence);
	buf_add_hex(heads->out, chain->hash, EVENT_HASH_SIZE);
	buf_add_text(heads->out, "\"}");
	heads->before = ",";
	return LEDGER_OK;
}

/* Where this node's chains in the stream's domain end: what the next owner has to hold. */
static enum ledger_status add_heads(
	struct ledger *l, struct slice domain, struct buf *out, struct ledger_error *err)
{
	struct heads heads = { out, l->node, domain, "" };
	buf_add_text(out, ",\"heads\":[");
	TRY(ledger_chains(l, add_head, &heads, err));
	buf_add_char(out, ']');
	return LEDGER_OK;
}

static enum ledger_status compose(struct ledger *l, const struct owner_name *name,
	const struct owner_event *about, const char *reason, struct buf *out,
	struct ledger_error *err)
{
	char expires[TIME_TEXT_MAX];
	buf_addf(out, "{\"domain\":\"%.*s\",\"stream\":", SLICE_ARG(name->domain));
	json_add_string(out, name->stream);
	if (about->kind != OWNER_CLAIMED) {
		buf_add_text(out, ",\"follows\":\"");
		buf_add_hex(out, about->follows, EVENT_HASH_SIZE);
		buf_add_char(out, '"');
	}
	if (about->next[0])
		buf_addf(out, ",\"to\":\"%s\"", about->next);
	if (about->kind == OWNER_OFFERED) {
		time_format(about->expires, expires);
		buf_addf(out, ",\"expires\":\"%s\"", expires);
	}
	if (about->kind == OWNER_TRANSFERRED)
		TRY(add_heads(l, name->domain, out, err));
	if (reason)
		buf_addf(out, ",\"reason\":\"%s\"", reason);
	buf_add_char(out, '}');
	return buf_check(out, err);
}

/* What it follows may stand in a branch, which the ledger's clock does not count. */
static enum ledger_status come_behind(struct ledger *l, const struct owner_name *name,
	const struct owner_event *about, struct ledger_error *err)
{
	struct owner_event before;
	if (about->kind == OWNER_CLAIMED)
		return LEDGER_OK;
	TRY(owner_find_event(l, name, about->follows, &before, err));
	if (l->batch.seal.clock < before.clock)
		l->batch.seal.clock = before.clock;
	return LEDGER_OK;
}

enum ledger_status ownership_record(struct ledger *l, const struct owner_name *name,
	const struct owner_event *about, const char *reason, struct ledger_error *err)
{
	CLEANUP_BUF struct buf payload = { 0 };
	TRY(compose(l, name, about, reason, &payload, err));
	TRY(come_behind(l, name, about, err));
	struct ledger_new event = { .domain = OWNER_DOMAIN,
		.type = slice_of(names[about->kind]),
		.schema = 1,
		.payload = buf_slice(&payload) };
	return append_beside(l, &event, err);
}
