/* The row of table ledgerbox_projection: read, made, moved. */
#include "projection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../event/chain.h"
#include "rules.h"

#include "../base/banned.h"

#define CREATE                                                                                     \
	"CREATE TABLE ledgerbox_projection (name TEXT PRIMARY KEY, definition BLOB NOT NULL, "     \
	"position INTEGER NOT NULL, hash BLOB NOT NULL, shared INTEGER NOT NULL, "                 \
	"clock INTEGER NOT NULL, origin TEXT NOT NULL, epoch INTEGER NOT NULL, "                   \
	"domain TEXT NOT NULL, sequence INTEGER NOT NULL, stopped INTEGER NOT NULL, "              \
	"stale INTEGER NOT NULL, reason TEXT NOT NULL, updated INTEGER NOT NULL) STRICT"
#define COLUMNS                                                                                    \
	"definition, position, hash, shared, clock, origin, epoch, domain, sequence, stopped, "    \
	"stale, reason, updated, name"
#define SELECT "SELECT " COLUMNS " FROM ledgerbox_projection"
#define INSERT                                                                                     \
	"INSERT INTO ledgerbox_projection (" COLUMNS ") "                                          \
	"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
#define UPDATE                                                                                     \
	"UPDATE ledgerbox_projection SET definition = ?1, position = ?2, hash = ?3, shared = ?4, " \
	"clock = ?5, origin = ?6, epoch = ?7, domain = ?8, sequence = ?9, stopped = ?10, "         \
	"stale = ?11, reason = ?12, updated = ?13 WHERE name = ?14 AND position = ?15 "            \
	"RETURNING 1"

/* --- Shared order ---------------------------------------------------------------------------- */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int shared_key_cmp(const struct shared_key *a, const struct shared_key *b)
{
	int order = compare_u64(a->clock, b->clock);
	if (order == 0)
		order = strcmp(a->origin, b->origin);
	if (order == 0)
		order = compare_u64(a->epoch, b->epoch);
	if (order == 0)
		order = strcmp(a->domain, b->domain);
	return order ? order : compare_u64(a->sequence, b->sequence);
}

static void copy_word(char out[65], struct slice word)
{
	size_t n = word.len < 64 ? word.len : 64;
	memcpy(out, n ? word.ptr : "", n);
	out[n] = '\0';
}

void shared_key_of(const struct event *event, struct shared_key *out)
{
	*out = (struct shared_key){
		.clock = event->clock, .epoch = event->epoch, .sequence = event->sequence
	};
	copy_word(out->origin, event->origin);
	copy_word(out->domain, event->domain);
}

/* --- The definition -------------------------------------------------------------------------- */

static int compare_apply(const void *a, const void *b)
{
	const struct ledger_apply *x = *(const struct ledger_apply *const *)a,
				  *y = *(const struct ledger_apply *const *)b;
	return slice_cmp(x->type, y->type);
}

static int compare_slices(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* The order in which a config lists them changes nothing. */
static bool add_sorted(struct buf *out, const struct ledger_projection *p)
{
	const struct ledger_apply **apply = calloc(p->n_apply + 1, sizeof(*apply));
	struct slice *domains = calloc(p->n_domains + 1, sizeof(*domains));
	for (size_t i = 0; apply && i < p->n_apply; i++)
		apply[i] = &p->apply[i];
	for (size_t i = 0; domains && i < p->n_domains; i++)
		domains[i] = p->domains[i];
	bool good = apply && domains;
	if (good) {
		qsort(apply, p->n_apply, sizeof(*apply), compare_apply);
		qsort(domains, p->n_domains, sizeof(*domains), compare_slices);
		pae_add_u64(out, p->n_domains);
		for (size_t i = 0; i < p->n_domains; i++)
			pae_add(out, domains[i]);
		for (size_t i = 0; i < p->n_apply; i++) {
			pae_add(out, apply[i]->type);
			pae_add(out, apply[i]->sql);
		}
	}
	free(apply);
	free(domains);
	return good;
}

static bool takes_type(struct slice type, const void *context)
{
	const struct ledger_projection *p = context;
	for (size_t i = 0; i < p->n_apply; i++)
		if (slice_eq(p->apply[i].type, type) || slice_is(p->apply[i].type, "*"))
			return true;
	return false;
}

/* Those that other types go through change nothing in it. Without any it is one piece less. */
static bool add_upcasts(struct buf *out, const struct ledger_projection *p)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	return !p->rules || rules_add_upcasts(out, &arena, p->rules, takes_type, p);
}

static bool has_upcasts(const struct ledger_projection *p)
{
	size_t n = 0;
	for (size_t i = 0; p->rules && i < p->rules->n_upcasts; i++)
		n += takes_type(p->rules->upcasts[i].type, p);
	return n > 0;
}

enum ledger_status projection_definition(
	const struct ledger_projection *p, uint8_t out[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_BUF struct buf bytes = { 0 }, upcasts = { 0 };
	bool upcast = has_upcasts(p);
	pae_begin(&bytes, 3 + p->n_domains + 2 * p->n_apply + upcast);
	pae_add(&bytes, SLICE("ledgerbox/projection/v1"));
	pae_add(&bytes, p->schema);
	if (!add_sorted(&bytes, p) || !add_upcasts(&upcasts, p))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (upcast)
		pae_add(&bytes, buf_slice(&upcasts));
	TRY(buf_check(&upcasts, err));
	TRY(buf_check(&bytes, err));
	chain_sha256(buf_slice(&bytes), out);
	return LEDGER_OK;
}

/* --- The row --------------------------------------------------------------------------------- */

static bool read_hash(struct sqlite_stmt *st, int at, uint8_t out[EVENT_HASH_SIZE])
{
	struct slice hash = sqlite_column_blob(st, at);
	if (hash.len != EVENT_HASH_SIZE)
		return false;
	memcpy(out, hash.ptr, EVENT_HASH_SIZE);
	return true;
}

static bool read_word(struct sqlite_stmt *st, int at, char out[65])
{
	struct slice word = sqlite_column_text(st, at);
	copy_word(out, word);
	return word.ptr != NULL;
}

static bool read_row(struct sqlite_stmt *st, struct projection_place *p)
{
	uint64_t shared, stale;
	struct slice reason = sqlite_column_text(st, 11);
	if (!read_hash(st, 0, p->definition) || !sqlite_column_u64(st, 1, &p->position) ||
		!read_hash(st, 2, p->hash) || !sqlite_column_u64(st, 3, &shared) ||
		!sqlite_column_u64(st, 4, &p->key.clock) || !read_word(st, 5, p->key.origin) ||
		!sqlite_column_u64(st, 6, &p->key.epoch) || !read_word(st, 7, p->key.domain) ||
		!sqlite_column_u64(st, 8, &p->key.sequence) ||
		!sqlite_column_u64(st, 9, &p->stopped) || !sqlite_column_u64(st, 10, &stale) ||
		!reason.ptr || !sqlite_column_u64(st, 12, &p->updated))
		return false;
	p->order = shared ? LEDGER_ORDER_SHARED : LEDGER_ORDER_ARRIVAL;
	p->stale = stale != 0;
	size_t n = reason.len < sizeof(p->reason) - 1 ? reason.len : sizeof(p->reason) - 1;
	memcpy(p->reason, reason.ptr, n);
	p->reason[n] = '\0';
	return true;
}

/* Without our table: it must be empty, since a rebuild would take away whatever else is in it. */
static enum ledger_status check_empty(struct sqlite *db, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	bool row;
	TRY(sqlite_compile_own(db, "SELECT 1 FROM sqlite_schema LIMIT 1", &st, err));
	TRY(sqlite_row(st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "%s is empty", sqlite_path(db));
	fail(err, LEDGER_REFUSED, "%s holds other tables: a projection has a database of its own",
		sqlite_path(db));
	return hint(err, "name another file, it is made when it is not there");
}

enum ledger_status projection_read_place(struct sqlite *db, const struct ledger_projection *p,
	struct projection_place *place, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	bool row;
	enum ledger_status status = sqlite_compile_own(db, SELECT, &st, err);
	if (status == LEDGER_NO)
		return check_empty(db, err);
	TRY(status);
	TRY(sqlite_row(st, &row, err));
	struct slice name = row ? sqlite_column_text(st, 13) : (struct slice){ NULL, 0 };
	if (row && !slice_is(name, p->name)) {
		fail(err, LEDGER_REFUSED, "%s is the database of projection %.*s, not of %s",
			sqlite_path(db), SLICE_ARG(name), p->name);
		return hint(err, "each has a file of its own");
	}
	if (!row || !read_row(st, place)) {
		fail(err, LEDGER_REFUSED, "%s does not say any more how far it is",
			sqlite_path(db));
		return hint(err, "ledgerbox replay %s --rebuild", p->name);
	}
	return LEDGER_OK;
}

static void bind_place(struct sqlite_stmt *st, const struct ledger_projection *p,
	const struct projection_place *place)
{
	sqlite_bind_blob(st, 1, (struct slice){ (const char *)place->definition, EVENT_HASH_SIZE });
	sqlite_bind_u64(st, 2, place->position);
	sqlite_bind_blob(st, 3, (struct slice){ (const char *)place->hash, EVENT_HASH_SIZE });
	sqlite_bind_u64(st, 4, place->order == LEDGER_ORDER_SHARED);
	sqlite_bind_u64(st, 5, place->key.clock);
	sqlite_bind_text(st, 6, slice_of(place->key.origin));
	sqlite_bind_u64(st, 7, place->key.epoch);
	sqlite_bind_text(st, 8, slice_of(place->key.domain));
	sqlite_bind_u64(st, 9, place->key.sequence);
	sqlite_bind_u64(st, 10, place->stopped);
	sqlite_bind_u64(st, 11, place->stale);
	sqlite_bind_text(st, 12, slice_of(place->reason));
	sqlite_bind_u64(st, 13, time_now());
	sqlite_bind_text(st, 14, slice_of(p->name));
}

static enum ledger_status run_own(struct sqlite *db, const char *text, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	TRY(sqlite_compile_own(db, text, &st, err));
	return sqlite_run(st, err);
}

enum ledger_status projection_create(struct sqlite *db, const struct ledger_projection *p,
	const struct projection_place *place, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	TRY(run_own(db, CREATE, err));
	TRY(sqlite_run_script(db, p->schema, err));
	TRY(sqlite_compile_own(db, INSERT, &st, err));
	bind_place(st, p, place);
	return sqlite_run(st, err);
}

enum ledger_status projection_write_place(struct sqlite *db, const struct ledger_projection *p,
	uint64_t before, struct projection_place *place, struct ledger_error *err)
{
	CLEANUP_SQLITE_STMT struct sqlite_stmt *st = NULL;
	bool row;
	TRY(sqlite_compile_own(db, UPDATE, &st, err));
	bind_place(st, p, place);
	sqlite_bind_u64(st, 15, before);
	TRY(sqlite_row(st, &row, err));
	if (row)
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "projection %s does not stand at position %" PRIu64 " any more",
		p->name, before);
	return hint(err, "somebody else moved it; run replay again");
}
