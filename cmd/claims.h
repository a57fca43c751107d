/* sync: {claims: strict}: a claim is won from all nodes that can be reached before it is recorded. */
#ifndef CMD_CLAIMS_H
#define CMD_CLAIMS_H

#include "../lib/ledger.h"

/* Is there anything to be won? */
bool claims_are_strict(void);

/*
 * LEDGER_OK: won, or not asked for, or nobody could be asked (said once): record it. LEDGER_NOT_OWNER:
 * another node was faster. A stream that has an owner here is not asked about.
 */
enum ledger_status claims_win(
	struct ledger *l, struct slice domain, struct slice stream, struct ledger_error *err);

/* Ends the connection, where there is one. */
void claims_done(void);

#endif
