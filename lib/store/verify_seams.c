/*
 * Joining the pieces in order: what lies on both sides of a seam has to fit. (The link does by itself: each
 * piece begins with the link of the mark that the one before it has compared.)
 */
#include "verify.h"

#include <stdlib.h>

#include "../base/banned.h"

/* Pieces that may wait for one before them: each keeps its edges and versions meanwhile. */
#define WAITING_MAX 2

struct edge *edge_of(struct edge **edges, size_t *n, uint64_t chain)
{
	if (chain >= *n) {
		size_t more = (size_t)chain + 16;
		struct edge *grown = realloc(*edges, more * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + *n, 0, (more - *n) * sizeof(*grown));
		*edges = grown;
		*n = more;
	}
	return &(*edges)[chain];
}

/* The chain's event before the range: its hash must be what the first one in the range links to. */
static enum ledger_status check_before_range(struct verification *v, struct ledger *l,
	uint64_t chain, const struct edge *edge, struct event *at, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	if (edge->first_sequence <= 1)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_CHAIN_HASH, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, edge->first_sequence - 1);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (!row)
		verify_report_damage(v, "SEQUENCE_GAP", at, 0,
			"sequence %" PRIu64 " has none before it", edge->first_sequence);
	else if (hash.len != EVENT_HASH_SIZE ||
		 memcmp(hash.ptr, edge->first_prev, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "LINK_BROKEN", at, 0,
			"prev is not the hash of sequence %" PRIu64, edge->first_sequence - 1);
	return LEDGER_OK;
}

static void check_seam(struct verification *v, const struct edge *before, const struct edge *edge,
	struct event *at)
{
	if (edge->first_sequence != before->last_sequence + 1)
		verify_report_damage(v, "SEQUENCE_GAP", at, 0,
			"sequence %" PRIu64 " follows %" PRIu64, edge->first_sequence,
			before->last_sequence);
	else if (memcmp(edge->first_prev, before->last_hash, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "LINK_BROKEN", at, 0,
			"prev is not the hash of sequence %" PRIu64, before->last_sequence);
	else if (edge->first_clock <= before->last_clock)
		verify_report_damage(
			v, "CLOCK_BACKWARDS", at, 0, "the clock does not grow along the chain");
}

static enum ledger_status join_edge(struct verification *v, struct ledger *l, uint64_t chain,
	const struct edge *edge, struct ledger_error *err)
{
	struct joined *j = &v->joined;
	struct event at = { .position = edge->first_position, .sequence = edge->first_sequence };
	const struct chain_row *row = names_chain(l, chain);
	struct edge *before = edge_of(&j->edges, &j->n_edges, chain);
	if (!before)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (row) {
		at.origin = row->origin;
		at.epoch = row->epoch;
		at.domain = row->domain_name;
	}
	if (before->seen)
		check_seam(v, before, edge, &at);
	else
		TRY(check_before_range(v, l, chain, edge, &at, err));
	j->chains += before->first_position == 0; /* the first time that it is met */
	*before = *edge;
	return LEDGER_OK;
}

/* Behind a piece that was not read to its end nothing is known: what follows is not held against it. */
static void forget_edges(struct joined *j)
{
	for (size_t i = 0; i < j->n_edges; i++)
		j->edges[i].seen = false;
}

static enum ledger_status join_piece(
	struct verification *v, struct ledger *l, struct piece *piece, struct ledger_error *err)
{
	struct joined *j = &v->joined;
	if (!piece->done) {
		forget_edges(j);
		return LEDGER_OK;
	}
	for (uint64_t chain = 0; chain < piece->n_edges; chain++)
		if (piece->edges[chain].seen)
			TRY(join_edge(v, l, chain, &piece->edges[chain], err));
	return versions_join(&j->versions, &piece->versions, err);
}

void seams_join_piece(struct verification *v, struct ledger *l, size_t i)
{
	struct joined *j = &v->joined;
	struct ledger_error err;
	pthread_mutex_lock(&j->lock);
	v->pieces[i].finished = true;
	while (j->n < v->n_pieces && v->pieces[j->n].finished) {
		struct piece *piece = &v->pieces[j->n++];
		if (join_piece(v, l, piece, &err))
			verify_report_failure(v, &err);
		piece_done(piece);
	}
	pthread_cond_broadcast(&j->moved);
	pthread_mutex_unlock(&j->lock);
}

bool seams_take_piece(struct verification *v, size_t *i)
{
	struct joined *j = &v->joined;
	pthread_mutex_lock(&j->lock);
	while (j->taken < v->n_pieces && j->taken >= j->n + v->workers + WAITING_MAX)
		pthread_cond_wait(&j->moved, &j->lock);
	bool there = j->taken < v->n_pieces;
	if (there)
		*i = j->taken++;
	pthread_mutex_unlock(&j->lock);
	return there;
}

void seams_init(struct verification *v)
{
	pthread_mutex_init(&v->joined.lock, NULL);
	pthread_cond_init(&v->joined.moved, NULL);
}

void seams_done(struct verification *v)
{
	free(v->joined.edges);
	versions_done(&v->joined.versions);
	pthread_cond_destroy(&v->joined.moved);
	pthread_mutex_destroy(&v->joined.lock);
}
