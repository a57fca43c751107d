/* An operator's decision about a fork: recorded as an event, and what waited for it goes on. */
#include "accept.h"

#include "../base/banned.h"

enum ledger_status record_deed(struct ledger *l, const char *type, struct buf *payload,
	uint64_t *position, struct ledger_error *err)
{
	struct ledger_answer answer;
	TRY(buf_check(payload, err));
	struct ledger_new event = { .domain = SLICE("_ledger"),
		.type = slice_of(type),
		.schema = 1,
		.payload = buf_slice(payload) };
	TRY(ledger_add(l, &event, NULL, &answer, err));
	*position = answer.position;
	return LEDGER_OK;
}

/* The fork with its words in memory of its own. */
struct settling {
	struct ledger *ledger;
	const uint8_t *there;
	bool found;
	struct ledger_fork fork;
	char origin[65], domain[65];
	struct ledger_settlement *out;
};

static enum ledger_status keep_fork(
	const struct ledger_fork *fork, void *context, struct ledger_error *err)
{
	struct settling *s = context;
	(void)err;
	if (memcmp(fork->there, s->there, EVENT_HASH_SIZE) != 0)
		return LEDGER_OK;
	s->found = true;
	s->fork = *fork;
	memcpy(s->origin, fork->chain.origin.ptr, fork->chain.origin.len); /* tokens */
	memcpy(s->domain, fork->chain.domain.ptr, fork->chain.domain.len);
	s->fork.chain.origin = slice_of(s->origin);
	s->fork.chain.domain = slice_of(s->domain);
	return LEDGER_OK;
}

static enum ledger_status check_may_settle(
	struct settling *s, bool record_again, struct ledger_error *err)
{
	const struct ledger_fork *fork = &s->fork;
	if (!s->found) {
		fail(err, LEDGER_NO, "there is no such branch");
		return hint(err, "see them with: ledgerbox fork list");
	}
	if (fork->settled)
		return fail(err, LEDGER_NO, "it is settled, by the event at position %" PRIu64,
			fork->settled);
	if (!record_again)
		return LEDGER_OK;
	if (!slice_is(fork->chain.origin, s->ledger->node)) {
		fail(err, LEDGER_REFUSED, "events of %s are recorded again by %s, not by %s",
			s->origin, s->origin, s->ledger->node);
		return hint(
			err, "settle it here without --record-again, and with it on %s", s->origin);
	}
	if (!fork->whole) {
		fail(err, LEDGER_REFUSED, "the beginning of the branch has not arrived yet");
		return hint(err, "let serve-sync run until fork list shows it whole");
	}
	return LEDGER_OK;
}

static enum ledger_status record_settlement(
	struct settling *s, struct slice reason, struct ledger_error *err)
{
	CLEANUP_BUF struct buf payload = { 0 };
	CLEANUP_STMT struct stmt *st = NULL;
	const struct ledger_fork *f = &s->fork;
	buf_addf(&payload,
		"{\"origin\":\"%s\",\"epoch\":%" PRIu64 ",\"domain\":\"%s\",\"sequence\":%" PRIu64
		",\"here\":\"",
		s->origin, f->chain.epoch, s->domain, f->sequence);
	buf_add_hex(&payload, f->here, EVENT_HASH_SIZE);
	buf_add_text(&payload, "\",\"there\":\"");
	buf_add_hex(&payload, f->there, EVENT_HASH_SIZE);
	buf_addf(&payload, "\",\"events\":%" PRIu64 ",\"last\":%" PRIu64 ",\"reason\":", f->events,
		f->last);
	json_add_string(&payload, reason);
	buf_add_char(&payload, '}');
	TRY(record_deed(s->ledger, "fork_settled", &payload, &s->out->position, err));
	TRY(store_get(s->ledger->store, SQL_SETTLEMENT_INSERT, &st, err));
	bind_blob(st, 1, f->there, EVENT_HASH_SIZE);
	bind_u64(st, 2, s->out->position);
	return stmt_run(s->ledger->store, st, err);
}

/* --- The branch's events once more ---------------------------------------------------------------- */

static enum ledger_status has_id(
	struct ledger *l, const struct event *e, bool *has, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_EVENTS_BY_ID, &st, err));
	bind_blob(st, 1, e->id, sizeof(e->id));
	bind_blob(st, 2, e->id, sizeof(e->id));
	bind_u64(st, 3, 1);
	return stmt_row(l->store, st, has, err);
}

static enum ledger_status record_again(
	const struct event *e, void *context, struct ledger_error *err)
{
	struct settling *s = context;
	struct slice tags[EVENT_TAGS_MAX], rest = e->tags;
	struct ledger_answer answer;
	bool known;
	TRY(has_id(s->ledger, e, &known, err));
	if (known) {
		s->out->skipped++;
		return LEDGER_OK;
	}
	struct ledger_new again = {
		.has_id = true,
		.domain = e->domain,
		.type = e->type,
		.stream = e->stream,
		.schema = e->schema,
		.has_time = true,
		.time = e->time,
		.tags = tags,
		.payload = e->payload,
		.metadata = e->metadata,
	};
	memcpy(again.id, e->id, sizeof(again.id));
	while (again.n_tags < EVENT_TAGS_MAX && event_next_tag(&rest, &tags[again.n_tags]))
		again.n_tags++;
	TRY(ledger_add(s->ledger, &again, NULL, &answer, err));
	s->out->recorded++;
	return LEDGER_OK;
}

/* --- What waited ----------------------------------------------------------------------------------- */

/* The line of an event that continues the chain, if one waits; it goes to the arena. */
static enum ledger_status next_waiting(struct ledger *l, const struct chain_tail *tail,
	struct arena *arena, struct slice *line, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*line = (struct slice){ NULL, 0 };
	TRY(store_get(l->store, SQL_BRANCH_NEXT, &st, err));
	bind_u64(st, 1, tail->chain);
	bind_u64(st, 2, tail->sequence + 1);
	bind_blob(st, 3, tail->hash, EVENT_HASH_SIZE);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return LEDGER_OK;
	*line = arena_copy(arena, column_text(st, 0));
	return line->ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status take_waiting(struct settling *s, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger *l = s->ledger;
	const struct ledger_chain_name *name = &s->fork.chain;
	struct ledger_source source = { .name = SLICE("fork") };
	for (;; arena_reset(&arena)) {
		struct chain_tail *tail;
		struct ledger_received received = { .source = &source };
		struct ledger_accepted result;
		struct candidate c;
		TRY(tail_find(l, name->origin, name->epoch, name->domain, &tail, err));
		tail->looked = false;
		TRY(next_waiting(l, tail, &arena, &received.line, err));
		if (!received.line.ptr)
			return LEDGER_OK;
		TRY(accept_examine(l, &received, &arena, &c, err));
		TRY(accept_place(l, &c, &result, err));
		if (result.outcome != LEDGER_INSERTED)
			return LEDGER_OK; /* another branch of it is open */
		s->out->inserted++;
	}
}

static enum ledger_status settle(
	struct settling *s, struct slice reason, bool again, struct ledger_error *err)
{
	TRY(ledger_forks(s->ledger, keep_fork, s, err));
	TRY(check_may_settle(s, again, err));
	TRY(record_settlement(s, reason, err));
	if (again)
		TRY(ledger_fork_events(s->ledger, s->there, record_again, s, err));
	return take_waiting(s, err);
}

enum ledger_status ledger_fork_settle(struct ledger *l, const uint8_t there[EVENT_HASH_SIZE],
	struct slice reason, bool record_again, struct ledger_settlement *out,
	struct ledger_error *err)
{
	struct ledger_settlement made = { 0 };
	struct settling s = { .ledger = l, .there = there, .out = &made };
	TRY(ledger_begin(l, err));
	enum ledger_status status = settle(&s, reason, record_again, err);
	if (status)
		ledger_rollback(l);
	else
		status = ledger_commit(l, err);
	if (!status)
		*out = made;
	return status;
}
