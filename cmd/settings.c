#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clusters.h"
#include "consumers.h"
#include "domains.h"
#include "lookup.h"
#include "orders.h"
#include "output.h"
#include "reducers.h"
#include "rule.h"

#include "../lib/base/banned.h"

#define MILLISECOND (TIME_SECOND / 1000)
#define DAY	    (24 * 3600 * TIME_SECOND)

struct settings settings;
struct settings_flags flags = { .timeout = SETTINGS_NOT_GIVEN };

/* In order: a later one wins. */
enum origin { FROM_DEFAULT, FROM_CONFIG, FROM_ENVIRONMENT, FROM_FLAG };

/* A setting with one value that the program uses: where it is kept and what else may set it. */
struct setting {
	const char **str;
	uint64_t *u64;		 /* instead of str */
	const char *fallback;	 /* the default; relative to the config where it is a path */
	const char *environment; /* NULL: none */
	const char *flag;	 /* NULL: none */
	const char **given;	 /* what the flag said */
	enum origin origin;
	const char *value; /* as text; NULL: none */
	const char *source;
};

static struct setting node = { .str = &settings.node,
	.environment = "LEDGER_NODE_ID",
	.flag = "--node",
	.given = &flags.node };
static struct setting database = { .str = &settings.database,
	.fallback = "ledger.db",
	.environment = "LEDGER_DB_PATH",
	.flag = "--database",
	.given = &flags.database };
static struct setting group = { .str = &settings.group };
static struct setting state_dir = {
	.str = &settings.state_dir, .flag = "--state-dir", .given = &flags.state_dir
};
static struct setting timeout = { .u64 = &settings.timeout, .fallback = "5s", .flag = "--timeout" };
static struct setting sign = { .str = &settings.sign_key,
	.fallback = "ledger.key",
	.flag = "--key-file",
	.given = &flags.key_file };
static struct setting prefix = { .str = &settings.sync_prefix, .fallback = "ledger" };
static struct setting create_streams = { .u64 = &settings.sync_create_streams,
	.fallback = "false" };
static struct setting claim = { .str = &settings.sync_claims, .fallback = "local" };

/* --- The table of keys ----------------------------------------------------------------------- */

static const char *const modes[] = { "failover", "dual", NULL };
static const char *const claims[] = { "local", "strict", NULL };
static const char *const built_in_reducers[] = { "merge", "last", "count", NULL };

static const struct rule keys_rules[] = {
	{ "sign", .is = { form_path }, .path = true, .setting = &sign },
	{ "verify", .items = { form_path }, .path = true },
	{ 0 },
};

static const struct rule tls_rules[] = {
	{ "ca", .is = { form_path }, .path = true },
	{ "cert", .is = { form_path }, .path = true },
	{ "key", .is = { form_path }, .path = true },
	{ "hostname", .is = { form_host } },
	{ 0 },
};

static const struct rule cluster_rules[] = {
	{ "urls", .items = { form_url } },
	{ "priority", .is = { form_number, 1, 1000, "1 to 1000" } },
	{ "credentials", .is = { form_path }, .path = true },
	{ "nkey", .is = { form_path }, .path = true },
	{ "user", .is = { form_label } },
	{ "password_file", .is = { form_path }, .path = true },
	{ "token_file", .is = { form_path }, .path = true },
	{ "tls", .fields = tls_rules },
	{ 0 },
};

static const struct rule domain_rules[] = {
	{ "tags_from", .names = { form_token }, .is = { form_tag_path } },
	{ "propagate", .is = { form_bool } },
	{ "subscribe", .is = { form_bool } },
	{ "clusters", .items = { form_token } },
	{ "mode", .is = { form_choice, .choices = modes } },
	{ "stream", .is = { form_token } },
	{ "replicas", .is = { form_number, 1, 5, "1 to 5" } },
	{ "max_age", .is = { form_duration, TIME_SECOND, 36500 * DAY, "1s to 36500d" } },
	{ "max_bytes", .is = { form_size, 1u << 20, UINT64_C(1) << 50, "1MiB to 1024TiB" } },
	{ 0 },
};

static const struct rule stream_type_rules[] = {
	{ "domain", .is = { form_token } },
	{ "owned", .is = { form_bool } },
	{ "snapshot_every", .is = { form_number, 1, 1000000000, "1 to 1000000000" } },
	{ 0 },
};

static const struct rule sync_rules[] = {
	{ "prefix", .is = { form_token }, .setting = &prefix },
	{ "create_streams", .is = { form_bool }, .setting = &create_streams },
	{ "claims", .is = { form_choice, .choices = claims }, .setting = &claim },
	{ 0 },
};

static const struct rule rules[] = {
	{ "node", .is = { form_node }, .setting = &node },
	{ "database", .is = { form_path }, .path = true, .setting = &database },
	{ "group", .is = { form_group }, .setting = &group },
	{ "state_dir", .is = { form_path }, .path = true, .setting = &state_dir },
	{ "timeout", .is = { form_duration, MILLISECOND, 3600 * TIME_SECOND, "1ms to 1h" },
		.setting = &timeout },
	{ "keys", .fields = keys_rules },
	{ "domains", .names = { form_domain }, .fields = domain_rules },
	{ "stream_types", .names = { form_token }, .fields = stream_type_rules },
	{ "clusters", .names = { form_token }, .fields = cluster_rules },
	{ "sync", .fields = sync_rules },
	{ "reducers", .names = { form_domain }, .is = { form_choice, .choices = built_in_reducers },
		.fields = reducer_rules },
	{ "upcast", .names = { form_event_type } },
	{ "projections", .names = { consumers_name }, .fields = consumers_projection },
	{ "handlers", .names = { consumers_name }, .fields = consumers_handler },
	{ "commands", .maps = true, .fields = orders_command },
	{ 0 },
};

/* --- What was read --------------------------------------------------------------------------- */

static enum ledger_status take(
	const struct rule *rule, const struct yaml *value, struct ledger_error *err);

static struct {
	struct arena arena; /* of everything that settings point to */
	struct rule_file file;
	struct yaml *root; /* NULL: no config, or an empty one */
	const char *config_source;
	const char *default_state_dir;
} in_force = { .file = { "", "", take } };

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* Text that lives until settings_done; NULL without memory. */
static const char *keep(struct buf *text)
{
	return text->failed ? NULL : arena_copy(&in_force.arena, buf_slice(text)).ptr;
}

static const char *resolve(struct slice path)
{
	CLEANUP_BUF struct buf text = { 0 };
	rule_add_path(&text, &in_force.file, path);
	return keep(&text);
}

/* Puts a value in force. On failure *err says what is wrong with it, not where it stands. */
static enum ledger_status apply(const struct rule *rule, struct slice text, enum origin origin,
	const char *source, struct ledger_error *err)
{
	uint64_t number = 0;
	TRY(rule->is.check(text, &rule->is, &number, err));
	bool relative = rule->path && origin <= FROM_CONFIG;
	const char *value = relative ? resolve(text) : arena_copy(&in_force.arena, text).ptr;
	if (!value || !source)
		return no_memory(err);
	struct setting *setting = rule->setting;
	if (setting->str)
		*setting->str = value;
	else
		*setting->u64 = number;
	setting->value = value;
	setting->source = source;
	setting->origin = origin;
	return LEDGER_OK;
}

/* Calls `fn` for each row that has a setting. */
static enum ledger_status each_setting(const struct rule *table,
	enum ledger_status (*fn)(const struct rule *rule, struct ledger_error *err),
	struct ledger_error *err)
{
	for (const struct rule *rule = table; rule->key; rule++) {
		if (rule->setting)
			TRY(fn(rule, err));
		if (rule->fields && !rule->names.check && !rule->maps)
			TRY(each_setting(rule->fields, fn, err));
	}
	return LEDGER_OK;
}

/* --- The four sources ------------------------------------------------------------------------ */

static enum ledger_status apply_default(const struct rule *rule, struct ledger_error *err)
{
	struct setting *setting = rule->setting;
	setting->source = "default";
	setting->value = NULL;
	setting->origin = FROM_DEFAULT;
	const char *fallback =
		setting == &state_dir ? settings_default_state_dir() : setting->fallback;
	return fallback ? apply(rule, slice_of(fallback), FROM_DEFAULT, "default", err) : LEDGER_OK;
}

static const char *config_line(unsigned line)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_addf(&text, "%s:%u", in_force.file.name, line);
	return keep(&text);
}

static enum ledger_status take(
	const struct rule *rule, const struct yaml *value, struct ledger_error *err)
{
	if (apply(rule, value->text, FROM_CONFIG, config_line(value->line), err) != LEDGER_OK)
		return rule_fail_at(&in_force.file, value, err);
	return LEDGER_OK;
}

/* A variable of ours; NULL where it is empty or not set, or switched off by --config. */
static const char *variable(const char *name)
{
	const char *value = flags.config || !name ? NULL : getenv(name);
	return value && value[0] ? value : NULL;
}

static const char *environment_source(const char *name)
{
	CLEANUP_BUF struct buf text = { 0 };
	buf_addf(&text, "environment %s", name);
	return keep(&text);
}

static enum ledger_status apply_environment(const struct rule *rule, struct ledger_error *err)
{
	const char *name = rule->setting->environment;
	const char *value = variable(name);
	if (value && apply(rule, slice_of(value), FROM_ENVIRONMENT, environment_source(name),
			     err) != LEDGER_OK)
		return fail_in(err, "%s: ", name);
	return LEDGER_OK;
}

static enum ledger_status apply_flag(const struct rule *rule, struct ledger_error *err)
{
	struct setting *setting = rule->setting;
	const char *value = setting->given ? *setting->given : NULL;
	char duration[32];
	if (setting == &timeout && flags.timeout != SETTINGS_NOT_GIVEN) {
		snprintf(duration, sizeof(duration), "%llums",
			(unsigned long long)(flags.timeout / MILLISECOND));
		value = duration;
	}
	if (value && apply(rule, slice_of(value), FROM_FLAG, setting->flag, err) != LEDGER_OK)
		return fail_in(err, "%s: ", setting->flag);
	return LEDGER_OK;
}

/* A key in the environment takes the place of keys.sign, unless --key-file names another. */
static enum ledger_status read_environment_key(struct ledger_error *err)
{
	static const char name[] = "LEDGER_HMAC_KEY";
	const char *hex = variable(name);
	if (!hex || flags.key_file)
		return LEDGER_OK;
	if (form_key_hex(slice_of(hex), NULL, NULL, err) != LEDGER_OK)
		return fail_in(err, "%s: ", name);
	settings.sign_key_hex = hex;
	settings.sign_key = NULL;
	sign.value = "***";
	sign.source = "environment LEDGER_HMAC_KEY";
	sign.origin = FROM_ENVIRONMENT;
	warn("every program started from here can read the key in %s: keep it in a file instead "
	     "(keys.sign)",
		name);
	return LEDGER_OK;
}

/* --- Reading --------------------------------------------------------------------------------- */

/* The config's name as messages show it, and the folder its paths begin in. */
static enum ledger_status remember_config(const struct lookup *found, struct ledger_error *err)
{
	struct slice path = slice_of(found->path);
	if (slice_starts(path, SLICE("./")))
		path = slice_from(path, 2);
	const char *slash = memrchr(path.ptr, '/', path.len);
	struct slice folder = { path.ptr, slash ? (size_t)(slash - path.ptr) + 1 : 0 };
	in_force.file.name = arena_copy(&in_force.arena, path).ptr;
	in_force.file.folder = arena_copy(&in_force.arena, folder).ptr;
	in_force.config_source = found->source;
	settings.config = in_force.file.name;
	return in_force.file.name && in_force.file.folder ? LEDGER_OK : no_memory(err);
}

static enum ledger_status read_config(struct ledger_error *err)
{
	struct lookup found = { 0 };
	enum ledger_status status = lookup_config(flags.config, &found, err);
	if (status == LEDGER_OK && found.path)
		status = remember_config(&found, err);
	if (status == LEDGER_OK && found.path)
		status = yaml_parse(settings.config, buf_slice(&found.text), &in_force.arena,
			&in_force.root, err);
	buf_done(&found.text);
	return status;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat first, second;
	if (stat(a, &first) == 0 && stat(b, &second) == 0)
		return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
	return strcmp(a, b) == 0;
}

/* The config's name is that of the config's ledger. Who names another file names another ledger. */
static void drop_foreign_node(const char *database_of_config)
{
	if (flags.config || node.origin != FROM_CONFIG || database.origin <= FROM_CONFIG ||
		is_same_file(settings.database, database_of_config))
		return;
	settings.node = NULL;
	node.value = NULL;
	node.source = "default";
	node.origin = FROM_DEFAULT;
}

/* What is a list of things with names. */
static enum ledger_status build_lists(struct ledger_error *err)
{
	const struct build build = { &in_force.file, &in_force.arena };
	TRY(domains_build(&build, in_force.root, err));
	TRY(consumers_build(&in_force.file, in_force.root, &in_force.arena, err));
	TRY(orders_build(&in_force.file, in_force.root, &in_force.arena, err));
	TRY(reducers_build(&in_force.file, in_force.root, &in_force.arena, err));
	TRY(domains_check_names(&in_force.file, in_force.root, clusters_has, err));
	TRY(clusters_build(&build, in_force.root, err));
	return domains_check(&in_force.file, in_force.root, err);
}

enum ledger_status settings_read(struct ledger_error *err)
{
	settings_done();
	TRY(read_config(err));
	TRY(each_setting(rules, apply_default, err));
	if (in_force.root)
		TRY(rule_check(&in_force.file, rules, in_force.root, err));
	const char *database_of_config = settings.database;
	TRY(each_setting(rules, apply_environment, err));
	TRY(each_setting(rules, apply_flag, err));
	TRY(read_environment_key(err));
	TRY(clusters_read(variable, err));
	drop_foreign_node(database_of_config);
	return build_lists(err);
}

enum ledger_status settings_check_files(struct ledger_error *err)
{
	return clusters_check_files(&in_force.file, in_force.root, err);
}

void settings_done(void)
{
	arena_done(&in_force.arena);
	in_force.file = (struct rule_file){ "", "", take };
	in_force.root = NULL;
	in_force.config_source = "default";
	in_force.default_state_dir = NULL;
	settings = (struct settings){ 0 };
}

/* --- Asking ---------------------------------------------------------------------------------- */

/* Who is asked, for the rows in between. */
struct each {
	void (*fn)(const char *key, const char *value, const char *source, void *context);
	void *context;
};

static void show_from_config(const char *key, const char *text, unsigned line, void *context)
{
	const struct each *each = context;
	if (clusters_set(key))
		return;
	const char *source = config_line(line);
	each->fn(key, text, source ? source : in_force.file.name, each->context);
}

static void show_rules(
	const struct rule *table, const struct yaml *map, struct buf *key, const struct each *each)
{
	size_t before = key->len;
	for (const struct rule *rule = table; rule->key; rule++) {
		const struct yaml *value = yaml_get(map, rule->key);
		buf_addf(key, "%s%s", before ? "." : "", rule->key);
		if (rule->setting)
			each->fn(buf_text(key), rule->setting->value, rule->setting->source,
				each->context);
		else if (rule->fields && !rule->names.check && !rule->maps)
			show_rules(rule->fields, value, key, each);
		else if (value)
			rule_show(&in_force.file, rule, value, key, show_from_config, (void *)each);
		key->len = before;
	}
}

void settings_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct each each = { fn, context };
	fn("config", settings.config, in_force.config_source, context);
	show_rules(rules, in_force.root, &text, &each);
	clusters_each(fn, context);
}

const char *settings_default_state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (in_force.default_state_dir)
		return in_force.default_state_dir;
	CLEANUP_BUF struct buf path = { 0 };
	/* The XDG base directory specification: a relative path is to be ignored. */
	if (state && state[0] == '/')
		buf_addf(&path, "%s/ledgerbox", state);
	else if (geteuid() == 0)
		buf_add_text(&path, "/var/lib/ledgerbox");
	else if (home && home[0] == '/')
		buf_addf(&path, "%s/.local/state/ledgerbox", home);
	else
		return NULL;
	in_force.default_state_dir = keep(&path);
	return in_force.default_state_dir;
}
