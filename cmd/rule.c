#include "rule.h"

#include "../lib/base/banned.h"

enum ledger_status rule_fail_at(
	const struct rule_file *file, const struct yaml *value, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	if (value->key.ptr)
		fail_in(err, "%s: ", form_excerpt(value->key, shown));
	return fail_in(err, "%s:%u:%u: ", file->name, value->line, value->column);
}

enum ledger_status rule_refuse(const struct rule_file *file, const struct yaml *value,
	const char *text, const char *advice, struct ledger_error *err)
{
	fail(err, LEDGER_USAGE, "%s", text);
	hint(err, "%s", advice);
	return rule_fail_at(file, value, err);
}

static enum ledger_status refuse_key(
	const struct rule_file *file, const struct yaml *value, struct ledger_error *err)
{
	return fail_in(err, "%s:%u:%u: ", file->name, value->key_line, value->key_column);
}

/* --- Checking -------------------------------------------------------------------------------- */

static const struct rule *find_rule(const struct rule *rules, struct slice key)
{
	for (const struct rule *rule = rules; rule->key; rule++)
		if (slice_is(key, rule->key))
			return rule;
	return NULL;
}

static enum ledger_status unknown_key(const struct rule_file *file, const struct rule *rules,
	const struct yaml *value, const char *where, struct ledger_error *err)
{
	struct nearest nearest = { .typed = value->key };
	for (const struct rule *rule = rules; rule->key; rule++)
		nearest_try(&nearest, rule->key);
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_USAGE, "unknown key '%s'%s%s", form_excerpt(value->key, shown),
		where ? " in " : "", where ? where : "");
	if (nearest.best)
		hint(err, "did you mean '%s'?", nearest.best);
	else
		hint(err, "see ledgerbox-config(5)");
	return refuse_key(file, value, err);
}

static enum ledger_status check_map(const struct rule_file *file, const struct rule *rules,
	const struct yaml *map, const char *where, struct ledger_error *err);

static enum ledger_status expect(const struct rule_file *file, const struct yaml *value,
	enum yaml_kind kind, const char *advice, struct ledger_error *err)
{
	static const char *const names[] = { "a text", "a list", "a mapping" };
	if (value->kind == kind)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "expected %s, found %s", names[kind], names[value->kind]);
	hint(err, "%s", advice);
	return rule_fail_at(file, value, err);
}

static enum ledger_status check_text(const struct rule_file *file, const struct form *form,
	const struct yaml *value, struct ledger_error *err)
{
	TRY(expect(file, value, YAML_TEXT, "see ledgerbox-config(5)", err));
	if (yaml_is_empty(value)) {
		fail(err, LEDGER_USAGE, "no value");
		hint(err, "leave the line out, or write a value; a text such as null needs quotes");
		return rule_fail_at(file, value, err);
	}
	uint64_t number;
	if (form->check(value->text, form, &number, err) != LEDGER_OK)
		return rule_fail_at(file, value, err);
	return LEDGER_OK;
}

static enum ledger_status check_list(const struct rule_file *file, const struct rule *rule,
	const struct yaml *list, struct ledger_error *err)
{
	TRY(expect(file, list, YAML_LIST, "write it in brackets: [first, second]", err));
	for (const struct yaml *item = list->first; item; item = item->next) {
		if (rule->items.check)
			TRY(check_text(file, &rule->items, item, err));
		else
			TRY(expect(file, item, YAML_MAP, "see ledgerbox-config(5)", err));
		if (rule->maps && rule->fields)
			TRY(check_map(file, rule->fields, item, rule->key, err));
	}
	return LEDGER_OK;
}

/* One value, names aside. `inventory:` with nothing behind it is a mapping without keys. */
static enum ledger_status check_one(const struct rule_file *file, const struct rule *rule,
	const struct yaml *value, struct ledger_error *err)
{
	/* A row with both takes a word or a mapping. */
	if (rule->is.check && !(rule->fields && value->kind == YAML_MAP)) {
		TRY(check_text(file, &rule->is, value, err));
		return rule->setting ? file->take(rule, value, err) : LEDGER_OK;
	}
	if (yaml_is_empty(value))
		return LEDGER_OK;
	if (rule->items.check || rule->maps)
		return check_list(file, rule, value, err);
	TRY(expect(file, value, YAML_MAP, "write its keys below it, indented by two spaces", err));
	return rule->fields ? check_map(file, rule->fields, value, value->key.ptr, err) : LEDGER_OK;
}

static enum ledger_status check_named(const struct rule_file *file, const struct rule *rule,
	const struct yaml *map, struct ledger_error *err)
{
	if (yaml_is_empty(map))
		return LEDGER_OK;
	TRY(expect(file, map, YAML_MAP, "write its names below it, indented by two spaces", err));
	for (const struct yaml *value = map->first; value; value = value->next) {
		uint64_t number;
		if (rule->names.check(value->key, &rule->names, &number, err) != LEDGER_OK) {
			fail_in(err, "%s: ", rule->key);
			return refuse_key(file, value, err);
		}
		TRY(check_one(file, rule, value, err));
	}
	return LEDGER_OK;
}

static enum ledger_status check_map(const struct rule_file *file, const struct rule *rules,
	const struct yaml *map, const char *where, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	if (where)
		where = form_excerpt(slice_of(where), shown);
	for (const struct yaml *value = map->first; value; value = value->next) {
		const struct rule *rule = find_rule(rules, value->key);
		if (!rule)
			return unknown_key(file, rules, value, where, err);
		if (rule->names.check)
			TRY(check_named(file, rule, value, err));
		else
			TRY(check_one(file, rule, value, err));
	}
	return LEDGER_OK;
}

enum ledger_status rule_check(const struct rule_file *file, const struct rule *rules,
	const struct yaml *map, struct ledger_error *err)
{
	TRY(expect(file, map, YAML_MAP,
		"a config is lines of 'key: value', see ledgerbox-config(5)", err));
	return check_map(file, rules, map, NULL, err);
}

/* --- Showing --------------------------------------------------------------------------------- */

void rule_add_path(struct buf *out, const struct rule_file *file, struct slice path)
{
	if (!slice_starts(path, SLICE("/")))
		buf_add_text(out, file->folder);
	buf_add_slice(out, path);
}

static void add_text(
	struct buf *out, const struct rule_file *file, const struct rule *rule, struct slice text)
{
	if (rule && rule->path)
		rule_add_path(out, file, text);
	else
		form_add_hidden(out, text);
}

static bool is_list_of_texts(const struct yaml *value)
{
	if (value->kind != YAML_LIST)
		return false;
	for (const struct yaml *item = value->first; item; item = item->next)
		if (item->kind != YAML_TEXT)
			return false;
	return true;
}

static void add_list(struct buf *out, const struct rule_file *file, const struct rule *rule,
	const struct yaml *list)
{
	buf_add_char(out, '[');
	for (const struct yaml *item = list->first; item; item = item->next) {
		add_text(out, file, rule, item->text);
		buf_add_text(out, item->next ? ", " : "");
	}
	buf_add_char(out, ']');
}

/* The rule of a member: a name's is its parent's own; in a mapping of anything there is none. */
static const struct rule *member_rule(const struct rule *rule, const struct yaml *value, bool named)
{
	if (!rule || named)
		return rule;
	return rule->fields && value->key.ptr ? find_rule(rule->fields, value->key) : NULL;
}

static void show(const struct rule_file *file, const struct rule *rule, bool named,
	const struct yaml *value, struct buf *key, rule_show_fn *fn, void *context)
{
	CLEANUP_BUF struct buf text = { 0 };
	bool list = is_list_of_texts(value);
	bool empty = value->kind == YAML_MAP ? !value->first : rule && yaml_is_empty(value);
	if (list)
		add_list(&text, file, rule, value);
	else if (empty)
		buf_add_text(&text, "{}");
	else if (value->kind == YAML_TEXT)
		add_text(&text, file, rule, value->text);
	if (list || empty || value->kind == YAML_TEXT) {
		fn(buf_text(key), buf_text(&text), value->line, context);
		return;
	}
	size_t before = key->len, index = 0;
	for (const struct yaml *item = value->first; item; item = item->next) {
		buf_add_char(key, '.');
		if (item->key.ptr)
			buf_add_slice(key, item->key);
		else
			buf_add_u64(key, index++);
		const struct rule *next = member_rule(rule, item, named);
		show(file, next, !named && next && next->names.check, item, key, fn, context);
		key->len = before;
	}
}

void rule_show(const struct rule_file *file, const struct rule *rule, const struct yaml *value,
	struct buf *key, rule_show_fn *fn, void *context)
{
	show(file, rule, rule->names.check != NULL, value, key, fn, context);
}
