/* Reducers and upcasters, compiled when they are first needed. */
#ifndef FOLD_RULES_H
#define FOLD_RULES_H

#include "../fold.h"
#include "sqlite.h"

struct reducer {
	const struct ledger_reducer *rules; /* NULL: merge, because no other was given */
	enum ledger_reducer_kind kind;
	uint8_t hash[EVENT_HASH_SIZE]; /* of its text, and of the upcasters' */
	bool has_hash;
	struct sqlite_stmt **compiled; /* one per rule of it; NULL: not yet */
};

struct ledger_fold {
	struct ledger *ledger; /* NULL: rules are only checked */
	const struct ledger_rules *rules;
	struct sqlite *sealed;	      /* NULL: not yet needed */
	struct sqlite_stmt **upcasts; /* one per upcast; NULL: not yet */
	struct reducer *reducers;     /* one per reducer, and the default behind them */
	struct buf payloads[2];	      /* of upcast events, in turns */
	struct buf value;	      /* of an expression */
	struct buf state, next;	      /* while folding */
	struct buf stream, domain;    /* of the last answer */
	ledger_refused_fn *refused;   /* NULL: nobody asks */
	void *refused_context;
};

/* Adds the texts of those upcasters whose type is wanted (NULL: all), in an order of their own; false without memory. */
bool rules_add_upcasts(struct buf *out, struct arena *arena, const struct ledger_rules *rules,
	bool (*wanted)(struct slice type, const void *context), const void *context);

/* The reducer of a stream's type: its own, that of "*", or merge. */
enum ledger_status reducer_find(
	struct ledger_fold *f, struct slice stream, struct reducer **out, struct ledger_error *err);

/* "merge", "last", "count", "sql" */
const char *reducer_name(const struct reducer *r);

/* The state before any event; absent: none. */
struct slice reducer_initial(const struct reducer *r);

/* What an event (upcast already) makes of a state, in `out` (emptied first): JSON on one line. */
enum ledger_status reducer_apply(struct ledger_fold *f, struct reducer *r,
	const struct event *event, struct slice state, struct buf *out, struct ledger_error *err);

#endif
