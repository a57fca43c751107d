/*
 * send in parts: send.c reads the flags and what is to be sent, send-flight.c has many commands under way,
 * send-answer.c prints what became of them, send-status.c asks.
 */
#ifndef CMD_SEND_H
#define CMD_SEND_H

#include "../lib/sync.h"

#define FLIGHTS_MAX 256

/* A command under way. */
struct flight {
	bool used;
	struct arena arena; /* of the command */
	struct ledger_command command;
	uint64_t line; /* of stdin; 0: it was an operand */
};

struct sending {
	struct ledger *ledger;
	bool async;
	uint64_t timeout; /* µs to wait for an answer */
	uint64_t life;	  /* µs until a command expires */
	struct ledger_commands_options here_options;
	struct ledger_commands *here; /* NULL: nothing was executed here yet */
	struct arena arena;
	struct sync_options there_options;
	struct sync_ask *there; /* NULL: nothing was sent yet */
	struct flight flights[FLIGHTS_MAX];
	size_t n;
	uint64_t executed;
	/* Told of each answer; reply is NULL where there is none. NULL: send_print. */
	void (*over)(struct sending *s, const struct flight *flight,
		const struct ledger_reply *reply, const struct ledger_error *err);
	struct ledger_error first; /* the first that was not executed */
};

#define CLEANUP_SENDING __attribute__((cleanup(send_done)))
void send_done(struct sending *s);

/* Sends a command on its way, copied; node, expiry and, where it is nil, the id are filled in. What becomes of it
 * comes through `over`, also where it cannot be sent. */
enum ledger_status send_put(struct sending *s, const struct ledger_command *command, uint64_t line,
	struct ledger_error *err);

/* The same to a node that is known. */
enum ledger_status send_put_to(struct sending *s, const struct ledger_command *command,
	const char *node, struct ledger_error *err);

/* Waits for an answer, or until `fd` (-1: none) is readable, and does what can be done. */
enum ledger_status send_turn(struct sending *s, int fd, struct ledger_error *err);

/* Prints an answer; remembers the first that is not well in s->first. */
void send_print(struct sending *s, const struct flight *flight, const struct ledger_reply *reply,
	const struct ledger_error *err);

/* send --status ID. */
enum ledger_status send_status(struct sending *s, const char *id, struct ledger_error *err);

#endif
