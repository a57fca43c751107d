/* recover: what other nodes have of this one, and taking it back. */
#ifndef CMD_RECOVER_PEERS_H
#define CMD_RECOVER_PEERS_H

#include "../lib/sync.h"

/* A chain of this node of which a peer has what is not here. */
struct missing {
	uint64_t epoch;
	struct slice domain;
	uint64_t from,
		to; /* sequences: from the first that is not here (or differs) to the peer's last */
	bool differs; /* the peer has another event at a place that is taken here */
	const char *peer;
	struct ledger_head head; /* the peer's */
};

struct missing_list {
	struct arena arena;
	struct missing *items; /* by epoch, then domain; each chain once for each other end */
	size_t n, room;
	uint64_t events;	/* from..to of all chains, each counted once */
	const char *peers[65];	/* that answered; NULL behind the last */
	const char *silent[65]; /* known, and did not */
	bool present_epoch; /* some are of the epoch in which this ledger writes: it was rolled back */
	bool namesake;	    /* a daemon under this node's name spoke */
};

#define CLEANUP_MISSING __attribute__((cleanup(missing_done)))
void missing_done(struct missing_list *list);

/* Asks peers (`n` of them, 0: whoever answers) for at most `within` µs what they have of this node.
 * LEDGER_UNREACHABLE with --offline as the way out. Changes nothing. */
enum ledger_status missing_ask(struct missing_list *list, struct ledger *l,
	const struct sync_options *sync, size_t n, uint64_t within, struct ledger_error *err);

/* Lets the engine work until all of it is here, `within` µs at most; 0: as long as something comes within
 * half a minute. *left: events that are not.
 * LEDGER_NOT_PROVEN where some are not: the ledger is sound, they come later. */
enum ledger_status missing_take(struct missing_list *list, struct ledger *l, struct sync *sync,
	uint64_t within, uint64_t *left, struct ledger_error *err);

#endif
