/* Recomputing the rows of one piece. */
#include "verify.h"

#include <stdlib.h>

#include "../base/banned.h"

#define PROGRESS_EVERY 256

struct pass {
	struct verification *v;
	uint64_t rows;
	struct ledger *ledger;
	struct piece *piece;
	uint64_t position;	     /* expected next */
	uint64_t min_time, max_time; /* since the last mark */
	bool whole_mark;	     /* all rows since the last mark were read */
};

void piece_done(struct piece *piece)
{
	free(piece->edges);
	piece->edges = NULL;
	piece->n_edges = 0;
	versions_done(&piece->versions);
}

/* --- One event ------------------------------------------------------------------------------- */

/* What the hash cannot tell apart, or the format forbids. */
static const char *malformed_field(const struct event *e)
{
	struct slice type, key;
	if (e->stream.ptr &&
		(!slice_cut(e->stream, '/', &type, &key) || !type.len || !key.len || !e->version))
		return "stream";
	if (!e->stream.ptr && e->version)
		return "version";
	if (e->tags.ptr && !e->tags.len)
		return "tags";
	if (e->metadata.ptr && !e->metadata.len)
		return "metadata";
	if (e->clock > TIME_MAX)
		return "clock";
	if (e->time > TIME_MAX)
		return "time";
	if (e->schema < 1)
		return "schema";
	return e->sequence < 1 ? "sequence" : NULL;
}

static void check_mac(struct pass *p, const struct event *e)
{
	uint8_t mac[EVENT_HASH_SIZE];
	if (!p->v->check_macs)
		return;
	const struct chain_key *key = handle_find_key(p->ledger, e->key);
	if (!key) {
		p->piece->unverified++;
		verify_report_unverified(p->v, "KEY_UNKNOWN", e,
			"key %.*s is not among the keys here", SLICE_ARG(e->key));
		return;
	}
	chain_mac(key, e->hash, mac);
	p->piece->macs++;
	if (!chain_same(mac, e->mac, EVENT_HASH_SIZE))
		verify_report_damage(p->v, "MAC_BAD", e, e->position,
			"the MAC is not that of key %.*s", SLICE_ARG(e->key));
}

/* All but the content, for which its digest stands. */
static void check_envelope(
	struct pass *p, const struct event *e, const uint8_t body[EVENT_HASH_SIZE])
{
	uint8_t hash[EVENT_HASH_SIZE];
	chain_hash(e, body, hash);
	if (memcmp(hash, e->hash, EVENT_HASH_SIZE) != 0)
		verify_report_damage(p->v, "HASH_MISMATCH", e, e->position,
			"the recorded hash is not that of the content");
	check_mac(p, e);
}

static void check_hash(struct pass *p, const struct event *e)
{
	uint8_t body[EVENT_HASH_SIZE];
	chain_body(e, body);
	check_envelope(p, e, body);
}

static void check_genesis(struct pass *p, const struct event *e)
{
	uint8_t genesis[EVENT_HASH_SIZE];
	chain_genesis(e->origin, e->epoch, e->domain, genesis);
	if (memcmp(genesis, e->prev, EVENT_HASH_SIZE) != 0)
		verify_report_damage(p->v, "LINK_BROKEN", e, e->position,
			"the first event does not link to the chain's beginning");
}

/* Against the event before it in the chain, if this pass has seen it. */
static void check_link(struct pass *p, const struct event *e, struct edge *edge)
{
	if (e->sequence == 1)
		check_genesis(p, e);
	if (!edge->seen) {
		edge->first_position = e->position;
		edge->first_sequence = e->sequence;
		edge->first_clock = e->clock;
		memcpy(edge->first_prev, e->prev, EVENT_HASH_SIZE);
		edge->seen = true;
	} else if (e->sequence != edge->last_sequence + 1) {
		verify_report_damage(p->v, "SEQUENCE_GAP", e, e->position,
			"sequence %" PRIu64 " follows %" PRIu64, e->sequence, edge->last_sequence);
	} else if (memcmp(e->prev, edge->last_hash, EVENT_HASH_SIZE) != 0) {
		verify_report_damage(p->v, "LINK_BROKEN", e, e->position,
			"prev is not the hash of sequence %" PRIu64, edge->last_sequence);
	} else if (e->clock <= edge->last_clock) {
		verify_report_damage(p->v, "CLOCK_BACKWARDS", e, e->position,
			"the clock does not grow along the chain");
	}
	edge->last_sequence = e->sequence;
	edge->last_clock = e->clock;
	memcpy(edge->last_hash, e->hash, EVENT_HASH_SIZE);
}

/* An event that was erased still links those around it. */
static enum ledger_status follow_chain(struct pass *p, const struct event *e, uint64_t chain,
	uint64_t domain, struct ledger_error *err)
{
	/* Row ids are given out 1, 2, 3 …: one beyond is no reason to make room for all below it. */
	if (chain > p->ledger->names.n_chains) {
		verify_report_damage(p->v, "CHAIN_UNKNOWN", e, e->position,
			"the rows of table chain are not numbered 1, 2, 3 …");
		return LEDGER_OK;
	}
	struct edge *edge = edge_of(&p->piece->edges, &p->piece->n_edges, chain);
	if (!edge)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	check_link(p, e, edge);
	if (e->clock > p->piece->max_clock)
		p->piece->max_clock = e->clock;
	return versions_add(p->v, &p->piece->versions, e->stream, domain, e->version, err);
}

static enum ledger_status check_event(struct pass *p, const struct event *e, uint64_t chain,
	uint64_t domain, struct ledger_error *err)
{
	const struct chain_row *row = names_chain(p->ledger, chain);
	const char *field = malformed_field(e);
	if (field)
		verify_report_damage(
			p->v, "ROW_MALFORMED", e, e->position, "%s is outside the format", field);
	if (row && row->domain != domain)
		verify_report_damage(p->v, "DOMAIN_MISMATCH", e, e->position,
			"the row's domain is not that of its chain");
	check_hash(p, e);
	p->piece->events++;
	return follow_chain(p, e, chain, domain, err);
}

/* --- Rows ------------------------------------------------------------------------------------ */

static enum ledger_status check_row(struct pass *p, struct value *const *row, struct event *e,
	bool *readable, struct ledger_error *err)
{
	const char *what;
	uint64_t chain, domain;
	*e = (struct event){ .position = 0 };
	enum row_state state = row_event(p->ledger, row, e, &chain, &domain, &what);
	if (state == ROW_UNKNOWN_CHAIN && p->ledger->names_failure.status) {
		*err = p->ledger->names_failure;
		return err->status;
	}
	uint8_t body[EVENT_HASH_SIZE];
	bool has_body = row_body(row, body);
	if (state == ROW_ERASED && !has_body)
		state = ROW_MALFORMED; /* nothing stands in the content's place */
	*readable = state == ROW_GOOD || state == ROW_ERASED;
	p->piece->unreadable += !*readable;
	if (state == ROW_GOOD && !row_has_no_body(row))
		verify_report_damage(
			p->v, "ROW_MALFORMED", e, e->position, "a body stands beside a payload");
	if (state == ROW_ERASED) {
		check_envelope(p, e, body);
		p->piece->unverified++;
		verify_report_unverified(p->v, "FORMAT_UNKNOWN", e,
			"the content was erased, which this version cannot verify");
		return follow_chain(p, e, chain, domain, err);
	} else if (state == ROW_UNKNOWN_CHAIN) {
		verify_report_damage(p->v, "CHAIN_UNKNOWN", NULL, e->position,
			"the row's %s is not in its table", what);
	} else if (state == ROW_MALFORMED) {
		verify_report_damage(p->v, "ROW_MALFORMED", NULL, e->position,
			"column %s has the wrong type or size", what);
	} else {
		return check_event(p, e, chain, domain, err);
	}
	return LEDGER_OK;
}

static void start_mark(struct pass *p)
{
	p->whole_mark = true;
	p->min_time = UINT64_MAX;
	p->max_time = 0;
}

/* Compares the link and the span of time at a mark. */
static enum ledger_status check_mark(struct pass *p, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t min_time, max_time;
	bool row;
	TRY(store_get(p->ledger->store, SQL_MARK, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(p->ledger->store, st, &row, err));
	struct slice link = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	bool good = link.len == EVENT_HASH_SIZE && column_u64(st, 1, &min_time) &&
		    column_u64(st, 2, &max_time);
	if (good && p->piece->has_link)
		good = memcmp(link.ptr, p->piece->link, EVENT_HASH_SIZE) == 0;
	if (good && p->whole_mark)
		good = min_time == p->min_time && max_time == p->max_time;
	if (!good)
		verify_report_damage(p->v, "MARK_MISMATCH", NULL, position,
			"the mark is missing or not that of the events before it");
	start_mark(p);
	return LEDGER_OK;
}

static enum ledger_status step_link(struct pass *p, const struct event *e, struct ledger_error *err)
{
	if (e->time < p->min_time)
		p->min_time = e->time;
	if (e->time > p->max_time)
		p->max_time = e->time;
	chain_link(p->piece->link, e->hash);
	return e->position % FORMAT_MARK_EVERY == 0 ? check_mark(p, e->position, err) : LEDGER_OK;
}

static void check_position(struct pass *p, uint64_t position)
{
	if (position != p->position)
		verify_report_damage(p->v, "POSITION_GAP", NULL, p->position,
			"position %" PRIu64 " is followed by %" PRIu64, p->position - 1, position);
	p->position = position + 1;
}

static enum ledger_status load_link(struct pass *p, uint64_t before, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	struct piece *piece = p->piece;
	memset(piece->link, 0, EVENT_HASH_SIZE);
	piece->has_link = before == 0;
	if (before) {
		TRY(store_get(p->ledger->store, SQL_MARK, &st, err));
		bind_u64(st, 1, before);
		TRY(stmt_row(p->ledger->store, st, &row, err));
		struct slice link = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
		piece->has_link = link.len == EVENT_HASH_SIZE;
		if (piece->has_link)
			memcpy(piece->link, link.ptr, EVENT_HASH_SIZE);
		else
			verify_report_damage(p->v, "MARK_MISMATCH", NULL, before,
				"the mark is missing or malformed");
	}
	return LEDGER_OK;
}

/* A row before the piece, behind the mark that its link starts from, only carries the link on. */
static bool read_only_hash(struct pass *p, struct value *const *row, struct event *e)
{
	const char *what;
	uint64_t chain, domain;
	*e = (struct event){ .position = 0 };
	return row_event(p->ledger, row, e, &chain, &domain, &what) == ROW_GOOD;
}

static void count_row(struct pass *p)
{
	if (++p->rows % PROGRESS_EVERY == 0)
		atomic_fetch_add_explicit(&p->v->done, PROGRESS_EVERY, memory_order_relaxed);
}

static enum ledger_status one_row(struct value *const *row, void *context, struct ledger_error *err)
{
	struct pass *p = context;
	struct event e;
	bool readable = false;
	uint64_t position = row_position(row);
	/* The pages of a hostile file can lead back to where they came from. */
	if (position < p->position)
		return fail(err, LEDGER_DAMAGED, "position %" PRIu64 " comes after %" PRIu64,
			position, p->position - 1);
	check_position(p, position);
	if (position < p->piece->from)
		readable = read_only_hash(p, row, &e);
	else
		TRY(check_row(p, row, &e, &readable, err));
	if (readable)
		TRY(step_link(p, &e, err));
	else
		p->whole_mark = false;
	count_row(p);
	return LEDGER_OK;
}

enum ledger_status verify_piece(
	struct verification *v, struct ledger *l, struct piece *piece, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t before = (piece->from - 1) / FORMAT_MARK_EVERY * FORMAT_MARK_EVERY;
	struct pass p = { .v = v, .ledger = l, .piece = piece, .position = before + 1 };
	start_mark(&p);
	TRY(load_link(&p, before, err));
	TRY(store_get(l->store, SQL_VERIFY_ROWS, &st, err));
	bind_u64(st, 1, before + 1);
	bind_u64(st, 2, piece->to);
	TRY(store_each(l->store, st, one_row, &p, err));
	if (p.position != piece->to + 1)
		verify_report_damage(v, "POSITION_GAP", NULL, p.position,
			"positions %" PRIu64 " to %" PRIu64 " are missing", p.position, piece->to);
	piece->done = true;
	return LEDGER_OK;
}

static enum ledger_status one_row_of_chain(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct pass *p = context;
	struct event e;
	bool readable;
	TRY(check_row(p, row, &e, &readable, err));
	count_row(p);
	return LEDGER_OK;
}

enum ledger_status verify_one_chain(struct verification *v, struct ledger *l, uint64_t chain,
	struct piece *piece, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct pass p = { .v = v, .ledger = l, .piece = piece };
	TRY(store_get(l->store, SQL_VERIFY_CHAIN, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, v->from);
	bind_u64(st, 3, v->to);
	return store_each(l->store, st, one_row_of_chain, &p, err);
}
