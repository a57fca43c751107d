/*
 * Reading events in order of position: by leaps where an index helps (posting.c), else by a scan of
 * the range. Either way the whole filter is applied to each event that is fetched.
 */
#include "posting.h"

#include "../base/banned.h"

struct reader {
	struct ledger *ledger;
	const struct ledger_filter *filter;
	uint64_t from, to; /* positions left to look at, inclusive */
	uint64_t previous; /* position of the row before; 0: none yet */
	struct postings postings;
	struct buf scratch;
};

#define CLEANUP_READER __attribute__((cleanup(reader_done)))

static void reader_done(struct reader *r)
{
	postings_done(&r->postings);
	buf_done(&r->scratch);
}

/* --- The filter on one event ----------------------------------------------------------------- */

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

/* Do all events from `first` on (fewer than a mark's worth) happen at or after `time`? */
static enum ledger_status is_tail_later(
	struct reader *r, uint64_t first, uint64_t time, bool *later, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t least;
	bool row;
	TRY(store_get(r->ledger->store, SQL_TAIL_MIN_TIME, &st, err));
	bind_u64(st, 1, first);
	TRY(stmt_row(r->ledger->store, st, &row, err));
	*later = !row || !column_u64(st, 0, &least) || least >= time;
	return LEDGER_OK;
}

/* Cuts the range to what the marks' spans of time leave possible; the events behind the last mark have none. */
static enum ledger_status cut_by_time(struct reader *r, uint64_t last, struct ledger_error *err)
{
	uint64_t unmarked = last - last % FORMAT_MARK_EVERY + 1, position = 0;
	bool found, later;
	if (r->filter->since) {
		TRY(mark_bound(r, SQL_MARK_SINCE, r->filter->since, &position, &found, err));
		uint64_t first = found ? position : unmarked;
		r->from = first > r->from ? first : r->from;
	}
	if (r->filter->until) {
		TRY(is_tail_later(r, unmarked, r->filter->until, &later, err));
		TRY(mark_bound(r, SQL_MARK_UNTIL, r->filter->until, &position, &found, err));
		uint64_t most = !later ? last : found ? position : 0;
		r->to = most < r->to ? most : r->to;
	}
	return LEDGER_OK;
}

static enum ledger_status reader_init(struct reader *r, struct ledger *l,
	const struct ledger_filter *filter, struct ledger_error *err)
{
	struct seal seal;
	r->ledger = l;
	r->filter = filter;
	r->from = filter->from ? filter->from : 1;
	TRY(seal_read(l, &seal, err));
	if (l->batch.open) /* a condition sees what its own batch has added */
		seal.position = l->batch.seal.position;
	r->to = filter->to && filter->to < seal.position ? filter->to : seal.position;
	TRY(cut_by_time(r, seal.position, err));
	TRY(postings_init(&r->postings, l, filter, r->from, r->to, err));
	r->from = r->postings.from;
	r->to = r->postings.to;
	return LEDGER_OK;
}

struct delivery {
	ledger_event_fn *fn;
	void *context;
	uint64_t left;
	bool enough;
};

/* The pages of a damaged file can lead back to where they came from, for ever. */
static enum ledger_status check_order(struct reader *r, uint64_t position, struct ledger_error *err)
{
	uint64_t before = r->previous;
	r->previous = position;
	if (before == 0 || (r->filter->reverse ? position < before : position > before))
		return LEDGER_OK;
	fail(err, LEDGER_DAMAGED, "%s is damaged: position %" PRIu64 " comes after %" PRIu64,
		store_path(r->ledger->store), position, before);
	return hint(err, "ledgerbox verify --deep lists what is wrong");
}

static enum ledger_status deliver(
	struct reader *r, struct stmt *st, struct delivery *d, struct ledger_error *err)
{
	struct event event;
	TRY(row_read(r->ledger, st, &event, err));
	TRY(check_order(r, event.position, err));
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
		r->ledger->store, r->filter->reverse ? SQL_EVENTS_DOWN : SQL_EVENTS_UP, &st, err));
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
		TRY(postings_next(&r->postings, &at, &ended, err));
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
	return r.postings.n_unions ? leap(&r, &d, err) : scan(&r, &d, err);
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
