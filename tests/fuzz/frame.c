/* A frame: what is read of it is events of one chain without a gap, and makes the same events when it is
 * written and read again. The first byte says whether the subject named a chain. */
#include "fuzz.h"

#include "../../lib/sync/frame.h"

static bool is_same(const struct event *a, const struct event *b)
{
	return slice_eq(a->origin, b->origin) && a->epoch == b->epoch &&
	       slice_eq(a->domain, b->domain) && a->sequence == b->sequence &&
	       slice_eq(a->payload, b->payload) && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static size_t read_all(struct slice data, bool named, struct arena *arena, struct event *events)
{
	struct ledger_error err = { 0 };
	struct frame_reader r;
	enum ledger_status status;
	size_t n = 0;
	frame_reader_init(&r, data, named ? SLICE("store-b") : (struct slice){ NULL, 0 },
		named ? SLICE("inventory") : (struct slice){ NULL, 0 });
	while ((status = frame_read(&r, arena, &events[n], &err)) == LEDGER_OK) {
		CLAIM(!named || (slice_is(events[n].origin, "store-b") &&
					slice_is(events[n].domain, "inventory")));
		CLAIM(n == 0 || events[n].sequence == events[n - 1].sequence + 1);
		CLAIM(r.line.ptr >= data.ptr && r.line.ptr + r.line.len < data.ptr + data.len);
		CLAIM(++n <= FRAME_EVENTS_MAX);
	}
	if (status != LEDGER_NO)
		fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_NO || status == LEDGER_INVALID || status == LEDGER_UNVERIFIED);
	CLAIM((status == LEDGER_NO) == (r.rest.len == 0 && n > 0));
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct event events[FRAME_EVENTS_MAX + 1], again[FRAME_EVENTS_MAX + 1];
	CLEANUP_ARENA struct arena arena = { NULL };
	struct frame frame = { 0 };
	uint8_t switches;
	struct slice data = fuzz_rest(bytes, size, &switches);
	size_t n = read_all(data, switches & 1, &arena, events);
	for (size_t i = 0; i < n; i++)
		CLAIM(frame_add(&frame, &events[i]) == FRAME_ADDED);
	CLAIM(frame.events == n);
	if (n) {
		CLAIM(read_all(buf_slice(&frame.lines), switches & 1, &arena, again) == n);
		for (size_t i = 0; i < n; i++)
			CLAIM(is_same(&events[i], &again[i]));
	}
	frame_done(&frame);
	return 0;
}
