/*
 * Heads: the last place and hash of every chain, on lines that a person can keep elsewhere. Printed
 * by `status --heads` and by `backup`, read by `verify --expect-heads FILE`.
 *
 *	store-a 1763658000123456 inventory 42 3f9a…   origin epoch domain sequence hash (64 hex digits)
 *	{"origin":"store-a","epoch":1763658000123456,"domain":"inventory","sequence":42,"hash":"3f9a…"}
 *
 * The second form is that of --format json. Reading takes either, line by line; empty lines and lines
 * that begin with "#" are passed over.
 */
#ifndef CMD_HEADS_H
#define CMD_HEADS_H

#include "../lib/ledger.h"

/* Heads from a file; the slices in them live as long as the arena. */
struct heads {
	struct arena arena;
	struct ledger_head *items;
	size_t n;
	size_t cap;
};

#define CLEANUP_HEADS __attribute__((cleanup(heads_done)))

void heads_done(struct heads *heads);

/* Reads a file of heads ("-": stdin). LEDGER_USAGE names file and line of what is no head, and a file
 * with none at all: expecting nothing would be met by any ledger. */
enum ledger_status heads_read(const char *path, struct heads *heads, struct ledger_error *err);

/* Every chain, kept: for when something else is to be read while they are walked. */
struct chain_list {
	struct arena arena;
	struct ledger_chain *items;
	size_t n;
	size_t cap;
};

#define CLEANUP_CHAIN_LIST __attribute__((cleanup(chain_list_done)))

void chain_list_done(struct chain_list *list);
enum ledger_status chain_list_read(
	struct ledger *l, struct chain_list *list, struct ledger_error *err);

/* One head as JSON, without a newline. */
void heads_add_json(struct buf *out, const struct ledger_chain *chain);

/* Prints one, in the form that --format asks for. */
enum ledger_status head_print(const struct ledger_chain *chain, struct ledger_error *err);

/* Prints the head of every chain. */
enum ledger_status heads_print(struct ledger *l, struct ledger_error *err);

#endif
