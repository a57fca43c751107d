/* What is in quarantine, for people; retrying and discarding, which are recorded as events. */
#include "accept.h"

#include "../base/banned.h"

static const char *const states[] = { [LEDGER_HELD_OPEN] = "open",
	[LEDGER_HELD_ANSWERED] = "answered",
	[LEDGER_HELD_DISCARDED] = "discarded" };

const char *ledger_held_name(enum ledger_held state)
{
	return states[state];
}

static bool read_state(struct slice word, enum ledger_held *state)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (slice_is(word, states[i])) {
			*state = (enum ledger_held)i;
			return true;
		}
	}
	return false;
}

static enum ledger_status read_row(
	struct ledger *l, struct stmt *st, struct ledger_quarantined *out, struct ledger_error *err)
{
	struct ledger_quarantined q = { .source = column_text(st, 1), .text = column_text(st, 3) };
	bool good = column_u64(st, 0, &q.row) && q.source.ptr && q.text.ptr &&
		    quarantine_reason(column_text(st, 2), &q.reason) &&
		    column_u64(st, 8, &q.first) && column_u64(st, 9, &q.last) &&
		    column_u64(st, 10, &q.times) && read_state(column_text(st, 11), &q.state);
	q.chain.origin = column_text(st, 4);
	column_u64(st, 5, &q.chain.epoch);
	q.chain.domain = column_text(st, 6);
	column_u64(st, 7, &q.sequence);
	q.bytes = column_blob(st, 12);
	if (!good || !q.bytes.ptr)
		return fail(err, LEDGER_DAMAGED, "table quarantine of %s has a malformed row",
			store_path(l->store));
	*out = q;
	return LEDGER_OK;
}

enum ledger_status ledger_quarantine_list(struct ledger *l, bool all, ledger_quarantined_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_QUARANTINE_LIST, &st, err));
	bind_u64(st, 1, all);
	for (;;) {
		struct ledger_quarantined q;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_row(l, st, &q, err));
		TRY(fn(&q, context, err));
	}
}

enum ledger_status ledger_quarantine_show(struct ledger *l, uint64_t row, ledger_quarantined_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	struct ledger_quarantined q;
	bool found;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_QUARANTINE_ROW, &st, err));
	bind_u64(st, 1, row);
	TRY(stmt_row(l->store, st, &found, err));
	if (!found) {
		fail(err, LEDGER_NO, "there is no row %" PRIu64 " in quarantine", row);
		return hint(err, "see them with: ledgerbox quarantine list --all");
	}
	TRY(read_row(l, st, &q, err));
	return fn(&q, context, err);
}

enum ledger_status ledger_quarantine_dropped(
	struct ledger *l, ledger_dropped_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(store_prepare(l->store, SQL_DROPPED, &st, err));
	for (;;) {
		uint64_t messages = 0, last = 0;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		column_u64(st, 1, &messages);
		column_u64(st, 2, &last);
		TRY(fn(column_text(st, 0), messages, last, context, err));
	}
}

enum ledger_status ledger_trouble(
	struct ledger *l, struct ledger_trouble *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger_trouble t;
	bool row;
	TRY(store_get(l->store, SQL_TROUBLE, &st, err));
	TRY(stmt_row(l->store, st, &row, err));
	if (!row || !column_u64(st, 0, &t.forks) || !column_u64(st, 1, &t.quarantined) ||
		!column_u64(st, 2, &t.waiting) || !column_u64(st, 3, &t.dropped))
		return fail(err, LEDGER_DAMAGED, "the tables of quarantine in %s cannot be read",
			store_path(l->store));
	*out = t;
	return LEDGER_OK;
}

/* --- Retry and discard ---------------------------------------------------------------------------- */

/* A row with its text in memory that outlives the statement. */
struct copy {
	struct arena arena;
	struct ledger_quarantined row;
};

static void copy_done(struct copy *c)
{
	arena_done(&c->arena);
}

#define CLEANUP_COPY __attribute__((cleanup(copy_done)))

static enum ledger_status keep_copy(
	const struct ledger_quarantined *held, void *context, struct ledger_error *err)
{
	struct copy *c = context;
	struct slice *const texts[] = { &c->row.source, &c->row.text, &c->row.chain.origin,
		&c->row.chain.domain, &c->row.bytes };
	c->row = *held;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!texts[i]->ptr)
			continue;
		*texts[i] = arena_copy(&c->arena, *texts[i]);
		if (!texts[i]->ptr)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	return LEDGER_OK;
}

static enum ledger_status find_open(
	struct ledger *l, uint64_t row, struct copy *c, struct ledger_error *err)
{
	TRY(ledger_quarantine_show(l, row, keep_copy, c, err));
	if (c->row.state != LEDGER_HELD_OPEN)
		return fail(err, LEDGER_NO, "row %" PRIu64 " is closed: %s", row,
			ledger_held_name(c->row.state));
	return LEDGER_OK;
}

/* What the event about a row says of it; the object stays open for more. */
static void describe(const struct ledger_quarantined *q, struct buf *out)
{
	uint8_t hash[EVENT_HASH_SIZE];
	chain_sha256(q->bytes, hash);
	buf_addf(out, "{\"row\":%" PRIu64 ",\"source\":", q->row);
	json_add_string(out, q->source);
	buf_addf(out, ",\"refused\":\"%s\"", ledger_reason_name(q->reason));
	if (q->chain.origin.ptr)
		buf_addf(out, ",\"origin\":\"%.*s\"", SLICE_ARG(q->chain.origin));
	if (q->chain.epoch)
		buf_addf(out, ",\"epoch\":%" PRIu64, q->chain.epoch);
	if (q->chain.domain.ptr)
		buf_addf(out, ",\"domain\":\"%.*s\"", SLICE_ARG(q->chain.domain));
	if (q->sequence)
		buf_addf(out, ",\"sequence\":%" PRIu64, q->sequence);
	buf_addf(out, ",\"size\":%zu,\"sha256\":\"", q->bytes.len);
	buf_add_hex(out, hash, EVENT_HASH_SIZE);
	buf_add_char(out, '"');
}

static enum ledger_status discard(
	struct ledger *l, uint64_t row, struct slice reason, struct ledger_error *err)
{
	CLEANUP_COPY struct copy c = { { NULL }, { 0 } };
	CLEANUP_BUF struct buf payload = { 0 };
	uint64_t position;
	TRY(find_open(l, row, &c, err));
	describe(&c.row, &payload);
	buf_add_text(&payload, ",\"reason\":");
	json_add_string(&payload, reason);
	buf_add_char(&payload, '}');
	TRY(record_deed(l, "quarantine_discarded", &payload, &position, err));
	return quarantine_close(l, row, LEDGER_HELD_DISCARDED, err);
}

enum ledger_status ledger_quarantine_discard(
	struct ledger *l, uint64_t row, struct slice reason, struct ledger_error *err)
{
	TRY(ledger_begin(l, err));
	enum ledger_status status = discard(l, row, reason, err);
	if (status) {
		ledger_rollback(l);
		return status;
	}
	return ledger_commit(l, err);
}

static enum ledger_status retry(
	struct ledger *l, uint64_t row, struct ledger_accepted *result, struct ledger_error *err)
{
	CLEANUP_COPY struct copy c = { { NULL }, { 0 } };
	CLEANUP_BUF struct buf payload = { 0 };
	uint64_t position;
	struct candidate candidate;
	TRY(find_open(l, row, &c, err));
	struct ledger_source source = { .name = c.row.source };
	struct ledger_received received = { .line = c.row.bytes, .source = &source };
	TRY(accept_examine(l, &received, &c.arena, &candidate, err));
	TRY(accept_place(l, &candidate, result, err));
	if (result->outcome == LEDGER_INSERTED || result->outcome == LEDGER_KNOWN)
		TRY(quarantine_close(l, row, LEDGER_HELD_ANSWERED, err));
	describe(&c.row, &payload);
	buf_addf(&payload, ",\"outcome\":\"%s\"}", ledger_outcome_name(result->outcome));
	return record_deed(l, "quarantine_retried", &payload, &position, err);
}

enum ledger_status ledger_quarantine_retry(
	struct ledger *l, uint64_t row, struct ledger_accepted *result, struct ledger_error *err)
{
	struct ledger_accepted made;
	TRY(ledger_begin(l, err));
	enum ledger_status status = retry(l, row, &made, err);
	if (status)
		ledger_rollback(l);
	else
		status = ledger_commit(l, err);
	if (!status)
		*result = made;
	return status;
}
