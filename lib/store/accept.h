/*
 * What the files behind peers.h share: a received event on its way from its bytes to a verdict.
 *
 *	examine   bytes, form, subject, hash, key, MAC: without a lock
 *	place     what its chain has there: inside the transaction
 */
#ifndef STORE_ACCEPT_H
#define STORE_ACCEPT_H

#include "../peers.h"
#include "handle.h"

/* A chain may take a clock up to here: far from the end of time, or one event could keep every ledger
 * that has it from recording any more. Honest clocks end in 2200 (batch.c). */
#define ACCEPT_CLOCK_MAX (TIME_MAX - (UINT64_C(1) << 50))

struct candidate {
	const struct ledger_received *received;
	struct event event;	   /* where has_event */
	bool has_event;		   /* its form is right */
	enum ledger_reason reason; /* NONE: verified */
	char text[200];		   /* what was wrong */
};

/* accept_check.c. Borrows from the line and the arena. Failures of the machine only. */
enum ledger_status accept_examine(struct ledger *l, const struct ledger_received *received,
	struct arena *arena, struct candidate *out, struct ledger_error *err);
void accept_refuse(struct candidate *c, enum ledger_reason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* accept.c: inside a batch. */
enum ledger_status accept_place(struct ledger *l, struct candidate *c,
	struct ledger_accepted *result, struct ledger_error *err);
/* What accept asks of a chain besides its tail, read anew. */
enum ledger_status accept_look(struct ledger *l, struct chain_tail *tail, struct ledger_error *err);

/* quarantine.c: inside a batch. */
enum ledger_status quarantine_add(
	struct ledger *l, const struct candidate *c, uint64_t *row, struct ledger_error *err);
/* The right event of this place is in the chain. */
enum ledger_status quarantine_answer(
	struct ledger *l, const struct event *event, struct ledger_error *err);
enum ledger_status quarantine_close(
	struct ledger *l, uint64_t row, enum ledger_held state, struct ledger_error *err);
bool quarantine_reason(struct slice word, enum ledger_reason *reason);

/* branch.c: inside a transaction. */
enum ledger_status branch_has(struct ledger *l, uint64_t chain, uint64_t sequence,
	const uint8_t hash[EVENT_HASH_SIZE], bool *has, struct ledger_error *err);
enum ledger_status branch_keep(struct ledger *l, uint64_t chain, const struct event *event,
	struct slice line, struct ledger_error *err);
/* Any event of it in a branch; and one of its branches that is not settled. */
enum ledger_status branch_state(
	struct ledger *l, uint64_t chain, bool *branched, bool *forked, struct ledger_error *err);
/* An event as a branch keeps it, in rows of (sequence, hash, line, …). */
enum ledger_status branch_read(struct ledger *l, struct stmt *st, struct arena *arena,
	struct event *event, struct ledger_error *err);

/* range.c: row id of a chain; 0 where it is not here. */
enum ledger_status range_chain(struct ledger *l, const struct ledger_chain_name *name,
	uint64_t *chain, struct ledger_error *err);
/* The hash of an event of a chain; *there false without one. */
enum ledger_status range_hash(struct ledger *l, uint64_t chain, uint64_t sequence, bool *there,
	uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err);

/* peer.c: inside a batch. */
enum ledger_status peer_set_place(
	struct ledger *l, const struct ledger_stream_place *place, struct ledger_error *err);

/* recover.c, settle.c: an event of this node about its own doing, inside a batch. */
enum ledger_status record_deed(struct ledger *l, const char *type, struct buf *payload,
	uint64_t *position, struct ledger_error *err);

#endif
