/*
 * The door to SQLite: opening a file safely, statements by name, transactions, and its error codes
 * as ours. Nothing outside store.c and stmt.c sees sqlite3.h (by way of door.h).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "../base/error.h"
#include "../base/slice.h"
#include "sql.h"

struct store;
struct stmt;

/* The tables of schema.sql, as rows of SQL. */
#define STORE_TABLES                                                                               \
	"('domain'), ('chain'), ('signing_key'), ('event'), ('term'), ('stream'), ('mark'), "      \
	"('seal'), ('cursor'), ('snapshot'), ('parked'), ('failing'), ('branch'), "                \
	"('settlement'), ('ownership'), ('owner'), "                                               \
	"('quarantine'), ('dropped'), ('published'), ('received'), ('peer'), ('peer_run'), "       \
	"('peer_head'), "                                                                          \
	"('command'), ('sent'), ('command_count')"

enum store_mode {
	STORE_READ,
	STORE_WRITE,
	STORE_CREATE /* the file is there and empty */
};

/* Opens a ledger file: application_id and user_version are checked (LEDGER_NOT_LEDGER), settings made
 * and read back. `timeout` in µs bounds every wait for a lock. */
enum ledger_status store_open(struct store **out, const char *path, enum store_mode mode,
	uint64_t timeout, struct ledger_error *err);

/* An empty database in memory: a model to compare with. */
enum ledger_status store_open_memory(struct store **out, struct ledger_error *err);

void store_close(struct store *s);

const char *store_path(const struct store *s);

/* The file could only be read as it lies there, without a -wal, and somebody has written it since: what was
 * read may be torn. */
bool store_was_touched(const struct store *s);

/* LEDGER_DAMAGED where one of STORE_TABLES has a column that is computed when it is read: that may take for
 * ever (one call of a function like LIKE can take hours, so no watch over a statement's steps would end
 * it), and none of ours has one. */
enum ledger_status store_check_columns(struct store *s, struct ledger_error *err);

/* From here on sqlite_schema can be read also where SQLite cannot make sense of it. For a store in which
 * nothing else is read. */
enum ledger_status store_read_any_schema(struct store *s, struct ledger_error *err);

/* Transactions. A second begin is our own mistake. Rollback without one does nothing. */
enum ledger_status store_begin_read(struct store *s, struct ledger_error *err);
enum ledger_status store_begin_write(struct store *s, struct ledger_error *err);
enum ledger_status store_commit(struct store *s, struct ledger_error *err);
void store_rollback(struct store *s);

/* Folds the -wal into the file and empties it. */
enum ledger_status store_fold(struct store *s, struct ledger_error *err);

bool store_in_transaction(const struct store *s);

/* A read transaction that ends with the scope; does nothing inside another. */
struct read_txn {
	struct store *store; /* NULL: not ours to end */
};
#define CLEANUP_READ_TXN __attribute__((cleanup(read_txn_end)))
enum ledger_status read_txn_begin(struct read_txn *txn, struct store *s, struct ledger_error *err);
void read_txn_end(struct read_txn *txn);

/* Statements. A borrowed one is reset by the scope; bindings stay until bound again. */
#define CLEANUP_STMT __attribute__((cleanup(stmt_reset)))
enum ledger_status store_get(
	struct store *s, enum sql which, struct stmt **out, struct ledger_error *err);
void stmt_reset(struct stmt **st);

/* A second copy of a statement, for reading in several places at once. */
#define CLEANUP_OWN_STMT __attribute__((cleanup(stmt_done)))
enum ledger_status store_prepare(
	struct store *s, enum sql which, struct stmt **out, struct ledger_error *err);
void stmt_done(struct stmt **st);

/* Bind by number from 1. Bytes are borrowed until the statement is reset. An absent slice is NULL. */
void bind_u64(struct stmt *st, int at, uint64_t value);
void bind_text(struct stmt *st, int at, struct slice text);
void bind_blob(struct stmt *st, int at, const uint8_t *bytes, size_t n);

/* Steps: *row tells whether there is a row. */
enum ledger_status stmt_row(struct store *s, struct stmt *st, bool *row, struct ledger_error *err);

/* Rows that the last INSERT, UPDATE or DELETE changed. */
uint64_t store_changes(struct store *s);

/* Steps a statement to its end, resets it. */
enum ledger_status stmt_run(struct store *s, struct stmt *st, struct ledger_error *err);

/* A value of a row, valid until the next step. One of another type is not converted: value_u64 gives
 * false for a non-integer or negative, the others an absent slice. */
struct value;
bool value_u64(struct value *value, uint64_t *out);
struct slice value_text(struct value *value);
struct slice value_blob(struct value *value);
bool value_is_null(struct value *value);

/* Columns of the row at hand, from 0. */
bool column_u64(struct stmt *st, int at, uint64_t *out);
struct slice column_text(struct stmt *st, int at);
struct slice column_blob(struct stmt *st, int at);

/* The first n of them at once. */
void stmt_values(struct stmt *st, int n, struct value **out);

/*
 * Steps a statement of the form SELECT each(…) FROM …, handing the arguments of `each` to fn row by
 * row: half the price of a step and a column at a time. Anything but LEDGER_OK from fn ends it and is
 * what comes back. Inside fn other statements may run.
 */
typedef enum ledger_status store_row_fn(
	struct value *const *values, void *context, struct ledger_error *err);
enum ledger_status store_each(struct store *s, struct stmt *st, store_row_fn *fn, void *context,
	struct ledger_error *err);

/* Runs a script (schema.sql). */
enum ledger_status store_run_script(struct store *s, const char *script, struct ledger_error *err);

/* A line of PRAGMA integrity_check: LEDGER_IO or LEDGER_NO_MEMORY where it tells of a page that could not
 * be read, which SQLite lists among the damage. */
enum ledger_status store_check_finding(
	struct store *s, struct slice line, struct ledger_error *err);

/* A number that changes when another connection has committed. */
enum ledger_status store_data_version(struct store *s, uint64_t *out, struct ledger_error *err);

/* The same for changes by this connection too: equal tokens, equal content. */
enum ledger_status store_change_token(struct store *s, uint64_t *out, struct ledger_error *err);

/* Copies the whole database into a new file at `path`, a bounded step at a time. */
enum ledger_status store_copy(struct store *s, const char *path,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_error *err);

/* Bytes of memory for pages this connection may use. */
void store_limit_cache(struct store *s, size_t bytes);

#endif
