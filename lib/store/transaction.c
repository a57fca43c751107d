/* Transactions, folding the -wal, and copying a whole database while others write. */
#include "store.h"

#include <stdio.h>
#include <string.h>

#include "../base/time.h"
#include "door.h"

#include "../base/banned.h"

/* A writer folds the -wal into the file when it has this many pages (32 MiB): each fold syncs twice,
 * and at SQLite's 1000 pages they halve the rate of a bulk append. */
#define CHECKPOINT_PAGES 8000

/* --- Transactions ---------------------------------------------------------------------------- */

bool store_in_transaction(const struct store *s)
{
	return !sqlite3_get_autocommit(s->db);
}

enum ledger_status store_begin_read(struct store *s, struct ledger_error *err)
{
	int64_t dummy;
	TRY(door_run(s, "BEGIN", err));
	/* The snapshot is taken by the first read, not by BEGIN. */
	enum ledger_status status =
		door_ask(s, "SELECT count(*) FROM (SELECT 1 FROM seal LIMIT 1)", &dummy, err);
	if (status)
		store_rollback(s);
	return status;
}

enum ledger_status store_begin_write(struct store *s, struct ledger_error *err)
{
	/*
	 * After a failed sync the kernel may have dropped what it could not write: nothing may build on it.
	 * SQLite forgets its error with the rollback, and a command ends with its first failure: this is for
	 * who keeps a ledger open (tests/unit/failed_sync_test.c).
	 */
	if (s->broken)
		return fail(err, LEDGER_IO,
			"%s: an earlier write failed, nothing more is written by this process",
			s->path);
	return door_run(s, "BEGIN IMMEDIATE", err);
}

/*
 * Written but not synced, the commit may stand in the -wal all the same: the next process to open it
 * takes what has a valid checksum. Nor is it known what a later sync would still write (fsync(2)), so
 * nothing more is recorded by this process. Only two codes say that nothing was written.
 */
static enum ledger_status commit_failed(struct store *s, int code, struct ledger_error *err)
{
	door_fail(s, code, err);
	store_rollback(s);
	if ((code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_FULL)
		return err->status;
	s->broken = true;
	err->status = LEDGER_UNKNOWN;
	fail_in(err, "the commit failed and may be recorded or not: ");
	return hint(err, "look with tail; append again only with the same id");
}

enum ledger_status store_commit(struct store *s, struct ledger_error *err)
{
	int code = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return commit_failed(s, code, err);
	if (s->writes && s->wal_pages >= CHECKPOINT_PAGES) {
		/* A reader in the way only puts it off. What was committed is well, whatever it says. */
		code = sqlite3_wal_checkpoint_v2(
			s->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		s->broken = s->broken || (code & 0xFF) == SQLITE_IOERR;
		s->wal_pages = 0;
	}
	return LEDGER_OK;
}

enum ledger_status store_fold(struct store *s, struct ledger_error *err)
{
	int code = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return code == SQLITE_OK ? LEDGER_OK : door_fail(s, code, err);
}

void store_rollback(struct store *s)
{
	for (int i = 0; i < SQL_COUNT_; i++)
		if (s->statements[i])
			sqlite3_reset(door_stmt(s->statements[i]));
	if (store_in_transaction(s))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

enum ledger_status read_txn_begin(struct read_txn *txn, struct store *s, struct ledger_error *err)
{
	txn->store = NULL;
	if (store_in_transaction(s))
		return LEDGER_OK;
	TRY(store_begin_read(s, err));
	txn->store = s;
	return LEDGER_OK;
}

void read_txn_end(struct read_txn *txn)
{
	if (txn->store)
		sqlite3_exec(txn->store->db, "COMMIT", NULL, NULL, NULL);
	txn->store = NULL;
}

/* --- Copy ------------------------------------------------------------------------------------ */

static enum ledger_status copy_steps(struct store *s, sqlite3 *to,
	void (*progress)(uint64_t, uint64_t, void *), void *context, struct ledger_error *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", s->db, "main");
	if (!backup)
		return fail(err, door_status(sqlite3_errcode(to), sqlite3_system_errno(to)),
			"cannot begin the copy: %s", sqlite3_errmsg(to));
	uint64_t end = time_monotonic() + s->timeout;
	int code;
	s->waiting_since = time_monotonic();
	do {
		code = sqlite3_backup_step(backup, 1000);
		uint64_t total = (uint64_t)sqlite3_backup_pagecount(backup);
		if (progress)
			progress(
				total - (uint64_t)sqlite3_backup_remaining(backup), total, context);
		if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
			door_wait(s, 5);
		else
			end = time_monotonic() + s->timeout;
	} while (code == SQLITE_OK ||
		 ((code == SQLITE_BUSY || code == SQLITE_LOCKED) && time_monotonic() < end));
	int done = sqlite3_backup_finish(backup), os_error = sqlite3_system_errno(to);
	if (code == SQLITE_DONE && done == SQLITE_OK)
		return LEDGER_OK;
	code = code == SQLITE_DONE ? done : code;
	enum ledger_status status = door_status(code, os_error);
	return fail(err, status ? status : LEDGER_IO, "cannot copy %s: %s%s%s", s->path,
		sqlite3_errstr(code), os_error ? ": " : "", os_error ? strerror(os_error) : "");
}

enum ledger_status store_copy(struct store *s, const char *path,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	sqlite3 *to = NULL;
	TRY(read_txn_begin(&txn, s, err));
	int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	enum ledger_status status;
	if (code != SQLITE_OK)
		status = fail(err, door_status(code, to ? sqlite3_system_errno(to) : 0),
			"cannot open %s: %s", path, sqlite3_errstr(code));
	else
		/* Inside one read transaction the copy is one moment, however many write meanwhile. */
		status = copy_steps(s, to, progress, context, err);
	sqlite3_close(to);
	return status;
}
