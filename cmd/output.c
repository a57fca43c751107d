/* stdout, or the file that stands in for it: one buffer, written in full, the first failure kept. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "../lib/base/banned.h"

struct output output = { .columns = 80 };
const char *output_path;

static char buffer[64 << 10];
static size_t used;
static int out_fd = STDOUT_FILENO;
static int failure; /* errno of the first write that failed; 0: none */

/* The file of -o; path is NULL where there is none. */
static struct {
	char *path; /* what is replaced, links followed */
	struct partial
		partial; /* what is written until then; without a path `path` is written as it stands */
	bool in_place;
} file;

/* --- Bytes ----------------------------------------------------------------------------------- */

static void write_all(const char *bytes, size_t n)
{
	while (n && !failure) {
		ssize_t done = write(out_fd, bytes, n);
		if (done >= 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN)
			poll(&(struct pollfd){ .fd = out_fd, .events = POLLOUT }, 1, -1);
		else if (errno != EINTR)
			failure = errno;
	}
}

static void empty_buffer(void)
{
	write_all(buffer, used);
	used = 0;
}

void out_slice(struct slice s)
{
	while (s.len > sizeof(buffer) - used) {
		size_t room = sizeof(buffer) - used;
		memcpy(buffer + used, s.ptr, room);
		used += room;
		s = slice_from(s, room);
		empty_buffer();
	}
	if (s.len)
		memcpy(buffer + used, s.ptr, s.len);
	used += s.len;
}

void out_text(const char *text)
{
	out_slice(slice_of(text));
}

void outf(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(line)) {
		out_slice((struct slice){ line, (size_t)n });
		return;
	}
	char *text = NULL;
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		failure = failure ? failure : ENOMEM;
	else
		out_slice((struct slice){ text, (size_t)n });
	if (n >= 0)
		free(text);
}

static void out_escaped(struct slice s, bool keep_newlines)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (!output.terminal) {
		out_slice(s);
		return;
	}
	escape_slice(&text, s, keep_newlines);
	if (text.failed)
		failure = failure ? failure : ENOMEM;
	out_slice(buf_slice(&text));
}

void out_safe(struct slice s)
{
	out_escaped(s, false);
}

void out_safe_lines(struct slice s)
{
	out_escaped(s, true);
}

void out_style(const char *sgr)
{
	if (output.colour)
		outf("\x1b[%sm", sgr);
}

void out_to_stderr(void)
{
	empty_buffer();
	out_fd = STDERR_FILENO;
}

bool out_reader_has_gone(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };
	return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

bool out_failed(void)
{
	return failure != 0;
}

static enum ledger_status tell_failure(struct ledger_error *err)
{
	if (failure == EPIPE)
		return fail(err, LEDGER_NO, "%s", "");
	/* main puts /dev/null, opened the wrong way, where a descriptor was missing. */
	if (failure == EBADF)
		return fail(err, LEDGER_IO, "stdout is closed");
	errno = failure;
	return fail_errno(err, "cannot write to %s", file.path ? file.path : "stdout");
}

enum ledger_status out_flush(struct ledger_error *err)
{
	empty_buffer();
	return failure ? tell_failure(err) : LEDGER_OK;
}

/* --- A file in place of stdout --------------------------------------------------------------- */

static void forget_file(void)
{
	if (file.in_place)
		close(out_fd);
	out_fd = STDOUT_FILENO;
	used = 0;
	failure = 0;
	file.in_place = false;
	partial_drop(&file.partial);
	free(file.path);
	file.path = NULL;
}

static mode_t mode_of_new_files(void)
{
	mode_t mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

/* A folder that is not there is a mistake in the call, not trouble with the disk. */
static enum ledger_status cannot_write(const char *path, struct ledger_error *err)
{
	bool no_folder = errno == ENOENT || errno == ENOTDIR;
	fail_errno(err, "cannot write to %s", path);
	if (no_folder)
		err->status = LEDGER_USAGE;
	return err->status;
}

static enum ledger_status open_partial(mode_t mode, struct ledger_error *err)
{
	interrupt_removes_partials();
	partial_sweep(file.path);
	if (partial_begin(&file.partial, file.path, err) != LEDGER_OK)
		return err->status == LEDGER_NO_MEMORY ? err->status : cannot_write(file.path, err);
	out_fd = file.partial.fd;
	return fchmod(out_fd, mode) == 0 ? LEDGER_OK : cannot_write(file.path, err);
}

static enum ledger_status open_in_place(struct ledger_error *err)
{
	out_fd = open(file.path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (out_fd < 0)
		return cannot_write(file.path, err);
	file.in_place = true;
	return LEDGER_OK;
}

static enum ledger_status open_file(const char *path, struct ledger_error *err)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	if (!there && errno != ENOENT)
		return cannot_write(path, err);
	file.path = there && S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
	if (!file.path)
		return cannot_write(path, err);
	if (there && S_ISDIR(st.st_mode))
		return fail(err, LEDGER_USAGE, "cannot write to %s: it is a folder", path);
	if (there && !S_ISREG(st.st_mode))
		return open_in_place(err);
	return open_partial(there ? st.st_mode & 0777 : mode_of_new_files(), err);
}

enum ledger_status out_file_begin(const char *path, struct ledger_error *err)
{
	empty_buffer();
	enum ledger_status status = open_file(path, err);
	if (status != LEDGER_OK) {
		out_file_abort();
		return status;
	}
	output.terminal = output.colour = false;
	output.columns = 80;
	return LEDGER_OK;
}

static enum ledger_status put_in_place(struct ledger_error *err)
{
	TRY(out_flush(err));
	return file.partial.path ? partial_commit(&file.partial, true, err) : LEDGER_OK;
}

enum ledger_status out_file_commit(struct ledger_error *err)
{
	if (!file.path)
		return LEDGER_OK;
	enum ledger_status status = put_in_place(err);
	if (status == LEDGER_OK)
		forget_file();
	else
		out_file_abort();
	return status;
}

const char *out_file_path(void)
{
	return file.partial.path ? file.path : NULL;
}

void out_file_abort(void)
{
	if (!file.path)
		return;
	forget_file();
}
