/*
 * The append path, inside a batch: an event gets its place at the end of its chain, hash and MAC.
 *
 * Order of the checks (design section 5): known id, owner, expected version, query, insert.
 */
#include "owner.h"

#include <stdlib.h>

#include "../base/banned.h"

/* --- The event ------------------------------------------------------------------------------- */

/* The stored form of JSON text: no outer white space, each CR and LF a space. Copied only if needed. */
static enum ledger_status flatten(
	struct ledger *l, struct slice text, struct slice *out, struct ledger_error *err)
{
	struct slice value;
	*out = text;
	if (!text.ptr)
		return LEDGER_OK;
	TRY(json_check(text, &value, err));
	*out = value;
	if (!memchr(value.ptr, '\n', value.len) && !memchr(value.ptr, '\r', value.len))
		return LEDGER_OK;
	struct slice copy = arena_copy(&l->batch.arena, value);
	if (!copy.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	char *bytes = (char *)(uintptr_t)copy.ptr;
	for (size_t i = 0; i < copy.len; i++)
		if (bytes[i] == '\n' || bytes[i] == '\r')
			bytes[i] = ' ';
	*out = copy;
	return LEDGER_OK;
}

static int compare_tags(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Sorted, unique, one space between; absent without any. */
static enum ledger_status join_tags(
	struct ledger *l, const struct ledger_new *new, struct slice *out, struct ledger_error *err)
{
	struct slice sorted[EVENT_TAGS_MAX];
	size_t total = 0, used = 0;
	*out = (struct slice){ NULL, 0 };
	if (new->n_tags == 0)
		return LEDGER_OK;
	for (size_t i = 0; i < new->n_tags; i++) {
		sorted[i] = new->tags[i];
		total += new->tags[i].len + 1;
	}
	qsort(sorted, new->n_tags, sizeof(sorted[0]), compare_tags);
	char *text = arena_alloc(&l->batch.arena, total);
	if (!text)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < new->n_tags; i++) {
		if (i && slice_eq(sorted[i], sorted[i - 1]))
			continue;
		if (used)
			text[used++] = ' ';
		memcpy(text + used, sorted[i].ptr, sorted[i].len);
		used += sorted[i].len;
	}
	*out = (struct slice){ text, used };
	return LEDGER_OK;
}

static enum ledger_status prepare_event(
	struct ledger *l, const struct ledger_new *new, struct event *e, struct ledger_error *err)
{
	uint64_t now = time_now();
	struct seal *seal = &l->batch.seal;
	*e = (struct event){
		.position = seal->position + 1,
		.origin = slice_of(l->node),
		.epoch = seal->epoch,
		.domain = new->domain,
		.stream = new->stream,
		.type = new->type,
		.schema = new->schema,
		.clock = now > seal->clock ? now : seal->clock + 1,
		.time = new->has_time ? new->time : now,
		.key = slice_of(l->keys[0].id),
	};
	TRY(flatten(l, new->payload, &e->payload, err));
	TRY(flatten(l, new->metadata, &e->metadata, err));
	TRY(join_tags(l, new, &e->tags, err));
	if (e->clock > TIME_MAX)
		return fail(err, LEDGER_REFUSED, "the ledger's clock has come to its end");
	memcpy(e->id, new->id, sizeof(e->id));
	return LEDGER_OK;
}

/* --- Known ids ------------------------------------------------------------------------------- */

static bool is_same_content(
	const struct ledger_new *new, const struct event *wanted, const struct event *known)
{
	return slice_eq(known->domain, wanted->domain) && slice_eq(known->type, wanted->type) &&
	       slice_eq(known->stream, wanted->stream) && known->schema == wanted->schema &&
	       slice_eq(known->tags, wanted->tags) && slice_eq(known->payload, wanted->payload) &&
	       !known->metadata.ptr == !wanted->metadata.ptr &&
	       slice_eq(known->metadata, wanted->metadata) &&
	       (!new->has_time || known->time == wanted->time);
}

static void answer_with(struct ledger_answer *answer, const struct event *e, bool repeated)
{
	answer->position = e->position;
	answer->sequence = e->sequence;
	answer->version = e->version;
	answer->repeated = repeated;
	memcpy(answer->id, e->id, sizeof(answer->id));
	memcpy(answer->hash, e->hash, sizeof(answer->hash));
}

/* *known: the id is here with this content, and answered. */
static enum ledger_status check_known_id(struct ledger *l, const struct ledger_new *new,
	const struct event *e, bool *known, struct ledger_answer *answer, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t position = 0;
	*known = false;
	TRY(store_get(l->store, SQL_EVENTS_BY_ID, &st, err));
	bind_blob(st, 1, e->id, sizeof(e->id));
	bind_blob(st, 2, e->id, sizeof(e->id));
	bind_u64(st, 3, INT64_MAX);
	for (;;) {
		struct event old;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			break;
		TRY(row_read(l, st, &old, err));
		position = old.position;
		if (is_same_content(new, e, &old)) {
			answer_with(answer, &old, true);
			*known = true;
			return LEDGER_OK;
		}
	}
	if (!position)
		return LEDGER_OK;
	char id[UUID_TEXT_MAX];
	uuid_format(e->id, id);
	fail(err, LEDGER_CONFLICT, "id %s is known with other content, at position %" PRIu64, id,
		position);
	hint(err, "see it with: ledgerbox show %s", id);
	memcpy(err->id, id, sizeof(id));
	return LEDGER_CONFLICT;
}

/* --- Record ---------------------------------------------------------------------------------- */

static enum ledger_status record(struct ledger *l, struct event *e, struct chain_tail *tail,
	uint64_t version_before, struct ledger_error *err)
{
	uint8_t body[EVENT_HASH_SIZE];
	e->sequence = tail->sequence + 1;
	memcpy(e->prev, tail->hash, EVENT_HASH_SIZE);
	TRY(handle_random(l, e->salt, sizeof(e->salt), err));
	chain_body(e, body);
	chain_hash(e, body, e->hash);
	chain_mac(&l->keys[0], e->hash, e->mac);
	return insert_record(l, e, tail, version_before, err);
}

static enum ledger_status make_id(struct ledger *l, struct event *e, struct ledger_error *err)
{
	uint8_t random[8];
	TRY(handle_random(l, random, sizeof(random), err));
	uuid_v7(e->clock, random, e->id);
	return LEDGER_OK;
}

/* At the end of its chain; `version` is that of its stream before it. */
static enum ledger_status add_at_end(struct ledger *l, const struct ledger_new *new,
	struct event *e, struct chain_tail *tail, uint64_t version, struct ledger_error *err)
{
	e->version = new->stream.ptr ? version + 1 : 0;
	if (!new->has_id)
		TRY(make_id(l, e, err));
	return record(l, e, tail, version, err);
}

enum ledger_status append_beside(
	struct ledger *l, const struct ledger_new *new, struct ledger_error *err)
{
	struct event e;
	struct chain_tail *tail;
	uint64_t version;
	TRY(ledger_check_new(new, err));
	TRY(prepare_event(l, new, &e, err));
	TRY(tail_find(l, slice_of(l->node), e.epoch, new->domain, &tail, err));
	TRY(insert_version(l, new->stream, tail->domain, &version, err));
	return add_at_end(l, new, &e, tail, version, err);
}

/* The claim comes before the stream's first event; the event then has the place behind it. */
static enum ledger_status claim_stream(struct ledger *l, const struct ledger_new *new,
	struct event *e, struct chain_tail **tail, struct ledger_error *err)
{
	struct owner_event claim = { .kind = OWNER_CLAIMED };
	struct owner_name name = { new->domain, new->stream };
	TRY(ownership_record(l, &name, &claim, NULL, err));
	TRY(prepare_event(l, new, e, err));
	return tail_find(l, slice_of(l->node), e->epoch, new->domain, tail, err);
}

static enum ledger_status add_new(struct ledger *l, const struct ledger_new *new,
	const struct ledger_condition *condition, struct event *e, struct ledger_error *err)
{
	struct chain_tail *tail;
	uint64_t version;
	bool claim;
	TRY(tail_find(l, slice_of(l->node), e->epoch, new->domain, &tail, err));
	TRY(insert_version(l, new->stream, tail->domain, &version, err));
	TRY(owner_check_append(
		l, new->domain, new->stream, condition && condition->create, &claim, err));
	if (condition)
		TRY(condition_check(l, new, version, condition, err));
	if (claim)
		TRY(claim_stream(l, new, e, &tail, err));
	return add_at_end(l, new, e, tail, version, err);
}

static enum ledger_status add_event(struct ledger *l, const struct ledger_new *new,
	const struct ledger_condition *condition, struct ledger_answer *answer,
	struct ledger_error *err)
{
	struct event e;
	bool known = false;
	arena_reset(&l->batch.arena); /* one event's worth: a batch may have a million */
	TRY(ledger_check_new(new, err));
	TRY(prepare_event(l, new, &e, err));
	if (new->has_id)
		TRY(check_known_id(l, new, &e, &known, answer, err));
	if (!known) {
		TRY(add_new(l, new, condition, &e, err));
		answer_with(answer, &e, false);
	}
	return condition ? condition_move_cursor(l, condition, err) : LEDGER_OK;
}

enum ledger_status ledger_add(struct ledger *l, const struct ledger_new *event,
	const struct ledger_condition *condition, struct ledger_answer *answer,
	struct ledger_error *err)
{
	struct ledger_answer got;
	if (!l->batch.open)
		return fail(err, LEDGER_USAGE, "no batch is open");
	enum ledger_status status = add_event(l, event, condition, &got, err);
	if (status)
		ledger_rollback(l);
	else
		*answer = got;
	return status;
}

enum ledger_status ledger_append(struct ledger *l, const struct ledger_new *events, size_t n,
	const struct ledger_condition *condition, struct ledger_answer *answers,
	struct ledger_error *err)
{
	TRY(ledger_begin(l, err));
	for (size_t i = 0; i < n; i++)
		TRY(ledger_add(l, &events[i], condition, &answers[i], err));
	return ledger_commit(l, err);
}
