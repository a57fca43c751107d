/* quarantine - what arrived and was refused: list, show, offer again, discard. */
#include <inttypes.h>
#include <stdio.h>

#include "../lib/peers.h"
#include "command.h"
#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

static bool all;
static const char *reason;

static const struct opt opts[] = {
	{ 'a', "all", "list: the closed ones too", NULL, .flag = &all },
	{ 0, "reason", "discard: why, for the record", "<text>", .str = &reason },
	{ 0 },
};

/* --- Printing -------------------------------------------------------------------------------- */

/* The place that it claims: "store-b/1763658000123456/inventory/42", as far as it could be read. */
static void add_place(struct buf *out, const struct ledger_quarantined *q)
{
	if (!q->chain.origin.ptr && !q->chain.domain.ptr) {
		buf_add_char(out, '-');
		return;
	}
	buf_addf(out, "%.*s/", SLICE_ARG(q->chain.origin));
	if (q->chain.epoch)
		buf_add_u64(out, q->chain.epoch);
	buf_addf(out, "/%.*s/", SLICE_ARG(q->chain.domain));
	if (q->sequence)
		buf_add_u64(out, q->sequence);
}

static void add_row(struct buf *out, const struct ledger_quarantined *q)
{
	char last[RENDER_TIME_MAX];
	render_moment(q->last, false, last);
	buf_addf(out, "%" PRIu64 "  %s  %s  ", q->row, ledger_held_name(q->state),
		ledger_reason_name(q->reason));
	add_place(out, q);
	buf_addf(out, "  %" PRIu64 "  %s  ", q->times, last);
	buf_add_slice(out, q->source);
	buf_add_char(out, '\n');
}

static void add_moment(struct buf *out, const char *key, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	buf_addf(out, ",\"%s\":\"%s\"", key, text);
}

static void add_claim(struct buf *out, const struct ledger_quarantined *q)
{
	if (q->chain.origin.ptr) {
		buf_add_text(out, ",\"origin\":");
		json_add_string(out, q->chain.origin);
	}
	if (q->chain.epoch)
		buf_addf(out, ",\"epoch\":%" PRIu64, q->chain.epoch);
	if (q->chain.domain.ptr) {
		buf_add_text(out, ",\"domain\":");
		json_add_string(out, q->chain.domain);
	}
	if (q->sequence)
		buf_addf(out, ",\"sequence\":%" PRIu64, q->sequence);
}

static void add_json(struct buf *out, const struct ledger_quarantined *q, bool bytes)
{
	buf_addf(out, "{\"row\":%" PRIu64 ",\"state\":\"%s\",\"reason\":\"%s\",\"text\":", q->row,
		ledger_held_name(q->state), ledger_reason_name(q->reason));
	json_add_string(out, q->text);
	buf_add_text(out, ",\"source\":");
	json_add_string(out, q->source);
	add_claim(out, q);
	add_moment(out, "first", q->first);
	add_moment(out, "last", q->last);
	buf_addf(out, ",\"times\":%" PRIu64 ",\"size\":%zu", q->times, q->bytes.len);
	if (bytes) {
		buf_add_text(out, ",\"bytes\":\"");
		buf_add_hex(out, (const uint8_t *)q->bytes.ptr, q->bytes.len);
		buf_add_char(out, '"');
	}
	buf_add_text(out, "}\n");
}

static enum ledger_status print_text(struct buf *text, struct ledger_error *err)
{
	TRY(buf_check(text, err));
	out_safe_lines(buf_slice(text));
	return LEDGER_OK;
}

static enum ledger_status print_row(
	const struct ledger_quarantined *q, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	(void)context;
	if (output.format == FORMAT_JSON)
		add_json(&text, q, false);
	else
		add_row(&text, q);
	return print_text(&text, err);
}

static enum ledger_status print_dropped(struct slice source, uint64_t messages, uint64_t last,
	void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf shown = { 0 };
	(void)last;
	(void)context;
	escape_slice(&shown, source, false);
	TRY(buf_check(&shown, err));
	note("%" PRIu64 " more of %s were only counted: it has too many open", messages,
		buf_text(&shown));
	return LEDGER_OK;
}

static enum ledger_status print_full(
	const struct ledger_quarantined *q, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char first[RENDER_TIME_MAX], last[RENDER_TIME_MAX];
	(void)context;
	if (output.format == FORMAT_JSON) {
		add_json(&text, q, true);
		return print_text(&text, err);
	}
	render_moment(q->first, false, first);
	render_moment(q->last, false, last);
	buf_addf(&text, "row      %" PRIu64 ", %s\nreason   %s: ", q->row,
		ledger_held_name(q->state), ledger_reason_name(q->reason));
	buf_add_slice(&text, q->text);
	buf_add_text(&text, "\nsource   ");
	buf_add_slice(&text, q->source);
	buf_add_text(&text, "\nplace    ");
	add_place(&text, q);
	buf_addf(&text, "\ncame     %" PRIu64 " times, first %s, last %s\nsize     %zu bytes\n\n",
		q->times, first, last, q->bytes.len);
	buf_add_slice(&text, q->bytes);
	buf_add_char(&text, '\n');
	return print_text(&text, err);
}

static enum ledger_status flush(struct ledger_error *err)
{
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* --- Verbs ----------------------------------------------------------------------------------- */

static enum ledger_status parse_row(
	int argc, char **argv, const char *verb, uint64_t *row, struct ledger_error *err)
{
	if (argc == 1 && slice_u64(slice_of(argv[0]), row))
		return LEDGER_OK;
	if (argc == 0)
		fail(err, LEDGER_USAGE, "a row is missing");
	else if (argc > 1)
		fail(err, LEDGER_USAGE, "'%.80s' is one operand too many", argv[1]);
	else
		fail(err, LEDGER_USAGE, "'%.80s' is not the number of a row", argv[0]);
	return hint(err, "usage: ledgerbox quarantine %s ROW", verb);
}

static enum ledger_status run_list(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc)
		return fail(err, LEDGER_USAGE, "'%.80s' is one operand too many", argv[0]);
	TRY(ledger_quarantine_list(l, all, print_row, NULL, err));
	TRY(flush(err));
	return ledger_quarantine_dropped(l, print_dropped, NULL, err);
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t row;
	TRY(parse_row(argc, argv, "show", &row, err));
	TRY(ledger_quarantine_show(l, row, print_full, NULL, err));
	return flush(err);
}

static enum ledger_status run_retry(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t row;
	struct ledger_accepted result;
	TRY(parse_row(argc, argv, "retry", &row, err));
	TRY(ledger_quarantine_retry(l, row, &result, err));
	if (result.outcome == LEDGER_INSERTED || result.outcome == LEDGER_KNOWN) {
		if (!output.quiet)
			outf(output.format == FORMAT_JSON ? "{\"row\":%" PRIu64
							    ",\"outcome\":\"%s\"}\n"
							  : "%" PRIu64 "  %s\n",
				row, ledger_outcome_name(result.outcome));
		return flush(err);
	}
	fail(err, LEDGER_NO, "row %" PRIu64 " stays in quarantine: %s%s%s", row,
		ledger_outcome_name(result.outcome), result.reason ? ", " : "",
		result.reason ? ledger_reason_name(result.reason) : "");
	return hint(err, "see why with: ledgerbox quarantine show %" PRIu64, row);
}

static enum ledger_status run_discard(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	uint64_t row;
	TRY(parse_row(argc, argv, "discard", &row, err));
	if (!reason || !*reason || !slice_is_utf8(slice_of(reason))) {
		fail(err, LEDGER_USAGE, "--reason is missing or not UTF-8");
		return hint(err, "it is recorded: --reason 'why it may go'");
	}
	return ledger_quarantine_discard(l, row, slice_of(reason), err);
}

static const struct verb verbs[] = {
	{ "list", NULL, "what is open, and what was only counted", OPENS_READ, COMPLETE_NONE,
		run_list },
	{ "show", "ROW", "one of them, with its bytes", OPENS_READ, COMPLETE_NONE, run_show },
	{ "retry", "ROW", "offer the bytes again, after a key was added say", OPENS_WRITE,
		COMPLETE_NONE, run_retry },
	{ "discard", "ROW", "close it and give up its bytes", OPENS_WRITE, COMPLETE_NONE,
		run_discard },
	{ 0 },
};

const struct command cmd_quarantine = {
	.name = "quarantine",
	.summary = "List, show, retry and discard what arrived and was refused.",
	.opens = OPENS_READ,
	.opts = opts,
	.verbs = verbs,
	.examples = "ledgerbox quarantine list\n"
		    "ledgerbox quarantine retry 3\n"
		    "ledgerbox quarantine discard 4 --reason 'a test of the network'\n",
};
