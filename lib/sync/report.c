/*
 * What the engine tells others: how far it is, once a second while it has much to do, and a description
 * of all it knows that the ledger does not, for `status`: one JSON object, see sync_describe.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../base/json.h"

#include "../base/banned.h"

#define LISTED_MAX     64
#define SAID_EVERY     (60 * TIME_SECOND)
#define COUNT_INTERVAL TIME_SECOND

/* --- Ceilings ------------------------------------------------------------------------------------ */

static const char *const ceilings[SYNC_CEILINGS] = { [CEILING_DOMAINS] = "domains on clusters",
	[CEILING_PULLS] = "domains taken from one cluster",
	[CEILING_SOURCES] = "chains to publish",
	[CEILING_CHAINS] = "chains with something missing",
	[CEILING_PEERS] = "other nodes" };

void report_beyond(struct sync *s, enum ceiling ceiling, const char *consequence)
{
	struct beyond *b = &s->beyond[ceiling];
	b->times++;
	if (b->times > 1 && s->now < b->said + SAID_EVERY)
		return;
	b->said = s->now;
	s->news = true;
	WARN(s, "too-many", WORD("what", ceilings[ceiling]), NUMBER("times", b->times),
		WORD("consequence", consequence));
}

/* --- Progress ------------------------------------------------------------------------------------- */

struct missing {
	const struct sync *s;
	uint64_t events;
};

static enum ledger_status add_gap(
	const struct ledger_gap *gap, void *context, struct ledger_error *err)
{
	struct missing *m = context;
	const struct sync_domain *route = route_of(m->s, gap->chain.domain);
	(void)err;
	if (route && route->subscribe)
		m->events += gap->named - gap->have;
	return LEDGER_OK;
}

static uint64_t messages_left(const struct sync *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s->n_tracks; i++)
		n += s->tracks[i].state == TRACK_READY ? s->tracks[i].pending : 0;
	return n;
}

/* Events that peers have named and that are not here. */
static uint64_t events_left(struct sync *s)
{
	struct missing m = { s, 0 };
	struct ledger_error ignored;
	if (s->counted && s->now < s->counted + COUNT_INTERVAL)
		return s->left;
	s->counted = s->now;
	if (ledger_gaps(s->ledger, add_gap, &m, &ignored) == LEDGER_OK)
		s->left = m.events;
	return s->left;
}

void sync_progress(struct sync *s, struct sync_progress *out)
{
	*out = (struct sync_progress){ .received = s->received,
		.to_receive = events_left(s),
		.messages = messages_left(s),
		.published = s->published,
		.to_publish = publish_left(s) };
}

/* Of less than half a second nothing can be said. */
uint64_t report_rate(uint64_t events, uint64_t us)
{
	if (us < TIME_SECOND / 2)
		return 0;
	return (uint64_t)((double)events * (double)TIME_SECOND / (double)us);
}

/* A line a second at most; what is still to come is known where peers have said what there is. */
void report_received(struct sync *s)
{
	struct sync_field fields[8] = { NUMBER("events", s->inserted) };
	size_t n = 1;
	/* A turn that takes much in takes its time. */
	uint64_t now = time_monotonic();
	if (s->inserted == 0)
		s->inserting = now;
	if (s->inserted == 0 || now < s->last_report + TIME_SECOND)
		return;
	uint64_t left = events_left(s), messages = messages_left(s);
	uint64_t rate = report_rate(s->inserted, now - s->inserting);
	s->caught += s->inserted;
	if (left || messages)
		fields[n++] = NUMBER("done", s->caught);
	if (left)
		fields[n++] = NUMBER("of", s->caught + left);
	if (messages)
		fields[n++] = NUMBER("messages_left", messages);
	if (rate && (left || messages))
		fields[n++] = NUMBER("rate", rate);
	if (rate && left)
		fields[n++] = NUMBER("rest_s", left / rate);
	sync_say(s, false, "received", fields);
	if (!left && !messages)
		s->caught = 0;
	s->inserted = 0;
	s->inserting = s->last_report = now;
}

/* --- The description ------------------------------------------------------------------------------ */

static void add_text(struct buf *out, const char *key, const char *text)
{
	buf_addf(out, "%s\"%s\":", out->ptr[out->len - 1] == '{' ? "" : ",", key);
	json_add_string(out, slice_of(text));
}

static void add_u64(struct buf *out, const char *key, uint64_t value)
{
	buf_addf(out, ",\"%s\":%" PRIu64, key, value);
}

static void add_time(struct buf *out, const char *key, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	if (us == 0)
		return;
	time_format(us, text);
	add_text(out, key, text);
}

/* A moment of the monotonic clock as one of the wall clock; 0: never. */
static uint64_t wall(uint64_t moment)
{
	uint64_t now = time_monotonic();
	return moment ? time_now() - (now > moment ? now - moment : 0) : 0;
}

static void begin_item(struct buf *out)
{
	buf_add_text(out, out->ptr[out->len - 1] == '[' ? "{" : ",{");
}

static void add_cluster(struct buf *out, const struct cluster *c)
{
	begin_item(out);
	add_text(out, "name", c->options->name);
	buf_addf(out, ",\"up\":%s", c->up ? "true" : "false");
	if (c->server[0])
		add_text(out, "server", c->server);
	add_time(out, "since", c->since);
	add_u64(out, "failures", c->failures);
	add_u64(out, "losses", c->losses);
	if (c->up)
		add_u64(out, "max_payload", link_max_payload(c->link));
	/* No server says it to its clients. */
	add_text(out, "syncs_on_write", "unknown");
	if (c->trouble[0])
		add_text(out, "trouble", c->trouble);
	buf_add_char(out, '}');
}

static const char *state_of(const struct sync *s, const struct track *t)
{
	if (!s->clusters[t->cluster].up)
		return "unreachable";
	if (t->state == TRACK_READY)
		return "ready";
	return t->created[0] || t->failures == 0 ? "starting" : "unusable";
}

static void add_track(struct buf *out, const struct sync *s, const struct track *t)
{
	begin_item(out);
	add_text(out, "cluster", s->clusters[t->cluster].options->name);
	add_text(out, "domain", t->domain);
	add_text(out, "stream", t->stream.name);
	add_text(out, "state", state_of(s, t));
	if (t->created[0]) {
		add_text(out, "created", t->created);
		add_u64(out, "messages", t->messages);
		add_u64(out, "bytes", t->bytes);
		add_u64(out, "first", t->first);
		add_u64(out, "last", t->known_last);
		add_time(out, "looked", wall(t->checked));
	}
	if (t->propagate)
		add_u64(out, "stored", t->stored);
	if (t->subscribe) {
		add_text(out, "consumer", t->consumer);
		add_u64(out, "taken", t->committed);
		add_u64(out, "pending", t->pending);
		add_u64(out, "redelivered", t->redelivered);
	}
	if (t->trouble[0])
		add_text(out, "trouble", t->trouble);
	buf_add_char(out, '}');
}

/* As a domain without events: what is stored for this node waits there. */
static void add_queue(struct buf *out, const struct sync *s, size_t cluster)
{
	struct link_stream stream;
	if (!serve_lacks_queue(s, cluster))
		return;
	sync_queue_stream(s->prefix, slice_of(s->node), &stream);
	begin_item(out);
	add_text(out, "cluster", s->clusters[cluster].options->name);
	add_text(out, "domain", "_commands");
	add_text(out, "stream", stream.name);
	add_text(out, "state", "unusable");
	add_text(out, "trouble", "missing");
	buf_add_char(out, '}');
}

static bool is_missing(const struct chain *c)
{
	return c->held || c->target || c->before || c->waiting;
}

static void add_chain(struct buf *out, const struct chain *c)
{
	uint64_t held = 0;
	for (const struct held *h = c->held; h; h = h->next)
		held++;
	begin_item(out);
	add_text(out, "origin", c->origin);
	add_u64(out, "epoch", c->epoch);
	add_text(out, "domain", c->domain);
	add_u64(out, "wanted", c->target);
	add_u64(out, "held", held);
	add_u64(out, "failed", c->failed);
	if (c->before)
		add_u64(out, "branch_before", c->before);
	add_text(out, "state", c->waiting ? "waiting for its key" : c->asked ? "asked" : "to ask");
	buf_add_char(out, '}');
}

static void add_chains(struct buf *out, const struct sync *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_chains; i++)
		if (is_missing(&s->chains[i]) && n++ < LISTED_MAX)
			add_chain(out, &s->chains[i]);
	buf_addf(out, "],\"missing_chains\":%zu", n);
}

static void add_peer(struct buf *out, const struct sync *s, const struct peer *p)
{
	begin_item(out);
	add_text(out, "node", p->node);
	add_u64(out, "epoch", p->epoch);
	add_text(out, "cluster", s->clusters[p->cluster].options->name);
	add_time(out, "heard", wall(p->heard));
	buf_addf(out, ",\"all_here\":%s}", p->level ? "true" : "false");
}

static void add_large(struct buf *out, const struct large *large)
{
	begin_item(out);
	add_text(out, "cluster", large->cluster);
	add_text(out, "domain", large->domain);
	add_u64(out, "epoch", large->epoch);
	add_u64(out, "sequence", large->sequence);
	add_u64(out, "bytes", large->bytes);
	buf_add_char(out, '}');
}

static void add_ceilings(struct buf *out, const struct sync *s)
{
	buf_add_text(out, "],\"too_many\":[");
	for (size_t i = 0; i < SYNC_CEILINGS; i++) {
		if (!s->beyond[i].times)
			continue;
		begin_item(out);
		add_text(out, "what", ceilings[i]);
		add_u64(out, "times", s->beyond[i].times);
		buf_add_char(out, '}');
	}
}

void sync_describe(struct sync *s, struct buf *out)
{
	buf_add_text(out, "{\"v\":1");
	add_text(out, "node", s->node);
	add_u64(out, "epoch", s->epoch);
	add_text(out, "database", ledger_path(s->ledger));
	add_u64(out, "pid", (uint64_t)getpid());
	add_time(out, "started", s->started);
	add_time(out, "written", time_now());
	buf_addf(out, ",\"once\":%s,\"stopping\":%s,\"clusters\":[",
		s->options->once ? "true" : "false", s->stopping ? "true" : "false");
	for (size_t i = 0; i < s->n_clusters; i++)
		add_cluster(out, &s->clusters[i]);
	buf_add_text(out, "],\"streams\":[");
	for (size_t i = 0; i < s->n_tracks; i++)
		add_track(out, s, &s->tracks[i]);
	for (size_t i = 0; i < s->n_clusters; i++)
		add_queue(out, s, i);
	buf_add_text(out, "],\"missing\":[");
	add_chains(out, s);
	buf_add_text(out, ",\"peers\":[");
	for (size_t i = 0; i < s->n_peers; i++)
		add_peer(out, s, &s->peers[i]);
	buf_add_text(out, "],\"too_large\":[");
	for (size_t i = 0; i < s->n_large; i++)
		add_large(out, &s->large[i]);
	add_ceilings(out, s);
	buf_addf(out, "],\"too_large_events\":%" PRIu64 "}\n", s->large_events);
	s->news = false;
}

bool sync_has_news(const struct sync *s)
{
	return s->news;
}

/* --- Events that no server takes ------------------------------------------------------------------- */

void report_large(struct sync *s, const struct large *large)
{
	for (size_t i = 0; i < s->n_large; i++)
		if (s->large[i].sequence == large->sequence && s->large[i].epoch == large->epoch &&
			strcmp(s->large[i].domain, large->domain) == 0 &&
			strcmp(s->large[i].cluster, large->cluster) == 0)
			return;
	s->large_events++;
	s->news = true;
	if (s->n_large < LARGE_MAX)
		s->large[s->n_large++] = *large;
}

static bool read_name(struct slice object, const char *key, char out[65])
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	if (!json_member(object, slice_of(key), &value) || json_kind(value) != JSON_STRING)
		return false;
	json_decode_string(value, &text);
	if (text.failed || !slice_is_token(buf_slice(&text)))
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

static bool read_u64(struct slice object, const char *key, uint64_t *out)
{
	struct slice value;
	return json_member(object, slice_of(key), &value) && json_u64(value, out);
}

/* They were passed over by an earlier run: its cursor is behind them. */
void sync_recall(struct sync *s, struct slice description)
{
	struct slice value, list, key, item;
	struct ledger_error ignored;
	struct json_walk walk;
	uint64_t epoch, events;
	if (json_check(description, &value, &ignored) != LEDGER_OK ||
		json_kind(value) != JSON_OBJECT || !read_u64(value, "epoch", &epoch) ||
		!json_member(value, SLICE("too_large"), &list) || json_kind(list) != JSON_ARRAY)
		return;
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &item)) {
		struct large large = { .epoch = epoch };
		if (json_kind(item) == JSON_OBJECT && read_name(item, "cluster", large.cluster) &&
			read_name(item, "domain", large.domain) &&
			read_u64(item, "epoch", &large.epoch) &&
			read_u64(item, "sequence", &large.sequence) &&
			read_u64(item, "bytes", &large.bytes))
			report_large(s, &large);
	}
	if (read_u64(value, "too_large_events", &events) && events > s->large_events)
		s->large_events = events;
}

/* --- Is it there? ----------------------------------------------------------------------------------- */

enum ledger_status sync_is_running(const char *ledger, bool *running, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	buf_addf(&path, "%s.sync", ledger);
	TRY(buf_check(&path, err));
	CLEANUP_FD int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		*running = false;
		return LEDGER_OK;
	}
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) != 0)
		return fail_errno(err, "cannot look at %s", buf_text(&path));
	*running = lock.l_type != F_UNLCK;
	return LEDGER_OK;
}
