/* The loop: what links have to say, then one bounded piece of everything, then a wait. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "../base/banned.h"

#define CLOCK_REST    (60 * TIME_SECOND)
#define LOOK_INTERVAL (10 * TIME_SECOND)
#define EVENTS_A_TURN 2048
#define REST_MS	      500
#define CACHE	      (12u << 20)

void sync_say(struct sync *s, bool warning, const char *what, const struct sync_field *fields)
{
	if (s->options->say)
		s->options->say(warning, what, fields, s->options->context);
}

void sync_wake_at(struct sync *s, uint64_t moment)
{
	if (moment < s->wake)
		s->wake = moment;
}

uint64_t sync_backoff(uint64_t failures)
{
	uint64_t random = 0, wait = TIME_SECOND / 10;
	while (--failures && wait < 30 * TIME_SECOND)
		wait *= 2;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = time_now();
	return wait - wait / 4 + random % (wait / 2);
}

/* --- Open and close ------------------------------------------------------------------------------- */

/* One daemon for each ledger: two would share a consumer, and each get half. */
static enum ledger_status lock(struct sync *s, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	buf_addf(&path, "%s.sync", ledger_path(s->ledger));
	s->lock = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->lock < 0)
		return fail_errno(err, "cannot open %s", buf_text(&path));
	/* Not flock(2): nobody could look whether it is held without holding it. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(s->lock, F_OFD_SETLK, &lock) == 0)
		return LEDGER_OK;
	if (errno != EAGAIN && errno != EACCES)
		return fail_errno(err, "cannot lock %s", buf_text(&path));
	fail(err, LEDGER_BUSY, "another serve-sync runs on %s", ledger_path(s->ledger));
	return hint(err, "stop that one first; 'fuser %s' names it", buf_text(&path));
}

enum ledger_status sync_watch(struct sync *s, int fd, struct ledger_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	if (fd >= 0 && epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &event))
		return fail_errno(err, "cannot wait for events");
	return LEDGER_OK;
}

struct link_options sync_link_options(const struct sync_cluster *o, const char *node)
{
	return (struct link_options){ .cluster = o->name,
		.node = node,
		.urls = o->urls,
		.n_urls = o->n_urls,
		.credentials = o->credentials,
		.nkey = o->nkey,
		.user = o->user,
		.password_file = o->password_file,
		.token_file = o->token_file,
		.tls_ca = o->tls_ca,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.tls_hostname = o->tls_hostname };
}

static enum ledger_status open_cluster(struct sync *s, struct cluster *c, struct ledger_error *err)
{
	size_t index = (size_t)(c - s->clusters);
	struct link_options options = sync_link_options(c->options, s->node);
	char subject[SUBJECT_MAX];
	struct slice heads[] = { slice_of(s->prefix), SLICE("sync"), SLICE("heads") };
	struct slice range[] = { slice_of(s->prefix), SLICE("sync"), SLICE("range"),
		slice_of(s->node) };
	TRY(link_open(&c->link, &options, err));
	TRY(sync_watch(s, link_fd(c->link), err));
	TRY(subject_of(subject, heads, 3, err));
	TRY(link_subscribe(c->link, slice_of(subject), tag_of(TAG_HEADS, 0, index), err));
	TRY(subject_of(subject, range, 4, err));
	if (s->options->recover)
		return LEDGER_OK;
	TRY(link_subscribe(c->link, slice_of(subject), tag_of(TAG_RANGE, 0, index), err));
	return serve_cluster(s, index, err);
}

/* By priority, as they stand where that is equal. */
static enum ledger_status open_clusters(struct sync *s, struct ledger_error *err)
{
	const struct sync_options *o = s->options;
	if (o->n_clusters == 0)
		return fail(err, LEDGER_USAGE, "no cluster is configured");
	if (o->n_clusters > CLUSTERS_MAX)
		return fail(err, LEDGER_USAGE, "more than %d clusters", CLUSTERS_MAX);
	for (size_t i = 0; i < o->n_clusters; i++) {
		size_t at = s->n_clusters++;
		while (at > 0 && s->clusters[at - 1].options->priority > o->clusters[i].priority) {
			s->clusters[at] = s->clusters[at - 1];
			at--;
		}
		s->clusters[at] = (struct cluster){ .options = &o->clusters[i] };
	}
	for (size_t i = 0; i < s->n_clusters; i++)
		TRY(open_cluster(s, &s->clusters[i], err));
	return LEDGER_OK;
}

static enum ledger_status start(struct sync *s, struct ledger_error *err)
{
	if (!slice_is_token(slice_of(s->options->prefix)))
		return fail(
			err, LEDGER_USAGE, "the prefix '%.80s' is not a name", s->options->prefix);
	ledger_limit_cache(s->ledger, CACHE);
	snprintf(s->node, sizeof(s->node), "%s", ledger_node(s->ledger));
	snprintf(s->prefix, sizeof(s->prefix), "%s", s->options->prefix);
	s->epoch = ledger_epoch(s->ledger);
	s->started = time_now();
	s->now = time_monotonic();
	if (getrandom(&s->boot, sizeof(s->boot), 0) != sizeof(s->boot))
		return fail_errno(err, "the kernel gives no random bytes");
	s->boot &= TIME_MAX;
	if (!s->options->recover)
		TRY(ledger_check_home(s->ledger, err));
	TRY(lock(s, err));
	s->poll = epoll_create1(EPOLL_CLOEXEC);
	s->tracks = calloc(TRACKS_MAX, sizeof(*s->tracks));
	s->sources = calloc(SOURCES_MAX, sizeof(*s->sources));
	s->chains = calloc(CHAINS_MAX, sizeof(*s->chains));
	if (s->poll < 0 || !s->tracks || !s->sources || !s->chains)
		return fail_errno(err, "cannot start");
	TRY(sync_watch(s, s->options->wake_fd, err));
	TRY(serve_open(s, err));
	TRY(open_clusters(s, err));
	if (s->options->recover)
		return LEDGER_OK;
	s->changed = true;
	lease_start(s);
	return route_start(s, err);
}

enum ledger_status sync_open(struct sync **out, struct ledger *l,
	const struct sync_options *options, struct ledger_error *err)
{
	struct sync *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->ledger = l;
	s->options = options;
	s->lock = s->poll = -1;
	enum ledger_status status = start(s, err);
	if (status != LEDGER_OK)
		sync_close(s);
	else
		*out = s;
	return status;
}

void sync_close(struct sync *s)
{
	if (!s)
		return;
	serve_close(s);
	for (size_t i = 0; i < s->n_clusters; i++)
		link_close(s->clusters[i].link);
	if (s->chains)
		hold_done(s);
	take_done(s);
	frame_done(&s->frame);
	free(s->tracks);
	free(s->sources);
	file_close(&s->poll);
	file_close(&s->lock);
	free(s);
}

/* --- Events ---------------------------------------------------------------------------------------- */

static void connected(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct cluster *c = &s->clusters[cluster];
	SAY(s, "connected", WORD("cluster", c->options->name), TEXT("server", event->text));
	c->up = true;
	c->failures = c->rest = 0;
	c->since = time_now();
	c->trouble[0] = '\0';
	snprintf(c->server, sizeof(c->server), "%.*s", SLICE_ARG(event->text));
	s->news = true;
	if (s->options->recover) {
		heads_ask(s, cluster);
		return;
	}
	lease_connected(s, cluster);
}

static void disconnected(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct cluster *c = &s->clusters[cluster];
	WARN(s, "disconnected", WORD("cluster", c->options->name), TEXT("text", event->text),
		NUMBER("retry_ms", event->number / 1000));
	c->failures++;
	snprintf(c->trouble, sizeof(c->trouble), "%.*s", SLICE_ARG(event->text));
	if (c->up || !c->since)
		c->since = time_now();
	s->news = s->news || c->up || c->failures == 1;
	if (c->up) {
		c->up = false;
		c->losses++;
		lease_disconnected(s, cluster);
		track_disconnected(s, cluster);
		publish_disconnected(s, cluster);
	}
}

static enum ledger_status message(
	struct sync *s, size_t cluster, const struct link_event *event, struct ledger_error *err)
{
	if (tag_kind(event->tag) == TAG_HEADS)
		return heads_take(s, cluster, event->data, err);
	if (tag_kind(event->tag) == TAG_COMMAND)
		serve_message(s, cluster, event);
	else
		repair_queue(s, cluster, event);
	return LEDGER_OK;
}

static enum ledger_status answer(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	bool lease = tag_kind(event->tag) == TAG_LEASE;
	if (event->kind == LINK_STORED && lease)
		lease_stored(s, event);
	else if (event->kind == LINK_STORED)
		return publish_stored(s, event, err);
	else if (event->kind == LINK_REPLY && lease)
		lease_reply(s, event);
	else if (event->kind == LINK_REPLY)
		return repair_reply(s, event, err);
	else if (lease)
		lease_end(s, event);
	else
		repair_end(s, event);
	return LEDGER_OK;
}

static enum ledger_status dispatch(
	struct sync *s, size_t cluster, const struct link_event *event, struct ledger_error *err)
{
	if (tag_kind(event->tag) == TAG_QUEUE) {
		serve_queue(s, event);
		return LEDGER_OK;
	}
	switch (event->kind) {
	case LINK_UP:
		connected(s, cluster, event);
		return LEDGER_OK;
	case LINK_DOWN:
		disconnected(s, cluster, event);
		return LEDGER_OK;
	case LINK_DENIED:
		if (!discover_denied(s, cluster, event->text) &&
			!track_denied(s, cluster, event->text))
			WARN(s, "denied", WORD("cluster", s->clusters[cluster].options->name),
				TEXT("text", event->text));
		return LEDGER_OK;
	case LINK_STORED:
	case LINK_REPLY:
	case LINK_END:
		return answer(s, event, err);
	case LINK_STREAM:
		return track_stream(s, event, err);
	case LINK_NAMES:
		return discover_names(s, event, err);
	case LINK_CONSUMER:
		track_consumer(s, event);
		return LEDGER_OK;
	case LINK_MESSAGE:
		return message(s, cluster, event, err);
	case LINK_PULLED:
		return take_message(s, event, err);
	case LINK_LOST:
		track_lost(s, event);
		return LEDGER_OK;
	}
	return LEDGER_OK;
}

/* Until nothing waits any more, or there is enough for a transaction: all else has its turn then. */
static enum ledger_status listen_to(struct sync *s, size_t cluster, struct ledger_error *err)
{
	struct link_event event;
	for (size_t n = 0; n < EVENTS_A_TURN && !take_is_full(s); n++) {
		if (!link_next(s->clusters[cluster].link, &event))
			return LEDGER_OK;
		TRY(dispatch(s, cluster, &event, err));
	}
	s->more = true;
	return LEDGER_OK;
}

/* --- The loop -------------------------------------------------------------------------------------- */

/* A ledger that was copied ends the daemon; a clock that somebody will set does not. */
static bool is_clock_alone(const struct sync *s)
{
	struct ledger_error ignored;
	return ledger_check_home(s->ledger, &ignored) == LEDGER_OK;
}

/* What was accepted is handed over, what has expired taken back: this node's word on its streams. */
static enum ledger_status settle_owners(struct sync *s, struct ledger_error *err)
{
	uint64_t done, expires, now;
	if (s->now < s->owners_rest) {
		sync_wake_at(s, s->owners_rest);
		return LEDGER_OK;
	}
	enum ledger_status status = ledger_own_step(s->ledger, &done, err);
	if (status == LEDGER_REFUSED && is_clock_alone(s)) {
		WARN(s, "clock", WORD("text", err->text));
		s->owners_rest = s->now + CLOCK_REST;
		sync_wake_at(s, s->owners_rest);
		return LEDGER_OK;
	}
	TRY(status);
	s->changed = s->changed || done;
	if (done)
		SAY(s, "owners", NUMBER("settled", done));
	TRY(ledger_own_next(s->ledger, &expires, err));
	now = time_now();
	if (expires)
		sync_wake_at(s, s->now + (expires > now ? expires - now : 0));
	return LEDGER_OK;
}

static enum ledger_status step(struct sync *s, struct ledger_error *err)
{
	for (size_t i = 0; i < s->n_clusters; i++) {
		TRY(listen_to(s, i, err));
		if (take_is_full(s))
			TRY(take_commit(s, err));
	}
	TRY(take_commit(s, err));
	if (s->options->recover) {
		repair_step(s);
		return LEDGER_OK;
	}
	TRY(settle_owners(s, err));
	TRY(serve_step(s, err));
	if (s->changed || s->now >= s->looked + LOOK_INTERVAL) {
		s->changed = false;
		s->looked = s->now;
		TRY(publish_look(s, err));
		heads_soon(s, TIME_SECOND / 5);
	}
	TRY(publish_step(s, err));
	lease_step(s);
	discover_step(s);
	track_step(s);
	TRY(heads_step(s, err));
	repair_step(s);
	TRY(repair_answer(s, err));
	report_received(s);
	return LEDGER_OK;
}

/* A lock that is held for long, a full disk: they pass. Not a copied or damaged ledger. */
static enum ledger_status forgive(
	struct sync *s, enum ledger_status status, struct ledger_error *err)
{
	if (!ledger_worth_retrying(status))
		return status;
	WARN(s, "trouble", WORD("status", ledger_status_name(status)), WORD("text", err->text));
	poll(NULL, 0, REST_MS);
	return LEDGER_OK;
}

enum ledger_status sync_turn(struct sync *s, uint64_t timeout, struct ledger_error *err)
{
	bool changed;
	s->now = time_monotonic();
	s->wake = s->now + timeout;
	s->more = false;
	TRY(forgive(s, step(s, err), err));
	if (s->taken.status != LEDGER_OK) {
		*err = s->taken;
		return err->status;
	}
	uint64_t now = time_monotonic();
	uint64_t wait = s->more || s->wake <= now ? 0 : s->wake - now;
	TRY(forgive(s, ledger_watch(s->ledger, s->poll, wait, &changed, err), err));
	s->changed = s->changed || changed;
	return LEDGER_OK;
}

bool sync_is_level(const struct sync *s, size_t peers, struct buf *why)
{
	size_t level = 0;
	if (!publish_is_level(s, why) || !discover_is_level(s, why) || !track_is_level(s, why))
		return false;
	for (size_t i = 0; i < s->n_peers; i++)
		level += s->peers[i].level;
	if (level < peers)
		buf_addf(why, "of %zu other nodes %zu were heard whose events are all here", peers,
			level);
	return level >= peers;
}

enum ledger_status sync_drain(struct sync *s, struct ledger_error *err)
{
	s->now = time_monotonic();
	s->wake = s->now + TIME_SECOND;
	s->stopping = true;
	for (size_t i = 0; i < s->n_clusters; i++)
		TRY(listen_to(s, i, err));
	TRY(take_commit(s, err));
	lease_release(s);
	return publish_save(s, err);
}
