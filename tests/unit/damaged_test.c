/* Rows that nobody of ours wrote: whoever reads one says that it is damage, names the table, and goes no
 * further. Columns have the type that STRICT gives them, and values that they never have. */
#include "accept_fixture.h"
#include "verify_fixture.h"

#include "../../lib/event/chain.h"
#include "../../lib/event/keyfile.h"
#include "../../lib/event/line.h"
#include "../../lib/replay.h"
#include "../../lib/store/store.h"

static struct ledger_error err;

/* Where the chains of the fork are, and the branch beside one. */
static struct ledger_chain_name chain;
static char node_b[] = "store-b";
static uint8_t branch[EVENT_HASH_SIZE];
static struct lines known; /* the lines of the chain, as they were offered */

/* --- Readers ------------------------------------------------------------------------------------- */

#define IGNORE(name, type)                                                                         \
	static enum ledger_status name(type const *x, void *context, struct ledger_error *e)       \
	{                                                                                          \
		(void)x, (void)context, (void)e;                                                   \
		return LEDGER_OK;                                                                  \
	}
IGNORE(ignore_published, struct ledger_published)
IGNORE(ignore_peer_head, struct ledger_peer_head)
IGNORE(ignore_fork, struct ledger_fork)
IGNORE(ignore_event, struct event)
IGNORE(ignore_held, struct ledger_quarantined)
IGNORE(ignore_parked, struct ledger_parked)

static enum ledger_status published(struct ledger *l)
{
	return ledger_published(l, ignore_published, NULL, &err);
}

static enum ledger_status published_get(struct ledger *l)
{
	uint64_t sequence;
	return ledger_published_get(l, SLICE("shop"), &chain, &sequence, &err);
}

static enum ledger_status received(struct ledger *l)
{
	uint64_t created, sequence;
	return ledger_received_at(l, SLICE("shop"), SLICE("inventory"), &created, &sequence, &err);
}

static enum ledger_status statement(struct ledger *l)
{
	struct ledger_statement s = {
		.node = SLICE("store-c"), .epoch = 9, .boot = 9, .counter = 9
	};
	return ledger_keep_statement(l, &s, &err);
}

static enum ledger_status peer_heads(struct ledger *l)
{
	return ledger_peer_heads(l, ignore_peer_head, NULL, &err);
}

static enum ledger_status forks(struct ledger *l)
{
	return ledger_forks(l, ignore_fork, NULL, &err);
}

static enum ledger_status fork_events(struct ledger *l)
{
	return ledger_fork_events(l, branch, ignore_event, NULL, &err);
}

static enum ledger_status quarantine(struct ledger *l)
{
	return ledger_quarantine_list(l, true, ignore_held, NULL, &err);
}

static enum ledger_status trouble(struct ledger *l)
{
	struct ledger_trouble t;
	return ledger_trouble(l, &t, &err);
}

static enum ledger_status parked(struct ledger *l)
{
	return ledger_parked(l, SLICE("h"), ignore_parked, NULL, &err);
}

static enum ledger_status failing(struct ledger *l)
{
	struct ledger_failing f;
	return ledger_handler_failing(l, SLICE("h"), &f, &err);
}

static enum ledger_status has(struct ledger *l)
{
	struct ledger_head head = { chain.origin, chain.epoch, chain.domain, 1, { 0 } };
	enum ledger_presence presence;
	return ledger_has(l, &head, &presence, &err);
}

static enum ledger_status chain_end(struct ledger *l)
{
	uint64_t sequence;
	return ledger_chain_end(l, &chain, &sequence, &err);
}

static enum ledger_status append(struct ledger *l)
{
	struct ledger_new new = plain();
	struct ledger_answer answer;
	return ledger_append(l, &new, 1, NULL, &answer, &err);
}

/* The second event of the chain once more, which is known. */
static enum ledger_status accept(struct ledger *l)
{
	struct ledger_received again = { .line = known.list[1], .source = &from_b };
	struct ledger_accepted result;
	return ledger_accept(l, &again, 1, NULL, 0, &result, &err);
}

static enum ledger_status accept_rubbish(struct ledger *l)
{
	struct ledger_received rubbish = { .line = SLICE("rubbish"), .source = &from_b };
	struct ledger_accepted result;
	return ledger_accept(l, &rubbish, 1, NULL, 0, &result, &err);
}

/* --- Rows ---------------------------------------------------------------------------------------- */

#define PUT_PUBLISHED "INSERT INTO published SELECT 'shop', id, 1, 1 FROM chain;"
#define PUT_RECEIVED  "INSERT INTO received VALUES ('shop', 'inventory', 1, 1, 1);"
#define PUT_RUN	      "INSERT INTO peer_run VALUES ('store-c', 9, 1, 1);"
#define PUT_HEAD                                                                                   \
	"INSERT INTO peer_head VALUES ('store-c', 'store-b', 1, 'inventory', 1, zeroblob(32), 1, " \
	"1, 1);"
#define PUT_PARKED                                                                                 \
	"INSERT INTO parked VALUES ('h', 1, 'inventory', NULL, zeroblob(32), 1, 'why', 1);"
#define PUT_FAILING "INSERT INTO failing VALUES ('h', 1, 1, 'why', 1);"

static const struct {
	const char *name;
	const char *sql; /* the guards are gone meanwhile */
	enum ledger_status (*read)(struct ledger *l);
	const char *says;
} rows[] = {
	{ "published.sequence", PUT_PUBLISHED "UPDATE published SET sequence = -1", published,
		"table published" },
	{ "published.chain", PUT_PUBLISHED "UPDATE published SET chain = 99 WHERE chain = 1",
		published, "table published" },
	{ "published.sequence of one", PUT_PUBLISHED "UPDATE published SET sequence = -1",
		published_get, "table published" },
	{ "received.created", PUT_RECEIVED "UPDATE received SET created = -1", received,
		"table received" },
	{ "peer_run.counter", PUT_RUN "UPDATE peer_run SET counter = -1", statement,
		"table peer_run" },
	{ "peer_head.hash", PUT_HEAD "UPDATE peer_head SET hash = x'00'", peer_heads,
		"table peer_head" },
	{ "peer_head.sequence", PUT_HEAD "UPDATE peer_head SET sequence = -1", peer_heads,
		"table peer_head" },
	{ "parked.hash", PUT_PARKED "UPDATE parked SET hash = x'00'", parked, "table parked" },
	{ "failing.failures", PUT_FAILING "UPDATE failing SET failures = -1", failing,
		"table failing" },
	{ "branch.received", "UPDATE branch SET received = -1", forks, "table branch" },
	{ "branch.hash of the last",
		"UPDATE branch SET hash = x'00' WHERE sequence = (SELECT max(sequence) FROM "
		"branch)",
		forks, "table branch" },
	{ "chain deleted", "DELETE FROM chain", forks, "table branch" },
	{ "branch.line", "UPDATE branch SET line = 'x'", fork_events, "a branch, sequence 2" },
	{ "branch.sequence", "UPDATE branch SET sequence = -1", fork_events, "in a branch" },
	{ "quarantine.state", "UPDATE quarantine SET state = 'strange'", quarantine,
		"table quarantine" },
	{ "quarantine.reason", "UPDATE quarantine SET reason = 'strange'", quarantine,
		"table quarantine" },
	{ "quarantine.id", "UPDATE quarantine SET id = -1", accept_rubbish, "table quarantine" },
	{ "dropped.messages", "INSERT INTO dropped VALUES ('x', -5, 1)", trouble,
		"tables of quarantine" },
	{ "event.hash", "UPDATE event SET hash = x'00' WHERE sequence = 1", has, "malformed hash" },
	{ "event.sequence", "UPDATE event SET sequence = -sequence", chain_end,
		"malformed sequence" },
	{ "domain.id", "UPDATE domain SET id = -1", has, "malformed row id" },
	{ "event.clock", "UPDATE event SET clock = -1 WHERE domain = 1", append,
		"the head of chain" },
	{ "event deleted", "DELETE FROM event WHERE position = 5", accept, "has no event 2" },
};

/* The same row by row in a file that is put back; the same inode, so the ledger stays at home. */
static void a_malformed_row_is_said_to_be_damage_by_whoever_reads_it(void **state)
{
	struct place *p = *state;
	char whole[128];
	path_in(p, "whole.db", whole);
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(p->db, whole);
	for (size_t i = 0; i < COUNT(rows); i++) {
		copy_file(whole, p->db);
		tamper(p->db, rows[i].sql);
		struct ledger *l = open_ledger(&p->options);
		err = (struct ledger_error){ 0 };
		enum ledger_status got = rows[i].read(l);
		ledger_close(l);
		if (got != LEDGER_DAMAGED || err.status != got || !strstr(err.text, rows[i].says))
			fail_msg("%s: %d: %s", rows[i].name, got, err.text);
	}
}

/* --- Findings of SQLite ------------------------------------------------------------------------------- */

static void a_page_that_cannot_be_read_is_no_damage(void **state)
{
	struct store *s;
	(void)state;
	MUST(store_open_memory(&s, &err));
	MUST(store_check_finding(s, SLICE("ok"), &err));
	MUST(store_check_finding(
		s, SLICE("Tree 5 page 9: btreeInitPage() returns error code 11"), &err));
	MUST_FAIL(LEDGER_IO,
		store_check_finding(s, SLICE("unable to get the page. error code=266"), &err));
	MUST_FAIL(LEDGER_NO_MEMORY, store_check_finding(s, SLICE("page 3: error code 7."), &err));
	store_close(s);
}

/* --- What only somebody with the key can say ----------------------------------------------------------- */

/* A line with this text replaced, and hash and MAC made anew. */
static struct slice resigned(
	const struct place *p, struct slice line, const char *from, const char *to, struct buf *out)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	char room[4096];
	struct event e;
	struct chain_key key;
	uint8_t body[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE], mac[EVENT_HASH_SIZE];
	MUST(event_read_line(changed(line, from, to, room), &arena, &e, &err));
	MUST(keyfile_read(p->key, NULL, &key, &err));
	chain_body(&e, body);
	chain_hash(&e, body, hash);
	chain_mac(&key, hash, mac);
	chain_key_done(&key);
	memcpy(e.hash, hash, sizeof(hash));
	memcpy(e.mac, mac, sizeof(mac));
	buf_reset(out);
	event_add_line(out, &e);
	MUST(buf_check(out, &err));
	return buf_slice(out);
}

static void a_chain_begins_at_its_genesis_even_for_who_has_the_key(void **state)
{
	struct place *p = *state;
	CLEANUP_BUF struct buf line = { 0 };
	struct ledger *l = open_ledger(&p->options);
	struct ledger_accepted result =
		offer(l, resigned(p, known.list[1], "\"sequence\":2", "\"sequence\":1", &line));
	assert_int_equal(result.outcome, LEDGER_BAD);
	assert_int_equal(result.reason, LEDGER_REASON_LINK);
	result = offer(l, resigned(p, known.list[0], "\"domain\":\"inventory\"",
				  "\"domain\":\"orders\"", &line));
	assert_int_equal(result.reason, LEDGER_REASON_LINK);
	ledger_close(l);
}

static void words_are_signed_by_a_key_that_is_known(void **state)
{
	struct place *p = *state;
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_sign(l, "label", SLICE("words"), key, mac, &err));
	MUST(ledger_check_signature(l, "label", SLICE("words"), slice_of(key), mac, &err));
	MUST_FAIL(LEDGER_INVALID,
		ledger_check_signature(l, "label", SLICE("wordz"), slice_of(key), mac, &err));
	MUST_FAIL(LEDGER_INVALID,
		ledger_check_signature(l, "lebal", SLICE("words"), slice_of(key), mac, &err));
	MUST_FAIL(LEDGER_UNVERIFIED, ledger_check_signature(l, "label", SLICE("words"),
					     SLICE("hs256-0000000000000000"), mac, &err));
	ledger_close(l);
	struct ledger_options keyless = p->options;
	keyless.sign_key = NULL;
	keyless.mode = LEDGER_MODE_READ;
	l = open_ledger(&keyless);
	MUST_FAIL(LEDGER_REFUSED, ledger_sign(l, "label", SLICE("words"), key, mac, &err));
	ledger_close(l);
}

static void without_its_key_a_branch_is_not_verified(void **state)
{
	struct place *p = *state;
	char other[128];
	struct ledger_options options = p->options;
	struct ledger_verify_report report;
	struct ledger_verify_options all = { .max_problems = 0 };
	struct ledger_settlement out;
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_fork_settle(l, branch, SLICE("x"), false, &out, &err));
	ledger_close(l);
	MUST(ledger_key_create(path_in(p, "other.key", other), NULL, &err));
	options.sign_key = other;
	options.mode = LEDGER_MODE_READ;
	l = open_ledger(&options);
	MUST_FAIL(LEDGER_UNVERIFIED, ledger_verify(l, &all, &report, &err));
	ledger_close(l);
}

/* --- What is refused ------------------------------------------------------------------------------------ */

static void what_makes_no_ledger_is_refused(void **state)
{
	struct place *p = *state;
	char path[128];
	struct ledger_options o = p->options;
	MUST_FAIL(LEDGER_REFUSED, ledger_create(&o, &err));
	o.path = path_in(p, "new.db", path);
	o.node = "no token";
	MUST_FAIL(LEDGER_INVALID, ledger_create(&o, &err));
	o.node = NULL;
	MUST_FAIL(LEDGER_INVALID, ledger_create(&o, &err));
	o.node = "store-z";
	o.sign_key = NULL;
	MUST_FAIL(LEDGER_USAGE, ledger_create(&o, &err));
	assert_int_not_equal(access(path, F_OK), 0);
}

static void what_cannot_be_settled_is_refused(void **state)
{
	struct place *p = *state;
	struct ledger_settlement out;
	uint8_t strange[EVENT_HASH_SIZE] = { 1 };
	struct ledger *l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_NO, ledger_fork_settle(l, strange, SLICE("x"), false, &out, &err));
	MUST_FAIL(LEDGER_REFUSED, ledger_fork_settle(l, branch, SLICE("x"), true, &out, &err));
	struct ledger_source nameless = { .name = SLICE("") };
	struct ledger_received r = { .line = SLICE("x"), .source = &nameless };
	struct ledger_accepted result;
	MUST_FAIL(LEDGER_INVALID, ledger_accept(l, &r, 1, NULL, 0, &result, &err));
	ledger_close(l);
}

/* A ledger with a fork of store-b's chain, and something in quarantine. */
static int setup(void **state)
{
	struct lines y;
	struct ledger_options options;
	place_make(state);
	struct place *p = *state;
	struct ledger *b = other_node(p, "store-b", "b.db", &options);
	make_fork(&b, &options, 1, 2, 2, &known, &y);
	chain = (struct ledger_chain_name){ slice_of(node_b), ledger_epoch(b), SLICE("inventory") };
	ledger_close(b);
	struct ledger *a = open_ledger(&p->options);
	append_many(a, 3);
	for (size_t i = 0; i < known.n; i++)
		offer(a, known.list[i]);
	for (size_t i = 1; i < y.n; i++)
		assert_int_equal(offer(a, y.list[i]).outcome, LEDGER_FORKED);
	assert_int_equal(offer(a, SLICE("rubbish")).outcome, LEDGER_BAD);
	ledger_close(a);
	CLEANUP_ARENA struct arena arena = { NULL };
	struct event e;
	MUST(event_read_line(y.list[1], &arena, &e, &err));
	memcpy(branch, e.hash, sizeof(branch));
	lines_done(&y);
	return 0;
}

static int teardown(void **state)
{
	lines_done(&known);
	return place_remove(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_malformed_row_is_said_to_be_damage_by_whoever_reads_it),
		cmocka_unit_test(a_page_that_cannot_be_read_is_no_damage),
		TEST(a_chain_begins_at_its_genesis_even_for_who_has_the_key),
		TEST(words_are_signed_by_a_key_that_is_known),
		TEST(without_its_key_a_branch_is_not_verified),
		TEST(what_makes_no_ledger_is_refused),
		TEST(what_cannot_be_settled_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
