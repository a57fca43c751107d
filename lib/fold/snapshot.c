/* Taking, looking at and throwing away snapshots. */
#include "state.h"

#include "../base/banned.h"

/* --- Taking ---------------------------------------------------------------------------------- */

enum ledger_status ledger_snapshot_keep(
	struct ledger_fold *f, const struct ledger_state *state, struct ledger_error *err)
{
	struct snapshot s = {
		.stream = state->stream,
		.domain = state->domain,
		.position = state->position,
		.last = state->last,
		.events = state->events,
		.version = state->version,
		.max_time = state->max_time,
		.state = state->state,
	};
	memcpy(s.hash, state->hash, EVENT_HASH_SIZE);
	memcpy(s.reducer, state->reducer_hash, EVENT_HASH_SIZE);
	return snapshot_write(f->ledger, &s, err);
}

enum ledger_status ledger_snapshot_take(struct ledger_fold *f, struct slice stream,
	struct slice domain, uint64_t every, struct ledger_state *out, bool *taken,
	struct ledger_error *err)
{
	struct ledger_moment now = { 0 };
	struct ledger_state state;
	TRY(ledger_state(f, stream, domain, &now, &state, err));
	bool due = state.folded >= (every ? every : 1);
	if (due)
		TRY(ledger_snapshot_keep(f, &state, err));
	*taken = due;
	*out = state;
	return LEDGER_OK;
}

/* --- Looking --------------------------------------------------------------------------------- */

struct listing {
	struct ledger_fold *fold;
	struct slice domain;
	bool recompute;
	ledger_snapshot_fn *fn;
	void *context;
};

/* Folds the events that are in it once more. */
static enum ledger_status recompute(
	struct ledger_fold *f, const struct snapshot *s, struct ledger_error *err)
{
	struct shared_bounds bounds = state_bounds(&(struct ledger_moment){ 0 });
	struct ledger_state state;
	bounds.position = s->position;
	TRY(state_fold(f, s->stream, s->domain, &bounds, NULL, &state, err));
	if (state.events != s->events || state.last != s->last)
		return fail(err, LEDGER_DAMAGED,
			"it is of %" PRIu64 " events, but there are %" PRIu64
			" up to position %" PRIu64,
			s->events, state.events, s->position);
	if (!slice_eq(state.state, s->state))
		return fail(err, LEDGER_DAMAGED, "the events come to another state");
	return LEDGER_OK;
}

static enum ledger_status judge(
	const struct listing *listing, const struct snapshot *s, struct ledger_error *err)
{
	struct ledger_fold *f = listing->fold;
	struct shared_bounds now = state_bounds(&(struct ledger_moment){ 0 });
	struct reducer *r;
	TRY(snapshot_check(f->ledger, s, err));
	TRY(reducer_find(f, s->stream, &r, err));
	TRY(state_fits(f, r, s, &now, err));
	return listing->recompute ? recompute(f, s, err) : LEDGER_OK;
}

static enum ledger_snapshot_verdict verdict_of(enum ledger_status status)
{
	switch (status) {
	case LEDGER_OK:
		return LEDGER_SNAPSHOT_GOOD;
	case LEDGER_REFUSED:
		return LEDGER_SNAPSHOT_STALE;
	case LEDGER_DAMAGED:
		return LEDGER_SNAPSHOT_DAMAGED;
	default:
		return LEDGER_SNAPSHOT_UNVERIFIED;
	}
}

static enum ledger_status show(const struct snapshot *s, void *context, struct ledger_error *err)
{
	const struct listing *listing = context;
	struct ledger_error why = { 0 };
	if (listing->domain.ptr && !slice_eq(listing->domain, s->domain))
		return LEDGER_OK;
	struct ledger_snapshot out = {
		.stream = s->stream,
		.domain = s->domain,
		.state = s->state,
		.position = s->position,
		.last = s->last,
		.events = s->events,
		.version = s->version,
		.schema = s->schema,
		.epoch = s->epoch,
		.taken = s->taken,
		.key = s->key,
		.verdict = verdict_of(judge(listing, s, &why)),
		.why = why.text,
	};
	memcpy(out.hash, s->hash, EVENT_HASH_SIZE);
	memcpy(out.reducer_hash, s->reducer, EVENT_HASH_SIZE);
	memcpy(out.digest, s->digest, EVENT_HASH_SIZE);
	return listing->fn(&out, listing->context, err);
}

/* Those of one stream are found by its name as a type is by its own: what begins with it, and is it. */
struct one_stream {
	struct slice stream;
	snapshot_fn *fn;
	void *context;
};

static enum ledger_status only_one(
	const struct snapshot *s, void *context, struct ledger_error *err)
{
	const struct one_stream *one = context;
	return slice_eq(s->stream, one->stream) ? one->fn(s, one->context, err) : LEDGER_OK;
}

static enum ledger_status each_of(struct ledger *l, struct slice which, snapshot_fn *fn,
	void *context, struct ledger_error *err)
{
	struct one_stream one = { which, fn, context };
	if (which.len == 0 || which.ptr[which.len - 1] == '/')
		return snapshot_each_of(l, which, fn, context, err);
	return snapshot_each_of(l, which, only_one, &one, err);
}

enum ledger_status ledger_snapshots(struct ledger_fold *f, struct slice which, struct slice domain,
	bool recompute, ledger_snapshot_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct listing listing = { f, domain, recompute, fn, context };
	TRY(read_txn_begin(&txn, f->ledger->store, err));
	return each_of(f->ledger, which, show, &listing, err);
}

/* --- Throwing away --------------------------------------------------------------------------- */

struct pruning {
	struct ledger *ledger;
	struct slice domain;
	uint64_t keep, before;
	bool dry_run;
	uint64_t n;
	struct buf stream; /* the one at hand, and its domain */
	uint64_t newer;	   /* of it, so far */
};

static enum ledger_status prune_one(
	const struct snapshot *s, void *context, struct ledger_error *err)
{
	struct pruning *p = context;
	CLEANUP_BUF struct buf name = { 0 };
	if (p->domain.ptr && !slice_eq(p->domain, s->domain))
		return LEDGER_OK;
	buf_add_slice(&name, s->domain);
	buf_add_char(&name, ' ');
	buf_add_slice(&name, s->stream);
	TRY(buf_check(&name, err));
	if (!slice_eq(buf_slice(&name), buf_slice(&p->stream))) {
		buf_reset(&p->stream);
		buf_add_slice(&p->stream, buf_slice(&name));
		TRY(buf_check(&p->stream, err));
		p->newer = 0;
	}
	if (p->newer++ < p->keep || (p->before && s->taken >= p->before))
		return LEDGER_OK;
	p->n++;
	return p->dry_run ? LEDGER_OK : snapshot_delete(p->ledger, s->id, err);
}

enum ledger_status ledger_snapshot_prune(struct ledger *l, struct slice which, struct slice domain,
	uint64_t keep, uint64_t before, bool dry_run, uint64_t *n, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct pruning p = {
		.ledger = l, .domain = domain, .keep = keep, .before = before, .dry_run = dry_run
	};
	TRY(dry_run ? read_txn_begin(&txn, l->store, err) : guard_begin_write(l, err));
	enum ledger_status status = each_of(l, which, prune_one, &p, err);
	buf_done(&p.stream);
	if (dry_run || status) {
		if (!dry_run)
			store_rollback(l->store);
		*n = status ? *n : p.n;
		return status;
	}
	TRY(store_commit(l->store, err));
	*n = p.n;
	return LEDGER_OK;
}
