/* snapshot - take, list, show, check and prune stored states. */
#include <inttypes.h>

#include "command.h"
#include "output.h"
#include "render.h"
#include "settings.h"
#include "state.h"

#include "../lib/base/banned.h"

/* As typed. */
static struct {
	bool all;
	const char *type;
	const char *domain;
	struct opt_u64 every;
	struct opt_u64 keep;
	uint64_t older_than;
	bool dry_run;
} args;

static const struct opt opts[] = {
	{ 0, "all", "take: of every stream", NULL, .flag = &args.all },
	{ 0, "type", "take --all: only of streams of this type", "<stream type>",
		.str = &args.type },
	{ 0, "every", "take: only where so many events are new", "<n>", .maybe_u64 = &args.every },
	{ 0, "keep", "prune: not the newest so many of a stream", "<n>", .maybe_u64 = &args.keep },
	{ 0, "older-than", "prune: only what was taken before that", "<duration>",
		.duration = &args.older_than },
	{ 0, "dry-run", "prune: only say how many", NULL, .flag = &args.dry_run },
	{ 'd', "domain", "of this domain", "<domain>", .str = &args.domain,
		.complete = COMPLETE_DOMAIN },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

typedef enum ledger_status with_fold(
	struct ledger_fold *f, int argc, char **argv, struct ledger_error *err);

/* Opens what the verbs that only read work with. */
static enum ledger_status with(
	struct ledger *l, with_fold *verb, int argc, char **argv, struct ledger_error *err)
{
	struct ledger_fold *f = NULL;
	TRY(ledger_fold_open(&f, l, &settings.rules, err));
	ledger_fold_on_refused(f, state_say_refused, NULL);
	command_confine(NULL, NULL);
	enum ledger_status status = verb(f, argc, argv, err);
	ledger_fold_close(f);
	return status;
}

/* --- take ------------------------------------------------------------------------------------ */

struct taking {
	struct ledger_fold *fold;
	struct buf
		names; /* of the streams to take, "domain stream\n": listed before anything is written */
	uint64_t taken, passed;
};

static enum ledger_status take_one(
	struct taking *t, struct slice stream, struct slice domain, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct ledger_state s;
	bool taken;
	TRY(ledger_snapshot_take(t->fold, stream, domain, args.every.value, &s, &taken, err));
	*(taken ? &t->taken : &t->passed) += 1;
	if (!taken || (output.quiet && output.format != FORMAT_JSON))
		return LEDGER_OK;
	if (output.format == FORMAT_JSON)
		state_add_json(&line, &s);
	else
		buf_addf(&line, "%.*s  %.*s  position %" PRIu64 "  %" PRIu64 " events",
			SLICE_ARG(s.stream), SLICE_ARG(s.domain), s.position, s.events);
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	out_safe_lines(buf_slice(&line));
	return out_flush(err);
}

static enum ledger_status note_stream(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err)
{
	struct taking *t = context;
	buf_add_slice(&t->names, domain);
	buf_add_char(&t->names, ' ');
	buf_add_slice(&t->names, stream);
	buf_add_char(&t->names, '\n');
	return buf_check(&t->names, err);
}

static enum ledger_status take_named(struct taking *t, struct ledger_error *err)
{
	struct slice rest = buf_slice(&t->names), line, domain, stream;
	while (slice_cut(rest, '\n', &line, &rest))
		if (slice_cut(line, ' ', &domain, &stream))
			TRY(take_one(t, stream, domain, err));
	return LEDGER_OK;
}

static enum ledger_status check_take(int argc, struct ledger_error *err)
{
	if (args.all && argc)
		return fail(err, LEDGER_USAGE, "--all is every stream: it goes with no operand");
	if (args.type && !args.all)
		return fail(err, LEDGER_USAGE, "--type goes with --all");
	if (args.type && !slice_is_token(slice_of(args.type))) {
		fail(err, LEDGER_USAGE, "--type: '%.80s' is not a stream type", args.type);
		return hint(err, "the part before the slash: product");
	}
	if (args.all || argc)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "a stream is missing");
	return hint(err, "for example: ledgerbox snapshot take product/sku-1, or --all");
}

static enum ledger_status take_all(struct taking *t, struct ledger *l, struct ledger_error *err)
{
	CLEANUP_BUF struct buf prefix = { 0 };
	if (args.type)
		buf_addf(&prefix, "%s/", args.type);
	TRY(buf_check(&prefix, err));
	TRY(ledger_streams(
		l, slice_of(buf_text(&prefix)), slice_of(args.domain), note_stream, t, err));
	return take_named(t, err);
}

static enum ledger_status run_take(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct taking t = { 0 };
	TRY(check_take(argc, err));
	TRY(ledger_fold_open(&t.fold, l, &settings.rules, err));
	ledger_fold_on_refused(t.fold, state_say_refused, NULL);
	enum ledger_status status = args.all ? take_all(&t, l, err) : LEDGER_OK;
	for (int i = 0; i < argc && !status; i++) {
		struct slice stream = slice_of(argv[i]);
		status = take_one(&t, stream, state_domain(stream, args.domain), err);
	}
	buf_done(&t.names);
	ledger_fold_close(t.fold);
	if (status == LEDGER_NO && out_failed())
		return LEDGER_OK;
	TRY(status);
	note("%" PRIu64 " taken, %" PRIu64 " passed over", t.taken, t.passed);
	return state_flush(err);
}

/* --- list, show, check ----------------------------------------------------------------------- */

struct listing {
	struct buf line;
	bool whole;   /* show: with the state */
	bool checked; /* check: says of each what is wrong */
	uint64_t n, wrong;
	enum ledger_snapshot_verdict worst;
};

static const char *verdict_name(enum ledger_snapshot_verdict verdict)
{
	static const char *const names[] = { "good", "stale", "unverified", "damaged" };
	return names[verdict];
}

static void add_json(struct buf *out, const struct ledger_snapshot *s, bool whole)
{
	char taken[TIME_TEXT_MAX];
	time_format(s->taken, taken);
	buf_add_text(out, "{\"stream\":");
	json_add_string(out, s->stream);
	buf_add_text(out, ",\"domain\":");
	json_add_string(out, s->domain);
	buf_addf(out,
		",\"position\":%" PRIu64 ",\"events\":%" PRIu64 ",\"version\":%" PRIu64
		",\"last\":{\"position\":%" PRIu64 ",\"hash\":\"",
		s->position, s->events, s->version, s->last);
	buf_add_hex(out, s->hash, sizeof(s->hash));
	buf_add_text(out, "\"},\"reducer_hash\":\"");
	buf_add_hex(out, s->reducer_hash, sizeof(s->reducer_hash));
	buf_addf(out, "\",\"schema\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"taken\":\"%s\",\"key\":",
		s->schema, s->epoch, taken);
	json_add_string(out, s->key);
	buf_add_text(out, ",\"digest\":\"");
	buf_add_hex(out, s->digest, sizeof(s->digest));
	buf_addf(
		out, "\",\"bytes\":%zu,\"verdict\":\"%s\"", s->state.len, verdict_name(s->verdict));
	if (s->why[0]) {
		buf_add_text(out, ",\"why\":");
		json_add_string(out, slice_of(s->why));
	}
	/* What was changed may be anything: as JSON only where it is checked to be some. */
	if (whole && s->verdict != LEDGER_SNAPSHOT_DAMAGED) {
		buf_add_text(out, ",\"state\":");
		buf_add_slice(out, s->state);
	}
	buf_add_char(out, '}');
}

static void add_text(struct buf *out, const struct ledger_snapshot *s)
{
	char taken[RENDER_TIME_MAX];
	render_moment(s->taken, false, taken);
	buf_addf(out, "%.*s  %.*s  position %" PRIu64 "  %" PRIu64 " events  %s  %s%s%s",
		SLICE_ARG(s->stream), SLICE_ARG(s->domain), s->position, s->events, taken,
		verdict_name(s->verdict), s->why[0] ? ": " : "", s->why);
}

static void add_state(struct buf *out, const struct ledger_snapshot *s)
{
	struct ledger_error ignored;
	struct slice value;
	buf_add_char(out, '\n');
	if (output.terminal && json_check(s->state, &value, &ignored) == LEDGER_OK)
		json_add_pretty(out, value, 0);
	else
		buf_add_slice(out, s->state);
}

static enum ledger_status print_snapshot(
	const struct ledger_snapshot *s, void *context, struct ledger_error *err)
{
	struct listing *listing = context;
	bool is_good = s->verdict == LEDGER_SNAPSHOT_GOOD;
	listing->n++;
	listing->wrong += !is_good;
	listing->worst = s->verdict > listing->worst ? s->verdict : listing->worst;
	if (listing->checked && is_good && output.quiet)
		return LEDGER_OK;
	buf_reset(&listing->line);
	if (output.format == FORMAT_JSON) {
		add_json(&listing->line, s, listing->whole);
	} else {
		add_text(&listing->line, s);
		if (listing->whole)
			add_state(&listing->line, s);
	}
	buf_add_char(&listing->line, '\n');
	TRY(buf_check(&listing->line, err));
	out_safe_lines(buf_slice(&listing->line));
	return out_failed() ? LEDGER_NO : LEDGER_OK;
}

/* Of each operand (a stream or a type/), or of all. */
static enum ledger_status list(struct ledger_fold *f, struct listing *listing, int argc,
	char **argv, struct ledger_error *err)
{
	enum ledger_status status = LEDGER_OK;
	for (int i = 0; (i < argc || i == 0) && !status; i++)
		status = ledger_snapshots(f, slice_of(argc ? argv[i] : ""), slice_of(args.domain),
			listing->checked, print_snapshot, listing, err);
	buf_done(&listing->line);
	if (status && !out_failed())
		return status;
	return state_flush(err);
}

static enum ledger_status list_verb(
	struct ledger_fold *f, int argc, char **argv, struct ledger_error *err)
{
	struct listing listing = { 0 };
	return list(f, &listing, argc, argv, err);
}

static enum ledger_status found_any(
	const struct listing *listing, const char *stream, struct ledger_error *err)
{
	return listing->n ? LEDGER_OK
			  : fail(err, LEDGER_NO, "there is no snapshot of %.200s", stream);
}

static enum ledger_status show_verb(
	struct ledger_fold *f, int argc, char **argv, struct ledger_error *err)
{
	struct listing listing = { .whole = true };
	if (argc == 0)
		return fail(err, LEDGER_USAGE, "a stream is missing");
	TRY(list(f, &listing, argc, argv, err));
	return found_any(&listing, argv[0], err);
}

static enum ledger_status check_verb(
	struct ledger_fold *f, int argc, char **argv, struct ledger_error *err)
{
	static const enum ledger_status outcome[] = { LEDGER_OK, LEDGER_NO, LEDGER_UNVERIFIED,
		LEDGER_DAMAGED };
	struct listing listing = { .checked = true };
	TRY(list(f, &listing, argc, argv, err));
	if (listing.worst == LEDGER_SNAPSHOT_GOOD)
		return argc ? found_any(&listing, argv[0], err) : LEDGER_OK;
	fail(err, outcome[listing.worst], "%" PRIu64 " of %" PRIu64 " snapshots are not good",
		listing.wrong, listing.n);
	return hint(
		err, "they are not used; throw them away with: ledgerbox snapshot prune --keep 0");
}

static enum ledger_status run_list(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	return with(l, list_verb, argc, argv, err);
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	return with(l, show_verb, argc, argv, err);
}

static enum ledger_status run_check(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	return with(l, check_verb, argc, argv, err);
}

/* --- prune ----------------------------------------------------------------------------------- */

static enum ledger_status run_prune(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t before = 0, n, now = time_now(), sum = 0;
	if (!args.keep.given && !args.older_than) {
		fail(err, LEDGER_USAGE, "what to keep is missing");
		return hint(err, "--keep N, --older-than 30d, or both");
	}
	if (args.older_than)
		before = args.older_than < now ? now - args.older_than : 1;
	for (int i = 0; i < argc || i == 0; i++) {
		TRY(ledger_snapshot_prune(l, slice_of(argc ? argv[i] : ""), slice_of(args.domain),
			args.keep.value, before, args.dry_run, &n, err));
		sum += n;
	}
	note("%" PRIu64 " snapshot%s %s", sum, sum == 1 ? "" : "s",
		args.dry_run ? "would be deleted" : "deleted");
	return LEDGER_OK;
}

static const struct verb verbs[] = {
	{ "take", "STREAM ...", "store the state of streams", OPENS_WRITE, COMPLETE_STREAM,
		run_take },
	{ "list", "[STREAM | TYPE/ ...]", "what is stored, and whether it still serves", OPENS_READ,
		COMPLETE_STREAM, run_list },
	{ "show", "STREAM ...", "the same with the states", OPENS_READ, COMPLETE_STREAM, run_show },
	{ "check", "[STREAM | TYPE/ ...]", "fold the events again and compare", OPENS_READ,
		COMPLETE_STREAM, run_check },
	{ "prune", "[STREAM | TYPE/ ...]", "throw old ones away", OPENS_WRITE, COMPLETE_STREAM,
		run_prune },
	{ 0 },
};

const struct command cmd_snapshot = {
	.name = "snapshot",
	.summary = "Take, list, show, check and prune stored states.",
	.opens = OPENS_READ,
	.opts = opts,
	.verbs = verbs,
	.examples = "ledgerbox snapshot take product/sku-1\n"
		    "ledgerbox snapshot take --all --type product --every 100 -q\n"
		    "ledgerbox snapshot check\n"
		    "ledgerbox snapshot prune --keep 2\n",
};
