/*
 * ledgerbox, the library, fourth part: who may write to a stream.
 *
 * Ownership is itself events, in the reserved domain `_ownership`, which every node takes; owners are
 * derived from them by one rule (ledgerbox-format(5)), the same on every node that has the same
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
	struct slice type, key;
	struct slice stream; /* type/key */
	struct slice domain;
	struct slice node; /* who owns it; absent where nobody does */
	enum ledger_owner_state state;
	struct slice next;	       /* OFFERED, ACCEPTED: to whom */
	uint64_t expires;	       /* OFFERED, ACCEPTED: µs, by the clock of `node` alone */
	uint64_t since;		       /* clock of the event that made it so, µs */
	uint8_t hash[EVENT_HASH_SIZE]; /* of that event: what the next one names */
	uint8_t line[EVENT_HASH_SIZE]; /* of the last event by an owner: not of an accept */
	bool here;		       /* `node` is this ledger's */
	bool contested;		       /* other nodes claimed it too, see ledger_conflicts */
};

/*
 * The owner of a stream "type/key" of that domain; an absent domain is the one in which it has an owner.
 * LEDGER_NO: nobody owns it. LEDGER_INVALID: it is no stream, or streams of that name are owned in two
 * domains.
 */
enum ledger_status ledger_owner_in(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *out, struct ledger_error *err);
enum ledger_status ledger_owner_of(struct ledger *l, struct slice type, struct slice key,
	struct ledger_owner *out, struct ledger_error *err);

/*
 * May this node append to it now, as far as ownership goes? LEDGER_OK; LEDGER_NOT_OWNER: another node owns
 * it; LEDGER_BUSY: it is offered, or events of its owner before have not come yet. What to do is in the hint.
 * append asks the same inside its transaction, for types that ledger_options.owned lists.
 */
enum ledger_status ledger_owner_may_write(
	struct ledger *l, const struct ledger_owner *owner, struct ledger_error *err);

/* --- Deeds ----------------------------------------------------------------------------------- */

/*
 * Between ledger_begin and ledger_commit, any number of them. *now is what the stream is in then. Doing once
 * more what is done already records nothing and is LEDGER_OK. An absent domain is the one in which the
 * stream has an owner, else (claim) the one in which it has events.
 *
 * LEDGER_NO (nobody owns it, nothing is offered), LEDGER_NOT_OWNER, LEDGER_INVALID and LEDGER_BUSY say that
 * it may not be: the batch goes on without it. Any other failure rolls the batch back.
 */
enum ledger_status ledger_own_claim(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err);
/* By the owner: from here on it does not write. `ttl` µs later, by its clock, it takes the offer back. */
enum ledger_status ledger_own_offer(struct ledger *l, struct slice domain, struct slice stream,
	struct slice to, uint64_t ttl, struct ledger_owner *now, struct ledger_error *err);
/* By the node that it is offered to. It owns the stream when the owner has recorded `transferred`. */
enum ledger_status ledger_own_accept(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err);
/* By the owner: it keeps the stream, and writes again. */
enum ledger_status ledger_own_cancel(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err);

/*
 * What the owner owes: records `transferred` for what was accepted, and takes back what has expired, at most
 * 100 of them, in one transaction of its own. *done: how many; 0 took no lock. For the daemon, and for every
 * command that writes at the owner.
 */
enum ledger_status ledger_own_step(struct ledger *l, uint64_t *done, struct ledger_error *err);

/* When the first offer of this node expires, µs of the wall clock; 0: none is open. */
enum ledger_status ledger_own_next(struct ledger *l, uint64_t *when, struct ledger_error *err);

/* --- Lists ----------------------------------------------------------------------------------- */

/* Streams that have an owner, in order: of one node (absent: all), a stream or all of a type ("type/"; ""
 * or absent: all). Anything but LEDGER_OK from fn ends it. The words are valid for that call. */
typedef enum ledger_status ledger_owner_fn(
	const struct ledger_owner *owner, void *context, struct ledger_error *err);
enum ledger_status ledger_owners(struct ledger *l, struct slice node, struct slice stream,
	ledger_owner_fn *fn, void *context, struct ledger_error *err);

/* A node's first claim of a stream, its place in the order. */
struct ledger_claim {
	struct slice node;
	uint64_t epoch, sequence; /* in domain `_ownership` */
	uint64_t clock;		  /* µs */
};

/* Streams that more than one node has claimed, with all who did, the earliest first (of these, it won). */
#define LEDGER_CLAIMS_MAX 64
typedef enum ledger_status ledger_conflict_fn(const struct ledger_owner *owner,
	const struct ledger_claim *claims, size_t n, void *context, struct ledger_error *err);
enum ledger_status ledger_conflicts(
	struct ledger *l, ledger_conflict_fn *fn, void *context, struct ledger_error *err);

/* At most `max` (up to 64) of the streams that are offered or accepted. */
enum ledger_status ledger_moving(
	struct ledger *l, size_t max, ledger_owner_fn *fn, void *context, struct ledger_error *err);

/* How many streams are contested, and how many are on their way from one node to another. */
struct ledger_owner_counts {
	uint64_t contested, moving;
};
enum ledger_status ledger_count_owners(
	struct ledger *l, struct ledger_owner_counts *out, struct ledger_error *err);

#endif
