/* show - print an event in full: every field, or the bytes that were hashed. */
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

static bool proof;

static const struct opt opts[] = {
	{ 0, "proof", "the bytes that are hashed, to recompute by hand", NULL, .flag = &proof },
	{ 'o', "output", "write to this file, replaced atomically", "<file>", .str = &output_path,
		.complete = COMPLETE_FILE },
	{ 0 },
};

struct show {
	struct render render;
	struct buf text;
	bool is_second; /* something was printed before */
};

#define CLEANUP_SHOW __attribute__((cleanup(show_done)))

static void show_done(struct show *s)
{
	render_done(&s->render);
	buf_done(&s->text);
}

/* --- Lines `name: value` --------------------------------------------------------------------- */

static void add_name(struct buf *out, const char *name)
{
	buf_addf(out, "%-10s ", name);
}

static void add_slice_line(struct buf *out, const char *name, struct slice value)
{
	add_name(out, name);
	buf_add_slice(out, value);
	buf_add_char(out, '\n');
}

static void add_number_line(struct buf *out, const char *name, uint64_t value)
{
	add_name(out, name);
	buf_add_u64(out, value);
	buf_add_char(out, '\n');
}

static void add_hex_line(struct buf *out, const char *name, const uint8_t *bytes, size_t n)
{
	add_name(out, name);
	buf_add_hex(out, bytes, n);
	buf_add_char(out, '\n');
}

static void add_moment_line(struct buf *out, const char *name, uint64_t us)
{
	char text[TIME_TEXT_MAX], local[RENDER_TIME_MAX];
	time_format(us, text);
	render_moment(us, false, local);
	add_name(out, name);
	buf_addf(out, "%s (%s)\n", text, local);
}

static void add_tag_lines(struct buf *out, struct slice tags)
{
	const char *name = "tags:";
	struct slice tag;
	while (event_next_tag(&tags, &tag)) {
		add_slice_line(out, name, tag);
		name = "";
	}
}

static void add_json_lines(struct buf *out, const char *name, struct slice value)
{
	if (!value.ptr)
		return;
	buf_add_text(out, name);
	buf_add_text(out, "\n  ");
	json_add_pretty(out, value, 1);
	buf_add_char(out, '\n');
}

static void add_place_lines(struct buf *out, const struct event *e)
{
	char id[UUID_TEXT_MAX];
	uuid_format(e->id, id);
	add_number_line(out, "position:", e->position);
	add_slice_line(out, "id:", slice_of(id));
	add_name(out, "place:");
	buf_addf(out, "%.*s/%" PRIu64 "/%.*s/%" PRIu64 "\n", SLICE_ARG(e->origin), e->epoch,
		SLICE_ARG(e->domain), e->sequence);
	add_slice_line(out, "origin:", e->origin);
	add_moment_line(out, "epoch:", e->epoch);
	add_slice_line(out, "domain:", e->domain);
	add_number_line(out, "sequence:", e->sequence);
}

static void add_content_lines(struct buf *out, const struct event *e)
{
	if (e->stream.ptr) {
		add_slice_line(out, "stream:", e->stream);
		add_number_line(out, "version:", e->version);
	}
	add_slice_line(out, "type:", e->type);
	add_number_line(out, "schema:", e->schema);
	add_moment_line(out, "clock:", e->clock);
	add_moment_line(out, "time:", e->time);
	add_tag_lines(out, e->tags);
	add_json_lines(out, "payload:", e->payload);
	add_json_lines(out, "metadata:", e->metadata);
}

static void add_seal_lines(struct buf *out, const struct event *e)
{
	add_hex_line(out, "salt:", e->salt, sizeof(e->salt));
	add_hex_line(out, "prev:", e->prev, sizeof(e->prev));
	add_hex_line(out, "hash:", e->hash, sizeof(e->hash));
	add_slice_line(out, "key:", e->key);
	add_hex_line(out, "mac:", e->mac, sizeof(e->mac));
}

static void add_text(struct show *s, const struct event *e)
{
	if (s->is_second)
		buf_add_char(&s->text, '\n');
	if (proof) {
		ledger_add_proof(&s->text, e);
		return;
	}
	add_place_lines(&s->text, e);
	add_content_lines(&s->text, e);
	add_seal_lines(&s->text, e);
}

/* --- References ------------------------------------------------------------------------------ */

static enum ledger_status print_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct show *s = context;
	buf_reset(&s->text);
	if (output.format == FORMAT_TEXT)
		add_text(s, event);
	else
		render_event(&s->render, event, &s->text);
	TRY(buf_check(&s->text, err));
	if (output.format == FORMAT_TEXT)
		out_safe_lines(buf_slice(&s->text));
	else
		out_slice(buf_slice(&s->text));
	s->is_second = true;
	return LEDGER_OK;
}

/* Is it about this reference alone, so that the others are worth a look? */
static bool is_about_one(enum ledger_status status)
{
	return status == LEDGER_NO || status == LEDGER_INVALID;
}

/* Prints what is there. Of several failures each is told, and the one with the highest code is
 * returned. */
static enum ledger_status show_all(
	struct show *s, struct ledger *l, int n, char **references, struct ledger_error *err)
{
	struct ledger_error worst = { 0 };
	for (int i = 0; i < n && !out_failed(); i++) {
		enum ledger_status status =
			ledger_find(l, slice_of(references[i]), print_event, s, err);
		if (status == LEDGER_OK)
			continue;
		if (!is_about_one(status))
			return status;
		bool is_worse = status > worst.status;
		const struct ledger_error *told = is_worse ? &worst : err;
		if (told->status != LEDGER_OK)
			warn("%s", told->text);
		if (is_worse)
			worst = *err;
	}
	if (worst.status != LEDGER_OK)
		*err = worst;
	return worst.status;
}

/* A reader who has gone got what they wanted; other failures count more than what was not found. */
static enum ledger_status flush(struct ledger_error *err)
{
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_SHOW struct show s = { 0 };
	struct ledger_error failure;
	if (argc == 0) {
		fail(err, LEDGER_USAGE, "which event is missing");
		return hint(err, "give a position, an id, or origin/epoch/domain/sequence");
	}
	if (proof && output.format != FORMAT_TEXT)
		return fail(err, LEDGER_USAGE, "--proof is text: it has no other format");
	TRY(render_init(&s.render, NULL, true, err));
	command_confine(NULL, NULL);
	enum ledger_status status = show_all(&s, l, argc, argv, err);
	if (flush(&failure) == LEDGER_OK)
		return status;
	*err = failure;
	return failure.status;
}

static const char *const formats[] = { "text", "json", "payload", NULL };

const struct command cmd_show = {
	.name = "show",
	.summary = "Print one event in full.",
	.operands = "POSITION | ID | ORIGIN/EPOCH/DOMAIN/SEQUENCE ...",
	.opens = OPENS_READ,
	.opts = opts,
	.formats = formats,
	.examples = "ledgerbox show 17\n"
		    "ledgerbox show 0193a5c2 --proof\n"
		    "ledgerbox show store-a/1763658000123456/inventory/42 --format json\n",
	.run = run,
};
