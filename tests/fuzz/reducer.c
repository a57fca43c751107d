/*
 * The text of a reducer or an upcaster: it is refused, fails, or gives a text, the same each time, within
 * its limits; and nothing of it is left in the connection. The first byte says which it is.
 */
#include "fuzz.h"

#include <time.h>

#include "../../lib/fold/sqlite.h"

#define CPU_MAX 10 /* seconds: two for each of two evaluations, a sanitizer's share, and room */

static const struct event event = {
	.position = 7,
	.id = { 0x01, 0xa1 },
	.origin = SLICE_INIT("store-a"),
	.epoch = 5,
	.domain = SLICE_INIT("inventory"),
	.sequence = 3,
	.stream = SLICE_INIT("product/a/b"),
	.version = 2,
	.type = SLICE_INIT("stock_adjusted"),
	.schema = 4,
	.clock = 1763658000123456,
	.time = 1763657998000000,
	.payload = SLICE_INIT("{\"delta\":-2,\"tags\":[\"x\",\"y\"]}"),
	.metadata = SLICE_INIT("{\"actor\":\"ada\"}"),
};

static enum ledger_status evaluate(
	struct sqlite *db, enum sqlite_use use, struct slice text, struct buf *out)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	struct ledger_error err = { 0 };
	struct slice state =
		use == FOR_REDUCER ? SLICE("{\"quantity\":12}") : (struct slice){ NULL, 0 };
	enum ledger_status status = sqlite_compile_expression(db, use, text, &st, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	if (status != LEDGER_OK)
		return status;
	status = sqlite_evaluate(st, &event, state, out, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_INVALID);
	if (status == LEDGER_OK)
		CLAIM(out->len <= SQLITE_STATE_MAX);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP_SQLITE struct sqlite *db = NULL;
	CLEANUP_BUF struct buf out = { 0 }, again = { 0 };
	struct ledger_error err = { 0 };
	uint8_t switches;
	struct slice text = fuzz_rest(bytes, size, &switches);
	enum sqlite_use use = switches & 1 ? FOR_UPCASTER : FOR_REDUCER;
	clock_t start = clock();
	MUST(sqlite_open_sealed(&db, &err));
	enum ledger_status status = evaluate(db, use, text, &out);
	CLAIM(evaluate(db, use, text, &again) == status);
	if (status == LEDGER_OK)
		CLAIM(slice_eq(buf_slice(&out), buf_slice(&again)));
	CLAIM((clock() - start) / CLOCKS_PER_SEC <= CPU_MAX);
	/* What it may have left behind would be seen by the next one. */
	CLAIM(evaluate(db, FOR_REDUCER, SLICE("json_set(:state, '$.quantity', 1)"), &out) ==
		LEDGER_OK);
	CLAIM(slice_is(buf_slice(&out), "{\"quantity\":1}"));
	return 0;
}
