/* What verify says: a line per problem, and at the end what was read, what it came to, and what was
 * not looked at. As text for people, or as one JSON object. */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include "../lib/ledger.h"

/* What peers said; see verify-peers.h. */
struct peer_report {
	bool asked_for;
	bool failed; /* nobody could be asked, or the comparison did not come to its end … */
	struct ledger_error why; /* … because of this */
	bool decides;		 /* the ledger itself is verified; the exit code says this */
	uint64_t findings;
	struct buf names, silent; /* peers, ", " between */
	struct buf unproven;	  /* what no peer has proven, "; " between; a few chains */
	struct buf json;	  /* the "peers" object */
	uint64_t chains, proven;  /* of this ledger, and those proven to their end */
};

struct report {
	const char *file;
	const char *node;
	const struct ledger_verify_options *asked;
	struct ledger_verify_report found;
	struct buf problems; /* JSON objects, commas between */
	uint64_t listed;     /* damage handed over */
	struct buf heads;    /* the "heads" array of JSON */
	struct buf missing;  /* what was not covered, one on a line */
	struct peer_report peers;
};

#define CLEANUP_REPORT __attribute__((cleanup(report_done)))

void report_done(struct report *report);

/* Takes a problem: as text it is printed at once. */
void report_list(struct report *report, const struct ledger_problem *problem);

/* Takes one that a peer shows, with more words for JSON: `more` begins with a comma or is empty. */
void report_list_more(
	struct report *report, const struct ledger_problem *problem, struct slice more);

/* Prints the summary, or with --format json the whole report. `status` and `why` are how it ended;
 * why->text is read only where that is not LEDGER_OK. */
enum ledger_status report_print(struct report *report, enum ledger_status status,
	const struct ledger_error *why, struct ledger_error *err);

#endif
