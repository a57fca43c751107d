/*
 * The ledger among other ledgers: what arrives from elsewhere is taken, refused and kept, and what is
 * known of the others. Nothing here knows of a network; lib/sync does the talking.
 *
 * The rules of ledger.h hold here too. Every function that writes is one transaction, and refuses
 * (LEDGER_REFUSED) a copied or restored file as append does. Callbacks must not write.
 */
#ifndef LEDGER_PEERS_H
#define LEDGER_PEERS_H

#include "ledger.h"

/* The gapless, hash-linked sequence of one (origin, epoch, domain). */
struct ledger_chain_name {
	struct slice origin;
	uint64_t epoch;
	struct slice domain;
};

/* --- Accept ---------------------------------------------------------------------------------- */

enum ledger_outcome {
	/* It is in the ledger now. */
	LEDGER_INSERTED,
	/* It was before: same place, same hash, in the chain or in a branch that is kept. */
	LEDGER_KNOWN,
	/* Verified, but events before it are missing: hold it (bounded), get them, offer it again. */
	LEDGER_AHEAD,
	/* Verified, and would be the next one, but continues another event than the one that is here:
	 * the chain branched earlier. Nothing was kept; ask who sent it for what is before it. */
	LEDGER_DIVERGED,
	/* Verified, and its chain is forked: kept as part of a branch, not inserted. */
	LEDGER_FORKED,
	/* Refused, see reason; kept in quarantine, or counted there. Get the right one elsewhere. */
	LEDGER_BAD,
	/* Its key or format is not known here: one row in quarantine says so for its chain. Dropped;
	 * when the key is known, repair brings the chain, and the row is marked answered. */
	LEDGER_WAITING,
	/* Verified, of this node's present epoch, and not what this ledger has at that place: this
	 * file is an older state, or somebody else runs under this name. Nothing was kept: call
	 * ledger_next_epoch and offer it again, it is then an event of an older epoch. */
	LEDGER_LOST
};

enum ledger_reason {
	LEDGER_REASON_NONE,
	LEDGER_REASON_FORM,    /* no event line of format v1, or beyond its limits */
	LEDGER_REASON_SUBJECT, /* another origin or domain than the subject named */
	LEDGER_REASON_HASH,    /* the hash is not that of the content */
	LEDGER_REASON_MAC,     /* the MAC is not that of the hash */
	LEDGER_REASON_LINK,    /* does not continue what stands before it */
	LEDGER_REASON_CLOCK,   /* the clock does not grow along the chain, or is beyond all use */
	LEDGER_REASON_KEY,     /* waiting: the key is not among the keys here */
	LEDGER_REASON_FORMAT /* waiting: format version or algorithm not known, or an erased event */
};

/* Stable words: "inserted", "known", "ahead" …; "none", "form", "subject", "hash" … */
const char *ledger_outcome_name(enum ledger_outcome outcome);
const char *ledger_reason_name(enum ledger_reason reason);

/* Where a message came from; shared by its events. */
struct ledger_source {
	struct slice
		name; /* "cluster shop", "peer store-b": quarantine counts by it; 1-128 bytes */
	struct slice origin, domain; /* what its subject named; absent: not checked */
};

struct ledger_received {
	struct slice line;	   /* as received, without its newline */
	const struct event *event; /* what event_read_line made of it; NULL: read here */
	bool verified; /* this ledger said AHEAD, DIVERGED or LOST of just this event: hash and MAC are
			* not computed again */
	const struct ledger_source *source;
};

struct ledger_accepted {
	enum ledger_outcome outcome;
	enum ledger_reason reason; /* of BAD and WAITING */
	uint64_t position;	   /* of INSERTED */
	uint64_t quarantined; /* row of BAD and WAITING; 0: only counted, the source has too many */
	bool clock_ahead; /* INSERTED, and its clock is more than 60 s ahead of this machine's */
	bool ask_before; /* FORKED or DIVERGED: the event that it continues is not here. Ask for those
			  * before it, from the same sender, back to the first that is KNOWN */
	uint64_t head;	 /* last sequence of its chain here, after it (0: none); not of lines that
			  * could not be read */
};

/* How far a consumer has come in a stream of JetStream; see ledger_received_at. */
struct ledger_stream_place {
	struct slice cluster; /* a token */
	struct slice domain;  /* a token */
	uint64_t created;     /* when the stream was made, µs: another stream has another */
	uint64_t sequence;    /* of the last message that was taken, all of its events with it */
};

/*
 * Takes events from elsewhere, in the order given, of any number of chains and messages, in one
 * transaction together with the consumers' places: so hand over whole messages. A verified event is
 * a fact: form, limits, subject, key, hash, MAC, place, link and clock are checked and nothing else.
 * Hashes and MACs are computed before the lock is taken.
 *
 * Two events that follow each other in `events`, of one chain and with sequences n and n + 1, must be
 * linked, or the second is BAD (LINK): a sender's own chain is whole.
 *
 * results has room for n; it is filled only on LEDGER_OK, whatever became of the single events.
 * LEDGER_BUSY, LEDGER_REFUSED, LEDGER_IO …: nothing was taken, nothing may be acknowledged.
 */
enum ledger_status ledger_accept(struct ledger *l, const struct ledger_received *events, size_t n,
	const struct ledger_stream_place *places, size_t n_places, struct ledger_accepted *results,
	struct ledger_error *err);

/*
 * Begins the next epoch because of what a peer holds (LEDGER_LOST): as ledger_recover does, but
 * without verifying the whole ledger first, and wherever the file is at home.
 */
enum ledger_status ledger_next_epoch(struct ledger *l, struct slice reason,
	struct ledger_recovery *out, struct ledger_error *err);

/* --- What this ledger can hand out ------------------------------------------------------------- */

/* Where an event is that somebody names. */
enum ledger_presence {
	LEDGER_ABSENT,	  /* not here: the chain here is shorter */
	LEDGER_PRESENT,	  /* in its chain */
	LEDGER_IN_BRANCH, /* kept beside its chain, which is forked */
	LEDGER_OTHER	  /* its place has another event, and it is in no branch either */
};
enum ledger_status ledger_has(struct ledger *l, const struct ledger_head *head,
	enum ledger_presence *presence, struct ledger_error *err);

/*
 * Events of one chain from sequence `from` on, in order, until their lines may be `max_bytes` long or
 * more (counted generously; the first comes whatever its size) or the chain ends. For publishing and
 * for range requests. A chain that is not here has no events.
 */
enum ledger_status ledger_read_chain(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t from, uint64_t max_bytes, ledger_event_fn *fn, void *context,
	struct ledger_error *err);

/* The same of its branches, by sequence, then hash: what a peer needs to show the same fork. */
enum ledger_status ledger_read_branches(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t from, uint64_t max_bytes, ledger_event_fn *fn, void *context,
	struct ledger_error *err);

/* The last event of a chain; sequence 0 where nothing of it is here. */
enum ledger_status ledger_chain_end(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t *sequence, struct ledger_error *err);

/* ledger_chains, of these domains only (none: all). One seek for each chain. */
enum ledger_status ledger_heads(struct ledger *l, const struct slice *domains, size_t n,
	ledger_chain_fn *fn, void *context, struct ledger_error *err);

/* --- How far others are ------------------------------------------------------------------------ */

/* What was acknowledged by a cluster, per chain: advisory, it proves nothing and may be set back. */
struct ledger_published {
	struct slice cluster; /* a token */
	struct ledger_chain_name chain;
	uint64_t sequence;
	uint64_t updated; /* µs; when listed */
};
typedef enum ledger_status ledger_published_fn(
	const struct ledger_published *published, void *context, struct ledger_error *err);
enum ledger_status ledger_published(
	struct ledger *l, ledger_published_fn *fn, void *context, struct ledger_error *err);
/* 0 where nothing was published. */
enum ledger_status ledger_published_get(struct ledger *l, struct slice cluster,
	const struct ledger_chain_name *chain, uint64_t *sequence, struct ledger_error *err);
/* LEDGER_INVALID for a chain that is not here. */
enum ledger_status ledger_published_set(struct ledger *l, const struct ledger_published *published,
	size_t n, struct ledger_error *err);

/* How far a stream was received; LEDGER_NO where nothing was. Set by ledger_accept (n may be 0). */
enum ledger_status ledger_received_at(struct ledger *l, struct slice cluster, struct slice domain,
	uint64_t *created, uint64_t *sequence, struct ledger_error *err);

/* Heads that a peer has said it holds, in a message whose MAC the caller has checked. */
struct ledger_statement {
	struct slice node; /* a token */
	uint64_t epoch;	   /* of the sender */
	uint64_t boot;	   /* one run of its daemon, below 2^53 */
	uint64_t counter;  /* grows within that run */
	uint64_t time;	   /* µs, when it was received */
	const struct ledger_head *heads;
	size_t n; /* heads not named stay as they were */
};
/* LEDGER_NO: not newer than what is known of this run of the node's daemon; not kept. Runs have no order:
 * after a restart the clock may be behind, after a restore the epoch. The last 32 of a node are known. */
enum ledger_status ledger_keep_statement(
	struct ledger *l, const struct ledger_statement *statement, struct ledger_error *err);

struct ledger_peer_head {
	struct slice node;
	struct ledger_head head;
	uint64_t epoch, counter, time; /* of the statement that named it */
	enum ledger_presence
		presence; /* PRESENT: proven, this peer stores what is here up to there.
					* ABSENT: the peer is ahead of this ledger */
};
/* By node, origin, epoch, domain. */
typedef enum ledger_status ledger_peer_head_fn(
	const struct ledger_peer_head *head, void *context, struct ledger_error *err);
enum ledger_status ledger_peer_heads(
	struct ledger *l, ledger_peer_head_fn *fn, void *context, struct ledger_error *err);

/* A node that has said something, and when it last did (µs). By name. */
struct ledger_peer {
	struct slice node;
	uint64_t epoch, time;
};
typedef enum ledger_status ledger_peer_fn(
	const struct ledger_peer *peer, void *context, struct ledger_error *err);
enum ledger_status ledger_peers(
	struct ledger *l, ledger_peer_fn *fn, void *context, struct ledger_error *err);

/* A chain of which peers have named more than is here: events `have` + 1 to `named` are missing. Also of
 * domains that this node does not take. By chain. */
struct ledger_gap {
	struct ledger_chain_name chain;
	uint64_t have, named;
	uint64_t peers; /* that have named the chain */
};
typedef enum ledger_status ledger_gap_fn(
	const struct ledger_gap *gap, void *context, struct ledger_error *err);
enum ledger_status ledger_gaps(
	struct ledger *l, ledger_gap_fn *fn, void *context, struct ledger_error *err);

/* --- Notes ------------------------------------------------------------------------------------- */

/*
 * Small files in the state folder that one process replaces and others read: not part of the ledger,
 * not signed, gone with the next epoch. `name` is a token. LEDGER_NO: there is none, or no state folder;
 * LEDGER_INVALID: larger than LEDGER_NOTE_MAX. Reading adds to `out`.
 */
#define LEDGER_NOTE_MAX (1u << 20)
enum ledger_status ledger_note_write(
	struct ledger *l, const char *name, struct slice bytes, struct ledger_error *err);
enum ledger_status ledger_note_read(
	struct ledger *l, const char *name, struct buf *out, struct ledger_error *err);

/* --- Quarantine -------------------------------------------------------------------------------- */

enum ledger_held {
	LEDGER_HELD_OPEN,
	LEDGER_HELD_ANSWERED, /* the right event has come, or a retry took this one */
	LEDGER_HELD_DISCARDED
};
const char *ledger_held_name(enum ledger_held state);

struct ledger_quarantined {
	uint64_t row; /* 1, 2, 3 …, never used twice */
	struct slice source;
	enum ledger_reason reason;
	struct slice text; /* what was wrong, a sentence for a person */
	/* The place that it claims, as far as it could be read; sequence 0: none. Not verified. */
	struct ledger_chain_name chain;
	uint64_t sequence;
	uint64_t first, last; /* µs: when it first and last came */
	uint64_t times;	      /* how often; of WAITING: events of the chain */
	enum ledger_held state;
	struct slice bytes; /* as received */
};
typedef enum ledger_status ledger_quarantined_fn(
	const struct ledger_quarantined *held, void *context, struct ledger_error *err);

/* At most so many rows, and bytes, are open for one source; what comes on top is counted. Closed rows
 * beyond as many again are forgotten, oldest first. */
#define LEDGER_QUARANTINE_ROWS	256
#define LEDGER_QUARANTINE_BYTES (8u << 20)

/* By row; only the open ones unless `all`. */
enum ledger_status ledger_quarantine_list(struct ledger *l, bool all, ledger_quarantined_fn *fn,
	void *context, struct ledger_error *err);
/* LEDGER_NO without such a row. */
enum ledger_status ledger_quarantine_show(struct ledger *l, uint64_t row, ledger_quarantined_fn *fn,
	void *context, struct ledger_error *err);

/* What was refused of a source without being kept. */
typedef enum ledger_status ledger_dropped_fn(struct slice source, uint64_t messages, uint64_t last,
	void *context, struct ledger_error *err);
enum ledger_status ledger_quarantine_dropped(
	struct ledger *l, ledger_dropped_fn *fn, void *context, struct ledger_error *err);

/*
 * Offers the bytes again, as ledger_accept does, and records `quarantine_retried` in domain `_ledger`
 * in the same transaction. INSERTED and KNOWN close the row. LEDGER_NO without an open row.
 */
enum ledger_status ledger_quarantine_retry(
	struct ledger *l, uint64_t row, struct ledger_accepted *result, struct ledger_error *err);

/* Closes a row and gives up its bytes; records `quarantine_discarded` with the reason and the SHA-256
 * of the bytes. LEDGER_NO without an open row. The same bytes, coming again, are only counted. */
enum ledger_status ledger_quarantine_discard(
	struct ledger *l, uint64_t row, struct slice reason, struct ledger_error *err);

/* --- Forks ------------------------------------------------------------------------------------- */

/*
 * A branch beside a chain. The first event seen at a place stays in the chain; every other verified
 * one is kept in a branch, whole. While a branch of it is not settled, a chain takes nothing more:
 * what continues the chain itself is kept as well, and is inserted when the fork is settled.
 */
struct ledger_fork {
	struct ledger_chain_name chain;
	uint64_t sequence;		    /* the first place that is known to be taken twice */
	uint8_t here[EVENT_HASH_SIZE];	    /* the event that the chain has there */
	uint8_t there[EVENT_HASH_SIZE];	    /* the other one: the name of the branch */
	uint64_t last;			    /* last sequence of the branch that is kept */
	uint8_t last_hash[EVENT_HASH_SIZE]; /* and its hash */
	uint64_t events;		    /* that the branch has */
	bool whole;	  /* the event before the first one is in the chain, or in another branch */
	uint64_t found;	  /* µs: when its first event was received */
	uint64_t settled; /* position of the event that says so; 0: open */
};
typedef enum ledger_status ledger_fork_fn(
	const struct ledger_fork *fork, void *context, struct ledger_error *err);
/* By chain, then sequence. */
enum ledger_status ledger_forks(
	struct ledger *l, ledger_fork_fn *fn, void *context, struct ledger_error *err);

/* The events of one branch, in order. LEDGER_NO without such a branch. */
enum ledger_status ledger_fork_events(struct ledger *l, const uint8_t there[EVENT_HASH_SIZE],
	ledger_event_fn *fn, void *context, struct ledger_error *err);

struct ledger_settlement {
	uint64_t position; /* of `fork_settled` in domain `_ledger` */
	uint64_t recorded; /* events of the branch that were recorded again */
	uint64_t skipped;  /* whose id this ledger had */
	uint64_t inserted; /* events that had waited to continue the chain */
};

/*
 * Decides that the chain stands as it is here and the branch is kept beside it; records
 * `fork_settled`. With `record_again`, on the node that is the chain's origin and where the branch is
 * whole, its events are recorded once more in the present epoch, ids and times kept
 * (LEDGER_REFUSED elsewhere). LEDGER_NO without such a branch that is open.
 */
enum ledger_status ledger_fork_settle(struct ledger *l, const uint8_t there[EVENT_HASH_SIZE],
	struct slice reason, bool record_again, struct ledger_settlement *out,
	struct ledger_error *err);

/* --- Words between nodes that share a key ------------------------------------------------------- */

/* HMAC of bytes with the signing key, and that key's id. Each use has a label of its own. */
enum ledger_status ledger_sign(struct ledger *l, const char *label, struct slice bytes,
	char key[EVENT_KEY_ID_SIZE + 1], uint8_t mac[EVENT_HASH_SIZE], struct ledger_error *err);
/* LEDGER_UNVERIFIED: that key is not known here. LEDGER_INVALID: the MAC is another. */
enum ledger_status ledger_check_signature(struct ledger *l, const char *label, struct slice bytes,
	struct slice key, const uint8_t mac[EVENT_HASH_SIZE], struct ledger_error *err);

/* Hash and MAC of an event that somebody shows, by itself: place and link are not looked at.
 * LEDGER_UNVERIFIED: its key is not known here. LEDGER_INVALID: it is not what it says. */
enum ledger_status ledger_check_event(
	struct ledger *l, const struct event *event, struct ledger_error *err);

/* Open branches and open rows of quarantine, cheaply: for status and for monitoring. */
struct ledger_trouble {
	uint64_t forks;
	uint64_t quarantined;
	uint64_t waiting; /* of these: key or format not known */
	uint64_t dropped; /* messages that were only counted */
};
enum ledger_status ledger_trouble(
	struct ledger *l, struct ledger_trouble *out, struct ledger_error *err);

#endif
