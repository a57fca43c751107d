/* Chains of which something is missing, and the events of them that came too early: verified ones
 * only, and not more than fit. What does not fit comes again by repair. */
#include "engine.h"

#include <stdlib.h>

#include "../base/banned.h"

static bool is_chain(
	const struct chain *c, struct slice origin, uint64_t epoch, struct slice domain)
{
	return c->epoch == epoch && slice_is(origin, c->origin) && slice_is(domain, c->domain);
}

struct chain *hold_find(struct sync *s, struct slice origin, uint64_t epoch, struct slice domain)
{
	if (s->last_chain < s->n_chains &&
		is_chain(&s->chains[s->last_chain], origin, epoch, domain))
		return &s->chains[s->last_chain];
	for (size_t i = 0; i < s->n_chains; i++)
		if (is_chain(&s->chains[i], origin, epoch, domain)) {
			s->last_chain = i;
			return &s->chains[i];
		}
	return NULL;
}

static bool is_idle(const struct chain *c)
{
	return !c->held && !c->target && !c->before && !c->asked && !c->waiting;
}

struct chain *hold_chain(struct sync *s, struct slice origin, uint64_t epoch, struct slice domain)
{
	struct chain *c = hold_find(s, origin, epoch, domain);
	size_t slot = 0;
	if (c || !slice_is_token(origin) || !slice_is_token(domain))
		return c;
	while (slot < s->n_chains && !is_idle(&s->chains[slot]))
		slot++;
	if (slot == CHAINS_MAX) {
		report_beyond(s, CEILING_CHAINS, "they wait until others are whole");
		return NULL;
	}
	if (slot == s->n_chains)
		s->n_chains++;
	c = &s->chains[slot];
	*c = (struct chain){ .epoch = epoch };
	memcpy(c->origin, origin.ptr, origin.len);
	memcpy(c->domain, domain.ptr, domain.len);
	return c;
}

void hold_keep(struct sync *s, struct chain *c, uint64_t sequence, struct slice line)
{
	struct held **at = &c->held;
	if (s->n_held == HELD_EVENTS || s->held_bytes + line.len > HELD_BYTES)
		return;
	while (*at && (*at)->sequence < sequence)
		at = &(*at)->next;
	if (*at && (*at)->sequence == sequence)
		return;
	struct held *h = malloc(sizeof(*h) + line.len);
	if (!h)
		return;
	h->next = *at;
	h->sequence = sequence;
	h->size = line.len;
	memcpy(h->line, line.ptr, line.len);
	*at = h;
	s->n_held++;
	s->held_bytes += line.len;
}

void hold_drop(struct sync *s, struct chain *c, uint64_t sequence)
{
	while (c->held && c->held->sequence < sequence) {
		struct held *h = c->held;
		c->held = h->next;
		s->n_held--;
		s->held_bytes -= h->size;
		free(h);
	}
}

void hold_done(struct sync *s)
{
	for (size_t i = 0; i < s->n_chains; i++)
		hold_drop(s, &s->chains[i], UINT64_MAX);
	free(s->chains);
}
