/* May this node append to a stream? Asked inside the transaction, of streams of owned types alone. */
#include "owner.h"

#include <stdlib.h>

#include "../peers.h"

#include "../base/banned.h"

/* --- Answers that still hold --------------------------------------------------------------------- */

#define SLOTS	 4096 /* a power of two */
#define NAME_MAX (64 + 1 + 64 + 1 + EVENT_STREAM_KEY_MAX)

/* Yes, this node may append to it. */
struct owner_slot {
	uint64_t generation;
	size_t len;
	char name[NAME_MAX]; /* domain, a space, stream */
};

void owner_cache_done(struct ledger *l)
{
	free(l->owners.slots);
	l->owners.slots = NULL;
	arena_done(&l->owners.words);
}

static uint64_t mix(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) /* FNV-1a */
		hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The slot that a stream has or would have; NULL without memory: then nothing is remembered. */
static struct owner_slot *find_slot(struct ledger *l, const struct owner_name *name)
{
	if (!l->owners.slots)
		l->owners.slots = calloc(SLOTS, sizeof(*l->owners.slots));
	if (!l->owners.slots)
		return NULL;
	uint64_t hash = mix(mix(UINT64_C(0xcbf29ce484222325), name->domain), name->stream);
	return &l->owners.slots[(hash ^ hash >> 32) & (SLOTS - 1)];
}

static bool is_remembered(
	const struct ledger *l, const struct owner_slot *slot, const struct owner_name *name)
{
	size_t at = name->domain.len + 1;
	return slot && slot->generation == l->owners.generation &&
	       slot->len == at + name->stream.len &&
	       memcmp(slot->name + at, name->stream.ptr, name->stream.len) == 0 &&
	       memcmp(slot->name, name->domain.ptr, name->domain.len) == 0;
}

static void remember(const struct ledger *l, struct owner_slot *slot, const struct owner_name *name)
{
	size_t at = name->domain.len + 1;
	if (!slot || at + name->stream.len > sizeof(slot->name))
		return;
	slot->generation = l->owners.generation;
	slot->len = at + name->stream.len;
	memcpy(slot->name, name->domain.ptr, name->domain.len);
	slot->name[name->domain.len] = ' ';
	memcpy(slot->name + at, name->stream.ptr, name->stream.len);
}

/* --- What a new owner has to hold ---------------------------------------------------------------- */

static enum ledger_status check_head(
	struct ledger *l, const struct ledger_head *head, struct ledger_error *err)
{
	enum ledger_presence presence;
	TRY(ledger_has(l, head, &presence, err));
	if (presence == LEDGER_PRESENT || presence == LEDGER_IN_BRANCH)
		return LEDGER_OK;
	fail(err, LEDGER_BUSY,
		"events of the owner before are missing here: %.*s/%" PRIu64 "/%.*s up to %" PRIu64,
		SLICE_ARG(head->origin), head->epoch, SLICE_ARG(head->domain), head->sequence);
	return hint(err, "serve-sync brings them; then try again");
}

static enum ledger_status check_heads(struct ledger *l, const struct owner_name *name,
	const struct owner_event *transferred, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger_head head = { .origin = slice_of(transferred->origin),
		.domain = name->domain };
	struct slice heads;
	struct json_walk walk;
	bool row;
	TRY(store_get(l->store, SQL_OWNERSHIP_HEADS, &st, err));
	bind_blob(st, 1, transferred->hash, EVENT_HASH_SIZE);
	TRY(stmt_row(l->store, st, &row, err));
	heads = row ? column_text(st, 0) : (struct slice){ NULL, 0 };
	if (!heads.ptr || json_check(heads, &heads, err) || json_kind(heads) != JSON_ARRAY)
		return fail(err, LEDGER_DAMAGED, "table ownership of %s has a malformed row",
			store_path(l->store));
	json_walk_init(&walk, heads);
	while (ownership_next_head(&walk, &head))
		TRY(check_head(l, &head, err));
	return LEDGER_OK;
}

/*
 * All that the owners before have named, back to where this node was the owner in its present epoch: what it
 * offered then, it could write to. Mostly one step, and none for a stream that never changed hands.
 */
static enum ledger_status check_holds(struct ledger *l, const struct owner_name *name,
	const uint8_t line[EVENT_HASH_SIZE], struct ledger_error *err)
{
	struct owner_event e;
	uint64_t clock = UINT64_MAX;
	TRY(owner_find_event(l, name, line, &e, err));
	/* Up the line clocks only fall: a table that somebody changed is no endless loop. */
	while (e.clock < clock && !(strcmp(e.origin, l->node) == 0 && e.epoch == l->epoch &&
					  e.kind != OWNER_ACCEPTED)) {
		clock = e.clock;
		if (e.kind == OWNER_TRANSFERRED)
			TRY(check_heads(l, name, &e, err));
		if (e.kind == OWNER_CLAIMED)
			break;
		TRY(owner_find_event(l, name, e.follows, &e, err));
	}
	return LEDGER_OK;
}

/* --- The check ----------------------------------------------------------------------------------- */

static enum ledger_status of_another(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_error *err)
{
	bool for_us = strcmp(row->next, l->node) == 0;
	fail(err, LEDGER_NOT_OWNER, "stream %.*s is owned by %s", SLICE_ARG(name->stream),
		row->node);
	if (for_us && row->state == OWNER_IS_OFFERED)
		return hint(err, "it is offered to %s: ledgerbox own accept '%.*s'", l->node,
			SLICE_ARG(name->stream));
	if (for_us)
		return hint(err, "%s has accepted it; %s has yet to record that it is transferred",
			l->node, row->node);
	return hint(err,
		"ask %s for it: ledgerbox send '%.*s' COMMAND; or there: ledgerbox own "
		"transfer '%.*s' %s",
		row->node, SLICE_ARG(name->stream), SLICE_ARG(name->stream), l->node);
}

enum ledger_status owner_may_write(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_error *err)
{
	if (strcmp(row->node, l->node) != 0)
		return of_another(l, name, row, err);
	if (row->state == OWNER_IS_HELD) {
		enum ledger_status status = check_holds(l, name, row->line, err);
		if (status == LEDGER_NO)
			return fail(err, LEDGER_DAMAGED,
				"table ownership of %s lacks an event that table owner names",
				store_path(l->store));
		return status;
	}
	fail(err, LEDGER_BUSY,
		"stream %.*s is offered to %s: nobody writes to it until %s has decided",
		SLICE_ARG(name->stream), row->next, l->node);
	return hint(err, "to take it back: ledgerbox own cancel '%.*s'", SLICE_ARG(name->stream));
}

static bool is_owned(const struct ledger *l, struct slice domain, struct slice stream)
{
	for (size_t i = 0; i < l->options.n_owned; i++) {
		const struct ledger_owned *owned = &l->options.owned[i];
		if (stream.len > owned->type.len && stream.ptr[owned->type.len] == '/' &&
			memcmp(stream.ptr, owned->type.ptr, owned->type.len) == 0 &&
			(!owned->domain.ptr || slice_eq(owned->domain, domain)))
			return true;
	}
	return false;
}

static enum ledger_status of_nobody(
	const struct owner_name *name, bool create, bool *claim, struct ledger_error *err)
{
	*claim = create;
	if (create)
		return LEDGER_OK;
	fail(err, LEDGER_NOT_OWNER, "nobody owns stream %.*s", SLICE_ARG(name->stream));
	return hint(err, "a new one: add --create; one that has events: ledgerbox own claim '%.*s'",
		SLICE_ARG(name->stream));
}

static enum ledger_status check_unowned(struct slice stream, bool create, struct ledger_error *err)
{
	if (!create)
		return LEDGER_OK;
	if (!stream.ptr)
		return fail(err, LEDGER_INVALID, "to create a stream, name one");
	fail(err, LEDGER_USAGE, "streams like %.*s have no owners here", SLICE_ARG(stream));
	return hint(err,
		"stream_types: {…: {owned: true}} in the config; without owners: --expect none");
}

enum ledger_status owner_check_append(struct ledger *l, struct slice domain, struct slice stream,
	bool create, bool *claim, struct ledger_error *err)
{
	struct owner_name name = { domain, stream };
	struct owner_row row;
	*claim = false;
	if (!stream.ptr || !is_owned(l, domain, stream))
		return check_unowned(stream, create, err);
	struct owner_slot *slot = find_slot(l, &name);
	if (is_remembered(l, slot, &name))
		return LEDGER_OK;
	enum ledger_status status = owner_read(l, &name, &row, err);
	if (status == LEDGER_NO)
		return of_nobody(&name, create, claim, err);
	TRY(status);
	TRY(owner_may_write(l, &name, &row, err));
	remember(l, slot, &name);
	return LEDGER_OK;
}
