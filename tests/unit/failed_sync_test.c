/*
 * Behind a failed sync nothing more is recorded by that process: what the kernel could not write it may
 * have dropped, and says of the next sync that all is well (fsync(2)). SQLite would go on: it forgets its
 * error with the rollback. Commands end at the first failure, so that only who keeps a ledger open, as a
 * daemon does, could do it. The files are SQLite's own; only their xSync can fail.
 */
#include "ledger_fixture.h"

#include <errno.h>
#include <string.h>

static struct ledger_error err;

static sqlite3_vfs *unix_vfs, vfs;
/* A -wal's and a database's: they differ. */
static struct calls {
	sqlite3_io_methods real, ours;
} of_wal, of_db;
static int failing_kind; /* SQLITE_OPEN_WAL or SQLITE_OPEN_MAIN_DB: its next sync fails; 0: none */
static int failing_errno, failures, writes;

static const struct calls *calls_of(const sqlite3_file *f)
{
	return f->pMethods == &of_wal.ours ? &of_wal : &of_db;
}

static int sync_or_fail(sqlite3_file *f, int flags)
{
	const struct calls *calls = calls_of(f);
	if (failing_kind != (calls == &of_wal ? SQLITE_OPEN_WAL : SQLITE_OPEN_MAIN_DB))
		return calls->real.xSync(f, flags);
	failing_kind = 0;
	failures++;
	errno = failing_errno;
	return SQLITE_IOERR_FSYNC;
}

static int count_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
	writes++;
	return calls_of(f)->real.xWrite(f, bytes, n, offset);
}

static int open_file(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	(void)v;
	int code = unix_vfs->xOpen(unix_vfs, name, f, flags, out_flags);
	if (code != SQLITE_OK || !(flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)))
		return code;
	struct calls *calls = flags & SQLITE_OPEN_WAL ? &of_wal : &of_db;
	calls->real = calls->ours = *f->pMethods;
	calls->ours.xSync = sync_or_fail;
	calls->ours.xWrite = count_write;
	f->pMethods = &calls->ours;
	return code;
}

static int put_vfs_in_place(void **state)
{
	(void)state;
	unix_vfs = sqlite3_vfs_find("unix");
	assert_non_null(unix_vfs);
	vfs = *unix_vfs;
	vfs.zName = "failing";
	vfs.xOpen = open_file;
	return sqlite3_vfs_register(&vfs, 1);
}

static void fail_next_sync(int kind, int error)
{
	failing_kind = kind;
	failing_errno = error;
	failures = 0;
}

/* Though each sync is well again. The next process begins with what is in the files. */
static void expect_no_more_writes(
	const struct place *p, struct ledger *l, int64_t least, int64_t most)
{
	struct ledger_new new = plain();
	struct ledger_answer answer;
	assert_int_equal(failures, 1);
	int before = writes;
	MUST_FAIL(LEDGER_IO, ledger_append(l, &new, 1, NULL, &answer, &err));
	assert_non_null(strstr(err.text, "nothing more is written by this process"));
	MUST_FAIL(LEDGER_IO, ledger_cursor_set(l, SLICE("mail"), 1, &err));
	ledger_close(l);
	assert_int_equal(writes, before);
	int64_t events = ask_sql(p->db, "SELECT count(*) FROM event");
	assert_in_range(events, least, most);
	struct ledger *next = open_ledger(&p->options);
	append_one(next, &new);
	ledger_close(next);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), events + 1);
}

static void behind_a_commit_that_was_not_synced_nothing_is_recorded(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT };
	struct place *p = *state;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	for (size_t i = 0; i < COUNT(errors); i++) {
		struct ledger *l = open_ledger(&p->options);
		append_one(l, &new);
		int64_t events = ask_sql(p->db, "SELECT count(*) FROM event");
		fail_next_sync(SQLITE_OPEN_WAL, errors[i]);
		MUST_FAIL(LEDGER_UNKNOWN, ledger_append(l, &new, 1, NULL, &answer, &err));
		/* It may be recorded or not. */
		expect_no_more_writes(p, l, events, events + 1);
	}
}

/* More than the cache holds goes to the -wal before its commit; a new one's header is synced first. */
static void behind_a_batch_that_was_not_synced_nothing_is_recorded(void **state)
{
	enum { SIZE = 500000, MOST = 400 };
	struct place *p = *state;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	enum ledger_status status = LEDGER_OK;
	char *payload = malloc(SIZE);
	memset(payload, '1', SIZE);
	new.payload = (struct slice){ payload, SIZE };
	settle(p);
	struct ledger *l = open_ledger(&p->options);
	fail_next_sync(SQLITE_OPEN_WAL, ENOSPC);
	MUST(ledger_begin(l, &err));
	for (int i = 0; i < MOST && status == LEDGER_OK; i++)
		status = ledger_add(l, &new, NULL, &answer, &err);
	assert_int_equal(status, LEDGER_NO_SPACE);
	free(payload);
	expect_no_more_writes(p, l, 0, 0);
}

/* The commit stands in the -wal and is good; into the file it could not be folded. */
static void behind_a_fold_that_was_not_synced_nothing_is_recorded(void **state)
{
	enum { SIZE = 500000, N = 70 };
	struct place *p = *state;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	char *payload = malloc(SIZE);
	memset(payload, '1', SIZE);
	new.payload = (struct slice){ payload, SIZE };
	struct ledger *l = open_ledger(&p->options);
	fail_next_sync(SQLITE_OPEN_MAIN_DB, EIO);
	MUST(ledger_begin(l, &err));
	for (int i = 0; i < N; i++)
		MUST(ledger_add(l, &new, NULL, &answer, &err));
	MUST(ledger_commit(l, &err));
	free(payload);
	expect_no_more_writes(p, l, N, N);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(behind_a_commit_that_was_not_synced_nothing_is_recorded),
		TEST(behind_a_batch_that_was_not_synced_nothing_is_recorded),
		TEST(behind_a_fold_that_was_not_synced_nothing_is_recorded),
	};
	return cmocka_run_group_tests(tests, put_vfs_in_place, NULL);
}
