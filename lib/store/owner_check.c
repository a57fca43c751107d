/* May this node append to a stream? Asked inside the transaction, of streams of owned types alone. */
#include "owner.h"

#include <stdlib.h>

#include "../peers.h"

#include "../base/banned.h"

/* --- Answers that still hold --------------------------------------------------------------------- */

#define WAYS	  4
#define SETS	  (1u << 13)
#define READ_AT	  512 /* look-ups, after which many are read at a time */
#define READ_ROWS (SETS * WAYS / 2)

/* Yes, this node may append to it: a stream by two hashes with a random key, which nobody can aim at. */
struct owner_slot {
	uint64_t hash[2]; /* 0, 0: free */
};

void owner_cache_done(struct ledger *l)
{
	free(l->owners.slots);
	l->owners.slots = NULL;
	arena_done(&l->owners.words);
}

void owner_cache_forget(struct ledger *l)
{
	l->owners.generation++;
	l->owners.misses = 0;
}

/* The answers of earlier batches hold as long as nobody else has written. */
enum ledger_status owner_cache_begin(struct ledger *l, struct ledger_error *err)
{
	uint64_t version;
	if (l->options.n_owned == 0)
		return LEDGER_OK;
	TRY(store_data_version(l->store, &version, err));
	if (version != l->owners.data_version)
		owner_cache_forget(l);
	l->owners.data_version = version;
	return LEDGER_OK;
}

__extension__ typedef unsigned __int128 u128;

static uint64_t mix_word(uint64_t hash, uint64_t key, uint64_t word)
{
	u128 product = (u128)(hash ^ word) * (key | 1);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t mix(uint64_t hash, uint64_t key, struct slice text)
{
	hash ^= text.len;
	while (text.len) {
		uint64_t word = 0;
		size_t n = text.len < sizeof(word) ? text.len : sizeof(word);
		memcpy(&word, text.ptr, n);
		hash = mix_word(hash, key, word);
		text = slice_from(text, n);
	}
	return hash;
}

static uint64_t hash_of(
	const struct ledger *l, const struct owner_name *name, const uint64_t key[2])
{
	uint64_t hash = mix_word(key[0], key[1], l->owners.generation);
	return mix(mix(hash, key[1], name->domain), key[1], name->stream);
}

/* What is remembered of a stream. The generation is in it: what was known in another one is never met. */
static struct owner_slot slot_of(const struct ledger *l, const struct owner_name *name)
{
	const uint64_t *key = l->owners.key;
	return (struct owner_slot){ { hash_of(l, name, key), hash_of(l, name, key + 2) } };
}

/* NULL without memory: then nothing is remembered. */
static struct owner_slot *set_of(struct ledger *l, const struct owner_slot *wanted)
{
	struct ledger_error ignored;
	if (!l->owners.slots) {
		l->owners.slots = calloc((size_t)SETS * WAYS, sizeof(*l->owners.slots));
		if (handle_random(l, l->owners.key, sizeof(l->owners.key), &ignored))
			owner_cache_done(l);
		return NULL; /* the hash was made without the key */
	}
	return &l->owners.slots[(wanted->hash[0] & (SETS - 1)) * WAYS];
}

static bool is_remembered(const struct owner_slot *set, const struct owner_slot *wanted)
{
	for (size_t i = 0; set && i < WAYS; i++)
		if (memcmp(&set[i], wanted, sizeof(*wanted)) == 0)
			return true;
	return false;
}

/* The others of its set move down, the last one falls out. */
static void remember(struct owner_slot *set, const struct owner_slot *wanted)
{
	if (!set)
		return;
	memmove(set + 1, set, (WAYS - 1) * sizeof(*set));
	set[0] = *wanted;
}

/* Of a stream's type, those of this node that never changed hands: each look-up costs as much as many rows
 * in a row. How many are read is bounded, whatever the table holds. */
static enum ledger_status read_many(struct ledger *l, struct slice stream, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	const char *slash = memchr(stream.ptr, '/', stream.len);
	size_t type = slash ? (size_t)(slash - stream.ptr) + 1 : stream.len;
	TRY(store_get(l->store, SQL_OWNER_MINE, &st, err));
	bind_text(st, 1, (struct slice){ stream.ptr, type });
	bind_text(st, 2, slice_of(l->node));
	bind_u64(st, 3, READ_ROWS);
	for (;;) {
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct owner_name name = { column_text(st, 1), column_text(st, 0) };
		struct owner_slot slot = slot_of(l, &name);
		struct owner_slot *set = set_of(l, &slot);
		if (!is_remembered(set, &slot))
			remember(set, &slot);
	}
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
 * For a stream that changed hands: all that the owners before have named, back to where this node was the owner in its present epoch: what it
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
		enum ledger_status status =
			row->moved ? check_holds(l, name, row->line, err) : LEDGER_OK;
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
	struct owner_slot wanted = slot_of(l, &name);
	struct owner_slot *set = set_of(l, &wanted);
	if (is_remembered(set, &wanted))
		return LEDGER_OK;
	enum ledger_status status = owner_read(l, &name, &row, err);
	if (status == LEDGER_NO)
		return of_nobody(&name, create, claim, err);
	TRY(status);
	TRY(owner_may_write(l, &name, &row, err));
	remember(set, &wanted);
	return ++l->owners.misses == READ_AT ? read_many(l, stream, err) : LEDGER_OK;
}
