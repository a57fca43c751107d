/* What a change means. Those to bytes come first, then those to rows: SQL would not survive the bytes. */
#include "changes.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <unistd.h>

#define RECORD	    8
#define CHANGES_MAX 64
#define PAGE	    4096

enum {
	FLIP,	    /* a byte */
	SET,	    /* four bytes */
	COPY,	    /* 64 bytes of the database over others */
	CUT,	    /* the file ends here */
	SWAP_PAGES, /* two pages of the database */
	FILL,	    /* some bytes, all the same */
	UPDATE_ROW,
	DELETE_ROW,
	COPY_COLUMN, /* from one row to another */
	KINDS
};

struct change {
	unsigned kind;
	unsigned file;
	size_t where;
	uint32_t with;
};

static struct change read_change(const uint8_t *at)
{
	return (struct change){
		.kind = (at[0] & 0x7F) % KINDS,
		.file = at[0] >> 7,
		.where = (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3],
		.with = (uint32_t)at[4] << 24 | (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 |
			at[7],
	};
}

/* --- Bytes ----------------------------------------------------------------------------------- */

static void swap_pages(struct buf *b, size_t one, size_t other)
{
	char page[PAGE];
	size_t pages = b->len / PAGE;
	if (pages == 0)
		return;
	char *first = b->ptr + one % pages * PAGE, *second = b->ptr + other % pages * PAGE;
	memcpy(page, first, PAGE);
	memmove(first, second, PAGE);
	memcpy(second, page, PAGE);
}

static void change_bytes(const struct change *c, struct buf *b)
{
	if (b->len < 64)
		return;
	size_t at = c->where % b->len;
	size_t room = b->len - at;
	if (c->kind == FLIP)
		b->ptr[at] = (char)(b->ptr[at] ^ (char)(c->with % 255 + 1));
	else if (c->kind == SET)
		memcpy(b->ptr + at, &c->with, room < 4 ? room : 4);
	else if (c->kind == COPY)
		memmove(b->ptr + (room < 64 ? b->len - 64 : at), b->ptr + c->with % (b->len - 63),
			64);
	else if (c->kind == CUT)
		b->len = at;
	else if (c->kind == SWAP_PAGES)
		swap_pages(b, c->where, c->with);
	else if (c->kind == FILL)
		memset(b->ptr + at, (int)(c->with & 0xFF),
			(c->with >> 8) % PAGE < room ? (c->with >> 8) % PAGE : room);
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* The nth answer of a query, as text; wraps around. False without any. */
static bool nth_text(sqlite3 *db, const char *sql, unsigned n, struct buf *out)
{
	sqlite3_stmt *st;
	unsigned rows = 0;
	buf_reset(out);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return false;
	while (sqlite3_step(st) == SQLITE_ROW)
		rows++;
	for (unsigned i = 0; rows && i <= n % rows; i++)
		if (sqlite3_step(st) == SQLITE_ROW && i == n % rows)
			buf_add_text(out, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return out->len > 0;
}

/* "(a, b) = (select a, b from t limit 1 offset n)", by the columns that tell rows apart. */
static void add_row(struct buf *sql, const char *table, const char *keys, uint64_t n)
{
	buf_addf(sql,
		"(%s) = (SELECT %s FROM \"%s\" LIMIT 1 OFFSET (%" PRIu64
		" %% max(1, (SELECT count(*) FROM \"%s\"))))",
		keys, keys, table, n, table);
}

static const char *const values[] = { "NULL", "0", "1", "-1", "2", "9223372036854775807", "''",
	"'x'", "'_ledger'", "x''", "x'00'", "zeroblob(32)", "zeroblob(16)", "%s + 1", "%s - 1",
	"%s || 'x'", "cast(%s AS TEXT)", "cast(%s AS BLOB)", "substr(%s, 2)", "randomblob(20)" };

#define VALUES (sizeof(values) / sizeof(values[0]))

/* where: table, column, row; with: value or other row. */
static void compose(const struct change *c, const char *table, const char *column, const char *keys,
	struct buf *sql)
{
	uint64_t row = c->where & 0xFF;
	if (c->kind == DELETE_ROW) {
		buf_addf(sql, "DELETE FROM \"%s\" WHERE ", table);
	} else if (c->kind == UPDATE_ROW) {
		buf_addf(sql, "UPDATE OR IGNORE \"%s\" SET \"%s\" = ", table, column);
		for (const char *at = values[c->with % VALUES]; *at; at++)
			if (at[0] == '%' && at[1] == 's') {
				buf_addf(sql, "\"%s\"", column);
				at++;
			} else
				buf_add_char(sql, *at);
		buf_add_text(sql, " WHERE ");
	} else {
		buf_addf(sql,
			"UPDATE OR IGNORE \"%s\" SET \"%s\" = (SELECT \"%s\" FROM \"%s\" WHERE ",
			table, column, column, table);
		add_row(sql, table, keys, c->with);
		buf_add_text(sql, ") WHERE ");
	}
	add_row(sql, table, keys, row);
}

static void change_row(sqlite3 *db, const struct change *c)
{
	CLEANUP_BUF struct buf table = { 0 }, column = { 0 }, keys = { 0 }, ask = { 0 },
			       sql = { 0 };
	if (!nth_text(db,
		    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
		    "'sqlite_%'",
		    (unsigned)(c->where >> 16), &table))
		return;
	buf_addf(&ask, "SELECT name FROM pragma_table_info('%s')", buf_text(&table));
	if (!nth_text(db, buf_text(&ask), (unsigned)(c->where >> 8 & 0xFF), &column))
		return;
	buf_reset(&ask);
	buf_addf(&ask,
		"SELECT group_concat('\"' || name || '\"') FROM pragma_table_info('%s') WHERE pk",
		buf_text(&table));
	if (!nth_text(db, buf_text(&ask), 0, &keys))
		buf_add_text(&keys, "rowid");
	compose(c, buf_text(&table), buf_text(&column), buf_text(&keys), &sql);
	sqlite3_exec(
		db, buf_text(&sql), NULL, NULL, NULL); /* one that is refused changes nothing */
}

static void change_rows(const struct change *changes, size_t n, const char *path)
{
	sqlite3 *db;
	bool any = false;
	for (size_t i = 0; i < n; i++)
		any = any || changes[i].kind >= UPDATE_ROW;
	if (!any)
		return;
	CLAIM(sqlite3_open(path, &db) == SQLITE_OK);
	/* The guards stay, so that only what was changed gives it away. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		if (changes[i].kind >= UPDATE_ROW)
			change_row(db, &changes[i]);
	sqlite3_close(db);
}

void changes_apply(
	const uint8_t *bytes, size_t size, const struct buf files[2], const char *const paths[2])
{
	struct change changes[CHANGES_MAX];
	size_t n = size / RECORD < CHANGES_MAX ? size / RECORD : CHANGES_MAX;
	for (size_t i = 0; i < n; i++)
		changes[i] = read_change(bytes + i * RECORD);
	for (unsigned f = 0; f < 2; f++)
		fuzz_write(paths[f], buf_slice(&files[f]));
	change_rows(changes, n, paths[0]);
	for (unsigned f = 0; f < 2; f++) {
		CLEANUP_BUF struct buf file = { 0 };
		if (access(paths[f], F_OK) != 0)
			continue;
		fuzz_read(paths[f], &file);
		for (size_t i = 0; i < n; i++)
			if (changes[i].file == f && changes[i].kind < UPDATE_ROW)
				change_bytes(&changes[i], &file);
		fuzz_write(paths[f], buf_slice(&file));
	}
}
