/* What the commands state and snapshot share. */
#ifndef CMD_STATE_H
#define CMD_STATE_H

#include "../lib/fold.h"

/* A state as one JSON object, without a newline. */
void state_add_json(struct buf *out, const struct ledger_state *s);

/* On stderr: by which events a state is what it is, and from which snapshot. */
void state_say_events(const struct ledger_state *s);

/* A warning for each snapshot that is not used. */
ledger_refused_fn state_say_refused;

/* The domain of a stream: as given (NULL: not), else the config's for its type, else absent. */
struct slice state_domain(struct slice stream, const char *given);

/* What is left of stdout; a reader who has gone is no failure. */
enum ledger_status state_flush(struct ledger_error *err);

/* Prints what differs between a stream's states at two moments; where it has none, that is null. */
enum ledger_status state_diff(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct ledger_moment *from, const struct ledger_moment *to, struct ledger_error *err);

#endif
