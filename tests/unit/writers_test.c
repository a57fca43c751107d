/* Who may write a ledger: one at a time, and only with its key. */
#include "ledger_fixture.h"

static struct ledger_error err;

static void expect_verified(struct ledger *l)
{
	struct ledger_verify_options all = { .deep = true };
	struct ledger_verify_report report;
	MUST(ledger_verify(l, &all, &report, &err));
	assert_true(report.complete && report.seal && report.seal_mac);
	assert_int_equal(report.macs, report.last);
}

static enum ledger_status keep_key(
	const struct event *e, void *context, struct ledger_error *unused)
{
	(void)unused;
	snprintf(context, 32, "%.*s", SLICE_ARG(e->key));
	return LEDGER_OK;
}

static void a_second_writer_is_told_that_it_is_busy(void **state)
{
	struct place *p = *state;
	p->options.timeout = 20000;
	struct ledger *l = open_ledger(&p->options), *other = open_ledger(&p->options);
	MUST(ledger_begin(l, &err));
	uint64_t begun = time_monotonic();
	MUST_FAIL(LEDGER_BUSY, ledger_begin(other, &err));
	assert_true(time_monotonic() - begun >= 20000);
	ledger_rollback(l);
	MUST(ledger_begin(other, &err));
	ledger_close(l);
	ledger_close(other);
}

static void who_has_no_key_or_another_key_cannot_write(void **state)
{
	const struct place *p = *state;
	char other[128];
	struct ledger_options options = p->options;
	MUST(ledger_key_create(path_in(p, "other.key", other), NULL, &err));
	options.sign_key = NULL;
	struct ledger *l = open_ledger(&options);
	MUST_FAIL(LEDGER_USAGE, ledger_begin(l, &err));
	ledger_close(l);
	options.sign_key = other;
	l = open_ledger(&options);
	MUST_FAIL(LEDGER_UNVERIFIED, ledger_begin(l, &err));
	ledger_close(l);
	options = p->options;
	options.mode = LEDGER_MODE_READ;
	l = open_ledger(&options);
	MUST_FAIL(LEDGER_REFUSED, ledger_begin(l, &err));
	ledger_close(l);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 0);
}

/* A reader keeps the words of the small tables in memory: the new key is a word it has not met. */
static void a_new_signing_key_goes_on_in_the_same_chain_while_others_read(void **state)
{
	const struct place *p = *state;
	char fresh[128];
	const char *both[] = { p->key, path_in(p, "fresh.key", fresh) };
	struct ledger_options options = p->options;
	MUST(ledger_key_create(fresh, NULL, &err));
	options.verify_keys = both;
	options.n_verify_keys = 2;
	struct ledger *reader = open_ledger(&options), *l = open_ledger(&options);
	struct ledger_new new = plain();
	append_one(l, &new);
	ledger_close(l);
	char old_key[32], new_key[32];
	MUST(ledger_find(reader, SLICE("1"), keep_key, old_key, &err));
	options.sign_key = fresh;
	l = open_ledger(&options);
	assert_int_equal(append_one(l, &new).sequence, 2);
	MUST(ledger_find(reader, SLICE("2"), keep_key, new_key, &err));
	assert_string_not_equal(old_key, new_key);
	expect_verified(reader);
	ledger_close(l);
	ledger_close(reader);
}

static void a_changed_seal_is_written_by_nobody(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	append_many(l, 3);
	run_sql(p->db, "UPDATE seal SET clock = clock + 1");
	MUST_FAIL(LEDGER_DAMAGED, ledger_begin(l, &err));
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_second_writer_is_told_that_it_is_busy),
		TEST(who_has_no_key_or_another_key_cannot_write),
		TEST(a_new_signing_key_goes_on_in_the_same_chain_while_others_read),
		TEST(a_changed_seal_is_written_by_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
