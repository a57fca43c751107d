/* status' text of all that concerns other nodes: clusters, streams, what was published, peers. */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"
#include "../lib/base/banned.h"

void status_print_header(const char *line)
{
	out_text("\n");
	out_style("1");
	out_text(line);
	out_style("0");
	out_text("\n");
}

void add_cell(struct buf *out, struct slice text, size_t width)
{
	size_t before = out->len;
	escape_slice(out, text, false);
	do
		buf_add_char(out, ' ');
	while (!out->failed && out->len - before < width + 2);
}

static enum ledger_status print_line(struct buf *line, struct ledger_error *err)
{
	buf_add_char(line, '\n');
	TRY(buf_check(line, err));
	out_slice(buf_slice(line));
	return LEDGER_OK;
}

/* --- What serve-sync has left ---------------------------------------------------------------- */

static enum ledger_status print_cluster(
	const struct cluster_state *c, void *context, struct ledger_error *err)
{
	const struct facts *facts = context;
	CLEANUP_BUF struct buf line = { 0 };
	char age[40] = "";
	if (c->since) {
		CLEANUP_BUF struct buf text = { 0 };
		add_age(&text, facts_age(facts, c->since));
		snprintf(age, sizeof(age), "%s", buf_text(&text));
	}
	add_cell(&line, slice_of(c->name), 16);
	buf_addf(&line, "%-4s  %-10s  %6" PRIu64 "  ", c->up ? "up" : "DOWN", age, c->losses);
	add_cell(&line, slice_of(c->syncs), 14);
	escape_slice(&line, slice_of(c->server), false);
	return print_line(&line, err);
}

static enum ledger_status print_stream(
	const struct stream_state *s, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	(void)context;
	add_cell(&line, slice_of(s->stream), 22);
	add_cell(&line, slice_of(s->cluster), 10);
	add_cell(&line, slice_of(s->state), 11);
	buf_addf(&line, "%9" PRIu64 "  %9" PRIu64 "  %9" PRIu64 "  %9" PRIu64 "  %6" PRIu64 "  ",
		s->messages, s->last, s->taken, s->pending, s->redelivered);
	escape_slice(&line, slice_of(s->created[0] ? s->created : "-"), false);
	if (line.len > 7 && s->created[0] && strlen(s->created) > 19)
		line.len -= strlen(s->created) - 19;
	return print_line(&line, err);
}

/* What a daemon that has ended saw is of no use to anybody now. */
static enum ledger_status print_left(const struct facts *facts, struct ledger_error *err)
{
	if (!sync_is_current(facts))
		return LEDGER_OK;
	status_print_header("cluster           now   for         losses  syncs on write  server");
	/* The callback only reads. */
	TRY(status_each_cluster(facts, print_cluster, (void *)(uintptr_t)facts, err));
	status_print_header("stream                  cluster     state         messages       last"
			    "      taken    pending   again  made");
	return status_each_stream(facts, print_stream, NULL, err);
}

/* --- What the ledger knows ------------------------------------------------------------------- */

struct others {
	struct ledger *l;
	const struct facts *facts;
	bool any;
};

/* Events of a chain here behind a sequence. */
enum ledger_status status_behind(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t sequence, uint64_t *behind, struct ledger_error *err)
{
	uint64_t end;
	TRY(ledger_chain_end(l, chain, &end, err));
	*behind = end > sequence ? end - sequence : 0;
	return LEDGER_OK;
}

static enum ledger_status print_published(
	const struct ledger_published *p, void *context, struct ledger_error *err)
{
	struct others *o = context;
	CLEANUP_BUF struct buf line = { 0 };
	uint64_t behind;
	TRY(status_behind(o->l, &p->chain, p->sequence, &behind, err));
	if (!o->any)
		status_print_header("published to      epoch             domain              "
				    "sequence     behind  time");
	o->any = true;
	add_cell(&line, p->cluster, 16);
	buf_addf(&line, "%-16" PRIu64 "  ", p->chain.epoch);
	add_cell(&line, p->chain.domain, 16);
	buf_addf(&line, "%10" PRIu64 "  %9" PRIu64 "  ", p->sequence, behind);
	add_moment(&line, p->updated);
	return print_line(&line, err);
}

const char *presence_name(enum ledger_presence presence)
{
	static const char *const words[] = { [LEDGER_ABSENT] = "ahead",
		[LEDGER_PRESENT] = "proven",
		[LEDGER_IN_BRANCH] = "forked",
		[LEDGER_OTHER] = "differs" };
	return words[presence];
}

/* What a peer has proven of each chain; behind what is here, or ahead of it. */
static enum ledger_status print_peer(
	const struct ledger_peer_head *p, void *context, struct ledger_error *err)
{
	struct others *o = context;
	CLEANUP_BUF struct buf line = { 0 };
	struct ledger_chain_name chain = { p->head.origin, p->head.epoch, p->head.domain };
	uint64_t behind;
	TRY(status_behind(o->l, &chain, p->head.sequence, &behind, err));
	if (!o->any)
		status_print_header("peer              origin            epoch             "
				    "domain              sequence     behind  state    said");
	o->any = true;
	add_cell(&line, p->node, 16);
	add_cell(&line, p->head.origin, 16);
	buf_addf(&line, "%-16" PRIu64 "  ", p->head.epoch);
	add_cell(&line, p->head.domain, 16);
	buf_addf(&line, "%10" PRIu64 "  %9" PRIu64 "  %-7s  ", p->head.sequence, behind,
		presence_name(p->presence));
	add_age(&line, facts_age(o->facts, p->time));
	buf_add_text(&line, " ago");
	return print_line(&line, err);
}

enum ledger_status status_print_others(
	struct ledger *l, const struct facts *facts, struct ledger_error *err)
{
	struct others published = { l, facts, false }, peers = { l, facts, false };
	TRY(print_left(facts, err));
	TRY(ledger_published(l, print_published, &published, err));
	return ledger_peer_heads(l, print_peer, &peers, err);
}
