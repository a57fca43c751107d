/*
 * How verify is divided. The range of positions is cut into pieces at marks; workers take piece after
 * piece, each with a connection of its own. Inside a piece everything is recomputed; what crosses a
 * seam (a chain's last event before and first event behind it, the link) is kept at the piece's edges
 * and compared at the end.
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

struct piece {
	uint64_t from, to;
	struct edge *edges; /* by row id of the chain, 0 … n_edges - 1 */
	size_t n_edges;
	bool has_link; /* the link before the piece is known */
	uint8_t link_before[EVENT_HASH_SIZE];
	uint8_t link[EVENT_HASH_SIZE];
	uint64_t events, macs, unverified;
	uint64_t max_clock;
	bool done;
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
	struct piece *pieces;
	size_t n_pieces;
	atomic_size_t next_piece;
	atomic_bool versions_taken;
	atomic_bool stop;
	atomic_uint_fast64_t done;
	struct findings findings;
};

/* verify_findings.c */
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

/* verify_parts.c: what is not about single rows. */
enum ledger_status verify_schema(struct verification *v, struct ledger_error *err);
enum ledger_status verify_versions(
	struct verification *v, struct ledger *l, struct ledger_error *err);
enum ledger_status verify_heads(struct verification *v, struct ledger_error *err);
enum ledger_status verify_seal(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err);
enum ledger_status verify_file(struct verification *v, struct ledger_error *err);
enum ledger_status verify_tags(struct verification *v, struct ledger_error *err);

#endif
