/*
 * recover - go on with a ledger that was copied or restored.
 *
 * Begins the node's next epoch, so that no place in a chain is ever used twice: what was written after
 * the copy was taken, here or elsewhere, stays true beside what is written from now on. Then it takes
 * back what other nodes have of this one: those are chains of older epochs, as any other chain.
 *
 * Peers are asked first: without them nothing is changed, unless --offline says so.
 */
#include "command.h"

#include <inttypes.h>

#include "output.h"
#include "recover-peers.h"
#include "sync-options.h"
#include "../lib/base/banned.h"

#define WITHIN (30 * TIME_SECOND)

static bool offline, force, dry_run;
static const char *reason;
static struct opt_u64 peers;
static uint64_t within;

static const struct opt opts[] = {
	{ 0, "offline", "ask no peers for what is missing", NULL, .flag = &offline },
	{ 0, "peers", "wait for answers of so many other nodes (1)", "<n>", .maybe_u64 = &peers },
	{ 0, "within", "end after this time (30s in which nothing comes)", "<duration>",
		.duration = &within },
	{ 0, "force", "begin an epoch though nothing is wrong", NULL, .flag = &force },
	{ 0, "reason", "why, for the record", "<text>", .str = &reason },
	{ 0, "dry-run", "say what would be done and what peers have, change nothing", NULL,
		.flag = &dry_run },
	{ 0 },
};

/* What it came to. */
struct outcome {
	struct ledger *ledger;
	struct ledger_recovery recovery;
	bool begun; /* an epoch has begun, or would */
	struct missing_list missing;
	uint64_t left;
};

static const char *no_or(const char *word)
{
	return word ? word : "none";
}

/* --- JSON ---------------------------------------------------------------------------------------- */

static void add_names_json(struct buf *out, const char *key, const char *const *names)
{
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; names[i]; i++)
		buf_addf(out, "%s\"%s\"", i ? "," : "", names[i]);
	buf_add_char(out, ']');
}

static void add_missing_json(struct buf *out, const struct outcome *o)
{
	const struct missing_list *list = &o->missing;
	add_names_json(out, "peers", list->peers);
	add_names_json(out, "silent", list->silent);
	buf_addf(out, ",\"missing\":%" PRIu64 ",\"left\":%" PRIu64 ",\"chains\":[", list->events,
		o->left);
	for (size_t i = 0; i < list->n; i++) {
		const struct missing *m = &list->items[i];
		buf_addf(out, "%s{\"epoch\":%" PRIu64 ",\"domain\":\"%.*s\"", i ? "," : "",
			m->epoch, SLICE_ARG(m->domain));
		buf_addf(out, ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"peer\":\"%s\"", m->from,
			m->to, m->peer);
		buf_addf(out, ",\"differs\":%s}", m->differs ? "true" : "false");
	}
	buf_add_char(out, ']');
}

static void add_json(struct buf *out, const struct outcome *o)
{
	const struct ledger_recovery *r = &o->recovery;
	buf_add_text(out, "{\"file\":");
	json_add_string(out, slice_of(ledger_path(o->ledger)));
	buf_add_text(out, ",\"node\":");
	json_add_string(out, slice_of(ledger_node(o->ledger)));
	buf_addf(out, ",\"old_epoch\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"position\":%" PRIu64,
		r->old_epoch, r->epoch, r->position);
	buf_add_text(out, ",\"found\":");
	json_add_string(out, slice_of(r->found));
	if (!offline)
		add_missing_json(out, o);
	buf_addf(out, ",\"begun\":%s,\"dry_run\":%s}\n", o->begun ? "true" : "false",
		dry_run ? "true" : "false");
}

/* --- Text ---------------------------------------------------------------------------------------- */

static void add_epoch(struct buf *out, const char *what, uint64_t epoch)
{
	char begun[TIME_TEXT_MAX];
	time_format(epoch, begun);
	buf_addf(out, "%s %" PRIu64 " (%s)\n", what, epoch, begun);
}

static void add_names(struct buf *out, const char *what, const char *const *names)
{
	buf_add_text(out, what);
	buf_add_text(out, no_or(names[0]));
	for (size_t i = 1; names[0] && names[i]; i++)
		buf_addf(out, ", %s", names[i]);
	buf_add_char(out, '\n');
}

static void add_missing(struct buf *out, const struct outcome *o)
{
	const struct missing_list *list = &o->missing;
	add_names(out, "peers      ", list->peers);
	if (list->silent[0])
		add_names(out, "no answer  ", list->silent);
	if (dry_run || list->n == 0)
		buf_addf(out, "to be had  %" PRIu64 " event%s\n", list->events,
			list->events == 1 ? "" : "s");
	else
		buf_addf(out, "taken back %" PRIu64 " of %" PRIu64 " events\n",
			o->left < list->events ? list->events - o->left : 0, list->events);
	for (size_t i = 0; i < list->n; i++) {
		const struct missing *m = &list->items[i];
		buf_addf(out,
			"           epoch %" PRIu64 " %.*s %" PRIu64 "..%" PRIu64 " from %s%s\n",
			m->epoch, SLICE_ARG(m->domain), m->from, m->to, m->peer,
			m->differs ? ", where other events are here: a fork" : "");
	}
}

static void add_text(struct buf *out, const struct outcome *o)
{
	const struct ledger_recovery *r = &o->recovery;
	buf_add_text(out, "file       ");
	escape_slice(out, slice_of(ledger_path(o->ledger)), false);
	buf_add_text(out, "\nfound      ");
	escape_slice(out, slice_of(r->found[0] ? r->found : "nothing wrong"), false);
	buf_add_char(out, '\n');
	if (o->begun) {
		add_epoch(out, "old epoch ", r->old_epoch);
		add_epoch(out, dry_run ? "would be  " : "new epoch ", r->epoch);
		if (!dry_run)
			buf_addf(out, "position   %" PRIu64 "\n", r->position);
	} else {
		add_epoch(out, "epoch     ", r->epoch);
	}
	if (!offline)
		add_missing(out, o);
}

/* --- Doing it ------------------------------------------------------------------------------------ */

static enum ledger_status check_options(struct ledger_error *err)
{
	if (offline && (peers.given || within))
		return fail(err, LEDGER_USAGE, "--offline asks nobody: no --peers and --within");
	if (peers.given && (peers.value < 1 || peers.value > 64))
		return fail(err, LEDGER_USAGE, "--peers %" PRIu64 ": from 1 to 64", peers.value);
	if (reason && !slice_is_utf8(slice_of(reason)))
		return fail(err, LEDGER_USAGE, "--reason is not UTF-8");
	return LEDGER_OK;
}

/* The epoch has begun, whoever reads about it: a failure here must not read as "nothing recorded". */
static enum ledger_status print(const struct outcome *o, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (output.quiet)
		return LEDGER_OK;
	if (output.format == FORMAT_JSON)
		add_json(&text, o);
	else
		add_text(&text, o);
	TRY(buf_check(&text, err));
	out_safe_lines(buf_slice(&text));
	enum ledger_status status = out_flush(err);
	if (status == LEDGER_OK || status == LEDGER_NO || dry_run || !o->begun)
		return status;
	fail_in(err, "epoch %" PRIu64 " has begun, but ", o->recovery.epoch);
	return err->status = LEDGER_UNKNOWN;
}

/* Whether this epoch ends, and why, as far as file and head file tell: LEDGER_NO where all is well. */
static enum ledger_status begin(
	struct outcome *o, bool forced, struct slice why, struct ledger_error *err)
{
	struct ledger_recovery r = { 0 };
	TRY(ledger_recover(o->ledger, why, forced, dry_run, &r, err));
	o->recovery = r;
	o->begun = true;
	return LEDGER_OK;
}

static enum ledger_status run_offline(struct outcome *o, struct ledger_error *err)
{
	enum ledger_status status = begin(o, force, slice_of(reason), err);
	if (status == LEDGER_NO && !err->hint[0])
		hint(err, "go on with append; --force begins a new epoch all the same");
	TRY(status);
	return print(o, err);
}

/* A peer has events of this very epoch: the file cannot show it, but it is an older state. */
static void describe_rollback(const struct outcome *o, struct buf *why)
{
	if (reason)
		buf_add_text(why, reason);
	for (size_t i = 0; i < o->missing.n; i++) {
		const struct missing *m = &o->missing.items[i];
		if (m->epoch != ledger_epoch(o->ledger))
			continue;
		buf_addf(why, "%s%s has event %" PRIu64 " of domain %.*s, which is not here",
			why->len ? "; " : "", m->peer, m->to, SLICE_ARG(m->domain));
		return;
	}
}

static enum ledger_status begin_with_peers(struct outcome *o, struct ledger_error *err)
{
	CLEANUP_BUF struct buf why = { 0 };
	describe_rollback(o, &why);
	enum ledger_status status = begin(o, force || o->missing.present_epoch,
		reason || why.len ? buf_slice(&why) : slice_of(NULL), err);
	if (status != LEDGER_NO)
		return status;
	o->recovery.epoch = o->recovery.old_epoch = ledger_epoch(o->ledger);
	if (o->missing.n)
		return LEDGER_OK;
	fail_in(err, "peers have nothing of this node that is not here, and ");
	return err->status;
}

static enum ledger_status take_back(struct outcome *o, struct sync *sync, struct ledger_error *err)
{
	enum ledger_status status =
		missing_take(&o->missing, o->ledger, sync, within, &o->left, err);
	if (status == LEDGER_OK || !o->begun)
		return status;
	fail_in(err, "epoch %" PRIu64 " has begun, but ", o->recovery.epoch);
	return err->status = status == LEDGER_NOT_PROVEN ? status : LEDGER_UNKNOWN;
}

static void warn_of_namesake(const struct outcome *o)
{
	if (o->missing.namesake && !dry_run)
		warn("another serve-sync runs under the name %s, with another ledger: stop one of "
		     "them, "
		     "or they record two truths side by side",
			ledger_node(o->ledger));
}

static enum ledger_status run_with(struct outcome *o, struct sync *sync,
	const struct sync_options *options, struct ledger_error *err)
{
	TRY(missing_ask(
		&o->missing, o->ledger, options, peers.value, within ? within : WITHIN, err));
	warn_of_namesake(o);
	o->left = o->missing.events;
	TRY(begin_with_peers(o, err));
	enum ledger_status taken = dry_run ? LEDGER_OK : take_back(o, sync, err);
	if (taken && taken != LEDGER_NOT_PROVEN)
		return taken;
	struct ledger_error late;
	enum ledger_status printed = print(o, taken ? &late : err);
	if (taken || printed || dry_run)
		return taken ? taken : printed;
	note("go on with append and serve-sync; ledgerbox verify --peers compares with the others");
	return LEDGER_OK;
}

static void close_sync(struct sync **sync)
{
	sync_close(*sync);
}

static enum ledger_status run_online(struct outcome *o, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	__attribute__((cleanup(close_sync))) struct sync *sync = NULL;
	struct sync_options options = { .recover = true, .wake_fd = -1 };
	enum ledger_status status = sync_options_read(&options, &arena, err);
	if (status == LEDGER_USAGE && options.n_clusters == 0)
		return hint(err,
			"name one under clusters: in the config, or begin the epoch without "
			"peers: ledgerbox recover --offline");
	TRY(status);
	/* First of all: a daemon that runs on this file must not be surprised. */
	if (!dry_run)
		status = sync_open(&sync, o->ledger, &options, err);
	if (status == LEDGER_BUSY)
		return hint(err,
			"it takes back what peers have by itself; to do it here, stop it first");
	TRY(status);
	return run_with(o, sync, &options, err);
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	struct outcome o = { .ledger = l };
	(void)argc;
	(void)argv;
	TRY(check_options(err));
	enum ledger_status status = offline ? run_offline(&o, err) : run_online(&o, err);
	missing_done(&o.missing);
	return status;
}

const struct command cmd_recover = {
	.name = "recover",
	.summary = "Begin a new epoch after the ledger was copied or restored.",
	.opens = OPENS_WRITE,
	.opts = opts,
	.examples = "ledgerbox recover --dry-run\n"
		    "ledgerbox recover --reason 'restored from the backup of Friday'\n"
		    "ledgerbox recover --offline\n",
	.run = run,
};
