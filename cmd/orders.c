#include "orders.h"

#include "consumers.h"

#include "../lib/base/banned.h"

#define MILLISECOND	(TIME_SECOND / 1000)
#define TIMEOUT_DEFAULT (5 * TIME_SECOND)
#define RETRIES_DEFAULT 3
#define COMMANDS_MAX	50

static const char *const modes[] = { "each", "lines", NULL };

/* Names that begin with "_" are built in. */
static enum ledger_status form_name(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	TRY(form_token(text, form, number, err));
	if (text.ptr[0] != '_')
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "'%s' is reserved", form_excerpt(text, shown));
	return hint(err, "names that begin with _ are built in");
}

const struct rule orders_command[] = {
	{ "stream_type", .is = { form_token } },
	{ "command", .is = { form_name } },
	{ "exec", .items = { consumers_argument } },
	{ "mode", .is = { form_choice, .choices = modes } },
	{ "state", .is = { form_bool } },
	{ "timeout", .is = { form_duration, MILLISECOND, 3600 * TIME_SECOND, "1ms to 1h" } },
	{ "retries", .is = { form_number, 0, 1000, "0 to 1000" } },
	{ 0 },
};

/* In the form of its row, checked before; `fallback` where it is not given. */
static uint64_t number_of(const struct yaml *value, const char *key, uint64_t fallback)
{
	const struct yaml *found = yaml_get(value, key);
	struct ledger_error ignored;
	uint64_t number = fallback;
	for (const struct rule *rule = orders_command; found && rule->key; rule++)
		if (strcmp(rule->key, key) == 0)
			rule->is.check(found->text, &rule->is, &number, &ignored);
	return number;
}

static enum ledger_status build_one(const struct rule_file *file, const struct yaml *value,
	struct arena *arena, struct ledger_command_handler *h, struct ledger_error *err)
{
	const struct yaml *type = yaml_get(value, "stream_type"),
			  *name = yaml_get(value, "command"), *mode = yaml_get(value, "mode"),
			  *state = yaml_get(value, "state");
	if (!type)
		return consumers_missing(
			file, value, "stream_type", "of whose streams: stream_type: product", err);
	if (!name)
		return consumers_missing(
			file, value, "command", "its name: command: update_price", err);
	h->stream_type = type->text.ptr;
	h->name = name->text.ptr;
	h->mode =
		mode && slice_is(mode->text, "lines") ? LEDGER_HANDLER_LINES : LEDGER_HANDLER_EACH;
	h->state = state && slice_is(state->text, "true");
	h->timeout = number_of(value, "timeout", TIMEOUT_DEFAULT);
	h->retries = number_of(value, "retries", RETRIES_DEFAULT);
	return consumers_exec(file, value, arena, &h->exec, err);
}

/* One command of one type has one program. */
static enum ledger_status check_single(
	const struct rule_file *file, const struct yaml *value, struct ledger_error *err)
{
	const struct ledger_command_handler *last = &settings.commands[settings.n_commands - 1];
	for (const struct ledger_command_handler *h = settings.commands; h < last; h++)
		if (strcmp(h->stream_type, last->stream_type) == 0 &&
			strcmp(h->name, last->name) == 0) {
			fail(err, LEDGER_USAGE, "command %s of stream type %s is listed twice",
				h->name, h->stream_type);
			return rule_fail_at(file, value, err);
		}
	return LEDGER_OK;
}

enum ledger_status orders_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err)
{
	const struct yaml *list = yaml_get(root, "commands");
	settings.commands = arena_array(arena, COMMANDS_MAX + 1, sizeof(*settings.commands));
	if (!settings.commands)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (const struct yaml *value = list ? list->first : NULL; value; value = value->next) {
		if (settings.n_commands == COMMANDS_MAX) {
			fail(err, LEDGER_USAGE, "more than %d commands", COMMANDS_MAX);
			return rule_fail_at(file, value, err);
		}
		TRY(build_one(file, value, arena, &settings.commands[settings.n_commands++], err));
		TRY(check_single(file, value, err));
	}
	return LEDGER_OK;
}
