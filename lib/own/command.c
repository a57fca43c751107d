/*
 * A command and its answer as they are sent: a line of JSON, and a line with key and MAC over it.
 *
 *	{"v":1,"id":"…","from":"store-a","epoch":…,"counter":…,"expires":…,"to":"store-b",
 *	 "stream":"product/sku-1","command":"update_price","payload":{…}}
 *	{"key":"hs256-…","mac":"…"}
 *
 *	{"v":1,"id":"…","counter":…,"from":"store-b","answer":{"status":"ok","exit":0,…}}
 *	{"key":"hs256-…","mac":"…"}
 *
 * A question what became of a command is one without payload, and with "asks":true.
 */
#include "command.h"

#include <inttypes.h>

#include "../event/chain.h"
#include "../peers.h"

#include "../base/banned.h"

#define COMMAND_LABEL "ledgerbox/command/v1"
#define REPLY_LABEL   "ledgerbox/answer/v1"

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- Ids ------------------------------------------------------------------------------------- */

/* RFC 9562: version 8, made by a rule of our own. */
static void id_of(const struct pae_piece *pieces, size_t n, uint8_t out[16])
{
	uint8_t digest[EVENT_HASH_SIZE];
	pae_sha256(pieces, n, digest);
	memcpy(out, digest, 16);
	out[6] = (uint8_t)(0x80 | (out[6] & 0x0F));
	out[8] = (uint8_t)(0x80 | (out[8] & 0x3F));
}

enum ledger_status ledger_command_new_id(uint8_t out[16], struct ledger_error *err)
{
	uint8_t random[8];
	if (!chain_random(random, sizeof(random)))
		return fail(err, LEDGER_IO, "the kernel gives no random bytes");
	uuid_v7(time_now(), random, out);
	return LEDGER_OK;
}

void ledger_command_once_id(
	struct slice stream, struct slice name, struct slice key, uint8_t out[16])
{
	const struct pae_piece pieces[] = { PAE_BYTES(SLICE("ledgerbox/command-once/v1")),
		PAE_BYTES(stream), PAE_BYTES(name), PAE_BYTES(key) };
	id_of(PAE_PIECES(pieces), out);
}

void ledger_command_event_id(const uint8_t id[16], uint64_t nth, uint8_t out[16])
{
	const struct pae_piece pieces[] = { PAE_BYTES(SLICE("ledgerbox/command-event/v1")),
		PAE_BYTES(((struct slice){ (const char *)id, 16 })), PAE_NUMBER(nth) };
	id_of(PAE_PIECES(pieces), out);
}

void command_digest(const struct ledger_command *c, uint8_t out[EVENT_HASH_SIZE])
{
	const struct pae_piece pieces[] = { PAE_BYTES(SLICE("ledgerbox/command-content/v1")),
		PAE_BYTES(c->stream), PAE_BYTES(c->name), PAE_BYTES(c->payload) };
	pae_sha256(PAE_PIECES(pieces), out);
}

/* --- Checks ---------------------------------------------------------------------------------- */

enum ledger_status ledger_command_check(const struct ledger_command *c, struct ledger_error *err)
{
	static const uint8_t nil[16];
	struct slice value;
	if (memcmp(c->id, nil, sizeof(nil)) == 0)
		return fail(err, LEDGER_INVALID, "the nil UUID is no command id");
	TRY(event_check_stream(c->stream, err));
	if (!slice_is_token(c->name)) {
		fail(err, LEDGER_INVALID, "'%.*s' is not the name of a command",
			(int)(c->name.len < 80 ? c->name.len : 80), c->name.ptr ? c->name.ptr : "");
		return hint(err, "1 to 64 of A-Z a-z 0-9 _ -");
	}
	if (c->only_asks)
		return LEDGER_OK;
	if (c->payload.len > EVENT_PAYLOAD_MAX)
		return fail(err, LEDGER_INVALID, "the payload has %zu bytes, at most %u are taken",
			c->payload.len, EVENT_PAYLOAD_MAX);
	if (json_check(c->payload, &value, err) != LEDGER_OK)
		return fail_in(err, "payload: ");
	return LEDGER_OK;
}

/* --- Sealing --------------------------------------------------------------------------------- */

static void add_id(struct buf *out, const uint8_t id[16])
{
	char text[UUID_TEXT_MAX];
	uuid_format(id, text);
	buf_addf(out, "\"id\":\"%s\"", text);
}

/* The MAC over all that is in `out` behind `from`, on a line of its own. */
static enum ledger_status add_seal(
	struct ledger *l, const char *label, size_t from, struct buf *out, struct ledger_error *err)
{
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
	TRY(buf_check(out, err));
	struct slice words = slice_from(buf_slice(out), from);
	TRY(ledger_sign(l, label, words, key, mac, err));
	buf_addf(out, "\n{\"key\":\"%s\",\"mac\":\"", key);
	buf_add_hex(out, mac, sizeof(mac));
	buf_add_text(out, "\"}\n");
	return buf_check(out, err);
}

/* One process never gives a number twice, nor a later one a lower number while the clock goes right. */
static uint64_t next_counter(void)
{
	static uint64_t last;
	uint64_t now = time_now();
	last = now > last ? now : last + 1;
	return last;
}

enum ledger_status ledger_command_seal(
	struct ledger *l, struct ledger_command *c, struct buf *out, struct ledger_error *err)
{
	size_t from = out->len;
	c->sender = slice_of(ledger_node(l));
	c->epoch = ledger_epoch(l);
	c->counter = next_counter();
	TRY(ledger_command_check(c, err));
	buf_add_text(out, "{\"v\":1,");
	add_id(out, c->id);
	buf_add_text(out, ",\"from\":");
	json_add_string(out, c->sender);
	buf_addf(out, ",\"epoch\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"expires\":%" PRIu64,
		c->epoch, c->counter, c->expires);
	buf_add_text(out, ",\"to\":");
	json_add_string(out, c->node);
	buf_add_text(out, ",\"stream\":");
	json_add_string(out, c->stream);
	buf_add_text(out, ",\"command\":");
	json_add_string(out, c->name);
	if (c->only_asks) {
		buf_add_text(out, ",\"asks\":true}");
	} else {
		buf_add_text(out, ",\"payload\":");
		json_add_flat(out, c->payload);
		buf_add_char(out, '}');
	}
	return add_seal(l, COMMAND_LABEL, from, out, err);
}

void ledger_reply_add(struct buf *out, const struct ledger_reply *r)
{
	buf_addf(out, "{\"status\":%d,\"exit\":%" PRIu64, (int)r->status, r->exit);
	if (r->repeated)
		buf_add_text(out, ",\"repeated\":true");
	if (r->text.len) {
		buf_add_text(out, ",\"text\":");
		json_add_string(out, r->text);
	}
	if (r->hint.len) {
		buf_add_text(out, ",\"hint\":");
		json_add_string(out, r->hint);
	}
	if (r->result.ptr) {
		buf_add_text(out, ",\"result\":");
		json_add_flat(out, r->result);
	}
	if (r->events.ptr) {
		buf_add_text(out, ",\"events\":");
		buf_add_slice(out, r->events);
	}
	buf_add_char(out, '}');
}

enum ledger_status ledger_reply_seal(
	struct ledger *l, struct ledger_reply *r, struct buf *out, struct ledger_error *err)
{
	size_t from = out->len;
	r->node = slice_of(ledger_node(l));
	buf_add_text(out, "{\"v\":1,");
	add_id(out, r->id);
	buf_addf(out, ",\"counter\":%" PRIu64 ",\"from\":", r->counter);
	json_add_string(out, r->node);
	buf_add_text(out, ",\"answer\":");
	ledger_reply_add(out, r);
	buf_add_char(out, '}');
	return add_seal(l, REPLY_LABEL, from, out, err);
}

/* --- Opening --------------------------------------------------------------------------------- */

/* A text member, decoded into the arena; false where there is none. */
static bool read_text(struct slice object, struct slice key, struct arena *arena, struct slice *out)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	if (!json_member(object, key, &value) || json_kind(value) != JSON_STRING)
		return false;
	json_decode_string(value, &text);
	*out = arena_copy(arena, buf_slice(&text));
	return !text.failed && out->ptr;
}

static bool read_token(
	struct slice object, struct slice key, struct arena *arena, struct slice *out)
{
	return read_text(object, key, arena, out) && slice_is_token(*out);
}

static bool read_number(struct slice object, struct slice key, uint64_t *out)
{
	struct slice value;
	return json_member(object, key, &value) && json_u64(value, out) && *out <= TIME_MAX;
}

static bool read_id(struct slice object, struct arena *arena, uint8_t out[16])
{
	struct slice text;
	return read_text(object, SLICE("id"), arena, &text) && uuid_parse(text, out);
}

static enum ledger_status not_ours(const char *what, struct ledger_error *err)
{
	return fail(err, LEDGER_INVALID, "it is not %s of format 1", what);
}

/* The words, a JSON object, once their MAC is right: nothing of them is looked at before. */
static enum ledger_status open_seal(struct ledger *l, const char *label, const char *what,
	struct slice bytes, struct arena *arena, struct slice *object, struct ledger_error *err)
{
	struct slice words, line, key, hex;
	struct ledger_error why;
	uint8_t mac[EVENT_HASH_SIZE];
	uint64_t version;
	if (!slice_cut(bytes, '\n', &words, &line) || json_check(line, &line, &why) != LEDGER_OK ||
		json_kind(line) != JSON_OBJECT || !read_text(line, SLICE("key"), arena, &key) ||
		!read_text(line, SLICE("mac"), arena, &hex) || hex.len != 2 * sizeof(mac) ||
		!slice_unhex(hex, mac, sizeof(mac)))
		return not_ours(what, err);
	TRY(ledger_check_signature(l, label, words, key, mac, err));
	if (json_check_line(words, object, &why) != LEDGER_OK ||
		json_kind(*object) != JSON_OBJECT || !read_number(*object, SLICE("v"), &version) ||
		version != 1)
		return not_ours(what, err);
	return LEDGER_OK;
}

static bool read_command(struct slice object, struct arena *arena, struct ledger_command *c)
{
	struct slice asks, payload;
	if (!read_id(object, arena, c->id) ||
		!read_token(object, SLICE("from"), arena, &c->sender) ||
		!read_number(object, SLICE("epoch"), &c->epoch) ||
		!read_number(object, SLICE("counter"), &c->counter) ||
		!read_number(object, SLICE("expires"), &c->expires) ||
		!read_token(object, SLICE("to"), arena, &c->node) ||
		!read_text(object, SLICE("stream"), arena, &c->stream) ||
		!read_text(object, SLICE("command"), arena, &c->name))
		return false;
	c->only_asks = json_member(object, SLICE("asks"), &asks) && json_kind(asks) == JSON_TRUE;
	if (c->only_asks)
		return true;
	if (!json_member(object, SLICE("payload"), &payload))
		return false;
	c->payload = arena_copy(arena, payload);
	return c->payload.ptr != NULL;
}

enum ledger_status ledger_command_open(struct ledger *l, struct slice bytes, struct arena *arena,
	struct ledger_command *out, struct ledger_error *err)
{
	struct ledger_command c = { 0 };
	struct slice object;
	if (bytes.len > LEDGER_COMMAND_MAX)
		return fail(err, LEDGER_INVALID, "a command of %zu bytes, at most %u are taken",
			bytes.len, LEDGER_COMMAND_MAX);
	TRY(open_seal(l, COMMAND_LABEL, "a command", bytes, arena, &object, err));
	if (!read_command(object, arena, &c))
		return not_ours("a command", err);
	TRY(ledger_command_check(&c, err));
	*out = c;
	return LEDGER_OK;
}

enum ledger_status ledger_reply_read(
	struct slice text, struct arena *arena, struct ledger_reply *out, struct ledger_error *err)
{
	struct slice object, value;
	struct ledger_error why;
	struct ledger_reply r = *out;
	uint64_t status;
	if (json_check(text, &object, &why) != LEDGER_OK || json_kind(object) != JSON_OBJECT ||
		!read_number(object, SLICE("status"), &status) || status > LEDGER_UNKNOWN ||
		!read_number(object, SLICE("exit"), &r.exit))
		return not_ours("an answer", err);
	r.status = (enum ledger_status)status;
	r.repeated =
		json_member(object, SLICE("repeated"), &value) && json_kind(value) == JSON_TRUE;
	if (!read_text(object, SLICE("text"), arena, &r.text))
		r.text = SLICE("");
	if (!read_text(object, SLICE("hint"), arena, &r.hint))
		r.hint = SLICE("");
	if (json_member(object, SLICE("result"), &value))
		r.result = arena_copy(arena, value);
	if (json_member(object, SLICE("events"), &value) && json_kind(value) == JSON_ARRAY)
		r.events = arena_copy(arena, value);
	*out = r;
	return LEDGER_OK;
}

enum ledger_status ledger_reply_open(struct ledger *l, struct slice bytes, struct arena *arena,
	struct ledger_reply *out, struct ledger_error *err)
{
	struct ledger_reply r = { 0 };
	struct slice object, answer;
	TRY(open_seal(l, REPLY_LABEL, "an answer", bytes, arena, &object, err));
	if (!read_id(object, arena, r.id) || !read_number(object, SLICE("counter"), &r.counter) ||
		!read_token(object, SLICE("from"), arena, &r.node) ||
		!json_member(object, SLICE("answer"), &answer))
		return not_ours("an answer", err);
	struct slice text = arena_copy(arena, answer);
	if (!text.ptr)
		return no_memory(err);
	TRY(ledger_reply_read(text, arena, &r, err));
	*out = r;
	return LEDGER_OK;
}
