/*
 * append --wait: until other nodes have proven that they store what was appended. A node proves it by
 * its signed heads, which serve-sync keeps in the ledger; what a stream acknowledges proves nothing.
 */
#include "append.h"

#include <inttypes.h>

#include "../lib/peers.h"
#include "../lib/base/banned.h"

#define DOMAINS_MAX 64

/* Domains that were appended to. */
static char domains[DOMAINS_MAX][65];
static size_t n_domains;

void append_wait_touch(struct slice domain)
{
	for (size_t i = 0; i < n_domains; i++)
		if (slice_is(domain, domains[i]))
			return;
	if (n_domains == DOMAINS_MAX || !slice_is_token(domain))
		return;
	memcpy(domains[n_domains], domain.ptr, domain.len);
	domains[n_domains++][domain.len] = '\0';
}

/* --- What must be proven -------------------------------------------------------------------------- */

struct wanted {
	struct arena arena;
	const char *node;
	struct wanted_chain {
		struct slice domain;
		uint64_t epoch, sequence;
		uint64_t proven; /* nodes */
	} * chains;
	size_t n, room;
};

static bool is_touched(struct slice domain)
{
	for (size_t i = 0; i < n_domains; i++)
		if (slice_is(domain, domains[i]))
			return true;
	return false;
}

/* Chains of this node as they end now: an event that was known may stand in an older epoch. */
static enum ledger_status want_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct wanted *w = context;
	if (!slice_is(chain->origin, w->node) || !is_touched(chain->domain))
		return LEDGER_OK;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct wanted_chain *more = arena_array(&w->arena, room, sizeof(*more));
		if (!more)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		if (w->n)
			memcpy(more, w->chains, w->n * sizeof(*more));
		w->chains = more;
		w->room = room;
	}
	struct slice domain = arena_copy(&w->arena, chain->domain);
	w->chains[w->n++] = (struct wanted_chain){ domain, chain->epoch, chain->sequence, 0 };
	return domain.ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status count_proof(
	const struct ledger_peer_head *p, void *context, struct ledger_error *err)
{
	struct wanted *w = context;
	(void)err;
	if (p->presence != LEDGER_PRESENT || !slice_is(p->head.origin, w->node) ||
		slice_is(p->node, w->node))
		return LEDGER_OK;
	for (size_t i = 0; i < w->n; i++)
		if (p->head.epoch == w->chains[i].epoch &&
			slice_eq(p->head.domain, w->chains[i].domain) &&
			p->head.sequence >= w->chains[i].sequence)
			w->chains[i].proven++;
	return LEDGER_OK;
}

/* The chain that fewest nodes have proven; NULL: all have enough. */
static const struct wanted_chain *farthest(const struct wanted *w, uint64_t nodes)
{
	const struct wanted_chain *worst = NULL;
	for (size_t i = 0; i < w->n; i++)
		if (w->chains[i].proven < nodes && (!worst || w->chains[i].proven < worst->proven))
			worst = &w->chains[i];
	return worst;
}

static enum ledger_status wait_for(struct ledger *l, struct wanted *w, uint64_t nodes,
	uint64_t within, struct ledger_error *err)
{
	uint64_t end = time_monotonic() + within;
	TRY(ledger_chains(l, want_chain, w, err));
	for (;;) {
		bool changed;
		for (size_t i = 0; i < w->n; i++)
			w->chains[i].proven = 0;
		TRY(ledger_peer_heads(l, count_proof, w, err));
		const struct wanted_chain *worst = farthest(w, nodes);
		uint64_t now = time_monotonic();
		if (!worst)
			return LEDGER_OK;
		if (now >= end) {
			fail(err, LEDGER_NOT_PROVEN,
				"recorded; %" PRIu64 " of %" PRIu64
				" nodes have proven event %" PRIu64 " of domain %.*s in time",
				worst->proven, nodes, worst->sequence, SLICE_ARG(worst->domain));
			return hint(err, "does serve-sync run here and there? the event stays and "
					 "goes out when it can");
		}
		TRY(ledger_watch(l, -1, end - now, &changed, err));
	}
}

enum ledger_status append_wait(
	struct ledger *l, uint64_t nodes, uint64_t within, struct ledger_error *err)
{
	struct wanted w = { .node = ledger_node(l) };
	enum ledger_status status = wait_for(l, &w, nodes, within, err);
	arena_done(&w.arena);
	if (status == LEDGER_OK || status == LEDGER_NOT_PROVEN)
		return status;
	/* It is recorded, whatever happened since: nobody may take this for "nothing was". */
	fail_in(err, "recorded, but not seen to be elsewhere: ");
	return err->status = LEDGER_NOT_PROVEN;
}
