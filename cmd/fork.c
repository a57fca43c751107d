/* fork - chains with two events at one place: list, show both branches, settle. */
#include <inttypes.h>
#include <stdio.h>

#include "../lib/peers.h"
#include "command.h"
#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

static bool events, record_again;
static const char *reason;

static const struct opt opts[] = {
	{ 0, "events", "show: the events of the branch alone, a line each", NULL, .flag = &events },
	{ 0, "reason", "settle: why, for the record", "<text>", .str = &reason },
	{ 0, "record-again", "settle: record the branch's events once more", NULL,
		.flag = &record_again },
	{ 0 },
};

/* A branch by its name, or the beginning of it. */
struct search {
	const char *name;
	struct ledger_fork
		fork; /* its words are valid while a ledger's tables are not read again */
	char place[256];
	unsigned found;
};

static enum ledger_status flush(struct ledger_error *err)
{
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

static enum ledger_status print_text(struct buf *text, struct ledger_error *err)
{
	TRY(buf_check(text, err));
	out_safe_lines(buf_slice(text));
	return LEDGER_OK;
}

/* --- Printing -------------------------------------------------------------------------------- */

static void add_json(struct buf *out, const struct ledger_fork *f)
{
	char found[TIME_TEXT_MAX];
	time_format(f->found, found);
	buf_add_text(out, "\"origin\":");
	json_add_string(out, f->chain.origin);
	buf_addf(out, ",\"epoch\":%" PRIu64 ",\"domain\":", f->chain.epoch);
	json_add_string(out, f->chain.domain);
	buf_addf(out, ",\"sequence\":%" PRIu64 ",\"here\":\"", f->sequence);
	buf_add_hex(out, f->here, EVENT_HASH_SIZE);
	buf_add_text(out, "\",\"branch\":\"");
	buf_add_hex(out, f->there, EVENT_HASH_SIZE);
	buf_addf(out, "\",\"events\":%" PRIu64 ",\"last\":%" PRIu64 ",\"last_hash\":\"", f->events,
		f->last);
	buf_add_hex(out, f->last_hash, EVENT_HASH_SIZE);
	buf_addf(out, "\",\"whole\":%s,\"found\":\"%s\"", f->whole ? "true" : "false", found);
	if (f->settled)
		buf_addf(out, ",\"settled\":%" PRIu64, f->settled);
}

static void add_row(struct buf *out, const struct ledger_fork *f)
{
	char found[RENDER_TIME_MAX];
	render_moment(f->found, false, found);
	buf_add_hex(out, f->there, 8);
	buf_addf(out, "  %s  %.*s/%" PRIu64 "/%.*s/%" PRIu64 "  %" PRIu64 " events%s  %s\n",
		f->settled ? "settled" : "open", SLICE_ARG(f->chain.origin), f->chain.epoch,
		SLICE_ARG(f->chain.domain), f->sequence, f->events,
		f->whole ? "" : ", the first are missing", found);
}

static enum ledger_status print_fork(
	const struct ledger_fork *f, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	(void)context;
	if (output.format == FORMAT_JSON) {
		buf_add_char(&text, '{');
		add_json(&text, f);
		buf_add_text(&text, "}\n");
	} else {
		add_row(&text, f);
	}
	return print_text(&text, err);
}

static enum ledger_status run_list(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc)
		return fail(err, LEDGER_USAGE, "'%.80s' is one operand too many", argv[0]);
	TRY(ledger_forks(l, print_fork, NULL, err));
	return flush(err);
}

/* --- Finding a branch ------------------------------------------------------------------------ */

static enum ledger_status match(
	const struct ledger_fork *f, void *context, struct ledger_error *err)
{
	struct search *s = context;
	CLEANUP_BUF struct buf name = { 0 };
	buf_add_hex(&name, f->there, EVENT_HASH_SIZE);
	TRY(buf_check(&name, err));
	if (!slice_starts(buf_slice(&name), slice_of(s->name)))
		return LEDGER_OK;
	s->fork = *f;
	s->found++;
	snprintf(s->place, sizeof(s->place), "%.*s/%" PRIu64 "/%.*s/%" PRIu64,
		SLICE_ARG(f->chain.origin), f->chain.epoch, SLICE_ARG(f->chain.domain),
		f->sequence);
	return LEDGER_OK;
}

static enum ledger_status find(
	struct ledger *l, int argc, char **argv, struct search *s, struct ledger_error *err)
{
	if (argc != 1) {
		fail(err, LEDGER_USAGE,
			argc ? "'%.80s' is one operand too many" : "a branch is missing",
			argc ? argv[1] : "");
		return hint(err, "usage: ledgerbox fork show BRANCH, as fork list names it");
	}
	*s = (struct search){ .name = argv[0] };
	if (strlen(s->name) < 8)
		return fail(
			err, LEDGER_USAGE, "'%.80s' is too short, name at least 8 digits", s->name);
	TRY(ledger_forks(l, match, s, err));
	if (s->found > 1)
		return fail(err, LEDGER_USAGE, "'%.80s' fits several branches", s->name);
	if (s->found == 1)
		return LEDGER_OK;
	fail(err, LEDGER_NO, "there is no branch %.80s", s->name);
	return hint(err, "see them with: ledgerbox fork list");
}

/* --- Showing both ---------------------------------------------------------------------------- */

/* An event as JSON, or with the bytes that are hashed, so that each of the two can be recomputed. */
static enum ledger_status add_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct buf *out = context;
	struct event plain = *event;
	plain.position = 0;
	event_add_line(out, &plain);
	if (output.format != FORMAT_JSON) {
		buf_add_text(out, "\n\n");
		ledger_add_proof(out, &plain);
	}
	return buf_check(out, err);
}

struct first {
	const uint8_t *hash;
	struct buf *out;
};

static enum ledger_status add_first(
	const struct event *event, void *context, struct ledger_error *err)
{
	const struct first *first = context;
	if (memcmp(event->hash, first->hash, EVENT_HASH_SIZE) != 0)
		return LEDGER_OK;
	return add_event(event, first->out, err);
}

static enum ledger_status show_both(struct ledger *l, struct search *s, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct first first = { s->fork.there, &text };
	bool json = output.format == FORMAT_JSON;
	buf_add_text(&text, json ? "{" : "");
	if (json)
		add_json(&text, &s->fork);
	else
		add_row(&text, &s->fork);
	buf_add_text(&text, json ? ",\"here_event\":" : "\nin the chain here:\n\n");
	TRY(ledger_find(l, slice_of(s->place), add_event, &text, err));
	buf_add_text(&text, json ? ",\"branch_event\":" : "\nin the branch:\n\n");
	TRY(ledger_fork_events(l, s->fork.there, add_first, &first, err));
	buf_add_text(&text, json ? "}\n" : "");
	return print_text(&text, err);
}

static enum ledger_status print_line(
	const struct event *event, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	(void)context;
	event_add_line(&line, event);
	buf_add_char(&line, '\n');
	return print_text(&line, err);
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct search s;
	TRY(find(l, argc, argv, &s, err));
	if (events)
		TRY(ledger_fork_events(l, s.fork.there, print_line, NULL, err));
	else
		TRY(show_both(l, &s, err));
	return flush(err);
}

/* --- Settling -------------------------------------------------------------------------------- */

static enum ledger_status run_settle(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct search s;
	struct ledger_settlement done;
	if (!reason || !*reason || !slice_is_utf8(slice_of(reason))) {
		fail(err, LEDGER_USAGE, "--reason is missing or not UTF-8");
		return hint(err, "it is recorded: --reason 'what was decided'");
	}
	TRY(find(l, argc, argv, &s, err));
	TRY(ledger_fork_settle(l, s.fork.there, slice_of(reason), record_again, &done, err));
	if (output.quiet)
		return LEDGER_OK;
	if (output.format == FORMAT_JSON)
		outf("{\"position\":%" PRIu64 ",\"recorded\":%" PRIu64 ",\"skipped\":%" PRIu64
		     ",\"inserted\":%" PRIu64 "}\n",
			done.position, done.recorded, done.skipped, done.inserted);
	else
		outf("settled, position %" PRIu64 "; %" PRIu64 " recorded again, %" PRIu64
		     " known already, %" PRIu64 " had waited\n",
			done.position, done.recorded, done.skipped, done.inserted);
	return flush(err);
}

static const struct verb verbs[] = {
	{ "list", NULL, "all branches, open and settled", OPENS_READ, COMPLETE_NONE, run_list },
	{ "show", "BRANCH", "both events, each with what proves it", OPENS_READ, COMPLETE_NONE,
		run_show },
	{ "settle", "BRANCH", "let the chain stand as it is here", OPENS_WRITE, COMPLETE_NONE,
		run_settle },
	{ 0 },
};

const struct command cmd_fork = {
	.name = "fork",
	.summary = "List, show and settle forks: two events at one place of a chain.",
	.opens = OPENS_READ,
	.opts = opts,
	.verbs = verbs,
	.examples = "ledgerbox fork list\n"
		    "ledgerbox fork show 0f3a9c2e\n"
		    "ledgerbox fork settle 0f3a9c2e --reason 'till 3 was restored' "
		    "--record-again\n",
};
