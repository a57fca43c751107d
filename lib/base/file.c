#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "banned.h"

void file_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

enum ledger_status file_write_all(
	int fd, struct slice bytes, const char *path, struct ledger_error *err)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot write %s", path);
		bytes = slice_from(bytes, (size_t)n);
	}
	return LEDGER_OK;
}

enum ledger_status file_share(
	int fd, const char *path, const char *group, mode_t mode, struct ledger_error *err)
{
	if (group) {
		struct group entry, *found = NULL;
		char room[4096];
		if (getgrnam_r(group, &entry, room, sizeof(room), &found) != 0 || !found)
			return fail(err, LEDGER_USAGE, "there is no group '%s'", group);
		if (fchown(fd, (uid_t)-1, found->gr_gid) != 0)
			return fail_errno(err, "cannot give %s to group %s", path, group);
	}
	if (fchmod(fd, mode) != 0)
		return fail_errno(err, "cannot set the mode of %s", path);
	return LEDGER_OK;
}

/* The folder of a path: "." where it names none. */
static bool folder_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= PATH_MAX)
		return false;
	memcpy(out, path, n);
	out[n] = '\0';
	if (!slash)
		memcpy(out, ".", 2);
	else if (n == 0)
		memcpy(out, "/", 2);
	return true;
}

enum ledger_status file_sync_folder(const char *path, struct ledger_error *err)
{
	char folder[PATH_MAX];
	if (!folder_of(path, folder))
		return fail(err, LEDGER_IO, "the path %.80s… is too long", path);
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return fail_errno(err, "cannot sync folder %s", folder);
	return LEDGER_OK;
}

void file_add_uri(struct buf *out, const char *path)
{
	/* Two slashes at the front would begin the name of a machine, and ":memory:" is no file. */
	buf_add_text(out, path[0] != '/' ? "file:./" : path[1] == '/' ? "file://" : "file:");
	for (const char *p = path; *p; p++) {
		if (*p == '%' || *p == '?' || *p == '#')
			buf_addf(out, "%%%02X", (unsigned char)*p);
		else
			buf_add_char(out, *p);
	}
}

static enum ledger_status make_one(const char *path, struct ledger_error *err)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return fail_errno(err, "cannot make folder %s", path);
	return LEDGER_OK;
}

enum ledger_status file_make_folder(
	const char *path, const char *group, mode_t mode, struct ledger_error *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	struct stat st;
	if (n == 0 || n >= sizeof(part))
		return fail(err, LEDGER_IO, "cannot make folder '%.80s'", path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return LEDGER_OK;
	memcpy(part, path, n + 1);
	for (size_t i = 1; i < n; i++) {
		if (part[i] != '/')
			continue;
		part[i] = '\0';
		TRY(make_one(part, err));
		part[i] = '/';
	}
	TRY(make_one(path, err));
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot open folder %s", path);
	return file_share(fd, path, group, mode, err);
}
