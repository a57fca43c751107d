/*
 * replay to consumers: each does a bounded piece in turn, so that a slow one does not hold up the others.
 * One that fails says so and is left; the others go on, and the exit code is that of the first.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdlib.h>

#include "command.h"
#include "consumers.h"
#include "output.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

/* While following, a consumer that has failed is tried again after so long. */
#define REST (10 * TIME_SECOND)

/* A handler or a projection; with neither run it is not open. */
struct consumer {
	const char *name;
	bool is_projection;
	size_t which; /* of settings.handlers or settings.projections */
	struct ledger_handler_run *handler;
	struct ledger_projection_run *projection;
	enum ledger_status status;
	uint64_t again; /* while following: when to open it again */
	uint64_t count; /* events of runs that are closed */
	uint64_t position;
	bool done;
	bool is_rebuilt; /* with --rebuild: it is in place */
};

struct replay {
	struct ledger *ledger;
	struct ledger *writer; /* for handlers; NULL: not open */
	struct arena arena;    /* of schemas */
	struct consumer *consumers;
	size_t n;
	struct ledger_error first; /* what is answered in the end */
	uint64_t end;
	bool is_live; /* said so */
	const struct consumer *current;
};

#define CLEANUP_REPLAY __attribute__((cleanup(replay_done)))

static void close_runs(struct consumer *c)
{
	ledger_handler_close(c->handler);
	ledger_projection_close(c->projection);
	c->handler = NULL;
	c->projection = NULL;
}

static void replay_done(struct replay *r)
{
	for (size_t i = 0; i < r->n; i++)
		close_runs(&r->consumers[i]);
	free(r->consumers);
	arena_done(&r->arena);
	ledger_close(r->writer);
}

/* --- The bar --------------------------------------------------------------------------------- */

/* The consumer at hand is on its way, at `position`. */
static void draw(const struct replay *r, uint64_t position)
{
	uint64_t done = 0;
	for (size_t i = 0; i < r->n; i++) {
		const struct consumer *c = &r->consumers[i];
		uint64_t at = c == r->current && position > c->position ? position : c->position;
		done += at < r->end ? at : r->end;
	}
	progress_draw("replay", done, r->n * r->end);
}

static void show_step(uint64_t position, void *context)
{
	draw(context, position);
}

/* --- One consumer ---------------------------------------------------------------------------- */

static enum ledger_status open_writer(struct replay *r, struct ledger_error *err)
{
	return r->writer ? LEDGER_OK : command_open_ledger(LEDGER_MODE_WRITE, &r->writer, err);
}

static enum ledger_status open_handler(
	struct replay *r, struct consumer *c, struct ledger_error *err)
{
	struct ledger_replay_options options;
	TRY(consumers_check_safe(settings.handlers[c->which].exec[0], err));
	TRY(open_writer(r, err));
	replay_fill_options(&options, r->ledger, r->writer);
	options.context = r;
	options.progress = show_step;
	return ledger_handler_open(
		&c->handler, &options, settings.handlers, settings.n_handlers, c->which, err);
}

static enum ledger_status open_projection(
	struct replay *r, struct consumer *c, struct ledger_error *err)
{
	struct ledger_replay_options options;
	const struct ledger_projection *p = &settings.projections[c->which];
	TRY(consumers_load(c->which, &r->arena, err));
	replay_fill_options(&options, r->ledger, NULL);
	options.context = r;
	options.progress = show_step;
	if (replay_args.rebuild && !c->is_rebuilt)
		return ledger_projection_rebuild(&c->projection, &options, p,
			replay_is_shared() ? LEDGER_ORDER_SHARED : LEDGER_ORDER_ARRIVAL, err);
	return ledger_projection_open(&c->projection, &options, p, err);
}

static enum ledger_status step_handler(
	struct replay *r, struct consumer *c, struct ledger_error *err)
{
	if (!c->handler)
		TRY(open_handler(r, c, err));
	enum ledger_status status = ledger_handler_step(c->handler, r->end, &c->done, err);
	c->position = ledger_handler_position(c->handler);
	return status;
}

static enum ledger_status step_projection(
	struct replay *r, struct consumer *c, struct ledger_error *err)
{
	if (!c->projection)
		TRY(open_projection(r, c, err));
	enum ledger_status status = ledger_projection_step(c->projection, r->end, &c->done, err);
	c->position = ledger_projection_position(c->projection);
	c->is_rebuilt = c->is_rebuilt || (status == LEDGER_OK && c->done);
	return status;
}

static void close_one(struct consumer *c)
{
	if (c->handler)
		c->count += ledger_handler_count(c->handler);
	if (c->projection)
		c->count += ledger_projection_count(c->projection);
	close_runs(c);
}

/* The first failure is the answer of the whole; later ones are said at once. */
static void leave(struct replay *r, struct consumer *c, struct ledger_error *err)
{
	close_one(c);
	c->done = true;
	c->status = err->status;
	c->again = time_monotonic() + REST;
	if (r->first.status == LEDGER_OK && !replay_args.follow)
		r->first = *err;
	else
		warn("%s%s%s", err->text, err->hint[0] ? "; " : "", err->hint);
}

static void advance(struct replay *r, struct consumer *c)
{
	struct ledger_error err = { 0 };
	enum ledger_status status =
		c->is_projection ? step_projection(r, c, &err) : step_handler(r, c, &err);
	if (status == LEDGER_OK) {
		c->status = LEDGER_OK;
		return;
	}
	err.status = status;
	leave(r, c, &err);
}

static void finish(struct replay *r, struct consumer *c)
{
	struct ledger_error err = { 0 };
	if (c->handler && (err.status = ledger_handler_finish(c->handler, &err)) != LEDGER_OK)
		leave(r, c, &err);
	close_one(c);
}

/* --- All of them ----------------------------------------------------------------------------- */

/* Brings everybody to the end of the ledger as it is now. */
static enum ledger_status catch_up(struct replay *r, struct ledger_error *err)
{
	bool busy = true;
	progress_begin();
	TRY(ledger_last_position(r->ledger, &r->end, err));
	for (size_t i = 0; i < r->n; i++) {
		struct consumer *c = &r->consumers[i];
		c->done = c->status != LEDGER_OK && time_monotonic() < c->again;
	}
	while (busy && !signals_stop()) {
		busy = false;
		for (size_t i = 0; i < r->n && !signals_stop(); i++) {
			r->current = &r->consumers[i];
			if (!r->consumers[i].done)
				advance(r, &r->consumers[i]);
			busy = busy || !r->consumers[i].done;
			draw(r, 0);
		}
	}
	progress_clear();
	return LEDGER_OK;
}

static enum ledger_status follow(struct replay *r, struct ledger_error *err)
{
	bool changed;
	TRY(ledger_watch(r->ledger, signals_wake(), 0, &changed, err));
	while (!signals_stop()) {
		TRY(catch_up(r, err));
		replay_keep_snapshots(&r->writer, r->end);
		if (!r->is_live && !signals_stop())
			note("live from here on, behind position %" PRIu64, r->end);
		r->is_live = true;
		if (!signals_stop())
			TRY(ledger_watch(r->ledger, signals_wake(), TIME_SECOND, &changed, err));
	}
	return LEDGER_OK;
}

/* --- What came of it ------------------------------------------------------------------------- */

static void add_json(struct buf *out, const struct consumer *c)
{
	buf_add_text(out, "{\"name\":");
	json_add_string(out, slice_of(c->name));
	buf_addf(out, ",\"kind\":\"%s\"", c->is_projection ? "projection" : "handler");
	buf_addf(out, ",\"events\":%" PRIu64 ",\"position\":%" PRIu64, c->count, c->position);
	buf_addf(out, ",\"status\":\"%s\"}\n", ledger_status_name(c->status));
}

/* Of one that could not be opened it is not known where it stands. */
static void add_text(struct buf *out, const struct consumer *c)
{
	buf_addf(out, "%s  %" PRIu64 " event%s", c->name, c->count, c->count == 1 ? "" : "s");
	if (c->position || !c->status)
		buf_addf(out, ", at position %" PRIu64, c->position);
	if (c->status)
		buf_addf(out, ", %s", ledger_status_name(c->status));
	buf_add_char(out, '\n');
}

static void print_summary(const struct replay *r)
{
	CLEANUP_BUF struct buf line = { 0 };
	for (size_t i = 0; i < r->n; i++) {
		const struct consumer *c = &r->consumers[i];
		buf_reset(&line);
		if (output.format == FORMAT_JSON)
			add_json(&line, c);
		else
			add_text(&line, c);
		out_safe_lines(buf_slice(&line));
	}
}

static void choose(struct replay *r, int argc, char **argv)
{
	for (size_t i = 0; i < settings.n_projections && !replay_args.again; i++)
		if (replay_is_named(settings.projections[i].name, argc, argv))
			r->consumers[r->n++] =
				(struct consumer){ .name = settings.projections[i].name,
					.is_projection = true,
					.which = i };
	for (size_t i = 0; i < settings.n_handlers && !replay_args.rebuild; i++)
		if (replay_is_named(settings.handlers[i].name, argc, argv))
			r->consumers[r->n++] =
				(struct consumer){ .name = settings.handlers[i].name, .which = i };
}

enum ledger_status replay_run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_REPLAY struct replay r = { .ledger = l };
	r.consumers =
		calloc(settings.n_handlers + settings.n_projections + 1, sizeof(*r.consumers));
	if (!r.consumers)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	choose(&r, argc, argv);
	TRY(signals_catch(err));
	/* clang 14 does not follow cleanup attributes. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	TRY(replay_args.follow ? follow(&r, err) : catch_up(&r, err));
	for (size_t i = 0; i < r.n; i++)
		finish(&r, &r.consumers[i]);
	if (!replay_args.follow)
		replay_keep_snapshots(&r.writer, r.end);
	if (!output.quiet)
		print_summary(&r);
	*err = r.first;
	return r.first.status;
}
