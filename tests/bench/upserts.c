/*
 * upserts FILE COUNT BATCH - the upserts that a replay into the projection of the benchmark makes, and nothing else: the
 * same statement for the streams of the same events, BATCH to a transaction, in a WAL with synchronous=NORMAL.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "sample.h"
#include "../../lib/base/banned.h"

static const char upsert[] =
	"insert into stock values (?1, 1, ?2) on conflict do update set times = times + 1, "
	"last = excluded.last";

static int run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 1;
	fprintf(stderr, "upserts: %s\n", sqlite3_errmsg(db));
	return 0;
}

static int apply(sqlite3_stmt *st, uint64_t i)
{
	char key[32], time[40];
	snprintf(key, sizeof(key), "sku-%u", sample_stream(i));
	snprintf(time, sizeof(time), "2026-11-20T17:30:%02u.%06uZ", (unsigned)(i / 1000000 % 60),
		(unsigned)(i % 1000000));
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, time, -1, SQLITE_STATIC);
	int done = sqlite3_step(st) == SQLITE_DONE;
	sqlite3_reset(st);
	return done;
}

int main(int argc, char **argv)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	if (argc != 4 || sqlite3_open(argv[1], &db) != SQLITE_OK)
		return 2;
	uint64_t count = strtoull(argv[2], NULL, 10), batch = strtoull(argv[3], NULL, 10);
	if (batch == 0 ||
		!run(db, "pragma journal_mode = wal; pragma synchronous = normal; "
			 "create table stock (sku text primary key, times integer, last "
			 "text) strict") ||
		sqlite3_prepare_v2(db, upsert, -1, &st, NULL) != SQLITE_OK)
		return 1;
	for (uint64_t i = 0; i < count; i++) {
		if (i % batch == 0 && !run(db, i ? "commit; begin immediate" : "begin immediate"))
			return 1;
		if (!apply(st, i))
			return 1;
	}
	return run(db, "commit") ? 0 : 1;
}
