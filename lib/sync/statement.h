/*
 * What nodes say about themselves: an object on a line, and on a second one who signs the bytes of the
 * first. Whoever has the key can have said it, and nobody else.
 *
 *	{"v":1,"node":"store-a",…}
 *	{"key":"hs256-…","mac":"…"}
 */
#ifndef SYNC_STATEMENT_H
#define SYNC_STATEMENT_H

#include "../peers.h"

#define STATEMENT_HEADS	    "ledgerbox/heads/v1" /* the label */
#define STATEMENT_HEADS_MAX 1000		 /* in one statement */

/* A statement of heads, read. */
struct heard {
	char node[65];
	uint64_t epoch, counter, boot;
	struct slice heads; /* a checked array */
	uint64_t part;	    /* from 0, of those that say all together */
	bool more;	    /* another part follows */
};

/* Puts a newline and the signature behind the object in `text`. Each use has a label of its own. */
enum ledger_status statement_sign(
	struct ledger *l, const char *label, struct buf *text, struct ledger_error *err);

/* The signed object; false where it is none, or not signed by a key known here: `err` says why. It
 * borrows from `data`. */
bool statement_open(struct ledger *l, const char *label, struct slice data, struct arena *arena,
	struct slice *object, struct ledger_error *err);

/* Members of a checked object: texts are decoded into the arena, numbers are below 2^53. */
bool statement_text(struct slice object, struct slice key, struct arena *arena, struct slice *out);
bool statement_number(struct slice object, struct slice key, uint64_t *out);

bool statement_read(struct ledger *l, struct slice data, struct arena *arena, struct heard *out,
	struct ledger_error *err);
bool statement_read_head(
	struct slice object, struct arena *arena, struct ledger_head *out, bool *branch);
void statement_add_head(struct buf *out, const struct ledger_head *head, bool branch);

/* The question to all nodes for their heads; they answer with statements, to all. */
enum ledger_status statement_ask(
	struct ledger *l, const char *node, struct buf *out, struct ledger_error *err);
bool statement_is_ask(struct ledger *l, struct slice data);

#endif
