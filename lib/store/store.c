#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/file.h"
#include "../base/time.h"
#include "door.h"
#include "format.h"

#include "../base/banned.h"

/* Pages that a writer keeps in memory. Events of many streams touch pages all over the indexes; SQLite's
 * 2 MiB would read most of them anew for each batch. */
#define WRITER_CACHE (32u << 20)

/* On close a longer -wal than this is folded and emptied: the next process to open reads all of it first. */
#define CLOSE_PAGES 250

/* With the error that the system gave, 0 without one. */
enum ledger_status door_status(int code, int os_error)
{
	switch (code & 0xFF) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return LEDGER_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return LEDGER_BUSY;
	case SQLITE_NOMEM:
		return LEDGER_NO_MEMORY;
	case SQLITE_FULL:
		return LEDGER_NO_SPACE;
	case SQLITE_NOTADB:
		return LEDGER_NOT_LEDGER;
	case SQLITE_CORRUPT:
	case SQLITE_TOOBIG:	/* beyond LENGTH_MAX: no row of ours is */
	case SQLITE_CONSTRAINT: /* a guard of the schema, or a row where none should be */
		return LEDGER_DAMAGED;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return LEDGER_REFUSED;
	default:
		return os_error == ENOSPC || os_error == EDQUOT ? LEDGER_NO_SPACE : LEDGER_IO;
	}
}

enum ledger_status door_fail(struct store *s, int code, struct ledger_error *err)
{
	int os_error = sqlite3_system_errno(s->db);
	enum ledger_status status = door_status(code, os_error);
	if (status == LEDGER_OK)
		status = LEDGER_IO; /* what failed is never taken for done */
	/* A sync that failed for want of space is no better than any other. */
	if (s->writes && (status == LEDGER_IO || code == SQLITE_IOERR_FSYNC))
		s->broken = true;
	if (status == LEDGER_BUSY) {
		fail(err, status, "%s is busy: another process is writing it", s->path);
		return hint(err, "try again, or wait longer with --timeout");
	}
	if (status == LEDGER_DAMAGED) {
		fail(err, status, "%s is damaged: %s", s->path, sqlite3_errmsg(s->db));
		return hint(err, "ledgerbox verify --deep lists what is wrong; put a backup in its "
				 "place and run recover");
	}
	if (status == LEDGER_NOT_LEDGER)
		return fail(err, status, "%s is not a ledger: not an SQLite database", s->path);
	if (status == LEDGER_IO && os_error)
		return fail(err, status, "%s: %s: %s", s->path, sqlite3_errmsg(s->db),
			strerror(os_error));
	return fail(err, status, "%s: %s", s->path, sqlite3_errmsg(s->db));
}

/*
 * Waiting for a lock: sleeps of random length, so that many writers get their turn soon after each
 * other. Shorter ones keep a small machine busy with asking; SQLite's own grow to 100 ms and leave
 * the lock idle.
 */
int door_wait(void *context, int tries)
{
	struct store *s = context;
	uint64_t now = time_monotonic();
	if (tries == 0)
		s->waiting_since = now;
	if (now - s->waiting_since >= s->timeout)
		return 0;
	long least = 300;
	long most = tries < 8 ? 3000 : 10000; /* µs */
	unsigned random;
	sqlite3_randomness(sizeof(random), &random);
	struct timespec pause = { 0, (least + (long)(random % (unsigned)(most - least))) * 1000 };
	nanosleep(&pause, NULL);
	return 1;
}

/* The longest row or value; one of ours is under 1 MiB. A generated column could make one of 1 GB. */
#define LENGTH_MAX (4 << 20)

static int count_wal_pages(void *context, sqlite3 *db, const char *name, int pages)
{
	struct store *s = context;
	(void)db;
	(void)name;
	s->wal_pages = pages;
	if (pages > s->wal_most_pages)
		s->wal_most_pages = pages;
	return SQLITE_OK;
}

enum ledger_status door_run(struct store *s, const char *sql, struct ledger_error *err)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? LEDGER_OK : door_fail(s, code, err);
}

enum ledger_status store_run_script(struct store *s, const char *script, struct ledger_error *err)
{
	return door_run(s, script, err);
}

/* One integer of a PRAGMA. */
enum ledger_status door_ask(
	struct store *s, const char *sql, int64_t *out, struct ledger_error *err)
{
	sqlite3_stmt *st;
	int code = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	enum ledger_status status = code == SQLITE_ROW ? LEDGER_OK : door_fail(s, code, err);
	sqlite3_finalize(st);
	return status;
}

static void close_db(struct store *s)
{
	for (int i = 0; i < SQL_COUNT_; i++) {
		sqlite3_finalize(door_stmt(s->statements[i]));
		s->statements[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
}

static enum ledger_status open_db(
	struct store *s, enum store_mode mode, const char *uri_flags, struct ledger_error *err)
{
	CLEANUP_BUF struct buf uri = { 0 };
	int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
		    (mode == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	file_add_uri(&uri, s->path);
	buf_add_text(&uri, uri_flags);
	TRY(buf_check(&uri, err));
	int code = sqlite3_open_v2(buf_text(&uri), &s->db, flags, NULL);
	if (!s->db)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (code != SQLITE_OK)
		return door_fail(s, code, err);
	/* sqlite.org/security.html: what a hostile file could use is switched off. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, mode == STORE_CREATE, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
	sqlite3_busy_handler(s->db, door_wait, s);
	door_add_each(s);
	return LEDGER_OK;
}

void store_limit_cache(struct store *s, size_t bytes)
{
	char pragma[64];
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size = -%zu", bytes / 1024);
	sqlite3_exec(s->db, pragma, NULL, NULL, NULL);
}

static enum ledger_status check_setting(
	struct store *s, const char *pragma, int64_t want, struct ledger_error *err)
{
	int64_t got = 0;
	TRY(door_ask(s, pragma, &got, err));
	if (got != want)
		return fail(err, LEDGER_IO, "%s: %s is %" PRId64 " instead of %" PRId64, s->path,
			pragma, got, want);
	return LEDGER_OK;
}

/* What a writer's promises rest on is set, and read back. */
static enum ledger_status set_up_writer(struct store *s, struct ledger_error *err)
{
	int persist = 1;
	sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	TRY(door_run(s,
		"PRAGMA synchronous = FULL; PRAGMA recursive_triggers = ON; PRAGMA "
		"wal_autocheckpoint = 0",
		err));
	TRY(check_setting(s, "PRAGMA synchronous", 2, err));
	TRY(check_setting(s, "PRAGMA recursive_triggers", 1, err));
	sqlite3_wal_hook(s->db, count_wal_pages, s);
	store_limit_cache(s, WRITER_CACHE);
	return LEDGER_OK;
}

static enum ledger_status check_identity(struct store *s, struct ledger_error *err)
{
	int64_t application = 0, version = 0;
	TRY(door_ask(s, "PRAGMA application_id", &application, err));
	if (application != FORMAT_APPLICATION_ID) {
		fail(err, LEDGER_NOT_LEDGER,
			"%s is not a ledger: an SQLite database of another program", s->path);
		return hint(err, "make one with: ledgerbox init");
	}
	TRY(door_ask(s, "PRAGMA user_version", &version, err));
	if (version > FORMAT_VERSION) {
		fail(err, LEDGER_NOT_LEDGER,
			"%s has ledger format %" PRId64 ", this program knows up to %d", s->path,
			version, FORMAT_VERSION);
		return hint(err, "use a newer ledgerbox for it");
	}
	if (version < 1)
		return fail(
			err, LEDGER_NOT_LEDGER, "%s has ledger format %" PRId64, s->path, version);
	return LEDGER_OK;
}

/* Bytes in the -wal beside the file; 0 without one. */
static uint64_t wal_size(const struct store *s)
{
	CLEANUP_BUF struct buf path = { 0 };
	struct stat st;
	buf_addf(&path, "%s-wal", s->path);
	return stat(buf_text(&path), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static enum ledger_status not_in_wal_mode(const struct store *s, struct ledger_error *err)
{
	fail(err, LEDGER_NOT_LEDGER, "%s is not in WAL mode: another program switched it off",
		s->path);
	return hint(err, "switch it on again: sqlite3 %.120s 'PRAGMA journal_mode = WAL'", s->path);
}

static enum ledger_status open_checked(
	struct store *s, enum store_mode mode, const char *flags, struct ledger_error *err)
{
	TRY(open_db(s, mode, flags, err));
	if (mode == STORE_CREATE)
		return LEDGER_OK;
	TRY(check_identity(s, err));
	if (mode == STORE_WRITE) {
		int64_t dummy = 0;
		TRY(check_setting(s, "PRAGMA query_only", 0, err));
		TRY(door_ask(s,
			"SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'",
			&dummy, err));
		if (dummy != 1)
			return not_in_wal_mode(s, err);
	}
	return LEDGER_OK;
}

static void look_at_file(const struct store *s, int64_t *size, int64_t *time)
{
	struct stat st = { 0 };
	stat(s->path, &st);
	*size = st.st_size;
	*time = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

bool store_was_touched(const struct store *s)
{
	int64_t size, time;
	look_at_file(s, &size, &time);
	return s->immutable && (size != s->seen_size || time != s->seen_time || wal_size(s) > 0);
}

/*
 * Where a reader may not make the shared memory that the WAL needs (a read-only folder or disk), the
 * file can be read as it lies there, if nothing waits in a -wal beside it.
 */
static enum ledger_status open_as_it_lies(struct store *s, struct ledger_error *err)
{
	if (wal_size(s) > 0) {
		fail(err, LEDGER_REFUSED,
			"%s has events waiting in its -wal, which cannot be opened here", s->path);
		return hint(err, "copy the file together with its -wal to a folder that can be "
				 "written, and read the copy");
	}
	close_db(s);
	s->immutable = true;
	look_at_file(s, &s->seen_size, &s->seen_time);
	return open_checked(s, STORE_READ, "?immutable=1", err);
}

static bool cannot_share(enum ledger_status status, int code, int os_error)
{
	/* Nothing is wrong with rights or the folder: it may be better the next time. */
	if (os_error == EIO || os_error == EMFILE || os_error == ENFILE || os_error == ENOMEM)
		return false;
	return status == LEDGER_REFUSED || (code & 0xFF) == SQLITE_CANTOPEN ||
	       (code & 0xFF) == SQLITE_READONLY;
}

static enum ledger_status open_file(struct store *s, enum store_mode mode, struct ledger_error *err)
{
	if (access(s->path, mode == STORE_READ ? R_OK : R_OK | W_OK) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return fail_errno(err, "cannot open %s", s->path);
		fail(err, LEDGER_NOT_LEDGER, "there is no ledger %s", s->path);
		return hint(err, "make one with: ledgerbox init, or name one with --database");
	}
	struct stat st = { 0 };
	if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode))
		return fail(
			err, LEDGER_NOT_LEDGER, "%s is not a ledger: not a regular file", s->path);
	if (mode != STORE_CREATE && st.st_size == 0 && wal_size(s) == 0)
		return fail(err, LEDGER_NOT_LEDGER, "%s is not a ledger: it is empty", s->path);
	enum ledger_status status = open_checked(s, mode, "", err);
	if (status && mode == STORE_READ && s->db &&
		cannot_share(status, sqlite3_errcode(s->db), sqlite3_system_errno(s->db)))
		return open_as_it_lies(s, err);
	TRY(status);
	return mode == STORE_READ ? LEDGER_OK : set_up_writer(s, err);
}

static enum ledger_status new_store(struct store **out, const char *path, struct ledger_error *err)
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s || !(s->path = strdup(path))) {
		free(s);
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	*out = s;
	return LEDGER_OK;
}

enum ledger_status store_open_memory(struct store **out, struct ledger_error *err)
{
	struct store *s = NULL;
	TRY(new_store(&s, ":memory:", err));
	int code = sqlite3_open_v2(
		":memory:", &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK) {
		store_close(s);
		return fail(err, LEDGER_NO_MEMORY, "cannot open a database in memory: %s",
			sqlite3_errstr(code));
	}
	*out = s;
	return LEDGER_OK;
}

enum ledger_status store_open(struct store **out, const char *path, enum store_mode mode,
	uint64_t timeout, struct ledger_error *err)
{
	struct store *s = NULL;
	TRY(new_store(&s, path, err));
	s->timeout = timeout;
	s->writes = mode != STORE_READ;
	enum ledger_status status = open_file(s, mode, err);
	if (status) {
		store_close(s);
		return status;
	}
	*out = s;
	return LEDGER_OK;
}

/* Only if nobody reads just now: their snapshots live in it. */
static void empty_wal(struct store *s)
{
	sqlite3_busy_handler(s->db, NULL, NULL);
	sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->db) {
		store_rollback(s);
		if (s->writes && !s->broken && s->wal_most_pages > CLOSE_PAGES)
			empty_wal(s);
		close_db(s);
	}
	free(s->path);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

/* What sqlite_schema calls a table need not be its name, so the names are those that our statements use. */
enum ledger_status store_check_columns(struct store *s, struct ledger_error *err)
{
	int64_t computed = 0;
	TRY(door_ask(s,
		"WITH own(name) AS (VALUES " STORE_TABLES ") SELECT count(*) FROM own "
		"JOIN pragma_table_xinfo(own.name) AS c WHERE c.hidden > 1",
		&computed, err));
	if (computed == 0)
		return LEDGER_OK;
	fail(err, LEDGER_DAMAGED,
		"the schema of %s was changed: it has columns that are computed, nothing is read "
		"from it",
		s->path);
	return hint(err, "put a backup in its place and run: ledgerbox recover (without other "
			 "nodes: ledgerbox recover --offline)");
}

enum ledger_status store_read_any_schema(struct store *s, struct ledger_error *err)
{
	int writable = 0;
	/* This is what makes SQLite go on behind a definition that is none. The file is open for reading only. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, &writable);
	return writable ? LEDGER_OK
			: fail(err, LEDGER_IO, "%s: writable_schema stays off", s->path);
}
