/* How far the handlers and projections of the config are. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#include "consumers.h"
#include "settings.h"

#include "../lib/base/banned.h"

static enum ledger_status count_parked(
	const struct ledger_parked *parked, void *context, struct ledger_error *err)
{
	(void)parked, (void)err;
	++*(uint64_t *)context;
	return LEDGER_OK;
}

static void set_behind(struct consumer_state *c, const struct facts *facts)
{
	c->behind = facts->o.events > c->position ? facts->o.events - c->position : 0;
	if (!c->state)
		c->state = c->behind ? "behind" : "idle";
}

/* What keeps it from running is its state, and not an error of `status`. */
static void refuse(struct consumer_state *c, const char *state, const char *reason)
{
	c->state = state;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

static enum ledger_status see_failing(struct ledger *l, const struct ledger_handler *h,
	struct consumer_state *c, struct ledger_error *err)
{
	struct ledger_failing failing;
	enum ledger_status status = ledger_handler_failing(l, slice_of(h->name), &failing, err);
	if (status == LEDGER_OK)
		refuse(c, "stopped", failing.reason);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

static enum ledger_status see_handler(struct ledger *l, const struct ledger_handler *h,
	const struct facts *facts, struct consumer_state *c, struct ledger_error *err)
{
	CLEANUP_BUF struct buf cursor = { 0 };
	*c = (struct consumer_state){ .name = h->name, .kind = "handler" };
	buf_addf(&cursor, "handler:%s", h->name);
	TRY(buf_check(&cursor, err));
	enum ledger_status status = ledger_cursor_get(l, buf_slice(&cursor), &c->position, err);
	if (status == LEDGER_NO)
		c->state = "new";
	else if (status == LEDGER_REFUSED)
		refuse(c, "refused", err->text);
	else if (status == LEDGER_OK)
		TRY(see_failing(l, h, c, err));
	else
		return status;
	set_behind(c, facts);
	return ledger_parked(l, slice_of(h->name), count_parked, &c->parked, err);
}

/* What was found before the command gave up the right to open their files. */
static struct consumer_state *projections;

static enum ledger_status see_projection(
	struct ledger *l, size_t i, struct consumer_state *c, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	const struct ledger_projection *p = &settings.projections[i];
	struct ledger_projection_state state = { 0 };
	*c = (struct consumer_state){ .name = p->name, .kind = "projection" };
	enum ledger_status status = consumers_load(i, &arena, err);
	if (status == LEDGER_OK)
		status = ledger_projection_look(l, p, &state, err);
	c->position = state.position;
	if (status == LEDGER_NO)
		c->state = "new";
	else if (status != LEDGER_OK)
		refuse(c, "refused", err->text);
	else if (state.stopped)
		refuse(c, "stopped", state.reason);
	return LEDGER_OK;
}

enum ledger_status status_see_projections(struct ledger *l, struct ledger_error *err)
{
	if (settings.n_projections == 0)
		return LEDGER_OK;
	projections = calloc(settings.n_projections, sizeof(*projections));
	if (!projections)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < settings.n_projections; i++)
		TRY(see_projection(l, i, &projections[i], err));
	return LEDGER_OK;
}

void status_forget_projections(void)
{
	free(projections);
	projections = NULL;
}

enum ledger_status status_each_consumer(struct ledger *l, const struct facts *facts,
	consumer_state_fn *fn, void *context, struct ledger_error *err)
{
	struct consumer_state c;
	for (size_t i = 0; projections && i < settings.n_projections; i++) {
		set_behind(&projections[i], facts);
		TRY(fn(&projections[i], context, err));
	}
	for (size_t i = 0; i < settings.n_handlers; i++) {
		TRY(see_handler(l, &settings.handlers[i], facts, &c, err));
		TRY(fn(&c, context, err));
	}
	return LEDGER_OK;
}
