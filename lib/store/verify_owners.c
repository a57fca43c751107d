/*
 * Tables ownership and owner against the events: each event of domain `_ownership`, of branches too, has its
 * row and no row is without one; each stream's owner is what the rule makes of them (owner.h).
 */
#include "owner.h"
#include "verify.h"

#include "../event/line.h"
#include "accept.h"

#include "../base/banned.h"

struct owners {
	struct verification *v;
	uint64_t events; /* that count, each once */
	uint64_t streams;
};

/* --- Events -------------------------------------------------------------------------------------- */

static bool is_same_event(const struct owner_event *a, const struct owner_event *b)
{
	return a->kind == b->kind && a->clock == b->clock && a->epoch == b->epoch &&
	       a->sequence == b->sequence && a->expires == b->expires &&
	       strcmp(a->origin, b->origin) == 0 && strcmp(a->next, b->next) == 0 &&
	       memcmp(a->follows, b->follows, EVENT_HASH_SIZE) == 0;
}

static enum ledger_status has_heads(struct ledger *l, const struct owner_event *e,
	struct slice heads, bool *same, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_OWNERSHIP_HEADS, &st, err));
	bind_blob(st, 1, e->hash, EVENT_HASH_SIZE);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice kept = row ? column_text(st, 0) : (struct slice){ NULL, 0 };
	*same = row && !kept.ptr == !heads.ptr && slice_eq(kept, heads);
	return LEDGER_OK;
}

static enum ledger_status check_event(
	struct owners *o, const struct event *event, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger *l = o->v->ledger;
	struct owner_name name;
	struct owner_event e, kept;
	struct slice heads;
	bool same = false;
	if (!ownership_parse(event, &text, &name, &e, &heads))
		return buf_check(&text, err);
	o->events++;
	enum ledger_status status = owner_find_event(l, &name, e.hash, &kept, err);
	if (!status && is_same_event(&e, &kept))
		TRY(has_heads(l, &e, heads, &same, err));
	if (status && status != LEDGER_NO && status != LEDGER_DAMAGED)
		return status;
	if (!same)
		verify_report_damage(o->v, "OWNER_MISMATCH", event, 0,
			"table ownership does not have what this event says");
	return LEDGER_OK;
}

static enum ledger_status check_recorded(
	const struct event *event, void *context, struct ledger_error *err)
{
	return check_event(context, event, err);
}

static enum ledger_status is_in_chain(
	struct ledger *l, uint64_t chain, const struct event *e, bool *is, struct ledger_error *err)
{
	uint8_t hash[EVENT_HASH_SIZE];
	TRY(range_hash(l, chain, e->sequence, is, hash, err));
	*is = *is && memcmp(hash, e->hash, EVENT_HASH_SIZE) == 0;
	return LEDGER_OK;
}

static enum ledger_status check_branches(struct owners *o, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger *l = o->v->ledger;
	TRY(store_prepare(l->store, SQL_VERIFY_BRANCHES, &st, err));
	for (;; arena_reset(&arena)) {
		struct event e;
		struct ledger_error bad;
		uint64_t chain = 0;
		bool row, twice = false;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct slice line = column_text(st, 4);
		if (!line.ptr || !column_u64(st, 0, &chain) ||
			event_read_line(line, &arena, &e, &bad) ||
			!slice_eq(e.domain, OWNER_DOMAIN))
			continue; /* what is malformed is told with the branches */
		TRY(is_in_chain(l, chain, &e, &twice, err));
		if (!twice)
			TRY(check_event(o, &e, err));
	}
}

/* --- Owners -------------------------------------------------------------------------------------- */

static bool is_same_row(const struct owner_row *a, const struct owner_row *b)
{
	return a->state == b->state && a->expires == b->expires && a->clock == b->clock &&
	       a->moved == b->moved && a->contested == b->contested &&
	       strcmp(a->node, b->node) == 0 && strcmp(a->next, b->next) == 0 &&
	       memcmp(a->line, b->line, EVENT_HASH_SIZE) == 0 &&
	       memcmp(a->hash, b->hash, EVENT_HASH_SIZE) == 0;
}

static void report_owner(struct verification *v, const struct owner_name *name, const char *what)
{
	verify_report_damage(v, "OWNER_MISMATCH", NULL, 0, "table owner, %.*s %.*s: %s",
		(int)(name->domain.len < 64 ? name->domain.len : 64), name->domain.ptr,
		(int)(name->stream.len < 80 ? name->stream.len : 80), name->stream.ptr, what);
}

static enum ledger_status check_owner(
	struct owners *o, const struct owner_name *name, struct ledger_error *err)
{
	struct owner_row derived, kept;
	enum ledger_status status = owner_derive(o->v->ledger, name, &derived, err);
	if (!status)
		status = owner_read(o->v->ledger, name, &kept, err);
	if (!status && !is_same_row(&derived, &kept))
		report_owner(o->v, name, "it is not what the ownership events come to");
	else if (status == LEDGER_NO || status == LEDGER_DAMAGED)
		report_owner(o->v, name, "its row is missing or malformed");
	else if (status)
		return status;
	o->streams++;
	return LEDGER_OK;
}

/* Each stream that was ever claimed. */
static enum ledger_status check_owners(struct owners *o, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	struct ledger *l = o->v->ledger;
	TRY(store_prepare(l->store, SQL_VERIFY_CLAIMED, &st, err));
	for (;;) {
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct owner_name name = { .stream = column_text(st, 0),
			.domain = column_text(st, 1) };
		if (!name.stream.ptr || !name.domain.ptr)
			verify_report_damage(o->v, "OWNER_MISMATCH", NULL, 0,
				"table ownership has a malformed row");
		else
			TRY(check_owner(o, &name, err));
	}
}

static enum ledger_status count_rows(
	struct ledger *l, uint64_t *events, uint64_t *owners, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*events = *owners = 0;
	TRY(store_get(l->store, SQL_VERIFY_OWNER_COUNTS, &st, err));
	TRY(stmt_row(l->store, st, &row, err));
	if (row) {
		column_u64(st, 0, events);
		column_u64(st, 1, owners);
	}
	return LEDGER_OK;
}

enum ledger_status verify_owners(struct verification *v, struct ledger_error *err)
{
	struct owners o = { .v = v };
	struct slice domain = OWNER_DOMAIN;
	struct ledger_filter filter = {
		.to = v->seal.position, .domains = &domain, .n_domains = 1
	};
	uint64_t events, owners;
	if (!v->whole)
		return LEDGER_OK;
	if (v->seal.position)
		TRY(ledger_read(v->ledger, &filter, check_recorded, &o, err));
	TRY(check_branches(&o, err));
	TRY(check_owners(&o, err));
	TRY(count_rows(v->ledger, &events, &owners, err));
	if (events > o.events)
		verify_report_damage(v, "OWNER_MISMATCH", NULL, 0,
			"table ownership has %" PRIu64 " rows that no event says",
			events - o.events);
	if (owners > o.streams)
		verify_report_damage(v, "OWNER_MISMATCH", NULL, 0,
			"table owner has %" PRIu64 " streams that nobody claimed",
			owners - o.streams);
	return LEDGER_OK;
}
