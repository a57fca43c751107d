/*
 * One stream in the order of all nodes: clock, origin, epoch, domain, sequence. What one node recorded
 * arrives in that order, what several did does not.
 *
 * The smallest keys of the stream are collected in a window of bounded size, sorted and handed out; then
 * the next window, from the first position that the last one had no room for. A stream that lies in
 * order is so read once, whatever its length; any other is right all the same.
 */
#include "shared.h"

#include <stdlib.h>

#include "posting.h"

#include "../base/banned.h"

/* Keys that are kept of one round; twice as many are collected before the larger half goes. */
size_t shared_window = 200000;

struct place {
	uint64_t clock;
	uint64_t chain; /* row id */
	uint64_t sequence;
	uint64_t position;
};

struct window {
	struct ledger *ledger;
	const struct ledger_filter *filter;
	struct slice domain;
	const struct shared_bounds *bounds;
	struct place *places;
	size_t n, room;
	bool is_cut;	    /* keys behind places[shared_window - 1] were left for later, … */
	uint64_t left_from; /* … none before this position */
	bool has_floor;
	struct place floor; /* the last key handed out */
};

#define CLEANUP_WINDOW __attribute__((cleanup(window_done)))

static void window_done(struct window *w)
{
	free(w->places);
}

/* Equal clocks are rare: only then are the words of the chains needed. */
static int compare(const void *a, const void *b, void *context)
{
	const struct place *x = a, *y = b;
	struct window *w = context;
	if (x->clock != y->clock)
		return x->clock < y->clock ? -1 : 1;
	if (x->chain != y->chain) {
		const struct chain_row *p = names_chain(w->ledger, x->chain);
		const struct chain_row *q = p ? names_chain(w->ledger, y->chain) : NULL;
		p = q ? names_chain(w->ledger, x->chain) : NULL;
		int order = p ? slice_cmp(p->origin, q->origin) : 0;
		if (order)
			return order;
		if (p && p->epoch != q->epoch)
			return p->epoch < q->epoch ? -1 : 1;
	}
	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

static void leave_for_later(struct window *w, uint64_t position)
{
	if (!w->is_cut || position < w->left_from)
		w->left_from = position;
	w->is_cut = true;
}

static void sort(struct window *w)
{
	if (w->n)
		qsort_r(w->places, w->n, sizeof(*w->places), compare, w);
	while (w->n > shared_window)
		leave_for_later(w, w->places[--w->n].position);
}

static enum ledger_status add(struct window *w, const struct place *place, struct ledger_error *err)
{
	if (w->has_floor && compare(place, &w->floor, w) <= 0)
		return LEDGER_OK;
	if (w->is_cut && compare(place, &w->places[shared_window - 1], w) > 0) {
		leave_for_later(w, place->position);
		return LEDGER_OK;
	}
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 256;
		room = room > 2 * shared_window ? 2 * shared_window : room;
		struct place *more = realloc(w->places, room * sizeof(*more));
		if (!more)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		w->places = more;
		w->room = room;
	}
	w->places[w->n++] = *place;
	if (w->n == 2 * shared_window)
		sort(w);
	return LEDGER_OK;
}

static bool is_within(const struct window *w, uint64_t time, uint64_t clock, uint64_t version)
{
	const struct shared_bounds *b = w->bounds;
	return time <= b->time && clock <= b->clock && version <= b->version;
}

/* Looks at what decides whether an event belongs here, and where; its payload is not read. */
static enum ledger_status look_at(struct window *w, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct place place = { .position = position };
	uint64_t time, version;
	bool row;
	TRY(store_get(w->ledger->store, SQL_EVENT_PLACE, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(w->ledger->store, st, &row, err));
	if (!row)
		return LEDGER_OK;
	const struct chain_row *chain = NULL;
	if (column_u64(st, 0, &place.chain) && column_u64(st, 1, &place.sequence) &&
		column_u64(st, 2, &place.clock) && column_u64(st, 3, &time) &&
		column_u64(st, 4, &version))
		chain = names_chain(w->ledger, place.chain);
	if (!chain) {
		fail(err, LEDGER_DAMAGED, "position %" PRIu64 " of %s is malformed", position,
			store_path(w->ledger->store));
		return hint(err, "ledgerbox verify lists what is wrong");
	}
	if (!slice_eq(chain->domain_name, w->domain) || !is_within(w, time, place.clock, version))
		return LEDGER_OK;
	return add(w, &place, err);
}

/* Fills the window from position `from` on. */
static enum ledger_status fill(
	struct window *w, uint64_t from, uint64_t to, struct ledger_error *err)
{
	CLEANUP_POSTINGS struct postings p = { 0 };
	uint64_t at = from;
	bool ended;
	w->n = 0;
	w->is_cut = false;
	TRY(postings_init(&p, w->ledger, w->filter, from, to, err));
	while (at >= p.from && at <= p.to) {
		TRY(postings_next(&p, &at, &ended, err));
		if (ended)
			break;
		TRY(look_at(w, at, err));
		at++;
	}
	sort(w);
	return LEDGER_OK;
}

static enum ledger_status hand_out(
	struct window *w, ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	CLEANUP_BUF struct buf scratch = { 0 };
	TRY(store_prepare(w->ledger->store, SQL_EVENT, &st, err));
	for (size_t i = 0; i < w->n; i++) {
		struct event event;
		bool row;
		stmt_reset(&st);
		bind_u64(st, 1, w->places[i].position);
		TRY(stmt_row(w->ledger->store, st, &row, err));
		if (!row)
			continue;
		TRY(row_read(w->ledger, st, &event, err));
		if (filter_matches(w->filter, &event, &scratch))
			TRY(fn(&event, context, err));
	}
	return LEDGER_OK;
}

enum ledger_status shared_read(struct ledger *l, struct slice stream, struct slice domain,
	const struct shared_bounds *bounds, ledger_event_fn *fn, void *context,
	struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct ledger_filter filter = { .streams = &stream, .n_streams = 1 };
	CLEANUP_WINDOW struct window w = {
		.ledger = l, .filter = &filter, .domain = domain, .bounds = bounds
	};
	struct seal seal;
	uint64_t from = bounds->after + 1;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(seal_read(l, &seal, err));
	uint64_t to = bounds->position < seal.position ? bounds->position : seal.position;
	while (from <= to) {
		TRY(fill(&w, from, to, err));
		/* clang 14 does not follow cleanup attributes. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		TRY(hand_out(&w, fn, context, err));
		if (!w.is_cut)
			break;
		from = w.left_from;
		w.floor = w.places[w.n - 1];
		w.has_floor = true;
	}
	return LEDGER_OK;
}

/* --- Where streams are ----------------------------------------------------------------------- */

static enum ledger_status has_stream(struct ledger *l, struct slice stream, uint64_t domain,
	bool *found, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t version;
	bool row;
	TRY(store_get(l->store, SQL_STREAM_VERSION, &st, err));
	bind_text(st, 1, stream);
	bind_u64(st, 2, domain);
	TRY(stmt_row(l->store, st, &row, err));
	*found = row && column_u64(st, 0, &version);
	return LEDGER_OK;
}

enum ledger_status shared_domains(struct ledger *l, struct slice stream, struct slice domain,
	shared_domain_fn *fn, void *context, struct ledger_error *err)
{
	TRY(names_load(l, err));
	for (size_t i = 0; i < l->names.n_domains; i++) {
		struct slice name = l->names.domains[i].name;
		bool found;
		if (domain.ptr && !slice_eq(name, domain))
			continue;
		TRY(has_stream(l, stream, l->names.domains[i].id, &found, err));
		if (found)
			TRY(fn(stream, name, context, err));
	}
	return LEDGER_OK;
}

struct listing {
	struct ledger *ledger;
	struct slice domain;
	ledger_stream_fn *fn;
	void *context;
};

/* The names may be read again while `fn` works: its words are kept here. */
static enum ledger_status hand_on(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err)
{
	const struct listing *listing = context;
	CLEANUP_ARENA struct arena arena = { 0 };
	struct slice kept = arena_copy(&arena, domain);
	if (!kept.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return listing->fn(stream, kept, listing->context, err);
}

static enum ledger_status list_domains(struct slice word, void *context, struct ledger_error *err)
{
	const struct listing *listing = context;
	return shared_domains(
		listing->ledger, word, listing->domain, hand_on, (void *)listing, err);
}

enum ledger_status ledger_streams(struct ledger *l, struct slice prefix, struct slice domain,
	ledger_stream_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct listing listing = { l, domain, fn, context };
	TRY(read_txn_begin(&txn, l->store, err));
	return ledger_list_words(
		l, LEDGER_WORDS_STREAM, prefix, SIZE_MAX, list_domains, &listing, err);
}
