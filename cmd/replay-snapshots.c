/*
 * Snapshots by the policy of the config, stream_types: {type: {snapshot_every: N}}: behind the consumers
 * replay goes through what is new since it did so last (the cursor of SNAPSHOTS_CURSOR), and where an event
 * has a version that is a multiple of N the state of its stream is kept.
 */
#include "replay.h"

#include <inttypes.h>

#include "command.h"
#include "output.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

#define SNAPSHOTS_CURSOR "replay:snapshots"

/* States taken between two readings. */
#define STREAMS_MAX 256

struct keeping {
	struct ledger *ledger; /* to write to */
	struct ledger_fold *fold;
	struct arena arena;
	struct ledger_filter filter; /* streams of the types that have a policy */
	struct buf names;	     /* of streams that are due, "domain stream\n" */
	size_t n;
	uint64_t position; /* of the last event in them */
};

#define CLEANUP_KEEPING __attribute__((cleanup(keeping_done)))

static void keeping_done(struct keeping *k)
{
	ledger_fold_close(k->fold);
	arena_done(&k->arena);
	buf_done(&k->names);
}

bool replay_has_policy(void)
{
	for (size_t i = 0; i < settings.n_stream_types; i++)
		if (settings.stream_types[i].snapshot_every)
			return true;
	return false;
}

/* "product/" for each type that has one. */
static enum ledger_status find_types(struct keeping *k, struct ledger_error *err)
{
	struct slice *types = arena_array(&k->arena, settings.n_stream_types + 1, sizeof(*types));
	if (!types)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < settings.n_stream_types; i++) {
		CLEANUP_BUF struct buf prefix = { 0 };
		if (!settings.stream_types[i].snapshot_every)
			continue;
		buf_addf(&prefix, "%s/", settings.stream_types[i].name);
		TRY(buf_check(&prefix, err));
		types[k->filter.n_streams] = arena_copy(&k->arena, buf_slice(&prefix));
		if (!types[k->filter.n_streams++].ptr)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	k->filter.streams = types;
	return LEDGER_OK;
}

static enum ledger_status look(const struct event *event, void *context, struct ledger_error *err)
{
	struct keeping *k = context;
	const struct stream_type_settings *type = settings_stream_type(event->stream);
	if (!type || !type->snapshot_every || event->version % type->snapshot_every != 0)
		return LEDGER_OK;
	buf_addf(&k->names, "%.*s ", SLICE_ARG(event->domain));
	buf_add_slice(&k->names, event->stream);
	buf_add_char(&k->names, '\n');
	k->position = event->position;
	/* Leaves the reading: states are taken outside of it. */
	return ++k->n < STREAMS_MAX ? buf_check(&k->names, err) : LEDGER_NO;
}

/* A stream that cannot be folded does not keep the others from it: `state` says of it what is wrong. */
static enum ledger_status take(
	struct keeping *k, struct slice stream, struct slice domain, struct ledger_error *err)
{
	struct ledger_state state;
	bool taken;
	enum ledger_status status =
		ledger_snapshot_take(k->fold, stream, domain, 1, &state, &taken, err);
	if (status != LEDGER_INVALID && status != LEDGER_USAGE && status != LEDGER_DAMAGED)
		return status;
	warn("no snapshot of %.*s: %s", SLICE_ARG(stream), err->text);
	return LEDGER_OK;
}

static enum ledger_status take_all(struct keeping *k, struct ledger_error *err)
{
	struct slice rest = buf_slice(&k->names), line, domain, stream;
	TRY(buf_check(&k->names, err));
	while (slice_cut(rest, '\n', &line, &rest) && !signals_stop())
		if (slice_cut(line, ' ', &domain, &stream))
			TRY(take(k, stream, domain, err));
	return LEDGER_OK;
}

static enum ledger_status keep_range(struct keeping *k, uint64_t end, struct ledger_error *err)
{
	struct slice cursor = SLICE(SNAPSHOTS_CURSOR);
	uint64_t done = 0;
	enum ledger_status status = ledger_cursor_get(k->ledger, cursor, &done, err);
	if (status != LEDGER_OK && status != LEDGER_NO && status != LEDGER_REFUSED)
		return status;
	if (status != LEDGER_OK)
		done = 0; /* of another history: what is taken twice is passed over */
	while (done < end && !signals_stop()) {
		k->filter.from = done + 1;
		k->filter.to = end;
		k->n = 0;
		buf_reset(&k->names);
		status = ledger_read(k->ledger, &k->filter, look, k, err);
		if (status != LEDGER_OK && k->n < STREAMS_MAX)
			return status;
		done = k->n < STREAMS_MAX ? end : k->position;
		TRY(take_all(k, err));
		if (!signals_stop())
			TRY(ledger_cursor_set(k->ledger, cursor, done, err));
	}
	return LEDGER_OK;
}

static enum ledger_status keep(struct ledger **writer, uint64_t end, struct ledger_error *err)
{
	CLEANUP_KEEPING struct keeping k = { 0 };
	if (!*writer)
		TRY(command_open_ledger(LEDGER_MODE_WRITE, writer, err));
	k.ledger = *writer;
	TRY(find_types(&k, err));
	TRY(ledger_fold_open(&k.fold, k.ledger, &settings.rules, err));
	return keep_range(&k, end, err);
}

void replay_keep_snapshots(struct ledger **writer, uint64_t end)
{
	struct ledger_error err = { 0 };
	if (!replay_has_policy() || replay_args.is_filtered)
		return;
	enum ledger_status status = keep(writer, end, &err);
	/* Who may not write, or would have to wait, has had what was asked for all the same. */
	if (status != LEDGER_OK && status != LEDGER_REFUSED && status != LEDGER_BUSY)
		warn("no snapshots: %s", err.text);
}
