/* backup - a consistent, verified copy while others write, and the heads it has. */
#include "heads.h"

#include <inttypes.h>

#include "command.h"
#include "output.h"
#include "settings.h"
#include "../lib/base/banned.h"

static bool force;

static const struct opt opts[] = {
	{ 0, "force", "replace an existing file", NULL, .flag = &force },
	{ 0 },
};

static void on_progress(uint64_t done, uint64_t total, void *context)
{
	(void)context;
	progress_draw("backup", done, total);
}

static void close_ledger(struct ledger **l)
{
	ledger_close(*l);
}

static enum ledger_status print_json(struct ledger *copy, const char *path,
	const struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_add_text(&text, "{\"file\":");
	json_add_string(&text, slice_of(path));
	buf_addf(&text, ",\"events\":%" PRIu64 ",\"link\":\"", report->last);
	buf_add_hex(&text, report->link, sizeof(report->link));
	buf_add_text(&text, "\",\"heads\":");
	TRY(heads_add_array(&text, copy, err));
	buf_add_text(&text, "}\n");
	TRY(buf_check(&text, err));
	out_safe_lines(buf_slice(&text));
	return LEDGER_OK;
}

/* The heads are read from the copy: the ledger itself may have gone on. No state folder, since the
 * copy is no home of anything. */
static enum ledger_status print_heads(
	const char *path, const struct ledger_verify_report *report, struct ledger_error *err)
{
	__attribute__((cleanup(close_ledger))) struct ledger *copy = NULL;
	struct ledger_options options = {
		.path = path, .mode = LEDGER_MODE_READ, .timeout = settings.timeout
	};
	TRY(ledger_open(&copy, &options, err));
	if (output.format == FORMAT_JSON)
		return print_json(copy, path, report, err);
	return heads_print(copy, err);
}

static void say_what_is_missing(const char *path, const struct ledger_verify_report *report)
{
	if (report->macs < report->events || !report->seal_mac)
		warn("the copy was verified without all MACs: no key was at hand for them");
	note("%s: %" PRIu64 " events, verified", path, report->last);
	note("key and config are not in it: keep them elsewhere, and these heads with them");
	note("to restore, put the file where the ledger was, without its old -wal and -shm, and "
	     "run: "
	     "ledgerbox recover --offline");
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc != 1) {
		fail(err, LEDGER_USAGE, "one file is to be named, not %d", argc);
		return hint(err, "ledgerbox backup FILE");
	}
	const char *path = argv[0];
	struct ledger_verify_report report = { 0 };
	enum ledger_status status = ledger_backup(l, path, force, on_progress, NULL, &report, err);
	progress_clear();
	if (status != LEDGER_OK)
		return status;
	if (print_heads(path, &report, err) != LEDGER_OK)
		return fail_in(err, "the copy is whole, but its heads cannot be read: ");
	say_what_is_missing(path, &report);
	return out_flush(err);
}

const struct command cmd_backup = {
	.name = "backup",
	.summary = "Copy the ledger to a file while others write, and print its heads.",
	.operands = "FILE",
	.opens = OPENS_READ,
	.opts = opts,
	.complete = COMPLETE_FILE,
	.examples = "ledgerbox backup /mnt/backup/ledger.db > heads.txt\n"
		    "ledgerbox verify --database /mnt/backup/ledger.db --expect-heads heads.txt\n",
	.run = run,
};
