#include "partial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "file.h"

#include "banned.h"

#define MARK	    ".partial-"
#define MARK_RANDOM 6

/* --- The list for signals -------------------------------------------------------------------- */

/* A file that is a database has others beside it. They go before it, the last one, so that none is left
 * alone. */
static const char *const suffixes[] = { "-journal", "-wal", "-shm", "" };

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/* Names with each suffix, made in advance: a signal handler may not do much more than unlink. */
static struct {
	volatile sig_atomic_t used;
	char names[N_SUFFIXES][PATH_MAX + 16];
} live[4];

void partial_remove_all(void)
{
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++)
		for (size_t k = 0; live[i].used && k < N_SUFFIXES; k++)
			unlink(live[i].names[k]);
}

static void forget(struct partial *p)
{
	if (p->slot >= 0)
		live[p->slot].used = 0;
	p->slot = -1;
}

static void remember(struct partial *p)
{
	p->slot = -1;
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
		if (live[i].used || strlen(p->path) > PATH_MAX)
			continue;
		for (size_t k = 0; k < N_SUFFIXES; k++)
			snprintf(live[i].names[k], sizeof(live[i].names[k]), "%s%s", p->path,
				suffixes[k]);
		p->slot = (int)i;
		live[i].used = 1;
		return;
	}
}

/* --- Locks ----------------------------------------------------------------------------------- */

static bool lock(int fd)
{
	struct flock first = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	return fcntl(fd, F_OFD_SETLK, &first) == 0;
}

/* Is `path` the file that is open as `fd`? */
static bool is_at(int fd, const char *path)
{
	struct stat open_one, named;
	return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
	       open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* --- Making ---------------------------------------------------------------------------------- */

static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

static void give_up(struct partial *p)
{
	if (p->path && p->fd >= 0)
		close(p->fd);
	free(p->path);
	free(p->target);
	*p = (struct partial){ .fd = -1, .slot = -1 };
}

static void remove_with_suffixes(const char *path, size_t n_suffixes)
{
	/* Without an allocation: want of memory may be why it is removed. */
	char name[PATH_MAX + 16];
	for (size_t k = 0; k < n_suffixes; k++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[k]);
		unlink(name);
	}
}

void partial_drop(struct partial *p)
{
	if (p->path) {
		remove_with_suffixes(p->path, N_SUFFIXES);
		forget(p);
	}
	give_up(p);
}

static void deadly_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

/* Between its making and its entry in the list a signal would leave the file behind. */
static void make_and_remember(struct partial *p)
{
	sigset_t deadly, before;
	deadly_signals(&deadly);
	pthread_sigmask(SIG_BLOCK, &deadly, &before);
	p->fd = mkostemp(p->path, O_CLOEXEC);
	if (p->fd >= 0)
		remember(p);
	int code = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = code;
}

static enum ledger_status begin_once(
	struct partial *p, const char *target, bool *swept, struct ledger_error *err)
{
	size_t n = folder_length(target);
	*p = (struct partial){ .fd = -1, .slot = -1, .target = strdup(target) };
	if (!p->target ||
		asprintf(&p->path, "%.*s.%s" MARK "XXXXXX", (int)n, target, target + n) < 0) {
		p->path = NULL;
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	make_and_remember(p);
	if (p->fd < 0) {
		int code = errno;
		fail_errno(err, "cannot make a file beside %s", target);
		free(p->path);
		p->path = NULL;
		errno = code;
		return err->status;
	}
	/* Somebody who looked before the lock was there took it for a left one. Where the file system knows
	 * no locks nobody takes it for one. */
	*swept = (!lock(p->fd) && (errno == EAGAIN || errno == EACCES)) || !is_at(p->fd, p->path);
	return LEDGER_OK;
}

enum ledger_status partial_begin(struct partial *p, const char *target, struct ledger_error *err)
{
	for (int tries = 0; tries < 100; tries++) {
		bool swept = false;
		enum ledger_status status = begin_once(p, target, &swept, err);
		if (status == LEDGER_OK && !swept)
			return LEDGER_OK;
		partial_drop(p);
		if (status)
			return status;
	}
	return fail(err, LEDGER_IO, "files beside %s are removed as soon as they are made", target);
}

/* --- Putting in place ------------------------------------------------------------------------ */

/* Where there are no hard links either: an empty file takes the name, which only one can make. Killed in
 * between it stays, and is found to be empty by whoever reads it. */
static int rename_over_placeholder(const char *from, const char *to)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	close(fd);
	if (rename(from, to) == 0)
		return 0;
	int code = errno;
	unlink(to);
	errno = code;
	return -1;
}

/* Not every file system knows RENAME_NOREPLACE (EINVAL), nor every kernel (ENOSYS). */
static int rename_where_nothing_is(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to) == 0) {
		unlink(from);
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	return rename_over_placeholder(from, to);
}

enum ledger_status partial_commit(struct partial *p, bool replace, struct ledger_error *err)
{
	if (fsync(p->fd) != 0)
		return fail_errno(err, "cannot sync %s", p->path);
	remove_with_suffixes(p->path, N_SUFFIXES - 1);
	int failed =
		replace ? rename(p->path, p->target) : rename_where_nothing_is(p->path, p->target);
	if (failed && errno == EEXIST)
		return fail(err, LEDGER_REFUSED, "%s exists", p->target);
	if (failed)
		return fail_errno(err, "cannot put %s in place", p->target);
	forget(p);
	enum ledger_status status = file_sync_folder(p->target, err);
	/* Said to have failed, nothing of it is left; what it replaced cannot be had back. */
	if (status && !replace && is_at(p->fd, p->target))
		unlink(p->target);
	give_up(p);
	return status;
}

/* --- What was left --------------------------------------------------------------------------- */

/* ".NAME.partial-" and six more. */
static bool is_mark_of(const char *entry, const char *name)
{
	size_t n = strlen(name);
	return strlen(entry) == 1 + n + strlen(MARK) + MARK_RANDOM && entry[0] == '.' &&
	       strncmp(entry + 1, name, n) == 0 && strncmp(entry + 1 + n, MARK, strlen(MARK)) == 0;
}

/* Of this user, and nobody is filling it. While the lock is held its maker cannot take it either. */
static bool take_left(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       lock(fd);
}

static bool look_at_left(const char *path, bool remove)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (!take_left(fd))
		return false;
	if (remove)
		remove_with_suffixes(path, N_SUFFIXES);
	return true;
}

static bool each_left(const char *target, bool remove)
{
	CLEANUP_BUF struct buf folder = { 0 };
	size_t n = folder_length(target);
	buf_add(&folder, n ? target : "./", n ? n : 2);
	DIR *dir = folder.failed ? NULL : opendir(buf_text(&folder));
	bool found = false;
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		CLEANUP_BUF struct buf path = { 0 };
		if (!is_mark_of(entry->d_name, target + n))
			continue;
		buf_addf(&path, "%s%s", buf_text(&folder), entry->d_name);
		found = look_at_left(buf_text(&path), remove) || found;
	}
	if (dir)
		closedir(dir);
	return found;
}

bool partial_is_left(const char *target)
{
	return each_left(target, false);
}

void partial_sweep(const char *target)
{
	each_left(target, true);
}
