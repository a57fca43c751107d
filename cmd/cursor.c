/* cursor - list, show, set and delete the positions that named consumers have come to. */
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "operands.h"
#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

/* What a listing is made of. */
struct listing {
	struct buf line;
	struct slice only; /* this cursor; absent: all */
	uint64_t last;	   /* position of the ledger's last event */
	bool header;	   /* still to be printed, on a terminal */
};

#define CLEANUP_LISTING __attribute__((cleanup(listing_done)))

static void listing_done(struct listing *listing)
{
	buf_done(&listing->line);
}

/* --- Printing -------------------------------------------------------------------------------- */

/* How many events are still to come; a cursor ahead (of a ledger put back) is behind by none. */
static uint64_t behind(const struct listing *listing, const struct ledger_cursor *c)
{
	return listing->last > c->position ? listing->last - c->position : 0;
}

static void add_json(struct listing *listing, const struct ledger_cursor *c)
{
	struct buf *out = &listing->line;
	char updated[TIME_TEXT_MAX];
	time_format(c->updated, updated);
	buf_add_text(out, "{\"name\":");
	json_add_string(out, c->name);
	buf_addf(out, ",\"position\":%" PRIu64 ",\"behind\":%" PRIu64, c->position,
		behind(listing, c));
	buf_add_text(out, ",\"hash\":\"");
	buf_add_hex(out, c->hash, sizeof(c->hash));
	buf_addf(out, "\",\"updated\":\"%s\"}\n", updated);
}

static void add_text(struct listing *listing, const struct ledger_cursor *c)
{
	struct buf *out = &listing->line;
	char updated[RENDER_TIME_MAX];
	render_moment(c->updated, false, updated);
	if (listing->header)
		buf_addf(out, "%-20s  %10s  %10s  %s\n", "name", "position", "behind", "updated");
	listing->header = false;
	if (output.terminal)
		buf_addf(out, "%-20.*s  %10" PRIu64 "  %10" PRIu64 "  %s\n", SLICE_ARG(c->name),
			c->position, behind(listing, c), updated);
	else
		buf_addf(out, "%.*s  %" PRIu64 "  %" PRIu64 "  %s\n", SLICE_ARG(c->name),
			c->position, behind(listing, c), updated);
}

static enum ledger_status print_cursor(
	const struct ledger_cursor *c, void *context, struct ledger_error *err)
{
	struct listing *listing = context;
	if (listing->only.ptr && !slice_eq(listing->only, c->name))
		return LEDGER_OK;
	buf_reset(&listing->line);
	if (output.format == FORMAT_JSON)
		add_json(listing, c);
	else
		add_text(listing, c);
	TRY(buf_check(&listing->line, err));
	out_safe_lines(buf_slice(&listing->line));
	return LEDGER_OK;
}

static enum ledger_status print_cursors(
	struct ledger *l, struct slice only, struct ledger_error *err)
{
	CLEANUP_LISTING struct listing listing = { .only = only, .header = output.terminal };
	TRY(ledger_last_position(l, &listing.last, err));
	TRY(ledger_cursors(l, print_cursor, &listing, err));
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* --- Verbs ----------------------------------------------------------------------------------- */

/* A cursor's name has the form of an event type. */
static enum ledger_status check_name(const char *name, struct ledger_error *err)
{
	struct ledger_error ignored;
	if (event_check_type(slice_of(name), &ignored) == LEDGER_OK)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "'%.80s' is not a name of a cursor", name);
	return hint(err, "1 to 128 of A-Z a-z 0-9 _ - . :");
}

static enum ledger_status run_list(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "list", err));
	return print_cursors(l, (struct slice){ 0 }, err);
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t position;
	TRY(operands_check(argc, argv, "show NAME", err));
	TRY(check_name(argv[0], err));
	struct slice name = slice_of(argv[0]);
	TRY(ledger_cursor_get(l, name, &position, err));
	return print_cursors(l, name, err);
}

static enum ledger_status run_set(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t position;
	TRY(operands_check(argc, argv, "set NAME POSITION", err));
	TRY(check_name(argv[0], err));
	struct slice name = slice_of(argv[0]);
	if (!slice_u64(slice_of(argv[1]), &position)) {
		fail(err, LEDGER_USAGE, "'%.80s' is not a position", argv[1]);
		return hint(err, "a whole number; 0 is the beginning");
	}
	TRY(ledger_cursor_set(l, name, position, err));
	return output.quiet ? LEDGER_OK : print_cursors(l, name, err);
}

static enum ledger_status run_delete(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "delete NAME", err));
	TRY(check_name(argv[0], err));
	return ledger_cursor_delete(l, slice_of(argv[0]), err);
}

static const struct verb verbs[] = {
	{ "list", NULL, "all cursors, and how far they are behind", OPENS_READ, COMPLETE_NONE,
		run_list },
	{ "show", "NAME", "one cursor, checked against the ledger", OPENS_READ, COMPLETE_CURSOR,
		run_show },
	{ "set", "NAME POSITION", "put a cursor behind the event at this position", OPENS_WRITE,
		COMPLETE_CURSOR, run_set },
	{ "delete", "NAME", "forget a cursor", OPENS_WRITE, COMPLETE_CURSOR, run_delete },
	{ 0 },
};

const struct command cmd_cursor = {
	.name = "cursor",
	.summary = "List, show, set and delete cursors.",
	.opens = OPENS_READ,
	.verbs = verbs,
	.examples = "ledgerbox cursor list\n"
		    "ledgerbox cursor set mail 0\n",
};
