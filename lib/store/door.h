/*
 * What store.c, stmt.c and transaction.c share: the door to SQLite. No other file includes this one, and none but
 * this one sqlite3.h.
 */
#ifndef STORE_DOOR_H
#define STORE_DOOR_H

#include <sqlite3.h>

#include "store.h"

/* What each(…) does with a row. */
struct each {
	store_row_fn *fn;
	void *context;
	struct ledger_error *err;
	enum ledger_status status;
};

struct store {
	sqlite3 *db;
	struct each each;
	char *path;
	uint64_t timeout;
	uint64_t waiting_since;
	int wal_pages;	    /* since it was folded */
	int wal_most_pages; /* that the next process to open would have to read */
	bool writes;
	bool immutable;
	int64_t seen_size, seen_time; /* of an immutable file when it was opened */
	bool broken; /* a write or sync failed: what is on disk is not known any more */
	struct stmt *statements[SQL_COUNT_];
};

static inline sqlite3_stmt *door_stmt(struct stmt *st)
{
	return (sqlite3_stmt *)(void *)st;
}

/* Their code as our status, with the file's path and SQLite's words. */
enum ledger_status door_fail(struct store *s, int code, struct ledger_error *err);

enum ledger_status door_status(int code, int os_error);

/* What SQLite asks when a lock is held: sleeps a little; 0 when the time is over. `context`: the store. */
int door_wait(void *context, int tries);

/* Runs SQL without rows; asks for one integer. */
enum ledger_status door_run(struct store *s, const char *sql, struct ledger_error *err);
enum ledger_status door_ask(
	struct store *s, const char *sql, int64_t *out, struct ledger_error *err);

/* Makes the function each(…) known to a connection. */
void door_add_each(struct store *s);

#endif
