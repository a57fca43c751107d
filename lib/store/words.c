/* Distinct words for completion and counting: one index seek per word, however many events there are. */
#include "handle.h"

#include "../base/banned.h"

/* Words of a small table, read whole. */
static enum ledger_status list_rows(struct ledger *l, enum sql which, struct slice prefix,
	size_t limit, ledger_word_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, which, &st, err));
	while (limit) {
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			break;
		struct slice word = column_text(st, 0);
		if (!slice_starts(word, prefix))
			continue;
		TRY(fn(word, context, err));
		limit--;
	}
	return LEDGER_OK;
}

/* Blocks of table term whose tags are listed: those of the last million events. */
#define BLOCKS_LISTED 32

static enum ledger_status bind_blocks(struct ledger *l, struct stmt *st, struct ledger_error *err)
{
	struct seal seal;
	TRY(seal_read(l, &seal, err));
	uint64_t last = seal.position / FORMAT_BLOCK;
	bind_u64(st, 2, last < BLOCKS_LISTED ? 0 : last - BLOCKS_LISTED + 1);
	bind_u64(st, 3, last);
	return LEDGER_OK;
}

/* Among the terms: what is no tag. Then `last` leaps over all of its kind: correlations, or the streams of
 * a type (their keys may begin with any byte). */
static bool leap_over(struct slice term, struct buf *last)
{
	struct slice type, key, before;
	if (term.len && term.ptr[0] == '@') {
		buf_reset(last);
		buf_add_text(last, "@\x7f\x7f\x7f\x7f");
		return true;
	}
	if (!slice_cut(term, '/', &type, &key) || slice_cut(type, ':', &before, &key))
		return false;
	buf_reset(last);
	buf_add_slice(last, type);
	buf_add_text(last, "/\xff");
	return true;
}

/* Words of an index: each asks for the next one behind the last. */
static enum ledger_status list_index(struct ledger *l, enum sql which, struct slice prefix,
	size_t limit, ledger_word_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	CLEANUP_BUF struct buf last = { 0 };
	TRY(store_get(l->store, which, &st, err));
	if (which == SQL_NEXT_TERM)
		TRY(bind_blocks(l, st, err));
	/* Just before the first word that begins so: the prefix less its last byte's successor would skip an
	 * equal word, so the search starts at the prefix with its last byte one lower and the highest behind. */
	buf_add_slice(&last, prefix);
	if (last.len) {
		last.ptr[last.len - 1]--;
		buf_add_text(&last, "\x7f\x7f\x7f\x7f");
	}
	while (limit) {
		bool row;
		TRY(buf_check(&last, err));
		stmt_reset(&st);
		bind_text(st, 1, buf_slice(&last));
		TRY(stmt_row(l->store, st, &row, err));
		struct slice word = row ? column_text(st, 0) : (struct slice){ NULL, 0 };
		if (!word.ptr || slice_cmp((struct slice){ word.ptr,
						   word.len < prefix.len ? word.len : prefix.len },
					 prefix) > 0)
			break;
		/* Without progress a file with a damaged index would keep us here for ever. */
		if (slice_cmp(word, buf_slice(&last)) <= 0) {
			fail(err, LEDGER_DAMAGED, "an index of %s is out of order",
				store_path(l->store));
			return hint(err, "ledgerbox verify --deep lists what is wrong");
		}
		buf_reset(&last);
		buf_add_slice(&last, word);
		if (which == SQL_NEXT_TERM && leap_over(word, &last))
			continue;
		if (!slice_starts(word, prefix))
			continue;
		TRY(fn(word, context, err));
		limit--;
	}
	return LEDGER_OK;
}

struct cursor_words {
	struct slice prefix;
	size_t limit;
	ledger_word_fn *fn;
	void *context;
};

static enum ledger_status cursor_word(
	const struct ledger_cursor *cursor, void *context, struct ledger_error *err)
{
	struct cursor_words *c = context;
	if (c->limit == 0 || !slice_starts(cursor->name, c->prefix))
		return LEDGER_OK;
	c->limit--;
	return c->fn(cursor->name, c->context, err);
}

enum ledger_status ledger_list_words(struct ledger *l, enum ledger_words which, struct slice prefix,
	size_t limit, ledger_word_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct cursor_words cursors = { prefix, limit, fn, context };
	TRY(read_txn_begin(&txn, l->store, err));
	switch (which) {
	case LEDGER_WORDS_DOMAIN:
		return list_rows(l, SQL_WORDS_DOMAIN, prefix, limit, fn, context, err);
	case LEDGER_WORDS_ORIGIN:
		return list_rows(l, SQL_WORDS_ORIGIN, prefix, limit, fn, context, err);
	case LEDGER_WORDS_TYPE:
		return list_index(l, SQL_NEXT_TYPE, prefix, limit, fn, context, err);
	case LEDGER_WORDS_STREAM:
		return list_index(l, SQL_NEXT_STREAM, prefix, limit, fn, context, err);
	case LEDGER_WORDS_TAG:
		return list_index(l, SQL_NEXT_TERM, prefix, limit, fn, context, err);
	case LEDGER_WORDS_CURSOR:
		return ledger_cursors(l, cursor_word, &cursors, err);
	}
	return LEDGER_OK;
}
