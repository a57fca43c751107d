/* What send.h shows of the tables of commands is in command.c too; this is what lib/own writes there. */
#ifndef STORE_COMMAND_H
#define STORE_COMMAND_H

#include "../send.h"
#include "handle.h"

/* What is kept of a command: that it was executed, or that this message was refused. */
struct command_known {
	bool found;
	bool executed;
	uint8_t digest[EVENT_HASH_SIZE]; /* of its content */
};

/* Was the command executed here, whoever sent it, or was a message of its sender with this id and this or a
 * higher counter refused? One that is sealed anew has a higher one. `answer`, as ledger_reply_add wrote it,
 * is filled where it is found. */
enum ledger_status command_lookup(struct ledger *l, const struct ledger_command *command,
	struct command_known *out, struct buf *answer, struct ledger_error *err);

/* Is an event of that id in this ledger? */
enum ledger_status command_has_event(
	struct ledger *l, const uint8_t id[16], bool *found, struct ledger_error *err);

/* The highest version of a stream in a domain, 0 without one. */
enum ledger_status command_version(struct ledger *l, struct slice stream, struct slice domain,
	uint64_t *version, struct ledger_error *err);

struct command_answer {
	const uint8_t *digest; /* EVENT_HASH_SIZE bytes */
	struct slice text;     /* as ledger_reply_add writes it */
	uint64_t forget;       /* µs */
};

/* The rest inside a write transaction. Keeps the answer to a command that was executed. */
enum ledger_status command_keep(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err);

/* Keeps why a message was refused. */
enum ledger_status command_refuse(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err);

/* The same in a transaction of its own. */
enum ledger_status command_refuse_alone(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err);

/* Forgets a bounded number of answers whose time is over. */
enum ledger_status command_forget(struct ledger *l, uint64_t now, struct ledger_error *err);

enum ledger_status command_add_count(
	struct ledger *l, const char *what, uint64_t n, struct ledger_error *err);

#endif
