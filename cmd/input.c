#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/base/banned.h"

#define BLOCK	  (64u << 10)
#define SHOWN_MAX 64

/* A full batch, the longest line behind it, and the block that held its end. */
#define CAPACITY (INPUT_BATCH_MAX + EVENT_LINE_MAX + 2 * BLOCK)

/* A pipe that holds more than its usual 64 KiB fills while we commit: larger batches. */
#define PIPE_SIZE (1 << 20)

enum ledger_status input_open(struct input *in, int fd, struct ledger_error *err)
{
	char *bytes = malloc(CAPACITY);
	if (!bytes)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	*in = (struct input){ .fd = fd, .bytes = bytes };
	fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE); /* not a pipe, or not allowed: as it was */
	return LEDGER_OK;
}

void input_close(struct input *in)
{
	free(in->bytes);
	in->bytes = NULL;
}

void input_recycle(struct input *in)
{
	memmove(in->bytes, in->bytes + in->start, in->end - in->start);
	in->scanned -= in->start;
	in->end -= in->start;
	in->start = 0;
}

/* Would read(2) return at once? A failure of poll is left for read to find. */
static bool is_readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	return poll(&poller, 1, 0) != 0;
}

static enum ledger_status read_some(
	int fd, void *to, size_t n, size_t *got, struct ledger_error *err)
{
	ssize_t bytes;
	do
		bytes = read(fd, to, n);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return fail_errno(
			err, "cannot read %s", fd == STDIN_FILENO ? "stdin" : "the input");
	*got = (size_t)bytes;
	return LEDGER_OK;
}

static enum ledger_status read_block(struct input *in, struct ledger_error *err)
{
	size_t got = 0;
	TRY(read_some(in->fd, in->bytes + in->end, BLOCK, &got, err));
	in->end += got;
	in->at_end = got == 0;
	return LEDGER_OK;
}

static enum ledger_status too_long(const struct input *in, struct ledger_error *err)
{
	fail(err, LEDGER_INVALID, "line %" PRIu64 ": longer than %u KiB", in->line + 1,
		EVENT_LINE_MAX >> 10);
	return hint(err, "keep large content elsewhere and record where it is, with its hash");
}

/* Hands out the bytes up to `end`; `next` is where the following line begins. */
static enum ledger_status hand_out(
	struct input *in, size_t end, size_t next, struct slice *line, struct ledger_error *err)
{
	if (end - in->start > EVENT_LINE_MAX)
		return too_long(in, err);
	*line = (struct slice){ in->bytes + in->start, end - in->start };
	in->line++;
	in->start = in->scanned = next;
	return LEDGER_OK;
}

static enum ledger_status next_line(struct input *in, bool wait, enum input_got *got,
	struct slice *line, struct ledger_error *err)
{
	for (;;) {
		const char *newline = memchr(in->bytes + in->scanned, '\n', in->end - in->scanned);
		*got = INPUT_LINE;
		if (newline) {
			size_t end = (size_t)(newline - in->bytes);
			return hand_out(in, end, end + 1, line, err);
		}
		in->scanned = in->end;
		if (in->end - in->start > EVENT_LINE_MAX)
			return too_long(in, err);
		if (in->at_end)
			break;
		*got = INPUT_LATER;
		if (!wait && !is_readable(in->fd))
			return LEDGER_OK;
		TRY(read_block(in, err));
	}
	if (in->start == in->end) {
		*got = INPUT_END;
		return LEDGER_OK;
	}
	in->cut = true;
	return hand_out(in, in->end, in->end, line, err);
}

/* JSON's white space. */
static bool is_blank(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
			return false;
	return true;
}

enum ledger_status input_next(struct input *in, bool wait, enum input_got *got, struct slice *line,
	struct ledger_error *err)
{
	for (;;) {
		if (in->start >= INPUT_BATCH_MAX) {
			*got = INPUT_LATER;
			if (!wait)
				return LEDGER_OK;
			input_recycle(in);
		}
		TRY(next_line(in, wait, got, line, err));
		if (*got != INPUT_LINE || !is_blank(*line))
			return LEDGER_OK;
	}
}

enum ledger_status input_read_all(
	int fd, const char *name, size_t max, struct buf *out, struct ledger_error *err)
{
	char block[8192];
	size_t got = 0;
	buf_reset(out);
	do {
		TRY(read_some(fd, block, sizeof(block), &got, err));
		if (out->len + got > max)
			return fail(
				err, LEDGER_INVALID, "%s is longer than %zu KiB", name, max >> 10);
		buf_add(out, block, got);
	} while (got > 0);
	return buf_check(out, err);
}

struct slice input_shown(struct slice value)
{
	return (struct slice){ value.ptr, value.len < SHOWN_MAX ? value.len : SHOWN_MAX };
}
