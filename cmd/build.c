#include "build.h"

#include "../lib/base/banned.h"

size_t build_count(const struct yaml *parent)
{
	size_t n = 0;
	for (const struct yaml *value = parent ? parent->first : NULL; value; value = value->next)
		n++;
	return n;
}

enum ledger_status build_array(
	const struct build *b, size_t n, size_t size, void **out, struct ledger_error *err)
{
	*out = NULL;
	if (n == 0)
		return LEDGER_OK;
	*out = arena_array(b->arena, n, size);
	if (!*out)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	memset(*out, 0, n * size);
	return LEDGER_OK;
}

void build_text(const struct yaml *map, const char *key, const char **out)
{
	const struct yaml *value = yaml_get(map, key);
	if (value)
		*out = value->text.ptr;
}

static enum ledger_status resolve(
	const struct build *b, struct slice text, const char **out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	rule_add_path(&path, b->file, text);
	TRY(buf_check(&path, err));
	const char *copy = arena_copy(b->arena, buf_slice(&path)).ptr;
	if (!copy)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	*out = copy;
	return LEDGER_OK;
}

enum ledger_status build_path(const struct build *b, const struct yaml *map, const char *key,
	const char **out, struct ledger_error *err)
{
	const struct yaml *value = yaml_get(map, key);
	return value ? resolve(b, value->text, out, err) : LEDGER_OK;
}

enum ledger_status build_list(const struct build *b, const struct yaml *list, bool paths,
	const char ***out, size_t *n, struct ledger_error *err)
{
	void *array;
	size_t filled = 0;
	TRY(build_array(b, build_count(list), sizeof(**out), &array, err));
	const char **texts = array;
	for (const struct yaml *item = texts ? list->first : NULL; item; item = item->next) {
		const char *text = item->text.ptr;
		if (paths)
			TRY(resolve(b, item->text, &text, err));
		texts[filled++] = text;
	}
	*out = texts;
	*n = filled;
	return LEDGER_OK;
}

void build_number(const struct yaml *map, const char *key, form_fn *form, uint64_t *out)
{
	static const struct form any = { .max = UINT64_MAX };
	struct ledger_error ignored;
	const struct yaml *value = yaml_get(map, key);
	if (value)
		form(value->text, &any, out, &ignored);
}

void build_bool(const struct yaml *map, const char *key, bool *out)
{
	const struct yaml *value = yaml_get(map, key);
	if (value)
		*out = slice_is(value->text, "true");
}
