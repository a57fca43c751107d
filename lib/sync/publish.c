/*
 * Publishing: chains of this node go to the first cluster that works, in frames, several at a time.
 * The cursor of a chain moves over what was acknowledged without a gap. It is advisory: an
 * acknowledgement proves nothing, and what it stood for may be gone tomorrow; peers' heads tell.
 *
 * A server answers "duplicate" where it knows the id, whether or not it still has the message. So what
 * is sent again after a loss has another id, and so has what was called a duplicate.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>

#include "../event/chain.h"
#include "../event/line.h"

#include "../base/banned.h"

#define FAILURES_MAX  3
#define FRAMES_A_TURN 16

/* --- What there is to publish -------------------------------------------------------------------- */

static struct source *find_source(struct sync *s, size_t track, uint64_t epoch)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].track == track && s->sources[i].epoch == epoch)
			return &s->sources[i];
	return NULL;
}

static enum ledger_status look_at_track(
	struct sync *s, size_t track, const struct ledger_chain *chain, struct ledger_error *err)
{
	struct source *source = find_source(s, track, chain->epoch);
	if (!source) {
		struct ledger_chain_name name = { chain->origin, chain->epoch, chain->domain };
		struct slice cluster =
			slice_of(s->clusters[s->tracks[track].cluster].options->name);
		if (s->n_sources == SOURCES_MAX) {
			report_beyond(s, CEILING_SOURCES, "the others get those by repair only");
			return LEDGER_OK;
		}
		source = &s->sources[s->n_sources];
		*source = (struct source){ .track = track, .epoch = chain->epoch };
		TRY(ledger_published_get(s->ledger, cluster, &name, &source->acked, err));
		source->saved = source->acked;
		source->next = source->acked + 1;
		s->n_sources++;
	}
	source->head = chain->sequence;
	return LEDGER_OK;
}

static enum ledger_status look_at_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct sync *s = context;
	TRY(route_meet(s, chain->domain, err));
	if (!slice_is(chain->origin, s->node))
		return LEDGER_OK;
	for (size_t i = 0; i < s->n_tracks; i++)
		if (s->tracks[i].propagate && slice_is(chain->domain, s->tracks[i].domain))
			TRY(look_at_track(s, i, chain, err));
	return LEDGER_OK;
}

enum ledger_status publish_look(struct sync *s, struct ledger_error *err)
{
	return ledger_heads(s->ledger, NULL, 0, look_at_chain, s, err);
}

/* --- Where it goes ------------------------------------------------------------------------------- */

struct cluster *publish_cluster(struct sync *s, const struct source *source)
{
	return &s->clusters[s->tracks[source->track].cluster];
}

bool publish_same_chain(const struct sync *s, const struct source *a, const struct source *b)
{
	return a->epoch == b->epoch &&
	       strcmp(s->tracks[a->track].domain, s->tracks[b->track].domain) == 0;
}

/* A connection is not enough: a stream that is missing takes nothing. */
static bool works(struct sync *s, const struct source *source)
{
	return publish_cluster(s, source)->failures < FAILURES_MAX &&
	       s->tracks[source->track].failures < FAILURES_MAX;
}

/* Do enough clusters of higher priority take this chain and work? Of two that take turns, what one has
 * acknowledged need not be sent to the other. */
static bool is_elsewhere(struct sync *s, struct source *source)
{
	bool dual = s->tracks[source->track].dual;
	size_t working = 0;
	for (size_t i = 0; i < s->n_sources && s->n_clusters > 1; i++) {
		struct source *other = &s->sources[i];
		if (other == source || !publish_same_chain(s, other, source))
			continue;
		if (publish_cluster(s, other) < publish_cluster(s, source) && works(s, other))
			working++;
		if (!dual && source->acked < other->acked && source->next <= other->acked) {
			source->next = other->acked + 1;
			source->acked = other->acked;
		}
	}
	return working >= (dual ? 2 : 1);
}

/* --- Sending ------------------------------------------------------------------------------------- */

struct building {
	struct sync *s;
	uint64_t last; /* not beyond this one */
	enum frame_outcome outcome;
	uint64_t bytes; /* of the event that is too large */
};

static enum ledger_status add_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct building *b = context;
	if (event->sequence > b->last)
		return fail(err, LEDGER_NO, "enough");
	b->outcome = frame_add(&b->s->frame, event);
	if (b->outcome == FRAME_ADDED)
		return LEDGER_OK;
	if (b->outcome == FRAME_NO_MEMORY)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (b->outcome == FRAME_TOO_LARGE) {
		CLEANUP_BUF struct buf line = { 0 };
		event_add_line(&line, event);
		b->bytes = line.len;
	}
	return fail(err, LEDGER_NO, "enough");
}

static enum ledger_status build_frame(struct sync *s, const struct source *source, uint64_t first,
	uint64_t last, struct building *out, struct ledger_error *err)
{
	struct ledger_chain_name name = { slice_of(s->node), source->epoch,
		slice_of(s->tracks[source->track].domain) };
	struct building b = { s, last, FRAME_ADDED, 0 };
	size_t limit = link_max_payload(publish_cluster(s, source)->link);
	frame_reset(&s->frame);
	s->frame.limit = source->limit && source->limit < limit ? source->limit : limit;
	enum ledger_status status =
		ledger_read_chain(s->ledger, &name, first, FRAME_BYTES_MAX, add_event, &b, err);
	*out = b;
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* The bytes of a hash are as good as random: the first ones say where it is kept. */
static size_t echo_place(const uint8_t hash[EVENT_HASH_SIZE])
{
	return ((size_t)hash[0] << 8 | hash[1]) % ECHOES_MAX;
}

static void note_sent(struct sync *s, struct slice data)
{
	uint8_t hash[EVENT_HASH_SIZE];
	chain_sha256(data, hash);
	memcpy(s->echoes[echo_place(hash)], hash, sizeof(hash));
}

bool publish_has_sent(const struct sync *s, struct slice data)
{
	uint8_t hash[EVENT_HASH_SIZE];
	chain_sha256(data, hash);
	return memcmp(s->echoes[echo_place(hash)], hash, sizeof(hash)) == 0;
}

static enum ledger_status send_frame(
	struct sync *s, const struct source *source, size_t slot, struct ledger_error *err)
{
	const struct track *t = &s->tracks[source->track];
	char subject[SUBJECT_MAX], id[FRAME_ID_MAX];
	struct slice tokens[] = { slice_of(s->prefix), SLICE("events"), slice_of(t->domain),
		slice_of(s->node) };
	TRY(subject_of(subject, tokens, 4, err));
	frame_id(&s->frame, s->sent[slot].round, id);
	note_sent(s, buf_slice(&s->frame.lines));
	struct link_message message = { .subject = slice_of(subject),
		.stream = slice_of(t->stream.name),
		.id = slice_of(id),
		.data = buf_slice(&s->frame.lines) };
	return link_store(publish_cluster(s, source)->link, &message,
		tag_of(TAG_SENT, s->sent[slot].generation, slot), err);
}

/* Everything that is not acknowledged is sent again, from the beginning. */
static void start_over(struct sync *s, size_t source)
{
	for (size_t i = 0; i < SENT_MAX; i++)
		if (s->sent[i].state != SENT_FREE && s->sent[i].source == source) {
			s->sent[i].state = SENT_FREE;
			s->sent[i].generation++;
		}
	s->sources[source].next = s->sources[source].acked + 1;
	s->more = true;
}

/* Frames that wait for a cluster that does not work would take the places of all others. */
void publish_disconnected(struct sync *s, size_t cluster)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->tracks[s->sources[i].track].cluster == cluster)
			start_over(s, i);
}

static void count_failure(struct sync *s, struct cluster *c)
{
	c->failures++;
	c->rest = s->now + sync_backoff(c->failures);
	if (c->failures != FAILURES_MAX)
		return;
	WARN(s, "cluster-failing", WORD("cluster", c->options->name),
		NUMBER("failures", c->failures));
	publish_disconnected(s, (size_t)(c - s->clusters));
}

/* Peers get it by repair. */
static void note_large(
	struct sync *s, const struct source *source, uint64_t sequence, uint64_t bytes)
{
	struct large large = { .epoch = source->epoch, .sequence = sequence, .bytes = bytes };
	const struct cluster *c = publish_cluster(s, source);
	snprintf(large.cluster, sizeof(large.cluster), "%s", c->options->name);
	snprintf(large.domain, sizeof(large.domain), "%s", s->tracks[source->track].domain);
	WARN(s, "too-large", WORD("cluster", large.cluster), WORD("domain", large.domain),
		NUMBER("sequence", sequence), NUMBER("bytes", bytes),
		NUMBER("limit", link_max_payload(c->link)));
	report_large(s, &large);
}

/* The frame of a slot; LEDGER_NO: nothing was sent. */
static enum ledger_status send_slot(struct sync *s, size_t slot, struct ledger_error *err)
{
	struct sent *sent = &s->sent[slot];
	struct source *source = &s->sources[sent->source];
	struct building built;
	struct ledger_error why;
	TRY(build_frame(s, source, sent->first, sent->last, &built, err));
	if (s->frame.events == 0) {
		if (built.outcome == FRAME_TOO_LARGE)
			note_large(s, source, sent->first, built.bytes);
		sent->last = sent->first;
		sent->state = SENT_STORED;
		return LEDGER_OK;
	}
	if (sent->state == SENT_FAILED && s->frame.last < sent->last) {
		start_over(s, sent->source);
		return LEDGER_OK;
	}
	sent->last = s->frame.last;
	sent->generation++;
	sent->state = SENT_UNDERWAY;
	if (send_frame(s, source, slot, &why) != LEDGER_OK) {
		sent->state = SENT_FAILED;
		if (why.status != LEDGER_BUSY)
			count_failure(s, publish_cluster(s, source));
	}
	return LEDGER_OK;
}

static size_t free_slot(const struct sync *s)
{
	size_t slot = 0;
	while (slot < SENT_MAX && s->sent[slot].state != SENT_FREE)
		slot++;
	return slot;
}

/* The cursor moves over what is stored without a gap. */
static void move_cursor(struct sync *s, size_t index)
{
	struct source *source = &s->sources[index];
	for (size_t i = 0; i < SENT_MAX; i++) {
		struct sent *sent = &s->sent[i];
		if (sent->state != SENT_STORED || sent->source != index ||
			sent->first > source->acked + 1)
			continue;
		if (sent->last > source->acked) {
			s->published += sent->last - source->acked;
			source->told += sent->last - source->acked;
			s->unsaved = true;
			source->acked = sent->last;
		}
		sent->state = SENT_FREE;
		i = (size_t)-1;
	}
}

static bool may_send(struct sync *s, const struct source *source)
{
	struct cluster *c = publish_cluster(s, source);
	const struct track *t = &s->tracks[source->track];
	if (!c->up || !t->created[0] || s->stopping)
		return false;
	if (s->now < c->rest) {
		sync_wake_at(s, c->rest);
		return false;
	}
	return true;
}

static enum ledger_status send_again(struct sync *s, struct ledger_error *err)
{
	for (size_t i = 0; i < SENT_MAX; i++) {
		size_t source = s->sent[i].source;
		if (s->sent[i].state == SENT_FAILED && may_send(s, &s->sources[source])) {
			TRY(send_slot(s, i, err));
			move_cursor(s, source);
		}
	}
	return LEDGER_OK;
}

static enum ledger_status send_new(
	struct sync *s, size_t index, size_t *left, struct ledger_error *err)
{
	struct source *source = &s->sources[index];
	while (source->next <= source->head && !is_elsewhere(s, source) && may_send(s, source)) {
		if (source->next > source->head)
			return LEDGER_OK;
		size_t slot = free_slot(s);
		if (slot == SENT_MAX)
			return LEDGER_OK;
		if (*left == 0) {
			s->more = true;
			return LEDGER_OK;
		}
		(*left)--;
		s->sent[slot].source = index;
		s->sent[slot].first = source->next;
		s->sent[slot].last = source->head;
		s->sent[slot].round = source->round;
		TRY(send_slot(s, slot, err));
		source->next = s->sent[slot].last + 1;
		move_cursor(s, index);
	}
	return LEDGER_OK;
}

enum ledger_status publish_step(struct sync *s, struct ledger_error *err)
{
	size_t left = FRAMES_A_TURN;
	TRY(send_again(s, err));
	for (size_t i = 0; i < s->n_sources; i++)
		TRY(send_new(s, i, &left, err));
	if (s->now >= s->saved_at + PUBLISH_SAVE_INTERVAL)
		return publish_save(s, err);
	if (s->unsaved)
		sync_wake_at(s, s->saved_at + PUBLISH_SAVE_INTERVAL);
	return LEDGER_OK;
}

/* --- Answers ------------------------------------------------------------------------------------- */

static void refused(struct sync *s, struct sent *sent, const struct link_event *event)
{
	struct source *source = &s->sources[sent->source];
	struct cluster *c = publish_cluster(s, source);
	sent->state = SENT_FAILED;
	if (event->code == 10054) {
		size_t limit = source->limit ? source->limit : FRAME_BYTES_MAX;
		source->limit = limit > 2 ? limit / 2 : 1;
		start_over(s, sent->source);
		return;
	}
	/* Nobody took it, or another stream: is ours still there? */
	if (event->status == LEDGER_NO || event->code == 10060 || event->code == 503)
		track_restart(s, &s->tracks[source->track], TIME_SECOND);
	if (c->failures == 0)
		WARN(s, "publish-failed", WORD("cluster", c->options->name),
			WORD("domain", s->tracks[source->track].domain),
			WORD("status", ledger_status_name(event->status)),
			TEXT("text", event->text));
	/* Larger than what another server of the cluster takes: frames are made anew. */
	if (event->status == LEDGER_INVALID)
		start_over(s, sent->source);
	count_failure(s, c);
}

/* --- Loss ---------------------------------------------------------------------------------------- */

/* A number that no id has had, in this run or an earlier one. */
static uint64_t fresh_round(void)
{
	static uint64_t last;
	uint64_t now = time_now();
	last = now > last ? now : last + 1;
	return last;
}

struct proven {
	const struct sync *s;
	const struct source *source;
	uint64_t sequence; /* that all have who have any; UINT64_MAX: nobody has */
};

static enum ledger_status see_proof(
	const struct ledger_peer_head *p, void *context, struct ledger_error *err)
{
	struct proven *proven = context;
	const struct source *source = proven->source;
	uint64_t sequence = p->presence == LEDGER_PRESENT ? p->head.sequence : 0;
	(void)err;
	if (p->head.epoch == source->epoch && slice_is(p->head.origin, proven->s->node) &&
		slice_is(p->head.domain, proven->s->tracks[source->track].domain) &&
		p->presence != LEDGER_ABSENT && sequence < proven->sequence)
		proven->sequence = sequence;
	return LEDGER_OK;
}

static enum ledger_status send_once_more(struct sync *s, size_t index, struct ledger_error *err)
{
	struct source *source = &s->sources[index];
	struct proven proven = { s, source, UINT64_MAX };
	TRY(ledger_peer_heads(s->ledger, see_proof, &proven, err));
	uint64_t from = proven.sequence == UINT64_MAX ? 0 : proven.sequence;
	source->round = fresh_round();
	if (from < source->acked) {
		WARN(s, "publishing-again",
			WORD("cluster", publish_cluster(s, source)->options->name),
			WORD("domain", s->tracks[source->track].domain), NUMBER("from", from + 1),
			NUMBER("to", source->acked));
		source->acked = from;
	}
	start_over(s, index);
	return LEDGER_OK;
}

/* Of clusters that take turns nobody knows which one had what: all of them go back. */
enum ledger_status publish_lost(struct sync *s, size_t track, struct ledger_error *err)
{
	const struct track *t = &s->tracks[track];
	for (size_t i = 0; i < s->n_sources; i++) {
		size_t other = s->sources[i].track;
		if (other == track || (!t->dual && strcmp(s->tracks[other].domain, t->domain) == 0))
			TRY(send_once_more(s, i, err));
	}
	return LEDGER_OK;
}

enum ledger_status publish_stored(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	struct sent *sent = &s->sent[tag_index(event->tag)];
	if (sent->generation != tag_generation(event->tag) || sent->state != SENT_UNDERWAY)
		return LEDGER_OK;
	if (event->status != LEDGER_OK) {
		refused(s, sent, event);
		return LEDGER_OK;
	}
	size_t source = sent->source, track = s->sources[source].track;
	struct track *t = &s->tracks[track];
	publish_cluster(s, &s->sources[source])->failures = 0;
	if (event->duplicate) {
		sent->round = fresh_round();
		sent->state = SENT_FAILED;
		s->more = true;
		return LEDGER_OK;
	}
	bool lost = event->sequence <= t->stored;
	t->stored = event->sequence;
	sent->state = SENT_STORED;
	move_cursor(s, source);
	return lost ? publish_lost(s, track, err) : LEDGER_OK;
}
