/* What became of commands, a line each; its result is a line of its own where people read. */
#include <inttypes.h>

#include "output.h"
#include "send.h"

#include "../lib/base/banned.h"

static void add_member(struct buf *line, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	buf_addf(line, ",\"%s\":", name);
	json_add_string(line, text);
}

static void add_json(struct buf *line, const struct flight *f, const struct ledger_reply *r,
	const struct ledger_error *err)
{
	char id[UUID_TEXT_MAX];
	enum ledger_status status = r ? r->status : err->status;
	uuid_format(f->command.id, id);
	buf_addf(line, "{\"id\":\"%s\"", id);
	if (f->line)
		buf_addf(line, ",\"line\":%" PRIu64, f->line);
	add_member(line, "stream", f->command.stream);
	add_member(line, "command", f->command.name);
	add_member(line, "node", r ? r->node : f->command.node);
	buf_addf(line, ",\"code\":%d,\"status\":\"%s\"", (int)status, ledger_status_name(status));
	if (!r && !status)
		buf_add_text(line, ",\"stored\":true");
	if (r)
		buf_addf(line, ",\"exit\":%" PRIu64, r->exit);
	if (r && r->repeated)
		buf_add_text(line, ",\"repeated\":true");
	add_member(line, "message", r ? r->text : slice_of(err->text));
	add_member(line, "hint", r ? r->hint : slice_of(err->hint));
	if (r && r->result.ptr) {
		buf_add_text(line, ",\"result\":");
		buf_add_slice(line, r->result);
	}
	if (r && r->events.ptr) {
		buf_add_text(line, ",\"events\":");
		buf_add_slice(line, r->events);
	}
	buf_add_text(line, "}\n");
}

static uint64_t count_events(struct slice list)
{
	struct json_walk walk;
	struct slice key, value;
	uint64_t n = 0;
	if (!list.ptr)
		return 0;
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &value))
		n++;
	return n;
}

static void add_text(struct buf *line, const struct flight *f, const struct ledger_reply *r,
	const struct ledger_error *err)
{
	char id[UUID_TEXT_MAX];
	uuid_format(f->command.id, id);
	if (!r && !err->status) {
		buf_addf(line, "%s stored for %.*s\n", id, SLICE_ARG(f->command.node));
		return;
	}
	if (!r || r->status) {
		buf_addf(line, "%s %s: ", id, ledger_status_name(r ? r->status : err->status));
		buf_add_slice(line, r ? r->text : slice_of(err->text));
	} else {
		uint64_t n = count_events(r->events);
		buf_addf(line, "%s executed%s by %.*s, %" PRIu64 " event%s", id,
			r->repeated ? " before" : "", SLICE_ARG(r->node), n, n == 1 ? "" : "s");
	}
	buf_add_char(line, '\n');
	if (r && r->result.ptr) {
		buf_add_slice(line, r->result);
		buf_add_char(line, '\n');
	}
}

static void keep_first(struct sending *s, const struct flight *f, const struct ledger_reply *r,
	const struct ledger_error *err)
{
	struct ledger_error *first = &s->first;
	if (first->status)
		return;
	if (!r) {
		*first = *err;
	} else {
		char id[UUID_TEXT_MAX];
		fail(first, r->status, "%.*s", (int)(r->text.len < 400 ? r->text.len : 400),
			r->text.ptr);
		if (r->status == LEDGER_NO)
			fail_in(first, "exit code %" PRIu64 " of the handler: ", r->exit);
		hint(first, "%.*s", (int)(r->hint.len < 200 ? r->hint.len : 200), r->hint.ptr);
		uuid_format(f->command.id, id);
		memcpy(first->id, id, sizeof(id));
	}
	if (f->line)
		fail_in(first, "line %" PRIu64 ": ", f->line);
}

void send_print(struct sending *s, const struct flight *f, const struct ledger_reply *r,
	const struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	bool well = r ? r->status == LEDGER_OK : err->status == LEDGER_OK;
	if (!well)
		keep_first(s, f, r, err);
	s->executed += well;
	/* What is not well and alone is said by the error, on stderr. */
	bool has_more = r && r->result.ptr;
	if ((well && output.quiet && !has_more) || (!well && !f->line && !r))
		return;
	if (output.format == FORMAT_JSON)
		add_json(&line, f, r, err);
	else if (well || f->line)
		add_text(&line, f, r, err);
	else if (has_more)
		buf_addf(&line, "%.*s\n", SLICE_ARG(r->result));
	out_safe_lines(buf_slice(&line));
	struct ledger_error ignored;
	out_flush(&ignored);
}
