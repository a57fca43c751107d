/* The report of verify. Every sentence says what was recomputed, not what is likely. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"
#include "../lib/base/banned.h"

void report_done(struct report *report)
{
	buf_done(&report->problems);
	buf_done(&report->heads);
	buf_done(&report->missing);
	buf_done(&report->peers.names);
	buf_done(&report->peers.silent);
	buf_done(&report->peers.unproven);
	buf_done(&report->peers.json);
}

/* --- Problems -------------------------------------------------------------------------------- */

/* Place and text hold words of a ledger that may be damaged: escaped everywhere, so that a problem is
 * always one line. */
static void print_problem(const struct ledger_problem *problem)
{
	CLEANUP_BUF struct buf line = { 0 };
	buf_add_text(&line, problem->code);
	if (problem->position)
		buf_addf(&line, " at position %" PRIu64, problem->position);
	if (problem->place && problem->place[0]) {
		buf_add_text(&line, " (");
		escape_slice(&line, slice_of(problem->place), false);
		buf_add_char(&line, ')');
	}
	buf_add_text(&line, ": ");
	escape_slice(&line, slice_of(problem->text), false);
	buf_add_char(&line, '\n');
	progress_clear();
	out_slice(buf_slice(&line));
}

static void add_problem(struct buf *out, const struct ledger_problem *problem, struct slice more)
{
	if (out->len)
		buf_add_char(out, ',');
	buf_add_text(out, "{\"code\":");
	json_add_string(out, slice_of(problem->code));
	buf_addf(out, ",\"position\":%" PRIu64 ",\"place\":", problem->position);
	json_add_string(out, slice_of(problem->place ? problem->place : ""));
	buf_add_text(out, ",\"text\":");
	json_add_string(out, slice_of(problem->text));
	buf_add_slice(out, more);
	buf_add_char(out, '}');
}

void report_list_more(
	struct report *report, const struct ledger_problem *problem, struct slice more)
{
	report->listed += problem->status == LEDGER_DAMAGED;
	if (output.format == FORMAT_JSON)
		add_problem(&report->problems, problem, more);
	else
		print_problem(problem);
}

void report_list(struct report *report, const struct ledger_problem *problem)
{
	report_list_more(report, problem, SLICE(""));
}

/* --- What was not covered -------------------------------------------------------------------- */

static void miss(struct report *report, const char *text)
{
	if (report->missing.len)
		buf_add_char(&report->missing, '\n');
	buf_add_text(&report->missing, text);
}

static void miss_range(struct report *report, uint64_t from, uint64_t to, const char *why)
{
	char text[128];
	if (from > to)
		return;
	if (from == to)
		snprintf(text, sizeof(text), "event %" PRIu64 " (%s)", from, why);
	else
		snprintf(text, sizeof(text), "events %" PRIu64 "..%" PRIu64 " (%s)", from, to, why);
	miss(report, text);
}

static void miss_events(struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	bool since_last = report->asked->since_last;
	const char *before = since_last ? "as an earlier run left them" : "--from";
	bool nothing = found->to < found->from;
	if (!found->complete) {
		miss(report, "what had not been read when it stopped");
		return;
	}
	miss_range(report, 1, nothing ? found->last : found->from - (found->from > 0), before);
	if (!nothing)
		miss_range(report, found->to + 1, found->last, "--to");
	if (report->asked->origin.ptr)
		miss(report, "chains of other origins (--origin)");
	if (report->asked->domain.ptr)
		miss(report, "chains of other domains (--domain)");
}

static void miss_signatures(struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	char text[128];
	if (report->asked->hash_only) {
		miss(report,
			"MACs (--hash-only): whoever can write the file can make hashes that fit");
	} else if (found->macs < found->events) {
		snprintf(text, sizeof(text), "MACs of %" PRIu64 " events",
			found->events - found->macs);
		miss(report, text);
	}
	if (!found->seal)
		miss(report, "the seal");
	else if (!found->seal_mac && !report->asked->hash_only)
		miss(report, "the seal's MAC");
}

static void collect_missing(struct report *report)
{
	miss_events(report);
	miss_signatures(report);
	if (!report->asked->deep)
		miss(report, "the SQLite file and the table of terms (--deep)");
	else if (!report->found.file)
		miss(report,
			"the SQLite file itself: its schema was changed, or reading it failed");
}

/* --- Text ------------------------------------------------------------------------------------ */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void add_range(struct buf *out, const struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	if (found->last == 0)
		buf_add_text(out, found->complete ? "no events, the ledger is empty" : "no events");
	else if (found->to < found->from)
		buf_addf(out, "no events of %" PRIu64, found->last);
	else
		buf_addf(out, "events %" PRIu64 "..%" PRIu64 " of %" PRIu64, found->from, found->to,
			found->last);
	if (report->asked->origin.ptr || report->asked->domain.ptr)
		buf_addf(out, " (%" PRIu64 " of them, origin %.*s, domain %.*s)", found->events,
			SLICE_ARG(report->asked->origin.ptr ? report->asked->origin : SLICE("any")),
			SLICE_ARG(
				report->asked->domain.ptr ? report->asked->domain : SLICE("any")));
	if (found->events)
		buf_addf(out, ", %" PRIu64 " chain%s", found->chains, plural(found->chains));
}

/* Which kinds of things were recomputed. */
static void add_kinds(struct buf *out, const struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	if (found->events)
		buf_add_text(out, ", payload, links");
	if (found->macs)
		buf_add_text(out, found->macs < found->events ? ", some MACs" : ", MACs");
	if (found->seal)
		buf_add_text(out, found->seal_mac ? ", seal" : ", seal without its MAC");
	if (report->asked->n_heads)
		buf_addf(out, ", %zu expected head%s", report->asked->n_heads,
			plural(report->asked->n_heads));
	if (report->asked->deep)
		buf_add_text(out, ", SQLite's pages and indexes");
}

static void add_count(struct buf *out, const struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	buf_addf(out, "%" PRIu64 " problem%s", found->problems, plural(found->problems));
	if (found->first_bad)
		buf_addf(out, ", first bad position %" PRIu64 ", last good %" PRIu64,
			found->first_bad, found->last_good);
}

static void add_damaged(struct buf *out, const struct report *report)
{
	buf_add_text(
		out, report->found.complete ? "DAMAGED: " : "DAMAGED, and not read to the end: ");
	add_count(out, report);
	buf_add_text(out, report->found.complete ? "; read " : "; asked for ");
	add_range(out, report);
	if (report->found.unverified)
		buf_addf(out, "; another %" PRIu64 " could not be verified",
			report->found.unverified);
}

static void add_unverified(struct buf *out, const struct report *report)
{
	const struct ledger_verify_report *found = &report->found;
	buf_add_text(out, "COULD NOT VERIFY");
	if (found->unverified)
		buf_addf(out, " %" PRIu64 " of %" PRIu64 " event%s", found->unverified,
			found->events, plural(found->events));
	buf_add_text(out, found->events ? ": no damage in what could be recomputed; read "
					: ": nothing was recomputed; ");
	add_range(out, report);
}

static void add_unfinished(
	struct buf *out, const struct report *report, const struct ledger_error *why)
{
	buf_add_text(out, "COULD NOT FINISH: ");
	escape_slice(out, slice_of(why->text), false);
	buf_addf(out, "; %" PRIu64 " event%s recomputed", report->found.events,
		plural(report->found.events));
	if (report->found.problems) {
		buf_add_text(out, ", ");
		add_count(out, report);
	}
	buf_add_text(out, "; this says nothing about the rest");
}

static void add_verdict(struct buf *out, const struct report *report, enum ledger_status status,
	const struct ledger_error *why)
{
	/* The ledger itself is well; what peers have is said behind. */
	if (report->peers.decides)
		status = LEDGER_OK;
	switch (status) {
	case LEDGER_OK:
		buf_add_text(out, "verified ");
		add_range(out, report);
		add_kinds(out, report);
		break;
	case LEDGER_NO:
		escape_slice(out, slice_of(why->text), false);
		break;
	case LEDGER_DAMAGED:
		add_damaged(out, report);
		break;
	case LEDGER_UNVERIFIED:
		add_unverified(out, report);
		break;
	default:
		add_unfinished(out, report, why);
	}
}

static void add_missing_text(struct buf *out, const struct report *report)
{
	struct slice rest = buf_slice(&report->missing);
	const char *before = "; not covered: ";
	while (rest.len) {
		struct slice item;
		if (!slice_cut(rest, '\n', &item, &rest)) {
			item = rest;
			rest.len = 0;
		}
		buf_add_text(out, before);
		buf_add_slice(out, item);
		before = ", ";
	}
}

static void add_peers(struct buf *out, const struct peer_report *p)
{
	if (p->failed) {
		buf_add_text(out, "; not compared with peers: ");
		escape_slice(out, slice_of(p->why.text), false);
	}
	if (p->names.len) {
		buf_addf(out, "; %s", p->failed ? "asked: " : "peers asked: ");
		buf_add_slice(out, buf_slice(&p->names));
	}
	if (p->silent.len) {
		buf_add_text(out, "; no answer: ");
		buf_add_slice(out, buf_slice(&p->silent));
	}
	if (p->failed)
		return;
	buf_addf(out, "; proven by a peer: %" PRIu64 " of %" PRIu64 " chain%s", p->proven,
		p->chains, plural(p->chains));
	if (p->unproven.len) {
		buf_add_text(out, "; not proven: ");
		buf_add_slice(out, buf_slice(&p->unproven));
	}
}

static void add_last_line(struct buf *out, const struct report *report, enum ledger_status status,
	const struct ledger_error *why)
{
	/* Events that could not be verified are not listed one by one; the last line counts them. */
	if (report->found.problems > report->listed)
		buf_addf(out, "%" PRIu64 " more not listed (--max-problems)\n",
			report->found.problems - report->listed);
	escape_slice(out, slice_of(report->file), false);
	buf_add_text(out, ": ");
	add_verdict(out, report, status, why);
	if (report->found.seal) {
		buf_add_text(out, "; link ");
		buf_add_hex(out, report->found.link, sizeof(report->found.link));
	}
	if (report->peers.asked_for)
		add_peers(out, &report->peers);
	add_missing_text(out, report);
	buf_add_char(out, '\n');
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void add_u64(struct buf *out, const char *key, uint64_t value)
{
	buf_addf(out, ",\"%s\":%" PRIu64, key, value);
}

static void add_bool(struct buf *out, const char *key, bool value)
{
	buf_addf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

static void add_missing_json(struct buf *out, const struct report *report)
{
	struct slice rest = buf_slice(&report->missing);
	buf_add_text(out, ",\"not_covered\":[");
	for (bool first = true; rest.len; first = false) {
		struct slice item;
		if (!slice_cut(rest, '\n', &item, &rest)) {
			item = rest;
			rest.len = 0;
		}
		if (!first)
			buf_add_char(out, ',');
		json_add_string(out, item);
	}
	buf_add_char(out, ']');
}

static void add_json(struct buf *out, const struct report *report, enum ledger_status status)
{
	const struct ledger_verify_report *found = &report->found;
	buf_add_text(out, "{\"file\":");
	json_add_string(out, slice_of(report->file));
	buf_add_text(out, ",\"node\":");
	json_add_string(out, slice_of(report->node));
	buf_addf(out, ",\"status\":\"%s\"", ledger_status_name(status));
	add_bool(out, "complete", found->complete);
	add_u64(out, "from", found->from);
	add_u64(out, "to", found->to);
	add_u64(out, "last", found->last);
	add_u64(out, "events", found->events);
	add_u64(out, "macs", found->macs);
	add_u64(out, "chains", found->chains);
	buf_add_text(out, ",\"problems\":[");
	buf_add_slice(out, buf_slice(&report->problems));
	buf_add_char(out, ']');
	add_u64(out, "problem_count", found->problems);
	add_u64(out, "unverified", found->unverified);
	add_u64(out, "first_bad", found->first_bad);
	add_u64(out, "last_good", found->last_good);
	if (found->seal) {
		buf_add_text(out, ",\"link\":\"");
		buf_add_hex(out, found->link, sizeof(found->link));
		buf_add_char(out, '"');
	}
	add_bool(out, "seal", found->seal);
	add_bool(out, "seal_mac", found->seal_mac);
	add_missing_json(out, report);
	if (report->peers.asked_for) {
		buf_add_text(out, ",\"peers\":");
		buf_add_slice(out, buf_slice(&report->peers.json));
	}
	add_u64(out, "elapsed_us", found->elapsed);
	buf_add_text(out, ",\"heads\":[");
	buf_add_slice(out, buf_slice(&report->heads));
	buf_add_text(out, "]}\n");
}

enum ledger_status report_print(struct report *report, enum ledger_status status,
	const struct ledger_error *why, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	collect_missing(report);
	TRY(buf_check(&report->problems, err));
	if (output.format == FORMAT_JSON)
		add_json(&text, report, status);
	else
		add_last_line(&text, report, status, why);
	TRY(buf_check(&text, err));
	out_safe_lines(buf_slice(&text));
	TRY(out_flush(err));
	/* With -o a report stands also where the run could not finish. */
	return out_file_commit(err);
}
