/*
 * How verify is divided. The range of positions is cut into pieces at marks; workers take piece after
 * piece, each with a connection of its own. Inside a piece everything is recomputed; what crosses a
 * seam (a chain's last event before and first event behind it, the link, the versions of streams) is
 * kept with the piece until all pieces before it are done, and joined to them in order.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include <pthread.h>
#include <stdatomic.h>

#include "handle.h"

/* One problem, kept until all are known, so that they come out in order. */
struct found {
	const char *code;
	enum ledger_status status;
	uint64_t position;
	char place[200];
	char text[200];
};

/* Shared by the workers, under `lock`. */
struct findings {
	pthread_mutex_t lock;
	struct found *list;
	size_t n, max;
	uint64_t damaged;
	uint64_t unverified; /* kinds of what could not be verified */
	uint64_t first_bad;
	enum ledger_status failed; /* could not finish: the first reason */
	struct ledger_error failure;
};

/* A chain at the two ends of a piece. */
struct edge {
	bool seen;
	uint64_t first_position, first_sequence, first_clock;
	uint8_t first_prev[EVENT_HASH_SIZE];
	uint64_t last_sequence, last_clock;
	uint8_t last_hash[EVENT_HASH_SIZE];
};

/*
 * The versions of streams that were met, by a keyed hash of stream and domain. A stream is suspect where
 * its version did not grow: over several chains that may be, so it is looked at chain by chain in the end.
 */
struct version_slot {
	uint64_t key;	/* 0: free */
	uint32_t first; /* 0: it is suspect */
	uint32_t highest;
};
struct versions {
	struct version_slot *slots; /* a power of two of them */
	size_t n_slots, n;
};

struct piece {
	uint64_t from, to;
	struct edge *edges; /* by row id of the chain, 0 … n_edges - 1 */
	size_t n_edges;
	struct versions versions;
	bool has_link; /* the link before the piece is known */
	uint8_t link[EVENT_HASH_SIZE];
	uint64_t events, macs, unverified, unreadable;
	uint64_t max_clock;
	bool done;     /* all of it was read */
	bool finished; /* nobody works on it any more */
};

/* What the pieces joined so far amount to. Under `lock`. */
struct joined {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t taken; /* pieces given to workers */
	size_t n;     /* pieces joined */
	struct edge *edges;
	size_t n_edges;
	uint64_t chains; /* that have an event in the range */
	struct versions versions;
};

/* verify_state.c: what the last complete run left in the state folder. */
struct verify_state {
	uint64_t position;
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t finished;
	bool ok;
};
enum ledger_status verify_state_read(
	struct ledger *l, struct verify_state *state, struct ledger_error *err);
enum ledger_status verify_state_write(
	struct ledger *l, const struct verify_state *state, struct ledger_error *err);

struct verification {
	struct ledger *ledger; /* of the caller: its snapshot says how far */
	const struct ledger_verify_options *options;
	struct seal seal;
	/* Both read before the snapshot was taken, so never ahead of it by right. */
	bool has_head, has_state;
	struct head_file head;
	struct verify_state state;
	uint64_t from, to;
	bool whole;    /* from 1 to the end, all chains */
	bool by_chain; /* only some chains */
	bool check_macs;
	bool foreign_schema; /* it has objects that are not ours, word for word */
	struct piece *pieces;
	size_t n_pieces;
	unsigned workers;
	struct joined joined;
	uint64_t hash_key[2]; /* random: nobody can aim at a collision */
	uint64_t parts, part; /* streams are looked at in so many parts, to keep within memory */
	atomic_uint_fast64_t done;
	struct findings findings;
};

/* verify_state.c: is the event at the state's position the one that was verified then? */
enum ledger_status verify_state_fits(struct verification *v, bool *fits, struct ledger_error *err);

/* verify_findings.c */
enum ledger_status findings_init(struct verification *v, struct ledger_error *err);
void findings_done(struct verification *v); /* also where init failed or was not called */
void verify_report_damage(struct verification *v, const char *code, const struct event *event,
	uint64_t position, const char *format, ...) __attribute__((format(printf, 5, 6)));
void verify_report_unverified(struct verification *v, const char *code, const struct event *event,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A failure to read: damage is a problem (FILE_CORRUPT), all else means that verify could not finish. */
void verify_report_failure(struct verification *v, const struct ledger_error *err);

/* Hands all over to the caller's `problem`. */
void findings_hand_over(struct verification *v);

/* verify_piece.c: one piece by a worker's own ledger handle. */
enum ledger_status verify_piece(
	struct verification *v, struct ledger *l, struct piece *piece, struct ledger_error *err);
/* All events of one chain in the range. */
enum ledger_status verify_one_chain(struct verification *v, struct ledger *l, uint64_t chain,
	struct piece *piece, struct ledger_error *err);
void piece_done(struct piece *piece);

/* verify_seams.c: pieces in order. False: there is none left. Waits where this worker is far ahead. */
bool seams_take_piece(struct verification *v, size_t *i);
/* A piece is finished: it and all that waited for it are joined. `l` is the worker's handle. */
void seams_join_piece(struct verification *v, struct ledger *l, size_t i);
void seams_init(struct verification *v);
void seams_done(struct verification *v);
/* The edge of a chain, made when it is not there; NULL: out of memory. */
struct edge *edge_of(struct edge **edges, size_t *n, uint64_t chain);

/* verify_versions.c */
uint64_t verify_hash(const struct verification *v, uint64_t number, struct slice text);
enum ledger_status versions_add(struct verification *v, struct versions *versions,
	struct slice stream, uint64_t domain, uint64_t version, struct ledger_error *err);
/* Adds those of the events behind; `from` is empty afterwards. */
enum ledger_status versions_join(
	struct versions *versions, struct versions *from, struct ledger_error *err);
void versions_done(struct versions *versions);
/* How many parts are needed. */
enum ledger_status versions_plan(struct verification *v, struct ledger_error *err);

/* verify_schema.c */
enum ledger_status verify_schema(struct verification *v, struct ledger_error *err);

/* verify_parts.c: what is not about single rows. */
enum ledger_status verify_versions(struct verification *v, struct ledger_error *err);
/* Does the index of chains end where they do, and has each one an event? After all pieces. */
enum ledger_status verify_chain_ends(struct verification *v, struct ledger_error *err);
enum ledger_status verify_heads(struct verification *v, struct ledger_error *err);
enum ledger_status verify_seal(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err);
enum ledger_status verify_file(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err);
enum ledger_status verify_branches(struct verification *v, struct ledger_error *err);
/* verify_owners.c */
enum ledger_status verify_owners(struct verification *v, struct ledger_error *err);
enum ledger_status verify_terms(struct verification *v, struct ledger_error *err);

#endif
