/*
 * replay - feed events to handlers, into SQL projections, or to stdout.
 *
 * What stands in the config and is not yet done is done, then replay ends: it fits into cron. Words in
 * between (`parked list`) look at what handlers could not take.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "consumers.h"
#include "filter.h"
#include "form.h"
#include "output.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

struct replay_args replay_args;

static const char *const orders[] = { "arrival", "shared", NULL };

static const struct opt opts[] = {
	{ 0, "stdout", "print event lines, for a pipe", NULL, .flag = &replay_args.to_stdout },
	{ 'f', "follow", "go on with what is recorded from now on", NULL,
		.flag = &replay_args.follow },
	{ 0, "dry-run", "print what would run", NULL, .flag = &replay_args.dry_run },
	{ 0, "limit", "so many events at most, of each consumer", "<n>",
		.maybe_u64 = &replay_args.limit },
	{ 0, "again", "run handlers on events chosen by the options below", NULL,
		.flag = &replay_args.again },
	{ 0, "rebuild", "make projections anew, and put them in place when done", NULL,
		.flag = &replay_args.rebuild },
	{ 0, "order", "arrival here, or shared by all nodes", "<order>", .str = &replay_args.order,
		.choices = orders },
	FILTER_OPTS,
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

/* --- Names ----------------------------------------------------------------------------------- */

size_t replay_find_handler(struct slice name)
{
	size_t i = 0;
	while (i < settings.n_handlers && !slice_is(name, settings.handlers[i].name))
		i++;
	return i;
}

size_t replay_find_projection(struct slice name)
{
	size_t i = 0;
	while (i < settings.n_projections && !slice_is(name, settings.projections[i].name))
		i++;
	return i;
}

bool replay_is_shared(void)
{
	return replay_args.order && strcmp(replay_args.order, "shared") == 0;
}

bool replay_is_named(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 0;
}

static enum ledger_status no_consumer(const char *name, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	struct nearest nearest = { .typed = slice_of(name) };
	for (size_t i = 0; i < settings.n_handlers; i++)
		nearest_try(&nearest, settings.handlers[i].name);
	for (size_t i = 0; i < settings.n_projections; i++)
		nearest_try(&nearest, settings.projections[i].name);
	fail(err, LEDGER_USAGE, "there is no handler or projection '%s' in %.200s",
		form_excerpt(slice_of(name), shown), settings.config);
	return nearest.best ? hint(err, "did you mean '%s'?", nearest.best) : err->status;
}

/* Handlers and projections do not go with the same options. */
static enum ledger_status check_kind(const char *name, struct ledger_error *err)
{
	bool is_handler = replay_find_handler(slice_of(name)) < settings.n_handlers;
	if (!is_handler && replay_find_projection(slice_of(name)) == settings.n_projections)
		return no_consumer(name, err);
	if (is_handler && replay_args.rebuild)
		return fail(
			err, LEDGER_USAGE, "%s is a handler: only projections are rebuilt", name);
	if (!is_handler && replay_args.again) {
		fail(err, LEDGER_USAGE, "%s is a projection: it takes every event once", name);
		return hint(err, "build it anew with --rebuild");
	}
	return LEDGER_OK;
}

enum ledger_status replay_check_names(int argc, char **argv, struct ledger_error *err)
{
	bool nobody = settings.n_handlers + settings.n_projections == 0;
	/* Without a name snapshots are taken too. */
	if (!settings.config || (nobody && (argc > 0 || !replay_has_policy()))) {
		fail(err, LEDGER_USAGE, "there is nobody to replay to: %.200s%s",
			settings.config ? settings.config : "there is no config",
			settings.config ? " has no handlers and no projections" : "");
		return hint(err, "see ledgerbox-config(5), or replay to a pipe with --stdout");
	}
	for (int i = 0; i < argc; i++)
		TRY(check_kind(argv[i], err));
	return LEDGER_OK;
}

/* --- Programs -------------------------------------------------------------------------------- */

static void print_said(const char *handler, struct slice line, void *context)
{
	(void)context;
	note("%s: %.*s", handler, SLICE_ARG(line));
}

static void print_parked(const char *handler, const struct event *event, uint64_t failures,
	const char *reason, void *context)
{
	(void)context;
	if (failures)
		warn("%s: position %" PRIu64 " is parked after %" PRIu64 " failure%s: %s", handler,
			event->position, failures, failures == 1 ? "" : "s", reason);
	else
		note("%s: position %" PRIu64 " is parked: it %s", handler, event->position, reason);
}

void replay_fill_options(
	struct ledger_replay_options *options, struct ledger *reader, struct ledger *writer)
{
	*options = (struct ledger_replay_options){
		.ledger = reader,
		.writer = writer,
		.only = replay_args.is_filtered ? &replay_args.filter : NULL,
		.limit = replay_args.limit.value,
		.environment = consumers_environment(),
		.folder = settings.folder,
		.is_stopping = signals_stop,
		.wake = signals_wake(),
		.said = print_said,
		.parked = print_parked,
	};
}

/* --- The command ----------------------------------------------------------------------------- */

/* As it was typed: "--from 0" is a choice too, of all. */
static bool has_filter(const struct ledger_filter *f)
{
	return filter_is_bounded() || f->n_domains || f->n_types || f->n_streams || f->n_tags ||
	       f->n_origins || f->n_correlations;
}

static enum ledger_status check_args(int argc, struct ledger_error *err)
{
	const struct replay_args *a = &replay_args;
	const struct {
		bool wrong;
		const char *text, *advice;
	} cases[] = {
		{ a->to_stdout && argc > 0, "--stdout goes to no handler: leave out its name",
			"choose events with --domain, --type and the like" },
		{ a->to_stdout && a->dry_run, "--stdout runs nothing: it needs no --dry-run", "" },
		{ a->to_stdout && a->again, "--again is for handlers, not for --stdout", "" },
		{ a->follow && a->dry_run, "--dry-run ends, --follow does not: give one", "" },
		{ a->follow && output_path && strcmp(output_path, "-") != 0,
			"--follow has no end, and -o waits for it: give one", "" },
		{ !a->to_stdout && !a->dry_run && a->is_filtered && !a->again,
			"a choice of events is run again whatever the cursor says",
			"add --again where that is meant, or look with --dry-run" },
		{ a->again && !a->is_filtered, "--again needs a choice of events",
			"such as --from 10 --to 20 or --stream product/sku-1" },
		{ a->rebuild && (a->to_stdout || a->dry_run || a->again),
			"--rebuild makes projections anew: it does not go with --stdout, "
			"--dry-run, "
			"--again",
			"" },
		{ a->rebuild && a->limit.given,
			"a projection is rebuilt as a whole: --limit does not go with --rebuild",
			"" },
		{ replay_is_shared() && !a->rebuild && !a->to_stdout,
			"the shared order is for --rebuild and --stdout",
			"handlers take events as they arrive; a projection keeps the order it was "
			"built in" },
		{ replay_is_shared() && a->to_stdout && a->follow,
			"in shared order a later event may belong before what is printed already",
			"leave out --follow" },
		{ a->again && a->follow, "--again repeats, --follow goes on: give one", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (cases[i].wrong) {
			fail(err, LEDGER_USAGE, "%s", cases[i].text);
			return cases[i].advice[0] ? hint(err, "%s", cases[i].advice) : LEDGER_USAGE;
		}
	return LEDGER_OK;
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	TRY(filter_resolve(&replay_args.filter, &arena, err));
	replay_args.is_filtered = has_filter(&replay_args.filter);
	if (argc > 0 && strcmp(argv[0], "parked") == 0)
		return replay_parked(l, argc - 1, argv + 1, err);
	TRY(check_args(argc, err));
	if (replay_args.limit.given && replay_args.limit.value == 0)
		return LEDGER_OK;
	if (replay_args.to_stdout)
		return replay_to_stdout(l, err);
	TRY(replay_check_names(argc, argv, err));
	return replay_args.dry_run ? replay_show(l, argc, argv, err)
				   : replay_run(l, argc, argv, err);
}

const struct command cmd_replay = {
	.name = "replay",
	.summary = "Feed events to handlers, SQL projections or a pipe.",
	.operands = "[NAME ...] | parked list [NAME] | parked retry NAME [POSITION ...] | "
		    "parked discard NAME POSITION ...",
	.opens = OPENS_READ,
	.opts = opts,
	.complete = COMPLETE_CONSUMER,
	.examples = "ledgerbox replay\n"
		    "ledgerbox replay low-stock --dry-run\n"
		    "ledgerbox replay stock --rebuild\n"
		    "ledgerbox replay --stdout --domain inventory | jq .payload\n",
	.run = run,
};
