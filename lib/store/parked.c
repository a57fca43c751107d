/* What handlers could not take: events that wait for an operator, and the one a handler stands before. */
#include "parked.h"

#include "../base/banned.h"

/* A reason is for people: its beginning tells enough. */
#define REASON_MAX 1000

static struct slice shortened(struct slice reason)
{
	if (!slice_is_utf8(reason))
		return SLICE("(not text)");
	size_t n = reason.len < REASON_MAX ? reason.len : REASON_MAX;
	/* Not in the middle of a character. */
	while (n < reason.len && n > 0 && ((unsigned char)reason.ptr[n] & 0xC0) == 0x80)
		n--;
	return (struct slice){ reason.ptr ? reason.ptr : "", n };
}

/* --- Reading --------------------------------------------------------------------------------- */

static enum ledger_status read_row(
	struct ledger *l, struct stmt *st, struct ledger_parked *p, struct ledger_error *err)
{
	struct slice hash = column_blob(st, 4);
	p->handler = column_text(st, 0);
	p->domain = column_text(st, 2);
	p->stream = column_text(st, 3);
	p->reason = column_text(st, 6);
	if (!p->handler.ptr || !p->domain.ptr || !p->reason.ptr || hash.len != EVENT_HASH_SIZE ||
		!column_u64(st, 1, &p->position) || !column_u64(st, 5, &p->failures) ||
		!column_u64(st, 7, &p->since))
		return fail(err, LEDGER_DAMAGED, "%s has a malformed row in table parked",
			store_path(l->store));
	memcpy(p->hash, hash.ptr, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

enum ledger_status ledger_parked(struct ledger *l, struct slice handler, ledger_parked_fn *fn,
	void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, handler.ptr ? SQL_PARKED : SQL_PARKED_ALL, &st, err));
	if (handler.ptr)
		bind_text(st, 1, handler);
	for (;;) {
		struct ledger_parked parked;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(read_row(l, st, &parked, err));
		TRY(fn(&parked, context, err));
	}
}

enum ledger_status parked_any(
	struct ledger *l, struct slice handler, bool *any, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_PARKED, &st, err));
	bind_text(st, 1, handler);
	return stmt_row(l->store, st, any, err);
}

enum ledger_status parked_is(struct ledger *l, struct slice handler, uint64_t position, bool *found,
	struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_PARKED_AT, &st, err));
	bind_text(st, 1, handler);
	bind_u64(st, 2, position);
	return stmt_row(l->store, st, found, err);
}

enum ledger_status parked_before(struct ledger *l, struct slice handler, const struct event *event,
	uint64_t *position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*position = 0;
	if (!event->stream.ptr)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_PARKED_BEFORE, &st, err));
	bind_text(st, 1, handler);
	bind_text(st, 2, event->domain);
	bind_text(st, 3, event->stream);
	bind_u64(st, 4, event->position);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, position))
		*position = 0;
	return LEDGER_OK;
}

/* --- Writing --------------------------------------------------------------------------------- */

static enum ledger_status forget_failing(
	struct ledger *l, struct slice handler, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_FAILING_DELETE, &st, err));
	bind_text(st, 1, handler);
	return stmt_run(l->store, st, err);
}

static enum ledger_status park(struct ledger *l, struct slice handler, const struct event *event,
	uint64_t failures, struct slice reason, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_PARK, &st, err));
	bind_text(st, 1, handler);
	bind_u64(st, 2, event->position);
	bind_text(st, 3, event->domain);
	bind_text(st, 4, event->stream);
	bind_blob(st, 5, event->hash, EVENT_HASH_SIZE);
	bind_u64(st, 6, failures);
	bind_text(st, 7, shortened(reason));
	bind_u64(st, 8, time_now());
	TRY(stmt_run(l->store, st, err));
	return forget_failing(l, handler, err);
}

enum ledger_status parked_add(struct ledger *l, struct slice handler, const struct event *event,
	uint64_t failures, struct slice reason, struct ledger_error *err)
{
	IN_TRANSACTION(l, park(l, handler, event, failures, reason, err));
}

static enum ledger_status count_failure(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_PARKED_FAILED, &st, err));
	bind_text(st, 1, handler);
	bind_u64(st, 2, position);
	bind_text(st, 3, shortened(reason));
	return stmt_run(l->store, st, err);
}

enum ledger_status parked_failed(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, struct ledger_error *err)
{
	IN_TRANSACTION(l, count_failure(l, handler, position, reason, err));
}

static enum ledger_status delete (
	struct ledger *l, struct slice handler, uint64_t position, struct ledger_error *err) {
	CLEANUP_STMT struct stmt *st = NULL; bool row;
	TRY(store_get(l->store, SQL_PARKED_DELETE, &st, err));
	bind_text(st, 1, handler);
	bind_u64(st, 2, position);
	TRY(stmt_row(l->store, st, &row, err));
	if (row) return LEDGER_OK;
	fail(err, LEDGER_NO, "no event at position %" PRIu64 " is parked for %.*s", position,
		SLICE_ARG(handler));
	return hint(err, "see them with: ledgerbox replay parked list");
}

enum ledger_status ledger_parked_discard(
	struct ledger *l, struct slice handler, uint64_t position, struct ledger_error *err)
{
	IN_TRANSACTION(l, delete (l, handler, position, err));
}

/* --- Standing before an event ---------------------------------------------------------------- */

enum ledger_status ledger_handler_failing(struct ledger *l, struct slice handler,
	struct ledger_failing *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_FAILING, &st, err));
	bind_text(st, 1, handler);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "handler %.*s has not stopped", SLICE_ARG(handler));
	struct slice reason = column_text(st, 2);
	if (!column_u64(st, 0, &out->position) || !column_u64(st, 1, &out->failures) ||
		!reason.ptr || !column_u64(st, 3, &out->updated))
		return fail(err, LEDGER_DAMAGED, "%s has a malformed row in table failing",
			store_path(l->store));
	size_t n = reason.len < sizeof(out->reason) - 1 ? reason.len : sizeof(out->reason) - 1;
	memcpy(out->reason, reason.ptr, n);
	out->reason[n] = '\0';
	return LEDGER_OK;
}

static enum ledger_status set_failing(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, uint64_t *failures, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_FAILING_SET, &st, err));
	bind_text(st, 1, handler);
	bind_u64(st, 2, position);
	bind_text(st, 3, shortened(reason));
	bind_u64(st, 4, time_now());
	TRY(stmt_row(l->store, st, &row, err));
	return row && column_u64(st, 0, failures)
		       ? LEDGER_OK
		       : fail(err, LEDGER_IO, "%s did not count a failure", store_path(l->store));
}

enum ledger_status failing_set(struct ledger *l, struct slice handler, uint64_t position,
	struct slice reason, uint64_t *failures, struct ledger_error *err)
{
	IN_TRANSACTION(l, set_failing(l, handler, position, reason, failures, err));
}

enum ledger_status failing_forget(struct ledger *l, struct slice handler, struct ledger_error *err)
{
	IN_TRANSACTION(l, forget_failing(l, handler, err));
}
