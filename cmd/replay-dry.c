/* replay --dry-run: a line for each event and consumer, and what would be run for it. */
#include "replay.h"

#include <inttypes.h>

#include "consumers.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* One of the two is looked at. */
struct show {
	const struct ledger_handler *handler;
	const struct ledger_projection *projection;
	const char *name;
	struct buf line;
	uint64_t left;
};

#define CLEANUP_SHOW __attribute__((cleanup(show_done)))

static void show_done(struct show *show)
{
	buf_done(&show->line);
}

static void add_exec(struct buf *out, const char *const *exec, bool json)
{
	for (const char *const *arg = exec; *arg; arg++) {
		if (json && arg != exec)
			buf_add_char(out, ',');
		if (json)
			json_add_string(out, slice_of(*arg));
		else
			buf_addf(out, "%s%s", arg == exec ? "" : " ", *arg);
	}
}

/* The program, or the key of the config that holds the SQL. */
static void add_what(struct show *show, const struct ledger_apply *apply, bool json)
{
	struct buf *out = &show->line;
	if (json)
		buf_add_text(out, apply ? ",\"apply\":" : ",\"exec\":[");
	if (apply && json)
		json_add_string(out, apply->type);
	else if (apply)
		buf_addf(out, "apply %.*s", SLICE_ARG(apply->type));
	else
		add_exec(out, show->handler->exec, json);
	if (json && !apply)
		buf_add_char(out, ']');
}

static void add_json(struct show *show, const struct event *e, const struct ledger_apply *apply)
{
	struct buf *out = &show->line;
	char id[UUID_TEXT_MAX];
	uuid_format(e->id, id);
	buf_add_text(out, "{\"name\":");
	json_add_string(out, slice_of(show->name));
	buf_addf(out, ",\"position\":%" PRIu64 ",\"id\":\"%s\",\"type\":", e->position, id);
	json_add_string(out, e->type);
	if (e->stream.ptr) {
		buf_add_text(out, ",\"stream\":");
		json_add_string(out, e->stream);
	}
	add_what(show, apply, true);
	buf_add_text(out, "}\n");
}

static void add_text(struct show *show, const struct event *e, const struct ledger_apply *apply)
{
	struct buf *out = &show->line;
	buf_addf(out, "%s  %" PRIu64 "  %.*s  %.*s  ", show->name, e->position, SLICE_ARG(e->type),
		SLICE_ARG(e->stream));
	add_what(show, apply, false);
	buf_add_char(out, '\n');
}

static bool takes(
	const struct show *show, const struct event *event, const struct ledger_apply **apply)
{
	*apply = show->projection ? ledger_projection_takes(show->projection, event) : NULL;
	if (show->projection)
		return *apply != NULL;
	return ledger_handler_takes(settings.handlers, settings.n_handlers,
		(size_t)(show->handler - settings.handlers), event);
}

static enum ledger_status show_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct show *show = context;
	const struct ledger_apply *apply;
	if (!takes(show, event, &apply))
		return LEDGER_OK;
	buf_reset(&show->line);
	if (output.format == FORMAT_JSON)
		add_json(show, event, apply);
	else
		add_text(show, event, apply);
	TRY(buf_check(&show->line, err));
	out_safe_lines(buf_slice(&show->line));
	return --show->left == 0 || out_failed() ? LEDGER_NO : LEDGER_OK;
}

/* `position`: behind which it would go on. */
static enum ledger_status show_all(
	struct ledger *l, struct show *show, uint64_t position, struct ledger_error *err)
{
	struct ledger_filter f = replay_args.filter;
	show->left = replay_args.limit.given ? replay_args.limit.value : UINT64_MAX;
	if (!replay_args.is_filtered)
		f.from = position + 1;
	enum ledger_status status = ledger_read(l, &f, show_event, show, err);
	return status == LEDGER_NO && (show->left == 0 || out_failed()) ? LEDGER_OK : status;
}

static enum ledger_status show_handler(
	struct ledger *l, const struct ledger_handler *h, struct ledger_error *err)
{
	CLEANUP_SHOW struct show show = { .handler = h, .name = h->name };
	uint64_t position = 0;
	if (!replay_args.is_filtered)
		TRY(ledger_handler_next(l, h, &position, err));
	if (position + 1 < h->start_position)
		position = h->start_position - 1;
	return show_all(l, &show, position, err);
}

static enum ledger_status show_projection(struct ledger *l, size_t i, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	const struct ledger_projection *p = &settings.projections[i];
	CLEANUP_SHOW struct show show = { .projection = p, .name = p->name };
	struct ledger_projection_state state = { 0 };
	TRY(consumers_load(i, &arena, err));
	enum ledger_status status = ledger_projection_look(l, p, &state, err);
	if (status != LEDGER_OK && status != LEDGER_NO)
		return status;
	return show_all(l, &show, state.position, err);
}

enum ledger_status replay_show(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	for (size_t i = 0; i < settings.n_projections; i++)
		if (replay_is_named(settings.projections[i].name, argc, argv))
			TRY(show_projection(l, i, err));
	for (size_t i = 0; i < settings.n_handlers; i++)
		if (replay_is_named(settings.handlers[i].name, argc, argv))
			TRY(show_handler(l, &settings.handlers[i], err));
	return LEDGER_OK;
}
