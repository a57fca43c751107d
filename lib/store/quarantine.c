/*
 * Quarantine: what was refused, kept for an operator with why and from whom. Capped for each source, so
 * that nobody can fill the disk; what comes on top is counted. What waits for a key or a format has one
 * row for its chain and reason, whatever comes of it.
 */
#include "accept.h"

#include "../base/banned.h"

/* What the bytes claim: of a line that could not be read, as much as can be. */
struct claim {
	struct slice origin, domain;
	uint64_t epoch, sequence; /* 0: not said */
};

static struct slice claimed_token(struct slice object, struct slice field)
{
	struct slice value;
	if (!json_member(object, field, &value) || json_kind(value) != JSON_STRING)
		return (struct slice){ NULL, 0 };
	value = (struct slice){ value.ptr + 1, value.len - 2 };
	return slice_is_token(value) ? value : (struct slice){ NULL, 0 };
}

static uint64_t claimed_number(struct slice object, struct slice field)
{
	struct slice value;
	uint64_t number;
	if (!json_member(object, field, &value) || json_kind(value) != JSON_NUMBER ||
		!json_u64(value, &number) || number > TIME_MAX)
		return 0;
	return number;
}

static struct claim read_claim(const struct candidate *c)
{
	const struct event *e = &c->event;
	struct ledger_error ignored;
	struct slice object;
	if (c->has_event)
		return (struct claim){ e->origin, e->domain, e->epoch, e->sequence };
	const struct ledger_source *source = c->received->source;
	struct claim claim = { source->origin, source->domain, 0, 0 };
	if (c->received->line.len >= EVENT_LINE_MAX ||
		json_check_line(c->received->line, &object, &ignored) ||
		json_kind(object) != JSON_OBJECT)
		return claim;
	claim.origin = claimed_token(object, SLICE("origin"));
	claim.domain = claimed_token(object, SLICE("domain"));
	claim.epoch = claimed_number(object, SLICE("epoch"));
	claim.sequence = claimed_number(object, SLICE("sequence"));
	return claim;
}

static bool is_waiting(const struct candidate *c)
{
	return c->reason == LEDGER_REASON_KEY || c->reason == LEDGER_REASON_FORMAT;
}

/* What makes two of them one row: the bytes, or chain and reason. */
static enum ledger_status digest(const struct candidate *c, const struct claim *claim,
	uint8_t out[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	if (!is_waiting(c)) {
		chain_sha256(c->received->line, out);
		return LEDGER_OK;
	}
	pae_begin(&bytes, 5);
	pae_add(&bytes, SLICE("waiting"));
	pae_add(&bytes, slice_of(c->text));
	pae_add(&bytes, claim->origin);
	pae_add_u64(&bytes, claim->epoch);
	pae_add(&bytes, claim->domain);
	TRY(buf_check(&bytes, err));
	chain_sha256(buf_slice(&bytes), out);
	return LEDGER_OK;
}

/* --- Adding -------------------------------------------------------------------------------------- */

/* Counts one that is there already; *row stays 0 without it. Waiting again opens a row again. */
static enum ledger_status count_again(struct ledger *l, const struct candidate *c,
	const struct claim *claim, const uint8_t hash[EVENT_HASH_SIZE], uint64_t *row,
	struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool found;
	TRY(store_get(l->store, is_waiting(c) ? SQL_QUARANTINE_WAIT_AGAIN : SQL_QUARANTINE_AGAIN,
		&st, err));
	bind_blob(st, 1, hash, EVENT_HASH_SIZE);
	bind_u64(st, 2, time_now());
	if (is_waiting(c))
		bind_u64(st, 3, claim->sequence);
	TRY(stmt_row(l->store, st, &found, err));
	if (found && !column_u64(st, 0, row))
		return fail(err, LEDGER_DAMAGED, "table quarantine of %s has a malformed row",
			store_path(l->store));
	return LEDGER_OK;
}

static enum ledger_status has_room(
	struct ledger *l, const struct candidate *c, bool *room, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t rows = 0, bytes = 0;
	bool row;
	TRY(store_get(l->store, SQL_QUARANTINE_ROOM, &st, err));
	bind_text(st, 1, c->received->source->name);
	TRY(stmt_row(l->store, st, &row, err));
	*room = row && column_u64(st, 0, &rows) && column_u64(st, 1, &bytes) &&
		rows < LEDGER_QUARANTINE_ROWS &&
		bytes + c->received->line.len <= LEDGER_QUARANTINE_BYTES;
	return LEDGER_OK;
}

static enum ledger_status count_dropped(
	struct ledger *l, const struct candidate *c, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_DROPPED_ADD, &st, err));
	bind_text(st, 1, c->received->source->name);
	bind_u64(st, 2, time_now());
	return stmt_run(l->store, st, err);
}

static void bind_number(struct stmt *st, int at, uint64_t number)
{
	if (number)
		bind_u64(st, at, number);
	else
		bind_text(st, at, (struct slice){ NULL, 0 });
}

/* The right event of the place may be here already: a damaged copy of it came late. */
static enum ledger_status is_here(struct ledger *l, const struct candidate *c,
	const struct claim *claim, bool *here, struct ledger_error *err)
{
	struct ledger_chain_name name = { claim->origin, claim->epoch, claim->domain };
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t chain;
	*here = false;
	if (is_waiting(c) || !claim->origin.ptr || !claim->domain.ptr || !claim->epoch)
		return LEDGER_OK;
	TRY(range_chain(l, &name, &chain, err));
	return chain ? range_hash(l, chain, claim->sequence, here, hash, err) : LEDGER_OK;
}

static enum ledger_status insert_row(struct ledger *l, const struct candidate *c,
	const struct claim *claim, const uint8_t hash[EVENT_HASH_SIZE], uint64_t *id,
	struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row, here;
	struct slice line = c->received->line;
	TRY(is_here(l, c, claim, &here, err));
	TRY(store_get(l->store, SQL_QUARANTINE_INSERT, &st, err));
	bind_blob(st, 1, hash, EVENT_HASH_SIZE);
	bind_text(st, 2, c->received->source->name);
	bind_text(st, 3, slice_of(ledger_reason_name(c->reason)));
	bind_text(st, 4, slice_of(c->text));
	bind_text(st, 5, claim->origin);
	bind_number(st, 6, claim->epoch);
	bind_text(st, 7, claim->domain);
	bind_number(st, 8, claim->sequence);
	bind_u64(st, 9, time_now());
	bind_text(
		st, 10, slice_of(ledger_held_name(here ? LEDGER_HELD_ANSWERED : LEDGER_HELD_OPEN)));
	bind_u64(st, 11, line.len);
	bind_blob(st, 12, (const uint8_t *)(line.ptr ? line.ptr : ""), line.len);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row || !column_u64(st, 0, id))
		return fail(err, LEDGER_IO, "%s took no row of quarantine", store_path(l->store));
	return LEDGER_OK;
}

static enum ledger_status forget_oldest(struct ledger *l, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_QUARANTINE_FORGET, &st, err));
	bind_u64(st, 1, LEDGER_QUARANTINE_ROWS);
	return stmt_run(l->store, st, err);
}

enum ledger_status quarantine_add(
	struct ledger *l, const struct candidate *c, uint64_t *row, struct ledger_error *err)
{
	uint8_t hash[EVENT_HASH_SIZE];
	bool room;
	struct claim claim = read_claim(c);
	uint64_t id = 0;
	TRY(digest(c, &claim, hash, err));
	TRY(count_again(l, c, &claim, hash, &id, err));
	if (!id) {
		TRY(has_room(l, c, &room, err));
		if (!room)
			return count_dropped(l, c, err);
		TRY(insert_row(l, c, &claim, hash, &id, err));
		TRY(forget_oldest(l, err));
	}
	for (size_t i = 0; i < l->batch.n_tails; i++)
		l->batch.tails[i].looked = false; /* one of them may have an open row now */
	*row = id;
	return LEDGER_OK;
}

/* --- Closing ------------------------------------------------------------------------------------- */

enum ledger_status quarantine_answer(
	struct ledger *l, const struct event *event, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_QUARANTINE_ANSWER, &st, err));
	bind_text(st, 1, event->origin);
	bind_u64(st, 2, event->epoch);
	bind_text(st, 3, event->domain);
	bind_u64(st, 4, event->sequence);
	return stmt_run(l->store, st, err);
}

enum ledger_status quarantine_close(
	struct ledger *l, uint64_t row, enum ledger_held state, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_QUARANTINE_CLOSE, &st, err));
	bind_u64(st, 1, row);
	bind_text(st, 2, slice_of(ledger_held_name(state)));
	return stmt_run(l->store, st, err);
}
