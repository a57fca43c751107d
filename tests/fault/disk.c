/*
 * What is shared: the environment, the journal, the end.
 *
 *   FAULT_JOURNAL=FILE  records of what happened are appended to it; without it nothing here acts
 *   FAULT_CUT=N         the power goes before the Nth change of the disk is done
 *   FAULT_KIND=K        calls of this kind fail: read write sync truncate lock open name alloc
 *   FAULT_AT=N          the Nth of them
 *   FAULT_EVER=1        … and all behind it
 *   FAULT_ERRNO=E       with this error; FAULT_SHORT=1: a write is done in half before
 *   FAULT_LIE=HOW       to show that the campaigns find it: `normal` (SQLite's synchronous=NORMAL),
 *                       `off` (syncs do nothing), `early` (commits are answered before they are done)
 */
#include "faulty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *const kind_names[FAULT_KINDS_] = { "read", "write", "sync", "truncate", "lock",
	"open", "name", "alloc" };

static struct {
	int journal;
	long cut, at;
	int error;
	bool ever, is_short, running; /* running: not in what goes before and behind main */
	enum fault_kind kind;
	const char *lie;
} faulty = { .journal = -1, .kind = FAULT_KINDS_ };

static atomic_long counts[FAULT_KINDS_], steps;

static long number(const char *name)
{
	const char *text = getenv(name);
	return text ? strtol(text, NULL, 10) : 0;
}

/* Before the constructors of the other parts. */
__attribute__((constructor(101))) static void read_environment(void)
{
	const char *journal = getenv("FAULT_JOURNAL"), *kind = getenv("FAULT_KIND");
	if (!journal)
		return;
	faulty.cut = number("FAULT_CUT");
	faulty.at = number("FAULT_AT");
	faulty.ever = number("FAULT_EVER");
	faulty.error = (int)number("FAULT_ERRNO");
	faulty.is_short = number("FAULT_SHORT");
	faulty.lie = getenv("FAULT_LIE");
	for (int i = 0; kind && i < FAULT_KINDS_; i++)
		if (strcmp(kind, kind_names[i]) == 0)
			faulty.kind = (enum fault_kind)i;
	/* Far from those that the program uses: a test may leave it few descriptors. */
	int fd = open(journal, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	faulty.journal = fcntl(fd, F_DUPFD_CLOEXEC, 500);
	if (fd < 0 || faulty.journal < 0)
		abort();
	close(fd);
}

/* Behind the constructors of the other parts, whose own calls are not to fail. */
__attribute__((constructor(104))) static void begin(void)
{
	faulty.running = faulty.journal >= 0;
}

__attribute__((destructor)) static void end(void)
{
	char text[256] = "";
	size_t n = 0;
	faulty.running = false;
	for (int i = 0; i < FAULT_KINDS_; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %ld ", kind_names[i],
			atomic_load(&counts[i]));
	n += (size_t)snprintf(text + n, sizeof(text) - n, "step %ld", atomic_load(&steps));
	disk_note(DISK_END, 0, 0, text, n, NULL, 0);
}

bool fault_hits(enum fault_kind kind)
{
	if (!faulty.running)
		return false;
	long n = atomic_fetch_add(&counts[kind], 1) + 1;
	if (kind != faulty.kind || (faulty.ever ? n < faulty.at : n != faulty.at))
		return false;
	disk_note(DISK_FAILED, 0, 0, kind_names[kind], strlen(kind_names[kind]), NULL, 0);
	return true;
}

int fault_errno(void)
{
	return faulty.error ? faulty.error : EIO;
}

bool fault_is_short(void)
{
	return faulty.is_short;
}

bool fault_lies(const char *how)
{
	return faulty.lie && strcmp(faulty.lie, how) == 0;
}

void disk_note(enum disk_what what, uint64_t file, uint64_t offset, const void *a, size_t n_a,
	const void *b, size_t n_b)
{
	struct disk_record record = {
		.what = what, .a = (uint32_t)n_a, .b = (uint32_t)n_b, .file = file, .offset = offset
	};
	struct iovec parts[] = { { &record, sizeof(record) }, { (void *)(uintptr_t)a, n_a },
		{ (void *)(uintptr_t)b, n_b } };
	if (faulty.journal < 0)
		return;
	int kept = errno;
	if (writev(faulty.journal, parts, 3) != (ssize_t)(sizeof(record) + n_a + n_b))
		abort();
	errno = kept;
}

void disk_step(void)
{
	if (faulty.journal >= 0 && atomic_fetch_add(&steps, 1) + 1 == faulty.cut)
		kill(getpid(), SIGKILL);
}

uint64_t disk_file(const char *path)
{
	struct stat st;
	return path && stat(path, &st) == 0 ? st.st_ino : 0;
}
