/*
 * The branches that are kept beside forked chains: each event is recomputed as one in its chain is, and each
 * decision about one has to be an event. That a branch nobody has decided about was removed as a whole is
 * not seen here; any peer that has it sends it again.
 */
#include "verify.h"

#include "../event/line.h"
#include "accept.h"

#include "../base/banned.h"

static void check_mac(struct verification *v, const struct event *e)
{
	uint8_t mac[EVENT_HASH_SIZE];
	const struct chain_key *key = handle_find_key(v->ledger, e->key);
	if (!key) {
		verify_report_unverified(v, "KEY_UNKNOWN", e, "key %.*s is not among the keys here",
			SLICE_ARG(e->key));
		return;
	}
	chain_mac(key, e->hash, mac);
	if (!chain_same(mac, e->mac, EVENT_HASH_SIZE))
		verify_report_damage(
			v, "MAC_BAD", e, 0, "in a branch: the MAC is not that of the hash");
}

static bool is_of_chain(struct verification *v, uint64_t chain, const struct event *e)
{
	const struct chain_row *name = names_chain(v->ledger, chain);
	return name && slice_eq(name->origin, e->origin) && name->epoch == e->epoch &&
	       slice_eq(name->domain_name, e->domain);
}

/* Columns chain, sequence, hash, prev, line, has_root. */
static void check_row(struct verification *v, struct stmt *st, const struct event *e)
{
	uint8_t body[EVENT_HASH_SIZE], hash[EVENT_HASH_SIZE];
	uint64_t chain = 0, sequence = 0, has_root = 0;
	struct slice kept = column_blob(st, 2), prev = column_blob(st, 3);
	column_u64(st, 0, &chain);
	column_u64(st, 1, &sequence);
	column_u64(st, 5, &has_root);
	chain_body(e, body);
	chain_hash(e, body, hash);
	if (memcmp(hash, e->hash, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "HASH_MISMATCH", e, 0,
			"in a branch: the hash is not that of the content");
	else if (!has_root || sequence != e->sequence || !is_of_chain(v, chain, e) ||
		 kept.len != EVENT_HASH_SIZE || memcmp(kept.ptr, hash, EVENT_HASH_SIZE) != 0 ||
		 prev.len != EVENT_HASH_SIZE || memcmp(prev.ptr, e->prev, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "BRANCH_MISMATCH", e, 0,
			"a row of table branch is not that of its event");
	if (v->check_macs)
		check_mac(v, e);
}

static enum ledger_status check_rows(struct verification *v, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger *l = v->ledger;
	TRY(store_prepare(l->store, SQL_VERIFY_BRANCHES, &st, err));
	for (;; arena_reset(&arena)) {
		struct event e;
		struct ledger_error bad;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct slice line = column_text(st, 4);
		if (line.ptr && event_read_line(line, &arena, &e, &bad) == LEDGER_OK)
			check_row(v, st, &e);
		else
			verify_report_damage(v, "ROW_MALFORMED", NULL, 0,
				"table branch has a row that is no event");
	}
}

/* --- Decisions --------------------------------------------------------------------------------- */

/* Which branch a decision has to name, and whether it does. */
struct decision {
	struct slice node; /* whose decisions count here */
	const uint8_t *root;
	bool fits;
};

/* The payload is verified with the event: this node wrote it, member by member. */
static enum ledger_status compare_decision(
	const struct event *e, void *context, struct ledger_error *err)
{
	struct decision *d = context;
	CLEANUP_BUF struct buf member = { 0 };
	buf_add_text(&member, "\"there\":\"");
	buf_add_hex(&member, d->root, EVENT_HASH_SIZE);
	buf_add_text(&member, "\",");
	TRY(buf_check(&member, err));
	d->fits = slice_eq(e->origin, d->node) && slice_is(e->domain, "_ledger") &&
		  slice_is(e->type, "fork_settled") &&
		  memmem(e->payload.ptr, e->payload.len, buf_text(&member), member.len);
	return LEDGER_OK;
}

static enum ledger_status check_settlement(
	struct verification *v, struct stmt *st, struct ledger_error *err)
{
	uint64_t position = 0, has_branch = 0;
	struct slice root = column_blob(st, 0);
	struct decision d = { slice_of(v->ledger->node), (const uint8_t *)root.ptr, false };
	enum ledger_status status = LEDGER_OK;
	column_u64(st, 1, &position);
	column_u64(st, 2, &has_branch);
	struct ledger_filter one = { .from = position, .to = position };
	if (root.len == EVENT_HASH_SIZE && position > 0)
		status = ledger_read(v->ledger, &one, compare_decision, &d, err);
	if (status && status != LEDGER_DAMAGED) /* a bad row of `event` is reported as one, too */
		return status;
	if (!d.fits)
		verify_report_damage(v, "BRANCH_MISMATCH", NULL, 0,
			"a row of table settlement is not that of an event fork_settled");
	else if (!has_branch)
		verify_report_damage(v, "BRANCH_MISMATCH", NULL, 0,
			"the branch that position %" PRIu64 " settled is gone from table branch",
			position);
	return LEDGER_OK;
}

static enum ledger_status check_settlements(struct verification *v, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	struct store *s = v->ledger->store;
	TRY(store_prepare(s, SQL_VERIFY_SETTLEMENTS, &st, err));
	for (bool row;;) {
		TRY(stmt_row(s, st, &row, err));
		if (!row)
			return LEDGER_OK;
		TRY(check_settlement(v, st, err));
	}
}

/* --- Forks ------------------------------------------------------------------------------------- */

static enum ledger_status report_fork(
	const struct ledger_fork *fork, void *context, struct ledger_error *err)
{
	struct event at = { .origin = fork->chain.origin,
		.epoch = fork->chain.epoch,
		.domain = fork->chain.domain,
		.sequence = fork->sequence };
	CLEANUP_BUF struct buf there = { 0 };
	if (fork->settled)
		return LEDGER_OK;
	buf_add_hex(&there, fork->there, 8);
	TRY(buf_check(&there, err));
	verify_report_damage(context, "FORK", &at, 0,
		"two verified events have this place; the other branch is %s, with %" PRIu64
		" events",
		buf_text(&there), fork->events);
	return LEDGER_OK;
}

enum ledger_status verify_branches(struct verification *v, struct ledger_error *err)
{
	TRY(check_rows(v, err));
	TRY(check_settlements(v, err));
	enum ledger_status status = ledger_forks(v->ledger, report_fork, v, err);
	if (status != LEDGER_DAMAGED)
		return status;
	verify_report_damage(v, "BRANCH_MISMATCH", NULL, 0, "%.180s", err->text);
	return LEDGER_OK;
}
