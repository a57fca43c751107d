/*
 * One table of options per command: it is parsed, printed as help and offered to the shell. The kind
 * of an option is the pointer that is set, so the compiler checks the row.
 *
 *	static uint64_t after;
 *	static const struct opt opts[] = {
 *		{ 'a', "after", "start behind this position", "<position>", .u64 = &after },
 *		{ 0 }
 *	};
 *
 * Long options are never abbreviated; `--name=value` and `--name value`, `-n value`, `-nvalue` and
 * bundled flags are taken; `--` ends options; operands may stand anywhere, "-" is one; an operand that
 * begins with "-" goes behind `--`.
 */
#ifndef CMD_OPT_H
#define CMD_OPT_H

#include "../lib/ledger.h"

/* What the shell may offer for a value or an operand. */
enum complete {
	COMPLETE_NONE,
	COMPLETE_FILE,
	COMPLETE_FOLDER,
	COMPLETE_DOMAIN,
	COMPLETE_ORIGIN,
	COMPLETE_TYPE,
	COMPLETE_STREAM,
	COMPLETE_TAG,
	COMPLETE_CURSOR,
	COMPLETE_CONSUMER, /* handlers and projections of the config */
	COMPLETE_COMMAND   /* names of commands */
};

/* A list of values, one per use of a repeatable option; commas do not split. */
struct opt_list {
	const char **items;
	size_t n;
};

/* A value that may be absent. */
struct opt_u64 {
	bool given;
	uint64_t value;
};

struct opt {
	char letter;	  /* 0: none */
	const char *name; /* NULL ends the table */
	const char *help; /* a line, no capital, no full stop */
	const char *arg;  /* "<position>"; NULL for a flag */
	bool *flag;
	uint64_t *u64;
	struct opt_u64 *maybe_u64;
	const char **str;
	struct opt_list *list;
	uint64_t *duration;	    /* µs */
	uint64_t *size;		    /* bytes: "64KiB", "1MiB", "1GiB", plain digits */
	const char *const *choices; /* with str: one of these, NULL at the end */
	enum complete complete;
};

/*
 * Parses argv[0..argc-1] (options and operands, without the command's name) by one or two tables
 * (`common` may be NULL). Operands are moved to the front of argv, *operands is their number; with
 * `stop_at_operand` parsing ends at the first one and argv keeps its order from there.
 * LEDGER_USAGE names the option: unknown, given twice (unless a flag or a list), without its value, with one it
 * does not take, with a bad value. An unknown long option near to a known one hints at that.
 */
enum ledger_status opt_parse(const struct opt *table, const struct opt *common, int argc,
	char **argv, bool stop_at_operand, int *operands, struct ledger_error *err);

/* Frees what lists grew to. */
void opt_done(const struct opt *table);

/* The row of a long name or a letter in either table (`common` may be NULL); NULL without one. */
const struct opt *opt_find(const struct opt *table, const struct opt *common, struct slice name);
const struct opt *opt_find_letter(const struct opt *table, const struct opt *common, char letter);

/* How many single edits (a letter more, less, another, or two swapped) make `typed` into `word`; up to
 * 2 is worth a hint. SPELLING_FAR when either is longer than 32 bytes. */
#define SPELLING_NEAR 2
#define SPELLING_FAR  99
unsigned spelling_distance(struct slice typed, struct slice word);

/*
 * Is `word` probably what was meant, and nearer than any before? *best starts as SPELLING_FAR and is
 * lowered. A word that begins with what was typed is near; one edit in three letters is too, up to
 * SPELLING_NEAR.
 */
bool spelling_is_nearer(struct slice typed, struct slice word, unsigned *best);

#endif
