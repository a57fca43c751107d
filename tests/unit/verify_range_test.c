/*
 * What verify looks at when it is asked for a part, by how many workers, against which heads, and what
 * it says when it could not finish. The ledger is the golden one of 40,000 events: several pieces.
 */
#include "golden_fixture.h"

static struct ledger_error err;

#define EVENTS 40000

static int make_all(void **state)
{
	char events[16];
	(void)state;
	snprintf(events, sizeof(events), "%d", EVENTS);
	return golden_make(events);
}

static const struct verdict *verify_golden(const struct ledger_verify_options *o)
{
	return verify_file_at(&golden.place->options, golden.db, o);
}

static const struct verdict *verify_copy(const struct ledger_verify_options *o)
{
	return verify_file_at(&golden.place->options, golden.copy, o);
}

static int64_t ask(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int64_t ask(const char *format, ...)
{
	char sql[512];
	va_list args;
	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	return ask_sql(golden.db, sql);
}

/* --- Workers --------------------------------------------------------------------------------- */

/* At the beginning, at the seams between pieces, at a mark, and at the end. */
static const char damage[] =
	"UPDATE event SET payload = '\"x\"' WHERE position IN (1, 5000, 16385, 39999);"
	"UPDATE event SET mac = zeroblob(32) WHERE position IN (16384, 32768, 40000);"
	"UPDATE event SET prev = zeroblob(32) WHERE position IN (16390, 32769);"
	"UPDATE mark SET link = zeroblob(32) WHERE position IN (16384, 20480);"
	"DELETE FROM event WHERE position IN (30000, 32770);";

static void expect_same_findings(const struct verdict *got, const struct verdict *want)
{
	assert_int_equal(got->status, want->status);
	assert_int_equal(got->n, want->n);
	for (size_t i = 0; i < got->n; i++) {
		assert_int_equal(got->found[i].position, want->found[i].position);
		assert_string_equal(got->found[i].code, want->found[i].code);
		assert_string_equal(got->found[i].place, want->found[i].place);
	}
	assert_int_equal(got->report.problems, want->report.problems);
	assert_int_equal(got->report.first_bad, want->report.first_bad);
	assert_int_equal(got->report.events, want->report.events);
	assert_int_equal(got->report.macs, want->report.macs);
	assert_int_equal(got->report.chains, want->report.chains);
	assert_memory_equal(got->report.link, want->report.link, EVENT_HASH_SIZE);
}

static void any_number_of_workers_finds_the_same(void **state)
{
	static struct verdict one, damaged;
	(void)state;
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, damage);
	for (unsigned workers = 1; workers <= 8; workers++) {
		struct ledger_verify_options o = { .workers = workers };
		const struct verdict *v = verify_golden(&o);
		assert_int_equal(v->status, LEDGER_OK);
		assert_int_equal(v->report.events, EVENTS);
		if (workers == 1)
			one = *v;
		expect_same_findings(v, &one);
		v = verify_copy(&o);
		assert_int_equal(v->status, LEDGER_DAMAGED);
		if (workers == 1)
			damaged = *v;
		expect_same_findings(v, &damaged);
	}
	static const struct {
		const char *code;
		uint64_t position;
	} expected[] = { { "HASH_MISMATCH", 1 }, { "HASH_MISMATCH", 5000 }, { "MAC_BAD", 16384 },
		{ "HASH_MISMATCH", 16385 }, { "LINK_BROKEN", 16390 }, { "MARK_MISMATCH", 20480 },
		{ "POSITION_GAP", 30000 }, { "MAC_BAD", 32768 }, { "LINK_BROKEN", 32769 },
		{ "POSITION_GAP", 32770 }, { "HASH_MISMATCH", 39999 }, { "MAC_BAD", 40000 } };
	for (size_t i = 0; i < COUNT(expected); i++)
		if (!has_finding(&damaged, expected[i].code, expected[i].position))
			fail_msg("no %s at %" PRIu64, expected[i].code, expected[i].position);
}

static void expect_growth(uint64_t done, uint64_t total, void *context)
{
	static uint64_t before;
	(void)context;
	assert_int_equal(total, EVENTS);
	assert_true(done >= before && done <= total);
	before = done;
}

static void progress_grows_up_to_the_whole(void **state)
{
	struct ledger_verify_options o = { .workers = 2, .progress = expect_growth };
	(void)state;
	assert_int_equal(verify_golden(&o)->status, LEDGER_OK);
}

static void problems_are_counted_beyond_those_handed_over(void **state)
{
	struct ledger_verify_options o = { .max_problems = 5 };
	(void)state;
	copy_file(golden.db, golden.copy);
	tamper(golden.copy,
		"UPDATE event SET mac = zeroblob(32) WHERE position BETWEEN 1001 AND 1500");
	const struct verdict *v = verify_copy(&o);
	assert_int_equal(v->n, 5);
	assert_int_equal(v->report.problems, 500);
	assert_int_equal(v->report.first_bad, 1001);
	assert_int_equal(v->report.last_good, 1000);
	o.max_problems = 0;
	assert_int_equal(verify_copy(&o)->n, 100);
}

/* --- Ranges ---------------------------------------------------------------------------------- */

static const struct {
	uint64_t from, to;
	uint64_t first, last; /* what is read */
	bool seal;
} ranges[] = {
	{ 0, 0, 1, EVENTS, true },
	{ 1, EVENTS, 1, EVENTS, true },
	{ 1, 0, 1, EVENTS, true },
	{ 30000, 0, 30000, EVENTS, true },
	{ 0, 1, 1, 1, false },
	{ 1000, 1000, 1000, 1000, false },
	{ 1024, 1025, 1024, 1025, false },
	{ 1025, 2048, 1025, 2048, false },
	{ 5000, 9000, 5000, 9000, false },
	{ 16384, 20000, 16384, 20000, false },
	{ 32700, 0, 32700, EVENTS, true },
	{ EVENTS, EVENTS, EVENTS, EVENTS, true },
	{ EVENTS, EVENTS + 99, EVENTS, EVENTS, true },
};

static void a_range_is_read_from_end_to_end(void **state)
{
	(void)state;
	for (size_t row = 0; row < COUNT(ranges); row++) {
		struct ledger_verify_options o = { .from = ranges[row].from,
			.to = ranges[row].to,
			.workers = (unsigned)(1 + row % 3) };
		const struct verdict *v = verify_golden(&o);
		if (v->status) {
			show_findings(v);
			fail_msg("row %zu: %d", row, v->status);
		}
		assert_true(v->report.complete);
		assert_int_equal(v->report.from, ranges[row].first);
		assert_int_equal(v->report.to, ranges[row].last);
		assert_int_equal(v->report.last, EVENTS);
		assert_int_equal(v->report.events, ranges[row].last - ranges[row].first + 1);
		assert_int_equal(v->report.macs, v->report.events);
		assert_int_equal(v->report.seal, ranges[row].seal);
	}
}

/* Nothing to read is no damage. */
static void a_range_behind_the_end_is_empty(void **state)
{
	struct ledger_verify_options o = { .from = EVENTS + 1 };
	(void)state;
	const struct verdict *v = verify_golden(&o);
	if (v->status)
		show_findings(v);
	assert_int_equal(v->status, LEDGER_OK);
	assert_int_equal(v->report.events, 0);
	assert_true(v->report.to < v->report.from);
}

static void a_range_finds_what_is_in_it_and_what_it_links_to(void **state)
{
	static const uint64_t parts[][2] = { { 0, 4999 }, { 0, 5000 }, { 5000, 5000 },
		{ 5001, 5001 }, { 4900, 5500 }, { 5001, 6000 }, { 5121, 6000 } };
	(void)state;
	copy_file(golden.db, golden.copy);
	tamper(golden.copy, "UPDATE event SET hash = zeroblob(32) WHERE position = 5000");
	uint64_t next =
		(uint64_t)ask("SELECT min(position) FROM event WHERE position > 5000 AND chain = "
			      "(SELECT chain FROM event WHERE position = 5000)");
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct ledger_verify_options o = { .from = parts[i][0], .to = parts[i][1] };
		uint64_t to = o.to ? o.to : EVENTS;
		bool itself = o.from <= 5000 && 5000 <= to, link = o.from <= next && next <= to;
		bool mark = o.from <= 5120 && 5120 <= to;
		const struct verdict *v = verify_copy(&o);
		if ((v->status == LEDGER_DAMAGED) != (itself || link || mark) ||
			has_finding(v, "HASH_MISMATCH", 5000) != itself ||
			has_finding(v, "LINK_BROKEN", next) != link ||
			has_finding(v, "MARK_MISMATCH", 5120) != mark) {
			show_findings(v);
			fail_msg("row %zu: %d", i, v->status);
		}
	}
}

/* --- Chains ---------------------------------------------------------------------------------- */

static const struct {
	const char *origin, *domain;
	const char *where;
} selections[] = {
	{ "store-b", NULL, "origin = 'store-b'" },
	{ NULL, "orders", "name = 'orders'" },
	{ "store-a", "inventory", "origin = 'store-a' AND name = 'inventory'" },
	{ NULL, "_ledger", "name = '_ledger'" },
	{ "store-x", NULL, "origin = 'store-x'" },
};

static void chains_can_be_verified_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(selections); i++) {
		struct ledger_verify_options o = { .to = 9000,
			.origin = slice_of(selections[i].origin),
			.domain = slice_of(selections[i].domain) };
		const struct verdict *v = verify_golden(&o);
		if (v->status)
			show_findings(v);
		assert_int_equal(v->status, LEDGER_OK);
		assert_true(v->report.complete);
		assert_false(v->report.seal);
		assert_int_equal(v->report.events,
			ask("SELECT count(*) FROM event JOIN chain ON chain.id = chain JOIN domain "
			    "ON "
			    "domain.id = chain.domain WHERE position <= 9000 AND %s",
				selections[i].where));
		assert_int_equal(v->report.macs, v->report.events);
	}
}

static void a_chain_alone_tells_what_is_wrong_in_it(void **state)
{
	struct ledger_verify_options b = { .origin = SLICE("store-b"), .to = 9000 };
	struct ledger_verify_options c = { .origin = SLICE("store-c"), .to = 9000 };
	uint64_t position =
		(uint64_t)ask("SELECT min(event.position) FROM event JOIN chain ON "
			      "chain.id = chain WHERE origin = 'store-b' AND position > 7000");
	char sql[128];
	(void)state;
	copy_file(golden.db, golden.copy);
	snprintf(sql, sizeof(sql), "DELETE FROM event WHERE position = %" PRIu64, position);
	tamper(golden.copy, sql);
	const struct verdict *v = verify_copy(&b);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_string_equal(v->found[0].code, "SEQUENCE_GAP");
	assert_true(strncmp(v->found[0].place, "store-b/", 8) == 0);
	assert_int_equal(verify_copy(&c)->status, LEDGER_OK);
}

/* --- Heads ----------------------------------------------------------------------------------- */

#define HEADS_MAX 32

struct heads {
	struct ledger_head list[HEADS_MAX];
	size_t n;
	struct arena arena;
};

static enum ledger_status add_head(
	const struct ledger_chain *c, void *context, struct ledger_error *unused)
{
	struct heads *h = context;
	(void)unused;
	assert_true(h->n < HEADS_MAX);
	struct ledger_head *head = &h->list[h->n++];
	*head = (struct ledger_head){ .origin = arena_copy(&h->arena, c->origin),
		.epoch = c->epoch,
		.domain = arena_copy(&h->arena, c->domain),
		.sequence = c->sequence };
	memcpy(head->hash, c->hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

static void expect_head_problem(struct heads *h, const char *code)
{
	struct ledger_verify_options o = { .from = EVENTS, .heads = h->list, .n_heads = h->n };
	const struct verdict *v = verify_golden(&o);
	assert_int_equal(v->status, code ? LEDGER_DAMAGED : LEDGER_OK);
	assert_int_equal(v->n, code ? 1 : 0);
	if (code)
		assert_string_equal(v->found[0].code, code);
}

static void heads_that_were_once_must_be_there(void **state)
{
	struct heads h = { .n = 0 };
	struct ledger_options o = golden.place->options;
	(void)state;
	o.path = golden.db;
	o.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&o);
	MUST(ledger_chains(l, add_head, &h, &err));
	ledger_close(l);
	assert_int_equal(h.n, ask("SELECT count(*) FROM chain"));
	expect_head_problem(&h, NULL);
	h.list[2].hash[31] ^= 1;
	expect_head_problem(&h, "HEAD_MISMATCH");
	h.list[2].hash[31] ^= 1;
	h.list[2].sequence++;
	expect_head_problem(&h, "HEAD_MISSING");
	h.list[2].sequence--;
	h.list[2].epoch++;
	expect_head_problem(&h, "HEAD_MISSING");
	h.list[2].epoch--;
	h.list[2].domain = SLICE("elsewhere");
	expect_head_problem(&h, "HEAD_MISSING");
	h.list[2].origin = SLICE("store-x");
	expect_head_problem(&h, "HEAD_MISSING");
	arena_done(&h.arena);
}

/* --- What could not be finished -------------------------------------------------------------- */

static void a_page_that_cannot_be_read_is_damage_and_not_complete(void **state)
{
	static const uint8_t rubbish[4096] = { 0xFF };
	struct ledger_verify_options o = { .workers = 2 };
	(void)state;
	copy_file(golden.db, golden.copy);
	int64_t page = ask("SELECT rootpage FROM sqlite_schema WHERE name = 'event'");
	int fd = open(golden.copy, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), (page - 1) * 4096), 4096);
	close(fd);
	const struct verdict *v = verify_copy(&o);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_false(v->report.complete);
	assert_true(has_finding(v, "FILE_CORRUPT", 0));
}

/* The workers cannot open the file any more: nothing is wrong with what was read, which is nothing. */
static void what_could_not_be_opened_is_neither_damaged_nor_verified(void **state)
{
	struct ledger_verify_options o = { .workers = 2 };
	struct ledger_options options = golden.place->options;
	(void)state;
	copy_file(golden.db, golden.copy);
	options.path = golden.copy;
	options.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&options);
	unlink(golden.copy);
	const struct verdict *v = verify_open(l, &o);
	ledger_close(l);
	assert_int_equal(v->status, LEDGER_NOT_LEDGER);
	assert_int_equal(v->report.problems, 0);
	assert_false(v->report.complete);
	assert_int_equal(v->report.events, 0);
}

/* An event is changed while the file does not know of its index on types. */
static void an_index_that_disagrees_is_found_by_looking_deep(void **state)
{
	struct ledger_verify_options deep = { .deep = true }, not_deep = { .from = 0 };
	char back[256];
	(void)state;
	copy_file(golden.db, golden.copy);
	snprintf(back, sizeof(back),
		"PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('index', "
		"'event_type', "
		"'event', %" PRId64 ", 'CREATE INDEX event_type ON event (type)')",
		ask("SELECT rootpage FROM sqlite_schema WHERE name = 'event_type'"));
	run_sql(golden.copy,
		"PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'event_type'");
	tamper(golden.copy, "UPDATE event SET type = 'x' WHERE position = 7");
	run_sql(golden.copy, back);
	const struct verdict *v = verify_copy(&deep);
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "FILE_CORRUPT", 0) && has_finding(v, "HASH_MISMATCH", 7));
	v = verify_copy(&not_deep);
	assert_false(has_finding(v, "FILE_CORRUPT", 0));
	assert_true(has_finding(v, "HASH_MISMATCH", 7));
}

static uint64_t computed_by(const struct ledger_verify_options *o)
{
	uint64_t begun = computed();
	verify_golden(o);
	return computed() - begun;
}

/* Verify of a part asks more of each event; that must not grow with the length of its stream. */
static void a_part_takes_about_as_long_as_the_whole(void **state)
{
	struct ledger_verify_options all = { .workers = 1 }, part = { .from = 2, .workers = 1 };
	(void)state;
	uint64_t whole = computed_by(&all), took = computed_by(&part);
	if (took > 10 * whole)
		fail_msg("%" PRIu64 " ms from position 2, %" PRIu64 " ms the whole", took / 1000,
			whole / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_workers_finds_the_same),
		cmocka_unit_test(progress_grows_up_to_the_whole),
		cmocka_unit_test(problems_are_counted_beyond_those_handed_over),
		cmocka_unit_test(a_range_is_read_from_end_to_end),
		cmocka_unit_test(a_range_behind_the_end_is_empty),
		cmocka_unit_test(a_range_finds_what_is_in_it_and_what_it_links_to),
		cmocka_unit_test(chains_can_be_verified_alone),
		cmocka_unit_test(a_chain_alone_tells_what_is_wrong_in_it),
		cmocka_unit_test(heads_that_were_once_must_be_there),
		cmocka_unit_test(a_page_that_cannot_be_read_is_damage_and_not_complete),
		cmocka_unit_test(what_could_not_be_opened_is_neither_damaged_nor_verified),
		cmocka_unit_test(an_index_that_disagrees_is_found_by_looking_deep),
		cmocka_unit_test(a_part_takes_about_as_long_as_the_whole),
	};
	return cmocka_run_group_tests(tests, make_all, golden_remove);
}
