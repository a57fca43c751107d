/* What an open ledger holds; shared by the files of store/. */
#ifndef STORE_HANDLE_H
#define STORE_HANDLE_H

#include "../event/chain.h"
#include "../ledger.h"
#include "format.h"
#include "store.h"

/* The seal row: how far the file has come, and which file it is. */
struct seal {
	uint64_t epoch;
	uint64_t position;
	uint64_t clock; /* the highest in the ledger */
	uint8_t link[EVENT_HASH_SIZE];
	uint64_t inode;
	uint64_t birth; /* µs; 0 where the file system does not know */
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
};

/* A row of chain, domain or signing_key kept in memory: short integer to words. */
struct chain_row {
	uint64_t id;
	struct slice origin;
	uint64_t epoch;
	uint64_t domain; /* row id */
	struct slice domain_name;
};

struct word_row {
	uint64_t id;
	struct slice name;
};

/* The three small tables, read when a row is met that is not there yet. */
struct names {
	struct arena arena;
	struct chain_row *chains;
	size_t n_chains;
	struct word_row *domains;
	size_t n_domains;
	struct word_row *keys;
	size_t n_keys;
	uint64_t malformed; /* chains whose row is not one of ours: left out, or without a domain */
	bool loaded;
	uint64_t token; /* of the state of the file that was read */
};

/* The end of a chain while a batch is written. */
struct chain_tail {
	uint64_t chain; /* row ids; 0: none yet */
	uint64_t domain;
	char origin[65];
	uint64_t epoch;
	char domain_name[65];
	uint64_t sequence;
	uint8_t hash[EVENT_HASH_SIZE]; /* of its last event, or what the first one continues */
	uint64_t clock;
	/* What accept asks besides, once `looked` is set. */
	bool looked;
	bool branched; /* table branch has events of it */
	bool forked;   /* and one of its branches is not settled */
	bool awaited;  /* quarantine has open rows of it */
};

#define BATCH_TAILS_MAX 64

/* What a write transaction remembers. */
struct batch {
	bool open;
	struct seal seal;	 /* as it will be written */
	uint64_t first_position; /* of the seal when the batch began */
	uint8_t last_hash[EVENT_HASH_SIZE];
	uint64_t key; /* row id of the key that signed the event before; 0: none */
	char key_id[EVENT_KEY_ID_SIZE + 1];
	struct arena arena;
	struct chain_tail tails[BATCH_TAILS_MAX];
	size_t n_tails;
};

/* Streams that this node may append to, for as long as nothing of that changes. */
struct owner_slot;
struct owner_cache {
	struct owner_slot *slots; /* NULL: none yet */
	uint64_t generation;	  /* of what is remembered: one more, and all is forgotten */
	uint64_t misses;	  /* look-ups in this generation */
	uint64_t key[4];
	uint64_t data_version; /* of the file when the last batch began */
	struct arena words;    /* of the last answer about an owner (own.h) */
};

struct ledger {
	struct ledger_options options;
	struct store *store;
	char node[65];
	uint64_t epoch; /* when opened or last begun */
	bool has_keys;
	struct chain_key *keys; /* keys[0] signs where there is a signing key */
	size_t n_keys;
	bool can_sign;
	struct names names;
	struct ledger_error
		names_failure; /* why the last search could not read them; LEDGER_OK: it could */
	struct batch batch;
	struct owner_cache owners;
	bool has_schema; /* it was ours when its number was that */
	uint64_t schema_version;
	bool has_place;
	uint8_t place[EVENT_HASH_SIZE];
	int head_fd; /* -1: not open */
	uint64_t head_epoch;
	int watch_fd; /* -1: not open */
	uint64_t data_version;
	uint64_t wal_written; /* when inotify told of it, since the last commit seen; 0: not */
	uint8_t random[1024]; /* unused random bytes */
	size_t random_left;
	char warning[256];
};

/* handle.c */
/* A handle with no store yet; ledger_close takes it. */
enum ledger_status handle_new(
	struct ledger **out, const struct ledger_options *options, struct ledger_error *err);
enum ledger_status handle_load_keys(struct ledger *l, struct ledger_error *err);
const struct chain_key *handle_find_key(const struct ledger *l, struct slice id);
enum ledger_status handle_random(struct ledger *l, void *out, size_t n, struct ledger_error *err);

/* names.c: words by row id, and row ids by word, made when missing. Words are valid until the tables are
 * read again: by names_load, names_find, names_chain. Where these two find nothing, names_failure tells
 * whether the tables could be read. */
void names_done(struct names *names);
struct names_found {
	const struct chain_row *chain; /* with its domain's name; NULL where the row is missing */
	const struct word_row *key;
};
bool names_find(struct ledger *l, uint64_t chain, uint64_t key,
	struct names_found *out); /* both are there */
const struct chain_row *names_chain(struct ledger *l, uint64_t id);
void names_forget(struct ledger *l); /* after a rollback: rows may be gone */
enum ledger_status names_domain_id(
	struct ledger *l, struct slice name, bool make, uint64_t *id, struct ledger_error *err);
enum ledger_status names_chain_id(struct ledger *l, struct slice origin, uint64_t epoch,
	uint64_t domain, bool make, uint64_t *id, struct ledger_error *err);
enum ledger_status names_key_id(
	struct ledger *l, struct slice name, uint64_t *id, struct ledger_error *err);
enum ledger_status names_load(struct ledger *l, struct ledger_error *err);

/* guard.c: store_begin_write, refused (LEDGER_DAMAGED) where the schema is not ours. */
enum ledger_status guard_begin_write(struct ledger *l, struct ledger_error *err);
/* The last line of a function that changes something: runs `step` in a write transaction. */
#define IN_TRANSACTION(l, step)                                                                    \
	do {                                                                                       \
		TRY(guard_begin_write(l, err));                                                    \
		enum ledger_status status_ = (step);                                               \
		if (status_ != LEDGER_OK)                                                          \
			store_rollback((l)->store);                                                \
		return status_ ? status_ : store_commit((l)->store, err);                          \
	} while (0)
/* Behind store_open: what is never to be read is not there. */
enum ledger_status guard_open(struct ledger *l, struct ledger_error *err);

/* seal.c */
enum ledger_status seal_read(struct ledger *l, struct seal *seal, struct ledger_error *err);
void seal_mac(const struct ledger *l, const struct seal *seal, const struct chain_key *key,
	uint8_t out[EVENT_HASH_SIZE]);
/* LEDGER_OK; LEDGER_UNVERIFIED: its key is not among ours; LEDGER_DAMAGED: the MAC is not that of its content. */
enum ledger_status seal_check_mac(
	struct ledger *l, const struct seal *seal, struct ledger_error *err);
enum ledger_status seal_insert(struct ledger *l, const struct seal *seal, struct ledger_error *err);
enum ledger_status seal_write(struct ledger *l, struct seal *seal, struct ledger_error *err);
enum ledger_status seal_move_in(
	struct ledger *l, const struct seal *seal, struct ledger_error *err);

/* home.c */
struct head_file {
	uint64_t position;
	uint8_t hash[EVENT_HASH_SIZE];
	uint8_t place[EVENT_HASH_SIZE]; /* SHA-256 of the path */
};
enum ledger_status home_of_file(
	const char *path, uint64_t *inode, uint64_t *birth, struct ledger_error *err);
/* LEDGER_NO without one, or where it says nothing (cut, garbled, forged); else why it cannot be read. */
enum ledger_status home_read_head(
	struct ledger *l, uint64_t epoch, struct head_file *head, struct ledger_error *err);
/* A reader goes on without what it was never given or may not read (LEDGER_NO, LEDGER_REFUSED), but not
 * without what cannot be read just now. */
bool home_may_lack(enum ledger_status status);
void home_write_head(
	struct ledger *l, const struct seal *seal, const uint8_t hash[EVENT_HASH_SIZE]);
/* Does the head file of the seal's epoch speak of this file: by its inode, or by its place? */
bool home_is_of(struct ledger *l, const struct seal *seal, const struct head_file *head);
/* Both: LEDGER_REFUSED with what was found; `head` may be NULL: none was read. Inside a transaction.
 * The first asks only whether the head file, if it speaks of this file or its place, knows more. */
enum ledger_status home_check_head(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err);
enum ledger_status home_check(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err);
enum ledger_status home_path(const struct ledger *l, const char *suffix, uint64_t epoch,
	struct buf *out, struct ledger_error *err);

/* row.c: a row of the event columns of sql.c. */
enum row_state {
	ROW_GOOD,
	ROW_MALFORMED,	   /* a column of wrong type or size; *what names it */
	ROW_UNKNOWN_CHAIN, /* no such chain, domain or key row */
	ROW_ERASED	   /* payload given up: format known, not verifiable by this version */
};
enum row_state row_event(struct ledger *l, struct value *const *row, struct event *event,
	uint64_t *chain, uint64_t *domain, const char **what);
uint64_t row_position(struct value *const *row);
/* For verify's statements, which end in column body. */
bool row_has_no_body(struct value *const *row);
bool row_body(struct value *const *row, uint8_t out[EVENT_HASH_SIZE]);
/* The row that a statement stands on, for readers: LEDGER_DAMAGED names the position. */
enum ledger_status row_read(
	struct ledger *l, struct stmt *st, struct event *event, struct ledger_error *err);

/* read.c */
bool filter_matches(
	const struct ledger_filter *filter, const struct event *event, struct buf *scratch);

/* batch.c: a batch that does not ask whether the file is at home, for recover; and one that does not
 * ask what the machine's clock says, for what comes from elsewhere. */
enum ledger_status batch_begin_anywhere(struct ledger *l, struct ledger_error *err);
enum ledger_status batch_begin_any_time(struct ledger *l, struct ledger_error *err);

/* tail.c: the end of a chain, valid until the next one is looked for. tail_make gives it row ids. */
enum ledger_status tail_find(struct ledger *l, struct slice origin, uint64_t epoch,
	struct slice domain, struct chain_tail **out, struct ledger_error *err);
enum ledger_status tail_make(struct ledger *l, struct chain_tail *tail, struct ledger_error *err);

/* insert.c: the highest version of a stream, 0 without one; and an event, whole, that continues the
 * tail at the seal's next position. */
enum ledger_status insert_version(struct ledger *l, struct slice stream, uint64_t domain,
	uint64_t *version, struct ledger_error *err);
enum ledger_status insert_record(struct ledger *l, const struct event *e, struct chain_tail *tail,
	uint64_t version_before, struct ledger_error *err);

/* condition.c */
enum ledger_status condition_check(struct ledger *l, const struct ledger_new *event,
	uint64_t stream_version, const struct ledger_condition *condition,
	struct ledger_error *err);
enum ledger_status condition_move_cursor(
	struct ledger *l, const struct ledger_condition *condition, struct ledger_error *err);

/* cursor.c: the hash of the event at a position (zeros at 0); LEDGER_NO where there is none. */
enum ledger_status cursor_hash_at(struct ledger *l, uint64_t position, uint8_t out[EVENT_HASH_SIZE],
	struct ledger_error *err);

/* Inside a write transaction. */
enum ledger_status cursor_write(
	struct ledger *l, struct slice name, uint64_t position, struct ledger_error *err);

#endif
