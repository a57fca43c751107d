/* Recover: after a copy or restore a ledger goes on under an epoch of its own. */
#include "verify_fixture.h"

static struct ledger_error err;

/* Writing is refused. */
static void expect_refused(const struct place *p)
{
	struct ledger *l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_REFUSED, ledger_begin(l, &err));
	ledger_close(l);
}

static void expect_home(const struct place *p)
{
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	MUST(ledger_check_home(l, &err));
	append_one(l, &new);
	MUST(ledger_check_home(l, &err));
	ledger_close(l);
}

static void expect_within(struct slice payload, const char *part)
{
	if (!memmem(payload.ptr, payload.len, part, strlen(part)))
		fail_msg("no %s in %.*s", part, SLICE_ARG(payload));
}

static enum ledger_status check_started(
	const struct event *e, void *context, struct ledger_error *unused)
{
	const struct ledger_recovery *r = context;
	char old_epoch[64];
	(void)unused;
	snprintf(old_epoch, sizeof(old_epoch), "\"old_epoch\":%" PRIu64, r->old_epoch);
	assert_true(slice_is(e->domain, "_ledger"));
	assert_true(slice_is(e->type, "epoch_started"));
	assert_int_equal(e->epoch, r->epoch);
	assert_int_equal(e->sequence, 1);
	expect_within(e->payload, "\"reason\":\"disk \\\"x\\\" died\"");
	expect_within(e->payload, old_epoch);
	expect_within(e->payload, "\"domain\":\"inventory\",\"sequence\":3,\"hash\":\"");
	return LEDGER_OK;
}

static void recover_begins_an_epoch_and_no_sequence_is_used_twice(void **state)
{
	const struct place *p = *state;
	char older[128], reference[32];
	struct ledger_recovery r;
	struct ledger_new new = plain();
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "older.db", older));
	append_and_close(p, 4);
	copy_file(older, p->db);
	struct ledger *l = open_ledger(&p->options);
	uint64_t before = ledger_epoch(l);
	MUST(ledger_recover(l, SLICE("disk \"x\" died"), false, false, &r, &err));
	assert_int_equal(r.old_epoch, before);
	assert_true(r.epoch > before);
	assert_int_equal(r.position, 4);
	assert_non_null(strstr(r.found, "restored"));
	assert_int_equal(ledger_epoch(l), r.epoch);
	snprintf(reference, sizeof(reference), "%" PRIu64, r.position);
	MUST(ledger_find(l, slice_of(reference), check_started, &r, &err));
	struct ledger_answer answer = append_one(l, &new);
	assert_int_equal(answer.position, 5);
	assert_int_equal(answer.sequence, 1); /* of the new chain */
	ledger_close(l);
	expect_home(p);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM chain WHERE origin = 'store-a'"), 3);
	const struct verdict *v =
		verify_file_at(&p->options, p->db, &(struct ledger_verify_options){ .from = 0 });
	assert_int_equal(v->status, LEDGER_OK);
}

static void a_copy_recovers_without_touching_the_original(void **state)
{
	struct place *p = *state;
	char copy[128];
	struct ledger_recovery r;
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "copy.db", copy));
	struct ledger_options options = p->options;
	options.path = copy;
	struct ledger *l = open_ledger(&options);
	MUST(ledger_recover(l, SLICE(""), false, false, &r, &err));
	assert_non_null(strstr(r.found, "copied"));
	append_many(l, 3);
	ledger_close(l);
	expect_home(p);
	p->options.path = copy;
	expect_home(p);
}

static void without_a_reason_there_is_nothing_to_recover(void **state)
{
	const struct place *p = *state;
	struct ledger_recovery r = { .epoch = 7 };
	append_and_close(p, 3);
	struct ledger *l = open_ledger(&p->options);
	uint64_t before = ledger_epoch(l);
	MUST_FAIL(LEDGER_NO, ledger_recover(l, SLICE(""), false, false, &r, &err));
	assert_non_null(strstr(err.hint, "--force"));
	assert_int_equal(r.epoch, 7);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 3);
	for (uint64_t i = 1; i <= 3; i++) {
		MUST(ledger_recover(l, SLICE(""), true, false, &r, &err));
		assert_int_equal(r.old_epoch, before);
		assert_true(r.epoch > before);
		assert_string_equal(r.found, "");
		assert_int_equal(r.position, 3 + i);
		before = r.epoch;
	}
	ledger_close(l);
	expect_home(p);
}

static void a_dry_run_changes_nothing(void **state)
{
	struct place *p = *state;
	char copy[128];
	struct ledger_recovery r;
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "copy.db", copy));
	p->options.path = copy;
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_recover(l, SLICE(""), false, true, &r, &err));
	assert_true(r.epoch > r.old_epoch);
	assert_int_equal(r.position, 0);
	assert_int_equal(ledger_epoch(l), r.old_epoch);
	ledger_close(l);
	expect_refused(p);
	assert_int_equal(ask_sql(copy, "SELECT count(*) FROM event"), 3);
}

static void a_changed_seal_is_not_recovered(void **state)
{
	const struct place *p = *state;
	struct ledger_recovery r;
	append_and_close(p, 3);
	run_sql(p->db, "UPDATE seal SET position = 2");
	struct ledger *l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_DAMAGED, ledger_recover(l, SLICE(""), true, false, &r, &err));
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(recover_begins_an_epoch_and_no_sequence_is_used_twice),
		TEST(a_copy_recovers_without_touching_the_original),
		TEST(without_a_reason_there_is_nothing_to_recover),
		TEST(a_dry_run_changes_nothing),
		TEST(a_changed_seal_is_not_recovered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
