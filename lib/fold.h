/*
 * ledgerbox, the library, second part: what a stream's events come to. Reducers and upcasters are
 * texts from a config; states are computed, and stored as snapshots.
 *
 * The rules of ledger.h hold here too: a status and *err, outputs only on success, one thread.
 */
#ifndef LEDGER_FOLD_H
#define LEDGER_FOLD_H

#include "ledger.h"

/* --- Rules ----------------------------------------------------------------------------------- */

enum ledger_reducer_kind {
	LEDGER_REDUCER_MERGE, /* each payload merged into the state (RFC 7396): the default */
	LEDGER_REDUCER_LAST,  /* the payload of the last event */
	LEDGER_REDUCER_COUNT, /* how many events */
	LEDGER_REDUCER_SQL    /* an expression per event type */
};

/* What an event of this type makes of the state; "*": of any other type. */
struct ledger_reducer_rule {
	struct slice type;
	struct slice expression;
};

struct ledger_reducer {
	struct slice stream_type; /* "*": any other */
	enum ledger_reducer_kind kind;
	struct slice initial; /* JSON, LEDGER_REDUCER_SQL only; absent: {} */
	const struct ledger_reducer_rule *rules;
	size_t n_rules;
};

/* Payload of `schema` to that of `schema` + 1, by an expression. */
struct ledger_upcast {
	struct slice type;
	uint64_t schema;
	struct slice expression;
};

struct ledger_rules {
	const struct ledger_reducer *reducers;
	size_t n_reducers;
	const struct ledger_upcast *upcasts;
	size_t n_upcasts;
};

/* A ledger and rules, to be asked for states. Expressions are compiled when they are needed. */
struct ledger_fold;

/* What `rules` points to, and the ledger, must outlive it. */
enum ledger_status ledger_fold_open(struct ledger_fold **out, struct ledger *l,
	const struct ledger_rules *rules, struct ledger_error *err);
void ledger_fold_close(struct ledger_fold *f); /* NULL is nothing */

/* Compiles all of them: LEDGER_USAGE names the one that cannot be. A ledger is not needed. */
enum ledger_status ledger_rules_check(const struct ledger_rules *rules, struct ledger_error *err);

/*
 * An event as its newest schema has it: *out is *in with another payload and schema where there are
 * upcasters for it; never what is stored. The payload is valid until the next call. LEDGER_INVALID
 * for an expression that fails.
 */
enum ledger_status ledger_fold_upcast(
	struct ledger_fold *f, const struct event *in, struct event *out, struct ledger_error *err);

/* The schema that an event has then; nothing is evaluated. */
uint64_t ledger_upcast_schema(const struct ledger_rules *rules, const struct event *event);

/* --- States ---------------------------------------------------------------------------------- */

/* Which events count; what is 0 asks nothing, all 0 is now. */
struct ledger_moment {
	bool has_time;
	uint64_t time; /* what happened then or earlier, µs */
	bool has_clock;
	uint64_t clock; /* what was recorded, anywhere, then or earlier, µs */
	uint64_t version;
	uint64_t position;
};

struct ledger_state {
	struct slice stream;
	struct slice domain;
	struct slice state; /* JSON, on one line */
	uint64_t events;    /* that are in it */
	uint64_t version;   /* the highest */
	uint64_t position;  /* of the newest event here */
	uint64_t max_time;  /* the latest time of any of them */
	uint64_t last;	    /* position of the event that is last in the order of all nodes, … */
	uint8_t hash[EVENT_HASH_SIZE]; /* … its hash … */
	uint64_t clock, time;	       /* … clock and time */
	const char *reducer;	       /* "merge", "last", "count", "sql" */
	uint8_t reducer_hash[EVENT_HASH_SIZE];
	uint64_t folded;   /* events that were read for this answer */
	uint64_t snapshot; /* position of the snapshot it began with; 0: none */
};

/* Is told of each snapshot that would have served but is not used, and why. */
typedef void ledger_refused_fn(
	struct slice stream, uint64_t position, const char *why, void *context);
void ledger_fold_on_refused(struct ledger_fold *f, ledger_refused_fn *fn, void *context);

/*
 * The state of a stream. `domain` absent: the one that has it; LEDGER_USAGE where several have.
 * Folded in the order of all nodes (clock, origin, epoch, domain, sequence), from the nearest snapshot
 * that is good. LEDGER_NO without an event; LEDGER_DAMAGED where the hash of one is not that of its
 * content; LEDGER_INVALID where an expression fails. Slices are valid until the next call.
 */
enum ledger_status ledger_state(struct ledger_fold *f, struct slice stream, struct slice domain,
	const struct ledger_moment *moment, struct ledger_state *out, struct ledger_error *err);

/* --- Snapshots ------------------------------------------------------------------------------- */

/* Is a snapshot good? Worse ones are higher. */
enum ledger_snapshot_verdict {
	LEDGER_SNAPSHOT_GOOD,
	LEDGER_SNAPSHOT_STALE,	    /* true once, but rules, epoch or order have changed since */
	LEDGER_SNAPSHOT_UNVERIFIED, /* its key or schema is not known here */
	LEDGER_SNAPSHOT_DAMAGED	    /* it was changed, or is not what the events come to */
};

struct ledger_snapshot {
	struct slice stream;
	struct slice domain;
	struct slice state;
	uint64_t position;	       /* of the newest event in it */
	uint64_t last;		       /* of the one that is last in the order of all nodes, … */
	uint8_t hash[EVENT_HASH_SIZE]; /* … and its hash */
	uint64_t events;
	uint64_t version;
	uint64_t schema; /* of the snapshot itself */
	uint64_t epoch;	 /* of the ledger when it was taken */
	uint64_t taken;	 /* µs */
	uint8_t reducer_hash[EVENT_HASH_SIZE];
	uint8_t digest[EVENT_HASH_SIZE];
	struct slice key;
	enum ledger_snapshot_verdict verdict;
	const char *why; /* "" where it is good */
};

/*
 * Computes the state now and stores it, if at least `every` events (0 and 1: any) are not in the
 * newest good snapshot. *taken tells; *out is the state. LEDGER_REFUSED without a key to sign with.
 */
enum ledger_status ledger_snapshot_take(struct ledger_fold *f, struct slice stream,
	struct slice domain, uint64_t every, struct ledger_state *out, bool *taken,
	struct ledger_error *err);

/* Stores a state that ledger_state gave for now, as it is. */
enum ledger_status ledger_snapshot_keep(
	struct ledger_fold *f, const struct ledger_state *state, struct ledger_error *err);

/* Every snapshot of a stream, of a type ("type/"), or of all (""): by stream, domain and newest first.
 * With `recompute` its events are folded again and compared. Slices are valid for that call. */
typedef enum ledger_status ledger_snapshot_fn(
	const struct ledger_snapshot *s, void *context, struct ledger_error *err);
enum ledger_status ledger_snapshots(struct ledger_fold *f, struct slice which, struct slice domain,
	bool recompute, ledger_snapshot_fn *fn, void *context, struct ledger_error *err);

/* Deletes those of `which` that are neither among the newest `keep` of their stream nor taken at
 * `before` (µs; 0: no bound) or later. *n: how many; with `dry_run` none is. */
enum ledger_status ledger_snapshot_prune(struct ledger *l, struct slice which, struct slice domain,
	uint64_t keep, uint64_t before, bool dry_run, uint64_t *n, struct ledger_error *err);

#endif
