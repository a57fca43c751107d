/* Ends asked for by SIGINT or SIGTERM, for commands that have to leave things in order. */
#ifndef CMD_SIGNALS_H
#define CMD_SIGNALS_H

#include "../lib/ledger.h"

/* From here on the first of these signals sets signals_stop; the second one ends the process in the usual
 * way: it may hang in a write that nobody reads. */
enum ledger_status signals_catch(struct ledger_error *err);

/* Did one come? */
bool signals_stop(void);

/* Readable once one came, so that one between the check and the wait is not lost; -1 before signals_catch. */
int signals_wake(void);

#endif
