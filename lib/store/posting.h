/*
 * What an index can tell of a filter: lists of positions ("postings"). Each part of the filter that an
 * index answers (tags, correlations, streams, chains, types) is a union of lists; the unions are
 * intersected by leaps. A list has to contain what matches, not nothing else: the filter is applied to
 * the event afterwards.
 */
#ifndef STORE_POSTING_H
#define STORE_POSTING_H

#include "handle.h"

#define POSTINGS_MAX 64

/* How a list is kept. */
enum posting_kind {
	POSTING_TERM,  /* table term, one term: block by block */
	POSTING_RANGE, /* table term, all that begin so: block by block, each sorted */
	POSTING_TYPE,  /* an index of its own */
	POSTING_CHAIN  /* the same, but a position is found only by reading up to it */
};

/* One ascending (or descending) list of positions. */
struct posting {
	struct stmt *st;
	enum posting_kind kind;
	bool ended;
	uint64_t position; /* where it stands */
	uint64_t block, tried;
	uint64_t from, to; /* what is left of the range */
	struct slice word[2];
	uint64_t number; /* chain row, where word[0] is absent */
	char *owned;	 /* memory behind the words, ours to free */
};

/* A union of lists: any of them will do. */
struct posting_union {
	struct posting *lists;
	size_t n;
};

struct postings {
	struct ledger *ledger;
	const struct ledger_filter *filter;
	uint64_t from, to; /* positions to look at, inclusive; from > to: nothing can match */
	struct posting lists[POSTINGS_MAX];
	size_t n_lists;
	struct posting_union unions[2 + EVENT_TAGS_MAX + 3];
	size_t n_unions; /* 0: no index helps, scan the range */
};

#define CLEANUP_POSTINGS __attribute__((cleanup(postings_done)))
void postings_done(struct postings *p);

/* The lists for a filter, within from and to, which may get narrower. */
enum ledger_status postings_init(struct postings *p, struct ledger *l,
	const struct ledger_filter *filter, uint64_t from, uint64_t to, struct ledger_error *err);

/* Leaps to the next position, not before *at in the filter's direction, that all unions have. */
enum ledger_status postings_next(
	struct postings *p, uint64_t *at, bool *ended, struct ledger_error *err);

/* Is `word` one of them (or are there none)? */
bool one_of(struct slice word, const struct slice *words, size_t n);
bool is_type_prefix(struct slice stream);

#endif
