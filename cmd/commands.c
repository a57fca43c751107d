/* The commands there are, and the options that all of them take. */
#include "command.h"
#include "output.h"
#include "sandbox.h"
#include "settings.h"

#include "../lib/base/banned.h"

extern const struct command cmd_init;
extern const struct command cmd_append;
extern const struct command cmd_tail;
extern const struct command cmd_show;
extern const struct command cmd_verify;
extern const struct command cmd_status;
extern const struct command cmd_replay;
extern const struct command cmd_state;
extern const struct command cmd_snapshot;
extern const struct command cmd_cursor;
extern const struct command cmd_quarantine;
extern const struct command cmd_fork;
extern const struct command cmd_own;
extern const struct command cmd_send;
extern const struct command cmd_serve_sync;
extern const struct command cmd_recover;
extern const struct command cmd_backup;
extern const struct command cmd_config;
extern const struct command cmd_install_links;
extern const struct command cmd_help;

const struct command *const commands[] = {
	&cmd_init,
	&cmd_append,
	&cmd_tail,
	&cmd_show,
	&cmd_verify,
	&cmd_status,
	&cmd_replay,
	&cmd_state,
	&cmd_snapshot,
	&cmd_cursor,
	&cmd_quarantine,
	&cmd_fork,
	&cmd_own,
	&cmd_send,
	&cmd_serve_sync,
	&cmd_recover,
	&cmd_backup,
	&cmd_config,
	&cmd_install_links,
	&cmd_help,
	NULL,
};

struct common common;
bool version_asked;

const struct opt common_opts[] = {
	{ 0, "config", "read this config", "<file>", .str = &flags.config,
		.complete = COMPLETE_FILE },
	{ 0, "database", "the ledger's file", "<file>", .str = &flags.database,
		.complete = COMPLETE_FILE },
	{ 0, "key-file", "the key to sign and verify with", "<file>", .str = &flags.key_file,
		.complete = COMPLETE_FILE },
	{ 0, "state-dir", "where the head file and verify's state are kept", "<folder>",
		.str = &flags.state_dir, .complete = COMPLETE_FOLDER },
	{ 0, "timeout", "wait so long for a lock (5s)", "<duration>", .duration = &flags.timeout },
	{ 0, "format", "how to print", "<format>", .str = &common.format },
	{ 'q', "quiet", "print nothing when all is well", NULL, .flag = &output.quiet },
	{ 'h', "help", "print this help", NULL, .flag = &common.help },
	{ 0 },
};

const struct opt program_opts[] = {
	{ 0, "version", "print the version", NULL, .flag = &version_asked },
	{ 0 },
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

const char *command_nearest(const char *name)
{
	const char *nearest = NULL;
	unsigned best = SPELLING_FAR;
	for (const struct command *const *c = commands; *c; c++)
		if (spelling_is_nearer(slice_of(name), slice_of((*c)->name), &best))
			nearest = (*c)->name;
	return nearest;
}

const char *const *command_formats(const struct command *command)
{
	static const char *const usual[] = { "text", "json", NULL };
	return command->formats ? command->formats : usual;
}

struct ledger_options command_ledger_options(enum ledger_mode mode)
{
	return (struct ledger_options){
		.path = settings.database,
		.mode = mode,
		.node = settings.node,
		.sign_key = settings.sign_key,
		.sign_key_hex = settings.sign_key_hex,
		.verify_keys = (const char *const *)settings.verify_keys,
		.n_verify_keys = settings.n_verify_keys,
		.state_dir = settings.state_dir,
		.group = settings.group,
		.timeout = settings.timeout,
		.owned = settings.owned,
		.n_owned = settings.n_owned,
	};
}

enum ledger_status command_open_ledger(
	enum ledger_mode mode, struct ledger **out, struct ledger_error *err)
{
	struct ledger_options options = command_ledger_options(mode);
	return ledger_open(out, &options, err);
}

/* The folder that a path names a file in. */
static const char *folder_of(const char *path, struct buf *out)
{
	const char *slash = strrchr(path, '/');
	buf_add(out, slash ? path : ".", slash && slash > path ? (size_t)(slash - path) : 1);
	return buf_text(out);
}

static void confine(const char *folder, const char *file, bool network)
{
	CLEANUP_BUF struct buf of_file = { 0 }, of_output = { 0 };
	const char *replaced = out_file_path();
	struct sandbox sandbox = {
		.database = settings.database,
		.writes_in = { folder, file ? folder_of(file, &of_file) : NULL },
		.replaces_in = replaced ? folder_of(replaced, &of_output) : NULL,
		.local_sockets = settings.group != NULL,
		.network = network,
	};
	sandbox_enter(&sandbox);
}

void command_confine(const char *folder, const char *file)
{
	confine(folder, file, false);
}

void command_confine_files(const char *folder)
{
	confine(folder, NULL, true);
}

void command_close_network(void)
{
	struct sandbox sandbox = { .local_sockets = settings.group != NULL };
	sandbox_close_network(&sandbox);
}
