/*
 * The shared order: clock, origin, epoch, domain, sequence. Along a chain the clock grows, so the chains
 * are merged: a few keys of each are at hand, a heap tells which is next. No sorting, nothing on disk, and
 * memory only for the chains.
 */
#include "../replay.h"
#include "handle.h"

#include <stdlib.h>

#include "../base/banned.h"

#define KEYS_AT_HAND 32

struct key {
	uint64_t sequence, clock, position;
};

struct source {
	struct chain_row chain; /* its texts live in the arena */
	struct key keys[KEYS_AT_HAND];
	unsigned at, n;
	struct key last; /* the one before keys[at] */
};

struct ledger_shared {
	struct ledger *ledger;
	struct arena arena;
	struct source *sources;
	struct source **heap; /* those that are not at their end, the smallest first */
	size_t n;
	uint64_t to;
	struct buf scratch;
};

/* --- The keys of a chain --------------------------------------------------------------------- */

static enum ledger_status malformed(struct ledger_shared *s, const struct source *source,
	uint64_t sequence, struct ledger_error *err)
{
	fail(err, LEDGER_DAMAGED,
		"%s is damaged: sequence %" PRIu64 " of chain %.*s/%" PRIu64
		"/%.*s is not behind the one before it",
		store_path(s->ledger->store), sequence, SLICE_ARG(source->chain.origin),
		source->chain.epoch, SLICE_ARG(source->chain.domain_name));
	return hint(err, "ledgerbox verify --deep lists what is wrong");
}

static enum ledger_status read_key(
	struct ledger_shared *s, struct source *source, struct stmt *st, struct ledger_error *err)
{
	const struct key *before = source->n ? &source->keys[source->n - 1] : &source->last;
	struct key *key = &source->keys[source->n];
	if (!column_u64(st, 0, &key->sequence) || !column_u64(st, 1, &key->clock) ||
		!column_u64(st, 2, &key->position))
		return malformed(s, source, before->sequence + 1, err);
	if (before->sequence && (key->sequence <= before->sequence || key->clock <= before->clock ||
					key->position <= before->position))
		return malformed(s, source, key->sequence, err);
	if (key->position <= s->to)
		source->n++;
	return LEDGER_OK;
}

/* The keys from `sequence` on. */
static enum ledger_status read_keys(
	struct ledger_shared *s, struct source *source, uint64_t sequence, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	source->at = source->n = 0;
	TRY(store_get(s->ledger->store, SQL_SHARED_KEYS, &st, err));
	bind_u64(st, 1, source->chain.id);
	bind_u64(st, 2, sequence);
	bind_u64(st, 3, KEYS_AT_HAND);
	for (unsigned i = 0; i < KEYS_AT_HAND; i++) {
		bool row;
		TRY(stmt_row(s->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_key(s, source, st, err));
	}
	return LEDGER_OK;
}

static enum ledger_status position_of(struct ledger_shared *s, const struct source *source,
	uint64_t sequence, uint64_t *position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(s->ledger->store, SQL_CHAIN_POSITION, &st, err));
	bind_u64(st, 1, source->chain.id);
	bind_u64(st, 2, sequence);
	TRY(stmt_row(s->ledger->store, st, &row, err));
	return row && column_u64(st, 0, position) ? LEDGER_OK : malformed(s, source, sequence, err);
}

static enum ledger_status head_of(struct ledger_shared *s, const struct source *source,
	uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*sequence = 0;
	TRY(store_get(s->ledger->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, source->chain.id);
	TRY(stmt_row(s->ledger->store, st, &row, err));
	if (row && !column_u64(st, 0, sequence))
		*sequence = 0;
	return LEDGER_OK;
}

/* The first sequence of a chain at position `from` or behind it: halving, since both grow together. */
static enum ledger_status find_first(struct ledger_shared *s, const struct source *source,
	uint64_t from, uint64_t *sequence, struct ledger_error *err)
{
	uint64_t low = 1, high;
	TRY(head_of(s, source, &high, err));
	high++;
	while (from > 1 && low < high) {
		uint64_t middle = low + (high - low) / 2, position = 0;
		TRY(position_of(s, source, middle, &position, err));
		if (position >= from)
			high = middle;
		else
			low = middle + 1;
	}
	*sequence = low;
	return LEDGER_OK;
}

/* --- The heap -------------------------------------------------------------------------------- */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static bool is_before(const struct source *a, const struct source *b)
{
	int order = compare_u64(a->keys[a->at].clock, b->keys[b->at].clock);
	if (order == 0)
		order = slice_cmp(a->chain.origin, b->chain.origin);
	if (order == 0)
		order = compare_u64(a->chain.epoch, b->chain.epoch);
	if (order == 0)
		order = slice_cmp(a->chain.domain_name, b->chain.domain_name);
	return order < 0;
}

static void sink(struct ledger_shared *s, size_t i)
{
	for (size_t child = 2 * i + 1; child < s->n; child = 2 * i + 1) {
		if (child + 1 < s->n && is_before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_before(s->heap[child], s->heap[i]))
			return;
		struct source *smaller = s->heap[child];
		s->heap[child] = s->heap[i];
		s->heap[i] = smaller;
		i = child;
	}
}

/* The first of the heap has given its key away. */
static enum ledger_status advance(struct ledger_shared *s, struct ledger_error *err)
{
	struct source *source = s->heap[0];
	bool all = source->n < KEYS_AT_HAND;
	source->last = source->keys[source->at++];
	if (source->at == source->n && !all)
		TRY(read_keys(s, source, source->last.sequence + 1, err));
	if (source->at == source->n)
		s->heap[0] = s->heap[--s->n];
	sink(s, 0);
	return LEDGER_OK;
}

/* --- Reading --------------------------------------------------------------------------------- */

static enum ledger_status add_source(struct ledger_shared *s, size_t i,
	const struct chain_row *chain, uint64_t from, struct ledger_error *err)
{
	struct source *source = &s->sources[i];
	uint64_t first;
	source->chain = *chain;
	source->chain.origin = arena_copy(&s->arena, chain->origin);
	source->chain.domain_name = arena_copy(&s->arena, chain->domain_name);
	if (!source->chain.origin.ptr || !source->chain.domain_name.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	TRY(find_first(s, source, from, &first, err));
	TRY(read_keys(s, source, first, err));
	if (source->n)
		s->heap[s->n++] = source;
	return LEDGER_OK;
}

static enum ledger_status open_shared(
	struct ledger_shared *s, uint64_t from, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	TRY(read_txn_begin(&txn, s->ledger->store, err));
	TRY(names_load(s->ledger, err));
	size_t n = s->ledger->names.n_chains;
	s->sources = calloc(n + 1, sizeof(*s->sources));
	s->heap = calloc(n + 1, sizeof(*s->heap));
	if (!s->sources || !s->heap)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++)
		TRY(add_source(s, i, &s->ledger->names.chains[i], from, err));
	for (size_t i = s->n; i-- > 0;)
		sink(s, i);
	return LEDGER_OK;
}

enum ledger_status ledger_shared_open(struct ledger_shared **out, struct ledger *l, uint64_t from,
	uint64_t to, struct ledger_error *err)
{
	struct ledger_shared *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->ledger = l;
	s->to = to;
	enum ledger_status status = open_shared(s, from, err);
	if (status != LEDGER_OK)
		ledger_shared_close(s);
	else
		*out = s;
	return status;
}

void ledger_shared_close(struct ledger_shared *s)
{
	if (!s)
		return;
	arena_done(&s->arena);
	buf_done(&s->scratch);
	free(s->sources);
	free(s->heap);
	free(s);
}

static enum ledger_status fetch(struct ledger_shared *s, const struct ledger_filter *filter,
	struct stmt *st, ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	const struct source *source = s->heap[0];
	struct key key = source->keys[source->at];
	struct event event;
	bool row;
	stmt_reset(&st);
	bind_u64(st, 1, key.position);
	TRY(stmt_row(s->ledger->store, st, &row, err));
	if (!row)
		return malformed(s, source, key.sequence, err);
	TRY(row_read(s->ledger, st, &event, err));
	if (event.clock != key.clock || event.sequence != key.sequence)
		return malformed(s, source, key.sequence, err);
	TRY(advance(s, err));
	return filter_matches(filter, &event, &s->scratch) ? fn(&event, context, err) : LEDGER_OK;
}

enum ledger_status ledger_shared_read(struct ledger_shared *s, const struct ledger_filter *filter,
	ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, s->ledger->store, err));
	TRY(store_prepare(s->ledger->store, SQL_EVENT, &st, err));
	while (s->n)
		TRY(fetch(s, filter, st, fn, context, err));
	return LEDGER_OK;
}
