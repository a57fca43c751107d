/* init - make a ledger, a key file and a commented ledger.yaml. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "form.h"
#include "init-config.h"
#include "interrupt.h"
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

/*
 * What is to be made, and what was: that goes again when a later step fails.
 *
 * Key, config and ledger are filled under temporary names and then put in place in this order. So a ledger
 * that is in its place was made whole; and one that is left under its temporary name tells that an init was
 * killed, of which key and config may be in place already: these are taken as they are.
 */
struct plan {
	struct arena arena; /* of the texts */
	struct buf text;    /* of the config */
	const char *node;
	const char *config;
	const char *database;
	const char *key;
	const char *state_dir; /* absolute */
	bool goes_on;	       /* an earlier init was killed half way */
	bool has_key;	       /* --key-file names one that is there, or that init left one */
	bool has_config;       /* that init left one, with the text of this one */
	bool made_state_dir, made_key, made_config;
	char key_id[EVENT_KEY_ID_SIZE + 1]; /* "" where it could not be asked */
};

#define CLEANUP_PLAN __attribute__((cleanup(plan_done)))

static void plan_done(struct plan *p)
{
	buf_done(&p->text);
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
	const char *usual = settings_default_state_dir(), *path = NULL;
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

/* Length of the folder part, the slash included; 0 for the working folder. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
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

static enum ledger_status compose_config(struct plan *p, struct ledger_error *err)
{
	struct init_config config = { .node = p->node, .group = group, .state_dir = p->state_dir };
	TRY(name_in_config(p, p->database, &config.database, err));
	TRY(name_in_config(p, p->key, &config.key, err));
	init_config_add(&p->text, &config);
	return buf_check(&p->text, err);
}

/* Is there a config with just the text that would be written? */
static bool config_is_there(const struct plan *p)
{
	struct slice text = buf_slice(&p->text);
	char found[4096];
	CLEANUP_FD int fd = open(p->config, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0) {
		ssize_t n = read(fd, found, sizeof(found));
		if (n == 0)
			return text.len == 0;
		if (n < 0 || !slice_starts(text, (struct slice){ found, (size_t)n }))
			return false;
		text = slice_from(text, (size_t)n);
	}
	return false;
}

static enum ledger_status choose(struct plan *p, struct ledger_error *err)
{
	TRY(choose_node(p, err));
	TRY(choose_group(err));
	TRY(choose_path(flags.config, "ledger.yaml", "--config", &p->config, err));
	TRY(choose_path(flags.database, "ledger.db", "--database", &p->database, err));
	TRY(choose_path(flags.key_file, "ledger.key", "--key-file", &p->key, err));
	TRY(choose_state_dir(p, err));
	TRY(compose_config(p, err));
	struct stat st;
	p->goes_on = partial_is_left(p->database);
	p->has_key = (flags.key_file || p->goes_on) && lstat(p->key, &st) == 0;
	p->has_config = p->goes_on && config_is_there(p);
	return LEDGER_OK;
}

/* --- Checking, before anything is made ------------------------------------------------------- */

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

static bool is_empty(const char *path, const char *suffix)
{
	CLEANUP_BUF struct buf name = { 0 };
	struct stat st;
	buf_addf(&name, "%s%s", path, suffix);
	return lstat(buf_text(&name), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

static enum ledger_status check(struct plan *p, struct ledger_error *err)
{
	/* What SQLite keeps beside a database would become part of the new one. */
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	TRY(check_folder(p, p->config, err));
	TRY(check_folder(p, p->database, err));
	TRY(check_folder(p, p->key, err));
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (!(p->goes_on && i > 0 && is_empty(p->database, suffixes[i])))
			TRY(check_absent(p->database, suffixes[i], "--database", err));
	if (!p->has_key)
		TRY(check_absent(p->key, "", "--key-file", err));
	return p->has_config ? LEDGER_OK : check_absent(p->config, "", "--config", err);
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

static enum ledger_status prepare_key(struct plan *p, struct partial *key, struct ledger_error *err)
{
	if (!p->has_key)
		TRY(ledger_key_prepare(p->key, group, key, err));
	/* Only for the answer: whether an existing key can be used is for ledger_prepare to say. */
	struct ledger_error ignored;
	if (ledger_key_id(key->path ? key->path : p->key, group, p->key_id, &ignored) != LEDGER_OK)
		p->key_id[0] = '\0';
	return LEDGER_OK;
}

static enum ledger_status prepare_config(
	struct plan *p, struct partial *config, struct ledger_error *err)
{
	if (p->has_config)
		return LEDGER_OK;
	TRY(partial_begin(config, p->config, err));
	TRY(file_write_all(config->fd, buf_slice(&p->text), p->config, err));
	return file_share(config->fd, p->config, group, group ? 0640 : 0644, err);
}

static enum ledger_status prepare_ledger(
	const struct plan *p, const char *key, struct partial *ledger, struct ledger_error *err)
{
	struct ledger_options options = {
		.path = p->database,
		.mode = LEDGER_MODE_WRITE,
		.node = p->node,
		.sign_key = key,
		.state_dir = p->state_dir,
		.group = group,
		.timeout = flags.timeout == SETTINGS_NOT_GIVEN ? DEFAULT_TIMEOUT : flags.timeout,
	};
	return ledger_prepare(&options, ledger, err);
}

/* There is never a ledger to be removed: it comes last. */
static void unmake(struct plan *p)
{
	if (p->made_config)
		unlink(p->config);
	if (p->made_key)
		unlink(p->key);
	if (p->made_state_dir)
		rmdir(p->state_dir);
	p->made_config = p->made_key = p->made_state_dir = false;
}

static enum ledger_status put_in_place(struct plan *p, struct partial *key, struct partial *config,
	struct partial *ledger, struct ledger_error *err)
{
	if (!p->has_key)
		TRY(partial_commit(key, false, err));
	p->made_key = !p->has_key;
	if (!p->has_config)
		TRY(partial_commit(config, false, err));
	p->made_config = !p->has_config;
	return ledger_put_in_place(ledger, group, err);
}

/* Asked to stop, all three are put in place or none. */
static enum ledger_status put_all_in_place(struct plan *p, struct partial *key,
	struct partial *config, struct partial *ledger, struct ledger_error *err)
{
	sigset_t deadly, before;
	sigemptyset(&deadly);
	sigaddset(&deadly, SIGHUP);
	sigaddset(&deadly, SIGINT);
	sigaddset(&deadly, SIGTERM);
	sigprocmask(SIG_BLOCK, &deadly, &before);
	enum ledger_status status = put_in_place(p, key, config, ledger, err);
	if (status)
		unmake(p);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

static enum ledger_status make(struct plan *p, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial key = { 0 }, config = { 0 }, ledger = { 0 };
	interrupt_removes_partials();
	TRY(make_state_dir(p, err));
	TRY(prepare_key(p, &key, err));
	TRY(prepare_config(p, &config, err));
	TRY(prepare_ledger(p, key.path ? key.path : p->key, &ledger, err));
	TRY(put_all_in_place(p, &key, &config, &ledger, err));
	partial_sweep(p->key);
	partial_sweep(p->config);
	partial_sweep(p->database);
	return LEDGER_OK;
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
