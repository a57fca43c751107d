/* What can be said of a received event without its ledger: form, limits, subject, hash, key and MAC. */
#include "accept.h"

#include <stdarg.h>
#include <stdio.h>

#include "../event/line.h"

#include "../base/banned.h"

const char *ledger_outcome_name(enum ledger_outcome outcome)
{
	static const char *const names[] = { [LEDGER_INSERTED] = "inserted",
		[LEDGER_KNOWN] = "known",
		[LEDGER_AHEAD] = "ahead",
		[LEDGER_DIVERGED] = "diverged",
		[LEDGER_FORKED] = "forked",
		[LEDGER_BAD] = "bad",
		[LEDGER_WAITING] = "waiting",
		[LEDGER_LOST] = "lost" };
	return names[outcome];
}

static const char *const reasons[] = { [LEDGER_REASON_NONE] = "none",
	[LEDGER_REASON_FORM] = "form",
	[LEDGER_REASON_SUBJECT] = "subject",
	[LEDGER_REASON_HASH] = "hash",
	[LEDGER_REASON_MAC] = "mac",
	[LEDGER_REASON_LINK] = "link",
	[LEDGER_REASON_CLOCK] = "clock",
	[LEDGER_REASON_KEY] = "key",
	[LEDGER_REASON_FORMAT] = "format" };

const char *ledger_reason_name(enum ledger_reason reason)
{
	return reasons[reason];
}

bool quarantine_reason(struct slice word, enum ledger_reason *reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (slice_is(word, reasons[i])) {
			*reason = (enum ledger_reason)i;
			return true;
		}
	}
	return false;
}

void accept_refuse(struct candidate *c, enum ledger_reason reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	c->reason = reason;
}

/* The event, from the line where the caller has not read it. */
static enum ledger_status read_form(
	struct candidate *c, struct arena *arena, struct ledger_error *err)
{
	const struct ledger_received *r = c->received;
	c->has_event = true;
	if (r->event) {
		c->event = *r->event;
		return LEDGER_OK;
	}
	enum ledger_status status = event_read_line(r->line, arena, &c->event, err);
	c->has_event = status == LEDGER_OK;
	if (status == LEDGER_INVALID)
		accept_refuse(c, LEDGER_REASON_FORM, "%.190s", err->text);
	else if (status == LEDGER_UNVERIFIED)
		accept_refuse(c, LEDGER_REASON_FORMAT, "%.190s", err->text);
	else
		return status;
	return LEDGER_OK;
}

static bool fits_subject(struct candidate *c)
{
	const struct ledger_source *source = c->received->source;
	const struct event *e = &c->event;
	if ((!source->origin.ptr || slice_eq(source->origin, e->origin)) &&
		(!source->domain.ptr || slice_eq(source->domain, e->domain)))
		return true;
	accept_refuse(c, LEDGER_REASON_SUBJECT,
		"an event of %.*s/%.*s under the subject of %.*s/%.*s", SLICE_ARG(e->origin),
		SLICE_ARG(e->domain), SLICE_ARG(source->origin), SLICE_ARG(source->domain));
	return false;
}

static bool has_right_hash(struct candidate *c)
{
	uint8_t body[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE];
	chain_body(&c->event, body);
	chain_hash(&c->event, body, hash);
	if (chain_same(hash, c->event.hash, EVENT_HASH_SIZE))
		return true;
	accept_refuse(c, LEDGER_REASON_HASH, "the hash is not that of the content");
	return false;
}

static bool has_right_mac(struct ledger *l, struct candidate *c)
{
	uint8_t mac[EVENT_HASH_SIZE];
	const struct chain_key *key = handle_find_key(l, c->event.key);
	if (!key) {
		accept_refuse(c, LEDGER_REASON_KEY, "key %.*s is not among the keys here",
			SLICE_ARG(c->event.key));
		return false;
	}
	chain_mac(key, c->event.hash, mac);
	if (chain_same(mac, c->event.mac, EVENT_HASH_SIZE))
		return true;
	accept_refuse(c, LEDGER_REASON_MAC, "the MAC is not that of the hash");
	return false;
}

static bool begins_well(struct candidate *c)
{
	const struct event *e = &c->event;
	uint8_t genesis[EVENT_HASH_SIZE];
	if (e->sequence != 1)
		return true;
	chain_genesis(e->origin, e->epoch, e->domain, genesis);
	if (chain_same(genesis, e->prev, EVENT_HASH_SIZE))
		return true;
	accept_refuse(c, LEDGER_REASON_LINK, "the first of its chain, it continues another one");
	return false;
}

enum ledger_status accept_examine(struct ledger *l, const struct ledger_received *received,
	struct arena *arena, struct candidate *out, struct ledger_error *err)
{
	*out = (struct candidate){ .received = received };
	TRY(read_form(out, arena, err));
	if (out->reason || !fits_subject(out))
		return LEDGER_OK;
	if (!received->verified && (!has_right_hash(out) || !has_right_mac(l, out)))
		return LEDGER_OK;
	if (!begins_well(out))
		return LEDGER_OK;
	if (out->event.clock > ACCEPT_CLOCK_MAX)
		accept_refuse(out, LEDGER_REASON_CLOCK, "a clock beyond all use");
	return LEDGER_OK;
}
