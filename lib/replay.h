/*
 * Replay, the second public header: events go to consumers, each of which has a name and remembers
 * how far it has come.
 *
 * A handler is a program. Its cursor (`handler:NAME`) stands in the ledger and moves after the
 * program's answer: at least once, with the id of the event to tell a repetition by. What it cannot
 * take is tried again, then parked where the handler says so: that event and the later ones of its
 * stream wait in the table `parked`, the rest goes on.
 *
 * Whoever uses this ignores SIGPIPE.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "ledger.h"

struct ledger_rules; /* fold.h */

/* --- Handlers -------------------------------------------------------------------------------- */

enum ledger_handler_mode {
	LEDGER_HANDLER_EACH, /* a process per event: payload on stdin, facts in the environment */
	LEDGER_HANDLER_LINES /* a process for all: event lines in, "ok ID" or "error ID reason" out */
};

enum ledger_handler_start { LEDGER_START_BEGINNING, LEDGER_START_NOW, LEDGER_START_POSITION };

struct ledger_handler {
	const char *name;	 /* a token */
	struct slice domain;	 /* of the events it takes … */
	struct slice type;	 /* absent: any */
	uint64_t schema;	 /* 0: any; only with a type */
	const char *const *exec; /* program and arguments, NULL at the end */
	enum ledger_handler_mode mode;
	enum ledger_handler_start start;  /* where it begins when it has no cursor yet … */
	uint64_t start_position;	  /* … and never before this one */
	uint64_t timeout;		  /* µs for an answer */
	uint64_t retries;		  /* tries after the first, in one run */
	uint64_t park_after;		  /* failures, over all runs; 0: it stops instead */
	const struct ledger_rules *rules; /* their upcasters go before all else; NULL: none */
};

/* Of all handlers that fit an event those with most said about it take it: domain, type and schema before
 * domain and type before domain. Does handlers[which]? The schema is that behind the upcasters. */
bool ledger_handler_takes(
	const struct ledger_handler *handlers, size_t n, size_t which, const struct event *event);

struct ledger_replay_options {
	struct ledger *ledger; /* to read from */
	struct ledger *writer; /* another handle, for cursors and what is parked */
	const struct ledger_filter
		*only;	/* these events, no cursor read or moved; NULL: what is new */
	uint64_t limit; /* at most so many events; 0: all */
	const char *const *environment; /* "NAME=value" of every program; NULL at the end */
	const char *folder;		/* where programs run; NULL: here */
	bool (*is_stopping)(void);	/* asked between events; true: end soon. NULL: never */
	int wake;			/* readable when that changes; -1: none */
	/* What a program wrote to stderr, and in mode each to stdout, by lines. May be NULL. */
	void (*said)(const char *handler, struct slice line, void *context);
	/* An event was parked: after `failures`, 0 where it waits behind another. May be NULL. */
	void (*parked)(const char *handler, const struct event *event, uint64_t failures,
		const char *reason, void *context);
	/* How far a step that takes long has come, about, as a position. May be NULL. */
	void (*progress)(uint64_t position, void *context);
	void *context;
};

struct ledger_handler_run;

/*
 * Makes ready to run handlers[which] (the others tell what is theirs); what is pointed to outlives
 * it. LEDGER_BUSY where another process runs it, LEDGER_REFUSED for a cursor of another history and for a
 * copied or restored ledger. No program is started yet.
 */
enum ledger_status ledger_handler_open(struct ledger_handler_run **out,
	const struct ledger_replay_options *options, const struct ledger_handler *handlers,
	size_t n, size_t which, struct ledger_error *err);

/* Handles a bounded number of events up to position `end`. *done: nothing is left up to there, or it is
 * stopping. LEDGER_UNREACHABLE (LEDGER_TIMED_OUT where there was no answer): it stopped before an event. */
enum ledger_status ledger_handler_step(
	struct ledger_handler_run *run, uint64_t end, bool *done, struct ledger_error *err);

/* Behind which position a handler would go on if it ran now. LEDGER_REFUSED for a cursor of another
 * history. */
enum ledger_status ledger_handler_next(struct ledger *l, const struct ledger_handler *handler,
	uint64_t *position, struct ledger_error *err);

/* Behind which position it goes on. */
uint64_t ledger_handler_position(const struct ledger_handler_run *run);

/* Events handled by this run. */
uint64_t ledger_handler_count(const struct ledger_handler_run *run);

/* Tries a parked event again. LEDGER_NO: there is none at that position; LEDGER_CONFLICT: it waits behind another
 * one; LEDGER_UNREACHABLE or LEDGER_TIMED_OUT: it failed again. */
enum ledger_status ledger_handler_retry(
	struct ledger_handler_run *run, uint64_t position, struct ledger_error *err);

/* Ends its program: it gets the end of its input, and its timeout to end by itself. LEDGER_UNREACHABLE where it
 * did not end well. */
enum ledger_status ledger_handler_finish(struct ledger_handler_run *run, struct ledger_error *err);
void ledger_handler_close(struct ledger_handler_run *run);

/* --- Projections ----------------------------------------------------------------------------- */

struct ledger_apply {
	struct slice type; /* of the events; "*": any other */
	struct slice sql;  /* with the parameters of ledgerbox-config(5) */
};

/* A database of SQLite that is made of events by SQL, and holds how far it has come. */
struct ledger_projection {
	const char *name;	     /* a token */
	const char *database;	     /* its file; nothing else is kept in it */
	struct slice schema;	     /* run once, on an empty database */
	const struct slice *domains; /* none: all */
	size_t n_domains;
	const struct ledger_apply *apply;
	size_t n_apply;
	const struct ledger_rules *rules; /* whose upcasters events go through before; NULL: none */
};

enum ledger_order {
	LEDGER_ORDER_ARRIVAL, /* of position */
	LEDGER_ORDER_SHARED   /* of all nodes: clock, origin, epoch, domain, sequence */
};

struct ledger_projection_run;

/*
 * Makes ready to bring a projection up to date; what is pointed to outlives it. Of `options` only ledger,
 * limit, is_stopping and progress count. LEDGER_BUSY where another process does; LEDGER_REFUSED where its definition has
 * changed since it was built, where it stands in another history, is stale, or where the file holds something
 * else: the hint names the command.
 */
enum ledger_status ledger_projection_open(struct ledger_projection_run **out,
	const struct ledger_replay_options *options, const struct ledger_projection *projection,
	struct ledger_error *err);

/*
 * The same from scratch, in a second file (DATABASE-rebuild): step until *done copies it over the
 * database in one transaction, so that those who have it open see all of the old, then all of the new.
 */
enum ledger_status ledger_projection_rebuild(struct ledger_projection_run **out,
	const struct ledger_replay_options *options, const struct ledger_projection *projection,
	enum ledger_order order, struct ledger_error *err);

/*
 * Applies a bounded number of events up to position `end`, in one transaction with its place. *done as for
 * handlers. LEDGER_INVALID: a statement failed; what came before that event is kept, nothing of it.
 * LEDGER_REFUSED: an event sorts before what a projection in shared order was made of; it is stale from then on.
 */
enum ledger_status ledger_projection_step(
	struct ledger_projection_run *run, uint64_t end, bool *done, struct ledger_error *err);
uint64_t ledger_projection_position(const struct ledger_projection_run *run);
uint64_t ledger_projection_count(const struct ledger_projection_run *run);
void ledger_projection_close(struct ledger_projection_run *run);

/* Does an event go into the projection, by which text? NULL: it does not. */
const struct ledger_apply *ledger_projection_takes(
	const struct ledger_projection *projection, const struct event *event);

/* How far it is. LEDGER_NO: it was never built; LEDGER_REFUSED as for opening it, `out` is filled then too. */
struct ledger_projection_state {
	uint64_t position;
	uint64_t updated; /* µs */
	enum ledger_order order;
	uint64_t stopped; /* the position before which a statement failed; 0: none did */
	char reason[512]; /* why it stopped or is stale, "" */
};
enum ledger_status ledger_projection_look(struct ledger *l,
	const struct ledger_projection *projection, struct ledger_projection_state *out,
	struct ledger_error *err);

/* --- Shared order ---------------------------------------------------------------------------- */

struct ledger_shared;

/* Begins to read the events at positions from..to in shared order; memory grows with the chains only. */
enum ledger_status ledger_shared_open(struct ledger_shared **out, struct ledger *l, uint64_t from,
	uint64_t to, struct ledger_error *err);

/* Hands those that match (by filter, but for positions, limit and reverse) to `fn`. What `fn` ends the reading with
 * is returned; a call after that goes on behind that event. */
enum ledger_status ledger_shared_read(struct ledger_shared *shared,
	const struct ledger_filter *filter, ledger_event_fn *fn, void *context,
	struct ledger_error *err);
void ledger_shared_close(struct ledger_shared *shared);

/* --- What is parked -------------------------------------------------------------------------- */

struct ledger_parked {
	struct slice handler;
	uint64_t position;
	uint8_t hash[EVENT_HASH_SIZE];
	struct slice domain;
	struct slice stream; /* absent: none */
	uint64_t failures;   /* 0: it waits behind an earlier one of its stream */
	struct slice reason;
	uint64_t since; /* µs */
};

/* Parked events of a handler (absent: of all), by handler and position. */
typedef enum ledger_status ledger_parked_fn(
	const struct ledger_parked *parked, void *context, struct ledger_error *err);
enum ledger_status ledger_parked(struct ledger *l, struct slice handler, ledger_parked_fn *fn,
	void *context, struct ledger_error *err);

/* Gives one up. LEDGER_NO where there is none. */
enum ledger_status ledger_parked_discard(
	struct ledger *l, struct slice handler, uint64_t position, struct ledger_error *err);

/* The event before which a handler stopped. LEDGER_NO where it did not. */
struct ledger_failing {
	uint64_t position;
	uint64_t failures;
	char reason[512]; /* its beginning */
	uint64_t updated; /* µs */
};
enum ledger_status ledger_handler_failing(struct ledger *l, struct slice handler,
	struct ledger_failing *out, struct ledger_error *err);

#endif
