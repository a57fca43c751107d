/*
 * Notes: what one process leaves beside a ledger for another one to read, in the state folder, as
 * <node>-<epoch>.<name>. Replaced atomically and not synced: they are worth nothing after a power loss.
 */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../peers.h"
#include "../base/file.h"

#include "../base/banned.h"

static enum ledger_status replace(const struct ledger *l, const char *path, const char *fresh,
	struct slice bytes, struct ledger_error *err)
{
	const char *group = l->options.group;
	CLEANUP_FD int fd =
		open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot write %s", fresh);
	TRY(file_write_all(fd, bytes, fresh, err));
	if (group)
		TRY(file_share(fd, fresh, group, 0660, err));
	if (rename(fresh, path) != 0)
		return fail_errno(err, "cannot write %s", path);
	return LEDGER_OK;
}

enum ledger_status ledger_note_write(
	struct ledger *l, const char *name, struct slice bytes, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 }, fresh = { 0 };
	const char *group = l->options.group;
	TRY(home_path(l, name, l->epoch, &path, err));
	buf_addf(&fresh, "%s.%ld", buf_text(&path), (long)getpid());
	TRY(buf_check(&fresh, err));
	TRY(file_make_folder(l->options.state_dir, group, group ? 02770 : 0700, err));
	enum ledger_status status = replace(l, buf_text(&path), buf_text(&fresh), bytes, err);
	if (status)
		unlink(buf_text(&fresh));
	return status;
}

enum ledger_status ledger_note_read(
	struct ledger *l, const char *name, struct buf *out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	char bytes[16384];
	ssize_t n;
	TRY(home_path(l, name, l->epoch, &path, err));
	CLEANUP_FD int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail(err, LEDGER_NO, "nobody has left %s", buf_text(&path));
	if (fd < 0)
		return fail_errno(err, "cannot read %s", buf_text(&path));
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		if (out->len + (size_t)n > LEDGER_NOTE_MAX)
			return fail(err, LEDGER_INVALID, "%s is larger than %u bytes",
				buf_text(&path), LEDGER_NOTE_MAX);
		buf_add(out, bytes, (size_t)n);
	}
	if (n < 0)
		return fail_errno(err, "cannot read %s", buf_text(&path));
	return buf_check(out, err);
}
