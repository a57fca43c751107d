/*
 * Events from elsewhere: verified without a lock, then placed in one transaction. A verified event is a
 * fact: nothing but structure, key, hash, MAC, place, link and clock refuses it.
 *
 *	place taken, same hash     known
 *	place taken, other hash    a fork: kept in a branch
 *	next, and continues        inserted
 *	next, continues another    diverged
 *	later                      ahead
 *
 * The present epoch of this node is written here alone: what is new in it from elsewhere is lost here.
 */
#include "accept.h"

#include <stdio.h>
#include <stdlib.h>

#include "../base/banned.h"

#define CLOCK_AHEAD_WARNING (60 * TIME_SECOND)
#define SOURCE_MAX	    128

enum ledger_status accept_look(struct ledger *l, struct chain_tail *tail, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	tail->branched = tail->forked = false;
	if (tail->chain)
		TRY(branch_state(l, tail->chain, &tail->branched, &tail->forked, err));
	TRY(store_get(l->store, SQL_QUARANTINE_OF_CHAIN, &st, err));
	bind_text(st, 1, slice_of(tail->origin));
	bind_u64(st, 2, tail->epoch);
	bind_text(st, 3, slice_of(tail->domain_name));
	TRY(stmt_row(l->store, st, &tail->awaited, err));
	tail->looked = true;
	return LEDGER_OK;
}

/* --- A place that is taken --------------------------------------------------------------------- */

/* Is the event that this one continues here, in the chain or in a branch? */
static enum ledger_status has_previous(struct ledger *l, const struct event *e,
	const struct chain_tail *tail, bool *has, struct ledger_error *err)
{
	uint8_t hash[EVENT_HASH_SIZE];
	*has = e->sequence == 1;
	if (*has)
		return LEDGER_OK;
	TRY(range_hash(l, tail->chain, e->sequence - 1, has, hash, err));
	*has = *has && memcmp(hash, e->prev, EVENT_HASH_SIZE) == 0;
	return *has ? LEDGER_OK : branch_has(l, tail->chain, e->sequence - 1, e->prev, has, err);
}

static enum ledger_status keep_in_branch(struct ledger *l, struct candidate *c,
	struct chain_tail *tail, struct ledger_accepted *result, struct ledger_error *err)
{
	bool known, joined;
	TRY(branch_has(l, tail->chain, c->event.sequence, c->event.hash, &known, err));
	result->outcome = known ? LEDGER_KNOWN : LEDGER_FORKED;
	if (known)
		return LEDGER_OK;
	TRY(has_previous(l, &c->event, tail, &joined, err));
	result->ask_before = !joined;
	TRY(branch_keep(l, tail->chain, &c->event, c->received->line, err));
	return accept_look(l, tail, err);
}

static enum ledger_status place_taken(struct ledger *l, struct candidate *c,
	struct chain_tail *tail, bool own, struct ledger_accepted *result, struct ledger_error *err)
{
	uint8_t hash[EVENT_HASH_SIZE];
	bool there;
	TRY(range_hash(l, tail->chain, c->event.sequence, &there, hash, err));
	if (!there) {
		fail(err, LEDGER_DAMAGED, "chain %s/%" PRIu64 "/%s has no event %" PRIu64,
			tail->origin, tail->epoch, tail->domain_name, c->event.sequence);
		return hint(err, "ledgerbox verify lists what is wrong");
	}
	if (memcmp(hash, c->event.hash, EVENT_HASH_SIZE) != 0) {
		if (!own)
			return keep_in_branch(l, c, tail, result, err);
		result->outcome = LEDGER_LOST;
		return LEDGER_OK;
	}
	result->outcome = LEDGER_KNOWN;
	return tail->awaited ? quarantine_answer(l, &c->event, err) : LEDGER_OK;
}

/* --- A place behind the end -------------------------------------------------------------------- */

static enum ledger_status insert(struct ledger *l, struct candidate *c, struct chain_tail *tail,
	struct ledger_accepted *result, struct ledger_error *err)
{
	struct event *e = &c->event;
	uint64_t before, now = time_now();
	e->position = l->batch.seal.position + 1;
	TRY(insert_version(l, e->stream, tail->domain, &before, err));
	TRY(insert_record(l, e, tail, before, err));
	result->outcome = LEDGER_INSERTED;
	result->position = e->position;
	result->clock_ahead = e->clock > now + CLOCK_AHEAD_WARNING;
	if (result->clock_ahead)
		snprintf(l->warning, sizeof(l->warning),
			"an event of %s has a clock %" PRIu64 " s ahead of this machine's",
			tail->origin, (e->clock - now) / TIME_SECOND);
	return tail->awaited ? quarantine_answer(l, e, err) : LEDGER_OK;
}

/* Does it belong to a branch that is here, or must it wait until its chain's fork is settled? */
static enum ledger_status is_of_branch(struct ledger *l, const struct event *e,
	const struct chain_tail *tail, bool continues, bool *is, struct ledger_error *err)
{
	*is = tail->forked && continues;
	if (*is || !tail->branched || e->sequence == 1)
		return LEDGER_OK;
	return branch_has(l, tail->chain, e->sequence - 1, e->prev, is, err);
}

static enum ledger_status place_behind(struct ledger *l, struct candidate *c,
	struct chain_tail *tail, struct ledger_accepted *result, struct ledger_error *err)
{
	struct event *e = &c->event;
	bool next = e->sequence == tail->sequence + 1, of_branch;
	bool continues = next && memcmp(e->prev, tail->hash, EVENT_HASH_SIZE) == 0;
	if (continues && tail->sequence && e->clock <= tail->clock) {
		accept_refuse(
			c, LEDGER_REASON_CLOCK, "its clock is not behind that of the event before");
		return LEDGER_OK;
	}
	if (continues && !tail->forked)
		return insert(l, c, tail, result, err);
	TRY(is_of_branch(l, e, tail, continues, &of_branch, err));
	if (of_branch)
		return keep_in_branch(l, c, tail, result, err);
	result->outcome = next ? LEDGER_DIVERGED : LEDGER_AHEAD;
	result->ask_before = next;
	return LEDGER_OK;
}

/* --- All of it ----------------------------------------------------------------------------------- */

static enum ledger_status place_verified(struct ledger *l, struct candidate *c,
	struct ledger_accepted *result, struct ledger_error *err)
{
	struct event *e = &c->event;
	struct chain_tail *tail;
	bool own = e->epoch == l->batch.seal.epoch && slice_is(e->origin, l->node);
	TRY(tail_find(l, e->origin, e->epoch, e->domain, &tail, err));
	if (!tail->looked)
		TRY(accept_look(l, tail, err));
	if (e->sequence <= tail->sequence)
		TRY(place_taken(l, c, tail, own, result, err));
	else if (own)
		result->outcome = LEDGER_LOST;
	else
		TRY(place_behind(l, c, tail, result, err));
	result->head = tail->sequence;
	return LEDGER_OK;
}

enum ledger_status accept_place(struct ledger *l, struct candidate *c,
	struct ledger_accepted *result, struct ledger_error *err)
{
	*result = (struct ledger_accepted){ .outcome = LEDGER_BAD };
	if (!c->reason)
		TRY(place_verified(l, c, result, err));
	if (!c->reason)
		return LEDGER_OK;
	bool waits = c->reason == LEDGER_REASON_KEY || c->reason == LEDGER_REASON_FORMAT;
	result->outcome = waits ? LEDGER_WAITING : LEDGER_BAD;
	result->reason = c->reason;
	return quarantine_add(l, c, &result->quarantined, err);
}

static bool is_same_chain(const struct event *a, const struct event *b)
{
	return a->epoch == b->epoch && slice_eq(a->origin, b->origin) &&
	       slice_eq(a->domain, b->domain);
}

/* A sender's own chain is whole: of two that follow each other the second one continues the first. */
static void check_links(struct candidate *all, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct candidate *before = &all[i - 1];
		const struct event *a = &before->event, *b = &all[i].event;
		if (before->reason || all[i].reason || b->sequence != a->sequence + 1 ||
			!is_same_chain(a, b) || memcmp(a->hash, b->prev, EVENT_HASH_SIZE) == 0)
			continue;
		accept_refuse(&all[i], LEDGER_REASON_LINK,
			"it does not continue the event before it, which came with it");
	}
}

static enum ledger_status place_all(struct ledger *l, struct candidate *all, size_t n,
	const struct ledger_stream_place *places, size_t n_places, struct ledger_accepted *results,
	struct ledger_error *err)
{
	for (size_t i = 0; i < n; i++)
		TRY(accept_place(l, &all[i], &results[i], err));
	for (size_t i = 0; i < n_places; i++)
		TRY(peer_set_place(l, &places[i], err));
	return LEDGER_OK;
}

static enum ledger_status accept_all(struct ledger *l, struct candidate *all, size_t n,
	const struct ledger_stream_place *places, size_t n_places, struct ledger_accepted *results,
	struct ledger_error *err)
{
	check_links(all, n);
	TRY(batch_begin_any_time(l, err));
	enum ledger_status status = place_all(l, all, n, places, n_places, results, err);
	if (status) {
		ledger_rollback(l);
		return status;
	}
	return ledger_commit(l, err);
}

static enum ledger_status check_sources(
	const struct ledger_received *events, size_t n, struct ledger_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct ledger_source *source = events[i].source;
		if (!source || !source->name.len || source->name.len > SOURCE_MAX)
			return fail(err, LEDGER_INVALID, "a source has a name of 1 to %d bytes",
				SOURCE_MAX);
	}
	return LEDGER_OK;
}

enum ledger_status ledger_accept(struct ledger *l, const struct ledger_received *events, size_t n,
	const struct ledger_stream_place *places, size_t n_places, struct ledger_accepted *results,
	struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	TRY(check_sources(events, n, err));
	TRY(handle_load_keys(l, err));
	struct candidate *all = calloc(n + 1, sizeof(*all));
	struct ledger_accepted *made = calloc(n + 1, sizeof(*made));
	enum ledger_status status =
		all && made ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; !status && i < n; i++)
		status = accept_examine(l, &events[i], &arena, &all[i], err);
	if (!status)
		status = accept_all(l, all, n, places, n_places, made, err);
	if (!status && n)
		memcpy(results, made, n * sizeof(*made));
	free(all);
	free(made);
	return status;
}
