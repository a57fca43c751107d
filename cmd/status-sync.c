/*
 * How far this ledger is among others: what the ledger itself knows (published, peers, gaps), and what
 * serve-sync, another process, has left in the state folder.
 */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "settings.h"
#include "sync-state.h"

#include "../lib/base/banned.h"

#define HEARD (60 * TIME_SECOND) /* a node says something every few seconds */

/* --- Routes ---------------------------------------------------------------------------------- */

static bool is_routed(struct slice domain, bool out)
{
	const struct domain_settings *d = settings_domain(domain);
	if (slice_starts(domain, SLICE("_")) || settings.n_domains == 0)
		return true;
	return d && (out ? d->propagate : d->subscribe);
}

/* --- What the ledger knows ------------------------------------------------------------------- */

struct gathering {
	struct ledger *l;
	struct facts *facts;
};

/* The cluster that has most of a chain counts: with failover one is enough. */
static enum ledger_status see_unpublished(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	const struct gathering *g = context;
	struct ledger_chain_name name = { chain->origin, chain->epoch, chain->domain };
	uint64_t best = 0, sequence;
	if (!slice_is(chain->origin, g->facts->o.node) || !is_routed(chain->domain, true))
		return LEDGER_OK;
	for (size_t i = 0; i < settings.n_clusters; i++) {
		TRY(ledger_published_get(
			g->l, slice_of(settings.clusters[i].name), &name, &sequence, err));
		best = sequence > best ? sequence : best;
	}
	if (chain->sequence > best)
		g->facts->sync.unpublished += chain->sequence - best;
	return LEDGER_OK;
}

static enum ledger_status see_gap(
	const struct ledger_gap *gap, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	if (!is_routed(gap->chain.domain, false))
		return LEDGER_OK;
	facts->sync.gaps++;
	facts->sync.missing += gap->named - gap->have;
	return LEDGER_OK;
}

static enum ledger_status see_peer(
	const struct ledger_peer *peer, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	uint64_t age = facts_age(facts, peer->time);
	(void)err;
	facts->sync.peers++;
	facts->sync.peers_heard += age < HEARD;
	if (age > facts->sync.peer_age)
		facts->sync.peer_age = age;
	return LEDGER_OK;
}

/* --- What serve-sync has left ---------------------------------------------------------------- */

static bool get(struct slice object, const char *key, struct slice *value)
{
	return json_kind(object) == JSON_OBJECT && json_member(object, slice_of(key), value);
}

static void get_text(struct slice object, const char *key, char *out, size_t size)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	out[0] = '\0';
	if (!get(object, key, &value) || json_kind(value) != JSON_STRING)
		return;
	json_decode_string(value, &text);
	snprintf(out, size, "%s", buf_text(&text));
}

static uint64_t get_u64(struct slice object, const char *key)
{
	struct slice value;
	uint64_t n = 0;
	return get(object, key, &value) && json_u64(value, &n) ? n : 0;
}

static bool get_bool(struct slice object, const char *key)
{
	struct slice value;
	return get(object, key, &value) && json_kind(value) == JSON_TRUE;
}

static uint64_t get_time(struct slice object, const char *key)
{
	char text[TIME_TEXT_MAX];
	struct ledger_error ignored;
	uint64_t us;
	get_text(object, key, text, sizeof(text));
	return time_parse(slice_of(text), &us, &ignored) == LEDGER_OK ? us : 0;
}

static enum ledger_status each(const struct facts *facts, const char *list,
	enum ledger_status (*fn)(struct slice item, void *context, struct ledger_error *err),
	void *context, struct ledger_error *err)
{
	struct slice items, key, item;
	struct json_walk walk;
	if (!facts->sync.left.ptr || !get(facts->sync.left, list, &items) ||
		json_kind(items) != JSON_ARRAY)
		return LEDGER_OK;
	json_walk_init(&walk, items);
	while (json_walk_next(&walk, &key, &item))
		TRY(fn(item, context, err));
	return LEDGER_OK;
}

struct cluster_walk {
	cluster_state_fn *fn;
	void *context;
};

static enum ledger_status read_cluster(struct slice item, void *context, struct ledger_error *err)
{
	const struct cluster_walk *w = context;
	struct cluster_state c = { .up = get_bool(item, "up"),
		.since = get_time(item, "since"),
		.failures = get_u64(item, "failures"),
		.losses = get_u64(item, "losses") };
	get_text(item, "name", c.name, sizeof(c.name));
	get_text(item, "server", c.server, sizeof(c.server));
	get_text(item, "syncs_on_write", c.syncs, sizeof(c.syncs));
	get_text(item, "trouble", c.trouble, sizeof(c.trouble));
	return w->fn(&c, w->context, err);
}

enum ledger_status status_each_cluster(
	const struct facts *facts, cluster_state_fn *fn, void *context, struct ledger_error *err)
{
	struct cluster_walk w = { fn, context };
	return each(facts, "clusters", read_cluster, &w, err);
}

struct stream_walk {
	stream_state_fn *fn;
	void *context;
};

static enum ledger_status read_stream(struct slice item, void *context, struct ledger_error *err)
{
	const struct stream_walk *w = context;
	struct stream_state s = { .messages = get_u64(item, "messages"),
		.last = get_u64(item, "last"),
		.stored = get_u64(item, "stored"),
		.taken = get_u64(item, "taken"),
		.pending = get_u64(item, "pending"),
		.redelivered = get_u64(item, "redelivered") };
	get_text(item, "cluster", s.cluster, sizeof(s.cluster));
	get_text(item, "domain", s.domain, sizeof(s.domain));
	get_text(item, "stream", s.stream, sizeof(s.stream));
	get_text(item, "state", s.state, sizeof(s.state));
	get_text(item, "created", s.created, sizeof(s.created));
	get_text(item, "trouble", s.trouble, sizeof(s.trouble));
	return w->fn(&s, w->context, err);
}

enum ledger_status status_each_stream(
	const struct facts *facts, stream_state_fn *fn, void *context, struct ledger_error *err)
{
	struct stream_walk w = { fn, context };
	return each(facts, "streams", read_stream, &w, err);
}

struct large_walk {
	large_event_fn *fn;
	void *context;
};

static enum ledger_status read_large(struct slice item, void *context, struct ledger_error *err)
{
	const struct large_walk *w = context;
	struct large_event e = { .epoch = get_u64(item, "epoch"),
		.sequence = get_u64(item, "sequence"),
		.bytes = get_u64(item, "bytes") };
	get_text(item, "cluster", e.cluster, sizeof(e.cluster));
	get_text(item, "domain", e.domain, sizeof(e.domain));
	return w->fn(&e, w->context, err);
}

enum ledger_status status_each_large(
	const struct facts *facts, large_event_fn *fn, void *context, struct ledger_error *err)
{
	struct large_walk w = { fn, context };
	return each(facts, "too_large", read_large, &w, err);
}

static enum ledger_status add_ceiling(struct slice item, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	char *out = facts->sync.too_many;
	size_t used = strlen(out);
	char what[64];
	(void)err;
	get_text(item, "what", what, sizeof(what));
	snprintf(out + used, sizeof(facts->sync.too_many) - used, "%s%s", used ? ", " : "", what);
	return LEDGER_OK;
}

static enum ledger_status count_cluster(
	const struct cluster_state *c, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	facts->sync.clusters_down += !c->up;
	return LEDGER_OK;
}

static enum ledger_status count_stream(
	const struct stream_state *s, void *context, struct ledger_error *err)
{
	struct facts *facts = context;
	(void)err;
	facts->sync.streams_unusable += strcmp(s->state, "unusable") == 0;
	return LEDGER_OK;
}

/* What is garbled, or not of this ledger, says nothing. */
static enum ledger_status read_left(struct ledger *l, struct facts *facts, struct ledger_error *err)
{
	struct sync_facts *s = &facts->sync;
	struct ledger_error why;
	enum ledger_status status = ledger_note_read(l, SYNC_STATE_NOTE, &s->bytes, &why);
	if (status == LEDGER_OK)
		status = json_check(buf_slice(&s->bytes), &s->left, &why);
	if (status == LEDGER_OK && json_kind(s->left) != JSON_OBJECT)
		status = fail(&why, LEDGER_INVALID, "it is not what serve-sync leaves");
	if (status != LEDGER_OK) {
		s->left = (struct slice){ NULL, 0 };
		if (status != LEDGER_NO)
			snprintf(s->unknown, sizeof(s->unknown), "%.255s", why.text);
		return LEDGER_OK;
	}
	s->written = get_time(s->left, "written");
	s->pid = get_u64(s->left, "pid");
	s->once = get_bool(s->left, "once");
	s->stale = facts_age(facts, s->written) > SYNC_STATE_STALE;
	s->too_large = get_u64(s->left, "too_large_events");
	TRY(each(facts, "too_many", add_ceiling, facts, err));
	TRY(status_each_cluster(facts, count_cluster, facts, err));
	return status_each_stream(facts, count_stream, facts, err);
}

enum ledger_status status_gather_sync(
	struct ledger *l, struct facts *facts, struct ledger_error *err)
{
	struct gathering g = { l, facts };
	struct sync_facts *s = &facts->sync;
	struct ledger_error why;
	bool running = false;
	s->expected = settings.n_clusters > 0;
	if (s->expected)
		TRY(ledger_chains(l, see_unpublished, &g, err));
	TRY(ledger_gaps(l, see_gap, facts, err));
	TRY(ledger_peers(l, see_peer, facts, err));
	if (sync_is_running(facts->file, &running, &why) != LEDGER_OK) {
		s->daemon = DAEMON_UNKNOWN;
		snprintf(s->unknown, sizeof(s->unknown), "%.255s", why.text);
	} else
		s->daemon = running ? DAEMON_RUNNING : DAEMON_STOPPED;
	return read_left(l, facts, err);
}

const char *daemon_name(enum daemon_state daemon)
{
	static const char *const names[] = { "unknown", "stopped", "running" };
	return names[daemon];
}

/* What it left is no longer so where it has ended. */
bool sync_is_current(const struct facts *facts)
{
	const struct sync_facts *s = &facts->sync;
	return s->left.ptr && !s->stale && s->daemon != DAEMON_STOPPED;
}
