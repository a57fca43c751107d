/*
 * What stands around the events: the seal, the marks, the small tables, the tags and the guards. Each
 * is changed behind the guards, and verify must find it.
 */
#include "verify_fixture.h"

static struct ledger_error err;

#define EVENTS 2100

/* One ledger of this program's own, with marks at 1024 and 2048; each test changes a copy. */
static struct sealed {
	struct place *place;
	char copy[128], other_key[128];
} sealed;

static int make_sealed(void **state)
{
	static const struct slice tags[] = { TEXT("a:1"), TEXT("b:2") };
	struct ledger_new new = plain();
	void *place;
	(void)state;
	assert_int_equal(place_make(&place), 0);
	sealed.place = place;
	sealed.place->options.node = NULL;
	struct ledger *l = open_ledger(&sealed.place->options);
	append_many(l, EVENTS - 1);
	new.tags = tags;
	new.n_tags = COUNT(tags);
	new.metadata = SLICE("{\"correlation_id\":\"x\"}");
	append_one(l, &new);
	ledger_close(l);
	sealed.place->options.state_dir = NULL;
	run_sql(sealed.place->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	path_in(sealed.place, "copy.db", sealed.copy);
	MUST(ledger_key_create(path_in(sealed.place, "other.key", sealed.other_key), NULL, &err));
	return 0;
}

static int remove_sealed(void **state)
{
	void *place = sealed.place;
	(void)state;
	return place_remove(&place);
}

struct change {
	const char *sql;
	const char *code; /* NULL: any will do */
	uint64_t position;
};

/* Verifies a copy that was changed; false, and said, where that was not found. */
static bool is_found(const struct change *c, bool behind_guards, bool deep)
{
	struct ledger_verify_options o = { .workers = 1, .deep = deep };
	copy_file(sealed.place->db, sealed.copy);
	(behind_guards ? tamper : run_sql)(sealed.copy, c->sql);
	const struct verdict *v = verify_file_at(&sealed.place->options, sealed.copy, &o);
	if (v->status == LEDGER_DAMAGED && (!c->code || has_finding(v, c->code, c->position)))
		return true;
	print_message(
		"# %s: no %s at %" PRIu64 "\n", c->sql, c->code ? c->code : "finding", c->position);
	show_findings(v);
	return false;
}

static void expect_all(const struct change *changes, size_t n, bool behind_guards, bool deep)
{
	size_t missed = 0;
	for (size_t i = 0; i < n; i++)
		missed += !is_found(&changes[i], behind_guards, deep);
	assert_int_equal(missed, 0);
}

static void the_ledger_verifies_before_it_is_changed(void **state)
{
	struct ledger_verify_options deep = { .deep = true };
	(void)state;
	const struct verdict *v = verify_file_at(&sealed.place->options, sealed.place->db, &deep);
	if (v->status)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_OK);
	assert_int_equal(v->report.macs, EVENTS);
	/* Dropping the guards and putting them back is no change. */
	copy_file(sealed.place->db, sealed.copy);
	tamper(sealed.copy, "SELECT 1");
	assert_int_equal(
		verify_file_at(&sealed.place->options, sealed.copy, &deep)->status, LEDGER_OK);
}

static const struct change seal_changes[] = {
	{ "UPDATE seal SET node = 'store-x'", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET epoch = epoch + 1", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET position = position - 1", "SEAL_MISMATCH", EVENTS },
	{ "UPDATE seal SET position = position - 1", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET position = position + 1", "POSITION_GAP", EVENTS + 1 },
	{ "UPDATE seal SET clock = clock + 1", "SEAL_MISMATCH", 0 },
	{ "UPDATE seal SET clock = clock + 1", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET link = zeroblob(32)", "SEAL_MISMATCH", 0 },
	{ "UPDATE seal SET inode = inode + 1", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET birth = birth + 1", "SEAL_MAC_BAD", 0 },
	{ "UPDATE seal SET mac = zeroblob(32)", "SEAL_MAC_BAD", 0 },
};

static void each_column_of_the_seal_is_covered(void **state)
{
	(void)state;
	expect_all(seal_changes, COUNT(seal_changes), true, false);
}

static void a_seal_of_an_unknown_key_is_not_verified(void **state)
{
	(void)state;
	copy_file(sealed.place->db, sealed.copy);
	run_sql(sealed.copy, "UPDATE seal SET signing_key = 'hs256-0000000000000000'");
	const struct verdict *v = verify_file_at(
		&sealed.place->options, sealed.copy, &(struct ledger_verify_options){ .from = 0 });
	assert_int_equal(v->status, LEDGER_UNVERIFIED);
	assert_true(has_finding(v, "KEY_UNKNOWN", 0));
	assert_false(v->report.seal_mac);
}

/* Without its seal, or with one that cannot be read, a file is no ledger that could be opened. */
static void a_seal_that_is_missing_or_malformed_opens_nothing(void **state)
{
	static const char *const changes[] = { "DELETE FROM seal", "UPDATE seal SET node = 'a b'",
		"UPDATE seal SET node = ''", "UPDATE seal SET link = x''",
		"UPDATE seal SET epoch = -1", "UPDATE seal SET position = -1",
		"UPDATE seal SET mac = zeroblob(31)", "UPDATE seal SET signing_key = 'x'" };
	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct ledger_options o = sealed.place->options;
		struct ledger *l;
		copy_file(sealed.place->db, sealed.copy);
		tamper(sealed.copy, changes[i]);
		o.path = sealed.copy;
		o.mode = LEDGER_MODE_READ;
		if (ledger_open(&l, &o, &err) != LEDGER_DAMAGED)
			fail_msg("%s", changes[i]);
		assert_true(err.hint[0]);
	}
}

static const struct change mark_changes[] = {
	{ "UPDATE mark SET link = zeroblob(32) WHERE position = 1024", "MARK_MISMATCH", 1024 },
	{ "UPDATE mark SET link = x'' WHERE position = 2048", "MARK_MISMATCH", 2048 },
	{ "UPDATE mark SET min_time = min_time - 1 WHERE position = 1024", "MARK_MISMATCH", 1024 },
	{ "UPDATE mark SET min_time = min_time + 1 WHERE position = 2048", "MARK_MISMATCH", 2048 },
	{ "UPDATE mark SET max_time = max_time + 1 WHERE position = 1024", "MARK_MISMATCH", 1024 },
	{ "UPDATE mark SET max_time = max_time - 1 WHERE position = 2048", "MARK_MISMATCH", 2048 },
	{ "DELETE FROM mark WHERE position = 1024", "MARK_MISMATCH", 1024 },
	{ "DELETE FROM mark", "MARK_MISMATCH", 2048 },
	{ "UPDATE mark SET position = 1023 WHERE position = 1024", "MARK_MISMATCH", 1024 },
	/* No guard is in the way of these; --since would skip events, an append would fail. */
	{ "INSERT INTO mark VALUES (500, zeroblob(32), 0, 1)", NULL, 0 },
	{ "INSERT INTO mark VALUES (3072, zeroblob(32), 0, 9007199254740991)", NULL, 0 },
	{ "INSERT INTO mark VALUES (0, zeroblob(32), 0, 9007199254740991)", NULL, 0 },
};

static void each_mark_is_that_of_its_events(void **state)
{
	(void)state;
	expect_all(mark_changes, COUNT(mark_changes), true, false);
}

static const struct change word_changes[] = {
	{ "UPDATE domain SET name = 'orders'", "HASH_MISMATCH", 1 },
	{ "UPDATE domain SET id = 7", "CHAIN_UNKNOWN", 1 },
	{ "DELETE FROM domain", "CHAIN_UNKNOWN", 1 },
	{ "UPDATE chain SET origin = 'store-x'", "HASH_MISMATCH", 1 },
	{ "UPDATE chain SET epoch = epoch + 1", "HASH_MISMATCH", 1 },
	{ "UPDATE chain SET epoch = -1", "CHAIN_UNKNOWN", 1 },
	{ "UPDATE chain SET domain = 7", "CHAIN_UNKNOWN", 1 },
	{ "UPDATE chain SET id = 7", "CHAIN_UNKNOWN", 1 },
	{ "DELETE FROM chain", "CHAIN_UNKNOWN", 1 },
	{ "UPDATE signing_key SET name = 'hs256-0000000000000000'", "HASH_MISMATCH", 1 },
	{ "UPDATE signing_key SET id = 7", "CHAIN_UNKNOWN", 1 },
	{ "DELETE FROM signing_key", "CHAIN_UNKNOWN", 1 },
};

static void the_words_of_the_small_tables_are_covered(void **state)
{
	(void)state;
	sealed.place->options.n_verify_keys = 0;
	for (size_t i = 0; i < COUNT(word_changes); i++) {
		struct ledger_verify_options few = { .max_problems = 150, .workers = 2 };
		copy_file(sealed.place->db, sealed.copy);
		tamper(sealed.copy, word_changes[i].sql);
		const struct verdict *v = verify_file_at(&sealed.place->options, sealed.copy, &few);
		if (v->status != LEDGER_DAMAGED || v->report.first_bad != 1 ||
			!has_finding(v, word_changes[i].code, 1))
			fail_msg("%s: %d", word_changes[i].sql, v->status);
		assert_true(v->n <= 150 && v->report.problems >= EVENTS);
	}
}

static const struct change schema_changes[] = {
	{ "DROP TRIGGER event_no_update", "SCHEMA_CHANGED", 0 },
	{ "DROP TRIGGER seal_no_replace", "SCHEMA_CHANGED", 0 },
	{ "DROP TRIGGER event_no_delete; CREATE TRIGGER event_no_delete BEFORE DELETE ON event "
	  "BEGIN SELECT 1; END",
		"SCHEMA_CHANGED", 0 },
	{ "CREATE TRIGGER more AFTER INSERT ON event BEGIN DELETE FROM cursor; END",
		"SCHEMA_CHANGED", 0 },
	{ "DROP INDEX event_id", "SCHEMA_CHANGED", 0 },
	{ "DROP INDEX event_type", "SCHEMA_CHANGED", 0 },
	{ "DROP INDEX event_chain", "SCHEMA_CHANGED", 0 },
	{ "DROP INDEX event_chain; CREATE INDEX event_chain ON event (chain, sequence)",
		"SCHEMA_CHANGED", 0 },
	{ "CREATE INDEX more ON event (time)", "SCHEMA_CHANGED", 0 },
	{ "CREATE TABLE more (x)", "SCHEMA_CHANGED", 0 },
	{ "DROP VIEW events", "SCHEMA_CHANGED", 0 },
	{ "DROP VIEW events; CREATE VIEW events AS SELECT * FROM event", "SCHEMA_CHANGED", 0 },
	{ "ALTER TABLE event ADD COLUMN more TEXT", "SCHEMA_CHANGED", 0 },
};

static void any_change_to_the_schema_is_found(void **state)
{
	(void)state;
	expect_all(schema_changes, COUNT(schema_changes), false, false);
}

static void statistics_of_analyze_are_no_change(void **state)
{
	(void)state;
	copy_file(sealed.place->db, sealed.copy);
	run_sql(sealed.copy, "ANALYZE");
	assert_int_equal(verify_file_at(&sealed.place->options, sealed.copy,
				 &(struct ledger_verify_options){ .deep = true })
				 ->status,
		LEDGER_OK);
}

static const struct change term_changes[] = {
	{ "DELETE FROM term WHERE term = 'a:1'", "TERM_INDEX", 0 },
	{ "DELETE FROM term WHERE term LIKE '%/%'", "TERM_INDEX", 0 },
	{ "DELETE FROM term WHERE term = '@correlation:x'", "TERM_INDEX", 0 },
	{ "INSERT INTO term VALUES (0, 'a:1', 7)", "TERM_INDEX", 0 },
	{ "INSERT INTO term VALUES (6, 'a:1', 99999)", "TERM_INDEX", 0 },
	{ "UPDATE term SET term = 'a:2' WHERE term = 'a:1'", "TERM_INDEX", 0 },
	{ "UPDATE term SET position = 7 WHERE term = 'a:1'", "TERM_INDEX", 0 },
	{ "UPDATE term SET block = 1 WHERE term = 'a:1'", "TERM_INDEX", 0 },
	{ "UPDATE term SET term = CASE term WHEN 'a:1' THEN 'b:1' WHEN 'b:2' THEN 'a:2' ELSE term "
	  "END",
		"TERM_INDEX", 0 },
};

static const struct change stream_changes[] = {
	{ "DELETE FROM stream", "STREAM_INDEX", 0 },
	{ "UPDATE stream SET version = version + 1", "STREAM_INDEX", 0 },
	{ "UPDATE stream SET version = version - 1", "STREAM_INDEX", 0 },
	{ "UPDATE stream SET domain = 99", "STREAM_INDEX", 0 },
	{ "UPDATE stream SET stream = stream || 'x'", "STREAM_INDEX", 0 },
	{ "INSERT INTO stream VALUES ('a/none', 1, 1)", "STREAM_INDEX", 0 },
};

static void streams_are_compared_with_their_events(void **state)
{
	(void)state;
	expect_all(stream_changes, COUNT(stream_changes), true, false);
}

static void the_terms_are_compared_when_asked_to_look_deep(void **state)
{
	(void)state;
	expect_all(term_changes, COUNT(term_changes), true, true);
}

/* The key is changed for another one that is known too: what the old one signed stays good. */
static void a_ledger_of_two_keys_verifies_with_both(void **state)
{
	struct ledger_options o = sealed.place->options;
	const char *both[] = { sealed.place->key };
	(void)state;
	o.sign_key = sealed.other_key;
	o.verify_keys = both;
	o.n_verify_keys = 1;
	struct ledger *l = open_ledger(&o);
	struct ledger_new new = plain();
	append_one(l, &new);
	const struct verdict *v = verify_open(l, &(struct ledger_verify_options){ .from = 0 });
	assert_int_equal(v->status, LEDGER_OK);
	assert_int_equal(v->report.macs, EVENTS + 1);
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ledger_verifies_before_it_is_changed),
		cmocka_unit_test(each_column_of_the_seal_is_covered),
		cmocka_unit_test(a_seal_of_an_unknown_key_is_not_verified),
		cmocka_unit_test(a_seal_that_is_missing_or_malformed_opens_nothing),
		cmocka_unit_test(each_mark_is_that_of_its_events),
		cmocka_unit_test(the_words_of_the_small_tables_are_covered),
		cmocka_unit_test(any_change_to_the_schema_is_found),
		cmocka_unit_test(statistics_of_analyze_are_no_change),
		cmocka_unit_test(streams_are_compared_with_their_events),
		cmocka_unit_test(the_terms_are_compared_when_asked_to_look_deep),
		cmocka_unit_test(a_ledger_of_two_keys_verifies_with_both),
	};
	return cmocka_run_group_tests(tests, make_sealed, remove_sealed);
}
