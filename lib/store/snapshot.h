/*
 * Rows of table snapshot. A row is a state that was once computed; digest and MAC say that it is as
 * this program wrote it, in this ledger, in this epoch:
 *
 *	digest = SHA-256( PAE("ledgerbox/snapshot/v1", node, epoch, stream, domain, position, last, events,
 *	                      version, max_time, hash, reducer, schema, taken, state) )
 *	mac    = HMAC-SHA-256( key, "ledgerbox/snapshot-mac/v1" 0x00 digest )
 *
 * Whether it still fits the events and the rules is for fold/ to see.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "handle.h"

/* Of the row: what the columns mean, and what is hashed. */
#define SNAPSHOT_SCHEMA 1

struct snapshot {
	uint64_t id; /* row id */
	struct slice stream;
	struct slice domain;
	uint64_t position; /* of the newest event in it */
	uint64_t last;	   /* of the one that is last in the order of all nodes */
	uint64_t events;
	uint64_t version;
	uint64_t max_time;
	uint8_t hash[EVENT_HASH_SIZE]; /* of the event at `last` */
	uint8_t reducer[EVENT_HASH_SIZE];
	uint64_t schema;
	uint64_t epoch; /* of the ledger when it was taken */
	uint64_t taken; /* µs */
	uint8_t digest[EVENT_HASH_SIZE];
	struct slice key; /* key id */
	uint8_t mac[EVENT_HASH_SIZE];
	struct slice state;
	bool malformed; /* a column has a wrong type or size; it is then 0 or "" here */
};

typedef enum ledger_status snapshot_fn(
	const struct snapshot *s, void *context, struct ledger_error *err);

/* Those of a stream, newest first. Anything but LEDGER_OK from `fn` ends it. Slices are valid for that
 * call. */
enum ledger_status snapshot_each(struct ledger *l, struct slice stream, struct slice domain,
	snapshot_fn *fn, void *context, struct ledger_error *err);

/* Those of a stream type ("type/"; "": of all), by stream, domain and newest first. */
enum ledger_status snapshot_each_of(struct ledger *l, struct slice prefix, snapshot_fn *fn,
	void *context, struct ledger_error *err);

/* LEDGER_DAMAGED: digest or MAC is not that of its content; LEDGER_UNVERIFIED: its schema or key is not
 * known here; LEDGER_REFUSED: taken before the last recover. */
enum ledger_status snapshot_check(
	struct ledger *l, const struct snapshot *s, struct ledger_error *err);

/* Signs and writes one, in a transaction of its own; id, schema, epoch, taken, digest, key and mac are
 * filled in. */
enum ledger_status snapshot_write(
	struct ledger *l, const struct snapshot *s, struct ledger_error *err);

/* Inside a write transaction. */
enum ledger_status snapshot_delete(struct ledger *l, uint64_t id, struct ledger_error *err);

#endif
