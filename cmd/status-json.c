/* status --format json: one object. */
#include "status.h"

#include <inttypes.h>

#include "output.h"
#include "../lib/base/banned.h"

static void add_u64(struct buf *out, const char *key, uint64_t value)
{
	buf_addf(out, ",\"%s\":%" PRIu64, key, value);
}

static void add_text(struct buf *out, const char *key, struct slice text)
{
	buf_addf(out, ",\"%s\":", key);
	json_add_string(out, text);
}

static void add_time(struct buf *out, const char *key, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	buf_addf(out, ",\"%s\":\"%s\"", key, text);
}

static void add_hash(struct buf *out, const uint8_t hash[EVENT_HASH_SIZE])
{
	buf_add_text(out, ",\"hash\":\"");
	buf_add_hex(out, hash, EVENT_HASH_SIZE);
	buf_add_char(out, '"');
}

/* Begins an item of an array; the key that follows is its first. */
static void begin_item(struct buf *out)
{
	if (out->len && out->ptr[out->len - 1] == '}')
		buf_add_char(out, ',');
}

static enum ledger_status add_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct buf *out = context;
	begin_item(out);
	buf_add_text(out, "{\"origin\":");
	json_add_string(out, chain->origin);
	add_u64(out, "epoch", chain->epoch);
	add_text(out, "domain", chain->domain);
	add_u64(out, "sequence", chain->sequence);
	add_hash(out, chain->hash);
	add_u64(out, "position", chain->position);
	add_time(out, "clock", chain->clock);
	add_time(out, "time", chain->time);
	buf_add_char(out, '}');
	return buf_check(out, err);
}

struct cursors {
	struct buf *out;
	const struct facts *facts;
};

static enum ledger_status add_cursor(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	const struct cursors *c = context;
	begin_item(c->out);
	buf_add_text(c->out, "{\"name\":");
	json_add_string(c->out, cursor->name);
	add_u64(c->out, "position", cursor->position);
	add_u64(c->out, "lag", facts_lag(c->facts, cursor));
	add_hash(c->out, cursor->hash);
	add_time(c->out, "updated", cursor->updated);
	buf_add_char(c->out, '}');
	return buf_check(c->out, err);
}

static enum ledger_status add_consumer(
	const struct consumer_state *c, void *context, struct ledger_error *err)
{
	struct buf *out = context;
	begin_item(out);
	buf_add_text(out, "{\"name\":");
	json_add_string(out, slice_of(c->name));
	add_text(out, "kind", slice_of(c->kind));
	add_text(out, "state", slice_of(c->state));
	add_u64(out, "position", c->position);
	add_u64(out, "behind", c->behind);
	add_u64(out, "parked", c->parked);
	if (c->reason[0])
		add_text(out, "reason", slice_of(c->reason));
	buf_add_char(out, '}');
	return buf_check(out, err);
}

static void add_overview(struct buf *out, const struct facts *facts)
{
	const struct ledger_overview *o = &facts->o;
	buf_add_text(out, "{\"file\":");
	json_add_string(out, slice_of(facts->file));
	add_text(out, "node", slice_of(o->node));
	add_u64(out, "epoch", o->epoch);
	add_u64(out, "events", o->events);
	add_u64(out, "origins", o->origins);
	add_u64(out, "domains", o->domains);
	add_u64(out, "streams", o->streams);
	add_u64(out, "types", o->types);
	if (o->events) {
		add_time(out, "first_time", o->first_time);
		add_time(out, "last_time", o->last_time);
	}
	if (facts->newest)
		add_time(out, "newest_clock", facts->newest);
	add_u64(out, "file_bytes", o->file_bytes);
	add_u64(out, "wal_bytes", o->wal_bytes);
	add_u64(out, "free_bytes", o->free_bytes);
	buf_addf(out, ",\"home\":%s", o->home == LEDGER_OK ? "true" : "false");
	if (o->home != LEDGER_OK)
		add_text(out, "home_text", slice_of(o->home_text));
}

static void add_trouble(struct buf *out, const struct facts *facts)
{
	add_u64(out, "forks", facts->trouble.forks);
	add_u64(out, "quarantined", facts->trouble.quarantined);
	add_u64(out, "waiting", facts->trouble.waiting);
	add_u64(out, "dropped", facts->trouble.dropped);
	add_u64(out, "contested", facts->owners.counts.contested);
	add_u64(out, "offered", facts->owners.counts.moving);
}

static void add_verify(struct buf *out, const struct facts *facts)
{
	if (!facts->verified)
		return;
	buf_addf(out, ",\"last_verify\":{\"ok\":%s", facts->last.ok ? "true" : "false");
	add_u64(out, "position", facts->last.position);
	add_time(out, "finished", facts->last.finished);
	buf_add_char(out, '}');
}

struct items {
	struct ledger *l;
	struct buf *out;
	bool any;
};

static enum ledger_status add_peer(
	const struct ledger_peer_head *p, void *context, struct ledger_error *err)
{
	struct items *items = context;
	struct ledger_chain_name chain = { p->head.origin, p->head.epoch, p->head.domain };
	uint64_t behind;
	TRY(status_behind(items->l, &chain, p->head.sequence, &behind, err));
	buf_add_text(items->out, items->any ? ",{\"node\":" : "{\"node\":");
	json_add_string(items->out, p->node);
	add_text(items->out, "origin", p->head.origin);
	add_u64(items->out, "epoch", p->head.epoch);
	add_text(items->out, "domain", p->head.domain);
	add_u64(items->out, "sequence", p->head.sequence);
	add_u64(items->out, "behind", behind);
	add_text(items->out, "state", slice_of(presence_name(p->presence)));
	add_time(items->out, "said", p->time);
	buf_add_char(items->out, '}');
	items->any = true;
	return buf_check(items->out, err);
}

static enum ledger_status add_published(
	const struct ledger_published *p, void *context, struct ledger_error *err)
{
	struct items *items = context;
	uint64_t behind;
	TRY(status_behind(items->l, &p->chain, p->sequence, &behind, err));
	buf_add_text(items->out, items->any ? ",{\"cluster\":" : "{\"cluster\":");
	json_add_string(items->out, p->cluster);
	add_u64(items->out, "epoch", p->chain.epoch);
	add_text(items->out, "domain", p->chain.domain);
	add_u64(items->out, "sequence", p->sequence);
	add_u64(items->out, "behind", behind);
	add_time(items->out, "updated", p->updated);
	buf_add_char(items->out, '}');
	items->any = true;
	return buf_check(items->out, err);
}

static enum ledger_status add_gap(
	const struct ledger_gap *gap, void *context, struct ledger_error *err)
{
	struct items *items = context;
	buf_add_text(items->out, items->any ? ",{\"origin\":" : "{\"origin\":");
	json_add_string(items->out, gap->chain.origin);
	add_u64(items->out, "epoch", gap->chain.epoch);
	add_text(items->out, "domain", gap->chain.domain);
	add_u64(items->out, "have", gap->have);
	add_u64(items->out, "named", gap->named);
	add_u64(items->out, "peers", gap->peers);
	buf_add_char(items->out, '}');
	items->any = true;
	return buf_check(items->out, err);
}

static enum ledger_status add_others(struct ledger *l, struct buf *out, struct ledger_error *err)
{
	struct items published = { l, out, false }, peers = { l, out, false },
		     gaps = { l, out, false };
	buf_add_text(out, "],\"published\":[");
	TRY(ledger_published(l, add_published, &published, err));
	buf_add_text(out, "],\"peers\":[");
	TRY(ledger_peer_heads(l, add_peer, &peers, err));
	buf_add_text(out, "],\"gaps\":[");
	return ledger_gaps(l, add_gap, &gaps, err);
}

/* What serve-sync has left goes through as it is: a checked object of ours. */
static void add_sync(struct buf *out, const struct facts *facts)
{
	const struct sync_facts *s = &facts->sync;
	if (!s->expected && !s->peers && !s->left.ptr)
		return;
	buf_addf(out, ",\"sync\":{\"daemon\":\"%s\"", daemon_name(s->daemon));
	add_u64(out, "unpublished", s->unpublished);
	add_u64(out, "missing", s->missing);
	add_u64(out, "gaps", s->gaps);
	add_u64(out, "nodes", s->peers);
	add_u64(out, "nodes_heard", s->peers_heard);
	if (s->unknown[0])
		add_text(out, "unknown", slice_of(s->unknown));
	if (s->left.ptr) {
		buf_addf(out, ",\"stale\":%s,\"state\":", s->stale ? "true" : "false");
		json_add_flat(out, s->left);
	}
	buf_add_char(out, '}');
}

static enum ledger_status add_finding(
	const struct finding *f, void *context, struct ledger_error *err)
{
	struct items *items = context;
	buf_add_text(items->out, items->any ? ",{\"what\":" : "{\"what\":");
	json_add_string(items->out, slice_of(f->what));
	add_text(items->out, "text", slice_of(f->text));
	add_text(items->out, "next", slice_of(f->next));
	buf_add_char(items->out, '}');
	items->any = true;
	return buf_check(items->out, err);
}

static enum ledger_status add_command_count(
	const struct ledger_command_count *count, void *context, struct ledger_error *err)
{
	struct items *items = context;
	(void)err;
	buf_add_text(items->out, items->any ? "," : "");
	json_add_string(items->out, count->what);
	buf_addf(items->out, ":%" PRIu64, count->number);
	items->any = true;
	return LEDGER_OK;
}

enum ledger_status status_print_json(
	struct ledger *l, const struct facts *facts, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct cursors cursors = { &text, facts };
	struct items wrong = { l, &text, false };
	add_overview(&text, facts);
	add_trouble(&text, facts);
	add_verify(&text, facts);
	add_sync(&text, facts);
	buf_add_text(&text, ",\"wrong\":[");
	TRY(status_each_finding(l, facts, add_finding, &wrong, err));
	buf_add_text(&text, "],\"chains\":[");
	TRY(ledger_chains(l, add_chain, &text, err));
	buf_add_text(&text, "],\"cursors\":[");
	TRY(ledger_cursors(l, add_cursor, &cursors, err));
	TRY(add_others(l, &text, err));
	buf_add_text(&text, "],\"consumers\":[");
	TRY(status_each_consumer(l, facts, add_consumer, &text, err));
	struct items counts = { l, &text, false };
	buf_add_text(&text, "],\"commands\":{");
	TRY(ledger_command_counts(l, add_command_count, &counts, err));
	buf_add_text(&text, "}}");
	TRY(buf_check(&text, err));
	out_safe(buf_slice(&text));
	out_text("\n");
	return LEDGER_OK;
}
