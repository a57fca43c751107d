/* Lists of owners, read page by page, so that the caller may write in between. */
#include "inside.h"

#include "../base/banned.h"

#define PAGE	   256
#define MOVING_MAX 64

struct page {
	struct ledger *ledger;
	struct arena arena;
	struct owner_name names[PAGE];
	size_t n;
};

static enum ledger_status fill_page(struct page *p, struct stmt *st, struct ledger_error *err)
{
	for (p->n = 0; p->n < PAGE; p->n++) {
		bool row;
		TRY(stmt_row(p->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct owner_name *name = &p->names[p->n];
		name->stream = arena_copy(&p->arena, column_text(st, 0));
		name->domain = arena_copy(&p->arena, column_text(st, 1));
		if (!name->stream.ptr || !name->domain.ptr)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	return LEDGER_OK;
}

/* The names behind the last one of the page before. */
static enum ledger_status next_page(
	struct page *p, enum sql which, struct slice node, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	CLEANUP_BUF struct buf stream = { 0 }, domain = { 0 };
	const struct owner_name *last = &p->names[p->n - 1];
	buf_add_slice(&stream, last->stream);
	buf_add_slice(&domain, last->domain);
	TRY(buf_check(&stream, err));
	TRY(buf_check(&domain, err));
	arena_reset(&p->arena);
	TRY(store_get(p->ledger->store, which, &st, err));
	bind_text(st, 1, slice_of(buf_text(&stream)));
	bind_text(st, 2, slice_of(buf_text(&domain)));
	if (which == SQL_OWNER_LIST)
		bind_text(st, 3, node);
	bind_u64(st, which == SQL_OWNER_LIST ? 4 : 3, PAGE);
	return fill_page(p, st, err);
}

static enum ledger_status describe(struct ledger *l, const struct owner_name *name,
	struct ledger_owner *out, struct ledger_error *err)
{
	struct owner_row row;
	arena_reset(&l->owners.words);
	TRY(owner_read(l, name, &row, err));
	return own_describe(l, name, &row, out, err);
}

/* --- Owners -------------------------------------------------------------------------------------- */

static bool fits(struct slice stream, struct slice wanted)
{
	bool all_of_type = wanted.len && wanted.ptr[wanted.len - 1] == '/' &&
			   memchr(wanted.ptr, '/', wanted.len) == wanted.ptr + wanted.len - 1;
	return wanted.len == 0 || slice_eq(stream, wanted) ||
	       (all_of_type && slice_starts(stream, wanted));
}

static enum ledger_status hand_out(struct page *p, struct slice wanted, ledger_owner_fn *fn,
	void *context, bool *over, struct ledger_error *err)
{
	for (size_t i = 0; i < p->n && !*over; i++) {
		struct ledger_owner owner;
		*over = wanted.len && !slice_starts(p->names[i].stream, wanted);
		if (*over || !fits(p->names[i].stream, wanted))
			continue;
		TRY(describe(p->ledger, &p->names[i], &owner, err));
		TRY(fn(&owner, context, err));
	}
	return LEDGER_OK;
}

enum ledger_status ledger_owners(struct ledger *l, struct slice node, struct slice stream,
	ledger_owner_fn *fn, void *context, struct ledger_error *err)
{
	/* The first page begins at the stream itself, in any domain. */
	struct page p = { .ledger = l, .n = 1 };
	enum ledger_status status = LEDGER_OK;
	bool over = false;
	p.names[0] = (struct owner_name){ SLICE(""), stream.ptr ? stream : SLICE("") };
	for (size_t n = PAGE; !status && n == PAGE && !over; n = p.n) {
		status = next_page(&p, SQL_OWNER_LIST, node, err);
		if (!status)
			status = hand_out(&p, stream, fn, context, &over, err);
	}
	arena_done(&p.arena);
	return status;
}

/* --- Conflicts ----------------------------------------------------------------------------------- */

static enum ledger_status read_claims(struct ledger *l, const struct owner_name *name,
	struct ledger_claim *claims, size_t *n, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_OWNER_CLAIMS, &st, err));
	bind_text(st, 1, name->stream);
	bind_text(st, 2, name->domain);
	for (*n = 0; *n < LEDGER_CLAIMS_MAX; (*n)++) {
		struct ledger_claim *claim = &claims[*n];
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		claim->node = arena_copy(&l->owners.words, column_text(st, 0));
		if (!claim->node.ptr || !column_u64(st, 1, &claim->clock) ||
			!column_u64(st, 2, &claim->epoch) || !column_u64(st, 3, &claim->sequence))
			return fail(err, LEDGER_DAMAGED,
				"table ownership of %s has a malformed row", store_path(l->store));
	}
	return LEDGER_OK;
}

static enum ledger_status hand_out_conflict(struct ledger *l, const struct owner_name *name,
	ledger_conflict_fn *fn, void *context, struct ledger_error *err)
{
	struct ledger_claim claims[LEDGER_CLAIMS_MAX];
	struct ledger_owner owner;
	size_t n;
	TRY(describe(l, name, &owner, err));
	TRY(read_claims(l, name, claims, &n, err));
	return fn(&owner, claims, n, context, err);
}

enum ledger_status ledger_conflicts(
	struct ledger *l, ledger_conflict_fn *fn, void *context, struct ledger_error *err)
{
	struct page p = { .ledger = l, .n = 1 };
	enum ledger_status status = LEDGER_OK;
	p.names[0] = (struct owner_name){ SLICE(""), SLICE("") };
	for (size_t n = PAGE; !status && n == PAGE; n = p.n) {
		status = next_page(&p, SQL_OWNER_CONTESTED, (struct slice){ NULL, 0 }, err);
		for (size_t i = 0; !status && i < p.n; i++)
			status = hand_out_conflict(l, &p.names[i], fn, context, err);
	}
	arena_done(&p.arena);
	return status;
}

/* --- On their way ---------------------------------------------------------------------------------- */

enum ledger_status ledger_moving(
	struct ledger *l, size_t max, ledger_owner_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct page p = { .ledger = l };
	TRY(store_get(l->store, SQL_OWNER_MOVING, &st, err));
	bind_u64(st, 1, max < MOVING_MAX ? max : MOVING_MAX);
	enum ledger_status status = fill_page(&p, st, err);
	for (size_t i = 0; !status && i < p.n; i++) {
		struct ledger_owner owner;
		status = describe(l, &p.names[i], &owner, err);
		if (!status)
			status = fn(&owner, context, err);
	}
	arena_done(&p.arena);
	return status;
}

enum ledger_status ledger_count_owners(
	struct ledger *l, struct ledger_owner_counts *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger_owner_counts counts = { 0 };
	bool row;
	TRY(store_get(l->store, SQL_OWNER_COUNTS, &st, err));
	TRY(stmt_row(l->store, st, &row, err));
	if (row) {
		column_u64(st, 0, &counts.contested);
		column_u64(st, 1, &counts.moving);
	}
	*out = counts;
	return LEDGER_OK;
}
