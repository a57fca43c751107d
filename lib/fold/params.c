/* The named parameters of texts from the config: an event's fields. */
#include "door.h"

#include "../base/banned.h"

enum param {
	PARAM_STATE,
	PARAM_PAYLOAD,
	PARAM_METADATA,
	PARAM_TYPE,
	PARAM_SCHEMA,
	PARAM_ID,
	PARAM_ORIGIN,
	PARAM_DOMAIN,
	PARAM_STREAM_TYPE,
	PARAM_STREAM_KEY,
	PARAM_VERSION,
	PARAM_TIME,
	PARAM_CLOCK,
	PARAM_POSITION,
	PARAM_COUNT_
};

static const char *const names[PARAM_COUNT_] = {
	[PARAM_STATE] = ":state",
	[PARAM_PAYLOAD] = ":payload",
	[PARAM_METADATA] = ":metadata",
	[PARAM_TYPE] = ":type",
	[PARAM_SCHEMA] = ":schema",
	[PARAM_ID] = ":id",
	[PARAM_ORIGIN] = ":origin",
	[PARAM_DOMAIN] = ":domain",
	[PARAM_STREAM_TYPE] = ":stream_type",
	[PARAM_STREAM_KEY] = ":stream_key",
	[PARAM_VERSION] = ":version",
	[PARAM_TIME] = ":time",
	[PARAM_CLOCK] = ":clock",
	[PARAM_POSITION] = ":position",
};

static enum ledger_status unknown_param(const char *name, struct ledger_error *err)
{
	fail(err, LEDGER_USAGE, "there is no parameter %s", name ? name : "?");
	return hint(err, ":payload :metadata :type :schema :id :origin :domain :stream_type "
			 ":stream_key :version :time :clock, a reducer's :state, a projection's "
			 ":position");
}

static enum ledger_status find_param(
	const char *name, enum sqlite_use use, uint8_t *out, struct ledger_error *err)
{
	int which = 0;
	while (which < PARAM_COUNT_ && !(name && strcmp(name, names[which]) == 0))
		which++;
	if (which == PARAM_COUNT_)
		return unknown_param(name, err);
	if (which == PARAM_STATE && use != FOR_REDUCER)
		return fail(err, LEDGER_USAGE, "only a reducer has :state");
	if (which == PARAM_POSITION && use != FOR_PROJECTION) {
		fail(err, LEDGER_USAGE, "only a projection has :position");
		return hint(err, "one event has another position on each node, and a state "
				 "should not");
	}
	*out = (uint8_t)which;
	return LEDGER_OK;
}

enum ledger_status params_find(struct part *part, enum sqlite_use use, struct ledger_error *err)
{
	int n = sqlite3_bind_parameter_count(part->st);
	if (n > PARAMS_MAX)
		return fail(err, LEDGER_USAGE, "more than %d parameters", PARAMS_MAX);
	for (int i = 0; i < n; i++)
		TRY(find_param(
			sqlite3_bind_parameter_name(part->st, i + 1), use, &part->params[i], err));
	part->n_params = n;
	return LEDGER_OK;
}

void params_facts(struct facts *facts, const struct event *event)
{
	uuid_format(event->id, facts->id);
	time_format(event->time, facts->time);
	time_format(event->clock, facts->clock);
	facts->stream_type = facts->stream_key = (struct slice){ NULL, 0 };
	if (event->stream.ptr)
		slice_cut(event->stream, '/', &facts->stream_type, &facts->stream_key);
}

static int bind(const struct part *part, int at, struct slice text)
{
	return text.ptr ? sqlite3_bind_text64(
				  part->st, at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8)
			: sqlite3_bind_null(part->st, at);
}

static struct slice text_of(
	enum param which, const struct facts *facts, const struct event *event, struct slice state)
{
	switch (which) {
	case PARAM_STATE:
		return state;
	case PARAM_PAYLOAD:
		return event->payload;
	case PARAM_METADATA:
		return event->metadata;
	case PARAM_TYPE:
		return event->type;
	case PARAM_ID:
		return slice_of(facts->id);
	case PARAM_ORIGIN:
		return event->origin;
	case PARAM_DOMAIN:
		return event->domain;
	case PARAM_STREAM_TYPE:
		return facts->stream_type;
	case PARAM_STREAM_KEY:
		return facts->stream_key;
	case PARAM_TIME:
		return slice_of(facts->time);
	case PARAM_CLOCK:
		return slice_of(facts->clock);
	default:
		return (struct slice){ NULL, 0 };
	}
}

static int bind_param(const struct part *part, int at, const struct facts *facts,
	const struct event *event, struct slice state)
{
	enum param which = part->params[at - 1];
	switch (which) {
	case PARAM_SCHEMA:
		return sqlite3_bind_int64(part->st, at, (int64_t)event->schema);
	case PARAM_VERSION:
		return sqlite3_bind_int64(part->st, at, (int64_t)event->version);
	case PARAM_POSITION:
		return sqlite3_bind_int64(part->st, at, (int64_t)event->position);
	default:
		return bind(part, at, text_of(which, facts, event, state));
	}
}

int params_bind(const struct part *part, const struct facts *facts, const struct event *event,
	struct slice state)
{
	int code = SQLITE_OK;
	for (int i = 1; i <= part->n_params && code == SQLITE_OK; i++)
		code = bind_param(part, i, facts, event, state);
	return code;
}
