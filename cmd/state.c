/* state - print the state of a stream, now or at a moment. */
#include "state.h"

#include <inttypes.h>

#include "command.h"
#include "moment.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* As typed. */
static struct {
	const char *at, *known_at;
	const char *domain;
	bool all, diff, utc;
} args;

static const struct opt opts[] = {
	{ 0, "at", "as it was then: a time, version=N or position=N", "<moment>", .str = &args.at },
	{ 0, "known-at", "from what had been recorded by then", "<time>", .str = &args.known_at },
	{ 'd', "domain", "of this domain, where several have the stream", "<domain>",
		.str = &args.domain, .complete = COMPLETE_DOMAIN },
	{ 0, "all", "every stream of a type (type/), a line each", NULL, .flag = &args.all },
	{ 0, "diff", "what has changed between two moments", NULL, .flag = &args.diff },
	{ 0, "utc", "read and show times in UTC, not local time", NULL, .flag = &args.utc },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

/* --- Snapshots that do not serve ------------------------------------------------------------- */

void state_say_refused(struct slice stream, uint64_t position, const char *why, void *context)
{
	(void)context;
	warn("the snapshot of %.*s at position %" PRIu64 " is not used: %s", SLICE_ARG(stream),
		position, why);
}

/* --- Printing -------------------------------------------------------------------------------- */

void state_add_json(struct buf *out, const struct ledger_state *s)
{
	char clock[TIME_TEXT_MAX], time[TIME_TEXT_MAX];
	time_format(s->clock, clock);
	time_format(s->time, time);
	buf_add_text(out, "{\"stream\":");
	json_add_string(out, s->stream);
	buf_add_text(out, ",\"domain\":");
	json_add_string(out, s->domain);
	buf_addf(out, ",\"events\":%" PRIu64 ",\"version\":%" PRIu64 ",\"position\":%" PRIu64,
		s->events, s->version, s->position);
	buf_addf(out, ",\"last\":{\"position\":%" PRIu64 ",\"clock\":\"%s\",\"time\":\"%s\"",
		s->last, clock, time);
	buf_add_text(out, ",\"hash\":\"");
	buf_add_hex(out, s->hash, sizeof(s->hash));
	buf_addf(out, "\"},\"reducer\":\"%s\",\"reducer_hash\":\"", s->reducer);
	buf_add_hex(out, s->reducer_hash, sizeof(s->reducer_hash));
	buf_addf(out, "\",\"folded\":%" PRIu64, s->folded);
	if (s->snapshot)
		buf_addf(out, ",\"snapshot\":%" PRIu64, s->snapshot);
	buf_add_text(out, ",\"state\":");
	buf_add_slice(out, s->state);
	buf_add_char(out, '}');
}

static void add_tsv(struct buf *out, const struct ledger_state *s)
{
	buf_addf(out, "%.*s\t%.*s\t%" PRIu64 "\t%" PRIu64 "\t", SLICE_ARG(s->stream),
		SLICE_ARG(s->domain), s->events, s->version);
	buf_add_hex(out, s->hash, sizeof(s->hash));
	buf_add_char(out, '\t');
	/* In JSON on one line every tab and newline is an escape already, but a backslash is one too. */
	for (size_t i = 0; i < s->state.len; i++) {
		if (s->state.ptr[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s->state.ptr[i] == '\t' ? ' ' : s->state.ptr[i]);
	}
}

static void add_text(struct buf *out, const struct ledger_state *s)
{
	if (args.all) {
		buf_add_slice(out, s->stream);
		buf_add_text(out, "  ");
	}
	if (output.terminal && !args.all)
		json_add_pretty(out, s->state, 0);
	else
		buf_add_slice(out, s->state);
}

/* By which events it is what it is. */
void state_say_events(const struct ledger_state *s)
{
	CLEANUP_BUF struct buf hash = { 0 }, begin = { 0 };
	buf_add_hex(&hash, s->hash, sizeof(s->hash));
	if (s->snapshot)
		buf_addf(&begin, "; %" PRIu64 " of them behind the snapshot at position %" PRIu64,
			s->folded, s->snapshot);
	note("%.*s: %" PRIu64 " event%s, the last %s at position %" PRIu64 "%s",
		SLICE_ARG(s->stream), s->events, s->events == 1 ? "" : "s", buf_text(&hash),
		s->last, buf_text(&begin));
}

static enum ledger_status print(const struct ledger_state *s, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	if (output.format == FORMAT_JSON)
		state_add_json(&line, s);
	else if (output.format == FORMAT_TSV)
		add_tsv(&line, s);
	else
		add_text(&line, s);
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	out_safe_lines(buf_slice(&line));
	return LEDGER_OK;
}

enum ledger_status state_flush(struct ledger_error *err)
{
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* --- The policy of the config ---------------------------------------------------------------- */

static bool has_policy(void)
{
	for (size_t i = 0; i < settings.n_stream_types; i++)
		if (settings.stream_types[i].snapshot_every)
			return true;
	return false;
}

/*
 * stream_types: {type: {snapshot_every: N}}: when as many events had to be folded, the answer is kept for
 * the next one. Who may not write, or would have to wait, has had their answer all the same.
 */
static void keep_if_due(const struct ledger_state *s)
{
	const struct stream_type_settings *type = settings_stream_type(s->stream);
	bool is_now = !args.at && !args.known_at;
	struct ledger_error ignored;
	struct ledger *l = NULL;
	struct ledger_fold *f = NULL;
	if (!type || !type->snapshot_every || s->folded < type->snapshot_every || !is_now)
		return;
	if (command_open_ledger(LEDGER_MODE_WRITE, &l, &ignored) == LEDGER_OK &&
		ledger_fold_open(&f, l, &settings.rules, &ignored) == LEDGER_OK)
		ledger_snapshot_keep(f, s, &ignored);
	ledger_fold_close(f);
	ledger_close(l);
}

/* --- What was asked for ---------------------------------------------------------------------- */

struct asked {
	struct ledger_fold *fold;
	struct ledger_moment moment;
	uint64_t n;
};

struct slice state_domain(struct slice stream, const char *given)
{
	const struct stream_type_settings *type = settings_stream_type(stream);
	if (given)
		return slice_of(given);
	return type && type->domain ? slice_of(type->domain) : (struct slice){ NULL, 0 };
}

static enum ledger_status print_one(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err)
{
	struct asked *a = context;
	struct ledger_state s;
	enum ledger_status status = ledger_state(a->fold, stream, domain, &a->moment, &s, err);
	if (status == LEDGER_NO && args.all)
		return LEDGER_OK; /* it began later */
	TRY(status);
	a->n++;
	TRY(print(&s, err));
	return out_failed() ? LEDGER_NO : LEDGER_OK;
}

static enum ledger_status run_all(
	struct asked *a, struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct slice prefix = argc ? slice_of(argv[0]) : SLICE("");
	struct slice type, key;
	if (argc > 1)
		return fail(
			err, LEDGER_USAGE, "--all takes one stream type, not '%.60s' too", argv[1]);
	if (argc &&
		!(slice_cut(prefix, '/', &type, &key) && key.len == 0 && slice_is_token(type))) {
		fail(err, LEDGER_USAGE, "'%.80s' is not a stream type", argv[0]);
		return hint(err, "for example: ledgerbox state --all product/");
	}
	enum ledger_status status =
		ledger_streams(l, prefix, slice_of(args.domain), print_one, a, err);
	if (status && !out_failed())
		return status;
	TRY(state_flush(err));
	if (a->n == 0)
		return fail(err, LEDGER_NO, "no stream%s%.*s has events then",
			prefix.len ? " of " : "", SLICE_ARG(prefix));
	return LEDGER_OK;
}

static enum ledger_status run_one(struct asked *a, const char *name, struct ledger_error *err)
{
	struct slice stream = slice_of(name);
	struct ledger_state s;
	TRY(ledger_state(a->fold, stream, state_domain(stream, args.domain), &a->moment, &s, err));
	TRY(print(&s, err));
	TRY(state_flush(err));
	if (output.format != FORMAT_JSON)
		state_say_events(&s);
	keep_if_due(&s);
	return LEDGER_OK;
}

static enum ledger_status run_diff(struct asked *a, char **argv, struct ledger_error *err)
{
	struct ledger_moment to = a->moment;
	struct slice stream = slice_of(argv[0]);
	TRY(moment_parse("--diff", argv[1], args.utc, &a->moment, err));
	TRY(moment_parse("--diff", argv[2], args.utc, &to, err));
	TRY(state_diff(a->fold, stream, state_domain(stream, args.domain), &a->moment, &to, err));
	return state_flush(err);
}

static enum ledger_status check_args(int argc, char **argv, struct ledger_error *err)
{
	int wanted = args.diff ? 3 : 1;
	if (args.diff && (args.at || args.all))
		return fail(err, LEDGER_USAGE,
			"--diff takes two moments as operands: it goes with neither --at nor "
			"--all");
	if (args.diff && output.format == FORMAT_TSV)
		return fail(err, LEDGER_USAGE, "--diff is text or json");
	if (args.all || argc == wanted)
		return LEDGER_OK;
	if (argc > wanted)
		fail(err, LEDGER_USAGE, "'%.80s' is one operand too many", argv[wanted]);
	else
		fail(err, LEDGER_USAGE, "%s is missing", argc ? "a moment" : "a stream");
	return hint(err, args.diff
				 ? "for example: ledgerbox state product/sku-1 --diff yesterday now"
				 : "for example: ledgerbox state product/sku-1");
}

static enum ledger_status run_with_fold(
	struct asked *a, struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	ledger_fold_on_refused(a->fold, state_say_refused, NULL);
	command_confine(NULL, has_policy() ? settings.database : NULL);
	if (args.at)
		TRY(moment_parse("--at", args.at, args.utc, &a->moment, err));
	if (args.known_at)
		TRY(moment_parse_known(args.known_at, args.utc, &a->moment, err));
	if (args.diff)
		return run_diff(a, argv, err);
	return args.all ? run_all(a, l, argc, argv, err) : run_one(a, argv[0], err);
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct asked a = { 0 };
	TRY(check_args(argc, argv, err));
	TRY(ledger_fold_open(&a.fold, l, &settings.rules, err));
	enum ledger_status status = run_with_fold(&a, l, argc, argv, err);
	ledger_fold_close(a.fold);
	return status;
}

static const char *const formats[] = { "text", "json", "tsv", NULL };

const struct command cmd_state = {
	.name = "state",
	.summary = "Print the state of a stream, now or at a moment.",
	.operands = "STREAM | --all [TYPE/] | STREAM --diff MOMENT MOMENT",
	.opens = OPENS_READ,
	.opts = opts,
	.complete = COMPLETE_STREAM,
	.formats = formats,
	.examples = "ledgerbox state product/sku-1\n"
		    "ledgerbox state product/sku-1 --at '2026-11-20 17:30'\n"
		    "ledgerbox state product/sku-1 --at version=3 --format json\n"
		    "ledgerbox state --all product/\n"
		    "ledgerbox state product/sku-1 --diff yesterday now\n",
	.run = run,
};
