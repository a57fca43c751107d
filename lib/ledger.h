/*
 * ledgerbox, the library: an append-only, hash-chained, signed event ledger in one SQLite file.
 *
 * Everything returns a status and fills *err on failure; outputs are written only on success. The
 * library never prints, never exits, and reads no config. A struct ledger belongs to one thread.
 * Slices in events handed to a callback are valid for that call.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_index.h"
#include "base/partial.h"
#include "base/slice.h"
#include "base/time.h"
#include "base/uuid.h"
#include "event/event.h"

struct ledger;

/* --- Keys ------------------------------------------------------------------------------------ */

/*
 * Makes a key file: 64 hex digits and a newline, mode 0600 (0640 and that group where `group` is
 * not NULL), never over an existing file (LEDGER_REFUSED). Synced, and its folder too.
 */
enum ledger_status ledger_key_create(const char *path, const char *group, struct ledger_error *err);

/* The same up to the last step: partial_commit puts it in place. */
enum ledger_status ledger_key_prepare(
	const char *path, const char *group, struct partial *out, struct ledger_error *err);

/* The key id that the key file at `path` has, NUL-terminated; its group may be `group` (NULL: none). */
enum ledger_status ledger_key_id(const char *path, const char *group,
	char out[EVENT_KEY_ID_SIZE + 1], struct ledger_error *err);

/* --- Open and close -------------------------------------------------------------------------- */

enum ledger_mode {
	LEDGER_MODE_READ, /* takes no write lock, works for who may only read */
	LEDGER_MODE_WRITE
};

/* Streams of this type are written by their owners alone (own.h). */
struct ledger_owned {
	struct slice type;
	struct slice domain; /* absent: in any */
};

struct ledger_options {
	const char *path; /* the database */
	enum ledger_mode mode;
	const char *node;     /* refuse (LEDGER_REFUSED) a ledger of another node; NULL: any */
	const char *sign_key; /* key file, needed to write; NULL: none */
	const char
		*sign_key_hex; /* the key itself, where it came from the environment; NULL: none */
	const char *const
		*verify_keys; /* more key files; a missing one is an error when keys are needed */
	size_t n_verify_keys;
	const char
		*state_dir; /* where the head file and verify's state live; NULL: none are kept */
	const char *group;  /* group for files made beside the ledger; NULL: none */
	uint64_t timeout;   /* µs to wait for a lock before LEDGER_BUSY */
	const struct ledger_owned *owned;
	size_t n_owned;
};

/* Makes an empty ledger for a node, refusing (LEDGER_REFUSED) to touch an existing file. */
enum ledger_status ledger_create(const struct ledger_options *options, struct ledger_error *err);

/* The same in two steps: filled under a temporary name; given its own. */
enum ledger_status ledger_prepare(
	const struct ledger_options *options, struct partial *out, struct ledger_error *err);
enum ledger_status ledger_put_in_place(
	struct partial *file, const char *group, struct ledger_error *err);

/* Opens a ledger. What `options` points to must outlive it. Keys are read on first use. */
enum ledger_status ledger_open(
	struct ledger **out, const struct ledger_options *options, struct ledger_error *err);
void ledger_close(struct ledger *l);

/* What is kept of the file in memory, in bytes; more is usual for writers, and faster. */
void ledger_limit_cache(struct ledger *l, size_t bytes);

const char *ledger_path(const struct ledger *l);
const char *ledger_node(const struct ledger *l);
uint64_t ledger_epoch(const struct ledger *l);

/*
 * Is the file where this ledger was last written, and not older than its head file says? LEDGER_OK
 * or LEDGER_REFUSED with what was found ("copied", "restored") and the hint to run recover.
 * Writers are refused by themselves; readers ask, say so and go on.
 */
enum ledger_status ledger_check_home(struct ledger *l, struct ledger_error *err);

/* --- Append ---------------------------------------------------------------------------------- */

/* An event to be recorded. The ledger adds the rest. */
struct ledger_new {
	bool has_id;
	uint8_t id[16]; /* any UUID but the nil one; made (version 7) without has_id */
	struct slice domain;
	struct slice type;
	struct slice stream; /* absent: none */
	uint64_t schema;     /* from 1 */
	bool has_time;
	uint64_t time;		  /* without has_time: the wall clock */
	const struct slice *tags; /* any order; one given twice counts once */
	size_t n_tags;
	struct slice payload;  /* JSON text; outer white space goes */
	struct slice metadata; /* JSON object; absent: none */
};

/* One item of a query: any of the types (none: all) and every one of the tags. */
struct ledger_query_item {
	struct slice types[16];
	size_t n_types;
	struct slice tags[EVENT_TAGS_MAX];
	size_t n_tags;
};

/* "type=a,b tag=k:v tag=k:v"; slices borrow from `text`. LEDGER_INVALID names what is wrong. */
enum ledger_status ledger_query_parse(
	struct slice text, struct ledger_query_item *item, struct ledger_error *err);

enum ledger_expect {
	LEDGER_EXPECT_ANY,
	LEDGER_EXPECT_NONE,   /* the stream has no event */
	LEDGER_EXPECT_EXISTS, /* it has one */
	LEDGER_EXPECT_VERSION /* its highest version is `version` (0: none) */
};

/* What must hold, inside the transaction, for the events to be recorded; all zero asks nothing. */
struct ledger_condition {
	enum ledger_expect expect;
	uint64_t version;
	const struct ledger_query_item *fail_if; /* fail where any event matches any item … */
	size_t n_fail_if;
	uint64_t after;	     /* … behind this position */
	struct slice cursor; /* moved in the same transaction; absent: none */
	uint64_t cursor_position;
	bool create; /* claim the stream, of an owned type, where nobody owns it */
};

/* The place an event got; what append answers after the commit. */
struct ledger_answer {
	uint64_t position;
	uint64_t sequence;
	uint64_t version;
	uint8_t id[16];
	uint8_t hash[EVENT_HASH_SIZE];
	bool repeated; /* its id was known with the same content: this is the old place */
};

/* UUID of --once: from domain and KEY alone, the same on every node. */
void ledger_once_id(struct slice domain, struct slice key, uint8_t out[16]);

/* Checks form and limits of an event without a ledger. */
enum ledger_status ledger_check_new(const struct ledger_new *event, struct ledger_error *err);

/*
 * A batch: begin, add …, commit; all or nothing. Between begin and commit nobody else writes, so
 * have the input ready before. add answers at once, but it counts only after commit. Any failure
 * rolls the batch back; so does ledger_rollback (without a batch it does nothing).
 *
 * LEDGER_BUSY after the timeout; LEDGER_REFUSED for a copied or restored file, a clock outside
 * 2020-2200, another node's file; LEDGER_CONFLICT for an id known with other content (err->id), a
 * version or a condition; LEDGER_INVALID for what ledger_check_new refuses or a position that this
 * ledger has not reached. Of a stream of an owned type: LEDGER_NOT_OWNER where another node owns it, or
 * nobody does and the condition does not say `create`; LEDGER_BUSY while it changes hands.
 */
enum ledger_status ledger_begin(struct ledger *l, struct ledger_error *err);
enum ledger_status ledger_add(struct ledger *l, const struct ledger_new *event,
	const struct ledger_condition *condition, struct ledger_answer *answer,
	struct ledger_error *err);
enum ledger_status ledger_commit(struct ledger *l, struct ledger_error *err);
void ledger_rollback(struct ledger *l);

/* begin, add each, commit. The condition goes with every event: give one only with n == 1. */
enum ledger_status ledger_append(struct ledger *l, const struct ledger_new *events, size_t n,
	const struct ledger_condition *condition, struct ledger_answer *answers,
	struct ledger_error *err);

/* A warning of the last batch ("clock …", "head file …") or NULL; valid until the next call. */
const char *ledger_warning(const struct ledger *l);

/* --- Read ------------------------------------------------------------------------------------ */

/* Different fields AND; inside one list OR, but every tag must be there. Zero or empty asks nothing. */
struct ledger_filter {
	uint64_t from;	/* position, inclusive */
	uint64_t to;	/* position, inclusive; 0: no bound */
	uint64_t since; /* time, µs, inclusive */
	uint64_t until; /* time, µs, exclusive; 0: no bound */
	const struct slice *domains;
	size_t n_domains;
	const struct slice *types;
	size_t n_types;
	const struct slice *streams; /* "type/key", or "type/" for all of a type */
	size_t n_streams;
	const struct slice *tags;
	size_t n_tags;
	const struct slice *origins;
	size_t n_origins;
	const struct slice *correlations;
	size_t n_correlations;
	uint64_t limit; /* at most so many; 0: all */
	bool reverse;	/* newest first */
};

/* Anything but LEDGER_OK ends the reading and is what ledger_read returns. */
typedef enum ledger_status ledger_event_fn(
	const struct event *event, void *context, struct ledger_error *err);

/* Hands every matching event to `fn` in order of position, inside one read transaction. */
enum ledger_status ledger_read(struct ledger *l, const struct ledger_filter *filter,
	ledger_event_fn *fn, void *context, struct ledger_error *err);

/* The position where the last n matching events begin (for tail -n, oldest first); 0 where none match. */
enum ledger_status ledger_last(struct ledger *l, const struct ledger_filter *filter, uint64_t n,
	uint64_t *from, struct ledger_error *err);

/*
 * One event by position ("17"), id, unique prefix of an id (8 characters or more), or place
 * ("origin/epoch/domain/sequence"). LEDGER_NO without one; LEDGER_INVALID for what is none of
 * these, or a prefix that fits several events (named in the hint).
 */
enum ledger_status ledger_find(struct ledger *l, struct slice reference, ledger_event_fn *fn,
	void *context, struct ledger_error *err);

/* The last position (0: empty) as this process sees it now. */
enum ledger_status ledger_last_position(
	struct ledger *l, uint64_t *position, struct ledger_error *err);

/*
 * Waits until another connection has committed, `fd` (-1: none) is readable, or `timeout` µs are
 * over, without polling in between. *changed: there may be something new.
 */
enum ledger_status ledger_watch(
	struct ledger *l, int fd, uint64_t timeout, bool *changed, struct ledger_error *err);

/* The bytes that are hashed, for a reader who recomputes by hand: pieces by name, hex, and results. */
void ledger_add_proof(struct buf *out, const struct event *event);

/* --- Chains and streams ---------------------------------------------------------------------- */

struct ledger_chain {
	struct slice origin;
	uint64_t epoch;
	struct slice domain;
	uint64_t sequence; /* of its last event */
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t position;
	uint64_t clock;
	uint64_t time;
};

/* Every chain with at least one event, ordered by origin, epoch, domain. */
typedef enum ledger_status ledger_chain_fn(
	const struct ledger_chain *chain, void *context, struct ledger_error *err);
enum ledger_status ledger_chains(
	struct ledger *l, ledger_chain_fn *fn, void *context, struct ledger_error *err);

/* How many chains the last ledger_chains could not name, because the ledger is damaged: of these the domain
 * was absent, or they were left out. */
uint64_t ledger_malformed_chains(const struct ledger *l);

/* Every stream with at least one event: of a type ("type/"; "": of all), of a domain (absent: of all),
 * in order. Anything but LEDGER_OK ends it. The words are valid for that call. */
typedef enum ledger_status ledger_stream_fn(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err);
enum ledger_status ledger_streams(struct ledger *l, struct slice prefix, struct slice domain,
	ledger_stream_fn *fn, void *context, struct ledger_error *err);

/* Distinct words for completion, in order, those beginning with `prefix`, at most `limit`. Tags are those
 * of the last million events or so. */
enum ledger_words {
	LEDGER_WORDS_DOMAIN,
	LEDGER_WORDS_ORIGIN,
	LEDGER_WORDS_TYPE,
	LEDGER_WORDS_STREAM,
	LEDGER_WORDS_TAG,
	LEDGER_WORDS_CURSOR
};
typedef enum ledger_status ledger_word_fn(
	struct slice word, void *context, struct ledger_error *err);
enum ledger_status ledger_list_words(struct ledger *l, enum ledger_words which, struct slice prefix,
	size_t limit, ledger_word_fn *fn, void *context, struct ledger_error *err);

/* --- Cursors --------------------------------------------------------------------------------- */

struct ledger_cursor {
	struct slice name;
	uint64_t position;
	uint8_t hash[EVENT_HASH_SIZE]; /* of the event there; zeros at position 0 */
	uint64_t updated;	       /* µs */
};

typedef enum ledger_status ledger_cursor_fn(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err);
enum ledger_status ledger_cursors(
	struct ledger *l, ledger_cursor_fn *fn, void *context, struct ledger_error *err);

/* The position of a cursor. LEDGER_NO without one; LEDGER_REFUSED where the event at its position is
 * not the one it was set at (a cursor of another history). */
enum ledger_status ledger_cursor_get(
	struct ledger *l, struct slice name, uint64_t *position, struct ledger_error *err);

/* Sets one. LEDGER_INVALID for a bad name ([A-Za-z0-9_.:-]{1,128}) or a position not reached. */
enum ledger_status ledger_cursor_set(
	struct ledger *l, struct slice name, uint64_t position, struct ledger_error *err);
enum ledger_status ledger_cursor_delete(
	struct ledger *l, struct slice name, struct ledger_error *err);

/* --- Verify ---------------------------------------------------------------------------------- */

/* Stable names of what verify finds; see ledgerbox-verify(1). */
struct ledger_problem {
	const char *code;	   /* "HASH_MISMATCH" … */
	enum ledger_status status; /* LEDGER_DAMAGED or LEDGER_UNVERIFIED */
	uint64_t position;	   /* 0: not about one event */
	const char *place;	   /* "origin/epoch/domain/sequence", "" where there is none */
	const char *text;	   /* what was expected and what was found */
};

/* A head that must be in the ledger, from a file of `status --heads` or `backup`. */
struct ledger_head {
	struct slice origin;
	uint64_t epoch;
	struct slice domain;
	uint64_t sequence;
	uint8_t hash[EVENT_HASH_SIZE];
};

struct ledger_verify_options {
	uint64_t from, to;   /* positions, inclusive; 0: the whole ledger */
	struct slice origin; /* only chains of that origin; absent: all */
	struct slice domain;
	bool since_last; /* only what is behind the last complete run */
	bool hash_only;	 /* no MACs: for who has no key */
	bool deep;	 /* the SQLite file too: pages, indexes, the tag table */
	const struct ledger_head *heads;
	size_t n_heads;
	unsigned workers;      /* 0: as many as there are processors, at most 8 */
	uint64_t max_problems; /* handed to `problem`, the rest is counted; 0: 100 */
	void (*problem)(const struct ledger_problem *problem, void *context);
	void (*progress)(uint64_t done, uint64_t total,
		void *context); /* NULL: none; from the calling thread */
	void *context;
};

struct ledger_verify_report {
	bool complete;	     /* everything asked for was read to its end */
	uint64_t from, to;   /* positions read, inclusive; to < from: none */
	uint64_t last;	     /* last position of the ledger */
	uint64_t events;     /* recomputed */
	uint64_t macs;	     /* of these with the MAC checked */
	uint64_t chains;     /* seen in the range */
	uint64_t problems;   /* damage found */
	uint64_t unverified; /* events that could not be verified: key or format unknown */
	uint64_t first_bad;  /* position, 0: none */
	uint64_t last_good;  /* the last position before the first bad one */
	uint64_t elapsed;    /* µs */
	uint8_t link[EVENT_HASH_SIZE]; /* of the seal, recomputed when the range is whole */
	bool seal;		       /* the seal was recomputed */
	bool seal_mac;		       /* and its MAC checked */
	bool file;		       /* the SQLite file itself was checked (deep) */
};

/*
 * Recomputes everything in the range, inside one snapshot, while others write. LEDGER_OK: verified;
 * LEDGER_DAMAGED: problems were handed over; LEDGER_UNVERIFIED: no damage, but not all could be
 * checked; anything else: could not finish (report->complete is false), which says nothing about
 * damage beyond the problems handed over. Memory stays under 64 MiB at any size.
 */
enum ledger_status ledger_verify(struct ledger *l, const struct ledger_verify_options *options,
	struct ledger_verify_report *report, struct ledger_error *err);

/*
 * The same for a file that ledger_open refused with LEDGER_DAMAGED, which `why` tells: no table is read, as
 * what somebody put into the schema may compute without end. Lists the objects of the schema that are not
 * those of a ledger, and `why`. LEDGER_DAMAGED, with `why` in `err`; anything else: could not finish.
 */
enum ledger_status ledger_verify_unopened(const struct ledger_options *ledger,
	const struct ledger_verify_options *options, const struct ledger_error *why,
	struct ledger_verify_report *report, struct ledger_error *err);

/* The last complete verify kept in the state folder. LEDGER_NO without one. */
struct ledger_last_verify {
	uint64_t position; /* up to which all was well; not ok: when it last was */
	uint64_t finished; /* µs, wall clock */
	bool ok;
};
enum ledger_status ledger_last_verify(
	struct ledger *l, struct ledger_last_verify *out, struct ledger_error *err);

/* --- Status, backup, recover ----------------------------------------------------------------- */

struct ledger_overview {
	const char *node;
	uint64_t epoch;
	uint64_t events; /* the last position */
	uint64_t chains;
	uint64_t domains;
	uint64_t origins;
	uint64_t streams;
	uint64_t types;
	uint64_t first_time, last_time; /* of the first and the last event by position; 0: empty */
	uint64_t file_bytes;
	uint64_t wal_bytes;
	uint64_t free_bytes;	 /* of the disk the file is on */
	enum ledger_status home; /* LEDGER_OK or LEDGER_REFUSED: copied or restored */
	char home_text[256];
};

/* Strings are valid as long as the ledger is open. */
enum ledger_status ledger_overview(
	struct ledger *l, struct ledger_overview *out, struct ledger_error *err);

/*
 * A consistent copy at `path` while others write: copied beside it, verified (all of it, MACs where a
 * key is there), synced, renamed into place. An existing file is refused unless `replace`.
 * `report` tells what the verification of the copy found.
 */
enum ledger_status ledger_backup(struct ledger *l, const char *path, bool replace,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_verify_report *report, struct ledger_error *err);

struct ledger_recovery {
	uint64_t old_epoch;
	uint64_t epoch;	   /* the new one; of a dry run: the one it would be */
	uint64_t position; /* of its first event */
	char found[256];   /* why, as check_home says it; "" where nothing was wrong */
};

/*
 * Begins the next epoch: records `epoch_started` in domain `_ledger` with the reason and, for each
 * older chain of this node, the last sequence and hash known; this file is home from then on.
 * LEDGER_NO where the home is as it should be, unless `force`.
 */
enum ledger_status ledger_recover(struct ledger *l, struct slice reason, bool force, bool dry_run,
	struct ledger_recovery *out, struct ledger_error *err);

#endif
