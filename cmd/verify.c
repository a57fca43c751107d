/*
 * verify - recompute the ledger and say what was found.
 *
 * The library recomputes; here is what was asked for, and the report. The exit code is the verdict: 0
 * verified, 3 damaged, 15 could not verify, 2x could not finish.
 */
#include "heads.h"

#include <inttypes.h>

#include "command.h"
#include "output.h"
#include "report.h"
#include "settings.h"
#include "verify-peers.h"
#include "../lib/base/banned.h"

/* Listed problems are kept in memory for the JSON report. */
#define PROBLEMS_MAX 10000
#define WORKERS_MAX  8

static struct opt_u64 from, to, workers, max_problems;
static const char *origin, *domain, *expect_heads;
static bool since_last, hash_only, deep, peers;
static uint64_t within;

static const struct opt opts[] = {
	{ 0, "from", "first position to read", "<position>", .maybe_u64 = &from },
	{ 0, "to", "last position to read", "<position>", .maybe_u64 = &to },
	{ 0, "origin", "only chains of this origin", "<origin>", .str = &origin,
		.complete = COMPLETE_ORIGIN },
	{ 'd', "domain", "only chains of this domain", "<domain>", .str = &domain,
		.complete = COMPLETE_DOMAIN },
	{ 0, "since-last", "only what is behind the last complete run", NULL, .flag = &since_last },
	{ 0, "expect-heads", "heads that must be in the ledger", "<file>", .str = &expect_heads,
		.complete = COMPLETE_FILE },
	{ 0, "peers", "compare with what other nodes have, too", NULL, .flag = &peers },
	{ 0, "within", "with --peers: wait for answers at most so long (5s)", "<duration>",
		.duration = &within },
	{ 0, "hash-only", "check no MACs: for who has no key", NULL, .flag = &hash_only },
	{ 0, "deep", "check the SQLite file itself too", NULL, .flag = &deep },
	{ 0, "workers", "threads to use, 1 to 8", "<n>", .maybe_u64 = &workers },
	{ 0, "max-problems", "list at most so many, count the rest", "<n>",
		.maybe_u64 = &max_problems },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

/* --- What is asked for ----------------------------------------------------------------------- */

static enum ledger_status check_range(struct ledger_error *err)
{
	if ((from.given && from.value == 0) || (to.given && to.value == 0))
		return fail(err, LEDGER_USAGE, "positions begin at 1");
	if (from.given && to.given && from.value > to.value)
		return fail(err, LEDGER_USAGE, "--from %" PRIu64 " is behind --to %" PRIu64,
			from.value, to.value);
	if (since_last && (from.given || to.given || origin || domain))
		return fail(err, LEDGER_USAGE,
			"--since-last chooses the range itself: no --from, --to, --origin or "
			"--domain");
	return LEDGER_OK;
}

static enum ledger_status check_limits(struct ledger_error *err)
{
	if (workers.given && (workers.value < 1 || workers.value > WORKERS_MAX))
		return fail(err, LEDGER_USAGE, "--workers %" PRIu64 ": from 1 to %d", workers.value,
			WORKERS_MAX);
	if (max_problems.given && (max_problems.value < 1 || max_problems.value > PROBLEMS_MAX))
		return fail(err, LEDGER_USAGE, "--max-problems %" PRIu64 ": from 1 to %d",
			max_problems.value, PROBLEMS_MAX);
	if (within && !peers)
		return fail(err, LEDGER_USAGE, "--within goes with --peers");
	return LEDGER_OK;
}

static enum ledger_status check_token(
	const char *option, const char *value, struct ledger_error *err)
{
	if (!value || slice_is_token(slice_of(value)))
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "%s is not a name: \"%.80s\"", option, value);
	return hint(err, "a name is 1 to 64 of A-Z a-z 0-9 _ -");
}

static void on_problem(const struct ledger_problem *problem, void *context)
{
	report_list(context, problem);
}

static void on_progress(uint64_t done, uint64_t total, void *context)
{
	(void)context;
	progress_draw("verify", done, total);
}

static enum ledger_status ask(
	struct ledger_verify_options *asked, struct heads *heads, struct ledger_error *err)
{
	TRY(check_range(err));
	TRY(check_limits(err));
	TRY(check_token("--origin", origin, err));
	TRY(check_token("--domain", domain, err));
	if (expect_heads)
		TRY(heads_read(expect_heads, heads, err));
	*asked = (struct ledger_verify_options){
		.from = from.value,
		.to = to.value,
		.origin = slice_of(origin),
		.domain = slice_of(domain),
		.since_last = since_last,
		.hash_only = hash_only,
		.deep = deep,
		.heads = heads->items,
		.n_heads = heads->n,
		.workers = (unsigned)workers.value,
		.max_problems = max_problems.value,
		.problem = on_problem,
		.progress = on_progress,
	};
	return LEDGER_OK;
}

/* --- Heads of the report --------------------------------------------------------------------- */

static bool was_read(const struct ledger_chain *chain, const struct report *report)
{
	const struct ledger_verify_options *asked = report->asked;
	return chain->position >= report->found.from && chain->position <= report->found.to &&
	       (!asked->origin.ptr || slice_eq(chain->origin, asked->origin)) &&
	       (!asked->domain.ptr || slice_eq(chain->domain, asked->domain));
}

static void add_heads(struct report *report, const struct chain_list *known)
{
	for (size_t i = 0; i < known->n; i++) {
		if (!was_read(&known->items[i], report))
			continue;
		if (report->heads.len)
			buf_add_char(&report->heads, ',');
		heads_add_json(&report->heads, &known->items[i]);
	}
}

/* --- The verdict ----------------------------------------------------------------------------- */

static bool is_part(void)
{
	return from.given || to.given || origin || domain;
}

/* A name mistyped must not read as "verified". */
static enum ledger_status refuse_nothing(const struct report *report, struct ledger_error *err)
{
	if (!is_part() || report->found.events > 0)
		return LEDGER_OK;
	fail(err, LEDGER_NO,
		"no event was verified: there is none of that origin, domain and range");
	return hint(err,
		"the ledger ends at position %" PRIu64 "; `ledgerbox status` lists its chains",
		report->found.last);
}

/* Without a key nothing but MACs is out of reach. */
static void hint_hash_only(
	const struct report *report, enum ledger_status status, struct ledger_error *err)
{
	bool no_key = status == LEDGER_UNVERIFIED || status == LEDGER_REFUSED ||
		      status == LEDGER_IO || status == LEDGER_USAGE;
	if (no_key && !hash_only && report->found.macs == 0 && !err->hint[0])
		hint(err, "name the key with --key-file, or check without MACs: ledgerbox verify "
			  "--hash-only");
}

static enum ledger_status run_report(
	struct ledger *l, struct report *report, struct ledger_error *err)
{
	enum ledger_status status = ledger_verify(l, report->asked, &report->found, err);
	progress_clear();
	if (status == LEDGER_OK)
		status = refuse_nothing(report, err);
	else
		hint_hash_only(report, status, err);
	return verify_peers_verdict(report, status, err);
}

/* The state of this run is written where it was a whole one. */
static void confine(void)
{
	struct ledger_error ignored;
	const char *folder = is_part() ? NULL : settings.state_dir;
	if (folder)
		file_make_folder(folder, settings.group, settings.group ? 02770 : 0700, &ignored);
	if (peers)
		command_confine_files(folder);
	else
		command_confine(folder, NULL);
}

/* Before the run: what was here when peers were asked lies in what it reads, and it needs no network. */
static enum ledger_status ask_peers(
	struct ledger *l, struct report *report, struct ledger_error *err)
{
	if (!peers)
		return LEDGER_OK;
	TRY(verify_peers(l, report, within, err));
	command_close_network();
	return LEDGER_OK;
}

static enum ledger_status print_report(
	struct report *report, enum ledger_status status, struct ledger_error *err)
{
	struct ledger_error failure;
	if (status == LEDGER_OK && output.quiet && !output_path)
		return LEDGER_OK;
	enum ledger_status printed = report_print(report, status, err, &failure);
	if (status == LEDGER_OK && printed != LEDGER_OK)
		*err = failure;
	/* The verdict stands even where nobody reads the report. */
	return status != LEDGER_OK ? status : printed;
}

/* The file could not be opened for its damage, which `err` tells. */
static enum ledger_status run_unopened(
	const struct ledger_verify_options *asked, struct report *report, struct ledger_error *err)
{
	struct ledger_options options = command_ledger_options(LEDGER_MODE_READ);
	struct ledger_error why = *err;
	report->file = settings.database;
	report->node = "";
	command_confine(NULL, NULL);
	enum ledger_status status =
		ledger_verify_unopened(&options, asked, &why, &report->found, err);
	return print_report(report, status, err);
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)argc;
	(void)argv;
	struct ledger_verify_options asked;
	CLEANUP_HEADS struct heads heads = { 0 };
	CLEANUP_CHAIN_LIST struct chain_list known = { 0 };
	CLEANUP_REPORT struct report report = { .asked = &asked };
	struct ledger_error ignored;
	TRY(ask(&asked, &heads, err));
	asked.context = &report;
	if (!l)
		return run_unopened(&asked, &report, err);
	report.file = ledger_path(l);
	report.node = ledger_node(l);
	confine();
	TRY(ask_peers(l, &report, err));
	/* Read before the run: each head lies in what the run reads, while one read afterwards may be newer.
	 * A list that cannot be read is for the run to report. */
	if (output.format == FORMAT_JSON)
		chain_list_read(l, &known, &ignored);
	enum ledger_status status = run_report(l, &report, err);
	add_heads(&report, &known);
	return print_report(&report, status, err);
}

const struct command cmd_verify = {
	.name = "verify",
	.summary = "Recompute every event and say what was found.",
	.opens = OPENS_DAMAGED,
	.opts = opts,
	.examples = "ledgerbox verify\n"
		    "ledgerbox verify --since-last -q || echo look at it\n"
		    "ledgerbox verify --expect-heads heads.txt --deep\n"
		    "ledgerbox verify --peers --within 10s\n",
	.run = run,
};
