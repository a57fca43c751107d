/* What turns a draft into an event: flags, the domain and the tags that the config gives, and the id. */
#include "append.h"

#include <inttypes.h>

#include "claims.h"
#include "input.h"
#include "settings.h"
#include "tags.h"

#include "../lib/base/banned.h"

/* --- The domain ------------------------------------------------------------------------------ */

/* stream_types: {type: {domain: …}}; absent where the config says nothing. */
static struct slice domain_of_stream(struct slice stream)
{
	struct slice type, key;
	if (!slice_cut(stream, '/', &type, &key))
		return (struct slice){ NULL, 0 };
	for (size_t i = 0; i < settings.n_stream_types; i++)
		if (slice_is(type, settings.stream_types[i].name))
			return slice_of(settings.stream_types[i].domain);
	return (struct slice){ NULL, 0 };
}

static enum ledger_status not_taken(struct slice domain, struct ledger_error *err)
{
	const char *near = settings_nearest_domain(domain);
	fail(err, LEDGER_INVALID, "domain '%.*s' is not listed in %s",
		SLICE_ARG(input_shown(domain)), settings.config ? settings.config : "the config");
	if (near)
		return hint(err, "did you mean '%s'? a new domain is added under domains:", near);
	return hint(err, "add it under domains: there, or \"*\" to take any");
}

static enum ledger_status check_domain(
	struct slice domain, const struct domain_settings **found, struct ledger_error *err)
{
	TRY(event_check_domain(domain, err));
	if (domain.ptr[0] == '_') {
		fail(err, LEDGER_INVALID, "domain '%.*s' is reserved", SLICE_ARG(domain));
		return hint(err, "names that begin with _ belong to the ledger itself");
	}
	*found = settings_domain(domain);
	return *found || settings.n_domains == 0 ? LEDGER_OK : not_taken(domain, err);
}

/* --- The whole event ------------------------------------------------------------------------- */

static enum ledger_status check_present(const struct ledger_new *event, struct ledger_error *err)
{
	if (!event->domain.ptr) {
		fail(err, LEDGER_INVALID, "no domain");
		return hint(err, "give -d DOMAIN, or \"domain\" in the line, or one to the stream "
				 "type in the config");
	}
	if (!event->type.ptr) {
		fail(err, LEDGER_INVALID, "no type");
		return hint(err, "give -t TYPE, or \"type\" in the line: what happened, for "
				 "example stock_adjusted");
	}
	if (!event->payload.ptr) {
		fail(err, LEDGER_INVALID, "no payload");
		return hint(err,
			"what happened goes under \"payload\"; {} where there is nothing to add");
	}
	return LEDGER_OK;
}

/* KEY for the first event, KEY#k for the kth of --atomic. */
static enum ledger_status once_id(
	struct slice key, uint64_t nth, struct ledger_new *event, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_add_slice(&text, key);
	if (nth > 1)
		buf_addf(&text, "#%" PRIu64, nth);
	TRY(buf_check(&text, err));
	ledger_once_id(event->domain, buf_slice(&text), event->id);
	event->has_id = true;
	return LEDGER_OK;
}

static enum ledger_status give_id(
	const struct append *a, uint64_t nth, struct ledger_new *event, struct ledger_error *err)
{
	if (a->has_id && nth > 1) {
		fail(err, LEDGER_USAGE, "--id goes with one event, and there is another");
		return hint(err, "give each line its own \"id\", or use --once KEY");
	}
	if (event->has_id)
		return LEDGER_OK;
	if (a->once.ptr)
		return once_id(a->once, nth, event, err);
	event->has_id = a->has_id;
	memcpy(event->id, a->id, sizeof(event->id));
	return LEDGER_OK;
}

enum ledger_status append_complete(const struct append *a, uint64_t nth, struct draft *d,
	struct arena *arena, struct ledger_new *event, struct ledger_error *err)
{
	const struct domain_settings *domain;
	TRY(draft_fill(d, &a->defaults, arena, err));
	if (!d->event.domain.ptr)
		d->event.domain = domain_of_stream(d->event.stream);
	TRY(check_present(&d->event, err));
	TRY(check_domain(d->event.domain, &domain, err));
	if (a->condition.expect != LEDGER_EXPECT_ANY && !d->event.stream.ptr) {
		fail(err, LEDGER_INVALID, "%s asks about a stream, and the event has none",
			a->condition.create ? "--create" : "--expect");
		return hint(err, "give -s TYPE/KEY");
	}
	append_wait_touch(d->event.domain);
	if (a->condition.create && nth == 1 && !a->dry_run)
		TRY(claims_win(a->ledger, d->event.domain, d->event.stream, err));
	TRY(tags_from(domain, d, arena, err));
	TRY(give_id(a, nth, &d->event, err));
	return draft_finish(d, arena, event, err);
}
