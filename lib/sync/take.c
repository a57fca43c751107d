/*
 * What comes in, from streams and from peers alike: gathered, verified and inserted in one
 * transaction together with the places in the streams, and only then acknowledged. A crash in
 * between only repeats, and repeats are known.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>

#include "../event/line.h"

#include "../base/banned.h"

#define GAP_WAIT (TIME_SECOND / 10) /* it may be on its way */
#define ROUNDS	 4

/* --- Gathering ----------------------------------------------------------------------------------- */

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status make_batch(struct sync *s, struct ledger_error *err)
{
	struct batch *b = &s->batch;
	if (b->events)
		return LEDGER_OK;
	b->events = arena_array(&b->arena, BATCH_EVENTS, sizeof(*b->events));
	b->results = arena_array(&b->arena, BATCH_EVENTS, sizeof(*b->results));
	return b->events && b->results ? LEDGER_OK : no_memory(err);
}

static void empty_batch(struct batch *b)
{
	arena_reset(&b->arena);
	b->events = NULL;
	b->results = NULL;
	b->n = b->bytes = 0;
}

void take_done(struct sync *s)
{
	arena_done(&s->batch.arena);
}

static bool is_full(const struct batch *b, size_t coming)
{
	return b->n + FRAME_EVENTS_MAX + 1 > BATCH_EVENTS || b->bytes + coming > BATCH_BYTES;
}

bool take_is_full(const struct sync *s)
{
	return is_full(&s->batch, FRAME_BYTES);
}

static enum ledger_status add_line(struct sync *s, struct slice line, const struct event *event,
	const struct ledger_source *source, struct ledger_error *err)
{
	struct batch *b = &s->batch;
	struct event *kept = event ? arena_alloc(&b->arena, sizeof(*kept)) : NULL;
	if (event && !kept)
		return no_memory(err);
	if (kept)
		*kept = *event;
	b->events[b->n++] =
		(struct ledger_received){ .line = line, .event = kept, .source = source };
	b->bytes += line.len;
	return LEDGER_OK;
}

/* All that can be read; the rest, whole, is refused by the ledger, which keeps it. */
static enum ledger_status add_frame(struct sync *s, struct slice data,
	const struct ledger_source *source, struct ledger_error *err)
{
	struct frame_reader r;
	struct event event;
	struct ledger_error why;
	enum ledger_status status;
	frame_reader_init(&r, data, source->origin, source->domain);
	while ((status = frame_read(&r, &s->batch.arena, &event, &why)) == LEDGER_OK)
		TRY(add_line(s, r.line, &event, source, err));
	if (status == LEDGER_NO_MEMORY)
		return no_memory(err);
	if (status == LEDGER_NO)
		return LEDGER_OK;
	/* A line that alone is not understood may be one that waits for its key or format. */
	struct slice line = r.rest, rest;
	if (slice_cut(r.rest, '\n', &line, &rest) && rest.len == 0)
		return add_line(s, line, NULL, source, err);
	return add_line(s, r.rest, NULL, source, err);
}

static struct ledger_source *make_source(struct sync *s, const char *kind, const char *name)
{
	struct ledger_source *source = arena_alloc(&s->batch.arena, sizeof(*source));
	char text[80];
	if (!source)
		return NULL;
	snprintf(text, sizeof(text), "%s %s", kind, name);
	*source = (struct ledger_source){ .name = arena_copy(&s->batch.arena, slice_of(text)) };
	return source->name.ptr ? source : NULL;
}

/*
 * Our own frames come back from the stream: what has the very bytes that were sent, and is here, needs no
 * second look. All else under our name is verified, whatever hash it claims.
 */
static bool is_echo(struct sync *s, const struct link_event *event)
{
	struct ledger_error err;
	struct slice data = event->data, line;
	enum ledger_presence presence;
	struct event last;
	CLEANUP_ARENA struct arena arena = { NULL };
	if (!slice_is(subject_token(event->subject, 3), s->node) || !publish_has_sent(s, data))
		return false;
	const char *before = memrchr(data.ptr, '\n', data.len - 1);
	size_t from = before ? (size_t)(before - data.ptr) + 1 : 0;
	line = (struct slice){ data.ptr + from, data.len - 1 - from };
	if (event_read_line(line, &arena, &last, &err) != LEDGER_OK)
		return false;
	struct ledger_head head = { last.origin, last.epoch, last.domain, last.sequence, { 0 } };
	memcpy(head.hash, last.hash, sizeof(head.hash));
	return ledger_has(s->ledger, &head, &presence, &err) == LEDGER_OK &&
	       presence == LEDGER_PRESENT;
}

static enum ledger_status add_message(struct sync *s, const struct track *t,
	const struct link_event *event, struct ledger_error *err)
{
	if (is_echo(s, event))
		return LEDGER_OK;
	if (is_full(&s->batch, event->data.len))
		TRY(take_commit(s, err));
	TRY(make_batch(s, err));
	struct ledger_source *source =
		make_source(s, "cluster", s->clusters[t->cluster].options->name);
	struct slice data = arena_copy(&s->batch.arena, event->data);
	if (!source || !data.ptr)
		return no_memory(err);
	source->origin = arena_copy(&s->batch.arena, subject_token(event->subject, 3));
	source->domain = slice_of(t->domain);
	return add_frame(s, data, source, err);
}

/*
 * In the order of the stream, each once. Where deliveries are missing they are asked for once more
 * from our place on; a stream that has the same hole again has lost them, and peers are asked.
 */
static bool is_next(struct sync *s, struct track *t, const struct link_event *event)
{
	bool follows = t->place && event->place == t->place + 1;
	if (event->sequence <= t->taken)
		return false;
	t->place = event->place;
	if (event->sequence == t->taken + 1 || follows)
		return true;
	heads_soon(s, 0);
	if (t->hole == t->taken + 1)
		return true;
	WARN(s, "deliveries-missing", WORD("stream", t->stream.name), NUMBER("from", t->taken + 1),
		NUMBER("to", event->sequence - 1));
	t->hole = t->taken + 1;
	track_restart(s, t, 0);
	return false;
}

enum ledger_status take_message(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	struct track *t = &s->tracks[tag_index(event->tag)];
	if (t->state != TRACK_READY || event->reply.len >= sizeof(t->ack) || s->stopping)
		return LEDGER_OK;
	if (!is_next(s, t, event))
		return LEDGER_OK;
	t->pending = event->pending;
	t->redelivered += event->delivered > 1;
	TRY(add_message(s, t, event, err));
	if (t->state != TRACK_READY)
		return LEDGER_OK;
	t->taken = event->sequence;
	memcpy(t->ack, event->reply.ptr, event->reply.len);
	t->ack[event->reply.len] = '\0';
	return LEDGER_OK;
}

/* --- What became of each ------------------------------------------------------------------------- */

/* The chain of an event that was read; NULL where there is none. */
static struct chain *chain_of(struct sync *s, const struct ledger_received *r)
{
	return r->event ? hold_chain(s, r->event->origin, r->event->epoch, r->event->domain) : NULL;
}

/* The same of an event that did not verify: its words may be anybody's, and must not fill the table. */
static struct chain *chain_of_doubtful(struct sync *s, const struct ledger_received *r)
{
	if (!r->event || s->n_chains < CHAINS_MAX / 2)
		return chain_of(s, r);
	return hold_find(s, r->event->origin, r->event->epoch, r->event->domain);
}

static void ask_before(struct sync *s, const struct ledger_received *r)
{
	struct chain *c = chain_of(s, r);
	if (!c || (c->before && c->before <= r->event->sequence))
		return;
	c->before = r->event->sequence;
	c->from = 0;
	c->branches = false;
	s->more = true;
}

static void say_refused(
	struct sync *s, const struct ledger_received *r, const struct ledger_accepted *a)
{
	WARN(s, a->outcome == LEDGER_BAD ? "quarantined" : "waiting",
		TEXT("source", r->source->name), WORD("reason", ledger_reason_name(a->reason)),
		TEXT("origin", r->event ? r->event->origin : SLICE("")),
		TEXT("domain", r->event ? r->event->domain : SLICE("")),
		NUMBER("sequence", r->event ? r->event->sequence : 0),
		NUMBER("row", a->quarantined));
}

/* Once a minute for each chain, not for each event of a branch. */
static void say_forked(struct sync *s, const struct ledger_received *r)
{
	struct chain *c = chain_of(s, r);
	if (c && c->told && s->now < c->told + 60 * TIME_SECOND)
		return;
	if (c)
		c->told = s->now;
	WARN(s, "forked", TEXT("origin", r->event->origin), TEXT("domain", r->event->domain),
		NUMBER("sequence", r->event->sequence), WORD("hint", "ledgerbox fork list"));
}

static void look_at(struct sync *s, struct ledger_received *r, const struct ledger_accepted *a)
{
	struct chain *c;
	switch (a->outcome) {
	case LEDGER_INSERTED:
		s->inserted++;
		s->received++;
		c = s->n_chains && r->event
			    ? hold_find(s, r->event->origin, r->event->epoch, r->event->domain)
			    : NULL;
		if (c && c->rest < s->now + GAP_WAIT)
			c->rest = s->now + GAP_WAIT;
		break;
	case LEDGER_AHEAD:
		if ((c = chain_of(s, r))) {
			hold_keep(s, c, r->event->sequence, r->line);
			repair_want(s, c, r->event->sequence, GAP_WAIT);
		}
		break;
	case LEDGER_FORKED:
	case LEDGER_DIVERGED:
		if (a->outcome == LEDGER_FORKED)
			say_forked(s, r);
		if (a->ask_before)
			ask_before(s, r);
		heads_soon(s, TIME_SECOND / 2);
		break;
	case LEDGER_BAD:
	case LEDGER_WAITING:
		s->refused++;
		if (a->quarantined)
			say_refused(s, r, a);
		if ((c = chain_of_doubtful(s, r))) {
			c->waiting = a->outcome == LEDGER_WAITING;
			if (!c->waiting)
				repair_want_next(s, c, GAP_WAIT);
		}
		heads_soon(s, TIME_SECOND / 2);
		break;
	case LEDGER_KNOWN:
	case LEDGER_LOST:
		break;
	}
}

/* --- Committing ---------------------------------------------------------------------------------- */

static size_t list_places(const struct sync *s, struct ledger_stream_place *places)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_tracks; i++) {
		const struct track *t = &s->tracks[i];
		if (t->ack[0])
			places[n++] = (struct ledger_stream_place){
				.cluster = slice_of(s->clusters[t->cluster].options->name),
				.domain = slice_of(t->domain),
				.created = t->made,
				.sequence = t->taken,
			};
	}
	return n;
}

/* After the commit. */
static void acknowledge(struct sync *s)
{
	struct ledger_error err;
	for (size_t i = 0; i < s->n_tracks; i++) {
		struct track *t = &s->tracks[i];
		if (!t->ack[0])
			continue;
		link_ack(s->clusters[t->cluster].link, slice_of(t->ack), &err);
		t->ack[0] = '\0';
		t->committed = t->taken;
	}
}

static void begin_again(struct sync *s)
{
	for (size_t i = 0; i < s->n_tracks; i++)
		if (s->tracks[i].ack[0])
			track_restart(s, &s->tracks[i], TIME_SECOND);
	heads_soon(s, TIME_SECOND);
	empty_batch(&s->batch);
}

/* A peer has what this ledger has lost: from here on another chain is written. */
static enum ledger_status next_epoch(
	struct sync *s, const struct ledger_received *r, struct ledger_error *err)
{
	struct ledger_recovery recovery;
	CLEANUP_BUF struct buf reason = { 0 };
	buf_addf(&reason, "%.*s has event %" PRIu64 " of domain %.*s, which is not here",
		SLICE_ARG(r->source->name), r->event->sequence, SLICE_ARG(r->event->domain));
	TRY(ledger_next_epoch(s->ledger, buf_slice(&reason), &recovery, err));
	s->epoch = recovery.epoch;
	s->changed = true;
	WARN(s, "epoch-begun", NUMBER("epoch", recovery.epoch), TEXT("reason", buf_slice(&reason)),
		WORD("hint", "was this ledger restored, or does another node have its name?"));
	heads_soon(s, 0);
	return LEDGER_OK;
}

/* Does what came hang together with what is here? */
static bool is_joined(const struct ledger_accepted *a)
{
	return a->outcome == LEDGER_KNOWN || a->outcome == LEDGER_INSERTED ||
	       (a->outcome == LEDGER_FORKED && !a->ask_before);
}

static void look_at_reply(struct sync *s)
{
	const struct batch *b = &s->batch;
	struct reply *reply = &s->reply;
	for (size_t i = 0; i < b->n; i++) {
		const struct ledger_accepted *a = &b->results[i];
		reply->progress = reply->progress || a->outcome == LEDGER_INSERTED ||
				  a->outcome == LEDGER_FORKED || a->outcome == LEDGER_LOST;
		reply->joined = reply->joined || is_joined(a);
		if (b->events[i].event)
			reply->last = b->events[i].event->sequence;
	}
}

static enum ledger_status accept(struct sync *s, bool first, struct ledger_error *err)
{
	struct batch *b = &s->batch;
	struct ledger_stream_place *places =
		arena_array(&b->arena, s->n_tracks + 1, sizeof(*places));
	if (!places)
		return no_memory(err);
	size_t n = first ? list_places(s, places) : 0;
	TRY(ledger_accept(s->ledger, b->events, b->n, places, n, b->results, err));
	for (size_t i = 0; i < b->n; i++)
		look_at(s, &b->events[i], &b->results[i]);
	if (first && s->reply.chain)
		look_at_reply(s);
	return LEDGER_OK;
}

/* What comes next: events to be offered once more. */
struct again {
	struct ledger_received *events;
	size_t n;
};

/* Events of what was this epoch until a moment ago are now an older one's. */
static enum ledger_status again_lost(struct sync *s, struct again *again, struct ledger_error *err)
{
	const struct batch *b = &s->batch;
	for (size_t i = 0; i < b->n; i++) {
		if (b->results[i].outcome != LEDGER_LOST)
			continue;
		if (again->n == 0)
			TRY(next_epoch(s, &b->events[i], err));
		again->events[again->n] = b->events[i];
		again->events[again->n++].verified = true;
	}
	return LEDGER_OK;
}

/* Held events that follow what is here now. */
static enum ledger_status again_held(struct sync *s, struct chain *c, uint64_t next,
	const struct ledger_source *source, struct again *again, struct ledger_error *err)
{
	hold_drop(s, c, next);
	while (c->held && c->held->sequence == next && again->n < BATCH_EVENTS) {
		struct arena *arena = &s->batch.arena;
		struct slice line =
			arena_copy(arena, (struct slice){ c->held->line, c->held->size });
		struct event *event = arena_alloc(arena, sizeof(*event));
		if (!line.ptr || !event)
			return no_memory(err);
		if (event_read_line(line, arena, event, err) == LEDGER_OK)
			again->events[again->n++] = (struct ledger_received){
				.line = line, .event = event, .verified = true, .source = source
			};
		hold_drop(s, c, ++next);
	}
	return LEDGER_OK;
}

static enum ledger_status offer_again(struct sync *s, bool *any, struct ledger_error *err)
{
	struct batch *b = &s->batch;
	struct again again = { arena_array(&b->arena, BATCH_EVENTS, sizeof(*again.events)), 0 };
	if (!again.events)
		return no_memory(err);
	TRY(again_lost(s, &again, err));
	for (size_t i = 0; i < b->n && s->n_held; i++) {
		const struct ledger_received *r = &b->events[i];
		if (b->results[i].outcome != LEDGER_INSERTED || !r->event)
			continue;
		struct chain *c = hold_find(s, r->event->origin, r->event->epoch, r->event->domain);
		if (c && c->held)
			TRY(again_held(s, c, b->results[i].head + 1, r->source, &again, err));
	}
	b->events = again.events;
	b->n = again.n;
	*any = again.n > 0;
	return LEDGER_OK;
}

enum ledger_status take_commit(struct sync *s, struct ledger_error *err)
{
	bool again = s->batch.n > 0, first = true;
	for (size_t i = 0; i < s->n_tracks && !again; i++)
		again = s->tracks[i].ack[0] != '\0';
	uint64_t inserted = s->inserted;
	while (again) {
		TRY(make_batch(s, err));
		enum ledger_status status = accept(s, first, err);
		if (ledger_worth_retrying(status)) {
			WARN(s, "not-stored", WORD("text", err->text));
			begin_again(s);
			return LEDGER_OK;
		}
		TRY(status);
		if (first)
			acknowledge(s);
		first = false;
		TRY(offer_again(s, &again, err));
	}
	if (s->inserted > inserted)
		heads_soon(s, TIME_SECOND / 10);
	empty_batch(&s->batch);
	return LEDGER_OK;
}

/* --- From peers ---------------------------------------------------------------------------------- */

enum ledger_status take_lines(struct sync *s, struct slice lines, struct chain *c, const char *peer,
	struct ledger_error *err)
{
	TRY(take_commit(s, err));
	TRY(make_batch(s, err));
	struct ledger_source *source = make_source(s, "peer", peer);
	struct slice rest = arena_copy(&s->batch.arena, lines), line;
	if (!source || !rest.ptr)
		return no_memory(err);
	source->origin = slice_of(c->origin);
	source->domain = slice_of(c->domain);
	while (slice_cut(rest, '\n', &line, &rest) && s->batch.n < BATCH_EVENTS) {
		struct event event;
		struct ledger_error why;
		bool good = event_read_line(line, &s->batch.arena, &event, &why) == LEDGER_OK;
		TRY(add_line(s, line, good ? &event : NULL, source, err));
	}
	s->reply = (struct reply){ .chain = c, .lines = s->batch.n };
	enum ledger_status status = take_commit(s, err);
	s->reply.chain = NULL;
	return status;
}
