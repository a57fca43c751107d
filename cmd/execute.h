/* Commands on the side that executes them: the daemon, and `send` where the stream is this node's. */
#ifndef CMD_EXECUTE_H
#define CMD_EXECUTE_H

#include "../lib/own.h"
#include "../lib/send.h"

/* Fills all but answered and context. */
void execute_options(struct ledger_commands_options *out, struct ledger *l);

/* Who executes commands for a stream. */
struct whose {
	bool here;
	char node[65]; /* where not here */
	bool owned;
	struct ledger_owner owner; /* where owned; words are valid until the next call */
	struct slice domain;	   /* of the stream; absent: not known */
};

/*
 * Streams of types that are not owned are everybody's: their commands are executed where they are typed.
 * LEDGER_NOT_OWNER: nobody owns it.
 */
enum ledger_status execute_whose(
	struct ledger *l, struct slice stream, struct whose *out, struct ledger_error *err);

#endif
