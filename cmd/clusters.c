#include "clusters.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>

#include "settings.h"

#include "../lib/base/banned.h"

#define PRIORITY 100 /* where none is given */

static struct variable {
	const char *variable;
	const char *source;
	const char *name;
	const char *key;
	const char *urls; /* NULL: not set */
} variables[] = {
	{ "NATS_PRIMARY_URL", "environment NATS_PRIMARY_URL", "primary", "clusters.primary.urls",
		NULL },
	{ "NATS_SECONDARY_URL", "environment NATS_SECONDARY_URL", "secondary",
		"clusters.secondary.urls", NULL },
};
#define N_VARIABLES (sizeof(variables) / sizeof(variables[0]))

/* The next of several addresses with commas between; false at the end. */
static bool next_url(struct slice *rest, struct slice *url)
{
	struct slice all = *rest;
	if (!all.ptr)
		return false;
	if (!slice_cut(all, ',', url, rest)) {
		*url = all;
		*rest = (struct slice){ NULL, 0 };
	}
	return true;
}

enum ledger_status clusters_read(
	const char *(*variable)(const char *name), struct ledger_error *err)
{
	for (size_t i = 0; i < N_VARIABLES; i++) {
		variables[i].urls = variable(variables[i].variable);
		struct slice url, rest = slice_of(variables[i].urls);
		while (next_url(&rest, &url))
			if (form_url(url, NULL, NULL, err) != LEDGER_OK)
				return fail_in(err, "%s: ", variables[i].variable);
	}
	return LEDGER_OK;
}

bool clusters_has(struct slice name)
{
	for (size_t i = 0; i < N_VARIABLES; i++)
		if (variables[i].urls && slice_is(name, variables[i].name))
			return true;
	return false;
}

bool clusters_set(const char *key)
{
	for (size_t i = 0; i < N_VARIABLES; i++)
		if (variables[i].urls && strcmp(key, variables[i].key) == 0)
			return true;
	return false;
}

/* --- Building -------------------------------------------------------------------------------- */

/* The addresses of a variable, as texts of their own. */
static enum ledger_status split_urls(const struct build *b, const char *urls,
	struct cluster_settings *cluster, struct ledger_error *err)
{
	struct slice url, rest = slice_of(urls);
	size_t n = 1;
	void *array;
	for (const char *c = urls; *c; c++)
		n += *c == ',';
	TRY(build_array(b, n, sizeof(*cluster->urls), &array, err));
	cluster->urls = array;
	cluster->n_urls = 0;
	while (next_url(&rest, &url)) {
		const char *kept = arena_copy(b->arena, url).ptr;
		if (!kept)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		cluster->urls[cluster->n_urls++] = kept;
	}
	return LEDGER_OK;
}

static enum ledger_status build_cluster(const struct build *b, const struct yaml *value,
	struct cluster_settings *cluster, struct ledger_error *err)
{
	const struct yaml *tls = yaml_get(value, "tls");
	cluster->name = value->key.ptr;
	cluster->priority = PRIORITY;
	build_number(value, "priority", form_number, &cluster->priority);
	build_text(value, "user", &cluster->user);
	build_text(tls, "hostname", &cluster->tls_hostname);
	TRY(build_path(b, value, "credentials", &cluster->credentials, err));
	TRY(build_path(b, value, "nkey", &cluster->nkey, err));
	TRY(build_path(b, value, "password_file", &cluster->password_file, err));
	TRY(build_path(b, value, "token_file", &cluster->token_file, err));
	TRY(build_path(b, tls, "ca", &cluster->tls_ca, err));
	TRY(build_path(b, tls, "cert", &cluster->tls_cert, err));
	TRY(build_path(b, tls, "key", &cluster->tls_key, err));
	return build_list(b, yaml_get(value, "urls"), false, &cluster->urls, &cluster->n_urls, err);
}

/* What a variable says of the cluster of its name, which may be in the config or not. */
static enum ledger_status apply_variable(const struct build *b, const struct variable *variable,
	uint64_t priority, struct ledger_error *err)
{
	struct cluster_settings *cluster = settings.clusters;
	while (cluster < settings.clusters + settings.n_clusters &&
		strcmp(cluster->name, variable->name) != 0)
		cluster++;
	if (cluster == settings.clusters + settings.n_clusters) {
		settings.n_clusters++;
		cluster->name = variable->name;
		cluster->priority = priority;
	}
	return split_urls(b, variable->urls, cluster, err);
}

/* Few of them, and equals stay as they are listed. */
static void sort_clusters(void)
{
	for (size_t i = 1; i < settings.n_clusters; i++) {
		struct cluster_settings moved = settings.clusters[i];
		size_t to = i;
		for (; to > 0 && settings.clusters[to - 1].priority > moved.priority; to--)
			settings.clusters[to] = settings.clusters[to - 1];
		settings.clusters[to] = moved;
	}
}

/* --- Checking -------------------------------------------------------------------------------- */

static bool has_secret(struct slice url)
{
	return memchr(url.ptr, '@', url.len) != NULL;
}

/* A password in the config is one that everybody knows who may read the config. */
static enum ledger_status check_urls(const struct rule_file *file, const struct yaml *cluster,
	bool *secret, struct ledger_error *err)
{
	const struct yaml *urls = yaml_get(cluster, "urls");
	struct stat st;
	for (const struct yaml *url = urls ? urls->first : NULL; url; url = url->next) {
		if (!has_secret(url->text))
			continue;
		*secret = true;
		if (stat(file->name, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
			return rule_refuse(file, url,
				"an address with a password, and others than the owner may read "
				"this config",
				"keep it in a file of its own, see password_file in "
				"ledgerbox-config(5); or chmod 600 the config",
				err);
	}
	return LEDGER_OK;
}

static enum ledger_status check_credentials(const struct rule_file *file,
	const struct yaml *cluster, bool secret, struct ledger_error *err)
{
	static const char *const kinds[] = { "credentials", "nkey", "user", "token_file" };
	const struct yaml *user = yaml_get(cluster, "user"),
			  *password = yaml_get(cluster, "password_file");
	bool found = secret;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct yaml *kind = yaml_get(cluster, kinds[i]);
		if (kind && found)
			return rule_refuse(file, kind, "a second kind of credentials",
				"one of credentials, nkey, user with password_file, token_file, or "
				"an address with user:password@",
				err);
		found = found || kind;
	}
	if (user && !password)
		return rule_refuse(file, user, "a user without password_file",
			"write the password into a file with mode 600 and name it", err);
	if (password && !user)
		return rule_refuse(file, password, "a password file without user",
			"write user: NAME beside it", err);
	return LEDGER_OK;
}

static enum ledger_status check_tls(
	const struct rule_file *file, const struct yaml *cluster, struct ledger_error *err)
{
	const struct yaml *tls = yaml_get(cluster, "tls");
	const struct yaml *cert = yaml_get(tls, "cert"), *key = yaml_get(tls, "key");
	if (!cert == !key)
		return LEDGER_OK;
	return rule_refuse(file, cert ? cert : key,
		cert ? "a certificate without its key" : "a key without its certificate",
		"cert and key go together", err);
}

static enum ledger_status check_cluster(
	const struct rule_file *file, const struct yaml *cluster, struct ledger_error *err)
{
	const struct yaml *urls = yaml_get(cluster, "urls");
	bool from_outside = false, secret = false;
	for (size_t i = 0; i < N_VARIABLES; i++)
		from_outside = from_outside || slice_is(cluster->key, variables[i].name);
	if (build_count(urls) == 0 && !from_outside)
		return rule_refuse(file, cluster, "a cluster without addresses",
			"write urls: [\"nats://host:4222\"] below it", err);
	if (build_count(urls) > CLUSTER_URLS_MAX)
		return rule_refuse(
			file, urls, "more than 64 addresses", "a few servers will do", err);
	TRY(check_urls(file, cluster, &secret, err));
	TRY(check_credentials(file, cluster, secret, err));
	return check_tls(file, cluster, err);
}

enum ledger_status clusters_build(
	const struct build *b, const struct yaml *root, struct ledger_error *err)
{
	const struct yaml *map = yaml_get(root, "clusters");
	void *array;
	TRY(build_array(
		b, build_count(map) + N_VARIABLES, sizeof(*settings.clusters), &array, err));
	settings.clusters = array;
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next) {
		TRY(check_cluster(b->file, value, err));
		TRY(build_cluster(b, value, &settings.clusters[settings.n_clusters++], err));
	}
	for (size_t i = 0; i < N_VARIABLES; i++)
		if (variables[i].urls)
			TRY(apply_variable(b, &variables[i], i + 1, err));
	sort_clusters();
	return LEDGER_OK;
}

/* --- Files ----------------------------------------------------------------------------------- */

/* May only the owner, and the group that the ledger is shared with, touch it? */
static bool is_private(const struct stat *st)
{
	const struct group *ours = settings.group ? getgrnam(settings.group) : NULL;
	if (st->st_mode & S_IRWXO)
		return false;
	return !(st->st_mode & S_IRWXG) ||
	       (ours && ours->gr_gid == st->st_gid && !(st->st_mode & S_IWGRP));
}

static enum ledger_status check_file(const struct rule_file *file, const struct yaml *value,
	bool secret, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	struct stat st;
	rule_add_path(&path, file, value->text);
	TRY(buf_check(&path, err));
	if (stat(buf_text(&path), &st) != 0) {
		fail(err, LEDGER_USAGE, "cannot open %s: %s", buf_text(&path), strerror(errno));
		return rule_fail_at(file, value, err);
	}
	if (!S_ISREG(st.st_mode)) {
		fail(err, LEDGER_USAGE, "%s is not a file", buf_text(&path));
		return rule_fail_at(file, value, err);
	}
	if (!secret || is_private(&st))
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "others than the owner may read %s", buf_text(&path));
	hint(err, "chmod 600 %s, or name the group in the config: group: NAME", buf_text(&path));
	return rule_fail_at(file, value, err);
}

static enum ledger_status check_files_of(
	const struct rule_file *file, const struct yaml *cluster, struct ledger_error *err)
{
	static const struct {
		const char *key;
		bool tls, secret;
	} files[] = {
		{ "credentials", false, true },
		{ "nkey", false, true },
		{ "password_file", false, true },
		{ "token_file", false, true },
		{ "ca", true, false },
		{ "cert", true, false },
		{ "key", true, true },
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const struct yaml *map = files[i].tls ? yaml_get(cluster, "tls") : cluster;
		const struct yaml *value = yaml_get(map, files[i].key);
		if (value)
			TRY(check_file(file, value, files[i].secret, err));
	}
	return LEDGER_OK;
}

enum ledger_status clusters_check_files(
	const struct rule_file *file, const struct yaml *root, struct ledger_error *err)
{
	const struct yaml *map = yaml_get(root, "clusters");
	for (const struct yaml *value = map ? map->first : NULL; value; value = value->next)
		TRY(check_files_of(file, value, err));
	return LEDGER_OK;
}

/* --- Showing --------------------------------------------------------------------------------- */

static void add_urls(struct buf *out, struct slice rest)
{
	struct slice url;
	buf_add_char(out, '[');
	for (bool first = true; next_url(&rest, &url); first = false) {
		buf_add_text(out, first ? "" : ", ");
		form_add_hidden(out, url);
	}
	buf_add_char(out, ']');
}

void clusters_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context)
{
	for (size_t i = 0; i < N_VARIABLES; i++) {
		if (!variables[i].urls)
			continue;
		CLEANUP_BUF struct buf text = { 0 };
		add_urls(&text, slice_of(variables[i].urls));
		fn(variables[i].key, buf_text(&text), variables[i].source, context);
	}
}
