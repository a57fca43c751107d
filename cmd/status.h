/* What `status` knows about a ledger, gathered once, and the forms in which it says it. */
#ifndef CMD_STATUS_H
#define CMD_STATUS_H

#include "../lib/own.h"
#include "../lib/peers.h"
#include "../lib/send.h"
#include "opt.h"

enum daemon_state { DAEMON_UNKNOWN, DAEMON_STOPPED, DAEMON_RUNNING };
const char *daemon_name(enum daemon_state daemon);

struct sync_facts {
	bool expected; /* the config names a cluster */
	enum daemon_state daemon;
	char unknown[256]; /* why that, or what it left, is not known; "" */
	/* From the ledger. */
	uint64_t unpublished;	     /* events of this node that no cluster has acknowledged */
	uint64_t missing;	     /* events that peers have named and that are not here … */
	uint64_t gaps;		     /* … in so many chains */
	uint64_t peers, peers_heard; /* ever, within a minute */
	uint64_t peer_age;	     /* of the one that is silent for the longest, µs */
	/* From what serve-sync has left; absent: nothing. */
	struct buf bytes;
	struct slice left;
	uint64_t written, pid;
	bool stale; /* long ago */
	bool once;  /* by serve-sync --once */
	uint64_t clusters_down, streams_unusable, too_large;
	char too_many[160]; /* ceilings that were reached; "" */
};

struct consumers_facts {
	uint64_t n;
	uint64_t behind;  /* of the one that is farthest */
	uint64_t stopped; /* or refused */
	uint64_t parked;
};

struct owner_facts {
	struct ledger_owner_counts counts;
	char contested[300]; /* the first of them, with their owners */
	char moving[500];    /* the one that waits for the longest … */
	char next[600];	     /* … and what to do about it */
};

/* Commands that were not executed, since the ledger was made. */
struct command_facts {
	uint64_t failed, last; /* how many, and when the last one, µs */
	char what[200];	       /* "2 refused, 1 timed-out" */
};

struct facts {
	const char *file;
	uint64_t now; /* the wall clock, µs */
	struct ledger_overview o;
	bool verified; /* there was a complete verify: `last` tells of it */
	struct ledger_last_verify last;
	uint64_t newest; /* the highest clock of any event: when the newest was recorded; 0: none */
	uint64_t lag;	 /* events behind the cursor that is farthest behind */
	bool has_cursor;
	struct ledger_trouble trouble;
	struct sync_facts sync;
	struct consumers_facts consumers;
	struct owner_facts owners;
	struct command_facts commands;
};

#define CLEANUP_FACTS __attribute__((cleanup(facts_done)))
enum ledger_status facts_gather(struct ledger *l, struct facts *facts, struct ledger_error *err);
void facts_done(struct facts *facts);

/* status-owners.c */
enum ledger_status owner_facts_gather(
	struct ledger *l, struct owner_facts *facts, struct ledger_error *err);
enum ledger_status command_facts_gather(
	struct ledger *l, struct command_facts *facts, struct ledger_error *err);

/* µs from `then` to now; 0 where `then` lies ahead. */
uint64_t facts_age(const struct facts *facts, uint64_t then);

/* Events behind a cursor. */
uint64_t facts_lag(const struct facts *facts, const struct ledger_cursor *cursor);

/* "42 s", "3 h", "2 days": whole numbers for people. */
void add_age(struct buf *out, uint64_t us);

/* status.c's text, status-json.c, status-prometheus.c: the whole of it to stdout. */
enum ledger_status status_print_json(
	struct ledger *l, const struct facts *facts, struct ledger_error *err);
enum ledger_status status_print_prometheus(
	struct ledger *l, const struct facts *facts, struct ledger_error *err);

/*
 * status-consumers.c: the handlers and projections of the config. `state` is one of
 *
 *	new      it never ran
 *	idle     it has had everything
 *	behind   there is something for it to do
 *	stopped  it stands before an event that failed
 *	refused  it will not run before somebody has looked: see reason
 */
struct consumer_state {
	const char *name;
	const char *kind; /* handler, projection */
	const char *state;
	uint64_t position;
	uint64_t behind; /* events */
	uint64_t parked;
	char reason[512]; /* "" */
};
/* Looks at the projections' databases, before command_confine; forgotten at the end. */
enum ledger_status status_see_projections(struct ledger *l, struct ledger_error *err);
void status_forget_projections(void);

typedef enum ledger_status consumer_state_fn(
	const struct consumer_state *consumer, void *context, struct ledger_error *err);
enum ledger_status status_each_consumer(struct ledger *l, const struct facts *facts,
	consumer_state_fn *fn, void *context, struct ledger_error *err);

/* --- status-sync.c ---------------------------------------------------------------------------- */

enum ledger_status status_gather_sync(
	struct ledger *l, struct facts *facts, struct ledger_error *err);

/* Does what serve-sync has left tell how things are now? */
bool sync_is_current(const struct facts *facts);

struct cluster_state {
	char name[65], server[128];
	bool up;
	uint64_t since; /* µs; 0: never tried */
	uint64_t failures, losses;
	char syncs[16]; /* on write: unknown */
	char trouble[256];
};
typedef enum ledger_status cluster_state_fn(
	const struct cluster_state *cluster, void *context, struct ledger_error *err);
enum ledger_status status_each_cluster(
	const struct facts *facts, cluster_state_fn *fn, void *context, struct ledger_error *err);

/* A domain on a cluster. `state`: ready, starting, unusable, unreachable. */
struct stream_state {
	char cluster[65], domain[65], stream[65], state[16], created[40];
	uint64_t messages, last, stored, taken, pending, redelivered;
	char trouble[256];
};
typedef enum ledger_status stream_state_fn(
	const struct stream_state *stream, void *context, struct ledger_error *err);
enum ledger_status status_each_stream(
	const struct facts *facts, stream_state_fn *fn, void *context, struct ledger_error *err);

/* An event that a cluster's servers do not take. */
struct large_event {
	char cluster[65], domain[65];
	uint64_t epoch, sequence, bytes;
};
typedef enum ledger_status large_event_fn(
	const struct large_event *event, void *context, struct ledger_error *err);
enum ledger_status status_each_large(
	const struct facts *facts, large_event_fn *fn, void *context, struct ledger_error *err);

/* --- status-findings.c ------------------------------------------------------------------------ */

/* What is wrong: a stable word, a sentence, and what to type or do next. */
struct finding {
	const char *what, *text, *next;
};
typedef enum ledger_status finding_fn(
	const struct finding *finding, void *context, struct ledger_error *err);
enum ledger_status status_each_finding(struct ledger *l, const struct facts *facts, finding_fn *fn,
	void *context, struct ledger_error *err);

/* --- status-tables.c -------------------------------------------------------------------------- */

/* The text of all that concerns others; nothing where there are none. */
enum ledger_status status_print_others(
	struct ledger *l, const struct facts *facts, struct ledger_error *err);
void status_print_header(const char *line);
/* "ahead", "proven", "forked", "differs". */
const char *presence_name(enum ledger_presence presence);
/* Events that this ledger has of a chain behind a sequence. */
enum ledger_status status_behind(struct ledger *l, const struct ledger_chain_name *chain,
	uint64_t sequence, uint64_t *behind, struct ledger_error *err);
/* A cell, padded; names are escaped, whatever stdout is. */
void add_cell(struct buf *out, struct slice text, size_t width);
void add_moment(struct buf *out, uint64_t us);

/*
 * status-check.c: one line in the way of monitoring plugins. Limits are NAME=V of --warn and --crit;
 * they are read first, so that a mistake in one is said whatever the ledger is like.
 */
enum check_result { CHECK_OK = 0, CHECK_WARNING = 1, CHECK_CRITICAL = 2, CHECK_UNKNOWN = 3 };

enum ledger_status check_limits(
	const struct opt_list *warn, const struct opt_list *crit, struct ledger_error *err);
enum check_result check_print(const struct facts *facts);

/* The line where the ledger could not be looked at. */
void check_print_unknown(const struct ledger_error *err);

#endif
