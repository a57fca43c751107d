/*
 * A whole database file, read by everything that reads and by verify. Bytes that begin like a SQLite
 * file are the file. Others are changes, eight bytes each, to the files of a ledger made here and to
 * its rows (changes.c).
 *
 * Nothing crashes or hangs; and what verify, with the key and --deep, calls verified are the events as
 * they were recorded, up to some commit, and every index finds them.
 */
#include "fuzz.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "changes.h"

#define EVENTS_MAX 64

static struct {
	struct ledger_options options;
	struct buf files[2]; /* the database, its -wal */
	const char *paths[2];
	size_t n;
	struct buf lines[EVENTS_MAX]; /* the events, as they were recorded */
} base;

/* --- The ledger that is changed -------------------------------------------------------------- */

static enum ledger_status keep(const struct event *event, void *context, struct ledger_error *err)
{
	(void)context;
	(void)err;
	CLAIM(base.n < EVENTS_MAX);
	event_add_line(&base.lines[base.n++], event);
	return LEDGER_OK;
}

static void append_large(struct ledger *l, size_t size)
{
	struct ledger_error err = { 0 };
	CLEANUP_BUF struct buf payload = { 0 };
	static const struct slice tags[] = { SLICE_INIT("shelf:A"), SLICE_INIT("size:large") };
	struct ledger_answer answer;
	buf_add_char(&payload, '"');
	for (size_t i = 0; i < size; i++)
		buf_add_char(&payload, (char)('a' + i % 26));
	buf_add_char(&payload, '"');
	struct ledger_new new = { .domain = SLICE("inventory"),
		.type = SLICE("stock_counted"),
		.stream = SLICE("product/sku-2"),
		.schema = 1,
		.tags = tags,
		.n_tags = 2,
		.payload = buf_slice(&payload) };
	MUST(ledger_append(l, &new, 1, NULL, &answer, &err));
}

static void run_sql(const char *sql)
{
	sqlite3 *db;
	CLAIM(sqlite3_open(base.options.path, &db) == SQLITE_OK);
	CLAIM(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
}

/* Most of it is in the database, the last commits are in the -wal. */
static void prepare(void)
{
	struct ledger_error err = { 0 };
	struct ledger_filter all = { 0 };
	base.options = fuzz_options();
	base.options.state_dir = NULL;
	base.paths[0] = base.options.path;
	base.paths[1] = fuzz_path("ledger.db-wal");
	struct ledger *l = fuzz_ledger(&base.options);
	append_large(l, 9000); /* more than a page */
	run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
	append_large(l, 10);
	append_large(l, 20);
	MUST(ledger_cursor_set(l, SLICE("mailer"), 3, &err));
	MUST(ledger_read(l, &all, keep, NULL, &err));
	for (int i = 0; i < 2; i++)
		fuzz_read(base.paths[i], &base.files[i]);
	ledger_close(l);
	base.options.mode = LEDGER_MODE_READ;
}

/* --- Reading it all -------------------------------------------------------------------------- */

struct reading {
	size_t n;
	bool as_recorded;
	bool by_index[EVENTS_MAX + 1]; /* positions that a filter found */
};

static enum ledger_status look(const struct event *event, void *context, struct ledger_error *err)
{
	struct reading *r = context;
	CLEANUP_BUF struct buf line = { 0 };
	(void)err;
	event_add_line(&line, event);
	r->as_recorded = r->as_recorded && r->n < base.n &&
			 slice_eq(buf_slice(&line), buf_slice(&base.lines[r->n]));
	r->n++;
	if (event->position <= EVENTS_MAX)
		r->by_index[event->position] = true;
	return LEDGER_OK;
}

static bool is_honest(enum ledger_status status)
{
	return status == LEDGER_OK || status == LEDGER_NO || status == LEDGER_DAMAGED ||
	       status == LEDGER_NOT_LEDGER || status == LEDGER_REFUSED ||
	       status == LEDGER_UNVERIFIED || status == LEDGER_IO || status == LEDGER_NO_MEMORY;
}

static enum ledger_status claim_honest(enum ledger_status status, const struct ledger_error *err)
{
	fuzz_claim_error(status, err);
	CLAIM(is_honest(status));
	return status;
}

static enum ledger_status see_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	(void)err;
	*(uint64_t *)context += chain->sequence;
	return LEDGER_OK;
}

static enum ledger_status see_word(struct slice word, void *context, struct ledger_error *err)
{
	(void)err;
	*(size_t *)context += word.len;
	return LEDGER_OK;
}

static enum ledger_status see_cursor(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	(void)err;
	*(uint64_t *)context += cursor->position;
	return LEDGER_OK;
}

/* What status, completion, cursor and show ask. */
static void read_other(struct ledger *l)
{
	struct ledger_error err = { 0 };
	struct ledger_overview overview;
	struct ledger_filter all = { 0 };
	struct reading ignored = { 0 };
	uint64_t sum = 0, from;
	size_t bytes = 0;
	claim_honest(ledger_overview(l, &overview, &err), &err);
	claim_honest(ledger_chains(l, see_chain, &sum, &err), &err);
	claim_honest(ledger_cursors(l, see_cursor, &sum, &err), &err);
	claim_honest(ledger_cursor_get(l, SLICE("mailer"), &sum, &err), &err);
	claim_honest(ledger_last(l, &all, 5, &from, &err), &err);
	claim_honest(ledger_check_home(l, &err), &err);
	claim_honest(ledger_find(l, SLICE("3"), look, &ignored, &err), &err);
	for (int which = LEDGER_WORDS_DOMAIN; which <= LEDGER_WORDS_CURSOR; which++)
		claim_honest(ledger_list_words(l, (enum ledger_words)which, SLICE(""), 100,
				     see_word, &bytes, &err),
			&err);
}

/* --- Through the indexes --------------------------------------------------------------------- */

#define FILTERS 6

/* Which of the recorded lines should a filter find? A text that only they have. */
static const struct {
	struct slice domain, type, stream, tag, correlation;
	const char *text;
} filters[FILTERS] = {
	{ .tag = SLICE_INIT("shelf:A"), .text = "\"shelf:A\"" },
	{ .type = SLICE_INIT("sold"), .text = "\"type\":\"sold\"" },
	{ .stream = SLICE_INIT("product/sku-1"), .text = "\"stream\":\"product/sku-1\"" },
	{ .stream = SLICE_INIT("order/"), .text = "\"stream\":\"order/" },
	{ .domain = SLICE_INIT("sales"), .text = "\"domain\":\"sales\"" },
	{ .correlation = SLICE_INIT("c-1"), .text = "\"correlation_id\":\"c-1\"" },
};

static size_t given(struct slice s)
{
	return s.ptr ? 1 : 0;
}

static enum ledger_status read_filtered(
	struct ledger *l, size_t i, bool reverse, struct reading *found, struct ledger_error *err)
{
	struct ledger_filter filter = {
		.domains = &filters[i].domain,
		.n_domains = given(filters[i].domain),
		.types = &filters[i].type,
		.n_types = given(filters[i].type),
		.streams = &filters[i].stream,
		.n_streams = given(filters[i].stream),
		.tags = &filters[i].tag,
		.n_tags = given(filters[i].tag),
		.correlations = &filters[i].correlation,
		.n_correlations = given(filters[i].correlation),
		.reverse = reverse,
	};
	return claim_honest(ledger_read(l, &filter, look, found, err), err);
}

static void read_by_index(struct ledger *l, size_t n, bool verified)
{
	struct ledger_error err = { 0 };
	for (size_t i = 0; i < 2 * FILTERS; i++) {
		struct reading found = { 0 };
		enum ledger_status status = read_filtered(l, i / 2, i % 2, &found, &err);
		if (!verified)
			continue;
		CLAIM(status == LEDGER_OK);
		for (size_t at = 0; at < n; at++)
			CLAIM(found.by_index[at + 1] ==
				(strstr(buf_text(&base.lines[at]), filters[i / 2].text) != NULL));
	}
}

/* --- The target ------------------------------------------------------------------------------ */

static void count_problem(const struct ledger_problem *problem, void *context)
{
	CLAIM(problem->code[0] && problem->text && problem->place);
	++*(unsigned *)context;
}

static void write_files(const uint8_t *bytes, size_t size)
{
	static const char magic[16] = "SQLite format 3";
	unlink(fuzz_path("ledger.db-shm"));
	if (size >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0) {
		unlink(base.paths[1]);
		fuzz_write(base.paths[0], (struct slice){ (const char *)bytes, size });
	} else
		changes_apply(bytes, size, base.files, base.paths);
}

static void use(struct ledger *l)
{
	struct ledger_error err = { 0 };
	struct ledger_filter all = { 0 };
	struct ledger_verify_report report;
	struct reading reading = { .as_recorded = true };
	unsigned problems = 0;
	struct ledger_verify_options options = {
		.deep = true, .workers = 2, .problem = count_problem, .context = &problems
	};
	enum ledger_status read = claim_honest(ledger_read(l, &all, look, &reading, &err), &err);
	enum ledger_status status = claim_honest(ledger_verify(l, &options, &report, &err), &err);
	bool verified = status == LEDGER_OK;
	CLAIM(status != LEDGER_DAMAGED || problems > 0);
	CLAIM(!verified || problems == 0);
	CLAIM(!verified || (read == LEDGER_OK && reading.as_recorded && report.complete));
	CLAIM(!verified || (reading.n == report.events && report.macs == report.events));
	read_other(l);
	read_by_index(l, reading.n, verified);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct ledger_error err = { 0 };
	struct ledger *l = NULL;
	if (!base.options.path)
		prepare();
	write_files(bytes, size);
	enum ledger_status status = claim_honest(ledger_open(&l, &base.options, &err), &err);
	if (status == LEDGER_OK)
		use(l);
	ledger_close(l);
	return 0;
}
