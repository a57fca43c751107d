/*
 * The append path, inside a batch: an event gets its place at the end of its chain, hash and MAC.
 *
 * Order of the checks (design section 5): known id, expected version, query, insert.
 */
#include "handle.h"

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

/* --- Places ---------------------------------------------------------------------------------- */

static enum ledger_status damaged_index(struct ledger *l, struct ledger_error *err)
{
	fail(err, LEDGER_DAMAGED, "an index of %s does not fit its events", store_path(l->store));
	return hint(err, "ledgerbox verify --deep lists what is wrong");
}

static enum ledger_status read_place(struct ledger *l, uint64_t position, uint64_t *chain,
	uint64_t *sequence, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_CHAIN_PLACE, &st, err));
	bind_u64(st, 1, position);
	TRY(stmt_row(l->store, st, &row, err));
	return row && column_u64(st, 0, chain) && column_u64(st, 1, sequence)
		       ? LEDGER_OK
		       : damaged_index(l, err);
}

/*
 * Is the row at a position that place in the chain? An index says so; a damaged one must not be built on.
 * One that lost the newest entry leads to the one before: the ledger's last row, if of this chain, is it.
 */
static enum ledger_status check_place(struct ledger *l, const struct chain_tail *tail,
	uint64_t position, struct ledger_error *err)
{
	uint64_t chain, sequence;
	TRY(read_place(l, position, &chain, &sequence, err));
	if (chain != tail->chain || sequence != tail->sequence)
		return damaged_index(l, err);
	if (position == l->batch.seal.position)
		return LEDGER_OK;
	TRY(read_place(l, l->batch.seal.position, &chain, &sequence, err));
	return chain == tail->chain ? damaged_index(l, err) : LEDGER_OK;
}

/* The row of this node's chain; *fresh: made just now. */
static enum ledger_status find_chain(struct ledger *l, struct slice domain, struct chain_tail *tail,
	bool *fresh, struct ledger_error *err)
{
	uint64_t epoch = l->batch.seal.epoch;
	TRY(names_domain_id(l, domain, true, &tail->domain, err));
	enum ledger_status status =
		names_chain_id(l, slice_of(l->node), epoch, tail->domain, false, &tail->chain, err);
	*fresh = status == LEDGER_NO;
	if (!*fresh)
		return status;
	return names_chain_id(l, slice_of(l->node), epoch, tail->domain, true, &tail->chain, err);
}

static enum ledger_status load_tail(
	struct ledger *l, struct slice domain, struct chain_tail *tail, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row, fresh;
	struct batch *b = &l->batch;
	TRY(find_chain(l, domain, tail, &fresh, err));
	memset(tail->domain_name, 0, sizeof(tail->domain_name));
	memcpy(tail->domain_name, domain.ptr, domain.len); /* a token: at most 64 */
	TRY(store_get(l->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, tail->chain);
	TRY(stmt_row(l->store, st, &row, err));
	tail->sequence = 0;
	if (!row && !fresh) /* a chain's row comes with its first event, in one transaction */
		return damaged_index(l, err);
	if (!row) {
		chain_genesis(slice_of(l->node), b->seal.epoch, domain, tail->hash);
		return LEDGER_OK;
	}
	struct slice hash = column_blob(st, 1);
	if (!column_u64(st, 0, &tail->sequence) || hash.len != EVENT_HASH_SIZE)
		return fail(err, LEDGER_DAMAGED,
			"the head of chain %s/%" PRIu64 "/%.*s is malformed", l->node,
			b->seal.epoch, SLICE_ARG(domain));
	memcpy(tail->hash, hash.ptr, EVENT_HASH_SIZE);
	uint64_t position = 0;
	column_u64(st, 2, &position);
	return check_place(l, tail, position, err);
}

/* The end of this node's chain in a domain; remembered while the batch lasts. */
static enum ledger_status find_tail(
	struct ledger *l, struct slice domain, struct chain_tail **out, struct ledger_error *err)
{
	struct batch *b = &l->batch;
	for (size_t i = 0; i < b->n_tails; i++) {
		if (slice_is(domain, b->tails[i].domain_name)) {
			*out = &b->tails[i];
			return LEDGER_OK;
		}
	}
	if (b->n_tails == BATCH_TAILS_MAX)
		b->n_tails = 0; /* all are in the ledger too */
	TRY(load_tail(l, domain, &b->tails[b->n_tails], err));
	*out = &b->tails[b->n_tails++];
	return LEDGER_OK;
}

/* The highest version of a stream, 0 without one. */
static enum ledger_status stream_version(struct ledger *l, struct slice stream, uint64_t domain,
	uint64_t *version, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*version = 0;
	if (!stream.ptr)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_STREAM_VERSION, &st, err));
	bind_text(st, 1, stream);
	bind_u64(st, 2, domain);
	TRY(stmt_row(l->store, st, &row, err));
	if (row && !column_u64(st, 0, version))
		return fail(err, LEDGER_DAMAGED, "table stream of %s has a malformed version",
			store_path(l->store));
	return LEDGER_OK;
}

/* --- Insert ---------------------------------------------------------------------------------- */

static enum ledger_status insert_event(struct ledger *l, const struct event *e,
	const struct chain_tail *tail, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	if (!l->batch.key)
		TRY(names_key_id(l, e->key, &l->batch.key, err));
	TRY(store_get(l->store, SQL_EVENT_INSERT, &st, err));
	bind_u64(st, 1, e->position);
	bind_u64(st, 2, tail->chain);
	bind_u64(st, 3, e->sequence);
	bind_u64(st, 4, tail->domain);
	bind_blob(st, 5, e->id, sizeof(e->id));
	bind_text(st, 6, e->stream);
	bind_u64(st, 7, e->version);
	bind_text(st, 8, e->type);
	bind_u64(st, 9, e->schema);
	bind_u64(st, 10, e->clock);
	bind_u64(st, 11, e->time);
	bind_text(st, 12, e->tags);
	bind_u64(st, 13, l->batch.key);
	bind_blob(st, 14, e->salt, sizeof(e->salt));
	bind_blob(st, 15, e->prev, EVENT_HASH_SIZE);
	bind_blob(st, 16, e->hash, EVENT_HASH_SIZE);
	bind_blob(st, 17, e->mac, EVENT_HASH_SIZE);
	bind_text(st, 18, e->metadata);
	bind_text(st, 19, e->payload);
	TRY(stmt_run(l->store, st, err));
	/* A trigger that somebody added may have swallowed it. */
	if (store_changes(l->store) != 1)
		return fail(err, LEDGER_DAMAGED, "%s does not take events: its schema was changed",
			store_path(l->store));
	return LEDGER_OK;
}

static enum ledger_status insert_term(
	struct ledger *l, struct slice term, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_TERM_INSERT, &st, err));
	bind_text(st, 1, term);
	bind_u64(st, 2, position);
	return stmt_run(l->store, st, err);
}

static enum ledger_status insert_terms(
	struct ledger *l, const struct event *e, struct ledger_error *err)
{
	struct slice rest = e->tags, tag;
	if (e->stream.ptr)
		TRY(insert_term(l, e->stream, e->position, err));
	while (event_next_tag(&rest, &tag))
		TRY(insert_term(l, tag, e->position, err));
	CLEANUP_BUF struct buf value = { 0 }, word = { 0 };
	if (!e->metadata.ptr || !event_correlation(e, &value))
		return LEDGER_OK;
	buf_add_text(&word, "@correlation:");
	buf_add_slice(&word, buf_slice(&value));
	TRY(buf_check(&word, err));
	return insert_term(l, buf_slice(&word), e->position, err);
}

/* `before`: the highest version so far, 0 for a stream that is new. */
static enum ledger_status set_version(struct ledger *l, const struct event *e, uint64_t domain,
	uint64_t before, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	if (!e->stream.ptr || e->version <= before)
		return LEDGER_OK;
	TRY(store_get(l->store, before ? SQL_STREAM_UPDATE : SQL_STREAM_INSERT, &st, err));
	bind_text(st, 1, e->stream);
	bind_u64(st, 2, domain);
	bind_u64(st, 3, e->version);
	return stmt_run(l->store, st, err);
}

static enum ledger_status insert_mark(
	struct ledger *l, const struct seal *seal, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	if (seal->position % FORMAT_MARK_EVERY)
		return LEDGER_OK;
	TRY(store_get(l->store, SQL_MARK_INSERT, &st, err));
	bind_u64(st, 1, seal->position);
	bind_blob(st, 2, seal->link, EVENT_HASH_SIZE);
	return stmt_run(l->store, st, err);
}

static enum ledger_status record(
	struct ledger *l, struct event *e, struct chain_tail *tail, struct ledger_error *err)
{
	uint8_t body[EVENT_HASH_SIZE];
	struct seal *seal = &l->batch.seal;
	e->sequence = tail->sequence + 1;
	memcpy(e->prev, tail->hash, EVENT_HASH_SIZE);
	TRY(handle_random(l, e->salt, sizeof(e->salt), err));
	chain_body(e, body);
	chain_hash(e, body, e->hash);
	chain_mac(&l->keys[0], e->hash, e->mac);
	TRY(insert_event(l, e, tail, err));
	TRY(insert_terms(l, e, err));
	tail->sequence = e->sequence;
	memcpy(tail->hash, e->hash, EVENT_HASH_SIZE);
	chain_link(seal->link, e->hash);
	seal->position = e->position;
	seal->clock = e->clock;
	memcpy(l->batch.last_hash, e->hash, EVENT_HASH_SIZE);
	return insert_mark(l, seal, err);
}

static enum ledger_status make_id(struct ledger *l, struct event *e, struct ledger_error *err)
{
	uint8_t random[8];
	TRY(handle_random(l, random, sizeof(random), err));
	uuid_v7(e->clock, random, e->id);
	return LEDGER_OK;
}

static enum ledger_status add_event(struct ledger *l, const struct ledger_new *new,
	const struct ledger_condition *condition, struct ledger_answer *answer,
	struct ledger_error *err)
{
	struct event e;
	struct chain_tail *tail;
	uint64_t version;
	bool known = false;
	arena_reset(&l->batch.arena); /* one event's worth: a batch may have a million */
	TRY(ledger_check_new(new, err));
	TRY(prepare_event(l, new, &e, err));
	if (new->has_id)
		TRY(check_known_id(l, new, &e, &known, answer, err));
	if (known)
		return condition ? condition_move_cursor(l, condition, err) : LEDGER_OK;
	TRY(find_tail(l, new->domain, &tail, err));
	TRY(stream_version(l, new->stream, tail->domain, &version, err));
	if (condition)
		TRY(condition_check(l, new, version, condition, err));
	e.version = new->stream.ptr ? version + 1 : 0;
	if (!new->has_id)
		TRY(make_id(l, &e, err));
	TRY(record(l, &e, tail, err));
	TRY(set_version(l, &e, tail->domain, version, err));
	answer_with(answer, &e, false);
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
