/* What the files of a handler share: handler.c moves the cursor, each.c and lines.c talk to the program. */
#ifndef FOLD_HANDLER_H
#define FOLD_HANDLER_H

#include "../replay.h"
#include "page.h"
#include "process.h"

#define HANDLER_STREAMS	   4096
#define HANDLER_CURSOR_MAX 80 /* "handler:NAME" */

struct ledger_handler_run {
	struct ledger_replay_options options;
	const struct ledger_handler *handlers;
	size_t n, which;
	const struct ledger_handler *handler; /* handlers[which] */
	int lock;
	char cursor[HANDLER_CURSOR_MAX];
	uint64_t position; /* everything up to it is done */
	uint64_t saved;	   /* where the cursor stands */
	uint64_t saved_at; /* time_monotonic */
	uint64_t count;	   /* events handled */
	uint64_t left;	   /* to be handled still, of options.limit */
	bool has_parked;   /* something is parked for it: each event has to be asked about */
	bool is_failing;   /* table failing has a row of it */
	struct page page;
	struct ledger_fold *fold; /* NULL: there are no upcasters */
	struct process process;	  /* of mode lines it goes on running */
	bool is_running;
	uint64_t said;	      /* bytes handed to options.said */
	struct buf last_said; /* the last line it wrote to stderr */
	struct buf text;
	/* lines.c: how many of a stream (by hash) are under way; never two, so that an event of a stream
	 * is not handled before one that failed. */
	uint8_t under_way[HANDLER_STREAMS];
};

/* Is it time to end? */
bool handler_is_stopping(const struct ledger_handler_run *run);

/* Where an event of the page does not go to the program: it is parked, or has to wait behind one that is. It is
 * done then. */
enum ledger_status handler_pass_over(struct ledger_handler_run *run, struct page_event *e,
	bool *passed, struct ledger_error *err);

/* Hands what came from stderr (or stdout) on, by lines; the buffer is empty then, but for the beginning of a line
 * unless `all`. */
void handler_say(struct ledger_handler_run *run, struct buf *said, bool all);

/* Marks an event as failed; the text is copied, what was last on stderr is added where `with_said`. */
enum ledger_status handler_failed(struct ledger_handler_run *run, struct page_event *e,
	struct slice reason, bool with_said, struct ledger_error *err);

/* One try of one event: it is done or failed then. */
enum ledger_status each_try(
	struct ledger_handler_run *run, struct page_event *e, struct ledger_error *err);

/*
 * Sends events of the page from `first` on and takes the answers, until all are answered or one has
 * failed: before the first failure all are done, behind it some may be. With `alone` only the first.
 * It is left waiting only when it is time to end.
 */
enum ledger_status lines_try(
	struct ledger_handler_run *run, size_t first, bool alone, struct ledger_error *err);

/* Ends the program of mode lines well. */
enum ledger_status lines_finish(struct ledger_handler_run *run, struct ledger_error *err);

#endif
