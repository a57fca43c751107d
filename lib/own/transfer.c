/*
 * Claims and transfers. Each is an event of this node that names the one it follows; whether it counts is not
 * for us to say but for the rule, so here is only asked what would have no effect, to say so at once.
 */
#include "inside.h"

#include "../base/banned.h"

#define STEP_MAX 100

/* A stream in a batch. */
struct deed {
	struct ledger *ledger;
	struct owner_name name;
	struct owner_row row;
};

static enum ledger_status look(struct deed *d, struct ledger *l, struct slice domain,
	struct slice stream, struct ledger_error *err)
{
	arena_reset(&l->owners.words);
	d->ledger = l;
	d->row = (struct owner_row){ .state = OWNER_NONE };
	if (!l->batch.open)
		return fail(err, LEDGER_USAGE, "no batch is open");
	TRY(own_find_name(l, domain, stream, &d->name, err));
	return owner_read(l, &d->name, &d->row, err);
}

static bool is_here(const struct deed *d)
{
	return strcmp(d->row.node, d->ledger->node) == 0;
}

static enum ledger_status of_another(const struct deed *d, struct ledger_error *err)
{
	return fail(err, LEDGER_NOT_OWNER, "stream %.*s is owned by %s", SLICE_ARG(d->name.stream),
		d->row.node);
}

static enum ledger_status tell(struct deed *d, struct ledger_owner *now, struct ledger_error *err)
{
	TRY(owner_read(d->ledger, &d->name, &d->row, err));
	return own_describe(d->ledger, &d->name, &d->row, now, err);
}

static enum ledger_status record(
	struct deed *d, struct owner_event *about, const char *reason, struct ledger_error *err)
{
	memcpy(about->follows, d->row.hash, EVENT_HASH_SIZE);
	enum ledger_status status = ownership_record(d->ledger, &d->name, about, reason, err);
	if (status)
		ledger_rollback(d->ledger);
	return status;
}

/* --- Claim --------------------------------------------------------------------------------------- */

struct domains {
	struct slice stream, found;
	struct arena *arena;
	size_t n;
};

static enum ledger_status add_domain(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err)
{
	struct domains *d = context;
	if (!slice_eq(stream, d->stream) || slice_starts(domain, SLICE("_")))
		return LEDGER_OK;
	d->found = arena_copy(d->arena, domain);
	d->n++;
	return d->found.ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* Nobody owns a stream of that name: the domain in which it has events. */
static enum ledger_status domain_of_events(
	struct ledger *l, struct slice stream, struct slice *domain, struct ledger_error *err)
{
	struct domains d = { .stream = stream, .arena = &l->owners.words };
	if (domain->ptr)
		return LEDGER_OK;
	TRY(ledger_streams(l, stream, *domain, add_domain, &d, err));
	*domain = d.found;
	if (d.n == 1)
		return LEDGER_OK;
	fail(err, LEDGER_INVALID, "stream %.*s has %s", SLICE_ARG(stream),
		d.n ? "events in several domains" : "no events here that tell its domain");
	return hint(err, "name the domain with -d");
}

enum ledger_status ledger_own_claim(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err)
{
	struct owner_event claim = { .kind = OWNER_CLAIMED };
	struct deed d;
	enum ledger_status status = look(&d, l, domain, stream, err);
	if (!status && !is_here(&d))
		return of_another(&d, err);
	if (status == LEDGER_NO) {
		TRY(domain_of_events(l, stream, &domain, err));
		d.name = (struct owner_name){ domain, stream };
		status = record(&d, &claim, NULL, err);
	}
	TRY(status);
	return tell(&d, now, err);
}

/* --- Offer, accept, cancel ----------------------------------------------------------------------- */

static enum ledger_status check_offer(
	struct deed *d, struct slice to, uint64_t ttl, bool *done, struct ledger_error *err)
{
	*done = false;
	if (!slice_is_token(to))
		return fail(err, LEDGER_INVALID, "'%.*s' is no name of a node",
			(int)(to.len < 80 ? to.len : 80), to.ptr ? to.ptr : "");
	if (slice_is(to, d->ledger->node))
		return fail(err, LEDGER_INVALID, "%.*s is this node", SLICE_ARG(to));
	if (ttl == 0 || ttl > TIME_MAX / 2)
		return fail(err, LEDGER_INVALID, "an offer of no time");
	if (!is_here(d))
		return of_another(d, err);
	if (d->row.state != OWNER_IS_HELD && slice_is(to, d->row.next)) {
		*done = true;
		return LEDGER_OK;
	}
	return owner_may_write(d->ledger, &d->name, &d->row, err);
}

enum ledger_status ledger_own_offer(struct ledger *l, struct slice domain, struct slice stream,
	struct slice to, uint64_t ttl, struct ledger_owner *now, struct ledger_error *err)
{
	struct owner_event offer = { .kind = OWNER_OFFERED, .expires = time_now() + ttl };
	struct deed d;
	bool done;
	TRY(look(&d, l, domain, stream, err));
	TRY(check_offer(&d, to, ttl, &done, err));
	memcpy(offer.next, to.ptr, to.len);
	if (!done)
		TRY(record(&d, &offer, NULL, err));
	return tell(&d, now, err);
}

enum ledger_status ledger_own_accept(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err)
{
	struct owner_event accept = { .kind = OWNER_ACCEPTED };
	struct deed d;
	TRY(look(&d, l, domain, stream, err));
	bool for_us = strcmp(d.row.next, l->node) == 0;
	if (!for_us && is_here(&d) && d.row.state == OWNER_IS_HELD)
		return tell(&d, now, err); /* accepted and transferred since */
	if (!for_us) {
		fail(err, LEDGER_NO, "stream %.*s of %s is not offered to %s",
			SLICE_ARG(d.name.stream), d.row.node, l->node);
		return hint(err, "on %s: ledgerbox own transfer '%.*s' %s", d.row.node,
			SLICE_ARG(d.name.stream), l->node);
	}
	if (d.row.state == OWNER_IS_OFFERED)
		TRY(record(&d, &accept, NULL, err));
	return tell(&d, now, err);
}

enum ledger_status ledger_own_cancel(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err)
{
	struct owner_event cancelled = { .kind = OWNER_CANCELLED };
	struct deed d;
	TRY(look(&d, l, domain, stream, err));
	if (!is_here(&d))
		return of_another(&d, err);
	if (d.row.state == OWNER_IS_HELD)
		return fail(err, LEDGER_NO, "stream %.*s is not offered to anybody",
			SLICE_ARG(d.name.stream));
	TRY(record(&d, &cancelled, "cancelled", err));
	return tell(&d, now, err);
}

/* --- What the owner owes ------------------------------------------------------------------------- */

static enum ledger_status keep_name(
	struct ledger *l, struct stmt *st, struct owner_name *name, struct ledger_error *err)
{
	name->stream = arena_copy(&l->owners.words, column_text(st, 0));
	name->domain = arena_copy(&l->owners.words, column_text(st, 1));
	return name->stream.ptr && name->domain.ptr ? LEDGER_OK
						    : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status find_pending(struct ledger *l, uint64_t now, struct owner_name *names,
	size_t max, size_t *n, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_OWNER_PENDING, &st, err));
	bind_text(st, 1, slice_of(l->node));
	bind_u64(st, 2, now);
	bind_u64(st, 3, max);
	for (*n = 0;; (*n)++) {
		TRY(stmt_row(l->store, st, &row, err));
		if (!row || *n == max)
			return LEDGER_OK;
		TRY(keep_name(l, st, &names[*n], err));
	}
}

/* One of the owner's streams moves on: an accept, even one that came late, before the owner's own word. */
static enum ledger_status settle(
	struct ledger *l, const struct owner_name *name, struct ledger_error *err)
{
	struct deed d = { .ledger = l, .name = *name };
	TRY(owner_read(l, name, &d.row, err));
	bool accepted = d.row.state == OWNER_IS_ACCEPTED;
	struct owner_event word = { .kind = accepted ? OWNER_TRANSFERRED : OWNER_CANCELLED };
	if (accepted)
		memcpy(word.next, d.row.next, sizeof(word.next));
	return record(&d, &word, accepted ? NULL : "expired", err);
}

static enum ledger_status settle_all(
	struct ledger *l, uint64_t now, uint64_t *done, struct ledger_error *err)
{
	struct owner_name names[STEP_MAX];
	size_t n;
	TRY(find_pending(l, now, names, STEP_MAX, &n, err));
	for (size_t i = 0; i < n; i++)
		TRY(settle(l, &names[i], err));
	*done = n;
	return LEDGER_OK;
}

enum ledger_status ledger_own_step(struct ledger *l, uint64_t *done, struct ledger_error *err)
{
	struct owner_name any;
	uint64_t settled = 0, now = time_now();
	size_t n;
	*done = 0;
	arena_reset(&l->owners.words);
	TRY(find_pending(l, now, &any, 1, &n, err));
	if (n == 0)
		return LEDGER_OK;
	TRY(ledger_begin(l, err));
	enum ledger_status status = settle_all(l, now, &settled, err);
	if (status)
		ledger_rollback(l);
	else
		status = ledger_commit(l, err);
	if (!status)
		*done = settled;
	return status;
}

enum ledger_status ledger_own_next(struct ledger *l, uint64_t *when, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t first = 0;
	bool row;
	TRY(store_get(l->store, SQL_OWNER_NEXT, &st, err));
	bind_text(st, 1, slice_of(l->node));
	TRY(stmt_row(l->store, st, &row, err));
	*when = row && column_u64(st, 0, &first) ? first : 0;
	return LEDGER_OK;
}
