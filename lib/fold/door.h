/*
 * What sqlite.c, statement.c, sealed.c and params.c share: fold's door to SQLite. No other file includes this one.
 */
#ifndef FOLD_DOOR_H
#define FOLD_DOOR_H

#include <sqlite3.h>

#include "../base/time.h"
#include "../base/uuid.h"
#include "sqlite.h"

#define PARTS_MAX  16
#define PARAMS_MAX 32

#define DATE_FUNCTIONS 6

struct sqlite;

/* A date function of the sealed connection, and what SQLite calls it. */
struct date_function {
	struct sqlite *db;
	const char *name;
};

struct sqlite {
	sqlite3 *db;
	char *path; /* "" where sealed */
	uint64_t timeout;
	bool theirs;	   /* the authorizer looks at a text of theirs just now */
	char refused[160]; /* what it has refused, "" nothing */
	bool timing;	   /* the processor time of this evaluation is being taken */
	bool out_of_time;
	uint64_t began; /* µs of processor time */
	struct date_function date_functions[DATE_FUNCTIONS];
	sqlite3 *dates; /* where the date functions run as SQLite has them; NULL: not yet */
};

/* One statement of a text. */
struct part {
	sqlite3_stmt *st;
	int n_params;
	uint8_t params[PARAMS_MAX]; /* which one stands at each number */
};

/* What an event's fields look like as parameters, where they are not in it as they are. */
struct facts {
	char id[UUID_TEXT_MAX];
	char time[TIME_TEXT_MAX];
	char clock[TIME_TEXT_MAX];
	struct slice stream_type, stream_key;
};

struct sqlite_stmt {
	struct sqlite *db;
	bool theirs;
	struct part parts[PARTS_MAX];
	size_t n_parts;
	struct facts facts;
};

/* Their code as our status, with the file's path and their words. */
enum ledger_status sqlite_fail(struct sqlite *db, int code, struct ledger_error *err);

/* A statement of theirs could not be compiled (LEDGER_USAGE) or run (LEDGER_INVALID), or the file
 * stands in its way: with the reason and the statement. */
enum ledger_status sqlite_fail_at(struct sqlite *db, int code, enum ledger_status theirs,
	struct slice text, struct ledger_error *err);

enum ledger_status sqlite_new(struct sqlite **out, const char *path, struct ledger_error *err);

/* The authorizer of files: `context` is the struct sqlite. */
int sqlite_authorize_theirs(void *context, int action, const char *first, const char *second,
	const char *database, const char *trigger);

/* Compiles the first statement of `text` into the next part; *rest is what is behind it. White
 * space and comments alone make no part. */
enum ledger_status sqlite_compile_part(
	struct sqlite_stmt *st, struct slice text, struct slice *rest, struct ledger_error *err);

enum ledger_status sqlite_stmt_new(
	struct sqlite *db, bool theirs, struct sqlite_stmt **out, struct ledger_error *err);

/* params.c: finds the names in a part; LEDGER_USAGE for one that is unknown or not for this use. */
enum ledger_status params_find(struct part *part, enum sqlite_use use, struct ledger_error *err);
void params_facts(struct facts *facts, const struct event *event);
/* SQLite's code: TOOBIG for a text beyond the connection's limit. The texts are borrowed. */
int params_bind(const struct part *part, const struct facts *facts, const struct event *event,
	struct slice state);

#endif
