/* What send.h shows of the tables of commands is in command.c too; this is what lib/own writes there. */
#ifndef STORE_COMMAND_H
#define STORE_COMMAND_H

#include "../send.h"
#include "handle.h"

/* The answer that was kept for a command, as ledger_reply_add wrote it, and the digest of its content.
 * *found tells whether there is one; `answer` is filled then. */
enum ledger_status command_lookup(struct ledger *l, const uint8_t id[16], bool *found,
	uint8_t digest[EVENT_HASH_SIZE], struct buf *answer, struct ledger_error *err);

/* Is an event of that id in this ledger? */
enum ledger_status command_has_event(
	struct ledger *l, const uint8_t id[16], bool *found, struct ledger_error *err);

/* The highest version of a stream in a domain, 0 without one. */
enum ledger_status command_version(struct ledger *l, struct slice stream, struct slice domain,
	uint64_t *version, struct ledger_error *err);

/* The rest inside a write transaction. Keeps an answer until `forget` (µs). */
enum ledger_status command_keep(struct ledger *l, const uint8_t id[16],
	const uint8_t digest[EVENT_HASH_SIZE], struct slice answer, uint64_t forget,
	struct ledger_error *err);

/* The same in a transaction of its own. */
enum ledger_status command_keep_alone(struct ledger *l, const uint8_t id[16],
	const uint8_t digest[EVENT_HASH_SIZE], struct slice answer, uint64_t forget,
	struct ledger_error *err);

/* Forgets a bounded number of answers whose time is over. */
enum ledger_status command_forget(struct ledger *l, uint64_t now, struct ledger_error *err);

enum ledger_status command_add_count(
	struct ledger *l, const char *what, uint64_t n, struct ledger_error *err);

#endif
