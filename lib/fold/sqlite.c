#include "sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/file.h"
#include "../store/format.h"
#include "door.h"

#include "../base/banned.h"

/* --- What went wrong ------------------------------------------------------------------------- */

static enum ledger_status status_of_code(struct sqlite *db, int code)
{
	int os_error = db->db ? sqlite3_system_errno(db->db) : 0;
	switch (code & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return LEDGER_BUSY;
	case SQLITE_NOMEM:
		return LEDGER_NO_MEMORY;
	case SQLITE_FULL:
		return LEDGER_NO_SPACE;
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return LEDGER_REFUSED;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return LEDGER_REFUSED;
	default:
		return os_error == ENOSPC || os_error == EDQUOT ? LEDGER_NO_SPACE : LEDGER_IO;
	}
}

enum ledger_status sqlite_fail(struct sqlite *db, int code, struct ledger_error *err)
{
	enum ledger_status status = status_of_code(db, code);
	int os_error = sqlite3_system_errno(db->db);
	if (status == LEDGER_BUSY) {
		fail(err, status, "%s is busy: another process is using it", db->path);
		return hint(err, "try again, or wait longer with --timeout");
	}
	if ((code & 0xFF) == SQLITE_NOTADB || (code & 0xFF) == SQLITE_CORRUPT) {
		fail(err, status, "%s: %s", db->path, sqlite3_errmsg(db->db));
		return hint(err, "move it away with its -wal and -shm; it is made anew of events");
	}
	if (status == LEDGER_IO && os_error)
		return fail(err, status, "%s: %s: %s", db->path, sqlite3_errmsg(db->db),
			strerror(os_error));
	return fail(err, status, "%s: %s", db->path, sqlite3_errmsg(db->db));
}

/* Is it the statement that is wrong, not the file or the machine? */
static bool is_theirs(struct sqlite *db, int code)
{
	switch (code & 0xFF) {
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
	case SQLITE_AUTH:
	case SQLITE_ABORT:
		return true;
	default:
		return db->refused[0] != '\0';
	}
}

/* The beginning of a text on one line. */
static void add_beginning(struct buf *out, struct slice text)
{
	size_t n = text.len < 120 ? text.len : 120;
	for (size_t i = 0; i < n; i++)
		buf_add_char(out, text.ptr[i] == '\n' || text.ptr[i] == '\t' ? ' ' : text.ptr[i]);
	if (n < text.len)
		buf_add_text(out, "…");
}

enum ledger_status sqlite_fail_at(struct sqlite *db, int code, enum ledger_status theirs,
	struct slice text, struct ledger_error *err)
{
	CLEANUP_BUF struct buf beginning = { 0 };
	if (is_theirs(db, code))
		fail(err, theirs, "%s", db->refused[0] ? db->refused : sqlite3_errmsg(db->db));
	else
		sqlite_fail(db, code, err);
	add_beginning(&beginning, slice_trim(text));
	size_t used = strlen(err->text);
	if (used + beginning.len + 8 < sizeof(err->text)) {
		memcpy(err->text + used, ", in: ", 6);
		memcpy(err->text + used + 6, buf_text(&beginning), beginning.len + 1);
	}
	return err->status;
}

/* --- Opening --------------------------------------------------------------------------------- */

void sqlite_close(struct sqlite *db)
{
	if (!db)
		return;
	sqlite_rollback(db);
	sqlite3_close(db->dates);
	sqlite3_close(db->db);
	free(db->path);
	free(db);
}

void sqlite_cleanup(struct sqlite **db)
{
	sqlite_close(*db);
	*db = NULL;
}

enum ledger_status sqlite_new(struct sqlite **out, const char *path, struct ledger_error *err)
{
	struct sqlite *db = calloc(1, sizeof(*db));
	if (!db || !(db->path = strdup(path))) {
		free(db);
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	*out = db;
	return LEDGER_OK;
}

static enum ledger_status check_path(const struct sqlite_options *o, struct ledger_error *err)
{
	struct stat target, ledger;
	if (stat(o->path, &target) != 0) {
		if (errno != ENOENT || !o->read_only)
			return errno == ENOENT ? LEDGER_OK
					       : fail_errno(err, "cannot open %s", o->path);
		return fail(err, LEDGER_NO, "there is no %s", o->path);
	}
	if (!S_ISREG(target.st_mode))
		return fail(err, LEDGER_REFUSED, "%s is not a regular file", o->path);
	if (o->ledger && stat(o->ledger, &ledger) == 0 && target.st_dev == ledger.st_dev &&
		target.st_ino == ledger.st_ino) {
		fail(err, LEDGER_REFUSED, "%s is the ledger itself", o->path);
		return hint(err, "a projection has a database file of its own");
	}
	return LEDGER_OK;
}

static enum ledger_status run(struct sqlite *db, const char *sql, struct ledger_error *err)
{
	int code = sqlite3_exec(db->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? LEDGER_OK : sqlite_fail(db, code, err);
}

/* The one value of a PRAGMA, as text in `out`. */
static enum ledger_status ask(
	struct sqlite *db, const char *sql, struct buf *out, struct ledger_error *err)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	buf_reset(out);
	if (code == SQLITE_ROW)
		buf_add_text(out, (const char *)sqlite3_column_text(st, 0));
	enum ledger_status status =
		code == SQLITE_ROW ? buf_check(out, err) : sqlite_fail(db, code, err);
	sqlite3_finalize(st);
	return status;
}

static enum ledger_status ask_u64(
	struct sqlite *db, const char *sql, uint64_t *out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	TRY(ask(db, sql, &text, err));
	return slice_u64(buf_slice(&text), out)
		       ? LEDGER_OK
		       : fail(err, LEDGER_IO, "%s: %s gives '%s'", db->path, sql, buf_text(&text));
}

/* A ledger under any name is no target: its schema would be changed. */
static enum ledger_status refuse_ledgers(struct sqlite *db, struct ledger_error *err)
{
	uint64_t application;
	TRY(ask_u64(db, "PRAGMA application_id", &application, err));
	if (application != FORMAT_APPLICATION_ID)
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "%s is a ledger", db->path);
	return hint(err, "a projection has a database file of its own");
}

static const char *scratch_settings(void)
{
	return "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF";
}

/* How safe a commit is. Effects and cursor are one commit, so losing the last ones as a whole, which
 * is all that NORMAL may do with a WAL, only means that they are made again. */
static enum ledger_status set_journal(
	struct sqlite *db, const struct sqlite_options *o, bool is_new, struct ledger_error *err)
{
	CLEANUP_BUF struct buf mode = { 0 };
	if (o->read_only)
		return LEDGER_OK;
	if (o->scratch)
		return run(db, scratch_settings(), err);
	if (is_new)
		TRY(run(db, "PRAGMA journal_mode = WAL", err));
	TRY(ask(db, "PRAGMA journal_mode", &mode, err));
	return run(db,
		slice_is(buf_slice(&mode), "wal") ? "PRAGMA synchronous = NORMAL"
						  : "PRAGMA synchronous = FULL",
		err);
}

static enum ledger_status set_up_file(
	struct sqlite *db, const struct sqlite_options *o, struct ledger_error *err)
{
	char pragma[64];
	uint64_t pages;
	TRY(ask_u64(db, "PRAGMA page_count", &pages, err));
	if (pages == 0 && o->page_size) {
		snprintf(pragma, sizeof(pragma), "PRAGMA page_size = %u", (unsigned)o->page_size);
		TRY(run(db, pragma, err));
	}
	TRY(refuse_ledgers(db, err));
	return set_journal(db, o, pages == 0, err);
}

static int wait_for_lock(void *context, int tries);

static enum ledger_status open_file(
	struct sqlite *db, const struct sqlite_options *o, struct ledger_error *err)
{
	CLEANUP_BUF struct buf uri = { 0 };
	int flags =
		SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
		(o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	/* As a URI, or a path such as ":memory:" would mean something else. */
	file_add_uri(&uri, o->path);
	TRY(buf_check(&uri, err));
	int code = sqlite3_open_v2(buf_text(&uri), &db->db, flags, NULL);
	if (!db->db)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (code != SQLITE_OK)
		return sqlite_fail(db, code, err);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(db->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_limit(db->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_busy_handler(db->db, wait_for_lock, db);
	TRY(set_up_file(db, o, err));
	sqlite3_set_authorizer(db->db, sqlite_authorize_theirs, db);
	return LEDGER_OK;
}

enum ledger_status sqlite_open_file(
	struct sqlite **out, const struct sqlite_options *options, struct ledger_error *err)
{
	struct sqlite *db = NULL;
	TRY(check_path(options, err));
	TRY(sqlite_new(&db, options->path, err));
	db->timeout = options->timeout;
	enum ledger_status status = open_file(db, options, err);
	if (status) {
		sqlite_close(db);
		return status;
	}
	*out = db;
	return LEDGER_OK;
}

const char *sqlite_path(const struct sqlite *db)
{
	return db->path;
}

enum ledger_status sqlite_page_size(struct sqlite *db, uint32_t *out, struct ledger_error *err)
{
	uint64_t size;
	TRY(ask_u64(db, "PRAGMA page_size", &size, err));
	*out = (uint32_t)size;
	return LEDGER_OK;
}

/* --- Transactions ---------------------------------------------------------------------------- */

static int wait_for_lock(void *context, int tries)
{
	struct sqlite *db = context;
	uint64_t now = time_monotonic();
	if (tries == 0)
		db->began = now;
	if (now - db->began >= db->timeout)
		return 0;
	struct timespec pause = { 0, tries < 10 ? 1000000 : 10000000 };
	nanosleep(&pause, NULL);
	return 1;
}

bool sqlite_in_transaction(const struct sqlite *db)
{
	return !sqlite3_get_autocommit(db->db);
}

enum ledger_status sqlite_begin(struct sqlite *db, struct ledger_error *err)
{
	return run(db, "BEGIN IMMEDIATE", err);
}

enum ledger_status sqlite_commit(struct sqlite *db, struct ledger_error *err)
{
	enum ledger_status status = run(db, "COMMIT", err);
	if (status)
		sqlite_rollback(db);
	return status;
}

void sqlite_rollback(struct sqlite *db)
{
	if (db->db && sqlite_in_transaction(db))
		sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- Copy ------------------------------------------------------------------------------------ */

/* Pages between two looks at the progress; `to` is locked from the first to the last. */
#define COPY_STEP 4096

static int copy_steps(sqlite3_backup *backup, struct sqlite *to,
	void (*progress)(uint64_t, uint64_t, void *), void *context)
{
	int code = SQLITE_OK;
	for (int tries = 0;;) {
		code = sqlite3_backup_step(backup, COPY_STEP);
		uint64_t total = (uint64_t)sqlite3_backup_pagecount(backup);
		if (progress)
			progress(
				total - (uint64_t)sqlite3_backup_remaining(backup), total, context);
		if (code == SQLITE_OK)
			tries = 0;
		else if ((code != SQLITE_BUSY && code != SQLITE_LOCKED) ||
			 !wait_for_lock(to, tries++))
			return code;
	}
}

enum ledger_status sqlite_copy_over(struct sqlite *from, struct sqlite *to,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_error *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
	if (!backup)
		return sqlite_fail(to, sqlite3_errcode(to->db), err);
	int code = copy_steps(backup, to, progress, context);
	int finished = sqlite3_backup_finish(backup);
	if (code != SQLITE_DONE)
		return sqlite_fail(to, code, err);
	return finished == SQLITE_OK ? LEDGER_OK : sqlite_fail(to, finished, err);
}
