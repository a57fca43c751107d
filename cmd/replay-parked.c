/* replay parked - list, retry and discard what handlers could not take. */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "consumers.h"
#include "output.h"
#include "render.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

static void close_ledger(struct ledger **l)
{
	ledger_close(*l);
}

static void close_run(struct ledger_handler_run **run)
{
	ledger_handler_close(*run);
}

static enum ledger_status usage(struct ledger_error *err, const char *what, const char *call)
{
	fail(err, LEDGER_USAGE, "%s", what);
	return hint(err, "usage: ledgerbox replay parked %s", call);
}

/* --- list ------------------------------------------------------------------------------------ */

static void add_json(struct buf *out, const struct ledger_parked *p)
{
	char since[TIME_TEXT_MAX];
	time_format(p->since, since);
	buf_add_text(out, "{\"handler\":");
	json_add_string(out, p->handler);
	buf_addf(out, ",\"position\":%" PRIu64 ",\"domain\":", p->position);
	json_add_string(out, p->domain);
	if (p->stream.ptr) {
		buf_add_text(out, ",\"stream\":");
		json_add_string(out, p->stream);
	}
	buf_addf(out, ",\"failures\":%" PRIu64 ",\"since\":\"%s\",\"reason\":", p->failures, since);
	json_add_string(out, p->reason);
	buf_add_text(out, "}\n");
}

/* A reason is one line here, whatever a program wrote. */
static void add_text(struct buf *out, const struct ledger_parked *p)
{
	char since[RENDER_TIME_MAX];
	render_moment(p->since, false, since);
	buf_addf(out, "%.*s  %" PRIu64 "  %.*s  %" PRIu64 "  %s  ", SLICE_ARG(p->handler),
		p->position, SLICE_ARG(p->stream), p->failures, since);
	escape_slice(out, p->reason, false);
	buf_add_char(out, '\n');
}

static enum ledger_status print_parked(
	const struct ledger_parked *parked, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	*(uint64_t *)context += 1;
	if (output.format == FORMAT_JSON)
		add_json(&line, parked);
	else
		add_text(&line, parked);
	TRY(buf_check(&line, err));
	out_safe_lines(buf_slice(&line));
	return LEDGER_OK;
}

static enum ledger_status list(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc > 1)
		return usage(err, "more than one name", "list [NAME]");
	struct slice name = argc ? slice_of(argv[0]) : (struct slice){ NULL, 0 };
	uint64_t n = 0;
	TRY(ledger_parked(l, name, print_parked, &n, err));
	/* Of a handler that is not in the config any more something may be parked still. */
	return n == 0 && argc ? replay_check_names(1, argv, err) : LEDGER_OK;
}

/* --- retry ----------------------------------------------------------------------------------- */

/* Positions as typed, or all that are parked. */
struct positions {
	struct arena arena;
	uint64_t *items;
	size_t n, room;
};

#define CLEANUP_POSITIONS __attribute__((cleanup(positions_done)))

static void positions_done(struct positions *p)
{
	arena_done(&p->arena);
}

static enum ledger_status add_position(
	struct positions *p, uint64_t position, struct ledger_error *err)
{
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		uint64_t *items = arena_array(&p->arena, room, sizeof(*items));
		if (!items)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		if (p->n)
			memcpy(items, p->items, p->n * sizeof(*items));
		p->items = items;
		p->room = room;
	}
	p->items[p->n++] = position;
	return LEDGER_OK;
}

static enum ledger_status add_parked(
	const struct ledger_parked *parked, void *context, struct ledger_error *err)
{
	return add_position(context, parked->position, err);
}

static enum ledger_status parse_positions(
	struct positions *p, int argc, char **argv, struct ledger_error *err)
{
	for (int i = 0; i < argc; i++) {
		uint64_t position;
		if (!slice_u64(slice_of(argv[i]), &position) || position == 0)
			return fail(err, LEDGER_USAGE, "'%.80s' is not a position", argv[i]);
		TRY(add_position(p, position, err));
	}
	return LEDGER_OK;
}

/* One after the other. Those behind one that failed wait for it; another stream's are tried. */
static enum ledger_status retry_each(struct ledger_handler_run *run, const struct positions *p,
	bool named, struct ledger_error *err)
{
	enum ledger_status worst = LEDGER_OK;
	uint64_t done = 0;
	for (size_t i = 0; i < p->n && !signals_stop(); i++) {
		struct ledger_error one = { 0 };
		enum ledger_status status = ledger_handler_retry(run, p->items[i], &one);
		done += status == LEDGER_OK;
		if (status == LEDGER_OK || (status == LEDGER_CONFLICT && !named))
			continue;
		if (worst != LEDGER_OK)
			warn("%s", err->text);
		worst = one.status = status;
		*err = one;
		if (status != LEDGER_UNREACHABLE && status != LEDGER_TIMED_OUT)
			break;
	}
	note("%" PRIu64 " of %zu parked events handled", done, p->n);
	return worst;
}

static enum ledger_status run_retry(
	struct ledger *l, size_t which, int argc, char **argv, struct ledger_error *err)
{
	__attribute__((cleanup(close_ledger))) struct ledger *writer = NULL;
	__attribute__((cleanup(close_run))) struct ledger_handler_run *run = NULL;
	CLEANUP_POSITIONS struct positions positions = { 0 };
	struct ledger_replay_options options;
	const struct ledger_handler *h = &settings.handlers[which];
	TRY(parse_positions(&positions, argc, argv, err));
	TRY(consumers_check_safe(h->exec[0], err));
	TRY(command_open_ledger(LEDGER_MODE_WRITE, &writer, err));
	TRY(signals_catch(err));
	replay_fill_options(&options, l, writer);
	TRY(ledger_handler_open(
		&run, &options, settings.handlers, settings.n_handlers, which, err));
	if (argc == 0)
		TRY(ledger_parked(l, slice_of(h->name), add_parked, &positions, err));
	TRY(retry_each(run, &positions, argc > 0, err));
	return ledger_handler_finish(run, err);
}

static enum ledger_status retry(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc == 0)
		return usage(err, "a name is missing", "retry NAME [POSITION ...]");
	TRY(replay_check_names(1, argv, err));
	size_t which = replay_find_handler(slice_of(argv[0]));
	if (which == settings.n_handlers)
		return fail(
			err, LEDGER_USAGE, "%s is a projection: nothing of it is parked", argv[0]);
	return run_retry(l, which, argc - 1, argv + 1, err);
}

/* --- discard --------------------------------------------------------------------------------- */

static enum ledger_status discard(int argc, char **argv, struct ledger_error *err)
{
	__attribute__((cleanup(close_ledger))) struct ledger *writer = NULL;
	CLEANUP_POSITIONS struct positions positions = { 0 };
	if (argc < 2)
		return usage(err, argc ? "a position is missing" : "a name is missing",
			"discard NAME POSITION ...");
	TRY(parse_positions(&positions, argc - 1, argv + 1, err));
	TRY(command_open_ledger(LEDGER_MODE_WRITE, &writer, err));
	for (size_t i = 0; i < positions.n; i++)
		TRY(ledger_parked_discard(writer, slice_of(argv[0]), positions.items[i], err));
	return LEDGER_OK;
}

enum ledger_status replay_parked(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	const char *verb = argc ? argv[0] : "";
	if (replay_args.is_filtered || replay_args.to_stdout || replay_args.follow ||
		replay_args.dry_run || replay_args.again || replay_args.limit.given ||
		replay_args.rebuild || replay_args.order)
		return fail(err, LEDGER_USAGE, "parked events are chosen by name and position");
	if (strcmp(verb, "list") == 0)
		return list(l, argc - 1, argv + 1, err);
	if (strcmp(verb, "retry") == 0)
		return retry(l, argc - 1, argv + 1, err);
	if (strcmp(verb, "discard") == 0)
		return discard(argc - 1, argv + 1, err);
	fail(err, LEDGER_USAGE, "%s", argc ? "there is no such verb" : "a verb is missing");
	return hint(err, "one of: parked list, parked retry, parked discard");
}
