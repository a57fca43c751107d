#include "posting.h"

#include <stdlib.h>

#include "../base/banned.h"

/* A prefix that so many of a block's events have is scanned for: faster than fetching them one by one. */
#define RANGE_MAX (FORMAT_BLOCK / 4)

void postings_done(struct postings *r)
{
	for (size_t i = 0; i < r->n_lists; i++) {
		stmt_done(&r->lists[i].st);
		free(r->lists[i].owned);
	}
	r->n_lists = 0;
}

bool one_of(struct slice word, const struct slice *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(word, words[i]))
			return true;
	return n == 0;
}

bool is_type_prefix(struct slice stream)
{
	/* The key may have a '/' of its own, at its end too. */
	return stream.len && memchr(stream.ptr, '/', stream.len) == stream.ptr + stream.len - 1;
}

/* --- Building the lists ----------------------------------------------------------------------- */

static enum ledger_status add_posting(
	struct postings *r, enum posting_kind kind, struct posting **out, struct ledger_error *err)
{
	static const enum sql statements[][2] = {
		[POSTING_TERM] = { SQL_TERM_UP, SQL_TERM_DOWN },
		[POSTING_RANGE] = { SQL_TERM_RANGE_UP, SQL_TERM_RANGE_DOWN },
		[POSTING_TYPE] = { SQL_TYPE_UP, SQL_TYPE_DOWN },
		[POSTING_CHAIN] = { SQL_CHAIN_UP, SQL_CHAIN_DOWN },
	};
	struct posting *p = &r->lists[r->n_lists];
	*p = (struct posting){ .kind = kind };
	TRY(store_prepare(r->ledger->store, statements[kind][r->filter->reverse], &p->st, err));
	r->n_lists++;
	r->unions[r->n_unions].n++;
	*out = p;
	return LEDGER_OK;
}

static bool begin_union(struct postings *r, size_t n)
{
	if (n == 0 || r->n_lists + n > POSTINGS_MAX)
		return false;
	r->unions[r->n_unions] = (struct posting_union){ r->lists + r->n_lists, 0 };
	return true;
}

static enum ledger_status add_word_union(struct postings *r, enum posting_kind kind,
	const struct slice *words, size_t n, struct ledger_error *err)
{
	if (!begin_union(r, n))
		return LEDGER_OK;
	for (size_t i = 0; i < n; i++) {
		struct posting *p;
		TRY(add_posting(r, kind, &p, err));
		p->word[0] = words[i];
	}
	r->n_unions++;
	return LEDGER_OK;
}

static enum ledger_status add_tags(struct postings *r, struct ledger_error *err)
{
	for (size_t i = 0; i < r->filter->n_tags && i < EVENT_TAGS_MAX; i++)
		TRY(add_word_union(r, POSTING_TERM, &r->filter->tags[i], 1, err));
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

static enum ledger_status add_correlations(struct postings *r, struct ledger_error *err)
{
	if (!begin_union(r, r->filter->n_correlations))
		return LEDGER_OK;
	for (size_t i = 0; i < r->filter->n_correlations; i++) {
		struct posting *p;
		TRY(add_posting(r, POSTING_TERM, &p, err));
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

/* Judged by the newest block that is full, or nearly so. */
static enum ledger_status prefix_is_small(
	struct postings *r, struct slice prefix, bool *small, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct posting bound = { 0 };
	uint64_t n = 0, block = r->to / FORMAT_BLOCK;
	bool row;
	if (block && r->to % FORMAT_BLOCK < FORMAT_BLOCK / 2)
		block--;
	TRY(store_get(r->ledger->store, SQL_TERM_RANGE_COUNT, &st, err));
	TRY(bound_prefix(&bound, prefix, err));
	bind_u64(st, 1, block);
	bind_text(st, 2, bound.word[0]);
	bind_text(st, 3, bound.word[1]);
	enum ledger_status status = stmt_row(r->ledger->store, st, &row, err);
	*small = status == LEDGER_OK && row && column_u64(st, 0, &n) && n <= RANGE_MAX;
	stmt_reset(&st);
	free(bound.owned);
	return status;
}

static enum ledger_status add_streams(struct postings *r, struct ledger_error *err)
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
		TRY(add_posting(r, prefix ? POSTING_RANGE : POSTING_TERM, &p, err));
		p->word[0] = f->streams[i];
		if (prefix)
			TRY(bound_prefix(p, f->streams[i], err));
	}
	r->n_unions++;
	return LEDGER_OK;
}

static enum ledger_status chain_length(
	struct postings *r, uint64_t chain, uint64_t *length, struct ledger_error *err)
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
static enum ledger_status add_chains(struct postings *r, struct ledger_error *err)
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
		TRY(add_posting(r, POSTING_CHAIN, &p, err));
		p->number = wanted[i];
	}
	r->n_unions++;
	return LEDGER_OK;
}

/* --- One list --------------------------------------------------------------------------------- */

static bool is_before(const struct postings *r, uint64_t a, uint64_t b)
{
	return r->filter->reverse ? a > b : a < b;
}

static bool is_by_block(const struct posting *p)
{
	return p->kind == POSTING_TERM || p->kind == POSTING_RANGE;
}

static void bind_block(struct posting *p)
{
	stmt_reset(&p->st);
	bind_u64(p->st, 1, p->block);
	bind_text(p->st, 2, p->word[0]);
	bind_u64(p->st, 3, p->from);
	bind_u64(p->st, 4, p->to);
	if (p->kind == POSTING_RANGE)
		bind_text(p->st, 5, p->word[1]);
}

static void bind_whole(struct posting *p)
{
	stmt_reset(&p->st);
	bind_u64(p->st, 1, p->from);
	bind_u64(p->st, 2, p->to);
	if (p->kind == POSTING_CHAIN)
		bind_u64(p->st, 3, p->number);
	else
		bind_text(p->st, 3, p->word[0]);
}

/* So many blocks are tried one after the other, then one that has rows is looked for: positions without rows
 * may be many where a file is damaged. */
#define BLOCKS_TRIED 8

/* To the next block; *there is false where there is none in the range. */
static enum ledger_status next_block(
	struct postings *r, struct posting *p, bool *there, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row, down = r->filter->reverse;
	uint64_t block = 0, last = (down ? p->from : p->to) / FORMAT_BLOCK;
	*there = false;
	if (!is_by_block(p) || !is_before(r, p->block, last))
		return LEDGER_OK;
	if (++p->tried % BLOCKS_TRIED) {
		p->block = down ? p->block - 1 : p->block + 1;
		bind_block(p);
		*there = true;
		return LEDGER_OK;
	}
	TRY(store_get(r->ledger->store, down ? SQL_TERM_BLOCK_DOWN : SQL_TERM_BLOCK_UP, &st, err));
	bind_u64(st, 1, p->block);
	TRY(stmt_row(r->ledger->store, st, &row, err));
	if (!row || !column_u64(st, 0, &block))
		return LEDGER_OK;
	if (!is_before(r, p->block, block)) /* pages of a damaged file may lead round for ever */
		return fail(err, LEDGER_DAMAGED, "table term of %s is out of order",
			store_path(r->ledger->store));
	p->block = block;
	bind_block(p);
	*there = true;
	return LEDGER_OK;
}

static enum ledger_status step_posting(
	struct postings *r, struct posting *p, struct ledger_error *err)
{
	for (bool row = false, more = true; !row && more;) {
		TRY(stmt_row(r->ledger->store, p->st, &row, err));
		p->ended = !row || !column_u64(p->st, 0, &p->position);
		if (!row)
			TRY(next_block(r, p, &more, err));
	}
	return LEDGER_OK;
}

static enum ledger_status start_posting(
	struct postings *r, struct posting *p, uint64_t from, uint64_t to, struct ledger_error *err)
{
	p->from = from;
	p->to = to;
	p->block = (r->filter->reverse ? to : from) / FORMAT_BLOCK;
	if (is_by_block(p))
		bind_block(p);
	else
		bind_whole(p);
	return step_posting(r, p, err);
}

enum ledger_status postings_init(struct postings *r, struct ledger *l,
	const struct ledger_filter *filter, uint64_t from, uint64_t to, struct ledger_error *err)
{
	*r = (struct postings){ .ledger = l, .filter = filter, .from = from, .to = to };
	TRY(add_tags(r, err));
	TRY(add_correlations(r, err));
	TRY(add_streams(r, err));
	TRY(add_chains(r, err));
	/* Types are many to an event list: worth a list of their own only where nothing finer is there. */
	if (r->n_unions == 0)
		TRY(add_word_union(r, POSTING_TYPE, filter->types, filter->n_types, err));
	for (size_t i = 0; i < r->n_lists && r->from <= r->to; i++)
		TRY(start_posting(r, &r->lists[i], r->from, r->to, err));
	return LEDGER_OK;
}

/* --- Leaping ---------------------------------------------------------------------------------- */

/* Is it better to look for `at` anew than to read on? A range is sorted anew in its block. */
static bool should_seek(const struct posting *p, uint64_t at, int steps)
{
	if (p->kind == POSTING_RANGE)
		return at / FORMAT_BLOCK != p->block;
	return p->kind != POSTING_CHAIN && steps == 1;
}

/* Moves a list to the first position that is not before `at`. */
static enum ledger_status advance_posting(
	struct postings *r, struct posting *p, uint64_t at, struct ledger_error *err)
{
	for (int steps = 0; !p->ended && is_before(r, p->position, at); steps++) {
		if (should_seek(p, at, steps))
			return r->filter->reverse ? start_posting(r, p, r->from, at, err)
						  : start_posting(r, p, at, r->to, err);
		TRY(step_posting(r, p, err));
	}
	return LEDGER_OK;
}

/* The nearest position of a union that is not before `at`. */
static enum ledger_status advance_union(struct postings *r, struct posting_union *u, uint64_t at,
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

enum ledger_status postings_next(
	struct postings *r, uint64_t *at, bool *ended, struct ledger_error *err)
{
	for (size_t agreed = 0, i = 0; agreed < r->n_unions; i = (i + 1) % r->n_unions) {
		uint64_t nearest = *at;
		TRY(advance_union(r, &r->unions[i], *at, &nearest, ended, err));
		if (*ended)
			return LEDGER_OK;
		if (is_before(r, nearest, *at)) /* going back might never end */
			return fail(err, LEDGER_DAMAGED, "an index of %s is out of order",
				store_path(r->ledger->store));
		agreed = nearest == *at ? agreed + 1 : 1;
		*at = nearest;
	}
	*ended = false;
	return LEDGER_OK;
}
