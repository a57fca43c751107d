/* install-links - make ledger-append, ledger-tail … beside or away from the program. */
#include "command.h"
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/base/banned.h"

extern const struct command cmd_install_links;
extern const struct command cmd_help;

/* `help` and this one are asked for by the program's own name. */
static bool has_link(const struct command *command)
{
	return command != &cmd_install_links && command != &cmd_help;
}

/* What the links point to: the program's name where it is in that folder itself, else its path. */
static enum ledger_status find_target(
	const char *folder, char target[PATH_MAX], struct ledger_error *err)
{
	char real[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", target, PATH_MAX - 1);
	if (n < 0)
		return fail_errno(err, "cannot find out where the program is");
	target[n] = '\0';
	if (!realpath(folder, real)) {
		fail_errno(err, "cannot make links in %s", folder);
		return err->status == LEDGER_IO ? LEDGER_USAGE : err->status;
	}
	const char *name = basename(target);
	size_t length = (size_t)(name - target) - 1;
	if (strlen(real) == length && memcmp(real, target, length) == 0)
		memmove(target, name, strlen(name) + 1);
	return LEDGER_OK;
}

/* May the link be made? Only a link that leads to a ledgerbox is replaced. */
static enum ledger_status check_place(
	const char *path, const char *target, struct ledger_error *err)
{
	char old[PATH_MAX];
	(void)target;
	ssize_t n = readlink(path, old, sizeof(old) - 1);
	if (n < 0 && errno == ENOENT)
		return LEDGER_OK;
	if (n < 0 && errno != EINVAL)
		return fail_errno(err, "cannot make %s", path);
	old[n < 0 ? 0 : n] = '\0';
	if (strcmp(basename(old), "ledgerbox") == 0)
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "%s is there and is no link to ledgerbox", path);
	return hint(err, "move it away, or name another folder");
}

static void print_link(const char *path, const char *target)
{
	CLEANUP_BUF struct buf line = { 0 };
	if (output.quiet)
		return;
	if (output.format == FORMAT_JSON) {
		buf_add_text(&line, "{\"link\":");
		json_add_string(&line, slice_of(path));
		buf_add_text(&line, ",\"target\":");
		json_add_string(&line, slice_of(target));
		buf_add_char(&line, '}');
	} else
		buf_addf(&line, "%s -> %s", path, target);
	out_safe(buf_slice(&line));
	out_text("\n");
}

static enum ledger_status make_link(const char *path, const char *target, struct ledger_error *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return fail_errno(err, "cannot replace %s", path);
	if (symlink(target, path) != 0)
		return fail_errno(err, "cannot make %s", path);
	print_link(path, target);
	return LEDGER_OK;
}

typedef enum ledger_status link_fn(const char *path, const char *target, struct ledger_error *err);

static enum ledger_status each_link(
	const char *folder, const char *target, link_fn *fn, struct ledger_error *err)
{
	char path[PATH_MAX];
	for (const struct command *const *c = commands; *c; c++) {
		if (!has_link(*c))
			continue;
		int n = snprintf(path, sizeof(path), "%s/ledger-%s", folder, (*c)->name);
		if (n < 0 || (size_t)n >= sizeof(path))
			return fail(err, LEDGER_USAGE, "the folder's name is too long");
		TRY(fn(path, target, err));
	}
	return LEDGER_OK;
}

/* Looks at every place before the first link is made, so that a refusal leaves nothing half done. */
static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	char target[PATH_MAX];
	(void)l;
	if (argc != 1)
		return fail(err, LEDGER_USAGE, "install-links takes one folder");
	TRY(find_target(argv[0], target, err));
	TRY(each_link(argv[0], target, check_place, err));
	return each_link(argv[0], target, make_link, err);
}

const struct command cmd_install_links = {
	.name = "install-links",
	.summary = "Make links named ledger-COMMAND to this program in a folder.",
	.operands = "FOLDER",
	.opens = OPENS_NOTHING,
	.complete = COMPLETE_FOLDER,
	.examples = "ledgerbox install-links /usr/local/bin\n"
		    "ledgerbox install-links ~/bin && ledger-tail -n 3\n",
	.run = run,
};
