/* append goes on from where an index says that a chain ends: one that lies is not built on, and is found. */
#include "verify_fixture.h"

static const struct ledger_verify_options whole;

static void change_schema(const struct place *p, const char *sql)
{
	CLEANUP_BUF struct buf script = { 0 };
	int64_t version = ask_sql(p->db, "PRAGMA schema_version");
	buf_addf(&script, "PRAGMA writable_schema = ON; %s; PRAGMA schema_version = %d", sql,
		(int)version + 1);
	run_sql(p->db, buf_text(&script));
}

/* Leaves entries out of the index of chains. */
static void keep_only(const struct place *p, const char *where)
{
	CLEANUP_BUF struct buf sql = { 0 };
	buf_addf(&sql,
		"UPDATE sqlite_schema SET sql = sql || ' WHERE %s' WHERE name = 'event_chain'",
		where);
	change_schema(p, buf_text(&sql));
	run_sql(p->db, "REINDEX event_chain");
	change_schema(p, "UPDATE sqlite_schema SET sql = substr(sql, 1, instr(sql, ' WHERE') - 1) "
			 "WHERE name = 'event_chain'");
}

/* Two rows change places while SQLite does not know of the index. */
static void swap_behind_the_index(const struct place *p, int a, int b)
{
	CLEANUP_BUF struct buf hide = { 0 }, swap = { 0 };
	buf_addf(&swap,
		"UPDATE event SET position = -1 WHERE position = %d;"
		"UPDATE event SET position = %d WHERE position = %d;"
		"UPDATE event SET position = %d WHERE position = -1",
		a, a, b, b);
	run_sql(p->db,
		"CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'event_chain'");
	change_schema(p, "DELETE FROM sqlite_schema WHERE name = 'event_chain'");
	tamper(p->db, buf_text(&swap));
	change_schema(p, "INSERT INTO sqlite_schema SELECT * FROM hidden");
	run_sql(p->db, "DROP TABLE hidden");
}

/* Orders at 1 to 3, inventory at 4 to 6, notes at 7. */
static void fill(const struct place *p)
{
	static const struct slice domains[] = { TEXT("orders"), TEXT("inventory"), TEXT("notes") };
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < 7; i++) {
		struct ledger_new new = plain();
		new.domain = domains[i / 3];
		append_one(l, &new);
	}
	ledger_close(l);
}

static void expect_refused(const struct place *p, struct slice domain)
{
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	struct ledger_answer answer;
	struct ledger_error err;
	new.domain = domain;
	MUST_FAIL(LEDGER_DAMAGED, ledger_append(l, &new, 1, NULL, &answer, &err));
	ledger_close(l);
}

static void expect_found(const struct place *p, const char *code, const char *place)
{
	const struct verdict *v = verify_file_at(&p->options, p->db, &whole);
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->found[i].code, code) == 0 && strstr(v->found[i].place, place))
			return;
	show_findings(v);
	fail_msg("no %s at %s", code, place);
}

static void an_untouched_ledger_is_well(void **state)
{
	const struct place *p = *state;
	fill(p);
	keep_only(p, "position > 0"); /* all of it */
	swap_behind_the_index(p, 2, 2);
	const struct verdict *v = verify_file_at(&p->options, p->db, &whole);
	if (v->status)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_OK);
}

static void an_index_that_leads_to_another_event_is_not_built_on(void **state)
{
	const struct place *p = *state;
	fill(p);
	swap_behind_the_index(p, 3, 6);
	expect_refused(p, SLICE("orders"));
	expect_refused(p, SLICE("inventory"));
}

static void an_index_without_the_newest_event_is_not_built_on(void **state)
{
	const struct place *p = *state;
	fill(p);
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	append_one(l, &new);
	ledger_close(l);
	keep_only(p, "position <> 8");
	expect_refused(p, SLICE("inventory"));
	expect_found(p, "CHAIN_INDEX", "/inventory/4");
}

static void an_index_without_a_chain_is_not_built_on(void **state)
{
	const struct place *p = *state;
	fill(p);
	keep_only(p, "chain <> 2");
	expect_refused(p, SLICE("inventory"));
	expect_found(p, "CHAIN_INDEX", "/inventory/3");
}

static void an_index_without_the_end_of_an_older_chain_is_found(void **state)
{
	const struct place *p = *state;
	fill(p);
	keep_only(p, "position <> 3");
	expect_found(p, "CHAIN_INDEX", "/orders/3");
}

static void a_chain_without_events_is_found(void **state)
{
	const struct place *p = *state;
	fill(p);
	run_sql(p->db, "INSERT INTO chain (origin, epoch, domain) VALUES ('store-x', 5, 1)");
	expect_found(p, "CHAIN_EMPTY", "store-x/5/orders");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(an_untouched_ledger_is_well),
		TEST(an_index_that_leads_to_another_event_is_not_built_on),
		TEST(an_index_without_the_newest_event_is_not_built_on),
		TEST(an_index_without_a_chain_is_not_built_on),
		TEST(an_index_without_the_end_of_an_older_chain_is_found),
		TEST(a_chain_without_events_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
