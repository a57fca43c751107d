/*
 * Where a reader goes on: a cursor kept in the ledger (--cursor) or in a file of its own
 * (--cursor-file), which is one line, the position and the hash of the event there:
 *
 *	1234 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *
 * The hash tells whether this is still the same history. The file is replaced atomically.
 */
#ifndef CMD_RESUME_H
#define CMD_RESUME_H

#include "../lib/ledger.h"

struct resume {
	const char *name;      /* --cursor; NULL: not given */
	const char *file;      /* --cursor-file; NULL: not given */
	uint64_t position;     /* as stored; 0: the beginning */
	struct ledger *ledger; /* to read from */
	struct ledger *writer; /* a handle of its own: only --cursor writes */
};

#define CLEANUP_RESUME __attribute__((cleanup(resume_close)))

/* Reads the position; without a cursor or file of that name it is 0. Does nothing where neither was
 * given. LEDGER_REFUSED for a cursor of another history; LEDGER_USAGE for a bad name; LEDGER_INVALID
 * for a file that is not one of ours. */
enum ledger_status resume_open(struct resume *r, struct ledger *l, struct ledger_error *err);

/* Is a cursor or a file in use? */
bool resume_is_used(const struct resume *r);

/* Stores a position that is not the stored one. Call it after everything up to there was written. */
enum ledger_status resume_save(struct resume *r, uint64_t position, struct ledger_error *err);
void resume_close(struct resume *r);

#endif
