/* tags_from of the config: tags that an event gets from its own payload and metadata. */
#ifndef CMD_TAGS_H
#define CMD_TAGS_H

#include "draft.h"
#include "settings.h"

/*
 * Adds a tag `name:value` for every source of the domain's tags_from (`domain` may be NULL) that the
 * draft has a value for: a text that is a legal tag value, a whole number, or an array of these, one
 * tag each. An absent member gives none; LEDGER_INVALID for anything else names the source and the
 * event.
 */
enum ledger_status tags_from(const struct domain_settings *domain, struct draft *d,
	struct arena *arena, struct ledger_error *err);

#endif
