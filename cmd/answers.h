/* What append answers: `position sequence version id hash`, one line per event, after the commit. */
#ifndef CMD_ANSWERS_H
#define CMD_ANSWERS_H

#include "../lib/ledger.h"

/* Adds the line of one answer, as text or JSON. Nothing with -q. */
void answer_add(struct buf *out, const struct ledger_answer *answer);

/* Sends lines on their way. */
enum ledger_status answers_print(struct slice lines, struct ledger_error *err);

/*
 * What a failure to print means once `position` is recorded: the caller was not told, so the outcome
 * is unknown to it. Keeps in *err why it failed; returns LEDGER_UNKNOWN.
 */
enum ledger_status answers_lost(uint64_t position, struct ledger_error *err);

/* Passes on a warning of the last batch, each text once. */
void answers_warn(struct ledger *l);

#endif
