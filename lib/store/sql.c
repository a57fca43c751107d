#include "sql.h"

#include "format.h"

#include "../base/banned.h"

/* The columns of an event in the order in which row.c reads them. */
#define EVENT_COLUMNS                                                                              \
	"position, chain, sequence, domain, id, stream, version, type, schema, clock, time, "      \
	"tags, "                                                                                   \
	"signing_key, salt, prev, hash, mac, metadata, payload"

#define TEXT_OF(number)	   #number
#define NUMBER(constant)   TEXT_OF(constant)
#define BLOCK_OF(position) position " / " NUMBER(FORMAT_BLOCK)

/* What ANALYZE leaves behind does no harm. By its text: a name can be given to anything. */
#define NOT_STATISTICS                                                                             \
	"sql IS NOT NULL AND sql <> 'CREATE TABLE sqlite_stat1(tbl,idx,stat)' AND "                \
	"sql <> 'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)'"
#define PARKED_COLUMNS "handler, position, domain, stream, hash, failures, reason, since"

#define SNAPSHOT_COLUMNS                                                                           \
	"id, stream, domain, position, last, events, version, max_time, hash, reducer, schema, "   \
	"epoch, taken, digest, signing_key, mac, state"
/* Columns in the order in which owner.c reads them, of a row of `o`; and the shared order. */
#define OWNERSHIP_COLUMNS                                                                          \
	"o.kind, o.clock, o.origin, o.epoch, o.sequence, o.hash, o.follows, o.next, o.expires"
#define OWNERSHIP_ORDER " ORDER BY 2, 3, 4, 5, 6 LIMIT 1"
#define OWNERSHIP_BEHIND                                                                           \
	" FROM ownership AS o WHERE o.stream = ?1 AND o.domain = ?2 AND o.follows = ?3 AND "       \
	"o.clock > ?4 AND +o.origin = ?5 AND "
/* Columns in the order in which quarantine_list.c reads them. */
#define QUARANTINE_COLUMNS                                                                         \
	"id, source, reason, text, origin, epoch, domain, sequence, first, last, times, state, "   \
	"bytes"
/*
 * The first events of branches whose place in the chain another event has. One that continues an event
 * of a branch is no beginning, it only came before that one; one that stands in its chain had waited for
 * a fork to be settled.
 */
#define FORKED                                                                                     \
	"branch AS b JOIN event AS here ON here.chain = b.chain AND here.sequence = b.sequence"
#define IS_FORK                                                                                    \
	"b.root = b.hash AND here.hash <> b.hash AND NOT EXISTS (SELECT 1 FROM branch AS before "  \
	"WHERE before.chain = b.chain AND before.sequence = b.sequence - 1 "                       \
	"AND before.hash = b.prev)"
/* A branch: its first event's group, and the groups that turned out to continue it. */
#define GROUPS                                                                                     \
	"WITH RECURSIVE part(root) AS (SELECT ?1 UNION SELECT later.hash FROM part "               \
	"JOIN branch AS p ON p.root = part.root JOIN branch AS later ON later.chain = p.chain "    \
	"AND later.sequence = p.sequence + 1 AND later.prev = p.hash AND later.root = "            \
	"later.hash) "

static const char *const texts[SQL_COUNT_] = {
	[SQL_SEAL] = "SELECT node, epoch, position, clock, link, inode, birth, signing_key, mac "
		     "FROM seal WHERE id = 1",
	[SQL_SEAL_INSERT] = "INSERT INTO seal (id, node, epoch, position, clock, link, inode, "
			    "birth, signing_key, mac) "
			    "VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_SEAL_UPDATE] = "UPDATE seal SET position = ?1, clock = ?2, link = ?3, signing_key = "
			    "?4, mac = ?5 WHERE id = 1",
	[SQL_SEAL_MOVE_IN] = "UPDATE seal SET epoch = ?1, inode = ?2, birth = ?3 WHERE id = 1",

	[SQL_DOMAINS] = "SELECT id, name FROM domain ORDER BY id",
	[SQL_DOMAIN_ID] = "SELECT id FROM domain WHERE name = ?1",
	[SQL_DOMAIN_INSERT] = "INSERT INTO domain (name) VALUES (?1) RETURNING id",
	[SQL_CHAINS] = "SELECT id, origin, epoch, domain FROM chain ORDER BY id",
	[SQL_CHAIN_ID] = "SELECT id FROM chain WHERE origin = ?1 AND epoch = ?2 AND domain = ?3",
	[SQL_CHAIN_INSERT] =
		"INSERT INTO chain (origin, epoch, domain) VALUES (?1, ?2, ?3) RETURNING id",
	[SQL_KEYS] = "SELECT id, name FROM signing_key ORDER BY id",
	[SQL_KEY_ID] = "SELECT id FROM signing_key WHERE name = ?1",
	[SQL_KEY_INSERT] = "INSERT INTO signing_key (name) VALUES (?1) RETURNING id",
	[SQL_NEWEST_EPOCH] = "SELECT max(epoch) FROM chain WHERE origin = ?1",

	[SQL_CHAIN_HEAD] =
		"SELECT sequence, hash, position, clock, time FROM event WHERE chain = ?1 "
		"ORDER BY sequence DESC LIMIT 1",
	[SQL_CHAIN_EVENT] =
		"SELECT " EVENT_COLUMNS " FROM event WHERE chain = ?1 AND sequence = ?2",
	[SQL_CHAIN_HASH] = "SELECT hash FROM event WHERE chain = ?1 AND sequence = ?2",
	[SQL_CHAIN_PLACE] = "SELECT chain, sequence FROM event WHERE position = ?1",
	[SQL_LAST_ROW] =
		"SELECT (SELECT max(position) FROM event), "
		"(SELECT count(*) FROM event WHERE position < 1), (SELECT count(*) FROM mark)",
	[SQL_STREAM_VERSION] = "SELECT version FROM stream WHERE stream = ?1 AND domain = ?2",
	[SQL_STREAM_INSERT] = "INSERT INTO stream (stream, domain, version) VALUES (?1, ?2, ?3)",
	[SQL_STREAM_UPDATE] = "UPDATE stream SET version = ?3 WHERE stream = ?1 AND domain = ?2",
	[SQL_EVENT_INSERT] = "INSERT INTO event (" EVENT_COLUMNS ") "
			     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
			     "?15, ?16, ?17, ?18, ?19)",
	[SQL_TERM_INSERT] =
		"INSERT INTO term (block, term, position) VALUES (" BLOCK_OF("?2") ", ?1, ?2)",
	[SQL_MARK_INSERT] = "INSERT INTO mark (position, link, min_time, max_time) "
			    "SELECT ?1, ?2, min(time), max(time) FROM event WHERE position > ?1 - "
			    "1024 AND position <= ?1",
	[SQL_MARK] = "SELECT link, min_time, max_time FROM mark WHERE position = ?1",
	/* No event at or before the first position that is not behind … can be in the span. */
	[SQL_MARK_SINCE] = "SELECT min(position) - 1023 FROM mark WHERE max_time >= ?1",
	[SQL_MARK_UNTIL] = "SELECT max(position) FROM mark WHERE min_time < ?1",

	[SQL_TAIL_MIN_TIME] = "SELECT min(time) FROM event WHERE position >= ?1",

	[SQL_EVENT] = "SELECT " EVENT_COLUMNS " FROM event WHERE position = ?1",
	[SQL_EVENT_HASH] = "SELECT hash FROM event WHERE position = ?1",
	[SQL_EVENT_PLACE] =
		"SELECT chain, sequence, clock, time, version FROM event WHERE position = ?1",
	[SQL_EVENTS_BY_ID] =
		"SELECT " EVENT_COLUMNS
		" FROM event WHERE id BETWEEN ?1 AND ?2 ORDER BY id, position LIMIT ?3",
	[SQL_EVENTS_UP] = "SELECT " EVENT_COLUMNS
			  " FROM event WHERE position BETWEEN ?1 AND ?2 ORDER BY position",
	[SQL_EVENTS_DOWN] = "SELECT " EVENT_COLUMNS
			    " FROM event WHERE position BETWEEN ?1 AND ?2 ORDER BY position DESC",
	[SQL_TERM_UP] = "SELECT position FROM term WHERE block = ?1 AND term = ?2 "
			"AND position BETWEEN ?3 AND ?4 ORDER BY position",
	[SQL_TERM_DOWN] = "SELECT position FROM term WHERE block = ?1 AND term = ?2 "
			  "AND position BETWEEN ?3 AND ?4 ORDER BY position DESC",
	[SQL_TERM_RANGE_UP] = "SELECT position FROM term WHERE block = ?1 AND term >= ?2 "
			      "AND term < ?5 AND position BETWEEN ?3 AND ?4 ORDER BY position",
	[SQL_TERM_RANGE_DOWN] =
		"SELECT position FROM term WHERE block = ?1 AND term >= ?2 AND term < ?5 "
		"AND position BETWEEN ?3 AND ?4 ORDER BY position DESC",
	[SQL_TERM_RANGE_COUNT] =
		"SELECT count(*) FROM term WHERE block = ?1 AND term >= ?2 AND term < ?3",
	[SQL_TERM_BLOCK_UP] = "SELECT block FROM term WHERE block > ?1 ORDER BY block LIMIT 1",
	[SQL_TERM_BLOCK_DOWN] =
		"SELECT block FROM term WHERE block < ?1 ORDER BY block DESC LIMIT 1",
	[SQL_TYPE_UP] = "SELECT position FROM event WHERE type = ?3 AND position BETWEEN ?1 AND ?2 "
			"ORDER BY position",
	[SQL_TYPE_DOWN] = "SELECT position FROM event WHERE type = ?3 AND position BETWEEN ?1 AND "
			  "?2 ORDER BY position DESC",
	[SQL_CHAIN_UP] = "SELECT position FROM event WHERE chain = ?3 AND +position BETWEEN ?1 AND "
			 "?2 ORDER BY sequence",
	[SQL_CHAIN_DOWN] =
		"SELECT position FROM event WHERE chain = ?3 AND +position BETWEEN ?1 AND ?2 "
		"ORDER BY sequence DESC",

	[SQL_CURSORS] = "SELECT name, position, hash, updated FROM cursor ORDER BY name",
	[SQL_CURSOR] = "SELECT name, position, hash, updated FROM cursor WHERE name = ?1",
	[SQL_CURSOR_SET] =
		"INSERT INTO cursor (name, position, hash, updated) VALUES (?1, ?2, ?3, ?4) "
		"ON CONFLICT (name) DO UPDATE SET position = ?2, hash = ?3, updated = ?4",
	[SQL_CURSOR_DELETE] = "DELETE FROM cursor WHERE name = ?1 RETURNING 1",

	[SQL_SHARED_KEYS] = "SELECT sequence, clock, position FROM event WHERE chain = ?1 AND "
			    "sequence >= ?2 ORDER BY sequence LIMIT ?3",
	[SQL_CHAIN_POSITION] = "SELECT position FROM event WHERE chain = ?1 AND sequence = ?2",

	/* What was executed stands before what was refused. */
	[SQL_COMMAND] = "SELECT digest, answer, sender = '' FROM command WHERE id = ?1 AND "
			"(sender = '' OR (sender = ?2 AND counter >= ?3)) ORDER BY sender LIMIT 1",
	[SQL_COMMAND_ANSWER] = "SELECT answer FROM command WHERE id = ?1 ORDER BY sender LIMIT 1",
	/* An older message of that id may expire later than the last. */
	[SQL_COMMAND_KEEP] =
		"INSERT INTO command (id, sender, counter, digest, answer, forget) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id, sender) DO UPDATE SET "
		"counter = ?3, digest = ?4, answer = ?5, forget = max(forget, ?6) WHERE counter <= "
		"?3",
	/* Bounded, for who waits. */
	[SQL_COMMAND_FORGET] = "DELETE FROM command WHERE (id, sender) IN (SELECT id, sender "
			       "FROM command WHERE forget < ?1 ORDER BY forget LIMIT 10000)",
	[SQL_SENT] = "SELECT node, stream, name, time, expires FROM sent WHERE id = ?1",
	[SQL_SENT_KEEP] = "INSERT INTO sent (id, node, stream, name, time, expires, forget) "
			  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET "
			  "node = ?2, stream = ?3, name = ?4, time = ?5, expires = ?6, forget = ?7",
	[SQL_SENT_FORGET] = "DELETE FROM sent WHERE id IN (SELECT id FROM sent "
			    "WHERE forget < ?1 ORDER BY forget LIMIT 10000)",
	[SQL_COMMAND_COUNT] = "INSERT INTO command_count (what, number, last) VALUES (?1, ?2, ?3) "
			      "ON CONFLICT (what) DO UPDATE SET number = number + ?2, last = ?3",
	[SQL_COMMAND_COUNTS] = "SELECT what, number, last FROM command_count ORDER BY what",

	[SQL_PARK] = "INSERT INTO parked (" PARKED_COLUMNS ") "
		     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_PARKED] = "SELECT " PARKED_COLUMNS " FROM parked WHERE handler = ?1 ORDER BY position",
	[SQL_PARKED_ALL] = "SELECT " PARKED_COLUMNS " FROM parked ORDER BY handler, position",
	[SQL_PARKED_AT] =
		"SELECT " PARKED_COLUMNS " FROM parked WHERE handler = ?1 AND position = ?2",
	[SQL_PARKED_BEFORE] = "SELECT min(position) FROM parked WHERE handler = ?1 AND domain = ?2 "
			      "AND stream = ?3 AND position < ?4",
	[SQL_PARKED_FAILED] = "UPDATE parked SET failures = failures + 1, reason = ?3 "
			      "WHERE handler = ?1 AND position = ?2",
	[SQL_PARKED_DELETE] = "DELETE FROM parked WHERE handler = ?1 AND position = ?2 RETURNING 1",
	[SQL_FAILING] =
		"SELECT position, failures, reason, updated FROM failing WHERE handler = ?1",
	[SQL_FAILING_SET] = "INSERT INTO failing (handler, position, failures, reason, updated) "
			    "VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT (handler) DO UPDATE SET "
			    "failures = iif(position = ?2, failures + 1, 1), position = ?2, "
			    "reason = ?3, updated = ?4 RETURNING failures",
	[SQL_FAILING_DELETE] = "DELETE FROM failing WHERE handler = ?1",

	[SQL_SNAPSHOTS] =
		"SELECT " SNAPSHOT_COLUMNS " FROM snapshot WHERE stream = ?1 AND domain = "
		"?2 ORDER BY position DESC",
	[SQL_SNAPSHOTS_ALL] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot WHERE stream >= ?1 AND "
			      "stream < ?2 ORDER BY stream, domain, position DESC",
	[SQL_SNAPSHOT_INSERT] =
		"INSERT OR REPLACE INTO snapshot (stream, domain, position, last, events, version, "
		"max_time, hash, reducer, schema, epoch, taken, digest, signing_key, mac, state) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
	[SQL_SNAPSHOT_DELETE] = "DELETE FROM snapshot WHERE id = ?1",
	[SQL_CHAIN_RANGE] = "SELECT " EVENT_COLUMNS
			    " FROM event WHERE chain = ?1 AND sequence >= ?2 ORDER BY sequence",
	[SQL_BRANCH_ROOT] =
		"SELECT root FROM branch WHERE chain = ?1 AND sequence = ?2 AND hash = ?3",
	[SQL_BRANCH_INSERT] = "INSERT INTO branch (chain, sequence, hash, prev, root, received, "
			      "line) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_BRANCH_STATE] =
		"SELECT EXISTS (SELECT 1 FROM branch WHERE chain = ?1), "
		"EXISTS (SELECT 1 FROM " FORKED " WHERE b.chain = ?1 AND " IS_FORK
		" AND NOT EXISTS (SELECT 1 FROM settlement WHERE settlement.root = b.root))",
	[SQL_BRANCH_NEXT] = "SELECT line FROM branch WHERE chain = ?1 AND sequence = ?2 AND prev = "
			    "?3 ORDER BY id LIMIT 1",
	[SQL_BRANCH_RANGE] =
		"SELECT sequence, hash, line FROM branch WHERE chain = ?1 AND sequence "
		">= ?2 ORDER BY sequence, hash",
	[SQL_FORKS] = "SELECT b.chain, b.sequence, b.hash, here.hash, b.received, "
		      "b.sequence = 1 OR EXISTS (SELECT 1 FROM event AS joint WHERE joint.chain = "
		      "b.chain "
		      "AND joint.sequence = b.sequence - 1 AND joint.hash = b.prev), "
		      "ifnull((SELECT position FROM settlement WHERE settlement.root = b.root), 0) "
		      "FROM " FORKED " WHERE " IS_FORK " ORDER BY b.chain, b.sequence, b.id",
	[SQL_FORK_SIZE] = GROUPS "SELECT count(*), max(sequence), hash FROM branch WHERE root IN "
				 "(SELECT root FROM part)",
	[SQL_FORK_EVENTS] = GROUPS
	"SELECT sequence, hash, line FROM branch WHERE root IN (SELECT root FROM part) "
	"ORDER BY sequence, hash",
	[SQL_SETTLEMENT_INSERT] = "INSERT INTO settlement (root, position) VALUES (?1, ?2)",
	[SQL_OWNERSHIP_INSERT] =
		"INSERT INTO ownership (stream, domain, follows, clock, origin, epoch, sequence, "
		"hash, kind, next, expires, heads) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
	[SQL_OWNERSHIP_FIND] = "SELECT " OWNERSHIP_COLUMNS " FROM ownership AS o WHERE o.stream = "
			       "?1 AND o.domain = ?2 AND o.hash = ?3",
	[SQL_OWNERSHIP_FIRST] = "SELECT " OWNERSHIP_COLUMNS " FROM ownership AS o WHERE o.stream = "
				"?1 AND o.domain = ?2 AND o.follows = x''" OWNERSHIP_ORDER,
	[SQL_OWNERSHIP_CONTEST] = "SELECT min(origin) <> max(origin) FROM ownership WHERE stream = "
				  "?1 AND domain = ?2 AND follows = x''",
	[SQL_OWNERSHIP_OFFER] =
		"SELECT " OWNERSHIP_COLUMNS OWNERSHIP_BEHIND "o.kind = 2" OWNERSHIP_ORDER,
	[SQL_OWNERSHIP_ACCEPT] =
		"SELECT " OWNERSHIP_COLUMNS OWNERSHIP_BEHIND "o.kind = 3" OWNERSHIP_ORDER,
	/* The owner's word behind an offer (?3, at clock ?4) of ?5 to ?6, or behind an accept of it. */
	[SQL_OWNERSHIP_DECISION] =
		"SELECT " OWNERSHIP_COLUMNS OWNERSHIP_BEHIND "o.kind = 5 UNION ALL "
		"SELECT " OWNERSHIP_COLUMNS
		" FROM ownership AS a JOIN ownership AS o ON o.stream = a.stream AND o.domain = "
		"a.domain AND o.follows = a.hash WHERE a.stream = ?1 AND a.domain = ?2 AND "
		"a.follows = ?3 AND a.clock > ?4 AND a.origin = ?6 AND a.kind = 3 AND "
		"o.clock > a.clock AND o.origin = ?5 AND (o.kind = 5 OR (o.kind = 4 AND o.next = "
		"?6))" OWNERSHIP_ORDER,
	[SQL_OWNERSHIP_HEADS] = "SELECT heads FROM ownership WHERE hash = ?1",
	[SQL_OWNER] =
		"SELECT node, state, next, expires, clock, line, hash, moved, contested FROM owner "
		"WHERE stream = ?1 AND domain = ?2",
	[SQL_OWNER_SET] =
		"INSERT INTO owner (stream, domain, node, state, next, expires, clock, line, hash, "
		"moved, contested) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
		"ON CONFLICT (stream, domain) DO UPDATE SET node = ?3, state = ?4, next = ?5, "
		"expires = ?6, clock = ?7, line = ?8, hash = ?9, moved = ?10, contested = ?11",
	/* From a stream on, in order; those of one node (?3) or all. */
	[SQL_OWNER_LIST] = "SELECT stream, domain FROM owner WHERE (stream, domain) > (?1, ?2) AND "
			   "(?3 IS NULL OR node = ?3) ORDER BY stream, domain LIMIT ?4",
	/* What waits for a word of node ?1: accepted, or offered until ?2 at the latest. */
	[SQL_OWNER_PENDING] = "SELECT stream, domain FROM owner WHERE state > 1 AND state = 3 AND "
			      "node = ?1 UNION ALL "
			      "SELECT stream, domain FROM owner WHERE state > 1 AND state = 2 AND "
			      "expires <= ?2 AND node = ?1 "
			      "LIMIT ?3",
	[SQL_OWNER_NEXT] =
		"SELECT min(expires) FROM owner WHERE state > 1 AND state = 2 AND node = ?1",
	[SQL_OWNER_CONTESTED] =
		"SELECT stream, domain FROM owner WHERE contested > 0 AND "
		"contested = 1 AND (stream, domain) > (?1, ?2) ORDER BY stream, domain LIMIT ?3",
	/* Those that change hands; what has waited for the longest first. */
	[SQL_OWNER_MOVING] = "SELECT stream, domain FROM owner WHERE state > 1 ORDER BY state, "
			     "expires LIMIT ?1",
	/* Of the first ?3 rows from ?1 on those that node ?2 may write to, whatever else is asked. */
	[SQL_OWNER_MINE] = "SELECT stream, domain FROM (SELECT * FROM owner WHERE stream >= ?1 "
			   "LIMIT ?3) WHERE node = ?2 AND state = 1 AND moved = 0",
	/* Who claimed it, and when first. */
	[SQL_OWNER_CLAIMS] = "SELECT origin, min(clock), epoch, sequence FROM ownership WHERE "
			     "stream = ?1 AND domain = ?2 AND follows = x'' GROUP BY origin "
			     "ORDER BY 2, 1",
	[SQL_OWNER_COUNTS] = "SELECT (SELECT count(*) FROM owner WHERE contested > 0), "
			     "(SELECT count(*) FROM owner WHERE state > 1)",
	[SQL_OWNER_DOMAINS] = "SELECT domain FROM owner WHERE stream = ?1 ORDER BY domain LIMIT 2",
	[SQL_QUARANTINE_OF_CHAIN] = "SELECT 1 FROM quarantine WHERE state = 'open' AND origin = ?1 "
				    "AND epoch = ?2 AND domain = ?3 LIMIT 1",
	[SQL_QUARANTINE_AGAIN] =
		"UPDATE quarantine SET times = times + 1, last = ?2 WHERE digest = "
		"?1 RETURNING id",
	[SQL_QUARANTINE_WAIT_AGAIN] =
		"UPDATE quarantine SET times = times + 1, last = ?2, "
		"sequence = CASE WHEN state = 'open' THEN min(sequence, ?3) ELSE ?3 END, "
		"state = CASE WHEN state = 'discarded' THEN state ELSE 'open' END "
		"WHERE digest = ?1 RETURNING id",
	[SQL_QUARANTINE_ROOM] =
		"SELECT count(*), ifnull(sum(size), 0) FROM quarantine WHERE state = "
		"'open' AND source = ?1",
	[SQL_QUARANTINE_INSERT] =
		"INSERT INTO quarantine (digest, source, reason, text, origin, epoch, domain, "
		"sequence, first, last, times, state, size, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
		"?7, ?8, ?9, ?9, 1, ?10, ?11, ?12) RETURNING id",
	[SQL_QUARANTINE_FORGET] =
		"DELETE FROM quarantine WHERE state <> 'open' AND id < (SELECT min(id) FROM "
		"(SELECT id FROM quarantine WHERE state <> 'open' ORDER BY id DESC LIMIT ?1))",
	[SQL_QUARANTINE_ANSWER] =
		"UPDATE quarantine SET state = 'answered' WHERE state = 'open' AND origin = ?1 AND "
		"epoch = ?2 AND domain = ?3 AND sequence = ?4",
	[SQL_QUARANTINE_CLOSE] =
		"UPDATE quarantine SET state = ?2, "
		"bytes = CASE WHEN ?2 = 'discarded' THEN x'' ELSE bytes END WHERE id = ?1",
	[SQL_QUARANTINE_LIST] = "SELECT " QUARANTINE_COLUMNS
				" FROM quarantine WHERE ?1 OR state = 'open' ORDER BY id",
	[SQL_QUARANTINE_ROW] = "SELECT " QUARANTINE_COLUMNS " FROM quarantine WHERE id = ?1",
	[SQL_DROPPED] = "SELECT source, messages, last FROM dropped ORDER BY source",
	[SQL_DROPPED_ADD] = "INSERT INTO dropped (source, messages, last) VALUES (?1, 1, ?2) "
			    "ON CONFLICT (source) DO UPDATE SET messages = messages + 1, last = ?2",
	[SQL_TROUBLE] =
		"SELECT (SELECT count(*) FROM " FORKED " WHERE " IS_FORK
		" AND NOT EXISTS (SELECT 1 FROM settlement WHERE settlement.root = b.root)), "
		"(SELECT count(*) FROM quarantine WHERE state = 'open'), "
		"(SELECT count(*) FROM quarantine WHERE state = 'open' AND reason IN ('key', "
		"'format')), (SELECT ifnull(sum(messages), 0) FROM dropped)",
	[SQL_PUBLISHED] =
		"SELECT cluster, chain, sequence, updated FROM published ORDER BY cluster, chain",
	[SQL_PUBLISHED_GET] = "SELECT sequence FROM published WHERE cluster = ?1 AND chain = ?2",
	[SQL_PUBLISHED_SET] =
		"INSERT INTO published (cluster, chain, sequence, updated) VALUES (?1, ?2, ?3, ?4) "
		"ON CONFLICT (cluster, chain) DO UPDATE SET sequence = ?3, updated = ?4",
	[SQL_RECEIVED_GET] = "SELECT cluster, domain, created, sequence, updated FROM received "
			     "WHERE cluster = ?1 AND domain = ?2",
	[SQL_RECEIVED_SET] = "INSERT INTO received (cluster, domain, created, sequence, updated) "
			     "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (cluster, domain) "
			     "DO UPDATE SET created = ?3, sequence = ?4, updated = ?5",
	[SQL_PEER_RUN] = "SELECT counter FROM peer_run WHERE node = ?1 AND boot = ?2",
	[SQL_PEER_SET] = "INSERT INTO peer (node, epoch, counter, time) VALUES (?1, ?2, ?3, ?4) "
			 "ON CONFLICT (node) DO UPDATE SET epoch = ?2, counter = ?3, time = ?4",
	[SQL_PEER_RUN_SET] = "INSERT INTO peer_run (node, boot, counter, run) VALUES (?1, ?2, ?3, "
			     "(SELECT ifnull(max(run), 0) + 1 FROM peer_run WHERE node = ?1)) "
			     "ON CONFLICT (node, boot) DO UPDATE SET counter = ?3",
	[SQL_PEER_RUN_FORGET] = "DELETE FROM peer_run WHERE node = ?1 AND run <= "
				"(SELECT max(run) - 32 FROM peer_run WHERE node = ?1)",
	[SQL_PEER_HEADS] = "SELECT node, origin, epoch, domain, sequence, hash, sender_epoch, "
			   "counter, time FROM peer_head ORDER BY node, origin, epoch, domain",
	[SQL_PEER_HEAD_SET] =
		"INSERT INTO peer_head (node, origin, epoch, domain, sequence, hash, sender_epoch, "
		"counter, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
		"ON CONFLICT (node, origin, epoch, domain) DO UPDATE SET sequence = ?5, hash = ?6, "
		"sender_epoch = ?7, counter = ?8, time = ?9",
	[SQL_PEERS] = "SELECT node, epoch, time FROM peer ORDER BY node",
	[SQL_PEER_GAPS] = "SELECT origin, epoch, domain, max(sequence), count(*) FROM peer_head "
			  "GROUP BY origin, epoch, domain",

	[SQL_WORDS_DOMAIN] = "SELECT name FROM domain ORDER BY name",
	[SQL_WORDS_ORIGIN] = "SELECT DISTINCT origin FROM chain ORDER BY origin",
	/* The next distinct word behind (or at) a given one: one seek each, whatever the size. */
	[SQL_NEXT_TYPE] = "SELECT type FROM event WHERE type > ?1 ORDER BY type LIMIT 1",
	[SQL_NEXT_STREAM] = "SELECT stream FROM stream WHERE stream > ?1 ORDER BY stream LIMIT 1",
	[SQL_NEXT_TERM] =
		"WITH RECURSIVE number(n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM number "
		"WHERE n < ?3) SELECT min((SELECT term FROM term WHERE block = n AND term > ?1 "
		"ORDER BY term LIMIT 1)) FROM number",

	[SQL_VERIFY_ROWS] =
		"SELECT each(" EVENT_COLUMNS ", body) FROM event WHERE position BETWEEN ?1 AND ?2",
	[SQL_VERIFY_CHAIN] = "SELECT each(" EVENT_COLUMNS ", body) FROM "
			     "(SELECT * FROM event INDEXED BY event_chain WHERE chain = ?1 AND "
			     "+position BETWEEN ?2 AND ?3 "
			     "ORDER BY sequence)",
	[SQL_VERIFY_STREAMS] = "SELECT each(stream, domain, version) FROM stream",
	[SQL_VERIFY_STREAM_COUNT] = "SELECT count(*) FROM stream",
	[SQL_VERIFY_VERSIONS] = "SELECT each(stream, domain, version) FROM event "
				"WHERE position BETWEEN ?1 AND ?2 AND stream IS NOT NULL",
	[SQL_VERIFY_STREAM] =
		"SELECT chain, version FROM event WHERE position = ?1 AND stream = ?2 "
		"AND domain = ?3",
	[SQL_VERIFY_TERMS] = "SELECT each(block, term, position) FROM term",
	[SQL_SCHEMA] = "SELECT type, name, sql FROM sqlite_schema WHERE " NOT_STATISTICS
		       " ORDER BY type, name",
	[SQL_SCHEMA_OBJECTS] = "SELECT sql FROM sqlite_schema WHERE " NOT_STATISTICS,
	[SQL_SCHEMA_VERSION] = "PRAGMA schema_version",
	/* An event's root is its own hash, or that of the event which it continues. */
	[SQL_VERIFY_BRANCHES] =
		"SELECT chain, sequence, hash, prev, line, root = hash OR EXISTS (SELECT 1 FROM "
		"branch AS before WHERE before.chain = b.chain AND before.sequence = b.sequence - "
		"1 AND before.hash = b.prev AND before.root = b.root) FROM branch AS b ORDER BY id",
	[SQL_VERIFY_SETTLEMENTS] =
		"SELECT root, position, EXISTS (SELECT 1 FROM branch WHERE branch.root = "
		"settlement.root AND branch.hash = settlement.root) FROM settlement",
	[SQL_VERIFY_CLAIMED] = "SELECT DISTINCT stream, domain FROM ownership WHERE follows = x'' "
			       "ORDER BY stream, domain",
	[SQL_VERIFY_OWNER_COUNTS] =
		"SELECT (SELECT count(*) FROM ownership), (SELECT count(*) FROM owner)",
	[SQL_INTEGRITY] = "PRAGMA integrity_check(100)",
	[SQL_DATA_VERSION] = "PRAGMA data_version",
};

const char *sql_text(enum sql which)
{
	return texts[which];
}
