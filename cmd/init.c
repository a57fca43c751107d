/* init - make a ledger, a key file and a commented ledger.yaml. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "form.h"
#include "init-config.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

#define DEFAULT_TIMEOUT (5 * TIME_SECOND)

static const char *node_given;
static const char *group;

static const struct opt opts[] = {
	{ 0, "node", "the name of this node (the short host name)", "<name>", .str = &node_given },
	{ 0, "group", "share key and ledger with this group", "<group>", .str = &group },
	{ 0 },
};

/* What is to be made, and what was: that goes again when a later step fails. */
struct plan {
	struct arena arena; /* of the texts */
	const char *node;
	const char *config;
	const char *database;
	const char *key;
	const char *state_dir; /* absolute */
	bool has_key;	       /* --key-file names one that is there */
	bool made_state_dir, made_key, made_config;
	char key_id[EVENT_KEY_ID_SIZE + 1]; /* "" where it could not be asked */
};

#define CLEANUP_PLAN __attribute__((cleanup(plan_done)))

static void plan_done(struct plan *p)
{
	arena_done(&p->arena);
}

/* --- Choosing -------------------------------------------------------------------------------- */

static enum ledger_status keep(
	struct plan *p, struct slice text, const char **out, struct ledger_error *err)
{
	*out = arena_copy(&p->arena, text).ptr;
	return *out ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status host_name(struct plan *p, struct ledger_error *err)
{
	char host[256] = "";
	if (gethostname(host, sizeof(host) - 1) != 0)
		return fail_errno(err, "cannot ask for the host name");
	host[strcspn(host, ".")] = '\0';
	if (form_node(slice_of(host), NULL, NULL, err) != LEDGER_OK) {
		fail_in(err, "the host name makes no node name: ");
		return hint(err, "give the node a name: ledgerbox init --node store-a");
	}
	return keep(p, slice_of(host), &p->node, err);
}

static enum ledger_status choose_node(struct plan *p, struct ledger_error *err)
{
	if (!node_given)
		return host_name(p, err);
	if (form_node(slice_of(node_given), NULL, NULL, err) != LEDGER_OK)
		return fail_in(err, "--node: ");
	p->node = node_given;
	return LEDGER_OK;
}

static enum ledger_status choose_path(const char *given, const char *usual, const char *flag,
	const char **out, struct ledger_error *err)
{
	struct slice path = slice_of(given ? given : usual);
	if (form_path(path, NULL, NULL, err) != LEDGER_OK)
		return fail_in(err, "%s: ", flag);
	while (slice_starts(path, SLICE("./")) && path.len > 2)
		path = slice_from(path, 2);
	*out = path.ptr;
	return LEDGER_OK;
}

/* A path that means the same in every folder. */
static enum ledger_status make_absolute(
	struct plan *p, const char *path, const char **out, struct ledger_error *err)
{
	*out = path;
	if (path[0] == '/')
		return LEDGER_OK;
	char *here = getcwd(NULL, 0);
	if (!here)
		return fail_errno(err, "cannot ask for the working folder");
	CLEANUP_BUF struct buf text = { 0 };
	buf_addf(&text, "%s%s%s", here, strcmp(here, "/") == 0 ? "" : "/", path);
	free(here);
	TRY(buf_check(&text, err));
	return keep(p, buf_slice(&text), out, err);
}

static enum ledger_status choose_state_dir(struct plan *p, struct ledger_error *err)
{
	const char *usual = settings_default_state_dir(), *path;
	if (!flags.state_dir && !usual) {
		fail(err, LEDGER_USAGE, "there is no home folder to keep the state in");
		return hint(err, "name a folder with --state-dir");
	}
	TRY(choose_path(flags.state_dir, usual, "--state-dir", &path, err));
	return make_absolute(p, path, &p->state_dir, err);
}

static enum ledger_status choose_group(struct ledger_error *err)
{
	if (!group)
		return LEDGER_OK;
	if (form_group(slice_of(group), NULL, NULL, err) != LEDGER_OK)
		return fail_in(err, "--group: ");
	if (getgrnam(group))
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "there is no group '%s'", group);
	return hint(err, "make it with: groupadd --system %s", group);
}

static enum ledger_status choose(struct plan *p, struct ledger_error *err)
{
	TRY(choose_node(p, err));
	TRY(choose_group(err));
	TRY(choose_path(flags.config, "ledger.yaml", "--config", &p->config, err));
	TRY(choose_path(flags.database, "ledger.db", "--database", &p->database, err));
	TRY(choose_path(flags.key_file, "ledger.key", "--key-file", &p->key, err));
	TRY(choose_state_dir(p, err));
	struct stat st;
	p->has_key = flags.key_file && lstat(p->key, &st) == 0;
	return LEDGER_OK;
}

/* --- Checking, before anything is made ------------------------------------------------------- */

/* Length of the folder part, the slash included; 0 for the working folder. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

static enum ledger_status check_folder(struct plan *p, const char *path, struct ledger_error *err)
{
	const char *folder;
	struct stat st;
	if (folder_length(path) == 0)
		return LEDGER_OK;
	TRY(keep(p, (struct slice){ path, folder_length(path) }, &folder, err));
	if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
		return LEDGER_OK;
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_USAGE, "there is no folder %s", form_excerpt(slice_of(folder), shown));
	return hint(err, "make it first, nothing was changed");
}

static enum ledger_status check_absent(
	const char *path, const char *suffix, const char *flag, struct ledger_error *err)
{
	CLEANUP_BUF struct buf name = { 0 };
	struct stat st;
	buf_addf(&name, "%s%s", path, suffix);
	if (lstat(buf_text(&name), &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return buf_check(&name, err);
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_REFUSED, "%s exists", form_excerpt(buf_slice(&name), shown));
	return hint(err,
		"nothing was changed; work in another folder, or name another file with %s", flag);
}

static enum ledger_status check(struct plan *p, struct ledger_error *err)
{
	/* What SQLite keeps beside a database would become part of the new one. */
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	TRY(check_folder(p, p->config, err));
	TRY(check_folder(p, p->database, err));
	TRY(check_folder(p, p->key, err));
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		TRY(check_absent(p->database, suffixes[i], "--database", err));
	if (!p->has_key)
		TRY(check_absent(p->key, "", "--key-file", err));
	return check_absent(p->config, "", "--config", err);
}

/* --- Making ---------------------------------------------------------------------------------- */

/* A folder that is there already is left as it is, so it has to fit. */
static enum ledger_status check_state_dir(
	const struct plan *p, const struct stat *st, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	form_excerpt(slice_of(p->state_dir), shown);
	struct group *entry = group ? getgrnam(group) : NULL;
	if (entry && (st->st_gid != entry->gr_gid || (st->st_mode & S_IRWXG) != S_IRWXG)) {
		fail(err, LEDGER_REFUSED, "group %s cannot write the state folder %s", group,
			shown);
		return hint(
			err, "chgrp %s and chmod 2770 it, or name another with --state-dir", group);
	}
	if (access(p->state_dir, W_OK | X_OK) != 0) {
		fail_errno(err, "cannot write the state folder %s", shown);
		return hint(err, "name another with --state-dir");
	}
	return LEDGER_OK;
}

static enum ledger_status make_state_dir(struct plan *p, struct ledger_error *err)
{
	struct stat st;
	if (stat(p->state_dir, &st) == 0 && S_ISDIR(st.st_mode))
		return check_state_dir(p, &st, err);
	p->made_state_dir = true;
	return file_make_folder(p->state_dir, group, group ? 02770 : 0700, err);
}

static enum ledger_status make_key(struct plan *p, struct ledger_error *err)
{
	if (!p->has_key) {
		TRY(ledger_key_create(p->key, group, err));
		p->made_key = true;
	}
	/* Only for the answer: whether an existing key can be used is for ledger_create to say. */
	struct ledger_error ignored;
	if (ledger_key_id(p->key, group, p->key_id, &ignored) != LEDGER_OK)
		p->key_id[0] = '\0';
	return LEDGER_OK;
}

/* How the config names a file: by its bare name where it lies beside it, else by its whole path. */
static enum ledger_status name_in_config(
	struct plan *p, const char *path, const char **out, struct ledger_error *err)
{
	size_t n = folder_length(path);
	if (path[0] != '/' && n == folder_length(p->config) && memcmp(path, p->config, n) == 0) {
		*out = path + n;
		return LEDGER_OK;
	}
	return make_absolute(p, path, out, err);
}

static enum ledger_status write_config(struct plan *p, struct slice text, struct ledger_error *err)
{
	CLEANUP_FD int fd =
		open(p->config, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail_errno(err, "cannot make %s", p->config);
	p->made_config = true;
	TRY(file_write_all(fd, text, p->config, err));
	if (group)
		TRY(file_share(fd, p->config, group, 0640, err));
	if (fsync(fd) != 0)
		return fail_errno(err, "cannot sync %s", p->config);
	return file_sync_folder(p->config, err);
}

static enum ledger_status make_config(struct plan *p, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct init_config config = { .node = p->node, .group = group, .state_dir = p->state_dir };
	TRY(name_in_config(p, p->database, &config.database, err));
	TRY(name_in_config(p, p->key, &config.key, err));
	init_config_add(&text, &config);
	TRY(buf_check(&text, err));
	return write_config(p, buf_slice(&text), err);
}

static enum ledger_status make_ledger(const struct plan *p, struct ledger_error *err)
{
	struct ledger_options options = {
		.path = p->database,
		.mode = LEDGER_MODE_WRITE,
		.node = p->node,
		.sign_key = p->key,
		.state_dir = p->state_dir,
		.group = group,
		.timeout = flags.timeout == SETTINGS_NOT_GIVEN ? DEFAULT_TIMEOUT : flags.timeout,
	};
	return ledger_create(&options, err);
}

/* The ledger comes last: ledger_create removes its own, so here is never a ledger to be removed. */
static enum ledger_status make(struct plan *p, struct ledger_error *err)
{
	TRY(make_state_dir(p, err));
	TRY(make_key(p, err));
	TRY(make_config(p, err));
	return make_ledger(p, err);
}

static void unmake(const struct plan *p)
{
	if (p->made_config)
		unlink(p->config);
	if (p->made_key)
		unlink(p->key);
	if (p->made_state_dir)
		rmdir(p->state_dir);
}

/* --- Telling --------------------------------------------------------------------------------- */

static void add_json(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s\"%s\":", out->len ? "," : "{", name);
	if (value && value[0])
		json_add_string(out, slice_of(value));
	else
		buf_add_text(out, "null");
}

static void tell_json(struct buf *out, const struct plan *p)
{
	add_json(out, "node", p->node);
	add_json(out, "database", p->database);
	add_json(out, "key_file", p->key);
	add_json(out, "key", p->key_id);
	buf_addf(out, ",\"key_made\":%s", p->made_key ? "true" : "false");
	add_json(out, "config", p->config);
	add_json(out, "state_dir", p->state_dir);
	add_json(out, "group", group);
	buf_add_text(out, "}\n");
}

static void tell_text(struct buf *out, const struct plan *p)
{
	const char *space = p->key_id[0] ? " " : "";
	buf_addf(out, "%-11s  ledger of node %s\n", p->database, p->node);
	if (p->made_key)
		buf_addf(out, "%-11s  new key%s%s: keep a copy apart from the ledger\n", p->key,
			space, p->key_id);
	else
		buf_addf(out, "%-11s  the key that was there%s%s\n", p->key, space, p->key_id);
	buf_addf(out, "%-11s  config, with every key explained\n", p->config);
	buf_addf(out, "%-11s  state folder\n", p->state_dir);
}

/* The environment goes before the config: whoever forgot a variable would wonder. */
static void warn_about_environment(const struct plan *p)
{
	const struct {
		const char *name;
		const char *expected; /* NULL: none */
	} variables[] = {
		{ "LEDGERBOX_CONFIG", p->config },
		{ "LEDGER_NODE_ID", p->node },
		{ "LEDGER_DB_PATH", p->database },
		{ "LEDGER_HMAC_KEY", NULL },
	};
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i].name);
		if (value && value[0] &&
			(!variables[i].expected || strcmp(value, variables[i].expected) != 0))
			warn("%s is set and goes before what %s says", variables[i].name,
				p->config);
	}
}

static enum ledger_status tell(const struct plan *p, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	warn_about_environment(p);
	if (output.quiet)
		return LEDGER_OK;
	if (output.format == FORMAT_JSON)
		tell_json(&text, p);
	else
		tell_text(&text, p);
	TRY(buf_check(&text, err));
	out_safe_lines(buf_slice(&text));
	return out_flush(err);
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)l, (void)argc, (void)argv;
	CLEANUP_PLAN struct plan plan = { 0 };
	TRY(choose(&plan, err));
	TRY(check(&plan, err));
	if (make(&plan, err) != LEDGER_OK) {
		unmake(&plan);
		return err->status;
	}
	return tell(&plan, err);
}

const struct command cmd_init = {
	.name = "init",
	.summary = "Make a ledger, a key file and a commented ledger.yaml.",
	.opens = OPENS_NOTHING,
	.opts = opts,
	.examples = "ledgerbox init --node store-a\n"
		    "ledgerbox init --node store-b --key-file shared.key --group ledger\n",
	.run = run,
};
