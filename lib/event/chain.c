/*
 * SHA-256 is used by its own functions, not by way of EVP: they need no library context, no
 * provider and no config file, which an `append` of one event would pay for at every start (about
 * 1.5 ms), and a saved state makes HMAC (RFC 2104) two blocks cheaper per event. OpenSSL 3 calls
 * them deprecated; they are in every release of it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "chain.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "../base/banned.h"

_Static_assert(
	sizeof(SHA256_CTX) <= sizeof(((struct chain_key *)0)->inner), "a SHA-256 state fits");

/* Pieces are put together here: all fields but payload and metadata fit. */
#define CANON_MAX (2048 + EVENT_TAGS_MAX * (8 + 64 + 1 + EVENT_TAG_VALUE_MAX))

struct canon {
	size_t len;
	uint8_t bytes[CANON_MAX];
};

/* Not cleared by the compiler: 10 KiB of zeros for each hash would cost more than the hash. */
#define UNCLEARED __attribute__((uninitialized))

static void put_u64(struct canon *c, uint64_t value)
{
	uint64_t big = __builtin_bswap64(value);
	memcpy(c->bytes + c->len, &big, 8);
	c->len += 8;
}

static void put_piece(struct canon *c, const void *bytes, size_t n)
{
	put_u64(c, n);
	if (n)
		memcpy(c->bytes + c->len, bytes, n);
	c->len += n;
}

static void put_slice(struct canon *c, struct slice s)
{
	put_piece(c, s.ptr, s.len);
}

static void put_number(struct canon *c, uint64_t value)
{
	put_u64(c, 8);
	put_u64(c, value);
}

static void put_tags(struct canon *c, struct slice tags)
{
	size_t length_at = c->len;
	uint64_t n = 0;
	struct slice tag;
	c->len += 16; /* the piece's length and the number of tags, known behind the loop */
	while (event_next_tag(&tags, &tag)) {
		put_slice(c, tag);
		n++;
	}
	size_t end = c->len;
	c->len = length_at;
	put_u64(c, end - length_at - 8);
	put_u64(c, n);
	c->len = end;
}

/* What stands before the payload in the body's PAE. */
static void put_body_head(struct canon *c, const struct event *event)
{
	c->len = 0;
	put_u64(c, 4);
	put_slice(c, SLICE("ledgerbox/body/v1"));
	put_piece(c, event->salt, sizeof(event->salt));
	put_u64(c, event->payload.len);
}

static void put_hash(
	struct canon *c, const struct event *event, const uint8_t body[EVENT_HASH_SIZE])
{
	struct slice stream_type = { "", 0 }, stream_key = { "", 0 };
	slice_cut(event->stream, '/', &stream_type, &stream_key);
	c->len = 0;
	put_u64(c, 17);
	put_slice(c, SLICE("ledgerbox/event/v1"));
	put_slice(c, event->key);
	put_slice(c, event->origin);
	put_number(c, event->epoch);
	put_slice(c, event->domain);
	put_number(c, event->sequence);
	put_piece(c, event->prev, EVENT_HASH_SIZE);
	put_piece(c, event->id, sizeof(event->id));
	put_number(c, event->clock);
	put_number(c, event->time);
	put_slice(c, stream_type);
	put_slice(c, stream_key);
	put_number(c, event->version);
	put_slice(c, event->type);
	put_number(c, event->schema);
	put_tags(c, event->tags);
	put_piece(c, body, EVENT_HASH_SIZE);
}

void chain_body(const struct event *event, uint8_t out[EVENT_HASH_SIZE])
{
	struct canon c UNCLEARED;
	SHA256_CTX state;
	uint64_t metadata_len = __builtin_bswap64(event->metadata.len);
	put_body_head(&c, event);
	SHA256_Init(&state);
	SHA256_Update(&state, c.bytes, c.len);
	SHA256_Update(&state, event->payload.ptr, event->payload.len);
	SHA256_Update(&state, &metadata_len, 8);
	SHA256_Update(&state, event->metadata.ptr, event->metadata.len);
	SHA256_Final(out, &state);
}

void chain_hash(const struct event *event, const uint8_t body[EVENT_HASH_SIZE],
	uint8_t out[EVENT_HASH_SIZE])
{
	struct canon c UNCLEARED;
	SHA256_CTX state;
	put_hash(&c, event, body);
	SHA256_Init(&state);
	SHA256_Update(&state, c.bytes, c.len);
	SHA256_Final(out, &state);
}

void chain_body_bytes(const struct event *event, struct buf *out)
{
	struct canon c UNCLEARED;
	put_body_head(&c, event);
	buf_add(out, c.bytes, c.len);
	buf_add_slice(out, event->payload);
	pae_add(out, event->metadata);
}

void chain_hash_bytes(
	const struct event *event, const uint8_t body[EVENT_HASH_SIZE], struct buf *out)
{
	struct canon c UNCLEARED;
	put_hash(&c, event, body);
	buf_add(out, c.bytes, c.len);
}

/* RFC 2104: the two halves begin with the key and a pad, always the same block. */
static void init_half(uint64_t *half, const uint8_t secret[CHAIN_KEY_SIZE], uint8_t pad)
{
	uint8_t block[64];
	SHA256_CTX state;
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)((i < CHAIN_KEY_SIZE ? secret[i] : 0) ^ pad);
	SHA256_Init(&state);
	SHA256_Update(&state, block, sizeof(block));
	memcpy(half, &state, sizeof(state));
	chain_wipe(block, sizeof(block));
	chain_wipe(&state, sizeof(state));
}

static void begin_mac(const struct chain_key *key, SHA256_CTX *state, const char *label)
{
	memcpy(state, key->inner, sizeof(*state));
	SHA256_Update(state, label, strlen(label) + 1); /* with its NUL: the 0x00 behind a label */
}

static void end_mac(const struct chain_key *key, SHA256_CTX *state, uint8_t out[EVENT_HASH_SIZE])
{
	uint8_t inner[EVENT_HASH_SIZE];
	SHA256_Final(inner, state);
	memcpy(state, key->outer, sizeof(*state));
	SHA256_Update(state, inner, sizeof(inner));
	SHA256_Final(out, state);
}

void chain_sign(const struct chain_key *key, const char *label, struct slice bytes,
	uint8_t out[EVENT_HASH_SIZE])
{
	SHA256_CTX state;
	begin_mac(key, &state, label);
	SHA256_Update(&state, bytes.ptr, bytes.len);
	end_mac(key, &state, out);
}

void chain_mac(const struct chain_key *key, const uint8_t hash[EVENT_HASH_SIZE],
	uint8_t out[EVENT_HASH_SIZE])
{
	chain_sign(key, "ledgerbox/mac/v1", (struct slice){ (const char *)hash, EVENT_HASH_SIZE },
		out);
}

void chain_key_init(struct chain_key *key, const uint8_t secret[CHAIN_KEY_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	SHA256_CTX state;
	uint8_t id[EVENT_HASH_SIZE];
	init_half(key->inner, secret, 0x36);
	init_half(key->outer, secret, 0x5C);
	memcpy(&state, key->inner, sizeof(state));
	SHA256_Update(&state, "ledgerbox/keyid/v1", 18);
	end_mac(key, &state, id);
	memcpy(key->id, "hs256-", 6);
	for (size_t i = 0; i < 8; i++) {
		key->id[6 + 2 * i] = digits[id[i] >> 4];
		key->id[7 + 2 * i] = digits[id[i] & 15];
	}
	key->id[EVENT_KEY_ID_SIZE] = '\0';
}

void chain_key_done(struct chain_key *key)
{
	chain_wipe(key, sizeof(*key));
}

void chain_genesis(
	struct slice origin, uint64_t epoch, struct slice domain, uint8_t out[EVENT_HASH_SIZE])
{
	struct canon c UNCLEARED;
	c.len = 0;
	put_u64(&c, 4);
	put_slice(&c, SLICE("ledgerbox/genesis/v1"));
	put_slice(&c, origin);
	put_number(&c, epoch);
	put_slice(&c, domain);
	chain_sha256((struct slice){ (const char *)c.bytes, c.len }, out);
}

void chain_link(uint8_t link[EVENT_HASH_SIZE], const uint8_t hash[EVENT_HASH_SIZE])
{
	SHA256_CTX state;
	SHA256_Init(&state);
	SHA256_Update(&state, link, EVENT_HASH_SIZE);
	SHA256_Update(&state, hash, EVENT_HASH_SIZE);
	SHA256_Final(link, &state);
}

void chain_sha256(struct slice bytes, uint8_t out[EVENT_HASH_SIZE])
{
	SHA256_CTX state;
	SHA256_Init(&state);
	SHA256_Update(&state, bytes.ptr, bytes.len);
	SHA256_Final(out, &state);
}

static void hash_u64(SHA256_CTX *state, uint64_t value)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	SHA256_Update(state, bytes, sizeof(bytes));
}

static void hash_pieces(SHA256_CTX *state, const struct pae_piece *pieces, size_t n)
{
	hash_u64(state, n);
	for (size_t i = 0; i < n; i++) {
		const struct pae_piece *piece = &pieces[i];
		hash_u64(state, piece->is_number ? 8 : piece->bytes.len);
		if (piece->is_number)
			hash_u64(state, piece->number);
		else
			SHA256_Update(state, piece->bytes.ptr, piece->bytes.len);
	}
}

void pae_sha256(const struct pae_piece *pieces, size_t n, uint8_t out[EVENT_HASH_SIZE])
{
	SHA256_CTX state;
	SHA256_Init(&state);
	hash_pieces(&state, pieces, n);
	SHA256_Final(out, &state);
}

void pae_sign(const struct chain_key *key, const char *label, const struct pae_piece *pieces,
	size_t n, uint8_t out[EVENT_HASH_SIZE])
{
	SHA256_CTX state;
	begin_mac(key, &state, label);
	hash_pieces(&state, pieces, n);
	end_mac(key, &state, out);
}

void pae_begin(struct buf *out, uint64_t pieces)
{
	buf_add_be64(out, pieces);
}

void pae_add(struct buf *out, struct slice piece)
{
	buf_add_be64(out, piece.len);
	buf_add_slice(out, piece);
}

void pae_add_u64(struct buf *out, uint64_t value)
{
	buf_add_be64(out, 8);
	buf_add_be64(out, value);
}

bool chain_same(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void chain_wipe(void *bytes, size_t n)
{
	OPENSSL_cleanse(bytes, n);
}

bool chain_random(void *out, size_t n)
{
	char *at = out;
	while (n) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}
