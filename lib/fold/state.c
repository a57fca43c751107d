/* A stream's state: its events, folded in the order of all nodes. */
#include "state.h"

#include "../base/banned.h"

struct shared_bounds state_bounds(const struct ledger_moment *m)
{
	return (struct shared_bounds){
		.position = m->position ? m->position : UINT64_MAX,
		.time = m->has_time ? m->time : UINT64_MAX,
		.clock = m->has_clock ? m->clock : UINT64_MAX,
		.version = m->version ? m->version : UINT64_MAX,
	};
}

/* --- Folding --------------------------------------------------------------------------------- */

struct folding {
	struct ledger_fold *fold;
	struct reducer *reducer;
	struct ledger_state *state;
	bool has_state; /* f->state holds one */
};

/* What is folded is recomputed on the way: a state says nothing about events that were changed. */
static enum ledger_status check_hash(const struct event *event, struct ledger_error *err)
{
	uint8_t body[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE];
	chain_body(event, body);
	chain_hash(event, body, hash);
	if (chain_same(hash, event->hash, EVENT_HASH_SIZE))
		return LEDGER_OK;
	fail(err, LEDGER_DAMAGED,
		"the recorded hash of position %" PRIu64 " is not that of its content",
		event->position);
	return hint(err, "ledgerbox verify lists what is wrong");
}

static void count_event(struct ledger_state *s, const struct event *event)
{
	s->events++;
	s->folded++;
	s->version = event->version > s->version ? event->version : s->version;
	s->position = event->position > s->position ? event->position : s->position;
	s->max_time = event->time > s->max_time ? event->time : s->max_time;
	s->last = event->position;
	memcpy(s->hash, event->hash, EVENT_HASH_SIZE);
	s->clock = event->clock;
	s->time = event->time;
}

static enum ledger_status fold_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct folding *g = context;
	struct ledger_fold *f = g->fold;
	struct event upcast;
	TRY(check_hash(event, err));
	TRY(ledger_fold_upcast(f, event, &upcast, err));
	struct slice state = g->has_state ? buf_slice(&f->state) : reducer_initial(g->reducer);
	TRY(reducer_apply(f, g->reducer, &upcast, state, &f->next, err));
	struct buf before = f->state;
	f->state = f->next;
	f->next = before;
	g->has_state = true;
	count_event(g->state, event);
	return LEDGER_OK;
}

static enum ledger_status begin_with(
	struct folding *g, const struct snapshot *s, struct ledger_error *err)
{
	struct ledger_state *out = g->state;
	buf_reset(&g->fold->state);
	buf_add_slice(&g->fold->state, s->state);
	g->has_state = true;
	out->events = s->events;
	out->version = s->version;
	out->position = out->snapshot = s->position;
	out->max_time = s->max_time;
	out->last = s->last;
	memcpy(out->hash, s->hash, EVENT_HASH_SIZE);
	return buf_check(&g->fold->state, err);
}

enum ledger_status state_fold(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct shared_bounds *bounds, const struct snapshot *begin, struct ledger_state *out,
	struct ledger_error *err)
{
	struct ledger_state state = { .stream = stream, .domain = domain };
	struct folding g = { .fold = f, .state = &state };
	struct shared_bounds rest = *bounds;
	TRY(reducer_find(f, stream, &g.reducer, err));
	state.reducer = reducer_name(g.reducer);
	memcpy(state.reducer_hash, g.reducer->hash, EVENT_HASH_SIZE);
	if (begin) {
		TRY(begin_with(&g, begin, err));
		state.clock = out->clock;
		state.time = out->time;
		rest.after = begin->position;
	}
	TRY(shared_read(f->ledger, stream, domain, &rest, fold_event, &g, err));
	if (!g.has_state)
		return fail(err, LEDGER_NO, "stream %.*s has no events then", SLICE_ARG(stream));
	state.state = buf_slice(&f->state);
	*out = state;
	return LEDGER_OK;
}

/* --- Does a snapshot fit? -------------------------------------------------------------------- */

/* An event's place in the order of all nodes, within a stream of one domain. */
struct order {
	uint64_t clock;
	char origin[65];
	uint64_t epoch;
	uint64_t sequence;
};

static void order_of(const struct event *event, struct order *out)
{
	*out = (struct order){
		.clock = event->clock, .epoch = event->epoch, .sequence = event->sequence
	};
	size_t n = event->origin.len < 64 ? event->origin.len : 64;
	memcpy(out->origin, event->origin.ptr, n);
}

static bool is_before(const struct order *a, const struct order *b)
{
	if (a->clock != b->clock)
		return a->clock < b->clock;
	int origin = strcmp(a->origin, b->origin);
	if (origin)
		return origin < 0;
	return a->epoch != b->epoch ? a->epoch < b->epoch : a->sequence < b->sequence;
}

/* The event at a position, if it is the one that the snapshot names. */
static enum ledger_status read_last(struct ledger *l, const struct snapshot *s, struct order *out,
	uint64_t *time, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct event event;
	bool row;
	TRY(store_get(l->store, SQL_EVENT, &st, err));
	bind_u64(st, 1, s->last);
	TRY(stmt_row(l->store, st, &row, err));
	if (row)
		TRY(row_read(l, st, &event, err));
	if (!row || !slice_eq(event.stream, s->stream) || !slice_eq(event.domain, s->domain) ||
		!chain_same(event.hash, s->hash, EVENT_HASH_SIZE))
		return fail(err, LEDGER_DAMAGED, "the event that it ends with is not there");
	order_of(&event, out);
	*time = event.time;
	return check_hash(&event, err);
}

static enum ledger_status look_for_late(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct order order;
	order_of(event, &order);
	if (!is_before(&order, context))
		return LEDGER_OK;
	return fail(err, LEDGER_REFUSED,
		"the event at position %" PRIu64 " came later and sorts before its last",
		event->position);
}

enum ledger_status state_fits(struct ledger_fold *f, const struct reducer *r,
	const struct snapshot *s, const struct shared_bounds *bounds, struct ledger_error *err)
{
	struct order last;
	uint64_t time;
	if (!chain_same(r->hash, s->reducer, EVENT_HASH_SIZE))
		return fail(err, LEDGER_REFUSED, "its reducer or an upcaster has changed since");
	TRY(read_last(f->ledger, s, &last, &time, err));
	struct shared_bounds late = *bounds;
	late.after = s->position;
	late.clock = last.clock < bounds->clock ? last.clock : bounds->clock;
	return shared_read(f->ledger, s->stream, s->domain, &late, look_for_late, &last, err);
}

/* --- The nearest snapshot -------------------------------------------------------------------- */

struct choice {
	struct ledger_fold *fold;
	struct reducer *reducer;
	const struct shared_bounds *bounds;
	struct slice stream, domain; /* a row's own words go with the row */
	struct ledger_state *out;
	bool found;
};

/* Are all events that are in it among those that count? Its last one has the highest clock of them. */
static enum ledger_status is_within(
	struct choice *c, const struct snapshot *s, bool *within, struct ledger_error *err)
{
	const struct shared_bounds *b = c->bounds;
	struct order last = { 0 };
	*within = s->position <= b->position && s->max_time <= b->time && s->version <= b->version;
	if (!*within || b->clock == UINT64_MAX)
		return LEDGER_OK;
	uint64_t time;
	TRY(read_last(c->fold->ledger, s, &last, &time, err));
	*within = last.clock <= b->clock;
	return LEDGER_OK;
}

static enum ledger_status try_snapshot(
	struct choice *c, const struct snapshot *s, bool *within, struct ledger_error *err)
{
	*within = true;
	TRY(snapshot_check(c->fold->ledger, s, err));
	TRY(is_within(c, s, within, err));
	return *within ? state_fits(c->fold, c->reducer, s, c->bounds, err) : LEDGER_OK;
}

/* Ends the listing, with LEDGER_NO, when one was found and folded from. */
static enum ledger_status consider(
	const struct snapshot *s, void *context, struct ledger_error *err)
{
	struct choice *c = context;
	bool within;
	if (try_snapshot(c, s, &within, err)) {
		if (c->fold->refused)
			c->fold->refused(
				s->stream, s->position, err->text, c->fold->refused_context);
		return LEDGER_OK;
	}
	if (!within)
		return LEDGER_OK;
	struct order last;
	TRY(read_last(c->fold->ledger, s, &last, &c->out->time, err));
	c->out->clock = last.clock;
	TRY(state_fold(c->fold, c->stream, c->domain, c->bounds, s, c->out, err));
	c->found = true;
	return LEDGER_NO;
}

static enum ledger_status from_nearest(struct ledger_fold *f, struct slice stream,
	struct slice domain, const struct shared_bounds *bounds, struct ledger_state *out,
	struct ledger_error *err)
{
	struct choice c = {
		.fold = f, .bounds = bounds, .out = out, .stream = stream, .domain = domain
	};
	TRY(reducer_find(f, stream, &c.reducer, err));
	enum ledger_status status = snapshot_each(f->ledger, stream, domain, consider, &c, err);
	if (c.found)
		return LEDGER_OK;
	TRY(status);
	return state_fold(f, stream, domain, bounds, NULL, out, err);
}

/* --- Which domain ---------------------------------------------------------------------------- */

struct search {
	struct ledger_fold *fold;
	size_t n;
};

static enum ledger_status keep_domain(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err)
{
	struct search *search = context;
	struct buf *kept = &search->fold->domain;
	if (search->n++)
		buf_add_text(kept, " and ");
	buf_add_slice(kept, domain);
	(void)stream;
	return buf_check(kept, err);
}

/* Leaves stream and domain in f, which live as long as the answer. */
static enum ledger_status find_domain(
	struct ledger_fold *f, struct slice stream, struct slice domain, struct ledger_error *err)
{
	CLEANUP_BUF struct buf name = { 0 };
	struct search search = { .fold = f };
	TRY(event_check_stream(stream, err));
	buf_add_slice(&name, stream);
	buf_reset(&f->domain);
	TRY(shared_domains(f->ledger, stream, domain, keep_domain, &search, err));
	if (search.n > 1) {
		fail(err, LEDGER_USAGE, "stream %.*s is in domains %s", SLICE_ARG(stream),
			buf_text(&f->domain));
		return hint(err, "name one of them with -d");
	}
	if (search.n == 0)
		return fail(err, LEDGER_NO, "stream %.*s has no events%s%.*s", SLICE_ARG(stream),
			domain.ptr ? " in domain " : "", SLICE_ARG(domain));
	buf_reset(&f->stream);
	buf_add_slice(&f->stream, buf_slice(&name));
	return buf_check(&f->stream, err);
}

enum ledger_status ledger_state(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct ledger_moment *moment, struct ledger_state *out, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct shared_bounds bounds = state_bounds(moment);
	struct ledger_state state = { 0 };
	TRY(read_txn_begin(&txn, f->ledger->store, err));
	TRY(find_domain(f, stream, domain, err));
	TRY(from_nearest(f, buf_slice(&f->stream), buf_slice(&f->domain), &bounds, &state, err));
	*out = state;
	return LEDGER_OK;
}
