/*
 * tail - print events in order.
 *
 * The last position is asked for first and is where reading ends: what is committed meanwhile waits
 * for the next round of -f, nothing is looked at twice, and the position reached is known even where
 * nothing matched. Events are read a page at a time and written between two read transactions, so
 * that a reader who takes their time (`| less`) never keeps the -wal from being emptied.
 */
#include <inttypes.h>
#include <unistd.h>

#include "command.h"
#include "filter.h"
#include "output.h"
#include "render.h"
#include "resume.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

#define DEFAULT_LINES 10
#define PAGE_BYTES    (1u << 20)
#define NO_LIMIT      UINT64_MAX

/* As typed. */
static struct {
	const char *lines;
	struct opt_u64 limit;
	bool reverse;
	bool follow;
	const char *cursor;
	const char *cursor_file;
	const char *fields;
	bool header;
	bool upcast;
} args;

static const struct opt opts[] = {
	{ 'n', "lines", "the last so many; 10 where no bound is given", "<n|all>",
		.str = &args.lines },
	{ 0, "limit", "the first so many", "<n>", .maybe_u64 = &args.limit },
	FILTER_OPTS,
	{ 'r', "reverse", "newest first", NULL, .flag = &args.reverse },
	{ 'f', "follow", "wait for more, until interrupted", NULL, .flag = &args.follow },
	{ 0, "cursor", "go on behind this cursor, then move it", "<name>", .str = &args.cursor,
		.complete = COMPLETE_CURSOR },
	{ 0, "cursor-file", "the same with a cursor in a file", "<file>", .str = &args.cursor_file,
		.complete = COMPLETE_FILE },
	{ 0, "fields", "columns of text or tsv, and their order", "<name,...>",
		.str = &args.fields },
	{ 0, "header", "the names of the columns first", NULL, .flag = &args.header },
	{ 0, "upcast", "payloads as their newest schema has them (upcast: in the config)", NULL,
		.flag = &args.upcast },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

struct tail {
	struct ledger *ledger;
	struct ledger_fold *fold; /* with --upcast; else NULL */
	struct arena arena;
	struct ledger_filter filter; /* as asked for; from and limit are set for each reading */
	struct render render;
	struct resume resume;
	struct buf page;
	uint64_t last_lines; /* -n; NO_LIMIT: all */
	uint64_t left;	     /* to be printed still */
	uint64_t looked_at;  /* every position up to this one was printed or did not match */
	uint64_t printed;    /* position of the last event in the page */
	bool page_is_full;
	bool over; /* the limit is reached, the reader has gone, or a signal came */
	bool reader_has_gone;
};

#define CLEANUP_TAIL __attribute__((cleanup(tail_done)))

static void tail_done(struct tail *t)
{
	resume_close(&t->resume);
	ledger_fold_close(t->fold);
	render_done(&t->render);
	buf_done(&t->page);
	arena_done(&t->arena);
}

/* --- Reading and printing -------------------------------------------------------------------- */

static enum ledger_status add_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct tail *t = context;
	struct event upcast;
	if (t->fold) {
		TRY(ledger_fold_upcast(t->fold, event, &upcast, err));
		event = &upcast;
	}
	render_event(&t->render, event, &t->page);
	TRY(buf_check(&t->page, err));
	t->printed = event->position;
	if (t->left != NO_LIMIT)
		t->left--;
	t->page_is_full = t->page.len >= PAGE_BYTES;
	/* Leaves the read transaction; print_range comes back for the rest. */
	return t->page_is_full ? LEDGER_NO : LEDGER_OK;
}

static enum ledger_status write_page(struct tail *t, struct ledger_error *err)
{
	out_slice(buf_slice(&t->page));
	buf_reset(&t->page);
	enum ledger_status status = out_flush(err);
	t->reader_has_gone = status == LEDGER_NO;
	t->over = t->reader_has_gone || t->left == 0 || signals_stop();
	return t->reader_has_gone ? LEDGER_OK : status;
}

static enum ledger_status print_page(
	struct tail *t, struct ledger_filter *f, struct ledger_error *err)
{
	t->page_is_full = false;
	f->limit = t->left == NO_LIMIT ? 0 : t->left;
	enum ledger_status status = ledger_read(t->ledger, f, add_event, t, err);
	if (status != LEDGER_OK && !t->page_is_full)
		return status;
	return write_page(t, err);
}

/* Prints what matches from `from` to `to`. Afterwards t->looked_at is how far that came. */
static enum ledger_status print_range(
	struct tail *t, uint64_t from, uint64_t to, struct ledger_error *err)
{
	struct ledger_filter f = t->filter;
	f.from = from;
	f.to = to;
	do {
		TRY(print_page(t, &f, err));
		if (f.reverse)
			f.to = t->printed - 1;
		else
			f.from = t->printed + 1;
	} while (t->page_is_full && !t->over && f.from <= f.to);
	/* An empty page at the end of the range has no last event: then all of it was looked at. */
	bool cut_short = t->over && (t->page_is_full || t->left == 0);
	t->looked_at = cut_short ? t->printed : to;
	return LEDGER_OK;
}

/* Where this reading ends: at --to, or where the ledger ends now. */
static enum ledger_status find_end(struct tail *t, uint64_t *end, struct ledger_error *err)
{
	uint64_t last;
	TRY(ledger_last_position(t->ledger, &last, err));
	*end = t->filter.to && t->filter.to < last ? t->filter.to : last;
	return LEDGER_OK;
}

/* Stores how far everything was written. A reader that has gone may not have taken it: not stored. */
static enum ledger_status save_cursor(struct tail *t, struct ledger_error *err)
{
	if (!resume_is_used(&t->resume) || t->reader_has_gone || t->looked_at <= t->resume.position)
		return LEDGER_OK;
	/* With -o the file is in place before the cursor says that it holds these events. */
	TRY(out_file_commit(err));
	return resume_save(&t->resume, t->looked_at, err);
}

/* Prints what is new behind t->looked_at. */
static enum ledger_status step(struct tail *t, struct ledger_error *err)
{
	uint64_t end;
	TRY(find_end(t, &end, err));
	if (end > t->looked_at) {
		TRY(print_range(t, t->looked_at + 1, end, err));
		TRY(save_cursor(t, err));
	}
	if (t->filter.to && t->looked_at >= t->filter.to)
		t->over = true;
	return LEDGER_OK;
}

static enum ledger_status print_backwards(struct tail *t, struct ledger_error *err)
{
	uint64_t end;
	TRY(find_end(t, &end, err));
	if (t->last_lines != NO_LIMIT)
		t->left = t->last_lines;
	if (t->left == 0 || end < t->filter.from || end == 0)
		return LEDGER_OK;
	return print_range(t, t->filter.from ? t->filter.from : 1, end, err);
}

/* Passes over what lies before the last n, so that reading begins with these. */
static enum ledger_status skip_to_last(struct tail *t, struct ledger_error *err)
{
	uint64_t end, from = 0;
	struct ledger_filter f = t->filter;
	if (t->last_lines == NO_LIMIT)
		return LEDGER_OK;
	TRY(find_end(t, &end, err));
	f.to = end;
	if (end <= t->looked_at)
		return LEDGER_OK;
	if (t->last_lines)
		TRY(ledger_last(t->ledger, &f, t->last_lines, &from, err));
	t->looked_at = from ? from - 1 : end;
	return LEDGER_OK;
}

static enum ledger_status follow(struct tail *t, struct ledger_error *err)
{
	bool changed;
	TRY(signals_catch(err));
	/* From here on a commit is noticed, also one between the first reading and the first wait. */
	TRY(ledger_watch(t->ledger, signals_wake(), 0, &changed, err));
	TRY(step(t, err));
	while (!t->over && !signals_stop() && !out_reader_has_gone()) {
		TRY(ledger_watch(t->ledger, signals_wake(), TIME_SECOND, &changed, err));
		if (!signals_stop())
			TRY(step(t, err));
	}
	if (signals_stop())
		note("position %" PRIu64, t->looked_at);
	return LEDGER_OK;
}

/* --- What was asked for ---------------------------------------------------------------------- */

static bool is_a_file(const char *path)
{
	return path && !slice_is(slice_of(path), "-");
}

/* Pairs that contradict each other. */
static enum ledger_status check_pairs(struct ledger_error *err)
{
	bool cursor = args.cursor || args.cursor_file;
	const struct {
		bool both;
		const char *text;
	} pairs[] = {
		{ args.cursor && args.cursor_file,
			"--cursor and --cursor-file are two places to go on from" },
		{ args.lines && args.limit.given,
			"-n counts from the end, --limit from the beginning: give one" },
		{ args.follow && args.reverse, "-f goes forward, -r goes back: give one" },
		{ args.follow && is_a_file(output_path),
			"-f has no end, and -o waits for it: give one" },
		{ cursor && args.reverse, "a cursor goes forward: it does not go with -r" },
		{ cursor && args.lines,
			"-n would pass over events that the cursor has not come to" },
		{ cursor && filter_has_start(),
			"a cursor is where to begin: it does not go with --from or --after" },
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].both)
			return fail(err, LEDGER_USAGE, "%s", pairs[i].text);
	return LEDGER_OK;
}

static enum ledger_status check_args(struct ledger_error *err)
{
	bool has_columns = output.format == FORMAT_TEXT || output.format == FORMAT_TSV;
	if (!has_columns && (args.fields || args.header)) {
		fail(err, LEDGER_USAGE, "--%s is about columns, and this format has none",
			args.fields ? "fields" : "header");
		return hint(err, "add --format tsv");
	}
	return check_pairs(err);
}

static enum ledger_status parse_lines(struct tail *t, struct ledger_error *err)
{
	struct slice lines = slice_of(args.lines);
	bool is_bounded = filter_is_bounded() || args.limit.given || resume_is_used(&t->resume);
	t->last_lines = is_bounded ? NO_LIMIT : DEFAULT_LINES;
	if (!args.lines)
		return LEDGER_OK;
	t->last_lines = NO_LIMIT;
	if (slice_is(lines, "all") || slice_u64(lines, &t->last_lines))
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "-n: '%.80s' is neither a number nor 'all'", args.lines);
	return hint(err, "for example -n 20");
}

static enum ledger_status prepare(struct tail *t, struct ledger_error *err)
{
	TRY(filter_resolve(&t->filter, &t->arena, err));
	t->filter.reverse = args.reverse;
	TRY(parse_lines(t, err));
	TRY(render_init(&t->render, args.fields, filter_words.utc, err));
	t->left = args.limit.given ? args.limit.value : NO_LIMIT;
	TRY(resume_open(&t->resume, t->ledger, err));
	t->looked_at = t->filter.from ? t->filter.from - 1 : 0;
	if (t->looked_at < t->resume.position)
		t->looked_at = t->resume.position;
	if (args.header)
		render_header(&t->render, &t->page);
	return LEDGER_OK;
}

static enum ledger_status print(struct tail *t, struct ledger_error *err)
{
	if (args.reverse)
		return print_backwards(t, err);
	TRY(skip_to_last(t, err));
	return args.follow ? follow(t, err) : step(t, err);
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)argc;
	(void)argv;
	CLEANUP_TAIL struct tail t = {
		.ledger = l,
		.resume = { .name = args.cursor, .file = args.cursor_file },
	};
	TRY(check_args(err));
	TRY(prepare(&t, err));
	if (args.upcast)
		TRY(ledger_fold_open(&t.fold, l, &settings.rules, err));
	/* A cursor is moved as events are printed. */
	command_confine(NULL, args.cursor ? settings.database : args.cursor_file);
	/* The header, which an empty ledger has too. */
	TRY(write_page(&t, err));
	return t.over ? LEDGER_OK : print(&t, err);
}

static const char *const formats[] = { "text", "json", "tsv", "payload", NULL };

const struct command cmd_tail = {
	.name = "tail",
	.summary = "Print events in order.",
	.opens = OPENS_READ,
	.opts = opts,
	.formats = formats,
	.examples = "ledgerbox tail -f --domain inventory\n"
		    "ledgerbox tail --stream product/sku-1 -n all --format json\n"
		    "ledgerbox tail --cursor mail --type order_placed --format payload\n",
	.run = run,
};
