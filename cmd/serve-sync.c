/* serve-sync - let this ledger and others converge. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "execute.h"
#include "notify.h"
#include "output.h"
#include "settings.h"
#include "sync-options.h"
#include "sync-state.h"

#include "../lib/base/banned.h"

extern char **environ;

static struct {
	bool once, check, create_streams;
	struct opt_u64 peers;
	uint64_t within;
} args;

static const struct opt opts[] = {
	{ 0, "once", "publish, receive and repair until all is level, then end", NULL,
		.flag = &args.once },
	{ 0, "peers", "with --once: level with so many other nodes too", "<n>",
		.maybe_u64 = &args.peers },
	{ 0, "within", "with --once: give up after this time (30s)", "<duration>",
		.duration = &args.within },
	{ 0, "create-streams", "make JetStream streams that are missing", NULL,
		.flag = &args.create_streams },
	{ 0, "check", "read the config, say whether it would do, and end", NULL,
		.flag = &args.check },
	{ 0 },
};

/* --- Facts ----------------------------------------------------------------------------------------- */

static bool needs_quotes(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] == '"' || text.ptr[i] == '=' ||
			text.ptr[i] == '\\' || (unsigned char)text.ptr[i] >= 0x7f)
			return true;
	return text.len == 0;
}

static void add_value(struct buf *line, const struct sync_field *field, bool quotes)
{
	if (!field->text.ptr)
		buf_add_u64(line, field->number);
	else if (quotes || needs_quotes(field->text))
		json_add_string(line, field->text);
	else
		buf_add_slice(line, field->text);
}

/* One write for a line, so that lines of several processes do not mix. */
static void say(bool warning, const char *what, const struct sync_field *fields, void *context)
{
	CLEANUP_BUF struct buf line = { 0 };
	bool json = output.format == FORMAT_JSON;
	char now[TIME_TEXT_MAX];
	(void)context;
	if (output.quiet && !warning)
		return;
	time_format(time_now(), now);
	buf_addf(&line,
		json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\""
		     : "time=%s level=%s event=%s",
		now, warning ? "warning" : "info", what);
	for (; fields->key; fields++) {
		buf_addf(&line, json ? ",\"%s\":" : " %s=", fields->key);
		add_value(&line, fields, json);
	}
	buf_add_text(&line, json ? "}\n" : "\n");
	progress_clear();
	ssize_t ignored = write(STDERR_FILENO, line.ptr, line.len);
	(void)ignored;
}

static void say_word(bool warning, const char *what, const char *key, const char *text)
{
	say(warning, what, (struct sync_field[]){ { key, slice_of(text), 0 }, { 0 } }, NULL);
}

/* What the program of a command writes to stderr. */
static void said(const char *command, struct slice line, void *context)
{
	say(true, "handler",
		(struct sync_field[]){
			{ "command", slice_of(command), 0 }, { "said", line, 0 }, { 0 } },
		context);
}

/* --- Signals --------------------------------------------------------------------------------------- */

static enum ledger_status open_signals(int *fd, struct ledger_error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
		*fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *fd >= 0 ? LEDGER_OK : fail_errno(err, "cannot wait for signals");
}

/* The words that this program was started with, and `last` (NULL: none) behind them. */
static char **command_line(struct arena *arena, char *last)
{
	static char bytes[128 << 10];
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t n = file ? fread(bytes, 1, sizeof(bytes) - 1, file) : 0, words = 0;
	if (file)
		fclose(file);
	char **argv = arena_array(arena, n + 3, sizeof(*argv));
	for (size_t at = 0; argv && at < n; at += strlen(bytes + at) + 1)
		argv[words++] = bytes + at;
	if (argv && last)
		argv[words] = last;
	return words ? argv : NULL;
}

/* A new config is tried by another process: this one goes on with the old where it is wrong. */
static bool new_config_is_good(void)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	static char check[] = "--check";
	char **argv = command_line(&arena, check);
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;
	int status = -1;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	bool started =
		argv && posix_spawn(&pid, "/proc/self/exe", NULL, &attributes, argv, environ) == 0;
	posix_spawnattr_destroy(&attributes);
	while (started && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return started && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Starts anew in the same process: everything is read again. Returns where that fails. */
static void start_again(struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	char **argv = command_line(&arena, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (argv)
		execv("/proc/self/exe", argv);
	fail_errno(err, "cannot start again");
}

/* --- Running --------------------------------------------------------------------------------------- */

struct run {
	struct ledger *ledger;
	struct sync *sync;
	bool mute; /* that the state could not be left was said */
	int signals;
	bool stopping, again;
	uint64_t watchdog, next_watchdog, deadline;
};

static void look_at_signals(struct run *r)
{
	struct signalfd_siginfo info;
	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			r->stopping = true;
			continue;
		}
		if (new_config_is_good())
			r->again = r->stopping = true;
		else
			say_word(true, "config-refused", "text",
				"the old config stays in force; see above what is wrong");
	}
}

static void pat_watchdog(struct run *r)
{
	uint64_t now = time_monotonic();
	if (!r->watchdog || now < r->next_watchdog)
		return;
	notify("WATCHDOG=1");
	r->next_watchdog = now + r->watchdog;
}

/* Nothing depends on it: said once, and the work goes on. */
static void leave_state(struct run *r, bool now)
{
	struct ledger_error why;
	enum ledger_status status = sync_state_leave(r->ledger, r->sync, now, &why);
	if (status && status != LEDGER_NO && !r->mute)
		say_word(true, "state-not-left", "text", why.text);
	r->mute = r->mute || status;
}

static enum ledger_status serve(struct run *r, struct ledger_error *err)
{
	notify("READY=1");
	while (!r->stopping) {
		pat_watchdog(r);
		uint64_t wait = r->watchdog ? r->watchdog / 2 : 30 * TIME_SECOND;
		TRY(sync_turn(r->sync, wait, err));
		leave_state(r, false);
		look_at_signals(r);
	}
	notify(r->again ? "RELOADING=1" : "STOPPING=1");
	return LEDGER_OK;
}

/* What is level is part of the whole: the bar stands at the end when everything is. */
static void draw_progress(const struct run *r)
{
	struct sync_progress p;
	if (!output.progress)
		return;
	sync_progress(r->sync, &p);
	uint64_t done = p.received + p.published, left = p.to_receive + p.to_publish;
	/* Streams tell only how many messages there are: an event each, at least. */
	if (p.messages > p.to_receive)
		left = p.messages + p.to_publish;
	if (done + left)
		progress_draw("events", done, done + left);
}

static enum ledger_status run_once(struct run *r, struct ledger_error *err)
{
	CLEANUP_BUF struct buf why = { 0 };
	uint64_t end = time_monotonic() + (args.within ? args.within : 30 * TIME_SECOND);
	while (!sync_is_level(r->sync, args.peers.given ? args.peers.value : 0, &why)) {
		if (r->stopping || time_monotonic() >= end) {
			progress_clear();
			fail(err, LEDGER_UNREACHABLE, "not level yet: %s", buf_text(&why));
			return hint(err, "what was exchanged so far is kept");
		}
		buf_reset(&why);
		TRY(sync_turn(r->sync, TIME_SECOND / 5, err));
		leave_state(r, false);
		draw_progress(r);
		look_at_signals(r);
	}
	progress_clear();
	return LEDGER_OK;
}

static void close_sync(struct sync **sync)
{
	sync_close(*sync);
	*sync = NULL;
}

static enum ledger_status run_engine(
	struct run *r, struct ledger *l, struct sync_options *options, struct ledger_error *err)
{
	__attribute__((cleanup(close_sync))) struct sync *sync = NULL;
	TRY(sync_open(&sync, l, options, err));
	r->sync = sync;
	r->ledger = l;
	sync_state_begin(l, sync);
	leave_state(r, true);
	say_word(false, "started", "database", ledger_path(l));
	enum ledger_status status = args.once ? run_once(r, err) : serve(r, err);
	if (!status || status == LEDGER_UNREACHABLE) {
		struct ledger_error late;
		enum ledger_status drained = sync_drain(sync, &late);
		if (drained && !status)
			*err = late;
		status = status ? status : drained;
	}
	leave_state(r, true);
	say_word(status != LEDGER_OK, "ended", "status", ledger_status_name(status));
	return status;
}

static enum ledger_status check_args(struct ledger_error *err)
{
	if (!args.once && (args.peers.given || args.within))
		return fail(err, LEDGER_USAGE, "--peers and --within go with --once");
	return LEDGER_OK;
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	CLEANUP_FD int signals = -1;
	struct sync_options options = { .say = say };
	struct ledger_commands_options execution;
	(void)argc;
	(void)argv;
	TRY(check_args(err));
	TRY(sync_options_read(&options, &arena, err));
	options.create_streams = options.create_streams || args.create_streams;
	options.once = args.once;
	if (args.check)
		return LEDGER_OK;
	TRY(open_signals(&signals, err));
	options.wake_fd = signals;
	execute_options(&execution, l);
	execution.said = said;
	options.commands = &execution;
	struct run r = { .signals = signals, .watchdog = notify_interval() };
	TRY(run_engine(&r, l, &options, err));
	if (r.again)
		start_again(err);
	return r.again ? err->status : LEDGER_OK;
}

const struct command cmd_serve_sync = {
	.name = "serve-sync",
	.summary = "Let this ledger and others converge.",
	.opens = OPENS_WRITE,
	.opts = opts,
	.examples = "ledgerbox serve-sync\n"
		    "ledgerbox serve-sync --once --peers 2\n",
	.run = run,
};
