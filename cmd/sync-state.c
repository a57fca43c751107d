#include "sync-state.h"

#include "../lib/base/banned.h"

void sync_state_begin(struct ledger *l, struct sync *sync)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger_error ignored;
	if (ledger_note_read(l, SYNC_STATE_NOTE, &text, &ignored) == LEDGER_OK)
		sync_recall(sync, buf_slice(&text));
}

enum ledger_status sync_state_leave(
	struct ledger *l, struct sync *sync, bool now, struct ledger_error *err)
{
	static uint64_t next;
	CLEANUP_BUF struct buf text = { 0 };
	uint64_t moment = time_monotonic();
	if (!now && moment < next && !sync_has_news(sync))
		return LEDGER_OK;
	next = moment + SYNC_STATE_INTERVAL;
	sync_describe(sync, &text);
	TRY(buf_check(&text, err));
	return ledger_note_write(l, SYNC_STATE_NOTE, buf_slice(&text), err);
}
