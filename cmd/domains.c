#include "domains.h"

#include "../lib/base/banned.h"

static enum ledger_status build_tags(const struct build *b, const struct yaml *map,
	struct domain_settings *domain, struct ledger_error *err)
{
	void *array;
	TRY(build_array(b, build_count(map), sizeof(*domain->tags_from), &array, err));
	domain->tags_from = array;
	for (const struct yaml *tag = map ? map->first : NULL; tag; tag = tag->next)
		domain->tags_from[domain->n_tags_from++] =
			(struct tag_source){ tag->key.ptr, tag->text.ptr };
	return LEDGER_OK;
}

static enum ledger_status build_domain(const struct build *b, const struct yaml *value,
	struct domain_settings *domain, struct ledger_error *err)
{
	const struct yaml *mode = yaml_get(value, "mode");
	/* There is an array where the map has an entry. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	domain->name = value->key.ptr;
	domain->replicas = 1;
	domain->dual = mode && slice_is(mode->text, "dual");
	build_bool(value, "propagate", &domain->propagate);
	build_bool(value, "subscribe", &domain->subscribe);
	build_text(value, "stream", &domain->stream);
	build_number(value, "replicas", form_number, &domain->replicas);
	build_number(value, "max_age", form_duration, &domain->max_age);
	build_number(value, "max_bytes", form_size, &domain->max_bytes);
	TRY(build_list(b, yaml_get(value, "clusters"), false, &domain->clusters,
		&domain->n_clusters, err));
	return build_tags(b, yaml_get(value, "tags_from"), domain, err);
}

static enum ledger_status build_domains(
	const struct build *b, const struct yaml *map, struct ledger_error *err)
{
	void *array;
	TRY(build_array(b, build_count(map), sizeof(*settings.domains), &array, err));
	settings.domains = array;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next)
		TRY(build_domain(b, value, &settings.domains[settings.n_domains++], err));
	return LEDGER_OK;
}

static enum ledger_status build_stream_types(
	const struct build *b, const struct yaml *map, struct ledger_error *err)
{
	void *array;
	TRY(build_array(b, build_count(map), sizeof(*settings.stream_types), &array, err));
	settings.stream_types = array;
	TRY(build_array(b, build_count(map), sizeof(*settings.owned), &array, err));
	settings.owned = array;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next) {
		struct stream_type_settings *type =
			&settings.stream_types[settings.n_stream_types++];
		/* As above. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		type->name = value->key.ptr;
		build_text(value, "domain", &type->domain);
		build_bool(value, "owned", &type->owned);
		build_number(value, "snapshot_every", form_number, &type->snapshot_every);
		if (type->owned)
			settings.owned[settings.n_owned++] =
				(struct ledger_owned){ slice_of(type->name),
					slice_of(type->domain) };
	}
	return LEDGER_OK;
}

enum ledger_status domains_build(
	const struct build *b, const struct yaml *root, struct ledger_error *err)
{
	TRY(build_domains(b, yaml_get(root, "domains"), err));
	TRY(build_stream_types(b, yaml_get(root, "stream_types"), err));
	return build_list(b, yaml_get(yaml_get(root, "keys"), "verify"), true,
		&settings.verify_keys, &settings.n_verify_keys, err);
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

/* --- Where domains go ------------------------------------------------------------------------ */

static enum ledger_status check_stream(const struct rule_file *file, const struct yaml *domains,
	const struct yaml *domain, struct ledger_error *err)
{
	const struct yaml *stream = yaml_get(domain, "stream");
	if (!stream)
		return LEDGER_OK;
	if (slice_is(domain->key, "*"))
		return rule_refuse(file, stream, "each of these domains has a stream of its own",
			"name the stream of a domain that is listed by its name", err);
	for (const struct yaml *other = domains->first; other != domain; other = other->next) {
		const struct yaml *theirs = yaml_get(other, "stream");
		if (theirs && slice_eq(theirs->text, stream->text))
			return rule_refuse(file, stream, "another domain has this stream",
				"each domain has a stream of its own", err);
	}
	return LEDGER_OK;
}

/* The name of a stream is at most 64 bytes: one that is made of prefix and domain may be longer. */
static enum ledger_status check_length(const struct rule_file *file, const struct yaml *domain,
	const struct domain_settings *made, struct ledger_error *err)
{
	if (made->stream || !(made->propagate || made->subscribe) ||
		strlen(settings.sync_prefix) + 1 + strlen(made->name) <= 64)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "the name of its stream, %s-%s, is longer than 64 bytes",
		settings.sync_prefix, made->name);
	hint(err, "name a shorter one: stream: NAME");
	return rule_fail_at(file, domain, err);
}

static enum ledger_status check_clusters_of(const struct rule_file *file, const struct yaml *domain,
	const struct domain_settings *made, struct ledger_error *err)
{
	const struct yaml *list = yaml_get(domain, "clusters");
	size_t n = made->n_clusters ? made->n_clusters : settings.n_clusters;
	if (made->dual && n < 2)
		return rule_refuse(file, yaml_get(domain, "mode"),
			"to write to two clusters at once takes two",
			"list them under clusters, or write: mode: failover", err);
	for (const struct yaml *name = list ? list->first : NULL; name; name = name->next)
		for (const struct yaml *other = list->first; other != name; other = other->next)
			if (slice_eq(other->text, name->text))
				return rule_refuse(file, name, "this cluster stands here twice",
					"name each cluster once", err);
	return LEDGER_OK;
}

enum ledger_status domains_check(
	const struct rule_file *file, const struct yaml *root, struct ledger_error *err)
{
	const struct yaml *domains = yaml_get(root, "domains");
	const struct domain_settings *made = settings.domains;
	for (const struct yaml *domain = domains ? domains->first : NULL; domain;
		domain = domain->next, made++) {
		TRY(check_stream(file, domains, domain, err));
		TRY(check_length(file, domain, made, err));
		TRY(check_clusters_of(file, domain, made, err));
	}
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
