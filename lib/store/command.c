/*
 * What became of commands: the answers that are kept, so that a command sent twice is executed once; those
 * sent from here without an answer; and how often what happened.
 */
#include "command.h"

#include "../base/banned.h"

/* After it has expired no command is executed: its answer is kept a little longer for who asks late. */
#define KEEP_AFTER (60 * TIME_SECOND)

/* --- Answers --------------------------------------------------------------------------------- */

static enum ledger_status malformed(struct ledger *l, struct ledger_error *err)
{
	return fail(err, LEDGER_DAMAGED, "%s has a malformed row in table command",
		store_path(l->store));
}

/* What was not sealed is nobody's message that could come again. */
static uint64_t counter_of(const struct ledger_command *command)
{
	return command->counter ? command->counter : INT64_MAX;
}

enum ledger_status command_lookup(struct ledger *l, const struct ledger_command *command,
	struct command_known *out, struct buf *answer, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t executed;
	TRY(store_get(l->store, SQL_COMMAND, &st, err));
	bind_blob(st, 1, command->id, 16);
	bind_text(st, 2, command->sender);
	bind_u64(st, 3, counter_of(command));
	TRY(stmt_row(l->store, st, &out->found, err));
	if (!out->found)
		return LEDGER_OK;
	struct slice kept = column_blob(st, 0), text = column_text(st, 1);
	if (kept.len != EVENT_HASH_SIZE || !text.ptr || !column_u64(st, 2, &executed))
		return malformed(l, err);
	out->executed = executed;
	memcpy(out->digest, kept.ptr, EVENT_HASH_SIZE);
	buf_add_slice(answer, text);
	return buf_check(answer, err);
}

enum ledger_status ledger_command_answer(struct ledger *l, const uint8_t id[16],
	struct arena *arena, struct ledger_reply *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool found;
	TRY(store_get(l->store, SQL_COMMAND_ANSWER, &st, err));
	bind_blob(st, 1, id, 16);
	TRY(stmt_row(l->store, st, &found, err));
	if (!found)
		return fail(err, LEDGER_NO, "nothing is known of that command here");
	if (!column_text(st, 0).ptr)
		return malformed(l, err);
	struct slice text = arena_copy(arena, column_text(st, 0));
	return text.ptr ? ledger_reply_read(text, arena, out, err)
			: fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status keep(struct ledger *l, const struct ledger_command *command,
	struct slice sender, uint64_t counter, const struct command_answer *answer,
	struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_COMMAND_KEEP, &st, err));
	bind_blob(st, 1, command->id, 16);
	bind_text(st, 2, sender);
	bind_u64(st, 3, counter);
	bind_blob(st, 4, answer->digest, EVENT_HASH_SIZE);
	bind_text(st, 5, answer->text);
	bind_u64(st, 6, answer->forget + KEEP_AFTER);
	return stmt_run(l->store, st, err);
}

enum ledger_status command_keep(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err)
{
	return keep(l, command, SLICE(""), 0, answer, err);
}

enum ledger_status command_refuse(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err)
{
	return keep(l, command, command->sender, command->counter, answer, err);
}

enum ledger_status command_refuse_alone(struct ledger *l, const struct ledger_command *command,
	const struct command_answer *answer, struct ledger_error *err)
{
	IN_TRANSACTION(l, command_refuse(l, command, answer, err));
}

enum ledger_status command_forget(struct ledger *l, uint64_t now, struct ledger_error *err)
{
	static const enum sql which[] = { SQL_COMMAND_FORGET, SQL_SENT_FORGET };
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		CLEANUP_STMT struct stmt *st = NULL;
		TRY(store_get(l->store, which[i], &st, err));
		bind_u64(st, 1, now);
		TRY(stmt_run(l->store, st, err));
	}
	return LEDGER_OK;
}

/* --- What is recorded ------------------------------------------------------------------------ */

enum ledger_status command_has_event(
	struct ledger *l, const uint8_t id[16], bool *found, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_EVENTS_BY_ID, &st, err));
	bind_blob(st, 1, id, 16);
	bind_blob(st, 2, id, 16);
	bind_u64(st, 3, INT64_MAX);
	return stmt_row(l->store, st, found, err);
}

enum ledger_status command_version(struct ledger *l, struct slice stream, struct slice domain,
	uint64_t *version, struct ledger_error *err)
{
	uint64_t id = 0;
	enum ledger_status status = names_domain_id(l, domain, false, &id, err);
	*version = 0;
	if (status && status != LEDGER_NO)
		return status;
	return status || !id ? LEDGER_OK : insert_version(l, stream, id, version, err);
}

/* --- Sent from here -------------------------------------------------------------------------- */

static enum ledger_status keep_sent(
	struct ledger *l, const struct ledger_command *c, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_SENT_KEEP, &st, err));
	bind_blob(st, 1, c->id, 16);
	bind_text(st, 2, c->node);
	bind_text(st, 3, c->stream);
	bind_text(st, 4, c->name);
	bind_u64(st, 5, time_now());
	bind_u64(st, 6, c->expires);
	bind_u64(st, 7, c->expires + LEDGER_COMMAND_LIFE_MAX);
	TRY(stmt_run(l->store, st, err));
	return command_forget(l, time_now(), err);
}

enum ledger_status ledger_command_sent(
	struct ledger *l, const struct ledger_command *command, struct ledger_error *err)
{
	IN_TRANSACTION(l, keep_sent(l, command, err));
}

enum ledger_status ledger_command_find_sent(struct ledger *l, const uint8_t id[16],
	struct arena *arena, struct ledger_sent *out, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_SENT, &st, err));
	bind_blob(st, 1, id, 16);
	TRY(stmt_row(l->store, st, &row, err));
	if (!row)
		return fail(err, LEDGER_NO, "no command of that id was sent from here");
	struct slice node = column_text(st, 0), stream = column_text(st, 1),
		     name = column_text(st, 2);
	if (!node.ptr || !stream.ptr || !name.ptr || !column_u64(st, 3, &out->time) ||
		!column_u64(st, 4, &out->expires))
		return fail(err, LEDGER_DAMAGED, "%s has a malformed row in table sent",
			store_path(l->store));
	memcpy(out->id, id, 16);
	out->node = arena_copy(arena, node);
	out->stream = arena_copy(arena, stream);
	out->name = arena_copy(arena, name);
	return out->node.ptr && out->stream.ptr && out->name.ptr
		       ? LEDGER_OK
		       : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- Counts ---------------------------------------------------------------------------------- */

enum ledger_status command_add_count(
	struct ledger *l, const char *what, uint64_t n, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_COMMAND_COUNT, &st, err));
	bind_text(st, 1, slice_of(what));
	bind_u64(st, 2, n);
	bind_u64(st, 3, time_now());
	return stmt_run(l->store, st, err);
}

enum ledger_status ledger_command_count(
	struct ledger *l, const char *what, uint64_t n, struct ledger_error *err)
{
	IN_TRANSACTION(l, command_add_count(l, what, n, err));
}

enum ledger_status ledger_command_counts(
	struct ledger *l, ledger_command_count_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(l->store, SQL_COMMAND_COUNTS, &st, err));
	for (;;) {
		struct ledger_command_count count;
		bool row;
		TRY(stmt_row(l->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		count.what = column_text(st, 0);
		if (!count.what.ptr || !column_u64(st, 1, &count.number) ||
			!column_u64(st, 2, &count.last))
			return fail(err, LEDGER_DAMAGED,
				"%s has a malformed row in table command_count",
				store_path(l->store));
		TRY(fn(&count, context, err));
	}
}
