/*
 * The words that repeat in every event (origin and epoch, domain, key id) stand once in small
 * tables; an event has their row ids. Rows are only ever added, so what was read stays true, except
 * for rows of a transaction that was rolled back.
 */
#include "handle.h"

#include "../base/banned.h"

void names_done(struct names *names)
{
	arena_done(&names->arena);
	*names = (struct names){ .arena = { NULL } };
}

void names_forget(struct ledger *l)
{
	names_done(&l->names);
}

/* Room for one more element of an arena array; grows by doubling. */
static void *grow(struct arena *arena, void *array, size_t n, size_t size)
{
	if (n & (n - 1) || n == 0) {
		if (n)
			return array;
	}
	void *grown = arena_array(arena, n ? 2 * n : 1, size);
	if (grown && n)
		memcpy(grown, array, n * size);
	return grown;
}

static enum ledger_status add_word(struct ledger *l, struct word_row **rows, size_t *n, uint64_t id,
	struct slice name, struct ledger_error *err)
{
	struct slice copy = arena_copy(&l->names.arena, name);
	struct word_row *grown = grow(&l->names.arena, *rows, *n, sizeof(**rows));
	if (!copy.ptr || !grown)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	*rows = grown;
	grown[(*n)++] = (struct word_row){ id, copy };
	return LEDGER_OK;
}

static enum ledger_status load_words(struct ledger *l, enum sql which, struct word_row **rows,
	size_t *n, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t last = 0;
	bool row;
	*n = 0;
	TRY(store_get(l->store, which, &st, err));
	for (;;) {
		uint64_t id;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct slice name = column_text(st, 1);
		if (!column_u64(st, 0, &id) || id <= last)
			return fail(err, LEDGER_DAMAGED, "%s has a malformed row id",
				store_path(l->store));
		last = id;
		if (slice_is_token(name))
			TRY(add_word(l, rows, n, id, name, err));
	}
}

static const struct word_row *find_word(const struct word_row *rows, size_t n, uint64_t id)
{
	/* Row ids are given out 1, 2, 3 …: the row is nearly always at its own number. */
	if (id >= 1 && id <= n && rows[id - 1].id == id)
		return &rows[id - 1];
	for (size_t i = 0; i < n; i++)
		if (rows[i].id == id)
			return &rows[i];
	return NULL;
}

static enum ledger_status add_chain(struct ledger *l, struct stmt *st, struct ledger_error *err)
{
	struct chain_row chain = { .origin = column_text(st, 1) };
	if (!column_u64(st, 0, &chain.id) || !slice_is_token(chain.origin) ||
		!column_u64(st, 2, &chain.epoch) || !column_u64(st, 3, &chain.domain)) {
		l->names.malformed++;
		return LEDGER_OK;
	}
	const struct word_row *domain =
		find_word(l->names.domains, l->names.n_domains, chain.domain);
	chain.origin = arena_copy(&l->names.arena, chain.origin);
	chain.domain_name = domain ? domain->name : (struct slice){ NULL, 0 };
	l->names.malformed += !domain;
	struct chain_row *grown =
		grow(&l->names.arena, l->names.chains, l->names.n_chains, sizeof(*grown));
	if (!chain.origin.ptr || !grown)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	l->names.chains = grown;
	grown[l->names.n_chains++] = chain;
	return LEDGER_OK;
}

static enum ledger_status load_chains(struct ledger *l, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t id, last = 0;
	bool row;
	l->names.n_chains = 0;
	l->names.malformed = 0;
	TRY(store_get(l->store, SQL_CHAINS, &st, err));
	for (;;) {
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		if (!column_u64(st, 0, &id) ||
			id <= last) /* or damaged pages might lead round for ever */
			return fail(err, LEDGER_DAMAGED, "%s has a malformed row id",
				store_path(l->store));
		last = id;
		TRY(add_chain(l, st, err));
	}
}

enum ledger_status names_load(struct ledger *l, struct ledger_error *err)
{
	names_done(&l->names);
	TRY(load_words(l, SQL_DOMAINS, &l->names.domains, &l->names.n_domains, err));
	TRY(load_words(l, SQL_KEYS, &l->names.keys, &l->names.n_keys, err));
	TRY(load_chains(l, err));
	TRY(store_change_token(l->store, &l->names.token, err));
	l->names.loaded = true;
	return LEDGER_OK;
}

static const struct chain_row *find_chain(const struct names *names, uint64_t id)
{
	if (id >= 1 && id <= names->n_chains && names->chains[id - 1].id == id)
		return &names->chains[id - 1];
	for (size_t i = 0; i < names->n_chains; i++)
		if (names->chains[i].id == id)
			return &names->chains[i];
	return NULL;
}

/* Rows may have come since the tables were read: reads them again, but only once per state of the file,
 * so that a ledger full of rows that point nowhere is not a hang. */
static bool reload(struct ledger *l)
{
	uint64_t token;
	if (store_change_token(l->store, &token, &l->names_failure) ||
		(l->names.loaded && token == l->names.token))
		return false;
	return names_load(l, &l->names_failure) == LEDGER_OK;
}

uint64_t ledger_malformed_chains(const struct ledger *l)
{
	return l->names.malformed;
}

bool names_find(struct ledger *l, uint64_t chain, uint64_t key, struct names_found *out)
{
	l->names_failure.status = LEDGER_OK;
	do {
		out->chain = find_chain(&l->names, chain);
		out->key = find_word(l->names.keys, l->names.n_keys, key);
		if (out->chain && out->key && out->chain->domain_name.ptr)
			return true;
	} while (reload(l)); /* what was found before lay in the memory that is gone: both again */
	return false;
}

const struct chain_row *names_chain(struct ledger *l, uint64_t id)
{
	const struct chain_row *found;
	l->names_failure.status = LEDGER_OK;
	while (!(found = find_chain(&l->names, id)) && reload(l))
		;
	return found;
}

/* Runs a statement that gives one integer; LEDGER_NO without a row. */
static enum ledger_status one_id(
	struct ledger *l, struct stmt *st, uint64_t *id, struct ledger_error *err)
{
	bool row;
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "no such row");
	if (!column_u64(st, 0, id))
		return fail(err, LEDGER_DAMAGED, "%s has a malformed row id", store_path(l->store));
	return LEDGER_OK;
}

static enum ledger_status word_id(struct ledger *l, enum sql find, enum sql insert,
	struct slice name, bool make, uint64_t *id, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, find, &st, err));
	bind_text(st, 1, name);
	enum ledger_status status = one_id(l, st, id, err);
	if (status != LEDGER_NO || !make)
		return status;
	CLEANUP_STMT struct stmt *add = NULL;
	TRY(store_get(l->store, insert, &add, err));
	bind_text(add, 1, name);
	return one_id(l, add, id, err);
}

enum ledger_status names_domain_id(
	struct ledger *l, struct slice name, bool make, uint64_t *id, struct ledger_error *err)
{
	return word_id(l, SQL_DOMAIN_ID, SQL_DOMAIN_INSERT, name, make, id, err);
}

enum ledger_status names_key_id(
	struct ledger *l, struct slice name, uint64_t *id, struct ledger_error *err)
{
	return word_id(l, SQL_KEY_ID, SQL_KEY_INSERT, name, true, id, err);
}

static void bind_chain(struct stmt *st, struct slice origin, uint64_t epoch, uint64_t domain)
{
	bind_text(st, 1, origin);
	bind_u64(st, 2, epoch);
	bind_u64(st, 3, domain);
}

enum ledger_status names_chain_id(struct ledger *l, struct slice origin, uint64_t epoch,
	uint64_t domain, bool make, uint64_t *id, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_CHAIN_ID, &st, err));
	bind_chain(st, origin, epoch, domain);
	enum ledger_status status = one_id(l, st, id, err);
	if (status != LEDGER_NO || !make)
		return status;
	CLEANUP_STMT struct stmt *add = NULL;
	TRY(store_get(l->store, SQL_CHAIN_INSERT, &add, err));
	bind_chain(add, origin, epoch, domain);
	return one_id(l, add, id, err);
}
