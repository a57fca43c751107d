/* What lies on both sides of a seam between two pieces that verify reads by themselves. */
#include "verify_fixture.h"

#include "../../lib/event/chain.h"
#include "../../lib/event/keyfile.h"

static struct ledger_error err;
static const struct ledger_verify_options whole = { .workers = 2 };

#define PIECE 16384 /* positions in a piece of a small ledger */
#define LAST  (2 * PIECE + 1)

static struct {
	struct place *place;
	char copy[128];
} made;

/* Three pieces, of which the last is one event. */
static int make_all(void **state)
{
	void *place;
	(void)state;
	place_make(&place);
	made.place = place;
	path_in(made.place, "copy.db", made.copy);
	struct ledger *l = open_ledger(&made.place->options);
	append_many(l, LAST);
	ledger_close(l);
	run_sql(made.place->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	made.place->options.state_dir = NULL;
	return 0;
}

static int remove_all(void **state)
{
	void *place = made.place;
	(void)state;
	return place_remove(&place);
}

static const struct verdict *verify_copy(const struct ledger_verify_options *options)
{
	return verify_file_at(&made.place->options, made.copy, options);
}

static bool has_code(const struct verdict *v, const char *code)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->found[i].code, code) == 0)
			return true;
	return false;
}

static void a_ledger_of_several_pieces_verifies(void **state)
{
	(void)state;
	copy_file(made.place->db, made.copy);
	const struct verdict *v = verify_copy(&whole);
	if (v->status)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_OK);
	assert_int_equal(v->report.events, LAST);
	assert_int_equal(v->report.chains, 1);
}

static void a_version_that_goes_back_behind_a_seam_is_found(void **state)
{
	const struct place *p = *state;
	struct ledger_verify_options behind = { .from = PIECE + 2, .workers = 2 };
	struct ledger_new new = plain();
	struct ledger *l = open_ledger(&p->options);
	append_many(l, PIECE);
	tamper(p->db, "DELETE FROM stream");
	new.stream = SLICE("product/sku-3");
	assert_int_equal(append_one(l, &new).version, 1);
	append_many(l, 9);
	/* As it would be had a lower version been given by mistake. */
	tamper(p->db, "UPDATE stream SET version = (SELECT max(version) FROM event WHERE "
		      "event.stream = stream.stream)");
	const struct verdict *v = verify_open(l, &whole);
	assert_true(has_finding(v, "VERSION_BACKWARDS", PIECE + 1));
	assert_false(has_code(v, "STREAM_INDEX"));
	/* A range says of its own events only, and these grow. */
	assert_int_equal(verify_open(l, &behind)->status, LEDGER_OK);
	ledger_close(l);
}

/* Rubbish in place of the page that has the event of a position, which is found by its hash. */
static void damage_page_of(const char *path, const char *position)
{
	static const uint8_t rubbish[4096] = { 0xFF };
	uint8_t hash[EVENT_HASH_SIZE], page[4096];
	char sql[128];
	sqlite3 *db;
	sqlite3_stmt *st;
	off_t at = 0;
	snprintf(sql, sizeof(sql), "SELECT hash FROM event WHERE position = %s", position);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	memcpy(hash, sqlite3_column_blob(st, 0), sizeof(hash));
	sqlite3_finalize(st);
	sqlite3_close(db);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	while (pread(fd, page, sizeof(page), at) == sizeof(page) &&
		!memmem(page, sizeof(page), hash, sizeof(hash)))
		at += (off_t)sizeof(page);
	assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), 4096);
	close(fd);
}

static void behind_a_piece_that_cannot_be_read_nothing_else_is_called_damaged(void **state)
{
	(void)state;
	copy_file(made.place->db, made.copy);
	damage_page_of(made.copy, "24576");
	const struct verdict *v = verify_copy(&whole);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_false(v->report.complete);
	assert_true(has_code(v, "FILE_CORRUPT"));
	assert_false(has_code(v, "SEQUENCE_GAP") || has_code(v, "LINK_BROKEN") ||
		     has_code(v, "STREAM_INDEX") || has_code(v, "CLOCK_BACKWARDS"));
}

static void a_row_that_cannot_be_read_does_not_blame_the_table_of_streams(void **state)
{
	(void)state;
	copy_file(made.place->db, made.copy);
	tamper(made.copy, "UPDATE event SET mac = x'00' WHERE position = 32769");
	const struct verdict *v = verify_copy(&whole);
	assert_true(has_finding(v, "ROW_MALFORMED", LAST));
	assert_false(has_code(v, "STREAM_INDEX"));
}

static void an_event_that_is_missing_at_a_seam_is_found(void **state)
{
	(void)state;
	copy_file(made.place->db, made.copy);
	tamper(made.copy, "DELETE FROM event WHERE position = 16384");
	assert_true(has_finding(verify_copy(&whole), "SEQUENCE_GAP", PIECE + 1));
	copy_file(made.place->db, made.copy);
	tamper(made.copy, "DELETE FROM event WHERE position = 16385");
	assert_true(has_finding(verify_copy(&whole), "SEQUENCE_GAP", PIECE + 2));
}

static void a_hash_that_does_not_link_across_a_seam_is_found(void **state)
{
	(void)state;
	copy_file(made.place->db, made.copy);
	tamper(made.copy, "UPDATE event SET hash = zeroblob(32) WHERE position = 16384");
	assert_true(has_finding(verify_copy(&whole), "LINK_BROKEN", PIECE + 1));
	struct ledger_verify_options part = { .from = PIECE + 1, .workers = 2 };
	assert_true(has_finding(verify_copy(&part), "LINK_BROKEN", PIECE + 1));
}

/* --- Signed by somebody with the key ---------------------------------------------------------- */

struct forged {
	struct chain_key key;
	uint8_t hash[EVENT_HASH_SIZE], mac[EVENT_HASH_SIZE];
};

static enum ledger_status sign_first_clock(
	const struct event *e, void *context, struct ledger_error *unused)
{
	struct forged *f = context;
	struct event forged = *e;
	uint8_t body[EVENT_HASH_SIZE];
	(void)unused;
	forged.clock = 1;
	chain_body(&forged, body);
	chain_hash(&forged, body, f->hash);
	chain_mac(&f->key, f->hash, f->mac);
	return LEDGER_OK;
}

static void a_clock_that_goes_back_across_a_seam_is_found_although_signed(void **state)
{
	struct forged f;
	char sql[512];
	size_t n;
	(void)state;
	copy_file(made.place->db, made.copy);
	MUST(keyfile_read(made.place->key, NULL, &f.key, &err));
	struct ledger_options o = made.place->options;
	o.path = made.copy;
	o.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&o);
	MUST(ledger_find(l, SLICE("32769"), sign_first_clock, &f, &err));
	ledger_close(l);
	n = (size_t)snprintf(sql, sizeof(sql), "UPDATE event SET clock = 1, hash = x'");
	for (size_t i = 0; i < 32; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%02x", f.hash[i]);
	n += (size_t)snprintf(sql + n, sizeof(sql) - n, "', mac = x'");
	for (size_t i = 0; i < 32; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%02x", f.mac[i]);
	snprintf(sql + n, sizeof(sql) - n, "' WHERE position = 32769");
	tamper(made.copy, sql);
	const struct verdict *v = verify_copy(&whole);
	assert_true(has_finding(v, "CLOCK_BACKWARDS", LAST));
	assert_false(has_code(v, "HASH_MISMATCH") || has_code(v, "MAC_BAD"));
	chain_key_done(&f.key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ledger_of_several_pieces_verifies),
		cmocka_unit_test_setup_teardown(
			a_version_that_goes_back_behind_a_seam_is_found, place_make, place_remove),
		cmocka_unit_test(behind_a_piece_that_cannot_be_read_nothing_else_is_called_damaged),
		cmocka_unit_test(a_row_that_cannot_be_read_does_not_blame_the_table_of_streams),
		cmocka_unit_test(an_event_that_is_missing_at_a_seam_is_found),
		cmocka_unit_test(a_hash_that_does_not_link_across_a_seam_is_found),
		cmocka_unit_test(a_clock_that_goes_back_across_a_seam_is_found_although_signed),
	};
	return cmocka_run_group_tests(tests, make_all, remove_all);
}
