/*
 * The file of a projection: what replay keeps in it beside the operator's tables. One row in
 *
 *	ledgerbox_projection  name, definition, position and hash of the cursor, order …
 */
#ifndef FOLD_PROJECTION_H
#define FOLD_PROJECTION_H

#include "../replay.h"
#include "sqlite.h"

/* Where an event stands in shared order. */
struct shared_key {
	uint64_t clock;
	char origin[65];
	uint64_t epoch;
	char domain[65];
	uint64_t sequence;
};

int shared_key_cmp(const struct shared_key *a, const struct shared_key *b);
void shared_key_of(const struct event *event, struct shared_key *out);

struct projection_place {
	uint8_t definition[EVENT_HASH_SIZE]; /* what it is built by */
	uint64_t position;
	uint8_t hash[EVENT_HASH_SIZE];
	enum ledger_order order;
	struct shared_key key; /* the last event in shared order that it has used; clock 0: none */
	uint64_t stopped;      /* 0: it did not */
	bool stale;
	char reason[512];
	uint64_t updated;
};

/* SHA-256 over everything that the content depends on beside the events. */
enum ledger_status projection_definition(
	const struct ledger_projection *p, uint8_t out[EVENT_HASH_SIZE], struct ledger_error *err);

/* LEDGER_NO: it has none, since it is empty; LEDGER_REFUSED: it is of another projection, or no projection's. */
enum ledger_status projection_read_place(struct sqlite *db, const struct ledger_projection *p,
	struct projection_place *place, struct ledger_error *err);

/* Makes the tables of an empty database, theirs and ours, with that place; inside a transaction. */
enum ledger_status projection_create(struct sqlite *db, const struct ledger_projection *p,
	const struct projection_place *place, struct ledger_error *err);

/* Inside a transaction. LEDGER_REFUSED where it did not stand at `before` any more. */
enum ledger_status projection_write_place(struct sqlite *db, const struct ledger_projection *p,
	uint64_t before, struct projection_place *place, struct ledger_error *err);

#endif
