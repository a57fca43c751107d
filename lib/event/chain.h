/*
 * The canonical bytes of an event, its hashes and MACs (design section 2): the door to openssl.
 *
 *	body = SHA-256( PAE(label, salt, payload, metadata) )
 *	hash = SHA-256( PAE(label, key, origin, epoch, …, PAE(tags), body) )
 *	mac  = HMAC-SHA-256( key, label 0x00 hash )
 *
 * PAE = number of pieces, then length and bytes of each; counts, lengths and integers are 8 bytes
 * big-endian.
 */
#ifndef EVENT_CHAIN_H
#define EVENT_CHAIN_H

#include "event.h"

#define CHAIN_KEY_SIZE 32

/* A key and what is derived from it once. Wipe with chain_key_done. */
struct chain_key {
	char id[EVENT_KEY_ID_SIZE + 1];
	uint64_t inner
		[16]; /* SHA-256 state behind the inner and the outer pad: struct chain_state in chain.c */
	uint64_t outer[16];
};

void chain_key_init(struct chain_key *key, const uint8_t secret[CHAIN_KEY_SIZE]);
void chain_key_done(struct chain_key *key);

void chain_body(const struct event *event, uint8_t out[EVENT_HASH_SIZE]);

/* From all fields but position, hash and mac, and a body. */
void chain_hash(const struct event *event, const uint8_t body[EVENT_HASH_SIZE],
	uint8_t out[EVENT_HASH_SIZE]);
void chain_mac(const struct chain_key *key, const uint8_t hash[EVENT_HASH_SIZE],
	uint8_t out[EVENT_HASH_SIZE]);

/* `prev` of sequence 1. */
void chain_genesis(
	struct slice origin, uint64_t epoch, struct slice domain, uint8_t out[EVENT_HASH_SIZE]);

/* link = SHA-256(link || hash), in place. */
void chain_link(uint8_t link[EVENT_HASH_SIZE], const uint8_t hash[EVENT_HASH_SIZE]);

/* HMAC over label, 0x00 and bytes: every use of a key has a label of its own. */
void chain_sign(const struct chain_key *key, const char *label, struct slice bytes,
	uint8_t out[EVENT_HASH_SIZE]);

void chain_sha256(struct slice bytes, uint8_t out[EVENT_HASH_SIZE]);

/* A piece of a PAE (format.5): bytes, or a number. */
struct pae_piece {
	struct slice bytes;
	uint64_t number;
	bool is_number;
};
#define PAE_BYTES(s)	   ((struct pae_piece){ (s), 0, false })
#define PAE_NUMBER(n)	   ((struct pae_piece){ { NULL, 0 }, (n), true })
#define PAE_DIGEST(d)	   PAE_BYTES(((struct slice){ (const char *)(d), EVENT_HASH_SIZE }))
#define PAE_PIECES(pieces) (pieces), sizeof(pieces) / sizeof((pieces)[0])

/* SHA-256 of the PAE of n pieces, and the same as chain_sign. They take no memory: they cannot fail. */
void pae_sha256(const struct pae_piece *pieces, size_t n, uint8_t out[EVENT_HASH_SIZE]);
void pae_sign(const struct chain_key *key, const char *label, const struct pae_piece *pieces,
	size_t n, uint8_t out[EVENT_HASH_SIZE]);

/* Pieces of a PAE as bytes, added one by one after their number. */
void pae_begin(struct buf *out, uint64_t pieces);
void pae_add(struct buf *out, struct slice piece);
void pae_add_u64(struct buf *out, uint64_t value);

/* The bytes that chain_body and chain_hash hash, for a proof. */
void chain_body_bytes(const struct event *event, struct buf *out);
void chain_hash_bytes(
	const struct event *event, const uint8_t body[EVENT_HASH_SIZE], struct buf *out);

/* Equal, in a time that does not depend on where they differ. */
bool chain_same(const uint8_t *a, const uint8_t *b, size_t n);

/* Overwrites secrets so that the compiler cannot leave it out. */
void chain_wipe(void *bytes, size_t n);

/* Random bytes of the kernel's generator (getrandom(2)); false where it fails. */
bool chain_random(void *out, size_t n);

#endif
