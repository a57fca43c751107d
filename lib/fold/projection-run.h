/* What the files of a projection's run share: projection-open.c opens and checks, projection.c applies. */
#ifndef FOLD_PROJECTION_RUN_H
#define FOLD_PROJECTION_RUN_H

#include "../fold.h"
#include "projection.h"

struct ledger_projection_run {
	struct ledger_replay_options options;
	const struct ledger_projection *projection;
	int lock;
	struct sqlite *live;		 /* the database */
	struct sqlite *db;		 /* where events go: live, or the one that is rebuilt */
	struct buf rebuild;		 /* the path of that one; empty: none */
	struct sqlite_stmt **statements; /* of apply, one for each */
	struct ledger_fold *fold;	 /* NULL: there are no upcasters */
	struct projection_place place;
	struct slice *types; /* to be read; none: all */
	size_t n_types;
	uint64_t count, left;
	/* of the batch at hand */
	struct shared_key key; /* of the last event */
	uint64_t in_batch, begun;
	uint64_t last;	 /* position of the last event applied */
	uint64_t failed; /* position whose statement failed; 0: none */
	bool is_cut;	 /* the batch ended before its range did */
	bool is_stopped; /* it was time to end, the batch is undone */
};

/* Adds the command that builds it anew as the hint. */
enum ledger_status projection_suggest_rebuild(
	const struct ledger_projection *p, struct ledger_error *err);

/* They are to be closed before the database is. */
void projection_close_statements(struct ledger_projection_run *run);

/* Removes the second file, which is closed, and what a rebuild that was cut off left behind. */
void projection_remove_rebuild(struct ledger_projection_run *run);

#endif
