/*
 * What goes to stdout and stderr. stdout is data: buffered, flushed per line or per commit, its
 * errors noticed. stderr is talk. To a terminal, control characters from outside are escaped in
 * every format.
 */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include "../lib/ledger.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TSV, FORMAT_PAYLOAD, FORMAT_PROMETHEUS };

struct output {
	enum format format;
	bool quiet;	     /* -q */
	bool terminal;	     /* stdout is one */
	bool colour;	     /* stdout is a terminal, NO_COLOR is not set, TERM is not dumb */
	bool progress;	     /* stderr is a terminal and not quiet */
	unsigned columns;    /* of the terminal; 80 where unknown */
	const char *command; /* its name, for messages; NULL: the program itself */
};

/* Set by main before a command runs. */
extern struct output output;

/* Where -o says that stdout's bytes go; NULL or "-": to stdout. Bound by the row of a command that has
 * that option; main begins and commits the file. */
extern const char *output_path;

/* From here on out goes to stderr: for help that nobody asked for. */
void out_to_stderr(void);

/* Adds bytes to stdout's buffer. With `output.terminal` what came from outside goes through out_safe. */
void out_slice(struct slice s);
void out_text(const char *text);
void outf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text from outside: on a terminal C0 (but \n where `lines`), DEL, C1, bidirectional controls, line
 * separators and invalid UTF-8 are shown as \xNN (bytes); elsewhere exact bytes. */
void out_safe(struct slice s);
void out_safe_lines(struct slice s);

/* Always escaped, whatever stdout is (for messages): adds to `out`. */
void escape_slice(struct buf *out, struct slice s, bool keep_newlines);

/* An SGR sequence where colour is on: out_style("1") … out_style("0"). */
void out_style(const char *sgr);

/* Writes out what is buffered. LEDGER_OK; LEDGER_NO when the reader has gone (EPIPE): the command ends
 * quietly; LEDGER_IO or LEDGER_NO_SPACE for the rest. Once failed it stays so. */
enum ledger_status out_flush(struct ledger_error *err);

/* Has a write failed, so that going on is of no use? Cheap: ask once per line, then leave with what
 * out_flush returns. */
bool out_failed(void);

/* Has the reader of stdout gone, although nothing was written to it? */
bool out_reader_has_gone(void);

/* From here on out goes to a file beside `path`; out_file_commit syncs it and renames it into place,
 * so that a reader sees the old or the new one, whole. Without commit nothing is left behind. What is
 * not a regular file (/dev/null, a pipe) is written as it stands. */
enum ledger_status out_file_begin(const char *path, struct ledger_error *err);
enum ledger_status out_file_commit(struct ledger_error *err);
void out_file_abort(void);

/* The file that out_file_commit will replace, links followed; NULL: there is none. */
const char *out_file_path(void);

/* Talk: "ledgerbox append: …\n" on stderr, escaped; silent with -q (warn is not). */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A bar on stderr while long work runs, on a terminal only; drawn at most ten times a second. Rate and time
 * that is left are those since progress_begin, or since the first bar. */
void progress_begin(void);
void progress_draw(const char *what, uint64_t done, uint64_t total);
void progress_clear(void);

/* The one error of a run, on stderr: text and hint, or with --format json one object. (cmocka has a
 * print_error of its own.) */
void show_error(const struct ledger_error *err);

#endif
