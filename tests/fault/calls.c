/* Our own files: calls of the C library that the linker (--wrap) leads here. */
#include "faulty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/ledger.h"

static int failed(void)
{
	errno = fault_errno();
	return -1;
}

/* A regular file's inode; 0: a pipe, a terminal, a device. */
static uint64_t file_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_ino : 0;
}

static bool is_folder(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void note_path(enum disk_what what, int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path));
	if (n > 0)
		disk_note(what, file_of(fd), 0, path, (size_t)n, NULL, 0);
}

static void note_names(enum disk_what what, const char *a, const char *b)
{
	disk_note(what, 0, 0, a, strlen(a), b, b ? strlen(b) : 0);
	disk_step();
}

/* --- Opening --------------------------------------------------------------------------------- */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (fault_hits(FAULT_OPEN))
		return failed();
	if (flags & O_CREAT)
		disk_step();
	int fd = __real_open64(path, flags, mode);
	if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY && file_of(fd)) {
		note_path(DISK_OPEN, fd);
		if (flags & O_TRUNC)
			disk_note(DISK_TRUNCATE, file_of(fd), 0, NULL, 0, NULL, 0);
	}
	return fd;
}

WRAPS(int, mkostemp64, char *path, int flags)
{
	if (fault_hits(FAULT_OPEN))
		return failed();
	disk_step();
	int fd = __real_mkostemp64(path, flags);
	if (fd >= 0)
		note_path(DISK_OPEN, fd);
	return fd;
}

/* --- Reading and writing --------------------------------------------------------------------- */

WRAPS(ssize_t, read, int fd, void *out, size_t n)
{
	if (file_of(fd) && fault_hits(FAULT_READ))
		return failed();
	return __real_read(fd, out, n);
}

WRAPS(ssize_t, pread64, int fd, void *out, size_t n, off_t offset)
{
	if (fault_hits(FAULT_READ))
		return failed();
	return __real_pread64(fd, out, n, offset);
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t offset);

static ssize_t write_journaled(int fd, const void *bytes, size_t n, off_t offset)
{
	disk_note(DISK_WRITE, file_of(fd), (uint64_t)offset, bytes, n, NULL, 0);
	disk_step();
	return __real_pwrite64(fd, bytes, n, offset);
}

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t offset)
{
	if (!fault_hits(FAULT_WRITE))
		return write_journaled(fd, bytes, n, offset);
	/* What a full disk does: a part is taken, the next call fails. */
	if (fault_is_short() && n > 1)
		return write_journaled(fd, bytes, n / 2, offset);
	return failed();
}

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
	off_t offset = file_of(fd) ? lseek(fd, 0, SEEK_CUR) : -1;
	if (offset < 0)
		return __real_write(fd, bytes, n);
	ssize_t written = write_at(fd, bytes, n, offset);
	if (written > 0)
		lseek(fd, offset + written, SEEK_SET);
	return written;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
	return write_at(fd, bytes, n, offset);
}

/* Only in the journal: what lies below loses no power. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (fault_hits(FAULT_SYNC))
		return failed();
	disk_step();
	if (fault_lies("off"))
		return 0;
	if (is_folder(fd))
		note_path(DISK_SYNC_DIR, fd);
	else
		disk_note(DISK_SYNC, file_of(fd), 0, NULL, 0, NULL, 0);
	return 0;
}

/* --- Names ----------------------------------------------------------------------------------- */

WRAPS(int, rename, const char *from, const char *to)
{
	if (fault_hits(FAULT_NAME))
		return failed();
	note_names(DISK_RENAME, from, to);
	return __real_rename(from, to);
}

WRAPS(int, renameat2, int from_folder, const char *from, int to_folder, const char *to,
	unsigned flags)
{
	if (fault_hits(FAULT_NAME))
		return failed();
	if (!(flags & RENAME_NOREPLACE) || access(to, F_OK) != 0)
		note_names(DISK_RENAME, from, to);
	return __real_renameat2(from_folder, from, to_folder, to, flags);
}

WRAPS(int, link, const char *from, const char *to)
{
	if (fault_hits(FAULT_NAME))
		return failed();
	if (access(to, F_OK) != 0)
		note_names(DISK_LINK, from, to);
	return __real_link(from, to);
}

WRAPS(int, unlink, const char *path)
{
	/* What cleans up after a failure must not fail too: the disk would be given up then. */
	if (access(path, F_OK) == 0)
		note_names(DISK_UNLINK, path, NULL);
	return __real_unlink(path);
}

WRAPS(int, mkdir, const char *path, mode_t mode)
{
	if (fault_hits(FAULT_NAME))
		return failed();
	return __real_mkdir(path, mode);
}

/* --- Commits that are answered before they are done ------------------------------------------ */

static struct ledger *owing; /* a commit */

static void pay(void)
{
	enum ledger_status __real_ledger_commit(struct ledger *, struct ledger_error *);
	struct ledger_error err;
	if (owing && __real_ledger_commit(owing, &err) != LEDGER_OK)
		abort();
	owing = NULL;
}

WRAPS(enum ledger_status, ledger_commit, struct ledger *l, struct ledger_error *err)
{
	if (!fault_lies("early"))
		return __real_ledger_commit(l, err);
	owing = l;
	return LEDGER_OK;
}

WRAPS(enum ledger_status, ledger_begin, struct ledger *l, struct ledger_error *err)
{
	pay();
	return __real_ledger_begin(l, err);
}

WRAPS(void, ledger_close, struct ledger *l)
{
	pay();
	__real_ledger_close(l);
}
