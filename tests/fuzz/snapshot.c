/*
 * Rows of table snapshot, changed by somebody without the key. Changes stand one behind another, each
 * ends with 0xff: the number of a column, the kind of the value, the value.
 *
 * Whatever the rows say, the state of every stream is what its events come to; and none that was changed
 * is called good.
 */
#include "fuzz.h"

#include <sqlite3.h>

#include "../../lib/fold.h"

#define STREAMS 3

static const char *const columns[] = { "id", "stream", "domain", "position", "last", "events",
	"version", "max_time", "hash", "reducer", "schema", "epoch", "taken", "digest",
	"signing_key", "mac", "state" };
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

enum { VALUE_TEXT, VALUE_BLOB, VALUE_NUMBER, VALUE_STATE, VALUE_KINDS };

static const struct slice streams[STREAMS] = { SLICE_INIT("product/sku-1"),
	SLICE_INIT("product/sku-2"), SLICE_INIT("order/1001") };
static const struct ledger_reducer reducer = { .stream_type = SLICE_INIT("*"),
	.kind = LEDGER_REDUCER_COUNT };
static const struct ledger_rules rules = { &reducer, 1, NULL, 0 };

static struct {
	struct ledger_options options;
	struct ledger *ledger;
	sqlite3 *db;
	sqlite3_stmt *is_same; /* rows that are as they were */
	struct buf states[STREAMS];
	bool renumbered; /* a row id is not part of what is signed, but may be an impossible one */
} base;

static void run_sql(const char *sql)
{
	CLAIM(sqlite3_exec(base.db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static void prepare(void)
{
	struct ledger_error err = { 0 };
	struct ledger_fold *fold;
	base.options = fuzz_options();
	base.ledger = fuzz_ledger(&base.options);
	MUST(ledger_fold_open(&fold, base.ledger, &rules, &err));
	for (size_t i = 0; i < STREAMS; i++) {
		struct ledger_state state;
		bool taken;
		MUST(ledger_snapshot_take(
			fold, streams[i], (struct slice){ NULL, 0 }, 0, &state, &taken, &err));
		CLAIM(taken);
		buf_add_slice(&base.states[i], state.state);
	}
	ledger_fold_close(fold);
	CLAIM(sqlite3_open(base.options.path, &base.db) == SQLITE_OK);
	run_sql("CREATE TEMP TABLE kept AS SELECT * FROM snapshot");
	CLAIM(sqlite3_prepare_v2(base.db,
		      "SELECT count(*) FROM temp.kept k JOIN main.snapshot s USING (stream, "
		      "domain, "
		      "position) WHERE (k.last, k.events, k.version, k.max_time, k.hash, "
		      "k.reducer, "
		      "k.schema, k.epoch, k.taken, k.digest, k.signing_key, k.mac, k.state) = "
		      "(s.last, s.events, s.version, s.max_time, s.hash, s.reducer, s.schema, "
		      "s.epoch, s.taken, s.digest, s.signing_key, s.mac, s.state)",
		      -1, &base.is_same, NULL) == SQLITE_OK);
}

static void bind_value(sqlite3_stmt *st, unsigned kind, struct slice value)
{
	uint64_t number = 0;
	for (size_t i = 0; i < value.len && i < 8; i++)
		number = number << 8 | (uint8_t)value.ptr[i];
	if (kind == VALUE_BLOB)
		sqlite3_bind_blob(st, 1, value.ptr, (int)value.len, SQLITE_TRANSIENT);
	else if (kind == VALUE_NUMBER)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)number);
	else
		sqlite3_bind_text(st, 1, value.ptr, (int)value.len, SQLITE_TRANSIENT);
}

/* Of one row, or of all where the kind's highest bit is set. A type that the table refuses is no change. */
static void change(struct slice bytes)
{
	CLEANUP_BUF struct buf sql = { 0 };
	sqlite3_stmt *st;
	if (bytes.len < 2)
		return;
	unsigned column = (uint8_t)bytes.ptr[0] % COLUMNS, kind = (uint8_t)bytes.ptr[1];
	base.renumbered = base.renumbered || column == 0;
	buf_addf(&sql, "UPDATE OR REPLACE snapshot SET %s = ?1", columns[column]);
	if (!(kind & 0x80))
		buf_addf(&sql, " WHERE stream = '%s'", streams[kind / VALUE_KINDS % STREAMS].ptr);
	CLAIM(sqlite3_prepare_v2(base.db, buf_text(&sql), -1, &st, NULL) == SQLITE_OK);
	bind_value(st, kind % VALUE_KINDS, slice_from(bytes, 2));
	sqlite3_step(st);
	sqlite3_finalize(st);
}

static enum ledger_status count_good(
	const struct ledger_snapshot *s, void *context, struct ledger_error *err)
{
	int *n = context;
	(void)err;
	*n += s->verdict == LEDGER_SNAPSHOT_GOOD;
	return LEDGER_OK;
}

static void claim_all(void)
{
	struct ledger_error err = { 0 };
	struct ledger_fold *fold;
	MUST(ledger_fold_open(&fold, base.ledger, &rules, &err));
	for (size_t i = 0; i < STREAMS; i++) {
		struct ledger_moment now = { 0 };
		struct ledger_state state;
		MUST(ledger_state(fold, streams[i], (struct slice){ NULL, 0 }, &now, &state, &err));
		CLAIM(slice_eq(state.state, buf_slice(&base.states[i])));
	}
	for (int recompute = 0; recompute < 2; recompute++) {
		int good = 0;
		MUST(ledger_snapshots(fold, SLICE(""), (struct slice){ NULL, 0 }, recompute,
			count_good, &good, &err));
		sqlite3_reset(base.is_same);
		CLAIM(sqlite3_step(base.is_same) == SQLITE_ROW);
		int same = sqlite3_column_int(base.is_same, 0);
		CLAIM(good <= same && (good == same || base.renumbered));
		sqlite3_reset(base.is_same);
	}
	ledger_fold_close(fold);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice rest = { (const char *)bytes, size }, one;
	if (!base.ledger)
		prepare();
	base.renumbered = false;
	run_sql("BEGIN");
	while (size && slice_cut(rest, (char)0xff, &one, &rest))
		change(one);
	run_sql("COMMIT");
	claim_all();
	run_sql("BEGIN; DELETE FROM main.snapshot; INSERT INTO main.snapshot SELECT * FROM "
		"temp.kept; "
		"COMMIT");
	return 0;
}
