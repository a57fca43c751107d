/* An event's hash inputs spelled out, so that a reader can recompute them by hand. */
#include "../ledger.h"

#include "chain.h"

#include "../base/banned.h"

static void add_hex_line(struct buf *out, const char *name, const uint8_t *bytes, size_t n)
{
	buf_addf(out, "%-14s", name);
	buf_add_hex(out, bytes, n);
	buf_add_char(out, '\n');
}

static void add_text_piece(struct buf *out, const char *name, struct slice text)
{
	buf_addf(out, "  %-12s%zu bytes: ", name, text.len);
	buf_add_slice(out, text);
	buf_add_char(out, '\n');
}

static void add_number_piece(struct buf *out, const char *name, uint64_t value)
{
	buf_addf(out, "  %-12s8 bytes: ", name);
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_addf(out, "%02x", (unsigned)(value >> shift & 0xFF));
	buf_addf(out, " (%llu)\n", (unsigned long long)value);
}

static void add_hex_piece(struct buf *out, const char *name, const uint8_t *bytes, size_t n)
{
	buf_addf(out, "  %-12s%zu bytes: ", name, n);
	buf_add_hex(out, bytes, n);
	buf_add_char(out, '\n');
}

static void add_tag_pieces(struct buf *out, struct slice tags)
{
	struct slice tag;
	buf_add_text(out, "  tags        a PAE of its own:\n");
	while (event_next_tag(&tags, &tag))
		add_text_piece(out, "  tag", tag);
}

static void add_body_pieces(struct buf *out, const struct event *event)
{
	buf_add_text(out, "body = SHA-256 of the PAE of 4 pieces:\n");
	add_text_piece(out, "label", SLICE("ledgerbox/body/v1"));
	add_hex_piece(out, "salt", event->salt, sizeof(event->salt));
	add_text_piece(out, "payload", event->payload);
	add_text_piece(out, "metadata", event->metadata);
}

static void add_hash_pieces(
	struct buf *out, const struct event *event, const uint8_t body[EVENT_HASH_SIZE])
{
	struct slice stream_type = { "", 0 }, stream_key = { "", 0 };
	slice_cut(event->stream, '/', &stream_type, &stream_key);
	buf_add_text(out, "hash = SHA-256 of the PAE of 17 pieces:\n");
	add_text_piece(out, "label", SLICE("ledgerbox/event/v1"));
	add_text_piece(out, "key", event->key);
	add_text_piece(out, "origin", event->origin);
	add_number_piece(out, "epoch", event->epoch);
	add_text_piece(out, "domain", event->domain);
	add_number_piece(out, "sequence", event->sequence);
	add_hex_piece(out, "prev", event->prev, EVENT_HASH_SIZE);
	add_hex_piece(out, "id", event->id, sizeof(event->id));
	add_number_piece(out, "clock", event->clock);
	add_number_piece(out, "time", event->time);
	add_text_piece(out, "stream type", stream_type);
	add_text_piece(out, "stream key", stream_key);
	add_number_piece(out, "version", event->version);
	add_text_piece(out, "type", event->type);
	add_number_piece(out, "schema", event->schema);
	add_tag_pieces(out, event->tags);
	add_hex_piece(out, "body", body, EVENT_HASH_SIZE);
}

static void add_bytes(struct buf *out, const char *name, struct buf *bytes)
{
	add_hex_line(out, name, (const uint8_t *)bytes->ptr, bytes->len);
	buf_reset(bytes);
}

void ledger_add_proof(struct buf *out, const struct event *event)
{
	uint8_t body[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE], genesis[EVENT_HASH_SIZE];
	CLEANUP_BUF struct buf bytes = { 0 };
	chain_body(event, body);
	chain_hash(event, body, hash);
	add_body_pieces(out, event);
	chain_body_bytes(event, &bytes);
	add_bytes(out, "body bytes", &bytes);
	add_hex_line(out, "body", body, EVENT_HASH_SIZE);
	add_hash_pieces(out, event, body);
	chain_hash_bytes(event, body, &bytes);
	add_bytes(out, "hash bytes", &bytes);
	add_hex_line(out, "hash", hash, EVENT_HASH_SIZE);
	add_hex_line(out, "hash recorded", event->hash, EVENT_HASH_SIZE);
	if (event->sequence == 1) {
		chain_genesis(event->origin, event->epoch, event->domain, genesis);
		add_hex_line(out, "genesis", genesis, EVENT_HASH_SIZE);
	}
	buf_addf(out,
		"mac = HMAC-SHA-256 with key %.*s over \"ledgerbox/mac/v1\", a zero byte, hash\n",
		SLICE_ARG(event->key));
	add_hex_line(out, "mac recorded", event->mac, EVENT_HASH_SIZE);
}
