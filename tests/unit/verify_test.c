/*
 * Verify finds every change: one for each column of an event and one for each rule. The golden ledger,
 * made by another program, is changed behind the guards, verified, and must be found damaged there.
 */
#include "golden_fixture.h"

#include <sys/syscall.h>
#include <time.h>

#include "../../lib/store/handle.h"

static struct ledger_error err;
static const struct ledger_verify_options whole = { .workers = 1 };

/* The wall clock, this much off in seconds (this definition stands before that of libc). */
static int64_t clock_is_off;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	long failed = syscall(SYS_clock_gettime, clock, now);
	if (!failed && clock == CLOCK_REALTIME)
		now->tv_sec += clock_is_off;
	return (int)failed;
}

/* --- The golden ledger ----------------------------------------------------------------------- */

static int make_all(void **state)
{
	(void)state;
	return golden_make("300");
}

static void the_golden_ledger_verifies(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers <= 8; workers++) {
		struct ledger_verify_options o = { .workers = workers, .deep = workers == 0 };
		const struct verdict *v = verify_file_at(&golden.place->options, golden.db, &o);
		if (v->status)
			show_findings(v);
		assert_int_equal(v->status, LEDGER_OK);
		assert_int_equal(v->n, 0);
		assert_true(v->report.complete && v->report.seal && v->report.seal_mac);
		assert_int_equal(v->report.events, 300);
		assert_int_equal(v->report.macs, 300);
		assert_int_equal(v->report.from, 1);
		assert_int_equal(v->report.to, 300);
		assert_int_equal(
			v->report.chains, ask_sql(golden.db, "SELECT count(*) FROM chain"));
		assert_int_equal(v->report.first_bad, 0);
	}
}

/* --- One change ------------------------------------------------------------------------------ */

/* Position 103 is an event of store-b in domain orders, with stream, tags and metadata; 104 has no
 * metadata, 105 neither stream nor tags. */
#define AT_103	  " WHERE position = 103"
#define SET(what) "UPDATE event SET " what AT_103
#define COPY_105_TO(position)                                                                      \
	"INSERT INTO event SELECT " position                                                       \
	", chain, sequence + 999, domain, id, stream, version, "                                   \
	"type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, "    \
	"payload "                                                                                 \
	"FROM event WHERE position = 105"

static const struct change {
	const char *sql;
	const char *code;  /* NULL: any will do */
	uint64_t position; /* of that finding */
	uint64_t first_bad;
} changes[] = {
	/* Each column of an event. */
	{ SET("position = 1000"), "POSITION_GAP", 103, 103 },
	{ SET("chain = (SELECT max(id) FROM chain), sequence = 999"), "HASH_MISMATCH", 103, 103 },
	{ SET("chain = 99"), "CHAIN_UNKNOWN", 103, 103 },
	{ SET("sequence = sequence + 1000"), "HASH_MISMATCH", 103, 103 },
	{ "UPDATE event SET sequence = 0 WHERE position = 105", "ROW_MALFORMED", 105, 105 },
	{ "UPDATE event SET sequence = -1 WHERE position = 105", "ROW_MALFORMED", 105, 105 },
	{ SET("domain = domain % 3 + 1"), "DOMAIN_MISMATCH", 103, 103 },
	{ SET("id = zeroblob(16)"), "HASH_MISMATCH", 103, 103 },
	{ SET("id = substr(id, 1, 15)"), "ROW_MALFORMED", 103, 103 },
	{ SET("stream = 'order/x'"), "HASH_MISMATCH", 103, 103 },
	{ SET("stream = stream || ' '"), "HASH_MISMATCH", 103, 103 },
	{ SET("stream = NULL"), "HASH_MISMATCH", 103, 103 },
	{ SET("stream = NULL, version = 0"), "HASH_MISMATCH", 103, 103 },
	{ "UPDATE event SET stream = '' WHERE position = 105", "ROW_MALFORMED", 105, 105 },
	{ "UPDATE event SET stream = '/' WHERE position = 105", "ROW_MALFORMED", 105, 105 },
	{ SET("version = version + 1"), "HASH_MISMATCH", 103, 103 },
	{ SET("version = -1"), "ROW_MALFORMED", 103, 103 },
	{ SET("type = 'order_Placed'"), "HASH_MISMATCH", 103, 103 },
	{ SET("schema = schema + 1"), "HASH_MISMATCH", 103, 103 },
	{ SET("clock = clock + 1"), "HASH_MISMATCH", 103, 103 },
	{ SET("time = time - 1"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = 'day:2'"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = NULL"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = 'item:5 day:2 é:ü1'"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = 'day:2  item:5 é:ü1'"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = ' ' || tags"), "HASH_MISMATCH", 103, 103 },
	{ SET("tags = tags || ' '"), "ROW_MALFORMED", 103, 103 },
	{ "UPDATE event SET tags = '' WHERE position = 105", "ROW_MALFORMED", 105, 105 },
	{ SET("signing_key = 3 - signing_key"), "HASH_MISMATCH", 103, 103 },
	{ SET("signing_key = 99"), "CHAIN_UNKNOWN", 103, 103 },
	{ SET("salt = zeroblob(16)"), "HASH_MISMATCH", 103, 103 },
	{ SET("salt = NULL"), "ROW_MALFORMED", 103, 103 },
	{ SET("prev = zeroblob(32)"), "LINK_BROKEN", 103, 103 },
	{ SET("hash = zeroblob(32)"), "HASH_MISMATCH", 103, 103 },
	{ SET("hash = zeroblob(31)"), "ROW_MALFORMED", 103, 103 },
	{ SET("mac = zeroblob(32)"), "MAC_BAD", 103, 103 },
	{ SET("mac = CAST(substr(mac, 1, 31) || x'00' AS BLOB)"), "MAC_BAD", 103, 103 },
	{ SET("mac = x''"), "ROW_MALFORMED", 103, 103 },
	{ SET("body = zeroblob(32)"), "ROW_MALFORMED", 103, 103 },
	{ SET("metadata = replace(metadata, ' ', '')"), "HASH_MISMATCH", 103, 103 },
	{ SET("metadata = NULL"), "HASH_MISMATCH", 103, 103 },
	{ "UPDATE event SET metadata = '' WHERE position = 104", "ROW_MALFORMED", 104, 104 },
	{ SET("payload = payload || ' '"), "HASH_MISMATCH", 103, 103 },
	{ SET("payload = NULL"), "ROW_MALFORMED", 103, 103 },

	/* Events taken out, put in, or moved. */
	{ "DELETE FROM event WHERE position = 103", "POSITION_GAP", 103, 103 },
	{ "DELETE FROM event WHERE position = 1", "POSITION_GAP", 1, 1 },
	{ "DELETE FROM event WHERE position = 300", "POSITION_GAP", 300, 300 },
	{ "DELETE FROM event", "POSITION_GAP", 1, 1 },
	{ "DELETE FROM event WHERE position > 250; UPDATE seal SET position = 250", "SEAL_MISMATCH",
		0, 0 },
	{ "DELETE FROM event WHERE position > 250; UPDATE seal SET position = 250", "SEAL_MAC_BAD",
		0, 0 },
	{ "DELETE FROM event WHERE position > 290; UPDATE seal SET position = 290, "
	  "clock = (SELECT max(clock) FROM event)",
		"SEAL_MAC_BAD", 0, 0 },
	/* A chain dropped as a whole, the rest moved up. */
	{ "DELETE FROM event WHERE chain = (SELECT chain FROM event WHERE position = 103);"
	  "CREATE TEMP TABLE place AS SELECT position AS old, row_number() OVER (ORDER BY "
	  "position) AS new "
	  "FROM event; UPDATE event SET position = -(SELECT new FROM place WHERE old = position);"
	  "UPDATE event SET position = -position;"
	  "UPDATE seal SET position = (SELECT count(*) FROM event)",
		"SEAL_MISMATCH", 0, 0 },
	/* Two in each other's place, of different chains and of one. */
	{ "UPDATE event SET position = 999 WHERE position = 103;"
	  "UPDATE event SET position = 103 WHERE position = 104;"
	  "UPDATE event SET position = 104 WHERE position = 999",
		"SEAL_MISMATCH", 0, 0 },
	{ "UPDATE event SET position = 999 WHERE position = 102;"
	  "UPDATE event SET position = 102" AT_103
	  ";UPDATE event SET position = 103 WHERE position = 999",
		"SEQUENCE_GAP", 102, 102 },
	{ COPY_105_TO("301"), "SEAL_MISMATCH", 301, 301 },
	{ COPY_105_TO("301") ";UPDATE seal SET position = 301", "SEQUENCE_GAP", 301, 301 },
	{ COPY_105_TO("0"), NULL, 0, 0 },
	{ COPY_105_TO("-7"), NULL, 0, 0 },
};

static bool change_is_found(const struct change *c)
{
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, c->sql);
	const struct verdict *v = verify_file_at(&golden.place->options, golden.copy, &whole);
	bool found = !c->code || has_finding(v, c->code, c->position);
	if (v->status != LEDGER_DAMAGED || !found || v->report.first_bad != c->first_bad) {
		print_message("# %s: no %s at %" PRIu64 "\n", c->sql, c->code ? c->code : "finding",
			c->position);
		show_findings(v);
		return false;
	}
	assert_true(v->report.problems >= 1);
	assert_int_equal(v->report.last_good, c->first_bad ? c->first_bad - 1 : 0);
	return true;
}

static void every_change_to_an_event_is_found_at_its_place(void **state)
{
	size_t missed = 0;
	(void)state;
	assert_int_equal(
		ask_sql(golden.db,
			"SELECT count(*) FROM event WHERE "
			"(position = 103 AND tags = 'day:2 item:5 é:ü1' AND metadata NOTNULL) OR "
			"(position = 104 AND metadata ISNULL) OR "
			"(position = 105 AND stream ISNULL AND tags ISNULL)"),
		3);
	for (size_t i = 0; i < COUNT(changes); i++)
		missed += !change_is_found(&changes[i]);
	assert_int_equal(missed, 0);
}

/* Any byte of the columns that are bytes or text, not only those that the table above picks. */
static void every_single_byte_of_an_event_counts(void **state)
{
	static const char *const columns[] = { "id", "salt", "prev", "hash", "mac", "stream",
		"type", "tags", "metadata", "payload" };
	(void)state;
	for (size_t i = 0; i < COUNT(columns); i++) {
		char sql[512];
		snprintf(sql, sizeof(sql), "SELECT length(CAST(%s AS BLOB)) FROM event" AT_103,
			columns[i]);
		int64_t n = ask_sql(golden.db, sql);
		const char *type = i < 5 ? "BLOB" : "TEXT";
		for (int64_t at = 1; at <= n; at++) {
			/* The byte is taken out and another put in, 'Z' or 'Y'. */
			snprintf(sql, sizeof(sql),
				"UPDATE event SET %s = CAST(substr(CAST(%s AS BLOB), 1, %" PRId64
				") || "
				"CASE substr(CAST(%s AS BLOB), %" PRId64
				", 1) WHEN x'5A' THEN x'59' ELSE "
				"x'5A' END || substr(CAST(%s AS BLOB), %" PRId64 ") AS %s)" AT_103,
				columns[i], columns[i], at - 1, columns[i], at, columns[i], at + 1,
				type);
			copy_file(golden.db, golden.copy);
			tamper(golden.copy, sql);
			const struct verdict *v =
				verify_file_at(&golden.place->options, golden.copy, &whole);
			if (v->status != LEDGER_DAMAGED || v->report.first_bad != 103)
				fail_msg("%s: %d", sql, v->status);
		}
	}
}

/* --- Changes that take hashing, and a key ---------------------------------------------------- */

static enum ledger_status hash_again(
	const struct event *e, void *context, struct ledger_error *unused)
{
	struct event changed = *e;
	uint8_t body[32], hash[32];
	(void)unused;
	changed.payload = SLICE("\"changed\"");
	chain_body(&changed, body);
	chain_hash(&changed, body, hash);
	buf_add_hex(context, hash, sizeof(hash));
	return LEDGER_OK;
}

static void an_event_hashed_again_without_the_key_is_found(void **state)
{
	CLEANUP_BUF struct buf hex = { 0 }, sql = { 0 };
	struct ledger_options o = golden.place->options;
	(void)state;
	o.path = golden.db;
	o.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&o);
	MUST(ledger_find(l, SLICE("103"), hash_again, &hex, &err));
	ledger_close(l);
	buf_addf(&sql, SET("payload = '\"changed\"', hash = x'%s'"), buf_text(&hex));
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, buf_text(&sql));
	const struct verdict *v = verify_file_at(&golden.place->options, golden.copy, &whole);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "MAC_BAD", 103));
	assert_false(has_finding(v, "HASH_MISMATCH", 103));
	assert_true(has_finding(v, "SEAL_MISMATCH", 0));
	/* The next of its chain links to what was there. */
	uint64_t next = (uint64_t)ask_sql(golden.db,
		"SELECT min(position) FROM event WHERE position > 103 AND chain = "
		"(SELECT chain FROM event WHERE position = 103)");
	assert_true(has_finding(v, "LINK_BROKEN", next));
	/* Without the key the link and the seal tell. */
	v = verify_file_at(&golden.place->options, golden.copy,
		&(struct ledger_verify_options){ .hash_only = true });
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "LINK_BROKEN", next) && has_finding(v, "SEAL_MISMATCH", 0));
}

/* Somebody with the key can sign anything: what does not grow along a chain is found all the same. */
static void a_version_that_does_not_grow_is_found_although_signed(void **state)
{
	const struct place *p = *state;
	struct ledger_verify_options part = { .from = 2, .to = 3 };
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.stream = SLICE("a/b");
	append_one(l, &new);
	append_one(l, &new);
	tamper(p->db, "DELETE FROM stream");
	assert_int_equal(append_one(l, &new).version, 1);
	tamper(p->db, "UPDATE stream SET version = 2");
	const struct verdict *v = verify_open(l, &whole);
	assert_true(has_finding(v, "VERSION_BACKWARDS", 3));
	assert_int_equal(v->report.problems, 1);
	v = verify_open(l, &part);
	assert_true(has_finding(v, "VERSION_BACKWARDS", 3));
	assert_int_equal(v->report.problems, 1);
	ledger_close(l);
}

static void a_clock_that_does_not_grow_is_found_although_signed(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	append_one(l, &new);
	clock_is_off = -3600;
	MUST(ledger_begin(l, &err));
	l->batch.seal.clock = 0;
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_commit(l, &err));
	clock_is_off = 0;
	const struct verdict *v = verify_open(l, &whole);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "CLOCK_BACKWARDS", 2));
	ledger_close(l);
}

static void a_chain_with_another_beginning_is_found_although_signed(void **state)
{
	const struct place *p = *state;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	run_sql(p->db,
		"INSERT INTO domain VALUES (1, 'inventory'); INSERT INTO chain SELECT 1, node, "
		"epoch, 1 FROM seal");
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_begin(l, &err));
	l->batch.tails[0] = (struct chain_tail){ .chain = 1,
		.domain = 1,
		.origin = "store-a",
		.epoch = ledger_epoch(l),
		.domain_name = "inventory",
		.hash = { 7 } };
	l->batch.n_tails = 1;
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_commit(l, &err));
	const struct verdict *v = verify_open(l, &whole);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "LINK_BROKEN", 1));
	assert_int_equal(v->report.problems, 1);
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_golden_ledger_verifies),
		cmocka_unit_test(every_change_to_an_event_is_found_at_its_place),
		cmocka_unit_test(every_single_byte_of_an_event_counts),
		cmocka_unit_test(an_event_hashed_again_without_the_key_is_found),
		TEST(a_version_that_does_not_grow_is_found_although_signed),
		TEST(a_clock_that_does_not_grow_is_found_although_signed),
		TEST(a_chain_with_another_beginning_is_found_although_signed),
	};
	return cmocka_run_group_tests(tests, make_all, golden_remove);
}
