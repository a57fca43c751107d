/*
 * append in parts: append.c reads the flags and records one event from operands, append-lines.c the
 * lines of stdin as they come, append-atomic.c all of them in one transaction; append-event.c is what
 * happens to each event on its way.
 */
#ifndef CMD_APPEND_H
#define CMD_APPEND_H

#include "draft.h"

/* What an append was asked to do. */
struct append {
	struct ledger *ledger;
	struct draft_defaults defaults;
	struct ledger_condition condition; /* goes with one event, or with the first of --atomic */
	bool has_id;
	uint8_t id[16];
	struct slice once; /* KEY; absent: none */
	bool dry_run;
	bool at_owner;
	size_t batch; /* events in a transaction, at most */
};

/*
 * Completes the draft of the nth event (from 1): flags, domain, tags_from, id. LEDGER_INVALID for what
 * is missing or a domain that is not taken here; LEDGER_USAGE for --id with a second event.
 */
enum ledger_status append_complete(const struct append *a, uint64_t nth, struct draft *d,
	struct arena *arena, struct ledger_new *event, struct ledger_error *err);

/* Records the lines of stdin, batch by batch; append-lines.c. */
enum ledger_status append_lines(const struct append *a, struct ledger_error *err);

/* Records them all or none, or checks them in a dry run; append-atomic.c. */
enum ledger_status append_atomic(const struct append *a, struct ledger_error *err);

/* append-at-owner.c: has it recorded by the owner of its stream. */
enum ledger_status append_at_owner(
	const struct append *a, const struct ledger_new *event, struct ledger_error *err);

/* append-wait.c: remembers a domain that is appended to. */
void append_wait_touch(struct slice domain);

/* Waits until `nodes` others have proven that they store this node's events of these domains.
 * LEDGER_NOT_PROVEN: not within so many µs; they stay recorded. */
enum ledger_status append_wait(
	struct ledger *l, uint64_t nodes, uint64_t within, struct ledger_error *err);

/* Adds to the hint how far lines were recorded (the last one's number, 0: none) and how to go on. */
enum ledger_status append_say_recorded(uint64_t line, struct ledger_error *err);

#endif
