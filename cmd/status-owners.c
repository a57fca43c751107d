/* What `status` says of owners: streams that several nodes claimed, and those that change hands. */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"

#include "../lib/base/banned.h"

#define NAMED_MAX 3

struct naming {
	struct owner_facts *facts;
	size_t used, n;
};

static enum ledger_status add_name(const struct ledger_owner *owner,
	const struct ledger_claim *claims, size_t n, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf shown = { 0 };
	struct naming *naming = context;
	struct owner_facts *facts = naming->facts;
	(void)claims;
	(void)n;
	if (naming->n++ == NAMED_MAX)
		return fail(err, LEDGER_NO, "enough are named");
	escape_slice(&shown, owner->stream, false);
	TRY(buf_check(&shown, err));
	int more = snprintf(facts->contested + naming->used,
		sizeof(facts->contested) - naming->used, "%s%s (%.*s)", naming->used ? ", " : "",
		buf_text(&shown), SLICE_ARG(owner->node));
	if (more > 0)
		naming->used += (size_t)more;
	if (naming->used >= sizeof(facts->contested)) /* cut, and said to be so */
		return fail(err, LEDGER_NO, "enough are named");
	return LEDGER_OK;
}

enum ledger_status owner_facts_gather(
	struct ledger *l, struct owner_facts *facts, struct ledger_error *err)
{
	struct naming naming = { .facts = facts };
	TRY(ledger_count_owners(l, &facts->counts, err));
	if (!facts->counts.contested)
		return LEDGER_OK;
	enum ledger_status status = ledger_conflicts(l, add_name, &naming, err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

void owner_facts_add_text(struct buf *out, const struct owner_facts *facts)
{
	const struct ledger_owner_counts *n = &facts->counts;
	if (n->contested)
		buf_addf(out, "contested    %" PRIu64 ": %s%s; see: ledgerbox own conflicts\n",
			n->contested, facts->contested, n->contested > NAMED_MAX ? " …" : "");
	if (n->moving)
		buf_addf(out,
			"owners       %" PRIu64 " stream%s offered; see: ledgerbox own list\n",
			n->moving, n->moving == 1 ? " is" : "s are");
}
