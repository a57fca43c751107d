/* Which consumer takes an event. */
#include "../fold.h"
#include "../replay.h"

#include "../base/banned.h"

/* --- Handlers -------------------------------------------------------------------------------- */

/* How much the handler says about the events it takes; 0: this is none of them. */
static unsigned fit(const struct ledger_handler *h, const struct event *event, uint64_t schema)
{
	if (!slice_eq(h->domain, event->domain) ||
		(h->type.ptr && !slice_eq(h->type, event->type)) ||
		(h->schema && h->schema != schema))
		return 0;
	return 1 + (h->type.ptr != NULL) + (h->schema != 0);
}

bool ledger_handler_takes(
	const struct ledger_handler *handlers, size_t n, size_t which, const struct event *event)
{
	const struct ledger_rules *rules = handlers[which].rules;
	uint64_t schema = rules ? ledger_upcast_schema(rules, event) : event->schema;
	unsigned own = fit(&handlers[which], event, schema);
	for (size_t i = 0; own && i < n; i++)
		if (fit(&handlers[i], event, schema) > own)
			return false;
	return own > 0;
}

/* --- Projections ----------------------------------------------------------------------------- */

static bool has_domain(const struct ledger_projection *p, struct slice domain)
{
	for (size_t i = 0; i < p->n_domains; i++)
		if (slice_eq(p->domains[i], domain))
			return true;
	return p->n_domains == 0;
}

const struct ledger_apply *ledger_projection_takes(
	const struct ledger_projection *p, const struct event *event)
{
	const struct ledger_apply *other = NULL;
	if (!has_domain(p, event->domain))
		return NULL;
	for (size_t i = 0; i < p->n_apply; i++) {
		if (slice_eq(p->apply[i].type, event->type))
			return &p->apply[i];
		if (slice_is(p->apply[i].type, "*"))
			other = &p->apply[i];
	}
	return other;
}
