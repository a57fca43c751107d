/* An event to try lines and frames with: event number n of one chain. */
#ifndef EVENT_CASES_H
#define EVENT_CASES_H

#include "../../lib/base/time.h"
#include "../../lib/event/event.h"

static inline struct event sample_event(uint64_t sequence)
{
	struct event e = {
		.id = { 0x01, 0x93, 0xAB, 0xCD, 0xEF, 0x01, 0x72, 0x03, 0x84, 5, 6, 7, 8, 9, 10,
			11 },
		.origin = SLICE("store-a"),
		.epoch = 1763658000123456,
		.domain = SLICE("inventory"),
		.sequence = sequence,
		.stream = SLICE("product/sku-1"),
		.version = 3,
		.type = SLICE("stock_adjusted"),
		.schema = 1,
		.clock = 1763658000123456,
		.time = 1763657998000000,
		.tags = SLICE("order:17 product:sku-1"),
		.payload = SLICE("{ \"delta\" : -2 }"),
		.metadata = SLICE("{\"actor\":\"ada\"}"),
		.key = SLICE("hs256-0123456789abcdef"),
	};
	memset(e.salt, 0xA1, sizeof(e.salt));
	memset(e.prev, 0xB2, sizeof(e.prev));
	memset(e.hash, 0xC3, sizeof(e.hash));
	memset(e.mac, 0xD4, sizeof(e.mac));
	return e;
}

#endif
