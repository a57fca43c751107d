/* append --at-owner: the event goes as a command to who owns its stream, and is answered with its place there. */
#include "append.h"

#include <inttypes.h>

#include "answers.h"
#include "output.h"
#include "send.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* --- The command ----------------------------------------------------------------------------- */

static void add_expect(struct buf *out, const struct ledger_condition *c)
{
	if (c->expect == LEDGER_EXPECT_NONE)
		buf_add_text(out, "\"expect\":\"none\",");
	else if (c->expect == LEDGER_EXPECT_EXISTS)
		buf_add_text(out, "\"expect\":\"exists\",");
	else if (c->expect == LEDGER_EXPECT_VERSION)
		buf_addf(out, "\"expect\":%" PRIu64 ",", c->version);
}

static void add_event(struct buf *out, const struct ledger_new *e)
{
	buf_add_text(out, "{\"type\":");
	json_add_string(out, e->type);
	buf_add_text(out, ",\"domain\":");
	json_add_string(out, e->domain);
	buf_addf(out, ",\"schema\":%" PRIu64, e->schema);
	if (e->has_id) {
		char id[UUID_TEXT_MAX];
		uuid_format(e->id, id);
		buf_addf(out, ",\"id\":\"%s\"", id);
	}
	if (e->has_time) {
		char time[TIME_TEXT_MAX];
		time_format(e->time, time);
		buf_addf(out, ",\"time\":\"%s\"", time);
	}
	for (size_t i = 0; i < e->n_tags; i++) {
		buf_add_text(out, i ? "," : ",\"tags\":[");
		json_add_string(out, e->tags[i]);
	}
	buf_add_text(out, e->n_tags ? "],\"payload\":" : ",\"payload\":");
	buf_add_slice(out, e->payload);
	if (e->metadata.ptr) {
		buf_add_text(out, ",\"metadata\":");
		buf_add_slice(out, e->metadata);
	}
	buf_add_char(out, '}');
}

/* --- Its answer ------------------------------------------------------------------------------ */

static bool read_place(struct slice object, struct ledger_answer *out)
{
	struct slice value;
	CLEANUP_BUF struct buf id = { 0 }, hash = { 0 };
	if (!json_member(object, SLICE("position"), &value) || !json_u64(value, &out->position) ||
		!json_member(object, SLICE("sequence"), &value) ||
		!json_u64(value, &out->sequence) ||
		!json_member(object, SLICE("version"), &value) || !json_u64(value, &out->version) ||
		!json_member(object, SLICE("id"), &value))
		return false;
	json_decode_string(value, &id);
	if (!json_member(object, SLICE("hash"), &value))
		return false;
	json_decode_string(value, &hash);
	return uuid_parse(buf_slice(&id), out->id) && hash.len == 2 * EVENT_HASH_SIZE &&
	       slice_unhex(buf_slice(&hash), out->hash, EVENT_HASH_SIZE);
}

static void print_places(const struct ledger_reply *reply)
{
	CLEANUP_BUF struct buf lines = { 0 };
	struct json_walk walk;
	struct slice key, value;
	struct ledger_error ignored;
	if (!reply->events.ptr)
		return;
	json_walk_init(&walk, reply->events);
	while (json_walk_next(&walk, &key, &value)) {
		struct ledger_answer answer = { .repeated = reply->repeated };
		if (json_kind(value) == JSON_OBJECT && read_place(value, &answer))
			answer_add(&lines, &answer);
	}
	answers_print(buf_slice(&lines), &ignored);
}

/* As append answers; what was not executed is the error. */
static void over(struct sending *s, const struct flight *flight, const struct ledger_reply *reply,
	const struct ledger_error *err)
{
	enum format format = output.format;
	if (reply && reply->status == LEDGER_OK) {
		print_places(reply);
		return;
	}
	output.format = FORMAT_TEXT; /* no answer of send's own beside the error */
	send_print(s, flight, reply, err);
	output.format = format;
}

static enum ledger_status wait_for_answer(
	struct sending *s, const struct ledger_command *c, struct ledger_error *err)
{
	TRY(send_put(s, c, 0, err));
	while (s->n > 0)
		TRY(send_turn(s, -1, err));
	*err = s->first;
	return err->status;
}

enum ledger_status append_at_owner(
	const struct append *a, const struct ledger_new *event, struct ledger_error *err)
{
	CLEANUP_SENDING struct sending s = { .ledger = a->ledger, .over = over };
	CLEANUP_BUF struct buf payload = { 0 };
	struct ledger_command c = { .stream = event->stream, .name = SLICE(LEDGER_COMMAND_APPEND) };
	if (!event->stream.ptr) {
		fail(err, LEDGER_INVALID,
			"--at-owner asks for the owner of a stream, and the event "
			"has none");
		return hint(err, "give -s TYPE/KEY");
	}
	s.timeout = flags.timeout == SETTINGS_NOT_GIVEN ? 5 * TIME_SECOND : flags.timeout;
	s.life = 600 * TIME_SECOND;
	buf_add_char(&payload, '{');
	add_expect(&payload, &a->condition);
	buf_add_text(&payload, "\"events\":[");
	add_event(&payload, event);
	buf_add_text(&payload, "]}");
	TRY(buf_check(&payload, err));
	c.payload = buf_slice(&payload);
	/* One event with an id is one command with an id. */
	if (event->has_id)
		ledger_command_once_id(c.stream, c.name,
			(struct slice){ (const char *)event->id, sizeof(event->id) }, c.id);
	return wait_for_answer(&s, &c, err);
}
