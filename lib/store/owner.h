/*
 * Who owns a stream: derived from the events of domain `_ownership`, by one rule.
 *
 * An event of that domain is about one stream and names, by hash, the ownership event it follows:
 *
 *	claimed      follows nothing       by any node
 *	offered      claimed | cancelled | transferred        by the owner: to another node
 *	accepted     offered               by the node it was offered to
 *	transferred  accepted              by the owner: the other one owns it from here on
 *	cancelled    offered | accepted    by the owner: it keeps it
 *
 * So they make trees. The rule walks one path, the line:
 *
 *	1. It begins with the first claim in the shared order (clock, origin, epoch, sequence, hash).
 *	   Its origin is the owner.
 *	2. The next one is, of all events by the owner that may follow the last one (or, where that is an
 *	   offer, an accept of it), the first in the shared order. And so on.
 *
 * What is not on the line has no effect: the claim that lost, and all that was built on it; an event by
 * another node than the owner; one that follows another event; one whose clock is not behind that of what
 * it follows. It stays, as a fact, and may come to be on the line or leave it when another event arrives:
 * the line is a function of the set of events, so whoever has the same events has the same owners,
 * whatever the order of arrival, and in which epoch of a node, or on which branch of a forked chain, they
 * stand. A node's name owns, not its epoch. What the clocks of two nodes say is compared only between claims.
 *
 * Only the owner moves the line, and from its offer on it does not write. Whoever is named as the next one
 * writes when `transferred` has come, which the old owner recorded as its last word. So through a transfer
 * there are never two who write; and an accept that crosses a cancellation has no effect.
 *
 * Along one walk clocks only grow, so a table that somebody changed cannot lead round for ever.
 */
#ifndef STORE_OWNER_H
#define STORE_OWNER_H

#include "handle.h"

#define OWNER_DOMAIN SLICE("_ownership")

/* As table ownership has them: never renumbered. */
enum owner_kind {
	OWNER_CLAIMED = 1,
	OWNER_OFFERED,
	OWNER_ACCEPTED,
	OWNER_TRANSFERRED,
	OWNER_CANCELLED
};
const char *owner_kind_name(enum owner_kind kind);

/* The name of a stream: its domain and type/key. */
struct owner_name {
	struct slice domain, stream;
};

/* An ownership event. Texts are NUL-terminated tokens. */
struct owner_event {
	enum owner_kind kind;
	uint64_t clock, epoch, sequence;
	char origin[65];
	char next[65];			  /* OFFERED, TRANSFERRED: to whom */
	uint64_t expires;		  /* OFFERED: µs */
	uint8_t follows[EVENT_HASH_SIZE]; /* zeros for CLAIMED */
	uint8_t hash[EVENT_HASH_SIZE];
};

/* As table owner has them. */
enum owner_state { OWNER_NONE, OWNER_IS_HELD, OWNER_IS_OFFERED, OWNER_IS_ACCEPTED };

/* A row of table owner. */
struct owner_row {
	enum owner_state state;
	char node[65];
	char next[65]; /* "": nobody */
	uint64_t expires;
	uint64_t clock;		       /* of the event at `hash` */
	uint8_t line[EVENT_HASH_SIZE]; /* the last event of the line */
	uint8_t hash
		[EVENT_HASH_SIZE]; /* the same, or the accept behind it: what comes next follows it */
	bool moved;		   /* the line has a transfer */
	bool contested;		   /* more than one node has claimed it */
};

/* owner.c: inside a transaction. LEDGER_NO: nobody owns it. */
enum ledger_status owner_read(struct ledger *l, const struct owner_name *name,
	struct owner_row *out, struct ledger_error *err);
/* The rule, from the beginning, without looking at table owner. LEDGER_NO: there is no claim. */
enum ledger_status owner_derive(struct ledger *l, const struct owner_name *name,
	struct owner_row *out, struct ledger_error *err);
/* One of its events by hash; LEDGER_NO without it. */
enum ledger_status owner_find_event(struct ledger *l, const struct owner_name *name,
	const uint8_t hash[EVENT_HASH_SIZE], struct owner_event *out, struct ledger_error *err);
/* An event has come, into its chain or a branch beside it: nothing happens where it is none of ours. */
enum ledger_status owner_take(
	struct ledger *l, const struct event *event, struct ledger_error *err);

/*
 * ownership.c: what an event of the domain says. False: it is none that counts. `name` and `heads` (JSON
 * text of TRANSFERRED; absent: none) borrow from `text` and the event.
 */
bool ownership_parse(const struct event *event, struct buf *text, struct owner_name *name,
	struct owner_event *out, struct slice *heads);
/* The next of heads that were parsed, of a walk over them; false at the end. */
bool ownership_next_head(struct json_walk *heads, struct ledger_head *out);
/* Records one of this node, inside a batch: kind, follows, next and expires are those of `about`. */
enum ledger_status ownership_record(struct ledger *l, const struct owner_name *name,
	const struct owner_event *about, const char *reason, struct ledger_error *err);

/* owner_check.c: may this node append to the stream now? Inside a batch. *claim: nobody owns it, and
 * `create` says to claim it. */
enum ledger_status owner_check_append(struct ledger *l, struct slice domain, struct slice stream,
	bool create, bool *claim, struct ledger_error *err);
/* The same of a stream of which `row` is known, whatever its type: LEDGER_OK, LEDGER_NOT_OWNER, LEDGER_BUSY. */
enum ledger_status owner_may_write(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_error *err);
enum ledger_status owner_cache_begin(struct ledger *l, struct ledger_error *err);
void owner_cache_forget(struct ledger *l);
void owner_cache_done(struct ledger *l);

/* append.c: ledger_add, but what the event before it borrows from the batch's arena stays. */
enum ledger_status append_beside(
	struct ledger *l, const struct ledger_new *event, struct ledger_error *err);

#endif
