/*
 * How SQLite answers each statement of sql.h (EXPLAIN QUERY PLAN): which index it searches, and that
 * none scans events, terms or streams by accident. A statement without a row here fails.
 */
#include "../../lib/store/sql.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

#define OWNERSHIP_BEHIND                                                                           \
	"SEARCH o USING PRIMARY KEY (stream=? AND domain=? AND follows=? AND clock>?)"

/* Nothing to plan: PRAGMA, INSERT of values. */
#define NO_PLAN ""

static const struct row {
	enum sql which;
	const char *name;
	const char *step;     /* stands in the plan; several: parted by '|' */
	const char *may_scan; /* why it may read all of event, term or stream; NULL: it may not */
} rows[] = {
#define ROW(name, step)                                                                            \
	{                                                                                          \
		name, #name, step, NULL                                                            \
	}
#define SCAN(name, step, reason)                                                                   \
	{                                                                                          \
		name, #name, step, reason                                                          \
	}
	ROW(SQL_SEAL, "SEARCH seal USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_SEAL_INSERT, NO_PLAN),
	ROW(SQL_SEAL_UPDATE, "SEARCH seal USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_SEAL_MOVE_IN, "SEARCH seal USING INTEGER PRIMARY KEY (rowid=?)"),

	ROW(SQL_DOMAINS, "SCAN domain"),
	ROW(SQL_DOMAIN_ID, "SEARCH domain USING COVERING INDEX sqlite_autoindex_domain_1 (name=?)"),
	ROW(SQL_DOMAIN_INSERT, NO_PLAN),
	ROW(SQL_CHAINS, "SCAN chain"),
	ROW(SQL_CHAIN_ID, "SEARCH chain USING COVERING INDEX sqlite_autoindex_chain_1 "
			  "(origin=? AND epoch=? AND domain=?)"),
	ROW(SQL_CHAIN_INSERT, NO_PLAN),
	ROW(SQL_KEYS, "SCAN signing_key"),
	ROW(SQL_KEY_ID,
		"SEARCH signing_key USING COVERING INDEX sqlite_autoindex_signing_key_1 (name=?)"),
	ROW(SQL_KEY_INSERT, NO_PLAN),
	ROW(SQL_NEWEST_EPOCH,
		"SEARCH chain USING COVERING INDEX sqlite_autoindex_chain_1 (origin=?)"),

	ROW(SQL_CHAIN_HEAD, "SEARCH event USING INDEX event_chain (chain=?)"),
	ROW(SQL_CHAIN_EVENT, "SEARCH event USING INDEX event_chain (chain=? AND sequence=?)"),
	ROW(SQL_CHAIN_HASH, "SEARCH event USING INDEX event_chain (chain=? AND sequence=?)"),
	ROW(SQL_CHAIN_PLACE, "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_LAST_ROW, "SEARCH event"),
	ROW(SQL_STREAM_VERSION, "SEARCH stream USING PRIMARY KEY (stream=? AND domain=?)"),
	ROW(SQL_STREAM_INSERT, NO_PLAN),
	ROW(SQL_STREAM_UPDATE, "SEARCH stream USING PRIMARY KEY (stream=? AND domain=?)"),
	ROW(SQL_EVENT_INSERT, NO_PLAN),
	ROW(SQL_TERM_INSERT, NO_PLAN),
	ROW(SQL_MARK_INSERT, "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
	ROW(SQL_MARK, "SEARCH mark USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_MARK_SINCE, "SEARCH mark"), /* ends at the first that fits */
	ROW(SQL_MARK_UNTIL, "SEARCH mark"),
	ROW(SQL_TAIL_MIN_TIME, "SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"),

	ROW(SQL_EVENT, "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_EVENT_HASH, "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_EVENT_PLACE, "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_EVENTS_BY_ID, "SEARCH event USING INDEX event_id (id>? AND id<?)"),
	ROW(SQL_EVENTS_UP, "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
	ROW(SQL_EVENTS_DOWN, "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
	ROW(SQL_TERM_UP,
		"SEARCH term USING PRIMARY KEY (block=? AND term=? AND position>? AND position<?)"),
	ROW(SQL_TERM_DOWN,
		"SEARCH term USING PRIMARY KEY (block=? AND term=? AND position>? AND position<?)"),
	ROW(SQL_TERM_RANGE_UP, "SEARCH term USING PRIMARY KEY (block=? AND term>? AND term<?)"),
	ROW(SQL_TERM_RANGE_DOWN, "SEARCH term USING PRIMARY KEY (block=? AND term>? AND term<?)"),
	ROW(SQL_TERM_RANGE_COUNT, "SEARCH term USING PRIMARY KEY (block=? AND term>? AND term<?)"),
	ROW(SQL_TERM_BLOCK_UP, "SEARCH term USING PRIMARY KEY (block>?)"),
	ROW(SQL_TERM_BLOCK_DOWN, "SEARCH term USING PRIMARY KEY (block<?)"),
	ROW(SQL_TYPE_UP,
		"SEARCH event USING COVERING INDEX event_type (type=? AND rowid>? AND rowid<?)"),
	ROW(SQL_TYPE_DOWN,
		"SEARCH event USING COVERING INDEX event_type (type=? AND rowid>? AND rowid<?)"),
	ROW(SQL_CHAIN_UP, "SEARCH event USING COVERING INDEX event_chain (chain=?)"),
	ROW(SQL_CHAIN_DOWN, "SEARCH event USING COVERING INDEX event_chain (chain=?)"),

	ROW(SQL_CURSORS, "SCAN cursor"),
	ROW(SQL_CURSOR, "SEARCH cursor USING PRIMARY KEY (name=?)"),
	ROW(SQL_CURSOR_SET, NO_PLAN),
	ROW(SQL_CURSOR_DELETE, "SEARCH cursor USING PRIMARY KEY (name=?)"),

	ROW(SQL_SHARED_KEYS, "SEARCH event USING INDEX event_chain (chain=? AND sequence>?)"),
	ROW(SQL_CHAIN_POSITION,
		"SEARCH event USING COVERING INDEX event_chain (chain=? AND sequence=?)"),
	ROW(SQL_PARK, NO_PLAN),
	ROW(SQL_COMMAND, "SEARCH command USING PRIMARY KEY (id=?)"),
	ROW(SQL_COMMAND_ANSWER, "SEARCH command USING PRIMARY KEY (id=?)"),
	ROW(SQL_COMMAND_KEEP, NO_PLAN),
	ROW(SQL_COMMAND_FORGET, "SEARCH command USING COVERING INDEX command_forget (forget<?)"),
	ROW(SQL_SENT, "SEARCH sent USING PRIMARY KEY (id=?)"),
	ROW(SQL_SENT_KEEP, NO_PLAN),
	ROW(SQL_SENT_FORGET, "SEARCH sent USING COVERING INDEX sent_forget (forget<?)"),
	ROW(SQL_COMMAND_COUNT, NO_PLAN),
	ROW(SQL_COMMAND_COUNTS, "SCAN command_count"),

	ROW(SQL_PARKED, "SEARCH parked USING PRIMARY KEY (handler=?)"),
	ROW(SQL_PARKED_ALL, "SCAN parked"),
	ROW(SQL_PARKED_AT, "SEARCH parked USING PRIMARY KEY (handler=? AND position=?)"),
	ROW(SQL_PARKED_BEFORE, "SEARCH parked USING COVERING INDEX parked_stream (handler=? AND "
			       "domain=? AND stream=? AND position<?)"),
	ROW(SQL_PARKED_FAILED, "SEARCH parked USING PRIMARY KEY (handler=? AND position=?)"),
	ROW(SQL_PARKED_DELETE, "SEARCH parked USING PRIMARY KEY (handler=? AND position=?)"),
	ROW(SQL_FAILING, "SEARCH failing USING PRIMARY KEY (handler=?)"),
	ROW(SQL_FAILING_SET, NO_PLAN),
	ROW(SQL_FAILING_DELETE, "SEARCH failing USING PRIMARY KEY (handler=?)"),
	ROW(SQL_SNAPSHOTS,
		"SEARCH snapshot USING INDEX sqlite_autoindex_snapshot_1 (stream=? AND domain=?)"),
	ROW(SQL_SNAPSHOTS_ALL,
		"SEARCH snapshot USING INDEX sqlite_autoindex_snapshot_1 (stream>? AND stream<?)"),
	ROW(SQL_SNAPSHOT_INSERT, NO_PLAN),
	ROW(SQL_SNAPSHOT_DELETE, "SEARCH snapshot USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_CHAIN_RANGE, "SEARCH event USING INDEX event_chain (chain=? AND sequence>?)"),
	ROW(SQL_BRANCH_ROOT,
		"SEARCH branch USING INDEX branch_place (chain=? AND sequence=? AND hash=?)"),
	ROW(SQL_BRANCH_INSERT, NO_PLAN),
	ROW(SQL_BRANCH_STATE, "SEARCH b USING INDEX branch_first (chain=?)"),
	ROW(SQL_BRANCH_NEXT, "SEARCH branch USING INDEX branch_place (chain=? AND sequence=?)"),
	ROW(SQL_BRANCH_RANGE, "SEARCH branch USING INDEX branch_place (chain=? AND sequence>?)"),
	ROW(SQL_FORKS, "SCAN b USING INDEX branch_first"),
	ROW(SQL_FORK_SIZE, "SEARCH branch USING INDEX branch_root (root=?)"),
	ROW(SQL_FORK_EVENTS, "SEARCH branch USING INDEX branch_root (root=?)"),
	ROW(SQL_SETTLEMENT_INSERT, NO_PLAN),
	ROW(SQL_OWNERSHIP_INSERT, NO_PLAN),
	ROW(SQL_OWNERSHIP_FIND, "SEARCH o USING INDEX ownership_hash (hash=?)"),
	ROW(SQL_OWNERSHIP_FIRST,
		"SEARCH o USING PRIMARY KEY (stream=? AND domain=? AND follows=?)"),
	ROW(SQL_OWNERSHIP_CONTEST,
		"SEARCH ownership USING PRIMARY KEY (stream=? AND domain=? AND follows=?)"),
	ROW(SQL_OWNERSHIP_OFFER, OWNERSHIP_BEHIND),
	ROW(SQL_OWNERSHIP_ACCEPT, OWNERSHIP_BEHIND),
	ROW(SQL_OWNERSHIP_DECISION, OWNERSHIP_BEHIND),
	ROW(SQL_OWNERSHIP_HEADS, "SEARCH ownership USING INDEX ownership_hash (hash=?)"),
	ROW(SQL_OWNER, "SEARCH owner USING PRIMARY KEY (stream=? AND domain=?)"),
	ROW(SQL_OWNER_SET, NO_PLAN),
	ROW(SQL_OWNER_DOMAINS, "SEARCH owner USING PRIMARY KEY (stream=?)"),
	ROW(SQL_OWNER_LIST, "SEARCH owner USING PRIMARY KEY ((stream,domain)>(?,?))"),
	ROW(SQL_OWNER_PENDING, "SEARCH owner USING INDEX owner_pending (state=? AND expires<?)"),
	ROW(SQL_OWNER_NEXT, "SEARCH owner USING INDEX owner_pending (state=?)"),
	ROW(SQL_OWNER_CONTESTED, "SEARCH owner USING COVERING INDEX owner_contested"),
	ROW(SQL_OWNER_MOVING, "SEARCH owner USING COVERING INDEX owner_pending (state>?)"),
	ROW(SQL_OWNER_MINE, "SEARCH owner USING PRIMARY KEY (stream>?)"),
	ROW(SQL_OWNER_CLAIMS,
		"SEARCH ownership USING PRIMARY KEY (stream=? AND domain=? AND follows=?)"),
	ROW(SQL_OWNER_COUNTS, "SEARCH owner USING COVERING INDEX owner_pending (state>?)"),
	ROW(SQL_QUARANTINE_OF_CHAIN, "SEARCH quarantine USING INDEX quarantine_place "
				     "(origin=? AND epoch=? AND domain=?)"),
	ROW(SQL_QUARANTINE_AGAIN,
		"SEARCH quarantine USING INDEX sqlite_autoindex_quarantine_1 (digest=?)"),
	ROW(SQL_QUARANTINE_WAIT_AGAIN,
		"SEARCH quarantine USING INDEX sqlite_autoindex_quarantine_1 (digest=?)"),
	ROW(SQL_QUARANTINE_ROOM,
		"SEARCH quarantine USING COVERING INDEX quarantine_source (state=? AND source=?)"),
	ROW(SQL_QUARANTINE_INSERT, NO_PLAN),
	ROW(SQL_QUARANTINE_FORGET, "SEARCH quarantine USING INTEGER PRIMARY KEY (rowid<?)"),
	ROW(SQL_QUARANTINE_ANSWER, "SEARCH quarantine USING INDEX quarantine_place "
				   "(origin=? AND epoch=? AND domain=? AND sequence=?)"),
	ROW(SQL_QUARANTINE_CLOSE, "SEARCH quarantine USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_QUARANTINE_LIST, "SCAN quarantine"),
	ROW(SQL_QUARANTINE_ROW, "SEARCH quarantine USING INTEGER PRIMARY KEY (rowid=?)"),
	ROW(SQL_DROPPED, "SCAN dropped"),
	ROW(SQL_DROPPED_ADD, NO_PLAN),
	ROW(SQL_TROUBLE, "SEARCH quarantine USING COVERING INDEX quarantine_source (state=?)"),
	ROW(SQL_PUBLISHED, "SCAN published"),
	ROW(SQL_PUBLISHED_GET, "SEARCH published USING PRIMARY KEY (cluster=? AND chain=?)"),
	ROW(SQL_PUBLISHED_SET, NO_PLAN),
	ROW(SQL_RECEIVED_GET, "SEARCH received USING PRIMARY KEY (cluster=? AND domain=?)"),
	ROW(SQL_RECEIVED_SET, NO_PLAN),
	ROW(SQL_PEER_RUN, "SEARCH peer_run USING PRIMARY KEY (node=? AND boot=?)"),
	ROW(SQL_PEER_RUN_SET, "SEARCH peer_run USING PRIMARY KEY (node=?)"),
	ROW(SQL_PEER_RUN_FORGET, "SEARCH peer_run USING PRIMARY KEY (node=?)"),
	ROW(SQL_PEER_SET, NO_PLAN),
	ROW(SQL_PEER_HEADS, "SCAN peer_head"),
	ROW(SQL_PEER_HEAD_SET, NO_PLAN),
	ROW(SQL_PEERS, "SCAN peer"),
	ROW(SQL_PEER_GAPS, "SCAN peer_head"),
	ROW(SQL_VERIFY_BRANCHES,
		"SEARCH before USING INDEX branch_place (chain=? AND sequence=? AND hash=?)"),
	ROW(SQL_VERIFY_SETTLEMENTS, "SEARCH branch USING INDEX branch_root (root=?)"),
	ROW(SQL_VERIFY_CLAIMED, "SCAN ownership"),
	ROW(SQL_VERIFY_OWNER_COUNTS, "SCAN ownership"),

	ROW(SQL_WORDS_DOMAIN, "SCAN domain USING COVERING INDEX sqlite_autoindex_domain_1"),
	ROW(SQL_WORDS_ORIGIN, "SCAN chain USING COVERING INDEX sqlite_autoindex_chain_1"),
	ROW(SQL_NEXT_TYPE, "SEARCH event USING COVERING INDEX event_type (type>?)"),
	ROW(SQL_NEXT_STREAM, "SEARCH stream USING PRIMARY KEY (stream>?)"),
	ROW(SQL_NEXT_TERM, "SEARCH term USING PRIMARY KEY (block=? AND term>?)"),

	ROW(SQL_VERIFY_ROWS, "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
	ROW(SQL_VERIFY_CHAIN, "SEARCH event USING INDEX event_chain (chain=?)"),
	SCAN(SQL_VERIFY_STREAMS, "SCAN stream", "verify compares the whole table"),
	SCAN(SQL_VERIFY_STREAM_COUNT, "SCAN stream", "verify asks how much memory it will need"),
	ROW(SQL_VERIFY_VERSIONS, "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
	ROW(SQL_VERIFY_STREAM, "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
	SCAN(SQL_VERIFY_TERMS, "SCAN term", "verify --deep compares the whole table"),
	ROW(SQL_SCHEMA, "SCAN sqlite_schema"),
	ROW(SQL_SCHEMA_OBJECTS, "SCAN sqlite_schema"),
	ROW(SQL_SCHEMA_VERSION, NO_PLAN),
	ROW(SQL_INTEGRITY, NO_PLAN),
	ROW(SQL_DATA_VERSION, NO_PLAN),
};

/* Statements that sort; all others come in the order of an index. */
static const struct {
	enum sql which;
	const char *reason;
} sorted[] = {
	{ SQL_TERM_RANGE_UP, "one block's worth" },
	{ SQL_TERM_RANGE_DOWN, "the same" },
	{ SQL_SCHEMA, "a few dozen objects" },
	{ SQL_BRANCH_NEXT, "events that continue one event: nearly always one" },
	{ SQL_PEER_GAPS, "the heads that peers have named: as many as there are chains and nodes" },
	{ SQL_FORKS, "branches that begin at one place" },
	{ SQL_FORK_EVENTS, "one branch" },
	{ SQL_OWNERSHIP_DECISION, "the owner's words about one offer" },
	{ SQL_OWNER_CLAIMS, "claims of one stream" },
};

/* In place of the library's each(…): how it hands rows on makes no difference to a plan. */
static void each_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)context;
	(void)argc;
	(void)argv;
}

static void each_final(sqlite3_context *context)
{
	(void)context;
}

static int open_schema(void **state)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	sqlite3_create_function(db, "each", -1, SQLITE_UTF8, NULL, NULL, each_step, each_final);
	assert_int_equal(sqlite3_exec(db, sql_schema, NULL, NULL, NULL), SQLITE_OK);
	*state = db;
	return 0;
}

static int close_schema(void **state)
{
	sqlite3_close(*state);
	return 0;
}

/* The plan, a line for each step. */
static const char *plan_of(sqlite3 *db, enum sql which)
{
	static char plan[2048];
	char text[2048];
	size_t n = 0;
	sqlite3_stmt *st;
	snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql_text(which));
	if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql_text(which), sqlite3_errmsg(db));
	plan[0] = '\0';
	while (sqlite3_step(st) == SQLITE_ROW)
		n += (size_t)snprintf(
			plan + n, sizeof(plan) - n, "%s\n", sqlite3_column_text(st, 3));
	sqlite3_finalize(st);
	assert_true(n < sizeof(plan));
	return plan;
}

/* Does a step of the plan read all of a table? */
static bool reads_all_of(const char *plan, const char *table)
{
	char scan[64];
	snprintf(scan, sizeof(scan), "SCAN %s", table);
	for (const char *at = plan; (at = strstr(at, scan)) != NULL; at++)
		if (strchr("\n ", at[strlen(scan)]))
			return true;
	return false;
}

static void every_statement_has_a_text_and_a_row(void **state)
{
	bool seen[SQL_COUNT_] = { false };
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_false(seen[rows[i].which]);
		seen[rows[i].which] = true;
	}
	for (int which = 0; which < SQL_COUNT_; which++) {
		if (!seen[which] || !sql_text((enum sql)which))
			fail_msg("statement %d: %s", which, sql_text((enum sql)which));
	}
}

static void each_statement_takes_its_index(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *plan = plan_of(*state, rows[i].which);
		if (!strstr(plan, rows[i].step))
			fail_msg("%s: '%s' is not in:\n%s", rows[i].name, rows[i].step, plan);
	}
}

static void none_scans_the_events_or_the_tags_by_accident(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *plan = plan_of(*state, rows[i].which);
		bool scans = reads_all_of(plan, "event") || reads_all_of(plan, "term") ||
			     reads_all_of(plan, "stream");
		if (scans && !rows[i].may_scan)
			fail_msg("%s:\n%s", rows[i].name, plan);
	}
}

static bool may_sort(enum sql which)
{
	for (size_t i = 0; i < COUNT(sorted); i++)
		if (sorted[i].which == which)
			return true;
	return false;
}

static void only_those_named_sort(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *plan = plan_of(*state, rows[i].which);
		if ((strstr(plan, "TEMP B-TREE") != NULL) != may_sort(rows[i].which))
			fail_msg("%s:\n%s", rows[i].name, plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_statement_has_a_text_and_a_row),
		cmocka_unit_test(each_statement_takes_its_index),
		cmocka_unit_test(none_scans_the_events_or_the_tags_by_accident),
		cmocka_unit_test(only_those_named_sort),
	};
	return cmocka_run_group_tests(tests, open_schema, close_schema);
}
