/* Reads a command line by the tables of opt.h. */
#include "opt.h"

#include <stdlib.h>

#include "../lib/base/banned.h"

/* Rows of one table that can be told apart in `given`. */
#define ROWS_MAX 64

/* How far the reading of one command line has come. */
struct reading {
	const struct opt *table;
	const struct opt *common;
	uint64_t given[2]; /* a bit for each row of table and common that was used */
	char **argv;
	int argc;
	int next;
	struct ledger_error *err;
};

static const struct opt *find_name(const struct opt *table, struct slice name)
{
	for (const struct opt *o = table; o && o->name; o++)
		if (slice_is(name, o->name))
			return o;
	return NULL;
}

const struct opt *opt_find(const struct opt *table, const struct opt *common, struct slice name)
{
	const struct opt *found = find_name(table, name);
	return found ? found : find_name(common, name);
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (const struct opt *o = table; o && o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

const struct opt *opt_find_letter(const struct opt *table, const struct opt *common, char letter)
{
	const struct opt *found = find_letter(table, letter);
	return found ? found : find_letter(common, letter);
}

/* --- Spelling -------------------------------------------------------------------------------- */

#define SPELLING_MAX 32

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: row i of the table is made from the two before it. */
unsigned spelling_distance(struct slice typed, struct slice word)
{
	unsigned rows[3][SPELLING_MAX + 1] = { 0 };
	if (typed.len > SPELLING_MAX || word.len > SPELLING_MAX)
		return SPELLING_FAR;
	for (unsigned j = 0; j <= word.len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= typed.len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *above_that = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= word.len; j++) {
			bool same = typed.ptr[i - 1] == word.ptr[j - 1];
			row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && typed.ptr[i - 1] == word.ptr[j - 2] &&
				typed.ptr[i - 2] == word.ptr[j - 1])
				row[j] = least(row[j], above_that[j - 2] + 1);
		}
	}
	return rows[typed.len % 3][word.len];
}

bool spelling_is_nearer(struct slice typed, struct slice word, unsigned *best)
{
	bool begins = typed.len > 1 && slice_starts(word, typed);
	unsigned distance = begins ? 0 : spelling_distance(typed, word);
	if (distance >= *best || distance > SPELLING_NEAR || distance * 3 > typed.len)
		return false;
	*best = distance;
	return true;
}

static const char *nearest_name(const struct reading *r, struct slice typed)
{
	const char *nearest = NULL;
	unsigned best = SPELLING_FAR;
	const struct opt *const tables[] = { r->table, r->common };
	for (size_t t = 0; t < 2; t++)
		for (const struct opt *o = tables[t]; o && o->name; o++)
			if (spelling_is_nearer(typed, slice_of(o->name), &best))
				nearest = o->name;
	return nearest;
}

/* --- Values ---------------------------------------------------------------------------------- */

static enum ledger_status bad_value(
	const struct opt *o, const char *value, const char *wanted, struct ledger_error *err)
{
	return fail(err, LEDGER_USAGE, "--%s takes %s, not '%.60s'", o->name, wanted, value);
}

static enum ledger_status set_number(
	const struct opt *o, const char *value, uint64_t *out, struct ledger_error *err)
{
	if (!slice_u64(slice_of(value), out))
		return bad_value(o, value, "a whole number", err);
	return LEDGER_OK;
}

static enum ledger_status set_size(const struct opt *o, const char *value, struct ledger_error *err)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = { { "", 1 }, { "KiB", 1u << 10 }, { "MiB", 1u << 20 }, { "GiB", 1u << 30 } };
	size_t digits = strspn(value, "0123456789");
	uint64_t n;
	uint64_t bytes;
	if (slice_u64((struct slice){ value, digits }, &n))
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strcmp(value + digits, units[i].name) == 0 &&
				!__builtin_mul_overflow(n, units[i].bytes, &bytes)) {
				*o->size = bytes;
				return LEDGER_OK;
			}
	return bad_value(o, value, "a size such as 4096, 64KiB, 1MiB or 1GiB", err);
}

static enum ledger_status set_duration(
	const struct opt *o, const char *value, struct ledger_error *err)
{
	if (time_parse_duration(slice_of(value), o->duration, err) != LEDGER_OK)
		return bad_value(o, value, "a time such as 250ms, 5s, 10m, 1h or 30d", err);
	return LEDGER_OK;
}

static bool is_choice(const char *const *choices, const char *value)
{
	for (; *choices; choices++)
		if (strcmp(*choices, value) == 0)
			return true;
	return false;
}

static enum ledger_status set_text(const struct opt *o, const char *value, struct ledger_error *err)
{
	if (o->choices && !is_choice(o->choices, value)) {
		CLEANUP_BUF struct buf wanted = { 0 };
		for (const char *const *choice = o->choices; *choice; choice++)
			buf_addf(&wanted, "%s%s", choice == o->choices ? "one of " : ", ", *choice);
		return bad_value(o, value, buf_text(&wanted), err);
	}
	*o->str = value;
	return LEDGER_OK;
}

/* gcc's -fanalyzer loses sight of a list that is known only by a row of a table, and takes it for leaked. */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
static enum ledger_status add_item(const struct opt *o, const char *value, struct ledger_error *err)
{
	struct opt_list *list = o->list;
	const char **grown = reallocarray(list->items, list->n + 1, sizeof(*grown));
	if (!grown)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	list->items = grown;
	list->items[list->n++] = value;
	return LEDGER_OK;
}
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

/* `value` is NULL for a flag. */
static enum ledger_status set(const struct opt *o, const char *value, struct ledger_error *err)
{
	if (o->flag)
		*o->flag = true;
	else if (o->u64)
		return set_number(o, value, o->u64, err);
	else if (o->maybe_u64) {
		TRY(set_number(o, value, &o->maybe_u64->value, err));
		o->maybe_u64->given = true;
	} else if (o->str)
		return set_text(o, value, err);
	else if (o->list)
		return add_item(o, value, err);
	else if (o->duration)
		return set_duration(o, value, err);
	else if (o->size)
		return set_size(o, value, err);
	return LEDGER_OK;
}

/* --- Words ----------------------------------------------------------------------------------- */

/* A value given twice is most often a slip, and the first one would be lost without a word. */
static enum ledger_status count(struct reading *r, const struct opt *o)
{
	bool own = find_name(r->table, slice_of(o->name)) == o;
	ptrdiff_t row = o - (own ? r->table : r->common);
	if (row >= ROWS_MAX)
		abort();
	uint64_t bit = UINT64_C(1) << row;
	if (!o->flag && !o->list && (r->given[own] & bit))
		return fail(r->err, LEDGER_USAGE, "--%s is given twice", o->name);
	r->given[own] |= bit;
	return LEDGER_OK;
}

/* Uses an option whose value is `value`, or the next word where that is NULL. */
static enum ledger_status use(struct reading *r, const struct opt *o, const char *value)
{
	TRY(count(r, o));
	if (!o->flag && !value) {
		if (r->next >= r->argc)
			return fail(
				r->err, LEDGER_USAGE, "--%s needs a value: %s", o->name, o->arg);
		value = r->argv[r->next++];
	}
	return set(o, value, r->err);
}

/* "name" or "name=value", behind the two hyphens. */
static enum ledger_status read_long(struct reading *r, const char *word)
{
	struct slice name = slice_of(word);
	struct slice value = { 0 };
	slice_cut(name, '=', &name, &value);
	const struct opt *o = opt_find(r->table, r->common, name);
	if (!o) {
		struct slice shown = { name.ptr, name.len < 60 ? name.len : 60 };
		fail(r->err, LEDGER_USAGE, "unknown option '--%.*s'", SLICE_ARG(shown));
		const char *near = nearest_name(r, name);
		return near ? hint(r->err, "did you mean --%s?", near) : LEDGER_USAGE;
	}
	if (o->flag && value.ptr)
		return fail(r->err, LEDGER_USAGE, "--%s takes no value", o->name);
	return use(r, o, value.ptr);
}

/* Flags in a row, the last one may be an option with its value: "fn10". */
static enum ledger_status read_letters(struct reading *r, const char *letters)
{
	for (; *letters; letters++) {
		const struct opt *o = opt_find_letter(r->table, r->common, *letters);
		if (!o) {
			size_t n = slice_utf8_char(slice_of(letters), NULL);
			fail(r->err, LEDGER_USAGE, "unknown option '-%.*s'", n ? (int)n : 1,
				letters);
			return hint(r->err, "an operand that begins with - goes behind --");
		}
		if (!o->flag)
			return use(r, o, letters[1] ? letters + 1 : NULL);
		TRY(use(r, o, NULL));
	}
	return LEDGER_OK;
}

/* Moves the words from r->next on behind the operands that are there. */
static void take_rest(struct reading *r, int *operands)
{
	while (r->next < r->argc)
		r->argv[(*operands)++] = r->argv[r->next++];
}

enum ledger_status opt_parse(const struct opt *table, const struct opt *common, int argc,
	char **argv, bool stop_at_operand, int *operands, struct ledger_error *err)
{
	struct reading r = {
		.table = table, .common = common, .argv = argv, .argc = argc, .err = err
	};
	int n = 0;
	while (r.next < argc) {
		char *word = argv[r.next++];
		if (strcmp(word, "--") == 0)
			take_rest(&r, &n);
		else if (strncmp(word, "--", 2) == 0)
			TRY(read_long(&r, word + 2));
		else if (word[0] == '-' && word[1])
			TRY(read_letters(&r, word + 1));
		else {
			argv[n++] = word;
			if (stop_at_operand)
				take_rest(&r, &n);
		}
	}
	*operands = n;
	return LEDGER_OK;
}

void opt_done(const struct opt *table)
{
	for (const struct opt *o = table; o && o->name; o++)
		if (o->list) {
			free(o->list->items);
			*o->list = (struct opt_list){ 0 };
		}
}
