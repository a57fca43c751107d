/* What must hold for an append: the expected version of its stream, and that no event matches a query. */
#include "handle.h"

#include "../base/banned.h"

static enum ledger_status check_expected(const struct ledger_new *event, uint64_t version,
	const struct ledger_condition *c, struct ledger_error *err)
{
	if (c->expect == LEDGER_EXPECT_ANY)
		return LEDGER_OK;
	if (!event->stream.ptr)
		return fail(err, LEDGER_INVALID, "an expected version needs a stream");
	if (c->expect == LEDGER_EXPECT_EXISTS && version == 0)
		return fail(err, LEDGER_CONFLICT, "stream %.*s has no event, expected one",
			SLICE_ARG(event->stream));
	if (c->expect == LEDGER_EXPECT_NONE && version != 0)
		return fail(err, LEDGER_CONFLICT,
			"stream %.*s is at version %" PRIu64 ", expected none",
			SLICE_ARG(event->stream), version);
	if (c->expect == LEDGER_EXPECT_VERSION && version != c->version) {
		fail(err, LEDGER_CONFLICT,
			"stream %.*s is at version %" PRIu64 ", expected %" PRIu64,
			SLICE_ARG(event->stream), version, c->version);
		return hint(err, "read the stream again, decide again, append again");
	}
	return LEDGER_OK;
}

static enum ledger_status keep_first(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	*(uint64_t *)context = event->position;
	return LEDGER_OK;
}

/* The reader answers it: an item is a filter, and it stops at the first match. */
static enum ledger_status check_item(struct ledger *l, const struct ledger_query_item *item,
	uint64_t after, struct ledger_error *err)
{
	uint64_t position = 0;
	struct ledger_filter filter = {
		.from = after + 1,
		.types = item->types,
		.n_types = item->n_types,
		.tags = item->tags,
		.n_tags = item->n_tags,
		.limit = 1,
	};
	TRY(ledger_read(l, &filter, keep_first, &position, err));
	if (position == 0)
		return LEDGER_OK;
	fail(err, LEDGER_CONFLICT, "an event matches the condition: position %" PRIu64, position);
	return hint(err, "see it with: ledgerbox show %" PRIu64, position);
}

static enum ledger_status check_reached(
	struct ledger *l, const char *what, uint64_t position, struct ledger_error *err)
{
	if (position <= l->batch.seal.position)
		return LEDGER_OK;
	return fail(err, LEDGER_INVALID, "%s %" PRIu64 " lies behind the last position, %" PRIu64,
		what, position, l->batch.seal.position);
}

enum ledger_status condition_check(struct ledger *l, const struct ledger_new *event,
	uint64_t stream_version, const struct ledger_condition *c, struct ledger_error *err)
{
	TRY(check_expected(event, stream_version, c, err));
	if (c->n_fail_if)
		TRY(check_reached(l, "the position of --after,", c->after, err));
	for (size_t i = 0; i < c->n_fail_if; i++)
		TRY(check_item(l, &c->fail_if[i], c->after, err));
	return LEDGER_OK;
}

enum ledger_status condition_move_cursor(
	struct ledger *l, const struct ledger_condition *c, struct ledger_error *err)
{
	if (!c->cursor.ptr)
		return LEDGER_OK;
	TRY(check_reached(l, "the position of the cursor,", c->cursor_position, err));
	return cursor_write(l, c->cursor, c->cursor_position, err);
}
