#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/base/banned.h"

#define IN_MEMORY (64u << 10)

void spool_done(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	buf_done(&s->buf);
}

static const char *folder(void)
{
	const char *chosen = getenv("TMPDIR");
	return chosen && chosen[0] ? chosen : "/tmp";
}

static enum ledger_status cannot(const char *what, struct ledger_error *err)
{
	fail_errno(err, "cannot %s a temporary file in %s", what, folder());
	return hint(err, "set TMPDIR to a folder with room");
}

/* Not every file system knows O_TMPFILE. */
static int open_named(void)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/ledgerbox.XXXXXX", folder());
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static enum ledger_status open_file(struct spool *s, struct ledger_error *err)
{
	s->fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0)
		s->fd = open_named();
	return s->fd < 0 ? cannot("make", err) : LEDGER_OK;
}

static enum ledger_status write_out(struct spool *s, struct ledger_error *err)
{
	struct slice rest = buf_slice(&s->buf);
	if (s->fd < 0)
		TRY(open_file(s, err));
	while (rest.len) {
		ssize_t done = write(s->fd, rest.ptr, rest.len);
		if (done < 0 && errno != EINTR)
			return cannot("write to", err);
		if (done > 0)
			rest = slice_from(rest, (size_t)done);
	}
	buf_reset(&s->buf);
	return LEDGER_OK;
}

enum ledger_status spool_check(struct spool *s, struct ledger_error *err)
{
	TRY(buf_check(&s->buf, err));
	return s->buf.len > IN_MEMORY ? write_out(s, err) : LEDGER_OK;
}

enum ledger_status spool_rewind(struct spool *s, struct ledger_error *err)
{
	TRY(write_out(s, err));
	return lseek(s->fd, 0, SEEK_SET) < 0 ? cannot("read", err) : LEDGER_OK;
}

enum ledger_status spool_each(struct spool *s, spool_fn *fn, struct ledger_error *err)
{
	char block[IN_MEMORY];
	ssize_t got;
	if (s->fd < 0)
		return fn(buf_slice(&s->buf), err);
	TRY(spool_rewind(s, err));
	while ((got = read(s->fd, block, sizeof(block))) != 0) {
		if (got < 0 && errno != EINTR)
			return cannot("read", err);
		if (got > 0)
			TRY(fn((struct slice){ block, (size_t)got }, err));
	}
	return LEDGER_OK;
}
