/*
 * Fold's door to SQLite, apart from the ledger's own (store/store.h), for two kinds of connection:
 *
 *	sealed	in memory, for the expressions of reducers and upcasters: functions only
 *	file	a projection's database, which belongs to the operator
 *
 * Texts from the config are `theirs`: an authorizer refuses what would leave the connection. The
 * statements of replay itself are `own` and may do anything. Nothing outside sqlite.c, statement.c,
 * sealed.c and params.c sees sqlite3.h (by way of door.h).
 */
#ifndef FOLD_SQLITE_H
#define FOLD_SQLITE_H

#include "../event/event.h"

struct sqlite;
struct sqlite_stmt;

/* A state is at most so many bytes of JSON, and so is any value an expression makes on its way. */
#define SQLITE_STATE_MAX (1u << 20)

/* What a text is for, which says the parameters it may name; ":clock" and ":time" are RFC 3339 text
 * with six digits and Z. All: :payload :metadata :type :schema :id :origin :domain :stream_type
 * :stream_key :version :time :clock. What an event does not have (metadata, a stream) is NULL. */
enum sqlite_use {
	FOR_REDUCER,   /* and :state */
	FOR_UPCASTER,  /* no more */
	FOR_PROJECTION /* and :position */
};

void sqlite_close(
	struct sqlite *db); /* NULL is nothing; rolls back; statements are to be closed before */
#define CLEANUP_SQLITE __attribute__((cleanup(sqlite_cleanup)))
void sqlite_cleanup(struct sqlite **db);

void sqlite_stmt_close(struct sqlite_stmt *st); /* NULL is nothing */
#define CLEANUP_SQLITE_STMT __attribute__((cleanup(sqlite_stmt_cleanup)))
void sqlite_stmt_cleanup(struct sqlite_stmt **st);

/* --- Sealed (sealed.c) ----------------------------------------------------------------------- */

/*
 * An expression there reaches no table but json_each and json_tree, no pragma, no file, no extension,
 * and only functions that give the same everywhere and always. One evaluation may take two seconds
 * of processor time, 48 MiB of memory, and values of SQLITE_STATE_MAX. The memory limit is SQLite's of
 * the process: no other thread may use SQLite meanwhile.
 */
enum ledger_status sqlite_open_sealed(struct sqlite **out, struct ledger_error *err);

/* Compiles one expression. LEDGER_USAGE says what is wrong with it. */
enum ledger_status sqlite_compile_expression(struct sqlite *db, enum sqlite_use use,
	struct slice text, struct sqlite_stmt **out, struct ledger_error *err);

/*
 * Its value for an event, as text, in `out` (emptied first). `state` is for FOR_REDUCER, else absent.
 * LEDGER_INVALID for an evaluation that fails, runs into a limit, or gives NULL or a BLOB. That the
 * text is JSON is for the caller to check.
 */
enum ledger_status sqlite_evaluate(struct sqlite_stmt *st, const struct event *event,
	struct slice state, struct buf *out, struct ledger_error *err);

/* --- A file ---------------------------------------------------------------------------------- */

struct sqlite_options {
	const char *path;
	const char *ledger; /* that file itself is refused; NULL: none to compare with */
	bool read_only;	    /* LEDGER_NO where there is no file */
	bool scratch;	    /* new and thrown away after a crash: nothing is synced */
	uint32_t page_size; /* of a file that is new; 0: SQLite's choice */
	uint64_t timeout;   /* µs to wait for a lock before LEDGER_BUSY */
};

/*
 * Opens or makes a database. A new one gets a WAL, another keeps the mode it has; synced per commit
 * without a WAL, and with one so far that a power loss takes the last commits as a whole.
 * LEDGER_REFUSED for this ledger or any other, without permission, and (from every function
 * here) for a file that is no database or damaged. `options` may go.
 */
enum ledger_status sqlite_open_file(
	struct sqlite **out, const struct sqlite_options *options, struct ledger_error *err);

const char *sqlite_path(const struct sqlite *db);
enum ledger_status sqlite_page_size(struct sqlite *db, uint32_t *out, struct ledger_error *err);

/* A write transaction: begin takes the lock (LEDGER_BUSY after the timeout). Rollback without one
 * does nothing. After a failed commit nothing of it is there. */
enum ledger_status sqlite_begin(struct sqlite *db, struct ledger_error *err);
enum ledger_status sqlite_commit(struct sqlite *db, struct ledger_error *err);
void sqlite_rollback(struct sqlite *db);
bool sqlite_in_transaction(const struct sqlite *db);

/*
 * Theirs. The script has no parameters; a statement text may hold several statements (16), compiled in
 * order, so a table that one makes is not there for the next. Refused: ATTACH, DETACH, BEGIN, COMMIT,
 * ROLLBACK, SAVEPOINT, PRAGMA (but user_version, application_id and those that only ask for the schema),
 * extensions, and writing to tables whose name begins with "ledgerbox_".
 * LEDGER_USAGE where a text cannot be compiled, LEDGER_INVALID where a statement fails (a constraint);
 * both with SQLite's reason and the statement; else LEDGER_BUSY, LEDGER_NO_SPACE, LEDGER_IO …
 */
enum ledger_status sqlite_run_script(
	struct sqlite *db, struct slice script, struct ledger_error *err);
enum ledger_status sqlite_compile(
	struct sqlite *db, struct slice text, struct sqlite_stmt **out, struct ledger_error *err);

/* Runs all statements of a text for one event; rows they give are passed over. */
enum ledger_status sqlite_apply(
	struct sqlite_stmt *st, const struct event *event, struct ledger_error *err);

/* Own: one statement, bound by number from 1. Text and bytes are borrowed until the next reset; an
 * absent slice is NULL. LEDGER_NO from sqlite_compile_own where a table is missing. */
enum ledger_status sqlite_compile_own(
	struct sqlite *db, const char *text, struct sqlite_stmt **out, struct ledger_error *err);
void sqlite_bind_u64(struct sqlite_stmt *st, int at, uint64_t value);
void sqlite_bind_text(struct sqlite_stmt *st, int at, struct slice text);
void sqlite_bind_blob(struct sqlite_stmt *st, int at, struct slice bytes);

/* Steps: *row tells whether there is a row; run goes to the end and resets. */
enum ledger_status sqlite_row(struct sqlite_stmt *st, bool *row, struct ledger_error *err);
enum ledger_status sqlite_run(struct sqlite_stmt *st, struct ledger_error *err);
void sqlite_reset(struct sqlite_stmt *st);

/* Columns from 0 of the row at hand, valid until the next step; nothing is converted: another type is
 * false or absent. */
bool sqlite_column_u64(struct sqlite_stmt *st, int at, uint64_t *out);
struct slice sqlite_column_text(struct sqlite_stmt *st, int at);
struct slice sqlite_column_blob(struct sqlite_stmt *st, int at);

/* Copies all of `from` over `to` in one transaction of `to`: who has it open sees the old content, then
 * the new. Neither may be in a transaction; both need one page size where `to` has a WAL (see
 * sqlite_page_size). LEDGER_BUSY where others do not let go within the timeout of `to`. */
enum ledger_status sqlite_copy_over(struct sqlite *from, struct sqlite *to,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_error *err);

#endif
