/* What serve-sync leaves in the state folder, for `status` to read in another process. */
#ifndef CMD_SYNC_STATE_H
#define CMD_SYNC_STATE_H

#include "../lib/sync.h"

#define SYNC_STATE_NOTE	    "sync"
#define SYNC_STATE_INTERVAL (5 * TIME_SECOND)
#define SYNC_STATE_STALE    (60 * TIME_SECOND) /* older, and it no longer tells */

/* Takes over what an earlier run has left. */
void sync_state_begin(struct ledger *l, struct sync *sync);

/* Every few seconds and when there is news; `now`: in any case. LEDGER_NO: there is no state folder. */
enum ledger_status sync_state_leave(
	struct ledger *l, struct sync *sync, bool now, struct ledger_error *err);

#endif
