/*
 * ceiling - how fast SQLite alone takes the rows of a ledger: the same tables, indexes, triggers and
 * pragmas, prepared inserts, values of the same sizes; no JSON, no hashing, no seal, nothing of ours.
 *
 *	ceiling --database FILE --create SCHEMA.sql
 *	ceiling --database FILE [--events N] [--batch N] [--processes N] [--checkpoint PAGES]
 *		[--pragma NAME=VALUE ...] [--close-checkpoint]
 *
 * --create makes the file. Then N events of tests/bench/sample.h go to its end, `batch` to a transaction;
 * with --processes each of them records N events over a connection of its own and waits for its turn
 * with sqlite3_busy_timeout. Prints events, seconds and events per second of all together.
 */
#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"
#include "../../lib/base/banned.h"

#define PRAGMAS_MAX 8
#define LOCK_WAIT   60000 /* ms */

static const char *database, *schema;
static uint64_t events = 200000, batch = 1000, processes = 1, checkpoint = 8000;
static const char *pragmas[PRAGMAS_MAX];
static size_t n_pragmas;
static bool close_checkpoint;

struct ceiling {
	sqlite3 *db;
	sqlite3_stmt *begin, *last, *version, *event, *term, *new_stream, *stream, *commit;
	uint64_t seed;
};

/* The first rows that every event refers to. */
static const char first_rows[] =
	"INSERT INTO domain VALUES (1, '" SAMPLE_DOMAIN "');"
	"INSERT INTO chain VALUES (1, '" SAMPLE_ORIGIN "', 1763658000123456, 1);"
	"INSERT INTO signing_key VALUES (1, 'hs256-0123456789abcdef');"
	"INSERT INTO seal VALUES (1, '" SAMPLE_ORIGIN
	"', 1763658000123456, 0, 0, zeroblob(32), 0, 0,"
	" 'hs256-0123456789abcdef', zeroblob(32));";

static const char insert_event[] =
	"INSERT INTO event (position, chain, sequence, domain, id, stream, version, type, schema, "
	"clock,"
	" time, tags, signing_key, salt, prev, hash, mac, body, metadata, payload)"
	" VALUES (?1, 1, ?1, 1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, 1, ?8, ?9, ?10, ?11, NULL, NULL, "
	"?12)";

static const char insert_term[] =
	"INSERT INTO term (block, term, position) VALUES (?2 >> 15, ?1, ?2)";

static const char insert_stream[] =
	"INSERT INTO stream (stream, domain, version) VALUES (?1, 1, ?2)";

static const char update_stream[] =
	"UPDATE stream SET version = ?2 WHERE stream = ?1 AND domain = 1";

static void die(struct ceiling *c, const char *what)
{
	fprintf(stderr, "ceiling: %s: %s\n", what, sqlite3_errmsg(c->db));
	exit(1);
}

static void exec(struct ceiling *c, const char *sql)
{
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(c, sql);
}

static sqlite3_stmt *prepare(struct ceiling *c, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
		SQLITE_OK)
		die(c, sql);
	return statement;
}

static void ceiling_open(struct ceiling *c)
{
	if (sqlite3_open_v2(database, &c->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		die(c, database);
	sqlite3_busy_timeout(c->db, LOCK_WAIT);
	exec(c, "PRAGMA journal_mode = WAL");
	exec(c, "PRAGMA synchronous = FULL");
	exec(c, "PRAGMA recursive_triggers = ON");
	exec(c, "PRAGMA cache_size = -32768");
	char sql[256];
	snprintf(sql, sizeof(sql), "PRAGMA wal_autocheckpoint = %" PRIu64, checkpoint);
	exec(c, sql);
	for (size_t i = 0; i < n_pragmas; i++) {
		snprintf(sql, sizeof(sql), "PRAGMA %s", pragmas[i]);
		exec(c, sql);
	}
	if (!close_checkpoint)
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		die(c, "getrandom");
	c->seed |= 1;
}

static void ceiling_prepare(struct ceiling *c)
{
	c->begin = prepare(c, "BEGIN IMMEDIATE");
	c->last = prepare(c, "SELECT coalesce(max(position), 0) FROM event");
	c->event = prepare(c, insert_event);
	c->version = prepare(c, "SELECT version FROM stream WHERE stream = ?1 AND domain = 1");
	c->term = prepare(c, insert_term);
	c->new_stream = prepare(c, insert_stream);
	c->stream = prepare(c, update_stream);
	c->commit = prepare(c, "COMMIT");
}

static void ceiling_close(struct ceiling *c)
{
	sqlite3_finalize(c->begin);
	sqlite3_finalize(c->last);
	sqlite3_finalize(c->event);
	sqlite3_finalize(c->version);
	sqlite3_finalize(c->term);
	sqlite3_finalize(c->new_stream);
	sqlite3_finalize(c->stream);
	sqlite3_finalize(c->commit);
	if (sqlite3_close(c->db) != SQLITE_OK)
		die(c, "close");
}

static void step(struct ceiling *c, sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		die(c, sqlite3_sql(statement));
	sqlite3_reset(statement);
}

/* Bytes that do not compress and cost next to nothing (xorshift64). */
static void fill(struct ceiling *c, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		c->seed ^= c->seed << 13;
		c->seed ^= c->seed >> 7;
		c->seed ^= c->seed << 17;
		memcpy(out + i, &c->seed, 8);
	}
}

static uint64_t now(clockid_t clock) /* µs */
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* As UUIDv7 orders them: milliseconds, then the rest of the moment, then random. */
static void make_id(struct ceiling *c, uint64_t us, uint8_t id[16])
{
	uint64_t ms = us / 1000;
	fill(c, id, 16);
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	uint64_t rest = us % 1000 * 4096 / 1000;
	id[6] = (uint8_t)(0x70 | rest >> 8);
	id[7] = (uint8_t)rest;
	id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

static void add_term(struct ceiling *c, const char *term, uint64_t position)
{
	sqlite3_bind_text(c->term, 1, term, -1, SQLITE_STATIC);
	sqlite3_bind_int64(c->term, 2, (int64_t)position);
	step(c, c->term);
}

static uint64_t last_version(struct ceiling *c, const char *stream)
{
	sqlite3_bind_text(c->version, 1, stream, -1, SQLITE_STATIC);
	uint64_t version = 0;
	if (sqlite3_step(c->version) == SQLITE_ROW)
		version = (uint64_t)sqlite3_column_int64(c->version, 0);
	sqlite3_reset(c->version);
	return version;
}

static void add_row(struct ceiling *c, uint64_t position)
{
	uint64_t i = position - 1, us = now(CLOCK_REALTIME);
	uint8_t id[16], salt[16], prev[32], hash[32], mac[32];
	make_id(c, us, id);
	fill(c, salt, sizeof(salt));
	fill(c, prev, sizeof(prev));
	fill(c, hash, sizeof(hash));
	fill(c, mac, sizeof(mac));
	char stream[32], tag[32], payload[SAMPLE_PAYLOAD + 1];
	snprintf(stream, sizeof(stream), "product/sku-%u", sample_stream(i));
	snprintf(tag, sizeof(tag), "product:sku-%u", sample_stream(i));
	sample_payload(i, payload);

	sqlite3_bind_int64(c->event, 1, (int64_t)position);
	sqlite3_bind_blob(c->event, 2, id, sizeof(id), SQLITE_STATIC);
	sqlite3_bind_text(c->event, 3, stream, -1, SQLITE_STATIC);
	uint64_t version = last_version(c, stream) + 1;
	sqlite3_bind_int64(c->event, 4, (int64_t)version);
	sqlite3_bind_text(c->event, 5, sample_type(i), -1, SQLITE_STATIC);
	sqlite3_bind_int64(c->event, 6, (int64_t)us);
	sqlite3_bind_text(c->event, 7, tag, -1, SQLITE_STATIC);
	sqlite3_bind_blob(c->event, 8, salt, sizeof(salt), SQLITE_STATIC);
	sqlite3_bind_blob(c->event, 9, prev, sizeof(prev), SQLITE_STATIC);
	sqlite3_bind_blob(c->event, 10, hash, sizeof(hash), SQLITE_STATIC);
	sqlite3_bind_blob(c->event, 11, mac, sizeof(mac), SQLITE_STATIC);
	sqlite3_bind_text(c->event, 12, payload, SAMPLE_PAYLOAD, SQLITE_STATIC);
	step(c, c->event);
	add_term(c, stream, position);
	add_term(c, tag, position);
	sqlite3_stmt *set = version == 1 ? c->new_stream : c->stream;
	sqlite3_bind_text(set, 1, stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(set, 2, (int64_t)version);
	step(c, set);
}

static void add_batch(struct ceiling *c, uint64_t n)
{
	step(c, c->begin);
	if (sqlite3_step(c->last) != SQLITE_ROW)
		die(c, "last position");
	uint64_t last = (uint64_t)sqlite3_column_int64(c->last, 0);
	sqlite3_reset(c->last);
	for (uint64_t i = 1; i <= n; i++)
		add_row(c, last + i);
	step(c, c->commit);
}

static void add_events(void)
{
	struct ceiling c = { 0 };
	ceiling_open(&c);
	ceiling_prepare(&c);
	for (uint64_t left = events; left > 0;) {
		uint64_t n = left < batch ? left : batch;
		add_batch(&c, n);
		left -= n;
	}
	ceiling_close(&c);
}

static void create(void)
{
	struct ceiling c = { 0 };
	FILE *file = fopen(schema, "r");
	static char sql[1 << 16];
	size_t n = file ? fread(sql, 1, sizeof(sql) - 1, file) : 0;
	if (n == 0 || n == sizeof(sql) - 1) {
		fprintf(stderr, "ceiling: cannot read %s, or it is too long\n", schema);
		exit(1);
	}
	fclose(file);
	ceiling_open(&c);
	exec(&c, "BEGIN");
	exec(&c, sql);
	exec(&c, first_rows);
	exec(&c, "COMMIT");
	ceiling_close(&c);
}

/* Waits for all children; false where one failed. */
static bool all_well(void)
{
	bool well = true;
	for (int status; wait(&status) > 0;)
		well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return well;
}

static void run_processes(void)
{
	for (uint64_t i = 0; i < processes; i++) {
		pid_t child = fork();
		if (child < 0) {
			perror("ceiling: fork");
			exit(1);
		}
		if (child == 0) {
			add_events();
			exit(0);
		}
	}
	if (!all_well())
		exit(1);
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "database", required_argument, NULL, 'd' },
		{ "create", required_argument, NULL, 's' },
		{ "events", required_argument, NULL, 'e' },
		{ "batch", required_argument, NULL, 'b' },
		{ "processes", required_argument, NULL, 'p' },
		{ "checkpoint", required_argument, NULL, 'c' },
		{ "pragma", required_argument, NULL, 'g' },
		{ "close-checkpoint", no_argument, NULL, 'k' },
		{ 0 },
	};
	uint64_t *const number[] = {
		['e'] = &events, ['b'] = &batch, ['p'] = &processes, ['c'] = &checkpoint
	};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'd')
			database = optarg;
		else if (c == 's')
			schema = optarg;
		else if (c == 'k')
			close_checkpoint = true;
		else if (c == 'g' && n_pragmas < PRAGMAS_MAX)
			pragmas[n_pragmas++] = optarg;
		else if (strchr("ebpc", c))
			*number[c] = strtoull(optarg, NULL, 10);
		else
			exit(2);
	}
	if (!database || batch == 0 || processes == 0) {
		fprintf(stderr, "ceiling: --database FILE is needed; --batch and --processes take "
				"1 or more\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	if (schema) {
		create();
		return 0;
	}
	uint64_t start = now(CLOCK_MONOTONIC);
	if (processes == 1)
		add_events();
	else
		run_processes();
	double seconds = (double)(now(CLOCK_MONOTONIC) - start) / 1e6;
	double done = (double)(events * processes);
	printf("%.0f events %.3f s %.0f/s\n", done, seconds, done / seconds);
	return 0;
}
