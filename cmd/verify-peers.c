#include "verify-peers.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"
#include "sync-options.h"

#include "../lib/base/banned.h"

#define WITHIN	   (5 * TIME_SECOND)
#define LISTED_MAX 8 /* chains in the last line; JSON has all */

struct comparing {
	struct report *report;
	struct buf list; /* JSON */
	uint64_t listed;
};

static void close_survey(struct survey **s)
{
	survey_close(*s);
}

/* --- Findings ------------------------------------------------------------------------------------ */

static void add_place(struct buf *out, const struct ledger_chain_name *chain, uint64_t sequence)
{
	buf_addf(out, "%.*s/%" PRIu64 "/%.*s", SLICE_ARG(chain->origin), chain->epoch,
		SLICE_ARG(chain->domain));
	if (sequence)
		buf_addf(out, "/%" PRIu64, sequence);
}

static void describe(struct buf *out, const struct survey_finding *f)
{
	buf_addf(out, "%s has event %" PRIu64 " with hash ", f->peer, f->sequence);
	buf_add_hex(out, f->there, EVENT_HASH_SIZE);
	if (f->kind == SURVEY_OTHER) {
		buf_add_text(out, ", here it has ");
		buf_add_hex(out, f->here, EVENT_HASH_SIZE);
		buf_add_text(out, ": one of them was made anew by somebody with the key");
		return;
	}
	if (f->last) {
		buf_addf(out, ", here the chain ends at %" PRIu64 " with ", f->last);
		buf_add_hex(out, f->here, EVENT_HASH_SIZE);
	} else {
		buf_add_text(out, ", here is nothing of that chain");
	}
	buf_add_text(
		out, ": this ledger is an older state of itself, or another runs under its name");
}

static void add_more(struct buf *out, const struct survey_finding *f)
{
	buf_add_text(out, ",\"peer\":");
	json_add_string(out, slice_of(f->peer));
	buf_addf(out, ",\"sequence\":%" PRIu64, f->sequence);
	if (f->kind == SURVEY_OLDER)
		buf_addf(out, ",\"last\":%" PRIu64, f->last);
	buf_add_text(out, ",\"there\":\"");
	buf_add_hex(out, f->there, EVENT_HASH_SIZE);
	if (f->kind == SURVEY_OTHER || f->last) {
		buf_add_text(out, "\",\"here\":\"");
		buf_add_hex(out, f->here, EVENT_HASH_SIZE);
	}
	buf_add_char(out, '"');
}

static void on_finding(const struct survey_finding *f, void *context)
{
	struct comparing *c = context;
	CLEANUP_BUF struct buf place = { 0 }, text = { 0 }, more = { 0 };
	add_place(&place, &f->chain, f->sequence);
	describe(&text, f);
	add_more(&more, f);
	struct ledger_problem problem = {
		.code = f->kind == SURVEY_OLDER ? "PEER_AHEAD" : "PEER_DIFFERS",
		.status = LEDGER_DAMAGED,
		.place = buf_text(&place),
		.text = buf_text(&text),
	};
	c->report->peers.findings++;
	report_list_more(c->report, &problem, buf_slice(&more));
}

/* --- Proofs -------------------------------------------------------------------------------------- */

static void list_unproven(struct comparing *c, const struct survey_proof *p)
{
	struct buf *out = &c->report->peers.unproven;
	if (c->listed++ >= LISTED_MAX)
		return;
	if (out->len)
		buf_add_text(out, ", ");
	add_place(out, &p->chain, 0);
	if (p->proven)
		buf_addf(out, " (to %" PRIu64 " of %" PRIu64 ")", p->proven, p->last);
}

static void on_proof(const struct survey_proof *p, void *context)
{
	struct comparing *c = context;
	struct peer_report *peers = &c->report->peers;
	peers->chains++;
	peers->proven += p->proven == p->last;
	if (p->proven < p->last)
		list_unproven(c, p);
	buf_addf(&c->list, "%s{\"chain\":\"", c->list.len ? "," : "");
	add_place(&c->list, &p->chain, 0);
	buf_addf(&c->list, "\",\"sequence\":%" PRIu64 ",\"proven\":%" PRIu64, p->last, p->proven);
	if (p->peer) {
		buf_add_text(&c->list, ",\"peer\":");
		json_add_string(&c->list, slice_of(p->peer));
	}
	buf_add_char(&c->list, '}');
}

/* --- Who was asked ------------------------------------------------------------------------------- */

typedef const char *name_fn(const struct survey *s, size_t index);

static void add_names(const struct survey *s, name_fn *name, struct buf *text, struct buf *json)
{
	const char *node;
	for (size_t i = 0; s && (node = name(s, i)); i++) {
		buf_addf(text, "%s%s", i ? ", " : "", node);
		buf_addf(json, "%s\"%s\"", i ? "," : "", node);
	}
}

static void finish(struct comparing *c, const struct survey *s, enum ledger_status status)
{
	struct peer_report *p = &c->report->peers;
	p->failed = status != LEDGER_OK;
	p->why.status = status;
	buf_add_text(&p->json, "{\"asked\":[");
	add_names(s, survey_peer, &p->names, &p->json);
	buf_add_text(&p->json, "],\"silent\":[");
	add_names(s, survey_silent, &p->silent, &p->json);
	buf_addf(&p->json, "],\"findings\":%" PRIu64 ",\"chains\":[", p->findings);
	buf_add_slice(&p->json, buf_slice(&c->list));
	buf_add_char(&p->json, ']');
	if (p->failed) {
		buf_add_text(&p->json, ",\"error\":");
		json_add_string(&p->json, slice_of(p->why.text));
	}
	buf_add_char(&p->json, '}');
	if (c->listed > LISTED_MAX)
		buf_addf(&p->unproven, ", %" PRIu64 " more", c->listed - LISTED_MAX);
}

enum ledger_status verify_peers(
	struct ledger *l, struct report *report, uint64_t within, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	__attribute__((cleanup(close_survey))) struct survey *s = NULL;
	struct comparing c = { .report = report };
	struct sync_options options = { 0 };
	struct survey_options asked = {
		.sync = &options, .within = within ? within : WITHIN, .stop_fd = -1
	};
	struct survey_compare compare = { report->asked->origin, report->asked->domain, on_finding,
		on_proof, &c };
	TRY(sync_options_read(&options, &arena, err));
	report->peers.asked_for = true;
	enum ledger_status status = survey_open(&s, l, &asked, &report->peers.why);
	if (!status)
		status = survey_compare(s, &compare, &report->peers.why);
	finish(&c, s, status);
	buf_done(&c.list);
	return LEDGER_OK;
}

enum ledger_status verify_peers_verdict(
	struct report *report, enum ledger_status status, struct ledger_error *err)
{
	struct peer_report *p = &report->peers;
	report->found.problems += p->findings;
	if (p->findings && (status == LEDGER_OK || status == LEDGER_UNVERIFIED)) {
		fail(err, LEDGER_DAMAGED, "%s is not what peers have: %" PRIu64 " problem%s",
			report->file, p->findings, p->findings == 1 ? "" : "s");
		return hint(err,
			"stop writing to it; `ledgerbox recover --dry-run` shows what peers have "
			"of this node");
	}
	if (p->failed && status == LEDGER_OK) {
		p->decides = true;
		*err = p->why;
		return fail_in(err, "not compared with peers: ");
	}
	return status;
}
