#include "recover-peers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "output.h"

#include "../lib/base/banned.h"

#define ASK_MAX	 (5 * TIME_SECOND)
#define PATIENCE (30 * TIME_SECOND)

void missing_done(struct missing_list *list)
{
	free(list->items);
	arena_done(&list->arena);
}

static void close_survey(struct survey **s)
{
	survey_close(*s);
}

/* --- Asking -------------------------------------------------------------------------------------- */

struct looking {
	struct missing_list *list;
	struct ledger *ledger;
};

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static const char *keep_name(struct missing_list *list, const char *name)
{
	for (size_t i = 0; list->peers[i]; i++)
		if (strcmp(list->peers[i], name) == 0)
			return list->peers[i];
	return arena_copy(&list->arena, slice_of(name)).ptr;
}

static enum ledger_status keep(struct missing_list *list, const struct survey_head *said,
	uint64_t end, bool differs, struct ledger_error *err)
{
	const struct ledger_head *h = &said->head;
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 32;
		struct missing *more = realloc(list->items, room * sizeof(*more));
		if (!more)
			return no_memory(err);
		list->items = more;
		list->room = room;
	}
	struct missing *m = &list->items[list->n];
	*m = (struct missing){ .epoch = h->epoch,
		.domain = arena_copy(&list->arena, h->domain),
		.from = differs ? h->sequence : end + 1,
		.to = h->sequence,
		.differs = differs,
		.peer = keep_name(list, said->peer),
		.head = *h };
	m->head.origin = arena_copy(&list->arena, h->origin);
	m->head.domain = m->domain;
	if (!m->domain.ptr || !m->head.origin.ptr || !m->peer)
		return no_memory(err);
	list->n++;
	return LEDGER_OK;
}

/* Of several peers that have the same chain the one that has most counts. */
static bool is_less(const struct missing_list *list, const struct ledger_head *h)
{
	struct missing *last = list->n ? &list->items[list->n - 1] : NULL;
	return last && !last->differs && last->epoch == h->epoch &&
	       slice_eq(last->domain, h->domain) && last->to >= h->sequence;
}

static enum ledger_status look_at(
	const struct survey_head *said, void *context, struct ledger_error *err)
{
	struct looking *l = context;
	struct missing_list *list = l->list;
	const struct ledger_head *h = &said->head;
	struct ledger_chain_name chain = { h->origin, h->epoch, h->domain };
	enum ledger_presence presence;
	uint64_t end;
	if (!slice_is(h->origin, ledger_node(l->ledger)))
		return LEDGER_OK;
	TRY(ledger_has(l->ledger, h, &presence, err));
	if (presence == LEDGER_PRESENT || presence == LEDGER_IN_BRANCH)
		return LEDGER_OK;
	TRY(ledger_chain_end(l->ledger, &chain, &end, err));
	list->present_epoch = list->present_epoch || h->epoch == ledger_epoch(l->ledger);
	if (presence == LEDGER_ABSENT && is_less(list, h))
		return LEDGER_OK;
	/* A peer that has more of it takes the place of the one before. */
	struct missing *last = list->n ? &list->items[list->n - 1] : NULL;
	if (last && presence == LEDGER_ABSENT && !last->differs && last->epoch == h->epoch &&
		slice_eq(last->domain, h->domain))
		list->n--;
	return keep(list, said, end, presence == LEDGER_OTHER, err);
}

static enum ledger_status copy_names(
	struct missing_list *list, const struct survey *s, struct ledger_error *err)
{
	const char *name;
	for (size_t i = 0; i < 64 && (name = survey_peer(s, i)); i++)
		if (!(list->peers[i] = arena_copy(&list->arena, slice_of(name)).ptr))
			return no_memory(err);
	for (size_t i = 0; i < 64 && (name = survey_silent(s, i)); i++)
		if (!(list->silent[i] = arena_copy(&list->arena, slice_of(name)).ptr))
			return no_memory(err);
	return LEDGER_OK;
}

enum ledger_status missing_ask(struct missing_list *list, struct ledger *l,
	const struct sync_options *sync, size_t n, uint64_t within, struct ledger_error *err)
{
	__attribute__((cleanup(close_survey))) struct survey *s = NULL;
	struct survey_options options = { .sync = sync,
		.within = within < ASK_MAX ? within : ASK_MAX,
		.peers = n,
		.stop_fd = -1 };
	struct looking looking = { list, l };
	enum ledger_status status = survey_open(&s, l, &options, err);
	if (status == LEDGER_UNREACHABLE)
		return hint(err,
			"nothing was changed. Try again when they are there, or begin the epoch "
			"without them: ledgerbox recover --offline");
	TRY(status);
	TRY(copy_names(list, s, err));
	list->namesake = survey_heard_ourselves(s);
	TRY(survey_heads(s, look_at, &looking, err));
	for (size_t i = 0; i < list->n; i++)
		list->events += list->items[i].to - list->items[i].from + 1;
	return LEDGER_OK;
}

/* --- Taking back --------------------------------------------------------------------------------- */

static enum ledger_status count_left(
	const struct missing_list *list, struct ledger *l, uint64_t *left, struct ledger_error *err)
{
	uint64_t n = 0;
	for (size_t i = 0; i < list->n; i++) {
		const struct missing *m = &list->items[i];
		struct ledger_chain_name chain = { m->head.origin, m->epoch, m->domain };
		enum ledger_presence presence;
		uint64_t end;
		TRY(ledger_has(l, &m->head, &presence, err));
		if (presence == LEDGER_PRESENT || presence == LEDGER_IN_BRANCH)
			continue;
		TRY(ledger_chain_end(l, &chain, &end, err));
		n += m->differs || end >= m->to ? 1 : m->to - end;
	}
	*left = n;
	return LEDGER_OK;
}

enum ledger_status missing_take(struct missing_list *list, struct ledger *l, struct sync *sync,
	uint64_t within, uint64_t *left, struct ledger_error *err)
{
	uint64_t end = time_monotonic() + (within ? within : PATIENCE);
	TRY(count_left(list, l, left, err));
	while (*left && time_monotonic() < end) {
		uint64_t before = *left;
		TRY(sync_turn(sync, TIME_SECOND / 5, err));
		TRY(count_left(list, l, left, err));
		/* However much there is: as long as it comes, it is worth waiting for. */
		if (!within && *left < before)
			end = time_monotonic() + PATIENCE;
		progress_draw("recover",
			list->events - (*left < list->events ? *left : list->events), list->events);
	}
	progress_clear();
	if (*left == 0)
		return LEDGER_OK;
	fail(err, LEDGER_NOT_PROVEN,
		"%" PRIu64 " of %" PRIu64 " events that peers have of this node are not here yet",
		*left, list->events);
	return hint(err,
		"ledgerbox serve-sync goes on asking for them; or run ledgerbox recover again");
}
