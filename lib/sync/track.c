/*
 * A domain on a cluster: its stream and our consumer are looked up, made where that is asked for, and
 * watched. Where we stand is written in the ledger; a consumer that stands elsewhere (after a crash,
 * a lost tail, a stream made anew) is made anew at our place: on either side of it lies loss.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>

#include "../event/chain.h"

#include "../base/banned.h"

#define PULL_BATCH    16
#define PULL_DEPTH    3
#define RETRY	      (5 * TIME_SECOND)
#define LOOK_INTERVAL (30 * TIME_SECOND)
#define DENIED_RETRY  (300 * TIME_SECOND)
#define BEHIND_LOOK   (10 * TIME_SECOND)

#define JS_STREAM_INFO "$JS.API.STREAM.INFO."

static size_t index_of(const struct sync *s, const struct track *t)
{
	return (size_t)(t - s->tracks);
}

static struct link *link_of(const struct sync *s, const struct track *t)
{
	return s->clusters[t->cluster].link;
}

static const char *cluster_name(const struct sync *s, const struct track *t)
{
	return s->clusters[t->cluster].options->name;
}

static void rest(struct sync *s, struct track *t, uint64_t wait)
{
	t->asked = false;
	t->rest = s->now + wait;
	sync_wake_at(s, t->rest);
}

void track_restart(struct sync *s, struct track *t, uint64_t wait)
{
	link_pull_stop(link_of(s, t), tag_of(TAG_PULL, 0, index_of(s, t)));
	t->state = s->clusters[t->cluster].up ? TRACK_STREAM : TRACK_OFF;
	t->taken = t->committed;
	t->ack[0] = '\0';
	t->renewed = t->unpulled = false;
	rest(s, t, wait);
}

void track_connected(struct sync *s, size_t cluster)
{
	for (size_t i = 0; i < s->n_tracks; i++)
		if (s->tracks[i].cluster == cluster)
			track_restart(s, &s->tracks[i], 0);
}

void track_disconnected(struct sync *s, size_t cluster)
{
	track_connected(s, cluster);
}

/* --- The stream ---------------------------------------------------------------------------------- */

static uint64_t read_created(const struct link_stream *info)
{
	struct slice text = slice_of(info->created);
	struct ledger_error ignored;
	char date[TIME_TEXT_MAX];
	uint64_t made;
	/* Nanoseconds are more than a moment of ours has. */
	snprintf(date, sizeof(date), "%.26sZ", info->created);
	text = text.len > 27 ? slice_of(date) : text;
	return time_parse(text, &made, &ignored) == LEDGER_OK ? made : 1;
}

static enum ledger_status lost(
	struct sync *s, struct track *t, const struct link_stream *info, struct ledger_error *err)
{
	WARN(s, "stream-reset", WORD("cluster", cluster_name(s, t)), WORD("stream", info->name),
		NUMBER("taken", t->taken > t->sure ? t->taken : t->sure),
		NUMBER("first", info->first), NUMBER("last", info->last));
	heads_soon(s, 0);
	t->stored = t->sure = 0;
	return t->propagate ? publish_lost(s, index_of(s, t), err) : LEDGER_OK;
}

/* Another stream of that name begins at its beginning; what we have of it is known and skipped. */
static enum ledger_status find_place(
	struct sync *s, struct track *t, const struct link_stream *info, struct ledger_error *err)
{
	uint64_t made = 0, sequence = 0, before = t->made;
	t->made = read_created(info);
	enum ledger_status status = ledger_received_at(s->ledger, slice_of(cluster_name(s, t)),
		slice_of(t->domain), &made, &sequence, err);
	if (status && status != LEDGER_NO)
		return status;
	bool same = made == t->made && sequence <= info->last;
	t->taken = sequence;
	if ((sequence && !same) || (before && before != t->made) || t->sure > info->last)
		TRY(lost(s, t, info, err));
	t->committed = t->taken = same ? sequence : 0;
	if (info->first > t->taken + 1) {
		/* Peers have what the stream's limits have taken away. */
		t->committed = t->taken = info->first - 1;
		heads_soon(s, 0);
	}
	return LEDGER_OK;
}

/* Everything that was there is gone, and not because of its age or size: it was purged. */
static bool was_purged(const struct sync *s, const struct track *t, const struct link_stream *info)
{
	bool had = t->first && t->first <= t->known_last, gone = info->first > t->known_last;
	bool young = info->max_age == 0 || s->now < t->grown + info->max_age / 2;
	return had && gone && young && (info->max_bytes == 0 || info->messages == 0);
}

static void note_extent(struct sync *s, struct track *t, const struct link_stream *info)
{
	if (info->last > t->known_last || !t->grown)
		t->grown = s->now;
	t->first = info->messages ? info->first : 0;
	t->known_last = info->last;
	t->messages = info->messages;
	t->bytes = info->bytes;
	t->left = info->messages > 0;
}

static void say_trouble(struct sync *s, struct track *t, const char *kind, const char *text)
{
	int n = snprintf(t->trouble, sizeof(t->trouble), "%s%s", kind, text);
	size_t end = n < 0			      ? 0
		     : (size_t)n < sizeof(t->trouble) ? (size_t)n
						      : sizeof(t->trouble) - 1;
	while (end > 0 && t->trouble[end - 1] == '\n')
		t->trouble[--end] = '\0';
	s->news = true;
}

static void show_differences(struct sync *s, struct track *t, const struct link_stream *info)
{
	CLEANUP_BUF struct buf lines = { 0 };
	t->trouble[0] = '\0';
	if (!link_stream_differs(info, &t->stream, &lines))
		return;
	say_trouble(s, t, "differs: ", buf_text(&lines));
	if (t->told)
		return;
	WARN(s, "stream-differs", WORD("cluster", cluster_name(s, t)), WORD("stream", info->name),
		TEXT("differences", buf_slice(&lines)));
	t->told = true;
}

/* The stream had more at the last look, and nothing has come since: heartbeats alone prove nothing. */
static bool is_silent(const struct sync *s, const struct track *t)
{
	return t->state == TRACK_READY && t->subscribe && !t->unpulled && !s->stopping &&
	       t->known_last > t->taken && t->taken == t->taken_then;
}

/* Once for each length of the stream: what it cannot read any more comes from peers. */
static void renew_silent(struct sync *s, struct track *t, const struct link_stream *info)
{
	char text[80];
	snprintf(text, sizeof(text), "its consumer stands at %" PRIu64 " of %" PRIu64, t->taken,
		info->last);
	say_trouble(s, t, "delivers nothing: ", text);
	heads_soon(s, 0);
	if (t->silent == info->last)
		return;
	WARN(s, "stream-silent", WORD("cluster", cluster_name(s, t)), WORD("stream", info->name),
		NUMBER("taken", t->taken), NUMBER("last", info->last));
	t->silent = info->last;
	t->suspect = true;
	track_restart(s, t, 0);
}

static enum ledger_status found_stream(
	struct sync *s, struct track *t, const struct link_stream *info, struct ledger_error *err)
{
	show_differences(s, t, info);
	if (strcmp(info->subject, t->stream.subject) != 0) {
		t->created[0] = '\0';
		t->failures++;
		rest(s, t, LOOK_INTERVAL);
		return LEDGER_OK;
	}
	bool again = t->state == TRACK_READY && strcmp(t->created, info->created) == 0 &&
		     t->sure <= info->last;
	bool purged = again && was_purged(s, t, info);
	bool silent = again && !purged && is_silent(s, t);
	t->taken_then = t->taken;
	t->checked = s->now;
	t->asked = t->denied = false;
	t->failures = 0;
	note_extent(s, t, info);
	if (silent)
		renew_silent(s, t, info);
	if (again)
		return purged ? lost(s, t, info, err) : LEDGER_OK;
	if (t->state == TRACK_READY)
		track_restart(s, t, 0);
	memcpy(t->created, info->created, sizeof(t->created));
	TRY(find_place(s, t, info, err));
	t->state = t->subscribe ? TRACK_CONSUMER : TRACK_READY;
	s->more = s->news = true;
	return LEDGER_OK;
}

static void no_stream(struct sync *s, struct track *t)
{
	struct ledger_error err;
	t->created[0] = '\0';
	if (s->options->create_streams) {
		SAY(s, "stream-created", WORD("cluster", cluster_name(s, t)),
			WORD("stream", t->stream.name));
		if (link_stream_create(link_of(s, t), &t->stream,
			    tag_of(TAG_STREAM, 0, index_of(s, t)), &err) != LEDGER_OK)
			rest(s, t, RETRY);
		return;
	}
	t->failures++;
	say_trouble(s, t, "missing", "");
	if (!t->told)
		WARN(s, "stream-missing", WORD("cluster", cluster_name(s, t)),
			WORD("stream", t->stream.name),
			WORD("hint", "make it, or set sync.create_streams: true"));
	t->told = true;
	rest(s, t, RETRY);
}

enum ledger_status track_stream(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	struct track *t = &s->tracks[tag_index(event->tag)];
	if (t->state != TRACK_STREAM && t->state != TRACK_READY)
		return LEDGER_OK;
	if (event->status == LEDGER_OK && event->stream_info)
		return found_stream(s, t, event->stream_info, err);
	if (event->status == LEDGER_NO) {
		if (t->state == TRACK_READY)
			track_restart(s, t, 0);
		t->asked = true;
		no_stream(s, t);
		return LEDGER_OK;
	}
	t->failures++;
	say_trouble(
		s, t, "", event->text.ptr ? event->text.ptr : ledger_status_name(event->status));
	rest(s, t, t->denied ? DENIED_RETRY : event->status == LEDGER_CONFLICT ? 0 : RETRY);
	return LEDGER_OK;
}

/* What is denied times out; who permits it meanwhile restarts the server, or reloads it. */
bool track_denied(struct sync *s, size_t cluster, struct slice text)
{
	char verb[SUBJECT_MAX];
	for (size_t i = 0; i < s->n_tracks; i++) {
		struct track *t = &s->tracks[i];
		int n = snprintf(verb, sizeof(verb), JS_STREAM_INFO "%s", t->stream.name);
		const char *found = t->cluster == cluster && n > 0
					    ? memmem(text.ptr, text.len, verb, (size_t)n)
					    : NULL;
		size_t end = found ? (size_t)(found - text.ptr) + (size_t)n : 0;
		struct slice next = { text.ptr + end, end < text.len ? 1 : 0 };
		if (!found || slice_is_token(next))
			continue;
		if (!t->denied)
			WARN(s, "stream-denied", WORD("cluster", cluster_name(s, t)),
				WORD("stream", t->stream.name), TEXT("text", text),
				WORD("hint", "permit it, or see domains in the config"));
		t->denied = true;
		return true;
	}
	return false;
}

/* --- The consumer -------------------------------------------------------------------------------- */

/* Of this node in this epoch: one that was restored does not go on where its other self stands. */
static void name_consumer(const struct sync *s, struct track *t)
{
	uint8_t hash[EVENT_HASH_SIZE];
	int n = snprintf(t->consumer, sizeof(t->consumer), "%s-%" PRIu64, s->node, s->epoch);
	if (n > 0 && (size_t)n < sizeof(t->consumer))
		return;
	chain_sha256(slice_of(s->node), hash);
	snprintf(t->consumer, sizeof(t->consumer), "%02x%02x%02x%02x%02x%02x%02x%02x-%" PRIu64,
		hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7], s->epoch);
}

static enum ledger_status ask_consumer(struct sync *s, struct track *t, struct ledger_error *err)
{
	struct link_consumer wanted = {
		.start = t->taken + 1,
		.ack_wait = 60 * TIME_SECOND,
		.max_pending = (uint64_t)PULL_BATCH * (PULL_DEPTH + 1),
		.plain = true,
	};
	uint64_t tag = tag_of(TAG_CONSUMER, 0, index_of(s, t));
	name_consumer(s, t);
	if (t->state == TRACK_DELETE)
		return link_consumer_delete(link_of(s, t), t->stream.name, t->consumer, tag, err);
	memcpy(wanted.stream, t->stream.name, sizeof(wanted.stream));
	memcpy(wanted.name, t->consumer, sizeof(wanted.name));
	return link_consumer_ensure(link_of(s, t), &wanted, tag, err);
}

static void start_pull(struct sync *s, struct track *t)
{
	struct ledger_error err;
	struct link_pull pull = { .stream = t->stream.name,
		.consumer = t->consumer,
		.batch = PULL_BATCH,
		.depth = PULL_DEPTH };
	uint64_t tag = tag_of(TAG_PULL, 0, index_of(s, t));
	t->place = 0;
	enum ledger_status status = link_pull_start(link_of(s, t), &pull, tag, &err);
	if (status == LEDGER_BUSY) {
		t->unpulled = true;
		t->state = TRACK_READY;
		report_beyond(s, CEILING_PULLS, "other nodes are asked for their events");
		return;
	}
	if (status != LEDGER_OK) {
		WARN(s, "cannot-pull", WORD("stream", t->stream.name), WORD("text", err.text));
		track_restart(s, t, RETRY);
		return;
	}
	t->state = TRACK_READY;
	t->suspect = false;
	s->news = true;
	SAY(s, "receiving", WORD("cluster", cluster_name(s, t)), WORD("domain", t->domain),
		NUMBER("from", t->taken + 1), NUMBER("last", t->known_last));
	if (track_is_empty(s, slice_of(t->domain)))
		repair_hurry(s, t->domain);
}

void track_consumer(struct sync *s, const struct link_event *event)
{
	struct track *t = &s->tracks[tag_index(event->tag)];
	if (t->state != TRACK_CONSUMER && t->state != TRACK_DELETE)
		return;
	t->asked = false;
	if (t->state == TRACK_DELETE && (!event->status || event->status == LEDGER_NO)) {
		t->state = TRACK_CONSUMER;
		t->renewed = true;
		s->more = true;
		return;
	}
	if (event->status != LEDGER_OK || !event->consumer_info) {
		WARN(s, "consumer-failed", WORD("cluster", cluster_name(s, t)),
			WORD("stream", t->stream.name), TEXT("text", event->text));
		track_restart(s, t, RETRY);
		return;
	}
	const struct link_consumer *info = event->consumer_info;
	bool ours = info->plain && info->delivered == t->taken && info->ack_pending == 0;
	if ((!ours || t->suspect) && !t->renewed) {
		t->state = TRACK_DELETE;
		s->more = true;
		return;
	}
	start_pull(s, t);
}

void track_lost(struct sync *s, const struct link_event *event)
{
	struct track *t = &s->tracks[tag_index(event->tag)];
	WARN(s, "consumer-lost", WORD("cluster", cluster_name(s, t)),
		WORD("stream", t->stream.name), TEXT("text", event->text));
	heads_soon(s, 0);
	track_restart(s, t, TIME_SECOND / 4);
}

/* --- Steps --------------------------------------------------------------------------------------- */

static void ask(struct sync *s, struct track *t)
{
	struct ledger_error err;
	t->sure = t->taken > t->stored ? t->taken : t->stored;
	enum ledger_status status = t->state == TRACK_STREAM || t->state == TRACK_READY
					    ? link_stream_info(link_of(s, t), t->stream.name,
						      tag_of(TAG_STREAM, 0, index_of(s, t)), &err)
					    : ask_consumer(s, t, &err);
	if (status == LEDGER_OK)
		t->asked = true;
	else
		rest(s, t, TIME_SECOND);
}

void track_step(struct sync *s)
{
	for (size_t i = 0; i < s->n_tracks; i++) {
		struct track *t = &s->tracks[i];
		uint64_t due = t->rest;
		uint64_t look = t->known_last > t->taken ? BEHIND_LOOK : LOOK_INTERVAL;
		if (t->state == TRACK_READY && t->checked + look > due)
			due = t->checked + look;
		if (t->state == TRACK_OFF || t->asked)
			continue;
		if (s->now >= due)
			ask(s, t);
		else
			sync_wake_at(s, due);
	}
}

/* A cluster that cannot be used is no reason to wait where another one takes the domain. */
static bool is_covered(const struct sync *s, const struct track *t)
{
	if (s->clusters[t->cluster].failures < 3 && t->failures < 3)
		return false;
	for (size_t i = 0; i < s->n_tracks; i++) {
		const struct track *other = &s->tracks[i];
		if (other->state == TRACK_READY && other->created[0] &&
			strcmp(other->domain, t->domain) == 0)
			return true;
	}
	return false;
}

bool track_is_empty(const struct sync *s, struct slice domain)
{
	for (size_t i = 0; i < s->n_tracks; i++) {
		const struct track *t = &s->tracks[i];
		if (slice_is(domain, t->domain) && t->subscribe && t->state != TRACK_OFF &&
			(t->state != TRACK_READY || t->place || t->known_last > t->taken))
			return false;
	}
	return true;
}

bool track_is_level(const struct sync *s, struct buf *why)
{
	for (size_t i = 0; i < s->n_tracks; i++) {
		const struct track *t = &s->tracks[i];
		bool ready = t->state == TRACK_READY && t->created[0];
		if (ready &&
			(!t->subscribe || t->unpulled || !t->left || t->committed >= t->known_last))
			continue;
		/* It is there for others. */
		if (!ready && t->denied && !t->named)
			continue;
		if (!ready && is_covered(s, t))
			continue;
		if (ready)
			buf_addf(why, "%" PRIu64 " messages of stream %s are not here",
				t->known_last - t->committed, t->stream.name);
		else
			buf_addf(why, "stream %s of cluster %s cannot be used", t->stream.name,
				cluster_name(s, t));
		return false;
	}
	return true;
}
