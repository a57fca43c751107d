/* What the files of `replay` share. */
#ifndef CMD_REPLAY_H
#define CMD_REPLAY_H

#include "opt.h"

#include "../lib/replay.h"

/* As typed, and what came of it. */
struct replay_args {
	bool to_stdout;
	bool again;
	bool dry_run;
	bool follow;
	bool rebuild;
	const char *order; /* NULL: not given */
	struct opt_u64 limit;
	struct ledger_filter filter;
	bool is_filtered; /* for looking and repairing: no cursor is read or moved */
};
extern struct replay_args replay_args;

/* replay-stdout.c: event lines. */
enum ledger_status replay_to_stdout(struct ledger *l, struct ledger_error *err);

/* replay-dry.c: what would run. */
enum ledger_status replay_show(struct ledger *l, int argc, char **argv, struct ledger_error *err);

/* replay-run.c: runs the consumers named, or all. */
enum ledger_status replay_run(struct ledger *l, int argc, char **argv, struct ledger_error *err);

/* replay-parked.c: `parked list`, `parked retry`, `parked discard`. */
enum ledger_status replay_parked(struct ledger *l, int argc, char **argv, struct ledger_error *err);

/* replay-snapshots.c: has a stream type of the config snapshot_every? And the snapshots that are due up to a
 * position; *writer is opened where it is NULL. What goes wrong is said, it is nobody's failure. */
bool replay_has_policy(void);
void replay_keep_snapshots(struct ledger **writer, uint64_t end);

/* Was --order shared given? */
bool replay_is_shared(void);

/* Is a consumer of that name asked for? Without names all are. */
bool replay_is_named(const char *name, int argc, char **argv);

/* LEDGER_USAGE for a name that no consumer of the config has, or where there is none at all. */
enum ledger_status replay_check_names(int argc, char **argv, struct ledger_error *err);

/* Of settings.handlers and settings.projections, by name; n_handlers and n_projections where there is none. */
size_t replay_find_handler(struct slice name);
size_t replay_find_projection(struct slice name);

/* Options for running a handler: the rest is the caller's. */
void replay_fill_options(
	struct ledger_replay_options *options, struct ledger *reader, struct ledger *writer);

#endif
