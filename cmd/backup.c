/* backup - a consistent, verified copy while others write, and the heads it has. */
#include "heads.h"

#include <inttypes.h>

#include "command.h"
#include "interrupt.h"
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

/* --- The copy's heads ------------------------------------------------------------------------ */

/* Takes the newest event of a chain, then stops. */
static enum ledger_status take_head(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct ledger_chain *chain = context;
	if (event->epoch != chain->epoch)
		return LEDGER_OK;
	chain->sequence = event->sequence;
	chain->position = event->position;
	memcpy(chain->hash, event->hash, sizeof(chain->hash));
	return fail(err, LEDGER_NO, "found");
}

/* The head a chain had at position `last`, with which the copy ends. */
static enum ledger_status head_in_copy(
	struct ledger *l, uint64_t last, struct ledger_chain *chain, struct ledger_error *err)
{
	struct ledger_filter filter = {
		.to = last,
		.origins = &chain->origin,
		.n_origins = 1,
		.domains = &chain->domain,
		.n_domains = 1,
		.reverse = true,
	};
	if (chain->position <= last)
		return LEDGER_OK;
	enum ledger_status status =
		last ? ledger_read(l, &filter, take_head, chain, err) : LEDGER_OK;
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* The ledger may have gone on since, so what its chains have now is taken back to the copy's end. The
 * copy itself is not opened for this: that would leave a -wal beside it. */
static enum ledger_status read_heads(
	struct ledger *l, uint64_t last, struct chain_list *heads, struct ledger_error *err)
{
	size_t kept = 0;
	TRY(chain_list_read(l, heads, err));
	for (size_t i = 0; i < heads->n; i++) {
		struct ledger_chain *chain = &heads->items[i];
		TRY(head_in_copy(l, last, chain, err));
		if (chain->position <= last)
			heads->items[kept++] = *chain;
	}
	heads->n = kept;
	return LEDGER_OK;
}

static enum ledger_status print_json(const char *path, const struct ledger_verify_report *report,
	const struct chain_list *heads, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_add_text(&text, "{\"file\":");
	json_add_string(&text, slice_of(path));
	buf_addf(&text, ",\"events\":%" PRIu64 ",\"link\":\"", report->last);
	buf_add_hex(&text, report->link, sizeof(report->link));
	buf_add_text(&text, "\",\"heads\":[");
	for (size_t i = 0; i < heads->n; i++) {
		buf_add_text(&text, i ? "," : "");
		heads_add_json(&text, &heads->items[i]);
	}
	buf_add_text(&text, "]}\n");
	TRY(buf_check(&text, err));
	out_safe_lines(buf_slice(&text));
	return LEDGER_OK;
}

static enum ledger_status print_heads(struct ledger *l, const char *path,
	const struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_CHAIN_LIST struct chain_list heads = { 0 };
	TRY(read_heads(l, report->last, &heads, err));
	if (output.format == FORMAT_JSON)
		return print_json(path, report, &heads, err);
	for (size_t i = 0; i < heads.n; i++)
		TRY(head_print(&heads.items[i], err));
	return LEDGER_OK;
}

/* --- The command ----------------------------------------------------------------------------- */

/* Why a key that is configured was not at hand; NULL: it was. */
static const char *why_not(const char *path, struct ledger_error *err)
{
	char id[EVENT_KEY_ID_SIZE + 1];
	return path && ledger_key_id(path, settings.group, id, err) != LEDGER_OK ? err->text : NULL;
}

static void say_why_without_macs(void)
{
	struct ledger_error err;
	const char *why = why_not(settings.sign_key, &err);
	for (size_t i = 0; !why && i < settings.n_verify_keys; i++)
		why = why_not(settings.verify_keys[i], &err);
	warn("the copy was verified without all MACs: %s", why ? why : "no key is configured");
}

static void say_what_is_missing(const char *path, const struct ledger_verify_report *report)
{
	if (report->macs < report->events || !report->seal_mac)
		say_why_without_macs();
	note("%s: %" PRIu64 " event%s, verified", path, report->last, report->last == 1 ? "" : "s");
	note("key and config are not in it: keep them elsewhere, and these heads with them");
	note("to restore, put the file where the ledger was, without its old -wal and -shm, and "
	     "run: ledgerbox recover (without other nodes: ledgerbox recover --offline)");
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	if (argc != 1) {
		fail(err, LEDGER_USAGE, "one file is to be named, not %d", argc);
		return hint(err, "ledgerbox backup FILE");
	}
	const char *path = argv[0];
	struct ledger_verify_report report = { 0 };
	interrupt_removes_partials();
	enum ledger_status status = ledger_backup(l, path, force, on_progress, NULL, &report, err);
	progress_clear();
	if (status != LEDGER_OK)
		return status;
	if (print_heads(l, path, &report, err) != LEDGER_OK)
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
