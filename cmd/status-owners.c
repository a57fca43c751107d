/*
 * What `status` says of owners and of commands: streams that several nodes claimed, those that change
 * hands, and what was not executed.
 */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"

#include "../lib/base/banned.h"

#define NAMED_MAX 3

struct naming {
	struct owner_facts *facts;
	const char *here;
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

/* Whose turn it is. */
static void say_next(struct owner_facts *facts, const struct ledger_owner *o, const char *stream,
	const char *here)
{
	size_t max = sizeof(facts->next);
	bool for_us = slice_is(o->next, here);
	if (o->state == LEDGER_OWNER_OFFERED && for_us)
		snprintf(facts->next, max, "ledgerbox own accept '%s'", stream);
	else if (o->state == LEDGER_OWNER_OFFERED && o->here)
		snprintf(facts->next, max,
			"on %.*s: ledgerbox own accept '%s'; to take it back: ledgerbox own cancel "
			"'%s'",
			SLICE_ARG(o->next), stream, stream);
	else if (o->here)
		snprintf(facts->next, max,
			"serve-sync hands it over; to take it back: ledgerbox own cancel '%s'",
			stream);
	else
		snprintf(facts->next, max, "on %.*s: ledgerbox own show '%s'", SLICE_ARG(o->node),
			stream);
}

static enum ledger_status see_moving(
	const struct ledger_owner *o, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf stream = { 0 };
	struct naming *naming = context;
	struct owner_facts *facts = naming->facts;
	char until[TIME_TEXT_MAX];
	escape_slice(&stream, o->stream, false);
	TRY(buf_check(&stream, err));
	time_format(o->expires, until);
	snprintf(facts->moving, sizeof(facts->moving), "%s of %.*s was offered to %.*s until %s%s",
		buf_text(&stream), SLICE_ARG(o->node), SLICE_ARG(o->next), until,
		o->state == LEDGER_OWNER_ACCEPTED ? ", and accepted" : "");
	say_next(facts, o, buf_text(&stream), naming->here);
	return LEDGER_OK;
}

enum ledger_status owner_facts_gather(
	struct ledger *l, struct owner_facts *facts, struct ledger_error *err)
{
	struct naming naming = { .facts = facts, .here = ledger_node(l) };
	TRY(ledger_count_owners(l, &facts->counts, err));
	if (facts->counts.moving)
		TRY(ledger_moving(l, 1, see_moving, &naming, err));
	if (!facts->counts.contested)
		return LEDGER_OK;
	enum ledger_status status = ledger_conflicts(l, add_name, &naming, err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* --- Commands -------------------------------------------------------------------------------- */

static enum ledger_status see_count(
	const struct ledger_command_count *count, void *context, struct ledger_error *err)
{
	struct command_facts *facts = context;
	size_t used = strlen(facts->what);
	(void)err;
	if (slice_is(count->what, "executed") || slice_is(count->what, "repeated") ||
		count->number == 0)
		return LEDGER_OK;
	facts->failed += count->number;
	if (count->last > facts->last)
		facts->last = count->last;
	snprintf(facts->what + used, sizeof(facts->what) - used, "%s%" PRIu64 " %.*s",
		used ? ", " : "", count->number, (int)(count->what.len < 32 ? count->what.len : 32),
		count->what.ptr);
	return LEDGER_OK;
}

enum ledger_status command_facts_gather(
	struct ledger *l, struct command_facts *facts, struct ledger_error *err)
{
	return ledger_command_counts(l, see_count, facts, err);
}
