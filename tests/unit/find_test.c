/* Looking things up in the golden ledger: one event by its names, words for completion, chains. */
#include "ledger_fixture.h"

static struct ledger_error err;
static struct place *golden;
static struct ledger *ledger;

static int open_golden(void **state)
{
	static char db[128];
	(void)state;
	golden = place_empty();
	make_golden(golden, "300");
	golden->options.path = path_in(golden, "golden.db", db);
	golden->options.mode = LEDGER_MODE_READ;
	golden->options.sign_key = NULL;
	ledger = open_ledger(&golden->options);
	return 0;
}

static int close_golden(void **state)
{
	void *place = golden;
	(void)state;
	ledger_close(ledger);
	return place_remove(&place);
}

/* --- One event ------------------------------------------------------------------------------- */

static enum ledger_status keep_position(
	const struct event *e, void *context, struct ledger_error *unused)
{
	(void)unused;
	*(uint64_t *)context = e->position;
	return LEDGER_OK;
}

static enum ledger_status find(const char *reference, uint64_t *position)
{
	*position = 0;
	return ledger_find(ledger, slice_of(reference), keep_position, position, &err);
}

/* Each event of the file by every name it has. */
static void an_event_is_found_by_each_of_its_names(void **state)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	int n = 0;
	(void)state;
	assert_int_equal(sqlite3_open(golden->options.path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db,
		"SELECT position, position, id, upper(id), replace(id, '-', ''), substr(id, 1, "
		"35), "
		"origin || '/' || epoch || '/' || domain || '/' || sequence FROM events",
		-1, &st, NULL);
	for (; sqlite3_step(st) == SQLITE_ROW; n++) {
		for (int i = 1; i < sqlite3_column_count(st); i++) {
			const char *name = (const char *)sqlite3_column_text(st, i);
			uint64_t position;
			MUST(find(name, &position));
			if (position != (uint64_t)sqlite3_column_int64(st, 0))
				fail_msg("%s: %" PRIu64, name, position);
		}
	}
	assert_int_equal(n, 300);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

static const struct {
	const char *reference;
	enum ledger_status status;
} nothing[] = {
	{ "0", LEDGER_NO },
	{ "301", LEDGER_NO },
	{ "18446744073709551615", LEDGER_NO },
	{ "99999999", LEDGER_NO }, /* a position, or the beginning of an id */
	{ "ffffffff", LEDGER_NO },
	{ "ffffffff-ffff-ffff-ffff-ffffffffffff", LEDGER_NO },
	{ "store-a/1/inventory/1", LEDGER_NO },
	{ "store-x/1/inventory/1", LEDGER_NO },
	{ "store-a/1706745600000000/nowhere/1", LEDGER_NO },
	{ "store-a/1706745600000000/inventory/0", LEDGER_NO },
	{ "store-a/1706745600000000/inventory/999999", LEDGER_NO },
	{ "", LEDGER_INVALID },
	{ "abc", LEDGER_INVALID },
	{ "fffffff", LEDGER_INVALID },
	{ "-1", LEDGER_INVALID },
	{ "+1", LEDGER_INVALID },
	{ "1.0", LEDGER_INVALID },
	{ "gggggggg", LEDGER_INVALID },
	{ "--------", LEDGER_INVALID },
	{ "ffffffff-ffff-ffff-ffff-fffffffffffff", LEDGER_INVALID },
	{ "store-a/1706745600000000/inventory", LEDGER_INVALID },
	{ "store-a/1706745600000000/inventory/", LEDGER_INVALID },
	{ "store-a/1706745600000000/inventory/1/2", LEDGER_INVALID },
	{ "store-a/x/inventory/1", LEDGER_INVALID },
	{ "/1/inventory/1", LEDGER_INVALID },
	{ "/", LEDGER_INVALID },
	{ "product/sku-1", LEDGER_INVALID },
};

static void what_is_not_there_is_told_from_what_is_no_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(nothing); i++) {
		uint64_t position;
		enum ledger_status status = find(nothing[i].reference, &position);
		if (status != nothing[i].status)
			fail_msg("'%s': %d", nothing[i].reference, status);
		assert_true(err.text[0]);
	}
}

static void a_prefix_of_several_ids_names_some_of_them(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	uint64_t position = 0;
	new.has_id = true;
	memcpy(new.id, "\x12\x34\x56\x78\x9A....Xjklmno", 16);
	append_one(l, &new);
	new.id[5] = 'Y';
	append_one(l, &new);
	MUST_FAIL(LEDGER_INVALID,
		ledger_find(l, SLICE("12345678-9a"), keep_position, &position, &err));
	assert_non_null(strstr(err.hint, "12345678-9a2e"));
	assert_int_equal(position, 0);
	/* Digits that may be a position or an id: the position has it, where there is one. */
	MUST(ledger_find(l, SLICE("00000002"), keep_position, &position, &err));
	assert_int_equal(position, 2);
	MUST_FAIL(
		LEDGER_INVALID, ledger_find(l, SLICE("12345678"), keep_position, &position, &err));
	ledger_close(l);
}

/* --- Words ----------------------------------------------------------------------------------- */

static enum ledger_status add_word(struct slice word, void *context, struct ledger_error *unused)
{
	(void)unused;
	buf_add_slice(context, word);
	buf_add_char(context, '\n');
	return LEDGER_OK;
}

/* What SQL says: sorted, each once, those that begin with the prefix. */
static void add_words_by_sql(struct buf *out, const char *words, const char *prefix, int limit)
{
	char text[512];
	sqlite3 *db;
	sqlite3_stmt *st;
	snprintf(text, sizeof(text),
		"SELECT word FROM (SELECT DISTINCT %s) WHERE word NOT LIKE '@%%' AND "
		"substr(CAST(word AS BLOB), 1, length(?1)) = ?1 ORDER BY word LIMIT ?2",
		words);
	assert_int_equal(sqlite3_open(golden->options.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	sqlite3_bind_blob(st, 1, prefix, (int)strlen(prefix), SQLITE_STATIC);
	if (!*prefix)
		sqlite3_bind_zeroblob(st, 1, 0);
	sqlite3_bind_int(st, 2, limit);
	while (sqlite3_step(st) == SQLITE_ROW)
		buf_addf(out, "%s\n", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
}

static const struct {
	enum ledger_words which;
	const char *sql;
	const char *prefixes[6];
} kinds[] = {
	{ LEDGER_WORDS_DOMAIN, "name AS word FROM domain", { "", "i", "_", "x", "inventory" } },
	{ LEDGER_WORDS_ORIGIN, "origin AS word FROM chain", { "", "store-", "store-c", "z" } },
	{ LEDGER_WORDS_TYPE, "type AS word FROM event", { "", "stock", "stock_c", "r", "~" } },
	{ LEDGER_WORDS_STREAM, "stream AS word FROM event WHERE stream IS NOT NULL",
		{ "", "p", "product/", "product/sku-3", "order/caf\xC3\xA9",
			"order/caf\xC3\xA8" } },
	{ LEDGER_WORDS_TAG,
		"term AS word FROM term WHERE term LIKE '%:%' AND (instr(term, '/') = 0 OR "
		"instr(term, ':') < instr(term, '/'))",
		{ "", "day:", "item:3", "\xC3\xA9:", "@", "z" } },
};

static void words_are_those_that_begin_so_in_order(void **state)
{
	static const int limits[] = { 1000, 3, 1 };
	(void)state;
	for (size_t i = 0; i < COUNT(kinds) * 6 * COUNT(limits); i++) {
		size_t kind = i / 6 / COUNT(limits);
		const char *prefix = kinds[kind].prefixes[i / COUNT(limits) % 6];
		int limit = limits[i % COUNT(limits)];
		CLEANUP_BUF struct buf got = { 0 }, want = { 0 };
		if (!prefix)
			continue;
		MUST(ledger_list_words(ledger, kinds[kind].which, slice_of(prefix), (size_t)limit,
			add_word, &got, &err));
		add_words_by_sql(&want, kinds[kind].sql, prefix, limit);
		if (strcmp(buf_text(&got), buf_text(&want)) != 0)
			fail_msg("%s, '%s': %s instead of %s", kinds[kind].sql, prefix,
				buf_text(&got), buf_text(&want));
	}
}

static void words_of_cursors_are_their_names(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	CLEANUP_BUF struct buf got = { 0 };
	MUST(ledger_cursor_set(l, SLICE("mail"), 0, &err));
	MUST(ledger_cursor_set(l, SLICE("mailbox"), 0, &err));
	MUST(ledger_cursor_set(l, SLICE("a"), 0, &err));
	MUST(ledger_list_words(l, LEDGER_WORDS_CURSOR, SLICE("mail"), 10, add_word, &got, &err));
	assert_string_equal(buf_text(&got), "mail\nmailbox\n");
	ledger_close(l);
}

/* --- Chains ---------------------------------------------------------------------------------- */

static enum ledger_status add_chain(
	const struct ledger_chain *c, void *context, struct ledger_error *unused)
{
	struct buf *out = context;
	(void)unused;
	buf_addf(out, "%.*s %" PRIu64 " %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ",
		SLICE_ARG(c->origin), c->epoch, SLICE_ARG(c->domain), c->sequence, c->position,
		c->clock, c->time);
	buf_add_hex(out, c->hash, EVENT_HASH_SIZE);
	buf_add_char(out, '\n');
	return LEDGER_OK;
}

static void chains_come_with_their_heads_in_order(void **state)
{
	CLEANUP_BUF struct buf got = { 0 }, want = { 0 };
	sqlite3 *db;
	sqlite3_stmt *st;
	(void)state;
	assert_int_equal(sqlite3_open(golden->options.path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db,
		"SELECT origin || ' ' || epoch || ' ' || name || ' ' || max(sequence) || ' ' || "
		"position || ' ' || clock || ' ' || time || ' ' || lower(hex(hash)) "
		"FROM event JOIN chain ON chain.id = chain JOIN domain ON domain.id = chain.domain "
		"GROUP BY chain ORDER BY origin, epoch, name",
		-1, &st, NULL);
	while (sqlite3_step(st) == SQLITE_ROW)
		buf_addf(&want, "%s\n", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	MUST(ledger_chains(ledger, add_chain, &got, &err));
	assert_true(want.len > 500);
	assert_string_equal(buf_text(&got), buf_text(&want));
}

static void the_overview_counts(void **state)
{
	struct ledger_overview o;
	const char *path = golden->options.path;
	(void)state;
	MUST(ledger_overview(ledger, &o, &err));
	assert_string_equal(o.node, "store-a");
	assert_int_equal(o.events, 300);
	assert_int_equal(o.chains, ask_sql(path, "SELECT count(*) FROM chain"));
	assert_int_equal(o.domains, 4);
	assert_int_equal(o.origins, 3);
	assert_int_equal(o.streams, ask_sql(path, "SELECT count(DISTINCT stream) FROM event"));
	assert_int_equal(o.types, ask_sql(path, "SELECT count(DISTINCT type) FROM event"));
	assert_int_equal(o.first_time, ask_sql(path, "SELECT time FROM event WHERE position = 1"));
	assert_int_equal(o.last_time, ask_sql(path, "SELECT time FROM event WHERE position = 300"));
	assert_int_equal(o.home, LEDGER_REFUSED); /* its home is unknown: a copy */
	assert_non_null(strstr(o.home_text, "copied"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_found_by_each_of_its_names),
		cmocka_unit_test(what_is_not_there_is_told_from_what_is_no_reference),
		TEST(a_prefix_of_several_ids_names_some_of_them),
		cmocka_unit_test(words_are_those_that_begin_so_in_order),
		TEST(words_of_cursors_are_their_names),
		cmocka_unit_test(chains_come_with_their_heads_in_order),
		cmocka_unit_test(the_overview_counts),
	};
	return cmocka_run_group_tests(tests, open_golden, close_golden);
}
