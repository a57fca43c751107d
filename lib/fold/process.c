#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../base/banned.h"

/* Between TERM and KILL, for a program that went over its time. */
#define GRACE (2 * TIME_SECOND)

#define READ_SIZE     (64u << 10)
#define ROUNDS	      4
#define ROUNDS_AT_END 32 /* more than a pipe holds */

/* --- Starting -------------------------------------------------------------------------------- */

struct pipes {
	int in[2], out[2], err[2]; /* read end, write end */
};

static void close_pair(int pair[2])
{
	file_close(&pair[0]);
	file_close(&pair[1]);
}

#define CLEANUP_PIPES __attribute__((cleanup(pipes_close)))

static void pipes_close(struct pipes *pipes)
{
	close_pair(pipes->in);
	close_pair(pipes->out);
	close_pair(pipes->err);
}

/* A pipe, of which our end does not block. */
static enum ledger_status open_pipe(int pair[2], int ours, struct ledger_error *err)
{
	if (pipe2(pair, O_CLOEXEC) != 0 || fcntl(pair[ours], F_SETFL, O_NONBLOCK) != 0)
		return fail_errno(err, "cannot make a pipe");
	return LEDGER_OK;
}

static enum ledger_status open_pipes(struct pipes *pipes, struct ledger_error *err)
{
	TRY(open_pipe(pipes->in, 1, err));
	TRY(open_pipe(pipes->out, 0, err));
	return open_pipe(pipes->err, 0, err);
}

/* What the program finds open: its three pipes, and nothing above. */
static int add_files(
	posix_spawn_file_actions_t *files, const struct pipes *pipes, const char *folder)
{
	int code = posix_spawn_file_actions_adddup2(files, pipes->in[0], STDIN_FILENO);
	if (code == 0) /* 1 and 2: the numbers of its stdout and stderr, not ours */
		code = posix_spawn_file_actions_adddup2(files, pipes->out[1], 1);
	if (code == 0)
		code = posix_spawn_file_actions_adddup2(files, pipes->err[1], 2);
	if (code == 0)
		code = posix_spawn_file_actions_addclosefrom_np(files, 3);
	if (code == 0 && folder)
		code = posix_spawn_file_actions_addchdir_np(files, folder);
	return code;
}

/* A group of its own, no signal blocked, none ignored (SIGPIPE is, here). */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int code = posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (code == 0)
		code = posix_spawnattr_setpgroup(attributes, 0);
	if (code == 0)
		code = posix_spawnattr_setsigmask(attributes, &none);
	return code ? code : posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(pid_t *pid, const struct process_spec *spec, const struct pipes *pipes)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	if (posix_spawn_file_actions_init(&files) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	int code = add_files(&files, pipes, spec->folder);
	if (code == 0)
		code = set_attributes(&attributes);
	if (code == 0)
		code = posix_spawn(pid, spec->argv[0], &files, &attributes,
			(char *const *)(uintptr_t)spec->argv,
			(char *const *)(uintptr_t)spec->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return code;
}

static enum ledger_status cannot_start(const char *path, int code, struct ledger_error *err)
{
	errno = code;
	fail_errno(err, "cannot run %.200s", path);
	if (code != ENOENT && code != ENOTDIR && code != EACCES && code != ENOEXEC)
		return err->status;
	err->status = LEDGER_USAGE;
	return hint(err, code == ENOEXEC ? "a script begins with #! and its interpreter"
					 : "name a program that is there and may be run");
}

static void reset(struct process *p)
{
	buf_reset(&p->input);
	buf_reset(&p->output);
	buf_reset(&p->complaint);
	p->written = p->taken = p->out_max = p->ahead = 0;
	p->status = 0;
	p->closing = p->is_deaf = p->is_silent = p->is_cut = false;
}

static int take(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

enum ledger_status process_start(
	struct process *p, const struct process_spec *spec, struct ledger_error *err)
{
	CLEANUP_PIPES struct pipes pipes = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	reset(p);
	TRY(open_pipes(&pipes, err));
	int code = spawn(&p->pid, spec, &pipes);
	if (code != 0) {
		p->pid = 0;
		return cannot_start(spec->argv[0], code, err);
	}
	p->in = take(&pipes.in[1]);
	p->out = take(&pipes.out[0]);
	p->err = take(&pipes.err[0]);
	p->watch = pidfd_open(p->pid, 0);
	if (p->watch < 0) {
		fail_errno(err, "cannot watch %.200s", spec->argv[0]);
		process_stop(p, 0);
		return err->status;
	}
	return LEDGER_OK;
}

/* --- Talking --------------------------------------------------------------------------------- */

void process_send(struct process *p, struct slice bytes)
{
	if (p->written == p->input.len) {
		buf_reset(&p->input);
		p->written = 0;
	}
	buf_add_slice(&p->input, bytes);
}

void process_finish(struct process *p)
{
	p->closing = true;
	if (p->written == p->input.len)
		file_close(&p->in);
}

static void write_some(struct process *p)
{
	while (p->in >= 0 && p->written < p->input.len) {
		ssize_t n = write(p->in, p->input.ptr + p->written, p->input.len - p->written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) { /* it does not listen any more */
			p->is_deaf = true;
			file_close(&p->in);
			return;
		}
		p->written += (size_t)n;
	}
	if (p->closing)
		file_close(&p->in);
}

/* Reads once into the end of a buffer. False at the end of the pipe. */
static bool read_into(int fd, struct buf *b, size_t room, size_t *got)
{
	*got = 0;
	char *at = buf_extend(b, room);
	if (!at)
		return false;
	ssize_t n;
	do
		n = read(fd, at, room);
	while (n < 0 && errno == EINTR);
	b->len -= room - (n > 0 ? (size_t)n : 0);
	*got = n > 0 ? (size_t)n : 0;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void drop_front(struct buf *b, size_t n)
{
	memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
}

/* Is there no room for more until lines are taken? */
static bool is_full(const struct process *p)
{
	return p->out_max == 0 && p->output.len - p->taken > (p->ahead ? p->ahead : READ_SIZE);
}

/* At most so many times: who floods must not keep us from the clock. */
static void read_output(struct process *p, int rounds)
{
	size_t got = 1;
	for (; p->out >= 0 && got > 0 && !is_full(p) && rounds > 0; rounds--) {
		if (p->taken) {
			drop_front(&p->output, p->taken);
			p->taken = 0;
		}
		if (!read_into(p->out, &p->output, READ_SIZE, &got)) {
			file_close(&p->out);
			p->is_silent = true;
		}
		if (p->out_max && p->output.len > p->out_max) {
			p->output.len = p->out_max;
			p->is_cut = true;
		}
	}
}

static void read_complaint(struct process *p)
{
	size_t got = 1;
	for (int i = 0; p->err >= 0 && got > 0 && i < 2; i++) {
		if (!read_into(p->err, &p->complaint, READ_SIZE, &got))
			file_close(&p->err);
		if (p->complaint.len > PROCESS_COMPLAINT_MAX)
			drop_front(&p->complaint, p->complaint.len - PROCESS_COMPLAINT_MAX);
	}
}

static struct timespec until(uint64_t deadline)
{
	uint64_t now = time_monotonic(), left = deadline > now ? deadline - now : 0;
	if (left > 3600 * TIME_SECOND)
		left = 3600 * TIME_SECOND;
	return (struct timespec){ (time_t)(left / TIME_SECOND), (long)(left % TIME_SECOND) * 1000 };
}

enum ledger_status process_step(struct process *p, uint64_t deadline, struct ledger_error *err)
{
	TRY(buf_check(&p->input, err));
	write_some(p);
	struct pollfd fds[4] = {
		/* Without anything to write it still tells when nobody reads any more. */
		{ p->in, p->written < p->input.len ? POLLOUT : 0, 0 },
		{ is_full(p) ? -1 : p->out, POLLIN, 0 },
		{ p->err, POLLIN, 0 },
		{ p->pid ? p->watch : -1, POLLIN, 0 },
	};
	struct timespec wait = until(deadline);
	if (ppoll(fds, 4, &wait, NULL) < 0 && errno != EINTR)
		return fail_errno(err, "cannot wait for a program");
	write_some(p);
	if (fds[0].revents & POLLERR) {
		p->is_deaf = true;
		file_close(&p->in);
	}
	/* Asked before the last reading: what it said before it ended is all in the pipe. */
	bool ended = fds[3].revents && process_has_ended(p);
	if (fds[1].revents || ended)
		read_output(p, ended ? ROUNDS_AT_END : ROUNDS);
	if (fds[2].revents || ended)
		read_complaint(p);
	if (ended && !is_full(p)) { /* who holds the pipe still is not of its group */
		file_close(&p->out);
		p->is_silent = true;
	}
	TRY(buf_check(&p->output, err));
	return buf_check(&p->complaint, err);
}

bool process_line(struct process *p, struct slice *line)
{
	struct slice rest = { p->output.ptr + p->taken, p->output.len - p->taken }, tail;
	if (rest.len == 0 || !slice_cut(rest, '\n', line, &tail))
		return false;
	p->taken += line->len + 1;
	return true;
}

bool process_has_garbage(const struct process *p)
{
	size_t left = p->output.len - p->taken;
	return left > PROCESS_LINE_MAX || (p->is_silent && left > 0);
}

/* --- Ending ---------------------------------------------------------------------------------- */

bool process_has_ended(struct process *p)
{
	siginfo_t info = { 0 };
	if (p->pid == 0)
		return true;
	if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		info.si_pid == 0)
		return false;
	/* While it is not reaped its number is its own, and so is that of its group. */
	kill(-p->pid, SIGKILL);
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	file_close(&p->watch);
	return true;
}

static void wait_for_end(struct process *p, uint64_t deadline)
{
	struct ledger_error ignored;
	/* Its output is read on, or it might wait for us. */
	while (!process_has_ended(p) && time_monotonic() < deadline) {
		p->taken = p->output.len;
		if (process_step(p, deadline, &ignored) != LEDGER_OK)
			return;
	}
}

void process_stop(struct process *p, uint64_t grace)
{
	if (p->pid && !process_has_ended(p)) {
		if (grace) {
			kill(-p->pid, SIGTERM);
			wait_for_end(p, time_monotonic() + grace);
		}
		if (p->pid)
			kill(-p->pid, SIGKILL);
		while (p->pid && !process_has_ended(p))
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	file_close(&p->watch);
	file_close(&p->in);
	file_close(&p->out);
	file_close(&p->err);
	p->is_silent = true;
}

void process_done(struct process *p)
{
	process_stop(p, 0);
	buf_done(&p->input);
	buf_done(&p->output);
	buf_done(&p->complaint);
}

void process_add_end(struct buf *out, int status)
{
	if (WIFSIGNALED(status))
		buf_addf(out, "killed by signal %d (%s)", WTERMSIG(status),
			sigdescr_np(WTERMSIG(status)) ? sigdescr_np(WTERMSIG(status)) : "unknown");
	else
		buf_addf(out, "exit code %d", WEXITSTATUS(status));
}

enum ledger_status process_run(struct process *p, const struct process_spec *spec,
	struct slice input, size_t out_max, uint64_t timeout, bool *timed_out,
	struct ledger_error *err)
{
	uint64_t deadline = time_monotonic() + timeout;
	TRY(process_start(p, spec, err));
	p->out_max = out_max;
	process_send(p, input);
	process_finish(p);
	while (p->pid && time_monotonic() < deadline) {
		enum ledger_status status = process_step(p, deadline, err);
		if (status != LEDGER_OK) {
			process_stop(p, 0);
			return status;
		}
	}
	*timed_out = p->pid != 0;
	process_stop(p, GRACE);
	return LEDGER_OK;
}
