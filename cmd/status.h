/* What `status` knows about a ledger, gathered once, and the forms in which it says it. */
#ifndef CMD_STATUS_H
#define CMD_STATUS_H

#include "../lib/own.h"
#include "../lib/peers.h"
#include "../lib/send.h"
#include "opt.h"

struct owner_facts {
	struct ledger_owner_counts counts;
	char contested[300]; /* the first of them, with their owners */
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
	struct owner_facts owners;
};

enum ledger_status facts_gather(struct ledger *l, struct facts *facts, struct ledger_error *err);

/* status-owners.c */
enum ledger_status owner_facts_gather(
	struct ledger *l, struct owner_facts *facts, struct ledger_error *err);
/* Lines of the text, where there is anything to say. */
void owner_facts_add_text(struct buf *out, const struct owner_facts *facts);

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
