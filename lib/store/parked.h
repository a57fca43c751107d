/* What replay.h shows of parked events is in parked.c too; this is what handlers write there. */
#ifndef STORE_PARKED_H
#define STORE_PARKED_H

#include "../replay.h"
#include "handle.h"

/* Is anything parked for a handler? Is the event at a position? */
enum ledger_status parked_any(
	struct ledger *l, struct slice handler, bool *any, struct ledger_error *err);
enum ledger_status parked_is(struct ledger *l, struct slice handler, uint64_t position, bool *found,
	struct ledger_error *err);

/* The first parked position before that event in its stream; 0: none. */
enum ledger_status parked_before(struct ledger *l, struct slice handler, const struct event *event,
	uint64_t *position, struct ledger_error *err);

/* Each a transaction of its own. Parks an event that is not parked; the handler then does not stand
 * before it any more. */
enum ledger_status parked_add(struct ledger *l, struct slice handler, const struct event *event,
	uint64_t failures, struct slice reason, struct ledger_error *err);
enum ledger_status parked_failed(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, struct ledger_error *err);

/* Counts a failure at a position: *failures in a row, over all runs. */
enum ledger_status failing_set(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, uint64_t *failures, struct ledger_error *err);
enum ledger_status failing_forget(struct ledger *l, struct slice handler, struct ledger_error *err);

#endif
