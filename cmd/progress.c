/* What goes to stderr: notes, warnings, the one error of a run, and the bar while long work runs. */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "../lib/base/banned.h"

#define BAR_WIDTH    20
#define BAR_INTERVAL (TIME_SECOND / 10)

static bool bar_is_shown;

/* Of the work that the bar is about. */
static struct {
	uint64_t begun, drawn; /* time_monotonic; 0: not yet */
	uint64_t first;	       /* what was done when it began */
} work;

/* Errors of stderr have nowhere to be told. */
static void say(const struct buf *text)
{
	struct slice s = buf_slice(text);
	while (s.len) {
		ssize_t n = write(STDERR_FILENO, s.ptr, s.len);
		if (n < 0 && errno != EINTR)
			return;
		s = slice_from(s, n < 0 ? 0 : (size_t)n);
	}
}

/* A line as all of ours on stderr: "ledgerbox append: …". */
static void add_line(struct buf *out, const char *text)
{
	buf_addf(out, "ledgerbox%s%s: ", output.command ? " " : "",
		output.command ? output.command : "");
	escape_slice(out, slice_of(text), false);
	buf_add_char(out, '\n');
}

__attribute__((format(printf, 1, 0))) static void say_line(const char *format, va_list args)
{
	char text[1024];
	CLEANUP_BUF struct buf line = { 0 };
	vsnprintf(text, sizeof(text), format, args);
	add_line(&line, text);
	progress_clear();
	say(&line);
}

void note(const char *format, ...)
{
	if (output.quiet)
		return;
	va_list args;
	va_start(args, format);
	say_line(format, args);
	va_end(args);
}

void warn(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line(format, args);
	va_end(args);
}

/* --- The error ------------------------------------------------------------------------------- */

static void add_text_error(struct buf *out, const struct ledger_error *err)
{
	add_line(out, err->text);
	if (err->hint[0]) {
		buf_add_text(out, "hint: ");
		escape_slice(out, slice_of(err->hint), false);
		buf_add_char(out, '\n');
	}
}

/* Escaped before it is quoted: what a JSON reader prints is then safe to look at too. */
static void add_json_member(struct buf *out, const char *key, const char *text)
{
	CLEANUP_BUF struct buf safe = { 0 };
	escape_slice(&safe, slice_of(text), false);
	buf_addf(out, ",\"%s\":", key);
	json_add_string(out, buf_slice(&safe));
}

static void add_json_error(struct buf *out, const struct ledger_error *err)
{
	buf_addf(out, "{\"code\":%d,\"status\":\"%s\"", (int)err->status,
		ledger_status_name(err->status));
	add_json_member(out, "message", err->text);
	if (err->hint[0])
		add_json_member(out, "hint", err->hint);
	buf_addf(out, ",\"retryable\":%s", ledger_worth_retrying(err->status) ? "true" : "false");
	if (err->id[0])
		add_json_member(out, "id", err->id);
	buf_add_text(out, "}\n");
}

/* Without memory for more words. Not through stdio, which may want some too. */
static void say_bare_error(const struct ledger_error *err)
{
	char text[256];
	const char *meaning = ledger_status_meaning(err->status);
	int n = output.format == FORMAT_JSON
			? snprintf(text, sizeof(text),
				  "{\"code\":%d,\"status\":\"%s\",\"message\":\"%s\",\"retryable\":"
				  "%s}\n",
				  (int)err->status, ledger_status_name(err->status), meaning,
				  ledger_worth_retrying(err->status) ? "true" : "false")
			: snprintf(text, sizeof(text), "ledgerbox %s: %s\n",
				  output.command ? output.command : "", meaning);
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return; /* nobody is left to be told */
}

void show_error(const struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (!err->text[0])
		return;
	if (output.format == FORMAT_JSON)
		add_json_error(&text, err);
	else
		add_text_error(&text, err);
	progress_clear();
	if (text.failed)
		say_bare_error(err);
	else
		say(&text);
}

/* --- The bar --------------------------------------------------------------------------------- */

/* So many seconds as a clock shows them. */
static void add_duration(struct buf *out, uint64_t seconds)
{
	if (seconds >= 3600)
		buf_addf(out, "%" PRIu64 ":%02d:%02d", seconds / 3600, (int)(seconds / 60 % 60),
			(int)(seconds % 60));
	else
		buf_addf(out, "%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
}

/* By what was done since it began: so much in a second, and how long it will take. */
static void add_rate(struct buf *out, uint64_t done, uint64_t total, uint64_t us)
{
	uint64_t n = done > work.first ? done - work.first : 0;
	double rate = us ? (double)n * (double)TIME_SECOND / (double)us : 0;
	if (rate <= 0)
		return;
	buf_addf(out, ", %.0f/s, ", rate);
	double left = (double)(total - done) / rate;
	add_duration(out, left < 360000 ? (uint64_t)(left + 0.5) : 360000);
	buf_add_text(out, " left");
}

static void draw(const char *what, uint64_t done, uint64_t total, uint64_t us)
{
	CLEANUP_BUF struct buf line = { 0 };
	done = done < total ? done : total;
	double part = total ? (double)done / (double)total : 0;
	int filled = (int)(part * BAR_WIDTH);
	buf_addf(&line, "\r%.24s %3d%% [", what, (int)(part * 100));
	for (int i = 0; i < BAR_WIDTH; i++)
		buf_add_char(&line, i < filled ? '#' : '-');
	buf_addf(&line, "] %" PRIu64 " of %" PRIu64, done, total);
	add_rate(&line, done, total, us);
	buf_add_text(&line, "\x1b[K");
	say(&line);
	bar_is_shown = true;
}

/* What is over before the first interval is never drawn. */
void progress_draw(const char *what, uint64_t done, uint64_t total)
{
	if (!output.progress)
		return;
	uint64_t now = time_monotonic();
	if (work.begun == 0) {
		work.begun = work.drawn = now;
		work.first = done;
	}
	if (now - work.drawn < BAR_INTERVAL)
		return;
	work.drawn = now;
	draw(what, done, total, now - work.begun);
}

void progress_begin(void)
{
	work.begun = 0;
}

void progress_clear(void)
{
	CLEANUP_BUF struct buf line = { 0 };
	if (!bar_is_shown)
		return;
	buf_add_text(&line, "\r\x1b[K");
	say(&line);
	bar_is_shown = false;
}
