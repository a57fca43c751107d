/* verify --peers: what other nodes hold against what is here. */
#ifndef CMD_VERIFY_PEERS_H
#define CMD_VERIFY_PEERS_H

#include "report.h"

/* Asks for `within` µs at most (0: 5 s) and compares; findings are listed in the report, what went
 * wrong is kept there. Only settings that cannot work are a failure here (LEDGER_USAGE). */
enum ledger_status verify_peers(
	struct ledger *l, struct report *report, uint64_t within, struct ledger_error *err);

/* What both come to: how verifying ended, and what peers said. Fills *err where that changes it. */
enum ledger_status verify_peers_verdict(
	struct report *report, enum ledger_status status, struct ledger_error *err);

#endif
