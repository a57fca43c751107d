/* send - send a command to the owner of a stream and wait for its answer. */
#include "send.h"

#include <inttypes.h>
#include <unistd.h>

#include "command.h"
#include "draft.h"
#include "input.h"
#include "operands.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

#define DAY (24 * 3600 * TIME_SECOND)

static struct {
	const char *id, *once, *status;
	uint64_t expires;
	bool async;
	uint64_t in_flight;
} args = { .in_flight = 64, .expires = UINT64_MAX };

static const struct opt opts[] = {
	{ 0, "id", "the command's id, instead of a new one", "<uuid>", .str = &args.id },
	{ 0, "once", "execute only once what has this key", "<key>", .str = &args.once },
	{ 0, "expires", "not to be executed after this time (10m, with --async 7d)", "<duration>",
		.duration = &args.expires },
	{ 0, "async", "store it for the owner, do not wait", NULL, .flag = &args.async },
	{ 0, "status", "what became of a command?", "<uuid>", .str = &args.status },
	{ 0, "in-flight", "commands from stdin under way at a time (64)", "<n>",
		.u64 = &args.in_flight },
	{ 0 },
};

/* --- Flags ----------------------------------------------------------------------------------- */

static enum ledger_status check_args(int argc, struct ledger_error *err)
{
	if (args.status && (argc || args.id || args.once || args.async))
		return fail(err, LEDGER_USAGE, "--status goes alone");
	if (args.id && args.once)
		return fail(err, LEDGER_USAGE, "--id and --once both give the id");
	if (args.once && !args.once[0]) {
		fail(err, LEDGER_USAGE, "--once has an empty key");
		return hint(err,
			"a variable that was never set? the key tells this command from all "
			"others");
	}
	if (!argc && (args.id || args.once)) {
		fail(err, LEDGER_USAGE, "--%s goes with one command", args.id ? "id" : "once");
		return hint(err, "a line can have an \"id\" or \"once\" of its own");
	}
	if (argc == 1) {
		fail(err, LEDGER_USAGE, "the command is missing");
		return hint(err, "for example: ledgerbox send product/sku-1 update_price price:=9");
	}
	if (args.in_flight < 1 || args.in_flight > FLIGHTS_MAX)
		return fail(err, LEDGER_USAGE, "--in-flight %" PRIu64 " is not between 1 and %d",
			args.in_flight, FLIGHTS_MAX);
	if (args.expires != UINT64_MAX && args.expires > LEDGER_COMMAND_LIFE_MAX)
		return fail(err, LEDGER_USAGE, "--expires is more than 30 days");
	return LEDGER_OK;
}

/* --- One ------------------------------------------------------------------------------------- */

static enum ledger_status send_all(struct sending *s, struct ledger_error *err)
{
	while (s->n > 0)
		TRY(send_turn(s, -1, err));
	*err = s->first;
	return err->status;
}

static enum ledger_status give_id(struct ledger_command *c, struct ledger_error *err)
{
	if (args.once)
		ledger_command_once_id(c->stream, c->name, slice_of(args.once), c->id);
	if (args.id && !uuid_parse(slice_of(args.id), c->id)) {
		fail(err, LEDGER_INVALID, "id '%.64s' is not a UUID", args.id);
		return hint(err, "for a number of your own use --once KEY");
	}
	return LEDGER_OK;
}

static enum ledger_status send_one(
	struct sending *s, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger_command c = {
		.stream = slice_of(argv[0]), .name = slice_of(argv[1]), .payload = SLICE("{}")
	};
	if (argc > 2)
		TRY(operands_payload(argc - 2, argv + 2, &text, &c.payload, err));
	TRY(give_id(&c, err));
	TRY(send_put(s, &c, 0, err));
	return send_all(s, err);
}

/* --- Lines of stdin -------------------------------------------------------------------------- */

static enum ledger_status unknown_member(struct slice key, struct ledger_error *err)
{
	fail(err, LEDGER_INVALID, "unknown key %.*s", SLICE_ARG(input_shown(key)));
	return hint(err, "a line has stream, command, payload, and id or once");
}

static enum ledger_status read_member(struct slice key, struct slice value, struct arena *arena,
	struct ledger_command *c, struct slice *once, struct ledger_error *err)
{
	struct slice id;
	if (json_string_is(key, SLICE("payload"))) {
		c->payload = value;
		return LEDGER_OK;
	}
	if (json_string_is(key, SLICE("stream")))
		return draft_text(value, "stream", arena, &c->stream, err);
	if (json_string_is(key, SLICE("command")))
		return draft_text(value, "command", arena, &c->name, err);
	if (json_string_is(key, SLICE("once")))
		return draft_text(value, "once", arena, once, err);
	if (!json_string_is(key, SLICE("id")))
		return unknown_member(key, err);
	TRY(draft_text(value, "id", arena, &id, err));
	return uuid_parse(id, c->id) ? LEDGER_OK
				     : fail(err, LEDGER_INVALID, "id '%.*s' is not a UUID",
					       SLICE_ARG(input_shown(id)));
}

static enum ledger_status read_line(
	struct slice line, struct arena *arena, struct ledger_command *c, struct ledger_error *err)
{
	struct json_walk walk;
	struct slice object, key, value, once = { NULL, 0 };
	*c = (struct ledger_command){ .payload = SLICE("{}") };
	TRY(json_check_line(line, &object, err));
	if (json_kind(object) != JSON_OBJECT)
		return fail(err, LEDGER_INVALID, "the line is not a JSON object");
	TRY(json_check_unique(object, err));
	json_walk_init(&walk, object);
	while (json_walk_next(&walk, &key, &value))
		TRY(read_member(key, value, arena, c, &once, err));
	if (!c->stream.ptr || !c->name.ptr)
		return fail(err, LEDGER_INVALID, "the line has no \"%s\"",
			c->stream.ptr ? "command" : "stream");
	if (once.ptr)
		ledger_command_once_id(c->stream, c->name, once, c->id);
	return LEDGER_OK;
}

static enum ledger_status take_lines(
	struct sending *s, struct input *in, bool *end, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	while (!*end && s->n < args.in_flight) {
		struct ledger_command c;
		enum input_got got;
		struct slice line;
		TRY(input_next(in, false, &got, &line, err));
		*end = got == INPUT_END;
		if (got == INPUT_LATER) {
			input_recycle(in);
			return LEDGER_OK;
		}
		if (got != INPUT_LINE)
			return LEDGER_OK;
		if (read_line(line, &arena, &c, err) != LEDGER_OK)
			return fail_in(err, "line %" PRIu64 ": ", in->line);
		TRY(send_put(s, &c, in->line, err));
		arena_reset(&arena);
	}
	return LEDGER_OK;
}

static enum ledger_status lines_loop(struct sending *s, struct input *in, struct ledger_error *err)
{
	struct ledger_error bad = { 0 };
	bool end = false;
	while (!end || s->n > 0) {
		if (!end && take_lines(s, in, &end, &bad) != LEDGER_OK)
			end = true; /* those under way are waited for */
		bool wants = !end && s->n < args.in_flight;
		if (s->n > 0 || wants)
			TRY(send_turn(s, wants ? in->fd : -1, err));
		if (out_failed())
			return out_flush(err);
	}
	*err = bad.status ? bad : s->first;
	return err->status;
}

static enum ledger_status send_lines(struct sending *s, struct ledger_error *err)
{
	struct input in;
	if (isatty(STDIN_FILENO))
		note("reading commands from the terminal, end with Ctrl-D");
	TRY(input_open(&in, STDIN_FILENO, err));
	enum ledger_status status = lines_loop(s, &in, err);
	input_close(&in);
	return status;
}

/* --- The command ----------------------------------------------------------------------------- */

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_SENDING struct sending s = { .ledger = l, .async = args.async };
	TRY(check_args(argc, err));
	s.timeout = flags.timeout == SETTINGS_NOT_GIVEN ? 5 * TIME_SECOND : flags.timeout;
	s.life = args.expires != UINT64_MAX ? args.expires
		 : args.async		    ? 7 * DAY
					    : 600 * TIME_SECOND;
	if (args.status)
		return send_status(&s, args.status, err);
	return argc ? send_one(&s, argc, argv, err) : send_lines(&s, err);
}

const struct command cmd_send = {
	.name = "send",
	.summary = "Send a command to the owner of a stream and wait for its answer.",
	.operands = "[STREAM COMMAND [PAYLOAD | @FILE | - | NAME=TEXT NAME:=JSON ...]]",
	.opens = OPENS_WRITE,
	.opts = opts,
	.complete = COMPLETE_STREAM,
	.examples = "ledgerbox send product/sku-1 update_price price:=9.90\n"
		    "ledgerbox send --once order-17 product/sku-1 reserve n:=2\n"
		    "ledgerbox send --async product/sku-1 update_price price:=9.90\n"
		    "ledgerbox send < commands.jsonl\n",
	.run = run,
};
