/* What tests of a ledger share: a folder of their own with a ledger and its key, small events, and SQL
 * behind the ledger's back. */
#ifndef LEDGER_FIXTURE_H
#define LEDGER_FIXTURE_H

#include "../../lib/ledger.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

/* A slice in a constant table. */
#define TEXT(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

/* The step must succeed; `err` is in scope. */
#define MUST(step)                                                                                 \
	do {                                                                                       \
		if ((step) != LEDGER_OK)                                                           \
			fail_msg("%s: %s", #step, err.text);                                       \
	} while (0)

/* The step must end so; `err` is in scope and says it too. */
#define MUST_FAIL(status_wanted, step)                                                             \
	do {                                                                                       \
		err = (struct ledger_error){ .status = LEDGER_OK };                                \
		enum ledger_status got_ = (step);                                                  \
		if (got_ != (status_wanted))                                                       \
			fail_msg(                                                                  \
				"%s: %d instead of %d: %s", #step, got_, status_wanted, err.text); \
		assert_int_equal(err.status, got_);                                                \
		assert_true(err.text[0]);                                                          \
	} while (0)

struct place {
	char folder[64];
	char db[96], key[96], state[96];
	struct ledger_options options;
};

static inline char *path_in(const struct place *p, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", p->folder, name);
	return out;
}

/* µs that this process has computed: unlike time itself it does not pass faster on a busy machine. */
static inline uint64_t computed(void)
{
	return (uint64_t)clock(); /* POSIX counts it in µs */
}

/* An empty folder, and options that name what will be in it. */
static inline struct place *place_empty(void)
{
	struct place *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	snprintf(p->folder, sizeof(p->folder), "%.40s/ledgerbox.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->db, sizeof(p->db), "%s/ledger.db", p->folder);
	snprintf(p->key, sizeof(p->key), "%s/ledger.key", p->folder);
	snprintf(p->state, sizeof(p->state), "%s/state", p->folder);
	p->options = (struct ledger_options){
		.path = p->db,
		.mode = LEDGER_MODE_WRITE,
		.node = "store-a",
		.sign_key = p->key,
		.state_dir = p->state,
		.timeout = 5 * TIME_SECOND,
	};
	return p;
}

/* Setup of a test: an empty ledger. */
static inline int place_make(void **state)
{
	struct ledger_error err;
	struct place *p = place_empty();
	*state = p;
	MUST(ledger_key_create(p->key, NULL, &err));
	MUST(ledger_create(&p->options, &err));
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int place_remove(void **state)
{
	struct place *p = *state;
	nftw(p->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static inline struct ledger *open_ledger(const struct ledger_options *options)
{
	struct ledger *l;
	struct ledger_error err;
	MUST(ledger_open(&l, options, &err));
	return l;
}

/* A plain event, to be changed by the test. */
static inline struct ledger_new plain(void)
{
	return (struct ledger_new){
		.domain = SLICE("inventory"),
		.type = SLICE("stock_adjusted"),
		.schema = 1,
		.payload = SLICE("{\"delta\":-2}"),
	};
}

static inline struct ledger_answer append_one(struct ledger *l, const struct ledger_new *new)
{
	struct ledger_error err;
	struct ledger_answer answer;
	MUST(ledger_append(l, new, 1, NULL, &answer, &err));
	return answer;
}

/* n plain events of 9 streams, one transaction each thousand. */
static inline void append_many(struct ledger *l, uint64_t n)
{
	struct ledger_error err;
	for (uint64_t i = 0; i < n; i++) {
		char stream[32];
		struct ledger_answer answer;
		struct ledger_new new = plain();
		snprintf(stream, sizeof(stream), "product/sku-%" PRIu64, i % 9);
		new.stream = slice_of(stream);
		if (i % 1000 == 0)
			MUST(ledger_begin(l, &err));
		MUST(ledger_add(l, &new, NULL, &answer, &err));
		if (i % 1000 == 999 || i + 1 == n)
			MUST(ledger_commit(l, &err));
	}
}

/* Runs SQL on a file behind the library's back. */
static inline void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	char *message = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

/* All of the ledger in its one file, closed. */
static inline void settle(const struct place *p)
{
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static inline void append_and_close(const struct place *p, uint64_t n)
{
	struct ledger *l = open_ledger(&p->options);
	append_many(l, n);
	ledger_close(l);
	settle(p);
}

/* One integer from the file. */
static inline int64_t ask_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return value;
}

/* Copies bytes over another file, which keeps its inode if it is there; its -wal and -shm go. */
static inline void copy_file(const char *from, const char *to)
{
	char room[65536];
	snprintf(room, sizeof(room), "%s-wal", to);
	unlink(room);
	snprintf(room, sizeof(room), "%s-shm", to);
	unlink(room);
	ssize_t n;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, room, sizeof(room))) > 0)
		assert_int_equal(write(out, room, (size_t)n), n);
	assert_int_equal(n, 0);
	close(in);
	close(out);
}

/* The golden ledger of so many events, made by another program: golden.db and its keys. */
static inline void make_golden(const struct place *p, const char *events)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execlp("python3", "python3", "golden/make_ledger.py", p->folder, events, (char *)0);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#endif
