/*
 * status --format prometheus: Prometheus' text exposition format 0.0.4, for the textfile collector of
 * node_exporter. Every sample carries file and node, so that several ledgers of a machine can be
 * collected side by side.
 */
#include "status.h"

#include <inttypes.h>

#include "output.h"
#include "../lib/base/banned.h"

struct exposition {
	struct buf text;
	struct buf labels; /* file and node, without braces */
	const struct facts *facts;
	const char *name; /* of the family that is being written */
};

/* A label's value: backslash, quote and newline are escaped. escape_slice goes first, since the value
 * has to be UTF-8 and a scraper refuses the whole file for one bad byte. */
static void add_label(struct buf *out, const char *name, struct slice value)
{
	CLEANUP_BUF struct buf shown = { 0 };
	escape_slice(&shown, value, false);
	buf_addf(out, "%s%s=\"", out->len ? "," : "", name);
	for (size_t i = 0; i < shown.len; i++) {
		if (shown.ptr[i] == '\\' || shown.ptr[i] == '"')
			buf_add_char(out, '\\');
		buf_add_char(out, shown.ptr[i]);
	}
	buf_add_char(out, '"');
}

static void begin_family(struct exposition *x, const char *name, const char *help)
{
	x->name = name;
	buf_addf(&x->text, "# HELP ledgerbox_%s %s\n# TYPE ledgerbox_%s gauge\n", name, help, name);
}

static void begin_sample(struct exposition *x, const struct buf *more)
{
	buf_addf(&x->text, "ledgerbox_%s{", x->name);
	buf_add_slice(&x->text, buf_slice(&x->labels));
	if (more && more->len) {
		buf_add_char(&x->text, ',');
		buf_add_slice(&x->text, buf_slice(more));
	}
	buf_add_text(&x->text, "} ");
}

static void add_sample(struct exposition *x, const struct buf *more, uint64_t value)
{
	begin_sample(x, more);
	buf_addf(&x->text, "%" PRIu64 "\n", value);
}

static void add_seconds(struct exposition *x, const struct buf *more, uint64_t us)
{
	begin_sample(x, more);
	buf_addf(&x->text, "%" PRIu64 ".%06" PRIu64 "\n", us / TIME_SECOND, us % TIME_SECOND);
}

static void add_gauge(struct exposition *x, const char *name, const char *help, uint64_t value)
{
	begin_family(x, name, help);
	add_sample(x, NULL, value);
}

static void add_time(struct exposition *x, const char *name, const char *help, uint64_t us)
{
	begin_family(x, name, help);
	add_seconds(x, NULL, us);
}

static void add_overview(struct exposition *x)
{
	const struct ledger_overview *o = &x->facts->o;
	add_gauge(x, "events", "Events in the ledger.", o->events);
	add_gauge(x, "chains", "Chains with an event.", o->chains);
	add_gauge(x, "origins", "Origins with an event.", o->origins);
	add_gauge(x, "domains", "Domains with an event.", o->domains);
	add_gauge(x, "streams", "Streams with an event.", o->streams);
	add_gauge(x, "types", "Event types that occur.", o->types);
	add_gauge(x, "file_bytes", "Size of the ledger file.", o->file_bytes);
	add_gauge(x, "wal_bytes", "Size of the file's -wal.", o->wal_bytes);
	add_gauge(x, "free_bytes", "Free space on the disk of the file.", o->free_bytes);
	add_gauge(x, "home", "1: the file is where it was last written; 0: copied or restored.",
		o->home == LEDGER_OK);
	add_time(x, "epoch_seconds", "When this epoch of the node began.", o->epoch);
	if (x->facts->newest)
		add_time(x, "newest_event_seconds", "When the newest event was recorded.",
			x->facts->newest);
}

static void add_verify(struct exposition *x)
{
	const struct ledger_last_verify *last = &x->facts->last;
	if (!x->facts->verified)
		return;
	add_gauge(x, "verify_ok", "1: the last complete verify found nothing wrong.", last->ok);
	add_gauge(
		x, "verify_position", "Up to where the last complete verify read.", last->position);
	add_time(x, "verify_finished_seconds", "When the last complete verify ended.",
		last->finished);
}

static void add_trouble(struct exposition *x)
{
	const struct ledger_trouble *t = &x->facts->trouble;
	add_gauge(x, "forks", "Branches that are not settled.", t->forks);
	add_gauge(x, "quarantined", "Messages in quarantine that are open.", t->quarantined);
	add_gauge(x, "waiting", "Of these, those whose key or format is not known.", t->waiting);
	add_gauge(x, "dropped", "Messages that were refused and only counted.", t->dropped);
	add_gauge(x, "contested_streams", "Streams that several nodes have claimed.",
		x->facts->owners.counts.contested);
	add_gauge(x, "offered_streams", "Streams on their way to another owner.",
		x->facts->owners.counts.moving);
}

static void add_chain_labels(struct buf *out, const struct ledger_chain *chain)
{
	add_label(out, "origin", chain->origin);
	buf_addf(out, ",epoch=\"%" PRIu64 "\"", chain->epoch);
	add_label(out, "domain", chain->domain);
}

static enum ledger_status add_sequence(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct exposition *x = context;
	CLEANUP_BUF struct buf labels = { 0 };
	add_chain_labels(&labels, chain);
	TRY(buf_check(&labels, err));
	add_sample(x, &labels, chain->sequence);
	return buf_check(&x->text, err);
}

static enum ledger_status add_clock(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct exposition *x = context;
	CLEANUP_BUF struct buf labels = { 0 };
	add_chain_labels(&labels, chain);
	TRY(buf_check(&labels, err));
	add_seconds(x, &labels, chain->clock);
	return buf_check(&x->text, err);
}

static enum ledger_status add_position(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	struct exposition *x = context;
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "cursor", cursor->name);
	TRY(buf_check(&labels, err));
	add_sample(x, &labels, cursor->position);
	return buf_check(&x->text, err);
}

static enum ledger_status add_lag(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	struct exposition *x = context;
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "cursor", cursor->name);
	TRY(buf_check(&labels, err));
	add_sample(x, &labels, facts_lag(x->facts, cursor));
	return buf_check(&x->text, err);
}

/* The samples of one family stand together, so chains and cursors are walked once for each. */
static enum ledger_status add_lists(
	struct ledger *l, struct exposition *x, struct ledger_error *err)
{
	if (x->facts->newest) {
		begin_family(x, "chain_sequence", "The last sequence of a chain.");
		TRY(ledger_chains(l, add_sequence, x, err));
		begin_family(x, "chain_newest_seconds", "When a chain's last event was recorded.");
		TRY(ledger_chains(l, add_clock, x, err));
	}
	if (x->facts->has_cursor) {
		begin_family(x, "cursor_position", "Up to where a consumer has come.");
		TRY(ledger_cursors(l, add_position, x, err));
		begin_family(x, "cursor_lag_events", "Events behind a cursor.");
		TRY(ledger_cursors(l, add_lag, x, err));
	}
	return LEDGER_OK;
}

/* --- Consumers and others -------------------------------------------------------------------- */

/* One family for each number of a thing: the things are walked once for each. */
struct column {
	struct exposition *x;
	int which;
	struct ledger *l;
};

static enum ledger_status end_sample(
	struct exposition *x, const struct buf *labels, uint64_t value, struct ledger_error *err)
{
	TRY(buf_check(labels, err));
	add_sample(x, labels, value);
	return buf_check(&x->text, err);
}

static enum ledger_status add_consumer(
	const struct consumer_state *c, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	bool runs = strcmp(c->state, "stopped") != 0 && strcmp(c->state, "refused") != 0;
	uint64_t values[] = { c->position, c->behind, c->parked, runs };
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "consumer", slice_of(c->name));
	add_label(&labels, "kind", slice_of(c->kind));
	return end_sample(column->x, &labels, values[column->which], err);
}

static enum ledger_status add_consumers(
	struct ledger *l, struct exposition *x, struct ledger_error *err)
{
	static const char *const families[][2] = {
		{ "consumer_position", "Up to where a handler or projection has come." },
		{ "consumer_behind_events", "Events that it still has to look at." },
		{ "consumer_parked", "Events that it failed on and that wait for an operator." },
		{ "consumer_ok", "0: it is stopped or refused until somebody has looked." },
	};
	for (int i = 0; x->facts->consumers.n && i < 4; i++) {
		struct column column = { x, i, l };
		begin_family(x, families[i][0], families[i][1]);
		TRY(status_each_consumer(l, x->facts, add_consumer, &column, err));
	}
	return LEDGER_OK;
}

static enum ledger_status add_cluster(
	const struct cluster_state *c, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	uint64_t values[] = { c->up, c->losses };
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "cluster", slice_of(c->name));
	return end_sample(column->x, &labels, values[column->which], err);
}

static enum ledger_status add_stream(
	const struct stream_state *s, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	uint64_t values[] = { strcmp(s->state, "ready") == 0, s->messages, s->pending,
		s->redelivered };
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "cluster", slice_of(s->cluster));
	add_label(&labels, "stream", slice_of(s->stream));
	return end_sample(column->x, &labels, values[column->which], err);
}

static enum ledger_status add_left(struct exposition *x, struct ledger_error *err)
{
	static const char *const clusters[][2] = {
		{ "cluster_up", "1: serve-sync is connected to a server of it." },
		{ "cluster_losses", "Connections that were lost since serve-sync began." },
	};
	static const char *const streams[][2] = {
		{ "stream_ready", "1: it can be published to, and taken from." },
		{ "stream_messages", "Messages in the stream when it was last looked at." },
		{ "stream_pending", "Messages of it that are still to be taken." },
		{ "stream_redelivered", "Messages of it that came again." },
	};
	for (int i = 0; i < 2; i++) {
		struct column column = { x, i, NULL };
		begin_family(x, clusters[i][0], clusters[i][1]);
		TRY(status_each_cluster(x->facts, add_cluster, &column, err));
	}
	for (int i = 0; i < 4; i++) {
		struct column column = { x, i, NULL };
		begin_family(x, streams[i][0], streams[i][1]);
		TRY(status_each_stream(x->facts, add_stream, &column, err));
	}
	return LEDGER_OK;
}

static enum ledger_status add_published(
	const struct ledger_published *p, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	CLEANUP_BUF struct buf labels = { 0 };
	uint64_t behind;
	TRY(status_behind(column->l, &p->chain, p->sequence, &behind, err));
	add_label(&labels, "cluster", p->cluster);
	buf_addf(&labels, ",epoch=\"%" PRIu64 "\"", p->chain.epoch);
	add_label(&labels, "domain", p->chain.domain);
	return end_sample(column->x, &labels, behind, err);
}

static enum ledger_status add_peer_age(
	const struct ledger_peer *p, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	CLEANUP_BUF struct buf labels = { 0 };
	add_label(&labels, "peer", p->node);
	TRY(buf_check(&labels, err));
	add_seconds(column->x, &labels, facts_age(column->x->facts, p->time));
	return buf_check(&column->x->text, err);
}

static enum ledger_status add_peer_behind(
	const struct ledger_peer_head *p, void *context, struct ledger_error *err)
{
	const struct column *column = context;
	struct ledger_chain_name chain = { p->head.origin, p->head.epoch, p->head.domain };
	CLEANUP_BUF struct buf labels = { 0 };
	uint64_t behind;
	TRY(status_behind(column->l, &chain, p->head.sequence, &behind, err));
	add_label(&labels, "peer", p->node);
	add_label(&labels, "origin", p->head.origin);
	buf_addf(&labels, ",epoch=\"%" PRIu64 "\"", p->head.epoch);
	add_label(&labels, "domain", p->head.domain);
	return end_sample(column->x, &labels, behind, err);
}

/* Nothing where no cluster is configured and nobody was heard. */
static enum ledger_status add_others(
	struct ledger *l, struct exposition *x, struct ledger_error *err)
{
	const struct sync_facts *s = &x->facts->sync;
	struct column column = { x, 0, l };
	if (!s->expected && !s->peers)
		return LEDGER_OK;
	if (s->daemon != DAEMON_UNKNOWN)
		add_gauge(x, "sync_running", "1: serve-sync runs on this ledger.",
			s->daemon == DAEMON_RUNNING);
	if (s->written) {
		add_time(x, "sync_said_seconds", "When serve-sync last left word.", s->written);
		add_gauge(x, "too_large_events", "Events that are larger than a server takes.",
			s->too_large);
	}
	add_gauge(x, "unpublished_events", "Events of this node that no cluster has acknowledged.",
		s->unpublished);
	add_gauge(x, "missing_events", "Events that others have named and that are not here.",
		s->missing);
	add_gauge(x, "gaps", "Chains of which events are missing.", s->gaps);
	add_gauge(x, "peers", "Other nodes that were ever heard.", s->peers);
	add_gauge(x, "peers_heard", "Other nodes that were heard within a minute.", s->peers_heard);
	if (sync_is_current(x->facts))
		TRY(add_left(x, err));
	begin_family(x, "published_behind_events", "Events that a cluster has not acknowledged.");
	TRY(ledger_published(l, add_published, &column, err));
	begin_family(x, "peer_age_seconds", "How long ago a node was last heard.");
	TRY(ledger_peers(l, add_peer_age, &column, err));
	begin_family(x, "peer_behind_events", "Events of a chain that a node has not proven.");
	return ledger_peer_heads(l, add_peer_behind, &column, err);
}

static enum ledger_status add_command_count(
	const struct ledger_command_count *count, void *context, struct ledger_error *err)
{
	struct exposition *x = context;
	CLEANUP_BUF struct buf labels = { 0 };
	if (!x->name || strcmp(x->name, "commands") != 0)
		begin_family(x, "commands", "What became of commands, since the ledger was made.");
	add_label(&labels, "what", count->what);
	TRY(buf_check(&labels, err));
	add_sample(x, &labels, count->number);
	return buf_check(&x->text, err);
}

static void done(struct exposition *x)
{
	buf_done(&x->text);
	buf_done(&x->labels);
}

enum ledger_status status_print_prometheus(
	struct ledger *l, const struct facts *facts, struct ledger_error *err)
{
	__attribute__((cleanup(done))) struct exposition x = { .facts = facts };
	add_label(&x.labels, "file", slice_of(facts->file));
	add_label(&x.labels, "node", slice_of(facts->o.node));
	TRY(buf_check(&x.labels, err));
	add_overview(&x);
	add_verify(&x);
	add_trouble(&x);
	TRY(add_lists(l, &x, err));
	TRY(add_consumers(l, &x, err));
	TRY(add_others(l, &x, err));
	TRY(ledger_command_counts(l, add_command_count, &x, err));
	TRY(buf_check(&x.text, err));
	out_slice(buf_slice(&x.text));
	return LEDGER_OK;
}
