/* Who owns a stream, asked from outside; the answer is what table owner says (store/owner.h). */
#include "inside.h"

#include "../base/banned.h"

const char *ledger_owner_state_name(enum ledger_owner_state state)
{
	static const char *const names[] = { [LEDGER_OWNER_NONE] = "none",
		[LEDGER_OWNER_HELD] = "held",
		[LEDGER_OWNER_OFFERED] = "offered",
		[LEDGER_OWNER_ACCEPTED] = "accepted" };
	return names[state];
}

static enum ledger_status copy(
	struct ledger *l, struct slice text, struct slice *out, struct ledger_error *err)
{
	*out = arena_copy(&l->owners.words, text);
	return out->ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

enum ledger_status own_describe(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_owner *out, struct ledger_error *err)
{
	struct ledger_owner owner = {
		.state = (enum ledger_owner_state)row->state,
		.expires = row->expires,
		.since = row->clock,
		.here = strcmp(row->node, l->node) == 0,
		.contested = row->contested,
	};
	struct slice stream;
	memcpy(owner.hash, row->hash, EVENT_HASH_SIZE);
	memcpy(owner.line, row->line, EVENT_HASH_SIZE);
	TRY(copy(l, name->domain, &owner.domain, err));
	TRY(copy(l, name->stream, &stream, err));
	TRY(copy(l, slice_of(row->node), &owner.node, err));
	if (row->next[0])
		TRY(copy(l, slice_of(row->next), &owner.next, err));
	slice_cut(stream, '/', &owner.type, &owner.key);
	owner.stream = stream;
	*out = owner;
	return LEDGER_OK;
}

/* The domain in which a stream of that name has an owner. */
static enum ledger_status find_domain(
	struct ledger *l, struct slice stream, struct slice *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_OWNER_DOMAINS, &st, err));
	bind_text(st, 1, stream);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "nobody owns %.*s", SLICE_ARG(stream));
	TRY(copy(l, column_text(st, 0), out, err));
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "stream %.*s has an owner in two domains", SLICE_ARG(stream));
	return hint(err, "say which with -d");
}

enum ledger_status own_find_name(struct ledger *l, struct slice domain, struct slice stream,
	struct owner_name *out, struct ledger_error *err)
{
	TRY(event_check_stream(stream, err));
	if (slice_starts(domain, SLICE("_")))
		return fail(err, LEDGER_INVALID,
			"domain '%.*s' is reserved: nobody owns its streams",
			(int)(domain.len < 80 ? domain.len : 80), domain.ptr);
	if (domain.ptr)
		TRY(event_check_domain(domain, err));
	else
		TRY(find_domain(l, stream, &domain, err));
	*out = (struct owner_name){ domain, stream };
	return LEDGER_OK;
}

enum ledger_status ledger_owner_in(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *out, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct owner_name name;
	struct owner_row row;
	arena_reset(&l->owners.words);
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(own_find_name(l, domain, stream, &name, err));
	TRY(owner_read(l, &name, &row, err));
	return own_describe(l, &name, &row, out, err);
}

enum ledger_status ledger_owner_of(struct ledger *l, struct slice type, struct slice key,
	struct ledger_owner *out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf stream = { 0 };
	buf_add_slice(&stream, type);
	buf_add_char(&stream, '/');
	buf_add_slice(&stream, key);
	TRY(buf_check(&stream, err));
	return ledger_owner_in(l, (struct slice){ NULL, 0 }, buf_slice(&stream), out, err);
}

enum ledger_status ledger_owner_may_write(
	struct ledger *l, const struct ledger_owner *owner, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct owner_name name = { owner->domain, owner->stream };
	struct owner_row row;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(owner_read(l, &name, &row, err));
	return owner_may_write(l, &name, &row, err);
}
