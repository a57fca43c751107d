/*
 * status - what is in the ledger, how it is, and how far everybody has come.
 *
 * Text and the choice of form are here; JSON, Prometheus and the monitoring check have files of their
 * own. --check opens the ledger itself, so that a ledger that cannot be opened is its "unknown" (3)
 * and not an exit code that monitoring would read as something else.
 */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "heads.h"
#include "output.h"
#include "settings.h"
#include "../lib/base/banned.h"

static bool heads, check;
static struct opt_list warn_at, crit_at;

static const struct opt opts[] = {
	{ 0, "heads", "print the heads alone, for verify --expect-heads", NULL, .flag = &heads },
	{ 0, "check", "print a line for monitoring and exit with 0 to 3", NULL, .flag = &check },
	{ 0, "warn", "with --check: warn from this value on", "<name=value>", .list = &warn_at },
	{ 0, "crit", "with --check: critical from this value on", "<name=value>",
		.list = &crit_at },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

/* --- Gathering ------------------------------------------------------------------------------- */

static enum ledger_status see_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	if (chain->clock > facts->newest)
		facts->newest = chain->clock;
	return LEDGER_OK;
}

static enum ledger_status see_cursor(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	uint64_t lag = facts_lag(facts, cursor);
	facts->has_cursor = true;
	if (lag > facts->lag)
		facts->lag = lag;
	return LEDGER_OK;
}

static enum ledger_status see_consumer(
	const struct consumer_state *c, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	facts->consumers.n++;
	facts->consumers.parked += c->parked;
	if (strcmp(c->state, "stopped") == 0 || strcmp(c->state, "refused") == 0)
		facts->consumers.stopped++;
	if (c->behind > facts->consumers.behind)
		facts->consumers.behind = c->behind;
	return LEDGER_OK;
}

enum ledger_status facts_gather(struct ledger *l, struct facts *facts, struct ledger_error *err)
{
	*facts = (struct facts){ .file = ledger_path(l), .now = time_now() };
	TRY(ledger_overview(l, &facts->o, err));
	TRY(ledger_chains(l, see_chain, facts, err));
	TRY(ledger_cursors(l, see_cursor, facts, err));
	TRY(ledger_trouble(l, &facts->trouble, err));
	TRY(owner_facts_gather(l, &facts->owners, err));
	TRY(command_facts_gather(l, &facts->commands, err));
	enum ledger_status status = ledger_last_verify(l, &facts->last, err);
	if (status != LEDGER_OK && status != LEDGER_NO)
		warn("cannot read what the last verify left: %s", err->text);
	facts->verified = status == LEDGER_OK;
	TRY(status_each_consumer(l, facts, see_consumer, facts, err));
	return status_gather_sync(l, facts, err);
}

void facts_done(struct facts *facts)
{
	buf_done(&facts->sync.bytes);
}

uint64_t facts_age(const struct facts *facts, uint64_t then)
{
	return facts->now > then ? facts->now - then : 0;
}

uint64_t facts_lag(const struct facts *facts, const struct ledger_cursor *cursor)
{
	return facts->o.events > cursor->position ? facts->o.events - cursor->position : 0;
}

/* --- Text ------------------------------------------------------------------------------------ */

void add_age(struct buf *out, uint64_t us)
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = { { 172800, "days" }, { 7200, "h" }, { 120, "min" }, { 0, "s" } };
	static const uint64_t divisor[] = { 86400, 3600, 60, 1 };
	uint64_t seconds = us / TIME_SECOND;
	size_t i = 0;
	while (seconds < units[i].seconds)
		i++;
	buf_addf(out, "%" PRIu64 " %s", seconds / divisor[i], units[i].unit);
}

static void add_size(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	buf_addf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void add_moment(struct buf *out, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	buf_add(out, text, strlen("2026-11-20T17:30:00"));
	buf_add_char(out, 'Z');
}

static void add_field(struct buf *out, const char *name)
{
	buf_addf(out, "%-12s ", name);
}

static void add_file(struct buf *out, const struct facts *facts)
{
	const struct ledger_overview *o = &facts->o;
	add_field(out, "file");
	escape_slice(out, slice_of(facts->file), false);
	buf_add_text(out, ": ");
	add_size(out, o->file_bytes);
	buf_add_text(out, ", -wal ");
	add_size(out, o->wal_bytes);
	buf_add_text(out, ", disk has ");
	add_size(out, o->free_bytes);
	buf_add_text(out, " free\n");
	add_field(out, "node");
	escape_slice(out, slice_of(o->node), false);
	buf_addf(out, ", epoch %" PRIu64 ", begun ", o->epoch);
	add_moment(out, o->epoch);
	buf_add_char(out, '\n');
	add_field(out, "home");
	if (o->home == LEDGER_OK)
		buf_add_text(out, "yes, the file is where it was last written");
	else
		escape_slice(out, slice_of(o->home_text), false);
	buf_add_char(out, '\n');
}

static void add_count(struct buf *out, uint64_t n, const char *what)
{
	buf_addf(out, ", %" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static void add_events(struct buf *out, const struct facts *facts)
{
	const struct ledger_overview *o = &facts->o;
	add_field(out, "events");
	buf_addf(out, "%" PRIu64, o->events);
	if (facts->newest) {
		buf_add_text(out, ", the newest recorded ");
		add_age(out, facts_age(facts, facts->newest));
		buf_add_text(out, " ago");
		add_count(out, o->origins, "origin");
		add_count(out, o->domains, "domain");
		add_count(out, o->chains, "chain");
		add_count(out, o->streams, "stream");
		add_count(out, o->types, "type");
	}
	buf_add_char(out, '\n');
}

static void add_verify(struct buf *out, const struct facts *facts)
{
	add_field(out, "last verify");
	if (!facts->verified) {
		buf_add_text(out, "none known here\n");
		return;
	}
	buf_add_text(out, facts->last.ok ? "all well, up to" : "FOUND DAMAGE, was well up to");
	buf_addf(out, " position %" PRIu64 ", ", facts->last.position);
	add_age(out, facts_age(facts, facts->last.finished));
	buf_add_text(out, " ago\n");
}

static enum ledger_status add_finding(
	const struct finding *f, void *context, struct ledger_error *err)
{
	struct buf *out = context;
	add_field(out, f->what);
	escape_slice(out, slice_of(f->text), false);
	buf_addf(out, "\n%-12s -> %s\n", "", f->next);
	return buf_check(out, err);
}

static void add_sync(struct buf *out, const struct facts *facts)
{
	const struct sync_facts *s = &facts->sync;
	if (!s->expected && !s->peers)
		return;
	add_field(out, "sync");
	buf_addf(out, "serve-sync %s",
		s->daemon == DAEMON_RUNNING   ? "runs"
		: s->daemon == DAEMON_STOPPED ? "does not run"
					      : "may run or not");
	if (s->written) {
		buf_add_text(out, s->once ? ", --once ended " : ", last word ");
		add_age(out, facts_age(facts, s->written));
		buf_add_text(out, s->stale ? " ago: STALE" : " ago");
	}
	if (s->unknown[0]) {
		buf_add_text(out, "; not known: ");
		escape_slice(out, slice_of(s->unknown), false);
	}
	buf_add_char(out, '\n');
	add_field(out, "lag");
	buf_addf(out,
		"%" PRIu64 " events wait to be published, %" PRIu64
		" that others have are missing here, in %" PRIu64 " chain%s\n",
		s->unpublished, s->missing, s->gaps, s->gaps == 1 ? "" : "s");
}

static enum ledger_status print_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	(void)context;
	add_cell(&line, chain->origin, 16);
	buf_addf(&line, "%-16" PRIu64 "  ", chain->epoch);
	add_cell(&line, chain->domain, 16);
	buf_addf(&line, "%10" PRIu64 "  ", chain->sequence);
	buf_add_hex(&line, chain->hash, 6);
	buf_add_text(&line, "  ");
	add_moment(&line, chain->time);
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	out_slice(buf_slice(&line));
	return LEDGER_OK;
}

static enum ledger_status print_cursor(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	const struct facts *facts = context;
	CLEANUP_BUF struct buf line = { 0 };
	add_cell(&line, cursor->name, 34);
	buf_addf(&line, "%10" PRIu64 "  %10" PRIu64 "  ", cursor->position,
		facts_lag(facts, cursor));
	add_moment(&line, cursor->updated);
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	out_slice(buf_slice(&line));
	return LEDGER_OK;
}

static enum ledger_status print_consumer(
	const struct consumer_state *c, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	(void)context;
	add_cell(&line, slice_of(c->name), 20);
	buf_addf(&line, "%-10s  %-7s  %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64, c->kind, c->state,
		c->position, c->behind, c->parked);
	if (c->reason[0]) {
		buf_add_text(&line, "  ");
		escape_slice(&line, slice_of(c->reason), false);
	}
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	out_slice(buf_slice(&line));
	return LEDGER_OK;
}

static enum ledger_status add_command_count(
	const struct ledger_command_count *count, void *context, struct ledger_error *err)
{
	struct buf *line = context;
	(void)err;
	buf_addf(line, "%s%" PRIu64 " %.*s", line->len ? ", " : "", count->number,
		SLICE_ARG(count->what));
	return LEDGER_OK;
}

/* Only where there were any. */
static enum ledger_status add_commands(struct ledger *l, struct buf *out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	TRY(ledger_command_counts(l, add_command_count, &line, err));
	if (line.len == 0)
		return LEDGER_OK;
	add_field(out, "commands");
	escape_slice(out, buf_slice(&line), false);
	buf_add_char(out, '\n');
	return LEDGER_OK;
}

static enum ledger_status print_text(
	struct ledger *l, struct facts *facts, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	add_file(&text, facts);
	add_events(&text, facts);
	add_verify(&text, facts);
	add_sync(&text, facts);
	TRY(status_each_finding(l, facts, add_finding, &text, err));
	TRY(add_commands(l, &text, err));
	TRY(buf_check(&text, err));
	out_slice(buf_slice(&text));
	if (facts->newest)
		status_print_header(
			"origin            epoch             domain              sequence  "
			"hash          time");
	TRY(ledger_chains(l, print_chain, NULL, err));
	if (facts->has_cursor)
		status_print_header(
			"cursor                                position         lag  updated");
	TRY(ledger_cursors(l, print_cursor, facts, err));
	TRY(status_print_others(l, facts, err));
	if (settings.n_handlers + settings.n_projections > 0)
		status_print_header(
			"consumer              kind        state      position      behind      "
			"parked");
	return status_each_consumer(l, facts, print_consumer, NULL, err);
}

/* --- The command ----------------------------------------------------------------------------- */

static enum ledger_status check_options(struct ledger_error *err)
{
	if (check && heads)
		return fail(err, LEDGER_USAGE, "--check and --heads do not go together");
	if (check && output.format != FORMAT_TEXT)
		return fail(
			err, LEDGER_USAGE, "--check prints a line of its own: no --format with it");
	if (!check && (warn_at.n || crit_at.n))
		return fail(err, LEDGER_USAGE, "--warn and --crit are for --check");
	if (heads && output.format == FORMAT_PROMETHEUS)
		return fail(err, LEDGER_USAGE, "--heads has no prometheus form");
	return LEDGER_OK;
}

/* The other forms show the home; heads have no place for it. */
static enum ledger_status print_heads(struct ledger *l, struct ledger_error *err)
{
	struct ledger_error found;
	enum ledger_status status = ledger_check_home(l, &found);
	if (status == LEDGER_REFUSED || ledger_worth_retrying(status))
		warn("%s", found.text);
	return heads_print(l, err);
}

static enum ledger_status print(struct ledger *l, struct ledger_error *err)
{
	CLEANUP_FACTS struct facts facts = { 0 };
	if (heads)
		return print_heads(l, err);
	TRY(facts_gather(l, &facts, err));
	switch (output.format) {
	case FORMAT_JSON:
		return status_print_json(l, &facts, err);
	case FORMAT_PROMETHEUS:
		return status_print_prometheus(l, &facts, err);
	default:
		return print_text(l, &facts, err);
	}
}

static void close_ledger(struct ledger **l)
{
	ledger_close(*l);
}

static enum ledger_status open_and_gather(
	struct facts *facts, struct ledger **l, struct ledger_error *err)
{
	TRY(check_limits(&warn_at, &crit_at, err));
	TRY(settings_read(err));
	TRY(command_open_ledger(LEDGER_MODE_READ, l, err));
	enum ledger_status status = status_see_projections(*l, err);
	command_confine(NULL, NULL);
	return status ? status : facts_gather(*l, facts, err);
}

/* The exit code is that of monitoring plugins here, which a status of the same number carries; its
 * text stays empty, since the line says it all. */
static enum ledger_status run_check(struct ledger_error *err)
{
	CLEANUP_FACTS struct facts facts = { 0 };
	__attribute__((cleanup(close_ledger))) struct ledger *l = NULL;
	enum check_result result = CHECK_UNKNOWN;
	if (open_and_gather(&facts, &l, err) == LEDGER_OK)
		result = check_print(&facts);
	else
		check_print_unknown(err);
	status_forget_projections();
	if (out_flush(err) != LEDGER_OK || out_file_commit(err) != LEDGER_OK)
		result = CHECK_UNKNOWN;
	*err = (struct ledger_error){ .status = (enum ledger_status)result };
	return err->status;
}

static enum ledger_status run(struct ledger *none, int argc, char **argv, struct ledger_error *err)
{
	__attribute__((cleanup(close_ledger))) struct ledger *l = NULL;
	(void)none;
	(void)argc;
	(void)argv;
	TRY(check_options(err));
	if (check)
		return run_check(err);
	TRY(settings_read(err));
	TRY(command_open_ledger(LEDGER_MODE_READ, &l, err));
	enum ledger_status status = status_see_projections(l, err);
	command_confine(NULL, NULL);
	if (status == LEDGER_OK)
		status = print(l, err);
	status_forget_projections();
	return status ? status : out_flush(err);
}

static const char *const formats[] = { "text", "json", "prometheus", NULL };

const struct command cmd_status = {
	.name = "status",
	.summary = "Show what is here, how far others are, and what is wrong.",
	.opens = OPENS_NOTHING,
	.opts = opts,
	.formats = formats,
	.examples = "ledgerbox status\n"
		    "ledgerbox status --heads > heads.txt\n"
		    "ledgerbox status --check --warn verify_age=2d --crit free_bytes=1GiB\n"
		    "ledgerbox status --check --crit daemon_down=1 --crit peers_heard=1\n",
	.run = run,
};
