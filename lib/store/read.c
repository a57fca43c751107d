/*
 * Reading events in order of position. Each part of a filter that an index can answer becomes a
 * union of position lists ("postings"): tags, correlations, types, streams, chains. The lists are
 * intersected by leaps, then the event is fetched and the whole filter applied to it, so a list only
 * has to contain what matches, not nothing else. Without any list the events are scanned.
 */
#include "handle.h"

#include <stdlib.h>

#include "../base/banned.h"

#define POSTINGS_MAX 64

/* A type prefix with more events than this is scanned for, not sorted. */
#define STREAM_TYPE_SORT_MAX 20000

/* One ascending (or descending) list of positions. */
struct posting {
	struct stmt *st;
	bool may_seek; /* the statement finds a position by itself, without reading up to it */
	bool ended;
	uint64_t position; /* where it stands */
	struct slice word[2];
	uint64_t number; /* chain row, where word[0] is absent */
	char *owned;	 /* memory behind the words, ours to free */
};

/* A union of lists: any of them will do. */
struct posting_union {
	struct posting *lists;
	size_t n;
};

struct reader {
	struct ledger *ledger;
	const struct ledger_filter *filter;
	uint64_t from, to; /* positions left to look at, inclusive */
	struct posting postings[POSTINGS_MAX];
	size_t n_postings;
	struct posting_union unions[2 + EVENT_TAGS_MAX + 3];
	size_t n_unions;
	struct buf scratch;
};

#define CLEANUP_READER __attribute__((cleanup(reader_done)))

static void reader_done(struct reader *r)
{
	for (size_t i = 0; i < r->n_postings; i++) {
		stmt_done(&r->postings[i].st);
		free(r->postings[i].owned);
	}
	buf_done(&r->scratch);
}

/* --- The filter on one event ----------------------------------------------------------------- */

static bool one_of(struct slice word, const struct slice *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(word, words[i]))
			return true;
	return n == 0;
}

static bool has_tag(struct slice tags, struct slice wanted)
{
	struct slice tag;
	while (event_next_tag(&tags, &tag))
		if (slice_eq(tag, wanted))
			return true;
	return false;
}

static bool matches_tags(const struct ledger_filter *f, const struct event *event)
{
	for (size_t i = 0; i < f->n_tags; i++)
		if (!has_tag(event->tags, f->tags[i]))
			return false;
	return true;
}

static bool is_type_prefix(struct slice stream)
{
	return stream.len && stream.ptr[stream.len - 1] == '/';
}

static bool matches_streams(const struct ledger_filter *f, const struct event *event)
{
	for (size_t i = 0; i < f->n_streams; i++) {
		if (is_type_prefix(f->streams[i]) ? slice_starts(event->stream, f->streams[i])
						  : slice_eq(event->stream, f->streams[i]))
			return true;
	}
	return f->n_streams == 0;
}

static bool matches_correlation(
	const struct ledger_filter *f, const struct event *event, struct buf *scratch)
{
	if (f->n_correlations == 0)
		return true;
	return event_correlation(event, scratch) &&
	       one_of(buf_slice(scratch), f->correlations, f->n_correlations);
}

bool filter_matches(const struct ledger_filter *f, const struct event *event, struct buf *scratch)
{
	return event->time >= f->since && (f->until == 0 || event->time < f->until) &&
	       one_of(event->type, f->types, f->n_types) &&
	       one_of(event->domain, f->domains, f->n_domains) &&
	       one_of(event->origin, f->origins, f->n_origins) && matches_streams(f, event) &&
	       matches_tags(f, event) && matches_correlation(f, event, scratch);
}

/* --- Postings -------------------------------------------------------------------------------- */

static enum sql direction(const struct reader *r, enum sql up, enum sql down)
{
	return r->filter->reverse ? down : up;
}

static enum ledger_status add_posting(struct reader *r, enum sql which, bool may_seek,
	struct posting **out, struct ledger_error *err)
{
	struct posting *p = &r->postings[r->n_postings];
	*p = (struct posting){ .may_seek = may_seek };
	TRY(store_prepare(r->ledger->store, which, &p->st, err));
	r->n_postings++;
	r->unions[r->n_unions].n++;
	*out = p;
	return LEDGER_OK;
}

static bool begin_union(struct reader *r, size_t n)
{
	if (n == 0 || r->n_postings + n > POSTINGS_MAX)
		return false;
	r->unions[r->n_unions] = (struct posting_union){ r->postings + r->n_postings, 0 };
	return true;
}

static enum ledger_status add_word_union(struct reader *r, enum sql which,
	const struct slice *words, size_t n, struct ledger_error *err)
{
	if (!begin_union(r, n))
		return LEDGER_OK;
	for (size_t i = 0; i < n; i++) {
		struct posting *p;
		TRY(add_posting(r, which, true, &p, err));
		p->word[0] = words[i];
	}
	r->n_unions++;
	return LEDGER_OK;
}

static enum ledger_status add_tags(struct reader *r, struct ledger_error *err)
{
	for (size_t i = 0; i < r->filter->n_tags && i < EVENT_TAGS_MAX; i++)
		TRY(add_word_union(
			r, direction(r, SQL_TAG_UP, SQL_TAG_DOWN), &r->filter->tags[i], 1, err));
	return LEDGER_OK;
}

static enum ledger_status own_word(
	struct posting *p, struct slice prefix, struct slice word, int at, struct ledger_error *err)
{
	char *copy = malloc(prefix.len + word.len + 1);
	if (!copy)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	memcpy(copy, prefix.ptr, prefix.len);
	memcpy(copy + prefix.len, word.ptr, word.len);
	p->owned = copy;
	p->word[at] = (struct slice){ copy, prefix.len + word.len };
	return LEDGER_OK;
}

static enum ledger_status add_correlations(struct reader *r, struct ledger_error *err)
{
	if (!begin_union(r, r->filter->n_correlations))
		return LEDGER_OK;
	for (size_t i = 0; i < r->filter->n_correlations; i++) {
		struct posting *p;
		TRY(add_posting(r, direction(r, SQL_TAG_UP, SQL_TAG_DOWN), true, &p, err));
		TRY(own_word(p, SLICE("@correlation:"), r->filter->correlations[i], 0, err));
	}
	r->n_unions++;
	return LEDGER_OK;
}

/* "product/" up to and without "product0": the character behind '/'. */
static enum ledger_status bound_prefix(
	struct posting *p, struct slice prefix, struct ledger_error *err)
{
	p->word[0] = prefix;
	TRY(own_word(p, SLICE(""), prefix, 1, err));
	p->owned[prefix.len - 1] = '/' + 1;
	return LEDGER_OK;
}

static enum ledger_status prefix_is_small(
	struct reader *r, struct slice prefix, bool *small, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct posting bound = { 0 };
	uint64_t n = 0;
	bool row;
	TRY(store_get(r->ledger->store, SQL_STREAM_TYPE_COUNT, &st, err));
	TRY(bound_prefix(&bound, prefix, err));
	bind_text(st, 1, bound.word[0]);
	bind_text(st, 2, bound.word[1]);
	bind_u64(st, 3, STREAM_TYPE_SORT_MAX + 1);
	enum ledger_status status = stmt_row(r->ledger->store, st, &row, err);
	*small = status == LEDGER_OK && row && column_u64(st, 0, &n) && n <= STREAM_TYPE_SORT_MAX;
	stmt_reset(&st);
	free(bound.owned);
	return status;
}

static enum ledger_status add_streams(struct reader *r, struct ledger_error *err)
{
	const struct ledger_filter *f = r->filter;
	for (size_t i = 0; i < f->n_streams; i++) {
		bool small = true;
		if (is_type_prefix(f->streams[i]))
			TRY(prefix_is_small(r, f->streams[i], &small, err));
		if (!small)
			return LEDGER_OK;
	}
	if (!begin_union(r, f->n_streams))
		return LEDGER_OK;
	for (size_t i = 0; i < f->n_streams; i++) {
		struct posting *p;
		bool prefix = is_type_prefix(f->streams[i]);
		TRY(add_posting(r,
			prefix ? direction(r, SQL_STREAM_TYPE_UP, SQL_STREAM_TYPE_DOWN)
			       : direction(r, SQL_STREAM_UP, SQL_STREAM_DOWN),
			false, &p, err));
		p->word[0] = f->streams[i];
		if (prefix)
			TRY(bound_prefix(p, f->streams[i], err));
	}
	r->n_unions++;
	return LEDGER_OK;
}

static enum ledger_status chain_length(
	struct reader *r, uint64_t chain, uint64_t *length, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*length = 0;
	TRY(store_get(r->ledger->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, chain);
	TRY(stmt_row(r->ledger->store, st, &row, err));
	if (row)
		column_u64(st, 0, length);
	return LEDGER_OK;
}

/* Chains of the wanted domains and origins, where they hold few of the events: a list for each. */
static enum ledger_status add_chains(struct reader *r, struct ledger_error *err)
{
	const struct ledger_filter *f = r->filter;
	const struct names *names = &r->ledger->names;
	uint64_t wanted[POSTINGS_MAX], total = 0;
	size_t n = 0;
	if (f->n_domains == 0 && f->n_origins == 0)
		return LEDGER_OK;
	TRY(names_load(r->ledger, err));
	for (size_t i = 0; i < names->n_chains; i++) {
		const struct chain_row *c = &names->chains[i];
		uint64_t length;
		if (!one_of(c->domain_name, f->domains, f->n_domains) ||
			!one_of(c->origin, f->origins, f->n_origins))
			continue;
		TRY(chain_length(r, c->id, &length, err));
		total += length;
		if (n == POSTINGS_MAX || total > r->to / 8)
			return LEDGER_OK;
		wanted[n++] = c->id;
	}
	if (n == 0)
		r->to = 0; /* there is no such chain, nothing can match */
	if (!begin_union(r, n))
		return LEDGER_OK;
	for (size_t i = 0; i < n; i++) {
		struct posting *p;
		TRY(add_posting(r, direction(r, SQL_CHAIN_UP, SQL_CHAIN_DOWN), false, &p, err));
		p->number = wanted[i];
	}
	r->n_unions++;
	return LEDGER_OK;
}

static enum ledger_status start_posting(
	struct reader *r, struct posting *p, uint64_t from, uint64_t to, struct ledger_error *err)
{
	bool row;
	stmt_reset(&p->st);
	bind_u64(p->st, 1, from);
	bind_u64(p->st, 2, to);
	if (p->word[0].ptr)
		bind_text(p->st, 3, p->word[0]);
	else
		bind_u64(p->st, 3, p->number);
	if (p->word[1].ptr)
		bind_text(p->st, 4, p->word[1]);
	TRY(stmt_row(r->ledger->store, p->st, &row, err));
	p->ended = !row || !column_u64(p->st, 0, &p->position);
	return LEDGER_OK;
}

static bool is_before(const struct reader *r, uint64_t a, uint64_t b)
{
	return r->filter->reverse ? a > b : a < b;
}

/* Moves a list to the first position that is not before `at`. */
static enum ledger_status advance_posting(
	struct reader *r, struct posting *p, uint64_t at, struct ledger_error *err)
{
	for (int steps = 0; !p->ended && is_before(r, p->position, at); steps++) {
		bool row;
		if (p->may_seek && steps == 1)
			return r->filter->reverse ? start_posting(r, p, r->from, at, err)
						  : start_posting(r, p, at, r->to, err);
		TRY(stmt_row(r->ledger->store, p->st, &row, err));
		p->ended = !row || !column_u64(p->st, 0, &p->position);
	}
	return LEDGER_OK;
}

/* The nearest position of a union that is not before `at`. */
static enum ledger_status advance_union(struct reader *r, struct posting_union *u, uint64_t at,
	uint64_t *nearest, bool *ended, struct ledger_error *err)
{
	*ended = true;
	for (size_t i = 0; i < u->n; i++) {
		TRY(advance_posting(r, &u->lists[i], at, err));
		if (u->lists[i].ended)
			continue;
		if (*ended || is_before(r, u->lists[i].position, *nearest))
			*nearest = u->lists[i].position;
		*ended = false;
	}
	return LEDGER_OK;
}

/* Leaps to the next position, not before *at, that all unions have. */
static enum ledger_status next_common(
	struct reader *r, uint64_t *at, bool *ended, struct ledger_error *err)
{
	for (size_t agreed = 0, i = 0; agreed < r->n_unions; i = (i + 1) % r->n_unions) {
		uint64_t nearest = *at;
		TRY(advance_union(r, &r->unions[i], *at, &nearest, ended, err));
		if (*ended)
			return LEDGER_OK;
		agreed = nearest == *at ? agreed + 1 : 1;
		*at = nearest;
	}
	*ended = false;
	return LEDGER_OK;
}

/* --- Reading --------------------------------------------------------------------------------- */

static enum ledger_status mark_bound(struct reader *r, enum sql which, uint64_t time,
	uint64_t *position, bool *found, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(r->ledger->store, which, &st, err));
	bind_u64(st, 1, time);
	TRY(stmt_row(r->ledger->store, st, &row, err));
	*found = row && column_u64(st, 0, position);
	return LEDGER_OK;
}

/* Cuts the range to the marks whose span of time can hold a match; the events behind the last mark stay. */
static enum ledger_status cut_by_time(struct reader *r, uint64_t last, struct ledger_error *err)
{
	uint64_t unmarked = last - last % FORMAT_MARK_EVERY + 1, position;
	bool found;
	if (r->filter->since) {
		TRY(mark_bound(r, SQL_MARK_SINCE, r->filter->since, &position, &found, err));
		uint64_t first = found ? position : unmarked;
		r->from = first > r->from ? first : r->from;
	}
	if (r->filter->until && r->from < unmarked && r->to < unmarked) {
		TRY(mark_bound(r, SQL_MARK_UNTIL, r->filter->until, &position, &found, err));
		uint64_t most = found ? position : 0;
		r->to = most < r->to ? most : r->to;
	}
	return LEDGER_OK;
}

static enum ledger_status reader_init(struct reader *r, struct ledger *l,
	const struct ledger_filter *filter, struct ledger_error *err)
{
	struct seal seal;
	*r = (struct reader){
		.ledger = l, .filter = filter, .from = filter->from ? filter->from : 1
	};
	TRY(seal_read(l, &seal, err));
	r->to = filter->to && filter->to < seal.position ? filter->to : seal.position;
	TRY(cut_by_time(r, seal.position, err));
	TRY(add_tags(r, err));
	TRY(add_correlations(r, err));
	TRY(add_streams(r, err));
	TRY(add_chains(r, err));
	/* Types are many to an event list: worth a list of their own only where nothing finer is there. */
	if (r->n_unions == 0)
		TRY(add_word_union(r, direction(r, SQL_TYPE_UP, SQL_TYPE_DOWN), filter->types,
			filter->n_types, err));
	for (size_t i = 0; i < r->n_postings && r->from <= r->to; i++)
		TRY(start_posting(r, &r->postings[i], r->from, r->to, err));
	return LEDGER_OK;
}

struct delivery {
	ledger_event_fn *fn;
	void *context;
	uint64_t left;
	bool enough;
};

static enum ledger_status deliver(
	struct reader *r, struct stmt *st, struct delivery *d, struct ledger_error *err)
{
	struct event event;
	TRY(row_read(r->ledger, st, &event, err));
	if (!filter_matches(r->filter, &event, &r->scratch))
		return LEDGER_OK;
	TRY(d->fn(&event, d->context, err));
	d->enough = --d->left == 0;
	return LEDGER_OK;
}

static enum ledger_status scan(struct reader *r, struct delivery *d, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(store_prepare(
		r->ledger->store, direction(r, SQL_EVENTS_UP, SQL_EVENTS_DOWN), &st, err));
	bind_u64(st, 1, r->from);
	bind_u64(st, 2, r->to);
	while (!d->enough) {
		bool row;
		TRY(stmt_row(r->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(deliver(r, st, d, err));
	}
	return LEDGER_OK;
}

static enum ledger_status fetch(struct reader *r, struct stmt *st, uint64_t position,
	struct delivery *d, struct ledger_error *err)
{
	bool row;
	stmt_reset(&st);
	bind_u64(st, 1, position);
	TRY(stmt_row(r->ledger->store, st, &row, err));
	return row ? deliver(r, st, d, err) : LEDGER_OK;
}

static enum ledger_status leap(struct reader *r, struct delivery *d, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	uint64_t at = r->filter->reverse ? r->to : r->from;
	TRY(store_prepare(r->ledger->store, SQL_EVENT, &st, err));
	while (!d->enough && at >= r->from && at <= r->to) {
		bool ended;
		TRY(next_common(r, &at, &ended, err));
		if (ended)
			return LEDGER_OK;
		TRY(fetch(r, st, at, d, err));
		at = r->filter->reverse ? at - 1 : at + 1;
	}
	return LEDGER_OK;
}

enum ledger_status ledger_read(struct ledger *l, const struct ledger_filter *filter,
	ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_READER struct reader r = { 0 };
	struct delivery d = { fn, context, filter->limit ? filter->limit : UINT64_MAX, false };
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(reader_init(&r, l, filter, err));
	if (r.from > r.to)
		return LEDGER_OK;
	return r.n_unions ? leap(&r, &d, err) : scan(&r, &d, err);
}

static enum ledger_status keep_position(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	*(uint64_t *)context = event->position;
	return LEDGER_OK;
}

enum ledger_status ledger_last(struct ledger *l, const struct ledger_filter *filter, uint64_t n,
	uint64_t *from, struct ledger_error *err)
{
	struct ledger_filter backwards = *filter;
	backwards.reverse = true;
	backwards.limit = n;
	uint64_t position = 0;
	if (n)
		TRY(ledger_read(l, &backwards, keep_position, &position, err));
	*from = position;
	return LEDGER_OK;
}

enum ledger_status ledger_last_position(
	struct ledger *l, uint64_t *position, struct ledger_error *err)
{
	struct seal seal;
	TRY(seal_read(l, &seal, err));
	*position = seal.position;
	return LEDGER_OK;
}
