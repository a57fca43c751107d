#include "execute.h"

#include "append.h"
#include "consumers.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* --- Whose ----------------------------------------------------------------------------------- */

static enum ledger_status not_owned(struct slice stream, struct ledger_error *err)
{
	fail(err, LEDGER_NOT_OWNER, "nobody owns stream %.*s",
		(int)(stream.len < 100 ? stream.len : 100), stream.ptr);
	return hint(err, "claim it with its first event: ledgerbox append --create");
}

enum ledger_status execute_whose(
	struct ledger *l, struct slice stream, struct whose *out, struct ledger_error *err)
{
	const struct stream_type_settings *type = settings_stream_type(stream);
	struct slice type_name, key;
	*out = (struct whose){ .here = true };
	if (type && type->domain)
		out->domain = slice_of(type->domain);
	if (!type || !type->owned || !slice_cut(stream, '/', &type_name, &key))
		return LEDGER_OK;
	enum ledger_status status = ledger_owner_of(l, type_name, key, &out->owner, err);
	if (status == LEDGER_NO || (status == LEDGER_OK && !out->owner.node.ptr))
		return not_owned(stream, err);
	TRY(status);
	out->owned = true;
	out->here = slice_is(out->owner.node, ledger_node(l));
	out->domain = out->owner.domain;
	if (out->owner.node.len < sizeof(out->node))
		memcpy(out->node, out->owner.node.ptr, out->owner.node.len);
	return LEDGER_OK;
}

static enum ledger_status owned_here(
	struct ledger *l, struct slice stream, struct slice *domain, struct ledger_error *err)
{
	struct whose whose;
	TRY(execute_whose(l, stream, &whose, err));
	*domain = whose.domain;
	/* Not on offer, not waiting for what its owner before recorded: else the program would run in vain. */
	if (whose.here)
		return whose.owned ? ledger_owner_may_write(l, &whose.owner, err) : LEDGER_OK;
	fail(err, LEDGER_NOT_OWNER, "stream %.*s is owned by %s, not by %s",
		(int)(stream.len < 100 ? stream.len : 100), stream.ptr, whose.node, ledger_node(l));
	return hint(err, "send it there");
}

/* --- What a handler prints ------------------------------------------------------------------- */

static enum ledger_status event_of(struct slice line, struct slice stream, struct slice domain,
	struct arena *arena, struct ledger_new *out, struct ledger_error *err)
{
	const struct append a = {
		.defaults = { .domain = domain, .stream = stream, .schema = 1 },
	};
	struct draft d;
	TRY(draft_from_line(&d, line, arena, err));
	return append_complete(&a, 1, &d, arena, out, err);
}

static void said(const char *command, struct slice line, void *context)
{
	(void)context;
	warn("command %s: %.*s", command, (int)(line.len < 1000 ? line.len : 1000), line.ptr);
}

/* Stream types may stand behind the commands in the config. */
static uint64_t snapshot_every(const char *type)
{
	for (size_t i = 0; i < settings.n_stream_types; i++)
		if (strcmp(settings.stream_types[i].name, type) == 0)
			return settings.stream_types[i].snapshot_every;
	return 0;
}

void execute_options(struct ledger_commands_options *out, struct ledger *l)
{
	for (size_t i = 0; i < settings.n_commands; i++)
		settings.commands[i].snapshot_every =
			snapshot_every(settings.commands[i].stream_type);
	*out = (struct ledger_commands_options){
		.ledger = l,
		.rules = &settings.rules,
		.handlers = settings.commands,
		.n_handlers = settings.n_commands,
		.environment = consumers_environment(),
		.folder = settings.folder,
		.may_run = consumers_check_safe,
		.owned_here = owned_here,
		.event_of = event_of,
		.said = said,
	};
}
