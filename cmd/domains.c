#include "domains.h"

#include "../lib/base/banned.h"

static size_t count(const struct yaml *parent)
{
	size_t n = 0;
	for (const struct yaml *value = parent ? parent->first : NULL; value; value = value->next)
		n++;
	return n;
}

static enum ledger_status make_array(struct arena *arena, const struct yaml *parent, size_t size,
	void **out, struct ledger_error *err)
{
	*out = NULL;
	if (count(parent) == 0)
		return LEDGER_OK;
	*out = arena_array(arena, count(parent), size);
	return *out ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status build_tags(const struct yaml *map, struct arena *arena,
	struct domain_settings *domain, struct ledger_error *err)
{
	void *array;
	TRY(make_array(arena, map, sizeof(*domain->tags_from), &array, err));
	domain->tags_from = array;
	for (const struct yaml *tag = map ? map->first : NULL; tag; tag = tag->next)
		domain->tags_from[domain->n_tags_from++] =
			(struct tag_source){ tag->key.ptr, tag->text.ptr };
	return LEDGER_OK;
}

static enum ledger_status build_domains(
	const struct yaml *map, struct arena *arena, struct ledger_error *err)
{
	void *array;
	TRY(make_array(arena, map, sizeof(*settings.domains), &array, err));
	settings.domains = array;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next) {
		struct domain_settings *domain = &settings.domains[settings.n_domains++];
		/* There is an array where the map has an entry. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		domain->name = value->key.ptr;
		TRY(build_tags(yaml_get(value, "tags_from"), arena, domain, err));
	}
	return LEDGER_OK;
}

static enum ledger_status build_stream_types(
	const struct yaml *map, struct arena *arena, struct ledger_error *err)
{
	void *array;
	TRY(make_array(arena, map, sizeof(*settings.stream_types), &array, err));
	settings.stream_types = array;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next) {
		struct stream_type_settings *type =
			&settings.stream_types[settings.n_stream_types++];
		/* As above. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		type->name = value->key.ptr;
		const struct yaml *domain = yaml_get(value, "domain");
		type->domain = domain ? domain->text.ptr : NULL;
		const struct yaml *owned = yaml_get(value, "owned");
		type->owned = owned && slice_is(owned->text, "true");
		const struct yaml *every = yaml_get(value, "snapshot_every");
		if (every)
			slice_u64(every->text, &type->snapshot_every);
	}
	return LEDGER_OK;
}

static enum ledger_status build_verify_keys(const struct rule_file *file, const struct yaml *list,
	struct arena *arena, struct ledger_error *err)
{
	void *array;
	TRY(make_array(arena, list, sizeof(*settings.verify_keys), &array, err));
	settings.verify_keys = array;
	for (const struct yaml *item = list ? list->first : NULL; item; item = item->next) {
		CLEANUP_BUF struct buf path = { 0 };
		rule_add_path(&path, file, item->text);
		TRY(buf_check(&path, err));
		const char *kept = arena_copy(arena, buf_slice(&path)).ptr;
		if (!kept)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		settings.verify_keys[settings.n_verify_keys++] = kept;
	}
	return LEDGER_OK;
}

enum ledger_status domains_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err)
{
	TRY(build_domains(yaml_get(root, "domains"), arena, err));
	TRY(build_stream_types(yaml_get(root, "stream_types"), arena, err));
	return build_verify_keys(file, yaml_get(yaml_get(root, "keys"), "verify"), arena, err);
}

/* --- Names that refer to names --------------------------------------------------------------- */

static enum ledger_status not_listed(const struct rule_file *file, const struct yaml *value,
	const struct yaml *listed, const char *what, struct ledger_error *err)
{
	struct nearest nearest = { .typed = value->text };
	for (const struct yaml *name = listed ? listed->first : NULL; name; name = name->next)
		nearest_try(&nearest, name->key.ptr);
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_USAGE, "'%s' is not listed under %s", form_excerpt(value->text, shown),
		what);
	if (nearest.best)
		hint(err, "did you mean '%s'?", nearest.best);
	else
		hint(err, "list it there, even without keys of its own");
	return rule_fail_at(file, value, err);
}

static enum ledger_status check_domains(
	const struct rule_file *file, const struct yaml *root, struct ledger_error *err)
{
	const struct yaml *types = yaml_get(root, "stream_types"),
			  *listed = yaml_get(root, "domains");
	if (settings.n_domains == 0)
		return LEDGER_OK;
	for (const struct yaml *type = types ? types->first : NULL; type; type = type->next) {
		const struct yaml *domain = yaml_get(type, "domain");
		if (domain && !settings_domain(domain->text))
			return not_listed(file, domain, listed, "domains", err);
	}
	return LEDGER_OK;
}

static enum ledger_status check_clusters(const struct rule_file *file, const struct yaml *domain,
	const struct yaml *listed, bool (*is_cluster)(struct slice name), struct ledger_error *err)
{
	const struct yaml *clusters = yaml_get(domain, "clusters");
	for (const struct yaml *name = clusters ? clusters->first : NULL; name; name = name->next)
		if (!yaml_get(listed, name->text.ptr) && !is_cluster(name->text))
			return not_listed(file, name, listed, "clusters", err);
	return LEDGER_OK;
}

enum ledger_status domains_check_names(const struct rule_file *file, const struct yaml *root,
	bool (*is_cluster)(struct slice name), struct ledger_error *err)
{
	TRY(check_domains(file, root, err));
	const struct yaml *domains = yaml_get(root, "domains");
	for (const struct yaml *domain = domains ? domains->first : NULL; domain;
		domain = domain->next)
		TRY(check_clusters(file, domain, yaml_get(root, "clusters"), is_cluster, err));
	return LEDGER_OK;
}

/* --- Asking ---------------------------------------------------------------------------------- */

const struct domain_settings *settings_domain(struct slice name)
{
	static const struct domain_settings reserved = { .name = "_" };
	const struct domain_settings *other = slice_starts(name, SLICE("_")) ? &reserved : NULL;
	for (size_t i = 0; i < settings.n_domains; i++) {
		if (slice_is(name, settings.domains[i].name))
			return &settings.domains[i];
		if (strcmp(settings.domains[i].name, "*") == 0)
			other = &settings.domains[i];
	}
	return other;
}

const struct stream_type_settings *settings_stream_type(struct slice stream)
{
	struct slice type, key;
	for (size_t i = 0; i < settings.n_stream_types; i++)
		if (slice_cut(stream, '/', &type, &key) &&
			slice_is(type, settings.stream_types[i].name))
			return &settings.stream_types[i];
	return NULL;
}

const char *settings_nearest_domain(struct slice name)
{
	struct nearest nearest = { .typed = name };
	for (size_t i = 0; i < settings.n_domains; i++)
		nearest_try(&nearest, settings.domains[i].name);
	return nearest.best;
}
