#include "reducers.h"

#include "../lib/base/banned.h"

const struct rule reducer_rules[] = {
	{ "initial", .is = { form_json } },
	{ "apply", .names = { form_event_type }, .is = { form_text } },
	{ 0 },
};

static size_t count(const struct yaml *parent)
{
	size_t n = 0;
	for (const struct yaml *value = parent ? parent->first : NULL; value; value = value->next)
		n++;
	return n;
}

static enum ledger_status refuse(const struct rule_file *file, const struct yaml *value,
	const char *what, const char *advice, struct ledger_error *err)
{
	fail(err, LEDGER_USAGE, "%s", what);
	hint(err, "%s", advice);
	return rule_fail_at(file, value, err);
}

static void *make_array(struct arena *arena, size_t n, size_t size, struct ledger_error *err)
{
	void *array = arena_array(arena, n ? n : 1, size);
	if (!array)
		fail(err, LEDGER_NO_MEMORY, "out of memory");
	return array;
}

/* --- Reducers -------------------------------------------------------------------------------- */

/* A word instead of a mapping: one that is built in. */
static enum ledger_reducer_kind built_in(struct slice word)
{
	if (slice_is(word, "last"))
		return LEDGER_REDUCER_LAST;
	return slice_is(word, "count") ? LEDGER_REDUCER_COUNT : LEDGER_REDUCER_MERGE;
}

static enum ledger_status build_reducer(const struct rule_file *file, const struct yaml *value,
	struct arena *arena, struct ledger_reducer *out, struct ledger_error *err)
{
	const struct yaml *apply = yaml_get(value, "apply"), *initial = yaml_get(value, "initial");
	out->stream_type = value->key;
	out->kind = built_in(value->text);
	if (value->kind == YAML_TEXT && !yaml_is_empty(value))
		return LEDGER_OK;
	if (count(apply) == 0)
		return refuse(file, value, "a reducer needs 'apply'",
			"write apply: {event_type: \"SQL expression\"}, or one of merge, last, "
			"count",
			err);
	struct ledger_reducer_rule *rules = make_array(arena, count(apply), sizeof(*rules), err);
	if (!rules)
		return err->status;
	for (const struct yaml *rule = apply->first; rule; rule = rule->next)
		rules[out->n_rules++] = (struct ledger_reducer_rule){ rule->key, rule->text };
	out->kind = LEDGER_REDUCER_SQL;
	out->rules = rules;
	if (initial)
		out->initial = initial->text;
	return LEDGER_OK;
}

static enum ledger_status build_reducers(const struct rule_file *file, const struct yaml *map,
	struct arena *arena, struct ledger_error *err)
{
	struct ledger_reducer *reducers = make_array(arena, count(map), sizeof(*reducers), err);
	if (!reducers)
		return err->status;
	settings.rules.reducers = reducers;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next)
		TRY(build_reducer(file, value, arena, &reducers[settings.rules.n_reducers++], err));
	return LEDGER_OK;
}

/* --- Upcasters ------------------------------------------------------------------------------- */

static enum ledger_status build_upcast(const struct rule_file *file, struct slice type,
	const struct yaml *value, struct ledger_upcast *out, struct ledger_error *err)
{
	*out = (struct ledger_upcast){ .type = type, .expression = value->text };
	if (!slice_u64(value->key, &out->schema) || out->schema == 0 || out->schema >= UINT32_MAX)
		return refuse(file, value, "the schema to cast up from is a whole number from 1",
			"write {1: \"SQL expression\"} for schema 1 to 2", err);
	if (value->kind != YAML_TEXT || yaml_is_empty(value))
		return refuse(file, value, "expected an SQL expression",
			"it makes the payload of the next schema from :payload", err);
	return LEDGER_OK;
}

static size_t count_upcasts(const struct yaml *map)
{
	size_t n = 0;
	for (const struct yaml *type = map ? map->first : NULL; type; type = type->next)
		n += count(type);
	return n;
}

static enum ledger_status build_upcasts(const struct rule_file *file, const struct yaml *map,
	struct arena *arena, struct ledger_error *err)
{
	struct ledger_upcast *upcasts =
		make_array(arena, count_upcasts(map), sizeof(*upcasts), err);
	if (!upcasts)
		return err->status;
	settings.rules.upcasts = upcasts;
	for (const struct yaml *type = map ? map->first : NULL; type; type = type->next)
		for (const struct yaml *value = type->first; value; value = value->next)
			TRY(build_upcast(
				file, type->key, value, &upcasts[settings.rules.n_upcasts++], err));
	return LEDGER_OK;
}

enum ledger_status reducers_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err)
{
	TRY(build_reducers(file, yaml_get(root, "reducers"), arena, err));
	return build_upcasts(file, yaml_get(root, "upcast"), arena, err);
}
