/* Appending: the place an event gets, what is refused, and that a batch is all or nothing. */
#include "ledger_fixture.h"

#include "../../lib/event/chain.h"

static struct ledger_error err;

/* The event at a position, copied; valid until the next call. */
static struct arena kept_in;

static enum ledger_status keep(const struct event *e, void *context, struct ledger_error *unused)
{
	struct event *kept = context;
	(void)unused;
	*kept = *e;
	struct slice *texts[] = { &kept->origin, &kept->domain, &kept->stream, &kept->type,
		&kept->tags, &kept->payload, &kept->metadata, &kept->key };
	arena_reset(&kept_in);
	for (size_t i = 0; i < COUNT(texts); i++)
		if (texts[i]->ptr)
			*texts[i] = arena_copy(&kept_in, *texts[i]);
	return LEDGER_OK;
}

static struct event event_at(struct ledger *l, uint64_t position)
{
	char reference[24];
	struct event e;
	snprintf(reference, sizeof(reference), "%" PRIu64, position);
	MUST(ledger_find(l, slice_of(reference), keep, &e, &err));
	return e;
}

static int done(void **state)
{
	arena_done(&kept_in);
	return place_remove(state);
}

static void expect_verified(struct ledger *l)
{
	struct ledger_verify_options all = { .deep = true };
	struct ledger_verify_report report;
	MUST(ledger_verify(l, &all, &report, &err));
	assert_true(report.complete && report.seal && report.seal_mac);
	assert_int_equal(report.macs, report.last);
}

/* --- Places ---------------------------------------------------------------------------------- */

static const struct {
	const char *domain, *stream;
	uint64_t sequence, version;
} places[] = {
	{ "inventory", "product/sku-1", 1, 1 },
	{ "inventory", "product/sku-2", 2, 1 },
	{ "inventory", "product/sku-1", 3, 2 },
	{ "orders", "order/17", 1, 1 },
	{ "orders", "product/sku-1", 2, 1 }, /* another stream: the domain is part of it */
	{ "inventory", NULL, 4, 0 },
	{ "inventory", "product/sku-1", 5, 3 },
	{ "inventory", "product/sku-11", 6, 1 },
	{ "orders", "order/17", 3, 2 },
};

static void expect_place(const struct ledger_answer *answer, size_t i)
{
	assert_int_equal(answer->position, i + 1);
	assert_int_equal(answer->sequence, places[i].sequence);
	assert_int_equal(answer->version, places[i].version);
	assert_false(answer->repeated);
}

static struct ledger_new at_place(size_t i)
{
	struct ledger_new new = plain();
	new.domain = slice_of(places[i].domain);
	new.stream = slice_of(places[i].stream);
	return new;
}

static void positions_sequences_and_versions_are_counted_apart(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < COUNT(places); i++) {
		struct ledger_new new = at_place(i);
		struct ledger_answer answer = append_one(l, &new);
		expect_place(&answer, i);
	}
	expect_verified(l);
	ledger_close(l);
}

static void one_batch_counts_like_many(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new events[COUNT(places)];
	struct ledger_answer answers[COUNT(places)];
	for (size_t i = 0; i < COUNT(places); i++)
		events[i] = at_place(i);
	MUST(ledger_append(l, events, COUNT(places), NULL, answers, &err));
	for (size_t i = 0; i < COUNT(places); i++)
		expect_place(&answers[i], i);
	expect_verified(l);
	ledger_close(l);
}

static void what_is_recorded_is_what_was_given(void **state)
{
	static const struct slice tags[] = { TEXT("product:sku-1"), TEXT("order:17"),
		TEXT("product:sku-1") };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.stream = SLICE("product/日本語");
	new.schema = 7;
	new.has_time = true;
	new.time = 1;
	new.tags = tags;
	new.n_tags = COUNT(tags);
	new.payload = SLICE(" \r\n{ \"b\" : 1,\n\t\"a\" : -0.0,\r\"\\u00e9\":1e9999 }\n ");
	new.metadata = SLICE("\t{\"actor\":\n\"ada\"}");
	struct ledger_answer answer = append_one(l, &new);
	struct event e = event_at(l, 1);
	uint8_t body[32], hash[32], genesis[32];
	assert_true(slice_is(e.stream, "product/日本語"));
	assert_int_equal(e.schema, 7);
	assert_int_equal(e.time, 1);
	assert_true(slice_is(e.tags, "order:17 product:sku-1"));
	assert_true(slice_is(e.payload, "{ \"b\" : 1, \t\"a\" : -0.0, \"\\u00e9\":1e9999 }"));
	assert_true(slice_is(e.metadata, "{\"actor\": \"ada\"}"));
	assert_true(slice_is(e.origin, "store-a"));
	assert_int_equal(e.epoch, ledger_epoch(l));
	chain_body(&e, body);
	chain_hash(&e, body, hash);
	chain_genesis(e.origin, e.epoch, e.domain, genesis);
	assert_memory_equal(e.hash, hash, 32);
	assert_memory_equal(answer.hash, hash, 32);
	assert_memory_equal(e.prev, genesis, 32);
	assert_memory_equal(e.id, answer.id, 16);
	assert_int_equal(e.id[6] >> 4, 7);
	ledger_close(l);
}

/* The golden ledger has streams to which several origins wrote, the last with a lower version. */
static void a_version_is_one_more_than_the_highest_held(void **state)
{
	struct place *p = *state;
	char db[128], key[128], other[128], stream[512];
	const char *others[] = { path_in(p, "golden-b.key", other) };
	struct ledger_recovery recovery;
	sqlite3_stmt *st;
	sqlite3 *file;
	make_golden(p, "300");
	assert_int_equal(sqlite3_open(path_in(p, "golden.db", db), &file), SQLITE_OK);
	sqlite3_prepare_v2(file,
		"SELECT stream, domain.name, highest FROM event JOIN domain ON domain.id = domain, "
		"(SELECT stream AS s, domain AS d, max(version) AS highest, max(position) AS last "
		"FROM event GROUP BY stream, domain) "
		"WHERE position = last AND version < highest AND stream IS NOT NULL",
		-1, &st, NULL);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	snprintf(stream, sizeof(stream), "%s", sqlite3_column_text(st, 0));
	struct ledger_new new = plain();
	struct slice domain =
		arena_copy(&kept_in, slice_of((const char *)sqlite3_column_text(st, 1)));
	uint64_t highest = (uint64_t)sqlite3_column_int64(st, 2);
	sqlite3_finalize(st);
	sqlite3_close(file);
	p->options.path = db;
	p->options.sign_key = path_in(p, "golden-a.key", key);
	p->options.verify_keys = others;
	p->options.n_verify_keys = 1;
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_recover(l, SLICE("test"), false, false, &recovery, &err));
	new.stream = slice_of(stream);
	new.domain = domain;
	assert_int_equal(append_one(l, &new).version, highest + 1);
	expect_verified(l);
	ledger_close(l);
}

static void more_domains_in_a_batch_than_are_remembered_keep_their_chains(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_begin(l, &err));
	for (uint64_t round = 1; round <= 3; round++) {
		for (int i = 0; i < 150; i++) {
			char domain[24];
			struct ledger_answer answer;
			struct ledger_new new = plain();
			snprintf(domain, sizeof(domain), "domain-%d", i);
			new.domain = slice_of(domain);
			MUST(ledger_add(l, &new, NULL, &answer, &err));
			assert_int_equal(answer.sequence, round);
		}
	}
	MUST(ledger_commit(l, &err));
	expect_verified(l);
	ledger_close(l);
}

static void every_1024th_position_gets_a_mark(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 1023);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM mark"), 0);
	append_many(l, 1);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM mark"), 1);
	append_many(l, 1100);
	assert_int_equal(ask_sql(p->db, "SELECT sum(position) FROM mark"), 1024 + 2048);
	assert_int_equal(
		ask_sql(p->db, "SELECT count(*) FROM mark WHERE (min_time, max_time) = "
			       "(SELECT min(time), max(time) FROM event WHERE "
			       "(event.position - 1) / 1024 = (mark.position - 1) / 1024)"),
		2);
	expect_verified(l);
	ledger_close(l);
}

/* --- Tags and correlation -------------------------------------------------------------------- */

static void tags_are_sorted_and_listed_once(void **state)
{
	static const struct slice tags[] = { TEXT("b:2"), TEXT("a:10"), TEXT("a:2"), TEXT("b:2"),
		TEXT("é:1") };
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.tags = tags;
	new.n_tags = 4;
	append_one(l, &new);
	assert_true(slice_is(event_at(l, 1).tags, "a:10 a:2 b:2"));
	assert_int_equal(
		ask_sql(p->db, "SELECT count(*) FROM term WHERE position = 1 AND term LIKE '_:%'"),
		3);
	new.n_tags = 5;
	MUST_FAIL(LEDGER_INVALID,
		ledger_append(l, &new, 1, NULL, &(struct ledger_answer){ 0 }, &err));
	ledger_close(l);
}

static void a_correlation_is_found_by_its_index(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.metadata = SLICE("{\"correlation_id\":\"caf\\u00e9 17\"}");
	append_one(l, &new);
	new.metadata = SLICE("{\"correlation_id\":17}");
	append_one(l, &new);
	assert_int_equal(
		ask_sql(p->db, "SELECT position FROM term WHERE term = '@correlation:café 17'"), 1);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM term WHERE term LIKE '@%'"), 1);
	ledger_close(l);
}

/* --- All or nothing -------------------------------------------------------------------------- */

static const char all_rows[] =
	"SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM term) + (SELECT "
	"total(version) FROM stream) + (SELECT count(*) FROM "
	"mark) + "
	"(SELECT count(*) FROM domain) + (SELECT count(*) FROM chain) + "
	"(SELECT count(*) FROM signing_key) + (SELECT count(*) FROM cursor) + "
	"(SELECT position + clock FROM seal)";

static void a_rollback_leaves_nothing(void **state)
{
	static const struct slice tag = TEXT("a:1");
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_condition condition = { .cursor = SLICE("c"), .cursor_position = 1 };
	struct ledger_new new = plain();
	struct ledger_answer answer;
	new.tags = &tag;
	new.n_tags = 1;
	MUST(ledger_begin(l, &err));
	MUST(ledger_add(l, &new, &condition, &answer, &err));
	ledger_rollback(l);
	assert_int_equal(ask_sql(p->db, all_rows), 0);
	ledger_rollback(l);
	answer = append_one(l, &new);
	assert_int_equal(answer.position, 1);
	assert_int_equal(answer.sequence, 1);
	expect_verified(l);
	ledger_close(l);
}

/* The words of a batch get their numbers again, for other words. */
static void words_of_a_batch_that_was_rolled_back_are_forgotten(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	new.has_id = true;
	new.id[0] = 1;
	MUST(ledger_begin(l, &err));
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_add(l, &new, NULL, &answer, &err)); /* known: it is read, its words are kept */
	assert_true(answer.repeated);
	ledger_rollback(l);
	new.domain = SLICE("orders");
	append_one(l, &new);
	assert_true(slice_is(event_at(l, 1).domain, "orders"));
	expect_verified(l);
	ledger_close(l);
}

static void closing_in_the_middle_of_a_batch_leaves_nothing(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	MUST(ledger_begin(l, &err));
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	ledger_close(l);
	assert_int_equal(ask_sql(p->db, all_rows), 0);
}

static void a_bad_event_takes_its_batch_along(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain(), bad = plain();
	struct ledger_answer answer;
	bad.payload = SLICE("{");
	MUST(ledger_begin(l, &err));
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST_FAIL(LEDGER_INVALID, ledger_add(l, &bad, NULL, &answer, &err));
	MUST_FAIL(LEDGER_USAGE, ledger_add(l, &new, NULL, &answer, &err));
	MUST_FAIL(LEDGER_USAGE, ledger_commit(l, &err));
	assert_int_equal(ask_sql(p->db, all_rows), 0);
	assert_int_equal(append_one(l, &new).position, 1);
	ledger_close(l);
}

static void others_see_a_batch_only_when_it_is_committed(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	uint64_t last;
	MUST(ledger_begin(l, &err));
	MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_last_position(other, &last, &err));
	assert_int_equal(last, 0);
	MUST(ledger_commit(l, &err));
	MUST(ledger_last_position(other, &last, &err));
	assert_int_equal(last, 1);
	ledger_close(l);
	ledger_close(other);
}

static void two_ledgers_that_write_in_turn_make_one_chain(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	for (uint64_t i = 1; i <= 10; i++) {
		struct ledger_new new = plain();
		assert_int_equal(append_one(i % 3 ? l : other, &new).sequence, i);
	}
	expect_verified(other);
	ledger_close(l);
	ledger_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, done)
	const struct CMUnitTest tests[] = {
		TEST(positions_sequences_and_versions_are_counted_apart),
		TEST(one_batch_counts_like_many),
		TEST(what_is_recorded_is_what_was_given),
		TEST(a_version_is_one_more_than_the_highest_held),
		TEST(more_domains_in_a_batch_than_are_remembered_keep_their_chains),
		TEST(every_1024th_position_gets_a_mark),
		TEST(tags_are_sorted_and_listed_once),
		TEST(a_correlation_is_found_by_its_index),
		TEST(a_rollback_leaves_nothing),
		TEST(words_of_a_batch_that_was_rolled_back_are_forgotten),
		TEST(closing_in_the_middle_of_a_batch_leaves_nothing),
		TEST(a_bad_event_takes_its_batch_along),
		TEST(others_see_a_batch_only_when_it_is_committed),
		TEST(two_ledgers_that_write_in_turn_make_one_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
