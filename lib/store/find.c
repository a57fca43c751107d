/* One event by position, id, unique prefix of an id, or place in its chain. */
#include "handle.h"

#include "../base/banned.h"

#define PREFIX_MIN   8
#define PREFIX_SHOWN 3

static enum ledger_status deliver(struct ledger *l, struct stmt *st, ledger_event_fn *fn,
	void *context, struct ledger_error *err)
{
	struct event event;
	TRY(row_read(l, st, &event, err));
	return fn(&event, context, err);
}

static enum ledger_status nothing(struct slice reference, struct ledger_error *err)
{
	return fail(err, LEDGER_NO, "there is no event %.*s", SLICE_ARG(reference));
}

static enum ledger_status by_position(struct ledger *l, struct slice reference, uint64_t position,
	ledger_event_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_EVENT, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(l->store, st, &row, err));
	return row ? deliver(l, st, fn, context, err) : nothing(reference, err);
}

/* "origin/epoch/domain/sequence" */
static bool parse_place(struct slice text, struct slice *origin, uint64_t *epoch,
	struct slice *domain, uint64_t *sequence)
{
	struct slice epoch_text, rest;
	return slice_cut(text, '/', origin, &rest) && slice_cut(rest, '/', &epoch_text, &rest) &&
	       slice_u64(epoch_text, epoch) && slice_cut(rest, '/', domain, &rest) &&
	       slice_u64(rest, sequence) && slice_is_token(*origin) && slice_is_token(*domain);
}

static enum ledger_status by_place(struct ledger *l, struct slice reference, ledger_event_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct slice origin, domain;
	uint64_t epoch, sequence, domain_id, chain;
	bool row;
	if (!parse_place(reference, &origin, &epoch, &domain, &sequence)) {
		fail(err, LEDGER_INVALID, "'%.*s' is no place in a chain", SLICE_ARG(reference));
		return hint(err,
			"write it origin/epoch/domain/sequence, as verify and tail print them");
	}
	if (names_domain_id(l, domain, false, &domain_id, err) ||
		names_chain_id(l, origin, epoch, domain_id, false, &chain, err))
		return err->status == LEDGER_NO ? nothing(reference, err) : err->status;
	TRY(store_get(l->store, SQL_CHAIN_EVENT, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, sequence);
	TRY(stmt_row(l->store, st, &row, err));
	return row ? deliver(l, st, fn, context, err) : nothing(reference, err);
}

/* Hex digits of a prefix (hyphens left out) into the lowest and the highest id that begin so. */
static bool parse_prefix(struct slice text, uint8_t low[16], uint8_t high[16])
{
	size_t digits = 0;
	memset(low, 0x00, 16);
	memset(high, 0xFF, 16);
	for (size_t i = 0; i < text.len; i++) {
		char pair[2] = { '0', text.ptr[i] };
		uint8_t value;
		if (text.ptr[i] == '-')
			continue;
		if (digits == 32 || !slice_unhex((struct slice){ pair, 2 }, &value, 1))
			return false;
		unsigned shift = digits % 2 ? 0 : 4;
		low[digits / 2] = (uint8_t)(low[digits / 2] | value << shift);
		high[digits / 2] = (uint8_t)((high[digits / 2] & ~(0xF << shift)) | value << shift);
		digits++;
	}
	return digits >= PREFIX_MIN;
}

static enum ledger_status several(struct slice reference, struct buf *ids, struct ledger_error *err)
{
	fail(err, LEDGER_INVALID, "%.*s is the beginning of several ids", SLICE_ARG(reference));
	return hint(err, "give more of it: %s", buf_text(ids));
}

static void add_id(struct buf *ids, const struct event *event)
{
	char id[UUID_TEXT_MAX];
	uuid_format(event->id, id);
	buf_addf(ids, "%s%s", ids->len ? ", " : "", id);
}

/* Counts the events that begin so, up to a few; *position is that of the last. */
static enum ledger_status count_ids(struct ledger *l, const uint8_t low[16], const uint8_t high[16],
	struct buf *ids, int *n, uint64_t *position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_EVENTS_BY_ID, &st, err));
	bind_blob(st, 1, low, 16);
	bind_blob(st, 2, high, 16);
	bind_u64(st, 3, PREFIX_SHOWN);
	for (*n = 0;; (*n)++) {
		struct event event;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(row_read(l, st, &event, err));
		add_id(ids, &event);
		*position = event.position;
	}
}

static enum ledger_status by_id(struct ledger *l, struct slice reference, ledger_event_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf ids = { 0 };
	uint8_t low[16], high[16];
	uint64_t position = 0;
	int n;
	if (!parse_prefix(reference, low, high)) {
		fail(err, LEDGER_INVALID, "'%.*s' is no position, id or place",
			(int)(reference.len < 80 ? reference.len : 80), reference.ptr);
		return hint(err,
			"give a position, at least %d digits of an id, or "
			"origin/epoch/domain/sequence",
			PREFIX_MIN);
	}
	TRY(count_ids(l, low, high, &ids, &n, &position, err));
	if (n == 0)
		return nothing(reference, err);
	return n > 1 ? several(reference, &ids, err)
		     : by_position(l, reference, position, fn, context, err);
}

enum ledger_status ledger_find(struct ledger *l, struct slice reference, ledger_event_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	uint64_t position;
	TRY(read_txn_begin(&txn, l->store, err));
	if (memchr(reference.ptr, '/', reference.len))
		return by_place(l, reference, fn, context, err);
	/* Eight digits and more may be either: a position where there is one, else an id. */
	if (slice_u64(reference, &position)) {
		enum ledger_status status = by_position(l, reference, position, fn, context, err);
		if (status != LEDGER_NO || reference.len < PREFIX_MIN)
			return status;
	}
	return by_id(l, reference, fn, context, err);
}
