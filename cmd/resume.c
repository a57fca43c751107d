#include "resume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

#include "../lib/base/banned.h"

/* 20 digits, a space, 64 hex digits, a newline: anything longer is not one of ours. */
#define LINE_MAX_BYTES 128

static enum ledger_status copy_hash(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	memcpy(context, event->hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

/* The hash of the event at a position; zeros at 0. LEDGER_REFUSED behind the end. */
static enum ledger_status hash_at(struct ledger *l, uint64_t position,
	uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err)
{
	uint64_t last;
	memset(hash, 0, EVENT_HASH_SIZE);
	if (position == 0)
		return LEDGER_OK;
	TRY(ledger_last_position(l, &last, err));
	if (position > last) {
		fail(err, LEDGER_REFUSED,
			"position %" PRIu64 " is behind the end of this ledger, %" PRIu64, position,
			last);
		return hint(err,
			"it comes from another history: delete the file to start at the beginning");
	}
	struct ledger_filter filter = { .from = position, .to = position, .limit = 1 };
	return ledger_read(l, &filter, copy_hash, hash, err);
}

/* --- The file -------------------------------------------------------------------------------- */

/* *n is 0 for a missing file and for an empty one. */
static enum ledger_status read_file(
	const char *path, char line[LINE_MAX_BYTES], size_t *n, struct ledger_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*n = 0;
	if (fd < 0 && errno == ENOENT)
		return LEDGER_OK;
	if (fd < 0)
		return fail_errno(err, "cannot open cursor file %s", path);
	ssize_t got = read(fd, line, LINE_MAX_BYTES);
	int problem = errno;
	close(fd);
	errno = problem;
	if (got < 0)
		return fail_errno(err, "cannot read cursor file %s", path);
	*n = (size_t)got;
	return LEDGER_OK;
}

static bool parse_line(struct slice line, uint64_t *position, uint8_t hash[EVENT_HASH_SIZE])
{
	struct slice number, hex, rest;
	return slice_cut(line, '\n', &line, &rest) && rest.len == 0 &&
	       slice_cut(line, ' ', &number, &hex) && slice_u64(number, position) &&
	       slice_unhex(hex, hash, EVENT_HASH_SIZE);
}

static enum ledger_status open_file(struct resume *r, struct ledger_error *err)
{
	char line[LINE_MAX_BYTES];
	uint8_t stored[EVENT_HASH_SIZE], found[EVENT_HASH_SIZE];
	uint64_t position;
	size_t n;
	TRY(read_file(r->file, line, &n, err));
	if (n == 0)
		return LEDGER_OK;
	if (!parse_line((struct slice){ line, n }, &position, stored)) {
		fail(err, LEDGER_INVALID, "%.200s is not a cursor file", r->file);
		return hint(err, "it holds one line, a position and a hash; delete it to start at "
				 "the beginning");
	}
	if (hash_at(r->ledger, position, found, err) != LEDGER_OK)
		return fail_in(err, "cursor file %.200s: ", r->file);
	if (memcmp(stored, found, EVENT_HASH_SIZE) != 0) {
		fail(err, LEDGER_REFUSED,
			"cursor file %.200s belongs to another history: position %" PRIu64
			" holds another event",
			r->file, position);
		return hint(err, "delete the file to start at the beginning");
	}
	r->position = position;
	return LEDGER_OK;
}

static enum ledger_status write_line(
	int fd, struct slice line, const char *path, struct ledger_error *err)
{
	/* mkostemp makes it 0600; a position is no secret, and others may watch it. */
	if (fchmod(fd, 0644) != 0)
		return fail_errno(err, "cannot set the mode of %s", path);
	while (line.len) {
		ssize_t n = write(fd, line.ptr, line.len);
		if (n < 0 && errno != EINTR)
			return fail_errno(err, "cannot write %s", path);
		line = slice_from(line, n < 0 ? 0 : (size_t)n);
	}
	if (fsync(fd) != 0)
		return fail_errno(err, "cannot sync %s", path);
	return LEDGER_OK;
}

/* The folder is not synced: an older position after a power loss only repeats events. */
static enum ledger_status replace_file(
	const char *path, struct slice line, struct ledger_error *err)
{
	char beside[PATH_MAX];
	int n = snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(beside))
		return fail(err, LEDGER_USAGE, "the path %.80s… is too long", path);
	int fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "cannot write beside cursor file %s", path);
	enum ledger_status status = write_line(fd, line, beside, err);
	close(fd);
	if (status == LEDGER_OK && rename(beside, path) != 0)
		status = fail_errno(err, "cannot replace cursor file %s", path);
	if (status != LEDGER_OK)
		unlink(beside);
	return status;
}

static enum ledger_status save_file(struct resume *r, uint64_t position, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	uint8_t hash[EVENT_HASH_SIZE];
	TRY(hash_at(r->ledger, position, hash, err));
	buf_add_u64(&line, position);
	buf_add_char(&line, ' ');
	buf_add_hex(&line, hash, sizeof(hash));
	buf_add_char(&line, '\n');
	TRY(buf_check(&line, err));
	return replace_file(r->file, buf_slice(&line), err);
}

/* --- The cursor in the ledger ---------------------------------------------------------------- */

static enum ledger_status open_cursor(struct resume *r, struct ledger_error *err)
{
	/* A cursor's name has the form of an event type. */
	if (event_check_type(slice_of(r->name), err) != LEDGER_OK) {
		fail(err, LEDGER_USAGE, "--cursor: '%.128s' is not a name of a cursor", r->name);
		return hint(err, "1 to 128 of A-Z a-z 0-9 _ - . :");
	}
	enum ledger_status status =
		ledger_cursor_get(r->ledger, slice_of(r->name), &r->position, err);
	if (status != LEDGER_OK && status != LEDGER_NO)
		return status;
	return command_open_ledger(LEDGER_MODE_WRITE, &r->writer, err);
}

/* --- Both ------------------------------------------------------------------------------------ */

enum ledger_status resume_open(struct resume *r, struct ledger *l, struct ledger_error *err)
{
	r->ledger = l;
	if (r->name && r->file)
		return fail(err, LEDGER_USAGE,
			"--cursor and --cursor-file are two places to go on from");
	if (r->name)
		return open_cursor(r, err);
	return r->file ? open_file(r, err) : LEDGER_OK;
}

bool resume_is_used(const struct resume *r)
{
	return r->name || r->file;
}

enum ledger_status resume_save(struct resume *r, uint64_t position, struct ledger_error *err)
{
	if (!resume_is_used(r) || position == r->position)
		return LEDGER_OK;
	if (r->name)
		TRY(ledger_cursor_set(r->writer, slice_of(r->name), position, err));
	else
		TRY(save_file(r, position, err));
	r->position = position;
	return LEDGER_OK;
}

void resume_close(struct resume *r)
{
	ledger_close(r->writer);
	r->writer = NULL;
}
