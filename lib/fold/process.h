/*
 * A program of the operator's, run sealed: no shell, the environment it is given and nothing else, no
 * descriptor of ours but three pipes, a process group of its own. What it starts and leaves behind in
 * its group ends with it. Whoever uses this ignores SIGPIPE.
 *
 * Either all at once, process_run, or as a conversation:
 *
 *	CLEANUP_PROCESS struct process p = PROCESS_NONE;
 *	TRY(process_start(&p, &spec, err));
 *	process_send(&p, line);
 *	while (!process_line(&p, &answer) && !p.is_silent)
 *		TRY(process_step(&p, deadline, err));
 */
#ifndef FOLD_PROCESS_H
#define FOLD_PROCESS_H

#include <sys/types.h>

#include "../ledger.h"

struct process_spec {
	const char *const *argv;	/* argv[0] is a path; NULL at the end */
	const char *const *environment; /* "NAME=value", all of it; NULL at the end */
	const char *folder;		/* where it runs; NULL: here */
};

#define PROCESS_LINE_MAX      4096	 /* a longer line of an answer is none */
#define PROCESS_COMPLAINT_MAX (8u << 10) /* of stderr the end is kept */

struct process {
	pid_t pid; /* 0: none is running */
	int watch; /* readable once it has ended */
	int in, out, err;
	int status;	   /* as wait(2) tells it, once it has ended */
	bool closing;	   /* its stdin is closed when all is written */
	bool is_deaf;	   /* it closed its stdin */
	bool is_silent;	   /* nothing will come from its stdout any more */
	bool is_cut;	   /* it said more than out_max */
	struct buf input;  /* to be written … */
	size_t written;	   /* … from here */
	struct buf output; /* what it said … */
	size_t taken;	   /* … and was taken by process_line */
	size_t out_max;	   /* bytes of output to keep, the rest is read and dropped; 0: stop reading
			       * at `ahead` until lines are taken */
	size_t ahead;	   /* bytes; 0: 64 KiB. The longest line has to fit */
	struct buf complaint; /* the end of what came from its stderr */
};

#define PROCESS_NONE                                                                               \
	{                                                                                          \
		.watch = -1, .in = -1, .out = -1, .err = -1                                        \
	}
#define CLEANUP_PROCESS __attribute__((cleanup(process_done)))

/* LEDGER_USAGE where the program is not there or cannot be run; buffers begin empty. */
enum ledger_status process_start(
	struct process *p, const struct process_spec *spec, struct ledger_error *err);

/* Queues bytes for its stdin. Failures stick in p->input: process_step tells. */
void process_send(struct process *p, struct slice bytes);

/* Closes its stdin once everything queued is written. */
void process_finish(struct process *p);

/* Waits until it reads, says something or ends, at most until `deadline` (time_monotonic), and does
 * what can then be done. */
enum ledger_status process_step(struct process *p, uint64_t deadline, struct ledger_error *err);

/* The next whole line it said, without its newline; valid until the next step. */
bool process_line(struct process *p, struct slice *line);

/* The beginning of a line longer than PROCESS_LINE_MAX, or behind the last newline of one that has ended. */
bool process_has_garbage(const struct process *p);

/* Has it ended by itself? Then p->status is set. */
bool process_has_ended(struct process *p);

/* Ends it and its group: TERM, after `grace` µs KILL. Does nothing where none runs. */
void process_stop(struct process *p, uint64_t grace);

/* Ends it at once and frees everything. */
void process_done(struct process *p);

/* Adds how it ended: "exit code 3", "killed by signal 9 (Killed)". */
void process_add_end(struct buf *out, int status);

/* Runs a program to its end: `input` on its stdin, at most `out_max` bytes of its stdout kept in
 * p->output. *timed_out: it was ended after `timeout` µs; else p->status tells how it ended. */
enum ledger_status process_run(struct process *p, const struct process_spec *spec,
	struct slice input, size_t out_max, uint64_t timeout, bool *timed_out,
	struct ledger_error *err);

#endif
