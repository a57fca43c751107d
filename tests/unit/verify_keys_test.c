/* What verify says when it could not check everything: a key or the content is not there. */
#include "golden_fixture.h"

#include "../../lib/event/chain.h"

static struct ledger_error err;
static const struct ledger_verify_options whole = { .workers = 1 };

#define AT_103	  " WHERE position = 103"
#define SET(what) "UPDATE event SET " what AT_103

static int make_all(void **state)
{
	(void)state;
	return golden_make("300");
}

static enum ledger_status add_body(
	const struct event *e, void *context, struct ledger_error *unused)
{
	uint8_t body[32];
	(void)unused;
	chain_body(e, body);
	buf_add_hex(context, body, sizeof(body));
	return LEDGER_OK;
}

/* Format v1 reserves this: payload, metadata and salt given up, the commitment stays. */
static void an_erased_event_is_not_verified_and_not_damaged(void **state)
{
	CLEANUP_BUF struct buf hex = { 0 }, sql = { 0 };
	struct ledger_options o = golden.place->options;
	(void)state;
	o.path = golden.db;
	o.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&o);
	MUST(ledger_find(l, SLICE("103"), add_body, &hex, &err));
	ledger_close(l);
	buf_addf(&sql, SET("payload = NULL, salt = NULL, metadata = NULL, body = x'%s'"),
		buf_text(&hex));
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, buf_text(&sql));
	const struct verdict *v = verify_file_at(&golden.place->options, golden.copy, &whole);
	if (v->status != LEDGER_UNVERIFIED)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_UNVERIFIED);
	assert_true(has_finding(v, "FORMAT_UNKNOWN", 103));
	assert_int_equal(v->report.unverified, 1);
}

static void a_missing_key_is_not_damage(void **state)
{
	struct ledger_options o = golden.place->options;
	(void)state;
	o.n_verify_keys = 0;
	const struct verdict *v = verify_file_at(&o, golden.db, &whole);
	assert_int_equal(v->status, LEDGER_UNVERIFIED);
	assert_true(v->report.complete);
	assert_int_equal(v->report.problems, 0);
	assert_int_equal(v->report.unverified,
		ask_sql(golden.db,
			"SELECT count(*) FROM event JOIN signing_key ON signing_key.id = "
			"signing_key WHERE name <> (SELECT signing_key FROM seal)"));
	assert_int_equal(v->report.macs + v->report.unverified, 300);
	assert_int_equal(v->n, 1); /* said once */
	assert_string_equal(v->found[0].code, "KEY_UNKNOWN");
	assert_true(v->report.seal_mac);
	/* Damage is told all the same. */
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, SET("payload = '1'"));
	assert_int_equal(verify_file_at(&o, golden.copy, &whole)->status, LEDGER_DAMAGED);
}

static void a_ledger_signed_by_strangers_is_not_verified(void **state)
{
	struct ledger_options o = golden.place->options;
	char key[128];
	(void)state;
	MUST(ledger_key_create(path_in(golden.place, "stranger.key", key), NULL, &err));
	o.sign_key = key;
	o.n_verify_keys = 0;
	const struct verdict *v = verify_file_at(&o, golden.db, &whole);
	assert_int_equal(v->status, LEDGER_UNVERIFIED);
	assert_int_equal(v->report.macs, 0);
	assert_false(v->report.seal_mac);
	o.sign_key = NULL;
	assert_int_equal(verify_file_at(&o, golden.db, &whole)->status, LEDGER_UNVERIFIED);
}

static void hashes_alone_say_so(void **state)
{
	struct ledger_options o = golden.place->options;
	struct ledger_verify_options hash_only = { .hash_only = true };
	(void)state;
	o.sign_key = "/no/such/key";
	const struct verdict *v = verify_file_at(&o, golden.db, &hash_only);
	assert_int_equal(v->status, LEDGER_OK);
	assert_int_equal(v->report.events, 300);
	assert_int_equal(v->report.macs, 0);
	assert_true(v->report.seal);
	assert_false(v->report.seal_mac);
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, SET("mac = zeroblob(32)"));
	assert_int_equal(verify_file_at(&o, golden.copy, &hash_only)->status, LEDGER_OK);
	tamper(golden.copy, SET("payload = '1'"));
	assert_int_equal(verify_file_at(&o, golden.copy, &hash_only)->status, LEDGER_DAMAGED);
	/* Asked for MACs, a key that cannot be read is no verdict at all. */
	v = verify_file_at(&o, golden.db, &whole);
	assert_int_equal(v->status, LEDGER_USAGE);
	assert_false(v->report.complete);
	assert_int_equal(v->report.events, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_erased_event_is_not_verified_and_not_damaged),
		cmocka_unit_test(a_missing_key_is_not_damage),
		cmocka_unit_test(a_ledger_signed_by_strangers_is_not_verified),
		cmocka_unit_test(hashes_alone_say_so),
	};
	return cmocka_run_group_tests(tests, make_all, golden_remove);
}
