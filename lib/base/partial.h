/*
 * A file that is filled under a temporary name and then put in place, so that its own name never
 * stands for half a file. The temporary name is .NAME.partial-XXXXXX, in the folder of NAME.
 *
 * A killed process leaves it behind. It is told from one that is being filled by a lock on its first
 * byte (an open file description lock, see fcntl(2); SQLite locks other bytes), which ends with the
 * process.
 */
#ifndef BASE_PARTIAL_H
#define BASE_PARTIAL_H

#include <stdbool.h>

#include "error.h"

struct partial {
	char *path;   /* the temporary name; NULL: there is none */
	char *target; /* where it is to go */
	int fd;	      /* open for reading and writing while there is a path */
	int slot;     /* in the list for partial_remove_all; -1: none was free */
};

/* Removes what was not committed, at the end of the scope. All zero is nothing. */
#define CLEANUP_PARTIAL __attribute__((cleanup(partial_drop)))
void partial_drop(struct partial *p);

/* Makes an empty file of mode 0600 beside `target`. Relative paths: the working folder has to stay.
 * Where it cannot be made, errno says why. */
enum ledger_status partial_begin(struct partial *p, const char *target, struct ledger_error *err);

/* Syncs the file, gives it its name and syncs the folder. LEDGER_REFUSED where there is a file of that
 * name already, unless `replace`. Who had it open by its temporary name has closed it; what SQLite kept
 * beside that name goes, so a database is to be whole without it. Failed without `replace`, nothing is there. */
enum ledger_status partial_commit(struct partial *p, bool replace, struct ledger_error *err);

/* Has a process of this user that was killed left an unfinished file for `target`? */
bool partial_is_left(const char *target);

/* Removes such files, and what SQLite keeps beside them. One that is being filled stays. */
void partial_sweep(const char *target);

/* Removes the unfinished files of this process (the first few, if there are many). For the handler of a
 * deadly signal: async-signal-safe. */
void partial_remove_all(void);

#endif
