/*
 * What peers hold against what is here. A head is proof: its sender had that event when it signed. Where
 * it stands before our end, our own event there is compared; where it is behind it, the peer is asked for
 * the event at our end; where two differ, for those between, until the first that differs is found.
 */
#include "survey.h"

#include <stdlib.h>

#include "../base/banned.h"

struct ours {
	struct ledger_chain_name name;
	uint64_t last;
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t proven;
	const char *peer;
};

struct comparison {
	struct survey *survey;
	const struct survey_compare *options;
	struct arena arena;
	struct ours *chains;
	size_t n, room;
};

static bool is_asked_for(const struct survey_compare *o, struct slice origin, struct slice domain)
{
	return (!o->origin.ptr || slice_eq(origin, o->origin)) &&
	       (!o->domain.ptr || slice_eq(domain, o->domain));
}

static enum ledger_status add_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct comparison *c = context;
	if (!is_asked_for(c->options, chain->origin, chain->domain))
		return LEDGER_OK;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct ours *more = realloc(c->chains, room * sizeof(*more));
		if (!more)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		c->chains = more;
		c->room = room;
	}
	struct slice origin = arena_copy(&c->arena, chain->origin);
	struct slice domain = arena_copy(&c->arena, chain->domain);
	if (!origin.ptr || !domain.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	struct ours *o = &c->chains[c->n++];
	*o = (struct ours){ .name = { origin, chain->epoch, domain }, .last = chain->sequence };
	memcpy(o->hash, chain->hash, sizeof(o->hash));
	return LEDGER_OK;
}

/* Chains of the ledger come in the order of heads. */
static struct ours *find(struct comparison *c, const struct ledger_head *head)
{
	for (size_t i = 0; i < c->n; i++) {
		struct ours *o = &c->chains[i];
		if (o->name.epoch == head->epoch && slice_eq(o->name.origin, head->origin) &&
			slice_eq(o->name.domain, head->domain))
			return o;
	}
	return NULL;
}

/* --- Where two chains part ----------------------------------------------------------------------- */

static enum ledger_status keep_hash(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	memcpy(context, event->hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

static enum ledger_status hash_here(struct comparison *c, const struct ledger_chain_name *chain,
	uint64_t sequence, uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err)
{
	return ledger_read_chain(c->survey->ledger, chain, sequence, 1, keep_hash, hash, err);
}

/* The first place that differs, by halves; as far as the peer answers. */
static enum ledger_status find_parting(
	struct comparison *c, size_t peer, struct survey_finding *f, struct ledger_error *err)
{
	uint64_t same = 0;
	while (f->sequence > same + 1) {
		uint64_t middle = same + (f->sequence - same) / 2;
		uint8_t here[EVENT_HASH_SIZE], there[EVENT_HASH_SIZE];
		enum ledger_status status =
			survey_hash(c->survey, peer, &f->chain, middle, there, err);
		if (status == LEDGER_NO)
			return LEDGER_OK;
		TRY(status);
		TRY(hash_here(c, &f->chain, middle, here, err));
		if (memcmp(here, there, sizeof(here)) == 0) {
			same = middle;
			continue;
		}
		f->sequence = middle;
		memcpy(f->here, here, sizeof(here));
		memcpy(f->there, there, sizeof(there));
	}
	return LEDGER_OK;
}

static enum ledger_status tell_other(struct comparison *c, const struct survey_head *said,
	const struct ours *o, uint64_t sequence, const uint8_t there[EVENT_HASH_SIZE],
	struct ledger_error *err)
{
	struct survey_finding f = {
		.kind = SURVEY_OTHER, .peer = said->peer, .chain = o->name, .sequence = sequence
	};
	memcpy(f.there, there, sizeof(f.there));
	TRY(hash_here(c, &o->name, sequence, f.here, err));
	TRY(find_parting(c, said->index, &f, err));
	c->options->finding(&f, c->options->context);
	return LEDGER_OK;
}

/* --- One head ------------------------------------------------------------------------------------ */

static void prove(struct ours *o, const struct survey_head *said, uint64_t sequence)
{
	if (sequence <= o->proven)
		return;
	o->proven = sequence;
	o->peer = said->peer;
}

/* The peer stands where we have something too. */
static enum ledger_status look_inside(struct comparison *c, struct ours *o,
	const struct survey_head *said, struct ledger_error *err)
{
	enum ledger_presence presence;
	TRY(ledger_has(c->survey->ledger, &said->head, &presence, err));
	if (presence == LEDGER_PRESENT)
		prove(o, said, said->head.sequence);
	/* A fork whose branches are both here is known: verify names it by itself. */
	if (presence == LEDGER_OTHER)
		return tell_other(c, said, o, said->head.sequence, said->head.hash, err);
	return LEDGER_OK;
}

static bool is_present_epoch(const struct comparison *c, const struct ledger_head *head)
{
	return slice_is(head->origin, c->survey->node) &&
	       head->epoch == ledger_epoch(c->survey->ledger);
}

static void tell_older(struct comparison *c, const struct ours *o, const struct survey_head *said)
{
	const struct ledger_head *h = &said->head;
	struct survey_finding f = { .kind = SURVEY_OLDER,
		.peer = said->peer,
		.chain = { h->origin, h->epoch, h->domain },
		.sequence = h->sequence,
		.last = o ? o->last : 0 };
	memcpy(f.there, h->hash, sizeof(f.there));
	if (o)
		memcpy(f.here, o->hash, sizeof(f.here));
	c->options->finding(&f, c->options->context);
}

/* The peer has more: does it have the same up to here? */
static enum ledger_status look_behind(struct comparison *c, struct ours *o,
	const struct survey_head *said, struct ledger_error *err)
{
	struct ledger_head there = { o->name.origin, o->name.epoch, o->name.domain, o->last,
		{ 0 } };
	enum ledger_presence presence = LEDGER_ABSENT;
	enum ledger_status status =
		survey_hash(c->survey, said->index, &o->name, o->last, there.hash, err);
	if (status && status != LEDGER_NO)
		return status;
	if (!status)
		TRY(ledger_has(c->survey->ledger, &there, &presence, err));
	if (presence == LEDGER_OTHER)
		return tell_other(c, said, o, o->last, there.hash, err);
	if (presence == LEDGER_PRESENT)
		prove(o, said, o->last);
	if (is_present_epoch(c, &said->head))
		tell_older(c, o, said);
	return LEDGER_OK;
}

static enum ledger_status look_at(
	const struct survey_head *said, void *context, struct ledger_error *err)
{
	struct comparison *c = context;
	if (!is_asked_for(c->options, said->head.origin, said->head.domain))
		return LEDGER_OK;
	struct ours *o = find(c, &said->head);
	if (!o) {
		if (is_present_epoch(c, &said->head))
			tell_older(c, NULL, said);
		return LEDGER_OK;
	}
	return said->head.sequence <= o->last ? look_inside(c, o, said, err)
					      : look_behind(c, o, said, err);
}

static enum ledger_status compare(struct comparison *c, struct ledger_error *err)
{
	/* After the peers have spoken: what they took from here is here by now. */
	TRY(ledger_chains(c->survey->ledger, add_chain, c, err));
	TRY(survey_heads(c->survey, look_at, c, err));
	for (size_t i = 0; i < c->n; i++) {
		const struct ours *o = &c->chains[i];
		struct survey_proof proof = { o->name, o->last, o->proven, o->peer };
		c->options->proof(&proof, c->options->context);
	}
	return LEDGER_OK;
}

enum ledger_status survey_compare(
	struct survey *s, const struct survey_compare *options, struct ledger_error *err)
{
	struct comparison c = { .survey = s, .options = options };
	enum ledger_status status = compare(&c, err);
	free(c.chains);
	arena_done(&c.arena);
	return status;
}
