/*
 * ledgerbox, the library, fourth part: who may write to a stream.
 *
 * Ownership is itself events, in the reserved domain `_ownership`, which every node takes; owners are
 * derived from them by one rule (ledgerbox-ownership(7)), the same on every node that has the same
 * events, in whatever order they came. It decides who may append from now on: it never refuses,
 * removes or reorders an event that was recorded.
 *
 * The rules of ledger.h hold here too: a status and *err, outputs only on success, one thread.
 */
#ifndef LEDGER_OWN_H
#define LEDGER_OWN_H

#include "ledger.h"

enum ledger_owner_state {
	LEDGER_OWNER_NONE,     /* nobody has claimed it */
	LEDGER_OWNER_HELD,     /* `node` may write */
	LEDGER_OWNER_OFFERED,  /* to `next`: nobody may write until `node` has decided */
	LEDGER_OWNER_ACCEPTED, /* and `next` has said yes: the same */
};

/* "none", "held", "offered", "accepted". */
const char *ledger_owner_state_name(enum ledger_owner_state state);

/* Words are valid until the next call with the same ledger. */
struct ledger_owner {
	struct slice type, key; /* the stream */
	struct slice domain;
	struct slice node; /* who owns it; absent where nobody does */
	enum ledger_owner_state state;
	struct slice next;	       /* OFFERED, ACCEPTED: to whom */
	uint64_t expires;	       /* OFFERED, ACCEPTED: µs, by the clock of `node` alone */
	uint64_t since;		       /* clock of the event that made it so, µs */
	uint8_t hash[EVENT_HASH_SIZE]; /* of that event: what the next one names */
	bool here;		       /* `node` is this ledger's */
	bool contested;		       /* other nodes claimed it too, see ledger_conflicts */
};

/*
 * The owner of a stream of that domain; an absent domain is the one where it has an owner, else the one
 * it has events in. LEDGER_NO: nobody owns it. LEDGER_INVALID: it is no stream, or streams of that name
 * are owned in two domains.
 */
enum ledger_status ledger_owner_of(struct ledger *l, struct slice type, struct slice key,
	struct ledger_owner *out, struct ledger_error *err);
enum ledger_status ledger_owner_in(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *out, struct ledger_error *err);

#endif
