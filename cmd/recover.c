/*
 * recover - go on with a ledger that was copied or restored.
 *
 * Begins the node's next epoch, so that no place in a chain is ever used twice: what was written after
 * the copy was taken, here or elsewhere, stays true beside what is written from now on.
 */
#include "command.h"

#include <inttypes.h>

#include "output.h"
#include "../lib/base/banned.h"

static bool offline, force, dry_run;
static const char *reason;

static const struct opt opts[] = {
	{ 0, "offline", "ask no peers for what is missing", NULL, .flag = &offline },
	{ 0, "force", "begin an epoch though nothing is wrong", NULL, .flag = &force },
	{ 0, "reason", "why, for the record", "<text>", .str = &reason },
	{ 0, "dry-run", "say what would be done, record nothing", NULL, .flag = &dry_run },
	{ 0 },
};

static void add_json(struct buf *out, struct ledger *l, const struct ledger_recovery *r)
{
	buf_add_text(out, "{\"file\":");
	json_add_string(out, slice_of(ledger_path(l)));
	buf_add_text(out, ",\"node\":");
	json_add_string(out, slice_of(ledger_node(l)));
	buf_addf(out, ",\"old_epoch\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"position\":%" PRIu64,
		r->old_epoch, r->epoch, r->position);
	buf_add_text(out, ",\"found\":");
	json_add_string(out, slice_of(r->found));
	buf_addf(out, ",\"dry_run\":%s}\n", dry_run ? "true" : "false");
}

static void add_epoch(struct buf *out, const char *what, uint64_t epoch)
{
	char begun[TIME_TEXT_MAX];
	time_format(epoch, begun);
	buf_addf(out, "%s %" PRIu64 " (%s)\n", what, epoch, begun);
}

static void add_text(struct buf *out, struct ledger *l, const struct ledger_recovery *r)
{
	buf_add_text(out, "file       ");
	escape_slice(out, slice_of(ledger_path(l)), false);
	buf_add_text(out, "\nfound      ");
	escape_slice(out, slice_of(r->found[0] ? r->found : "nothing wrong"), false);
	buf_add_char(out, '\n');
	add_epoch(out, "old epoch ", r->old_epoch);
	add_epoch(out, dry_run ? "would be  " : "new epoch ", r->epoch);
	buf_addf(out, "%s   %" PRIu64 "\n", "position", r->position);
}

static enum ledger_status check_options(struct ledger_error *err)
{
	if (!offline) {
		fail(err, LEDGER_USAGE,
			"peers are asked by serve-sync alone; recover works on this file");
		return hint(err, "say so with --offline: ledgerbox recover --offline");
	}
	if (reason && !slice_is_utf8(slice_of(reason)))
		return fail(err, LEDGER_USAGE, "--reason is not UTF-8");
	return LEDGER_OK;
}

/* The epoch has begun, whoever reads about it: a failure here must not read as "nothing recorded". */
static enum ledger_status print(
	struct buf *text, const struct ledger_recovery *recovery, struct ledger_error *err)
{
	TRY(buf_check(text, err));
	out_safe_lines(buf_slice(text));
	enum ledger_status status = out_flush(err);
	if (status == LEDGER_OK || status == LEDGER_NO || dry_run)
		return status;
	fail_in(err, "epoch %" PRIu64 " has begun, but ", recovery->epoch);
	return err->status = LEDGER_UNKNOWN;
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)argc;
	(void)argv;
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger_recovery recovery = { 0 };
	TRY(check_options(err));
	enum ledger_status status =
		ledger_recover(l, slice_of(reason), force, dry_run, &recovery, err);
	if (status == LEDGER_NO && !err->hint[0])
		hint(err, "go on with append; --force begins a new epoch all the same");
	if (status != LEDGER_OK)
		return status;
	if (output.quiet)
		return LEDGER_OK;
	if (output.format == FORMAT_JSON)
		add_json(&text, l, &recovery);
	else
		add_text(&text, l, &recovery);
	return print(&text, &recovery, err);
}

const struct command cmd_recover = {
	.name = "recover",
	.summary = "Begin a new epoch after the ledger was copied or restored.",
	.opens = OPENS_WRITE,
	.opts = opts,
	.examples = "ledgerbox recover --offline --reason 'restored from the backup of Friday'\n"
		    "ledgerbox recover --offline --dry-run\n",
	.run = run,
};
