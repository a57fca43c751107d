#include "owner.h"

#include "../base/banned.h"

/* --- Rows ---------------------------------------------------------------------------------------- */

static enum ledger_status malformed(struct ledger *l, const char *table, struct ledger_error *err)
{
	fail(err, LEDGER_DAMAGED, "table %s of %s has a malformed row", table,
		store_path(l->store));
	return hint(err, "ledgerbox verify lists what is wrong");
}

/* A token, NUL-terminated; NULL is "" where that is allowed. */
static bool read_token(struct stmt *st, int at, bool may_be_absent, char out[65])
{
	struct slice text = column_text(st, at);
	memset(out, 0, 65);
	if (!text.ptr)
		return may_be_absent;
	if (!slice_is_token(text))
		return false;
	memcpy(out, text.ptr, text.len);
	return true;
}

/* 32 bytes, or none at all and then zeros. */
static bool read_hash(struct stmt *st, int at, bool empty, uint8_t out[EVENT_HASH_SIZE])
{
	struct slice bytes = column_blob(st, at);
	memset(out, 0, EVENT_HASH_SIZE);
	if (!bytes.ptr || bytes.len != (empty ? 0 : EVENT_HASH_SIZE))
		return false;
	memcpy(out, bytes.ptr, bytes.len);
	return true;
}

static void bind_name(struct stmt *st, const struct owner_name *name)
{
	bind_text(st, 1, name->stream);
	bind_text(st, 2, name->domain);
}

enum ledger_status owner_read(struct ledger *l, const struct owner_name *name,
	struct owner_row *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t state = 0, moved = 0, contested = 0;
	bool row;
	TRY(store_get(l->store, SQL_OWNER, &st, err));
	bind_name(st, name);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "nobody owns %.*s", SLICE_ARG(name->stream));
	struct owner_row found = { .state = OWNER_NONE };
	if (!read_token(st, 0, false, found.node) || !column_u64(st, 1, &state) ||
		state < OWNER_IS_HELD || state > OWNER_IS_ACCEPTED ||
		!read_token(st, 2, state == OWNER_IS_HELD, found.next) ||
		!column_u64(st, 3, &found.expires) || !column_u64(st, 4, &found.clock) ||
		!read_hash(st, 5, false, found.line) || !read_hash(st, 6, false, found.hash) ||
		!column_u64(st, 7, &moved) || moved > 1 || !column_u64(st, 8, &contested) ||
		contested > 1)
		return malformed(l, "owner", err);
	found.state = (enum owner_state)state;
	found.moved = moved;
	found.contested = contested;
	*out = found;
	return LEDGER_OK;
}

static enum ledger_status write_owner(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_OWNER_SET, &st, err));
	bind_name(st, name);
	bind_text(st, 3, slice_of(row->node));
	bind_u64(st, 4, row->state);
	bind_text(st, 5, slice_of(row->next[0] ? row->next : NULL));
	bind_u64(st, 6, row->expires);
	bind_u64(st, 7, row->clock);
	bind_blob(st, 8, row->line, EVENT_HASH_SIZE);
	bind_blob(st, 9, row->hash, EVENT_HASH_SIZE);
	bind_u64(st, 10, row->moved);
	bind_u64(st, 11, row->contested);
	return stmt_run(l->store, st, err);
}

/* The first row of a statement over table ownership; LEDGER_NO without one. */
static enum ledger_status read_event(
	struct ledger *l, struct stmt *st, struct owner_event *out, struct ledger_error *err)
{
	uint64_t kind = 0;
	bool row;
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "there is no such ownership event");
	struct owner_event e = { .clock = 0 };
	if (!column_u64(st, 0, &kind) || kind < OWNER_CLAIMED || kind > OWNER_CANCELLED ||
		!column_u64(st, 1, &e.clock) || !read_token(st, 2, false, e.origin) ||
		!column_u64(st, 3, &e.epoch) || !column_u64(st, 4, &e.sequence) ||
		!read_hash(st, 5, false, e.hash) ||
		!read_hash(st, 6, kind == OWNER_CLAIMED, e.follows) ||
		!read_token(st, 7, kind != OWNER_OFFERED && kind != OWNER_TRANSFERRED, e.next) ||
		!column_u64(st, 8, &e.expires))
		return malformed(l, "ownership", err);
	e.kind = (enum owner_kind)kind;
	*out = e;
	return LEDGER_OK;
}

/* --- The line ------------------------------------------------------------------------------------ */

static enum ledger_status first_claim(struct ledger *l, const struct owner_name *name,
	struct owner_event *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_OWNERSHIP_FIRST, &st, err));
	bind_name(st, name);
	return read_event(l, st, out, err);
}

enum ledger_status owner_find_event(struct ledger *l, const struct owner_name *name,
	const uint8_t hash[EVENT_HASH_SIZE], struct owner_event *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_OWNERSHIP_FIND, &st, err));
	bind_name(st, name);
	bind_blob(st, 3, hash, EVENT_HASH_SIZE);
	return read_event(l, st, out, err);
}

/* The first event by `origin` of what a statement looks for behind `last`; LEDGER_NO without one. */
static enum ledger_status behind(struct ledger *l, enum sql which, const struct owner_name *name,
	const struct owner_event *last, const char *origin, struct owner_event *out,
	struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, which, &st, err));
	bind_name(st, name);
	bind_blob(st, 3, last->hash, EVENT_HASH_SIZE);
	bind_u64(st, 4, last->clock);
	bind_text(st, 5, slice_of(origin));
	if (which == SQL_OWNERSHIP_DECISION)
		bind_text(st, 6, slice_of(last->next));
	return read_event(l, st, out, err);
}

/* What a stream is in when its line ends with this event. */
static struct owner_row state_after(const struct owner_event *last)
{
	struct owner_row row = { .state = OWNER_IS_HELD, .clock = last->clock };
	memcpy(row.node, last->kind == OWNER_TRANSFERRED ? last->next : last->origin,
		sizeof(row.node));
	if (last->kind == OWNER_OFFERED) {
		row.state = OWNER_IS_OFFERED;
		memcpy(row.next, last->next, sizeof(row.next));
		row.expires = last->expires;
	}
	memcpy(row.line, last->hash, EVENT_HASH_SIZE);
	memcpy(row.hash, last->hash, EVENT_HASH_SIZE);
	return row;
}

/* From an event on the line to its end; `moved` tells of what is before it. */
static enum ledger_status walk(struct ledger *l, const struct owner_name *name,
	struct owner_event last, bool moved, struct owner_row *out, struct ledger_error *err)
{
	for (;;) {
		struct owner_event next;
		struct owner_row row = state_after(&last);
		row.moved = moved = moved || last.kind == OWNER_TRANSFERRED;
		bool offered = row.state == OWNER_IS_OFFERED;
		enum ledger_status status =
			behind(l, offered ? SQL_OWNERSHIP_DECISION : SQL_OWNERSHIP_OFFER, name,
				&last, row.node, &next, err);
		if (status == LEDGER_NO) {
			*out = row;
			break;
		}
		TRY(status);
		last = next;
	}
	if (out->state != OWNER_IS_OFFERED)
		return LEDGER_OK;
	struct owner_event accept;
	enum ledger_status status =
		behind(l, SQL_OWNERSHIP_ACCEPT, name, &last, last.next, &accept, err);
	if (status)
		return status == LEDGER_NO ? LEDGER_OK : status;
	out->state = OWNER_IS_ACCEPTED;
	out->clock = accept.clock;
	memcpy(out->hash, accept.hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

static enum ledger_status is_contested(
	struct ledger *l, const struct owner_name *name, bool *contested, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t differ = 0;
	bool row;
	TRY(store_get(l->store, SQL_OWNERSHIP_CONTEST, &st, err));
	bind_name(st, name);
	TRY(stmt_row(l->store, st, &row, err));
	*contested = row && column_u64(st, 0, &differ) && differ;
	return LEDGER_OK;
}

enum ledger_status owner_derive(struct ledger *l, const struct owner_name *name,
	struct owner_row *out, struct ledger_error *err)
{
	struct owner_event first;
	struct owner_row row = { .state = OWNER_NONE };
	TRY(first_claim(l, name, &first, err));
	TRY(walk(l, name, first, false, &row, err));
	TRY(is_contested(l, name, &row.contested, err));
	*out = row;
	return LEDGER_OK;
}

/* --- An event comes ------------------------------------------------------------------------------ */

static enum ledger_status derive_again(
	struct ledger *l, const struct owner_name *name, struct ledger_error *err)
{
	struct owner_row row;
	enum ledger_status status = owner_derive(l, name, &row, err);
	if (status)
		return status == LEDGER_NO ? LEDGER_OK : status;
	return write_owner(l, name, &row, err);
}

/* A claim: of a stream that has an owner it changes something only where it is the first one now. */
static enum ledger_status take_claim(struct ledger *l, const struct owner_name *name,
	const struct owner_event *e, struct owner_row *row, struct ledger_error *err)
{
	struct owner_event first;
	TRY(first_claim(l, name, &first, err));
	if (memcmp(first.hash, e->hash, EVENT_HASH_SIZE) == 0)
		return derive_again(l, name, err);
	if (row->contested || strcmp(first.origin, e->origin) == 0)
		return LEDGER_OK;
	row->contested = true;
	return write_owner(l, name, row, err);
}

/* May an event have an effect, by what it follows alone? */
static bool may_count(const struct owner_event *e, const struct owner_event *before)
{
	if (e->clock <= before->clock)
		return false;
	if (e->kind == OWNER_ACCEPTED)
		return before->kind == OWNER_OFFERED && strcmp(before->next, e->origin) == 0;
	if (before->kind == OWNER_ACCEPTED)
		return e->kind == OWNER_TRANSFERRED || e->kind == OWNER_CANCELLED;
	struct owner_row row = state_after(before);
	return strcmp(row.node, e->origin) == 0;
}

/*
 * Nearly always it follows the line's end, and the walk goes on from there. Behind what is before the end it
 * changes the line only in a node that recorded two things at one place; then all is done again, in as many
 * steps as the line is long.
 */
static enum ledger_status take_behind(struct ledger *l, const struct owner_name *name,
	const struct owner_event *e, struct owner_row *row, struct ledger_error *err)
{
	struct owner_event before;
	struct owner_row end = { .state = OWNER_NONE };
	enum ledger_status status = owner_find_event(l, name, e->follows, &before, err);
	if (status) /* when that comes, this one is looked at */
		return status == LEDGER_NO ? LEDGER_OK : status;
	if (!may_count(e, &before))
		return LEDGER_OK;
	const uint8_t *end_before = before.kind == OWNER_ACCEPTED ? before.follows : before.hash;
	if (memcmp(end_before, row->line, EVENT_HASH_SIZE) != 0)
		return derive_again(l, name, err);
	TRY(owner_find_event(l, name, row->line, &before, err));
	TRY(walk(l, name, before, row->moved, &end, err));
	end.contested = row->contested;
	return write_owner(l, name, &end, err);
}

static enum ledger_status insert(struct ledger *l, const struct owner_name *name,
	const struct owner_event *e, struct slice heads, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_OWNERSHIP_INSERT, &st, err));
	bind_name(st, name);
	bind_blob(st, 3, e->follows, e->kind == OWNER_CLAIMED ? 0 : EVENT_HASH_SIZE);
	bind_u64(st, 4, e->clock);
	bind_text(st, 5, slice_of(e->origin));
	bind_u64(st, 6, e->epoch);
	bind_u64(st, 7, e->sequence);
	bind_blob(st, 8, e->hash, EVENT_HASH_SIZE);
	bind_u64(st, 9, e->kind);
	bind_text(st, 10, slice_of(e->next[0] ? e->next : NULL));
	bind_u64(st, 11, e->expires);
	bind_text(st, 12, heads);
	return stmt_run(l->store, st, err);
}

static enum ledger_status take(struct ledger *l, const struct owner_name *name,
	const struct owner_event *e, struct slice heads, struct ledger_error *err)
{
	struct owner_event known;
	struct owner_row row;
	/* One that waited in a branch comes into its chain when the fork is settled. */
	enum ledger_status status = owner_find_event(l, name, e->hash, &known, err);
	if (status != LEDGER_NO)
		return status;
	TRY(insert(l, name, e, heads, err));
	status = owner_read(l, name, &row, err);
	if (status == LEDGER_NO) /* nothing is remembered of a stream that has no owner */
		return e->kind == OWNER_CLAIMED ? derive_again(l, name, err) : LEDGER_OK;
	TRY(status);
	owner_cache_forget(l);
	return e->kind == OWNER_CLAIMED ? take_claim(l, name, e, &row, err)
					: take_behind(l, name, e, &row, err);
}

enum ledger_status owner_take(struct ledger *l, const struct event *event, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct owner_name name;
	struct owner_event e;
	struct slice heads;
	if (!slice_eq(event->domain, OWNER_DOMAIN) ||
		!ownership_parse(event, &text, &name, &e, &heads))
		return buf_check(&text, err);
	return take(l, &name, &e, heads, err);
}
