/* A consistent copy while others write: copied beside its place, verified, synced, then renamed into it. */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"

#include "../base/banned.h"

struct copy_file {
	struct buf path;
};

static void remove_copy(struct copy_file *copy)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	for (size_t i = 0; copy->path.len && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		CLEANUP_BUF struct buf name = { 0 };
		buf_addf(&name, "%s%s", buf_text(&copy->path), suffixes[i]);
		unlink(buf_text(&name));
	}
	buf_done(&copy->path);
}

#define CLEANUP_COPY __attribute__((cleanup(remove_copy)))

static enum ledger_status make_copy_file(
	struct ledger *l, const char *path, struct copy_file *copy, struct ledger_error *err)
{
	buf_addf(&copy->path, "%s.XXXXXX", path);
	TRY(buf_check(&copy->path, err));
	buf_text(&copy->path);
	CLEANUP_FD int fd = mkostemp(copy->path.ptr, O_CLOEXEC);
	if (fd < 0) {
		fail_errno(err, "cannot make a file beside %s", path);
		buf_reset(&copy->path);
		return err->status;
	}
	return file_share(fd, path, l->options.group, l->options.group ? 0660 : 0600, err);
}

static enum ledger_status verify_copy(struct ledger *l, const char *path,
	struct ledger_verify_report *report, void (*progress)(uint64_t, uint64_t, void *),
	void *context, struct ledger_error *err)
{
	struct ledger_options options = l->options;
	struct ledger_error ignored;
	struct ledger *copy;
	options.path = path;
	options.mode = LEDGER_MODE_READ;
	options.state_dir = NULL; /* the copy has no history of its own */
	TRY(ledger_open(&copy, &options, err));
	struct ledger_verify_options all = {
		.progress = progress,
		.context = context,
		.hash_only = handle_load_keys(copy, &ignored) != LEDGER_OK || copy->n_keys == 0,
	};
	enum ledger_status status = ledger_verify(copy, &all, report, err);
	ledger_close(copy);
	if (status == LEDGER_OK || (status == LEDGER_UNVERIFIED && all.hash_only))
		return LEDGER_OK;
	fail_in(err, "the copy does not verify: ");
	return hint(err, "nothing was put in place; run: ledgerbox verify");
}

static enum ledger_status sync_copy(const char *path, struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return fail_errno(err, "cannot sync %s", path);
	return LEDGER_OK;
}

/* rename(2), or a link that fails where a file has come into being meanwhile. */
static enum ledger_status put_in_place(
	const char *from, const char *path, bool replace, struct ledger_error *err)
{
	int failed = replace ? rename(from, path) : link(from, path);
	if (failed && errno == EEXIST)
		return fail(err, LEDGER_REFUSED, "%s exists", path);
	if (failed)
		return fail_errno(err, "cannot put the copy at %s", path);
	return file_sync_folder(path, err);
}

enum ledger_status ledger_backup(struct ledger *l, const char *path, bool replace,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_COPY struct copy_file copy = { { 0 } };
	struct stat theirs, ours;
	if (stat(path, &theirs) == 0) {
		if (stat(store_path(l->store), &ours) == 0 && ours.st_ino == theirs.st_ino &&
			ours.st_dev == theirs.st_dev)
			return fail(err, LEDGER_REFUSED, "%s is the ledger itself", path);
		if (!replace) {
			fail(err, LEDGER_REFUSED, "%s exists", path);
			return hint(err, "to replace it: --force");
		}
	}
	TRY(make_copy_file(l, path, &copy, err));
	TRY(store_copy(l->store, buf_text(&copy.path), progress, context, err));
	TRY(verify_copy(l, buf_text(&copy.path), report, progress, context, err));
	TRY(sync_copy(buf_text(&copy.path), err));
	return put_in_place(buf_text(&copy.path), path, replace, err);
}
