/* Folding a stream, and whether a snapshot still fits it. */
#ifndef FOLD_STATE_H
#define FOLD_STATE_H

#include "../store/shared.h"
#include "../store/snapshot.h"
#include "rules.h"

/* Which events a moment counts. */
struct shared_bounds state_bounds(const struct ledger_moment *moment);

/*
 * Does a snapshot that is signed fit the events and the reducer? LEDGER_OK; LEDGER_REFUSED: another reducer, or an event
 * within `bounds` that has come later sorts before its last one; LEDGER_DAMAGED: its last event is not there.
 */
enum ledger_status state_fits(struct ledger_fold *f, const struct reducer *r,
	const struct snapshot *s, const struct shared_bounds *bounds, struct ledger_error *err);

/* Folds a stream of one domain from its beginning, or from *begin where it is not NULL, into f->state
 * and *out. LEDGER_NO where no event counts. */
enum ledger_status state_fold(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct shared_bounds *bounds, const struct snapshot *begin, struct ledger_state *out,
	struct ledger_error *err);

#endif
