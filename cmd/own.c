/* own - who owns a stream: show, list, claim, transfer, accept, cancel, conflicts. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../lib/own.h"
#include "claims.h"
#include "command.h"
#include "filter.h"
#include "input.h"
#include "operands.h"
#include "output.h"
#include "render.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* As typed. */
static struct {
	const char *domain, *node, *stream;
	uint64_t ttl;
} args = { .ttl = 300 * TIME_SECOND };

static const struct opt opts[] = {
	{ 'd', "domain", "of this domain, where the config does not say", "<domain>",
		.str = &args.domain, .complete = COMPLETE_DOMAIN },
	{ 0, "node", "list: what this node owns", "<node>", .str = &args.node,
		.complete = COMPLETE_ORIGIN },
	{ 0, "stream", "list: this stream, or all of a type", "<type/key|type/>",
		.str = &args.stream, .complete = COMPLETE_STREAM },
	{ 0, "ttl", "transfer: take the offer back after so long (5m)", "<duration>",
		.duration = &args.ttl },
	{ 0 },
};

/* --- Printing -------------------------------------------------------------------------------- */

static void add_moment(struct buf *out, const char *key, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	buf_addf(out, ",\"%s\":\"%s\"", key, text);
}

/* The members that every answer has; the object stays open. */
static void add_json(struct buf *out, const struct ledger_owner *o)
{
	buf_add_text(out, "{\"stream\":");
	json_add_string(out, o->stream);
	buf_addf(out, ",\"domain\":\"%.*s\",\"node\":\"%.*s\",\"state\":\"%s\"",
		SLICE_ARG(o->domain), SLICE_ARG(o->node), ledger_owner_state_name(o->state));
	if (o->next.ptr) {
		buf_addf(out, ",\"next\":\"%.*s\"", SLICE_ARG(o->next));
		add_moment(out, "expires", o->expires);
	}
	add_moment(out, "since", o->since);
	buf_addf(out, ",\"here\":%s,\"contested\":%s,\"hash\":\"", o->here ? "true" : "false",
		o->contested ? "true" : "false");
	buf_add_hex(out, o->hash, sizeof(o->hash));
	buf_add_char(out, '"');
}

/* "held", "offered to store-b until 2026-11-20 17:35:00" */
static void add_state(struct buf *out, const struct ledger_owner *o)
{
	char expires[RENDER_TIME_MAX];
	buf_add_text(out, ledger_owner_state_name(o->state));
	if (!o->next.ptr)
		return;
	render_moment(o->expires, false, expires);
	buf_addf(out, o->state == LEDGER_OWNER_OFFERED ? " to %.*s until %s" : " by %.*s",
		SLICE_ARG(o->next), expires);
}

static void add_line(struct buf *out, const struct ledger_owner *o)
{
	if (output.format == FORMAT_JSON) {
		add_json(out, o);
		buf_add_text(out, "}\n");
		return;
	}
	buf_addf(out, "%.*s  %.*s  %.*s  ", SLICE_ARG(o->stream), SLICE_ARG(o->domain),
		SLICE_ARG(o->node));
	add_state(out, o);
	buf_add_text(out, o->contested ? ", contested\n" : "\n");
}

static enum ledger_status print(struct buf *text, struct ledger_error *err)
{
	TRY(buf_check(text, err));
	out_safe_lines(buf_slice(text));
	return LEDGER_OK;
}

static enum ledger_status flush(struct ledger_error *err)
{
	enum ledger_status status = out_flush(err);
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* --- What goes in ---------------------------------------------------------------------------- */

/* -d, else what the config gives the stream's type; absent: the library finds out. */
static struct slice domain_of(struct slice stream)
{
	const struct stream_type_settings *type = settings_stream_type(stream);
	return args.domain ? slice_of(args.domain) : slice_of(type ? type->domain : NULL);
}

/* One stream, or with "-" those on stdin, a line each. */
struct streams {
	struct input input;
	bool from_stdin;
	struct slice one;
};

#define CLEANUP_STREAMS __attribute__((cleanup(streams_done)))

static void streams_done(struct streams *s)
{
	if (s->from_stdin)
		input_close(&s->input);
}

static enum ledger_status streams_init(
	struct streams *s, const char *operand, struct ledger_error *err)
{
	s->one = slice_of(operand);
	s->from_stdin = slice_is(s->one, "-");
	return s->from_stdin ? input_open(&s->input, STDIN_FILENO, err) : LEDGER_OK;
}

/* The next one; absent at the end, or where stdin has no more right now and `wait` is false. */
static enum ledger_status streams_next(
	struct streams *s, bool wait, struct slice *stream, bool *end, struct ledger_error *err)
{
	enum input_got got = INPUT_LINE;
	if (s->from_stdin) {
		TRY(input_next(&s->input, wait, &got, stream, err));
		*end = got == INPUT_END;
		if (got != INPUT_LINE)
			*stream = (struct slice){ NULL, 0 };
		return LEDGER_OK;
	}
	*stream = s->one;
	*end = !s->one.ptr;
	s->one = (struct slice){ NULL, 0 };
	return LEDGER_OK;
}

static enum ledger_status fail_at_line(const struct streams *s, struct ledger_error *err)
{
	return s->from_stdin ? fail_in(err, "line %" PRIu64 ": ", s->input.line) : err->status;
}

/* --- Show, list, conflicts ------------------------------------------------------------------- */

static void add_full(struct buf *out, const struct ledger_owner *o, enum ledger_status may,
	const struct ledger_error *why)
{
	char since[RENDER_TIME_MAX];
	if (output.format == FORMAT_JSON) {
		add_json(out, o);
		buf_addf(out, ",\"may_write\":%s", may ? "false" : "true");
		if (may) {
			buf_add_text(out, ",\"why\":");
			json_add_string(out, slice_of(why->text));
		}
		buf_add_text(out, "}\n");
		return;
	}
	render_moment(o->since, false, since);
	buf_addf(out, "stream     %.*s, domain %.*s\nowner      %.*s\nstate      ",
		SLICE_ARG(o->stream), SLICE_ARG(o->domain), SLICE_ARG(o->node));
	add_state(out, o);
	buf_addf(out, ", since %s\nhere       %s\n", since, may ? why->text : "may write");
	if (o->contested)
		buf_add_text(out, "contested  see: ledgerbox own conflicts\n");
}

static enum ledger_status show_one(struct ledger *l, struct slice stream, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct ledger_owner owner;
	struct ledger_error why = { .status = LEDGER_OK };
	TRY(ledger_owner_in(l, domain_of(stream), stream, &owner, err));
	enum ledger_status may = ledger_owner_may_write(l, &owner, &why);
	if (may && may != LEDGER_NOT_OWNER && may != LEDGER_BUSY) {
		*err = why;
		return may;
	}
	add_full(&text, &owner, may, &why);
	return print(&text, err);
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_STREAMS struct streams streams = { .from_stdin = false };
	TRY(operands_check(argc, argv, "show STREAM", err));
	TRY(streams_init(&streams, argv[0], err));
	for (;;) {
		struct slice stream;
		bool end;
		TRY(streams_next(&streams, true, &stream, &end, err));
		if (end)
			return flush(err);
		if (show_one(l, stream, err)) {
			fail_at_line(&streams, err);
			struct ledger_error ignored;
			flush(&ignored);
			return err->status;
		}
	}
}

static enum ledger_status print_owner(
	const struct ledger_owner *owner, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	(void)context;
	if (args.domain && !slice_is(owner->domain, args.domain))
		return LEDGER_OK;
	add_line(&text, owner);
	TRY(print(&text, err));
	return out_failed() ? out_flush(err) : LEDGER_OK;
}

static enum ledger_status run_list(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "list", err));
	if (args.node && !slice_is_token(slice_of(args.node))) {
		fail(err, LEDGER_USAGE, "--node: '%.80s' is not a name", args.node);
		return hint(err, "1 to 64 of A-Z a-z 0-9 _ -");
	}
	TRY(filter_check_stream("stream", args.stream, err));
	enum ledger_status status = ledger_owners(
		l, slice_of(args.node), slice_of(args.stream), print_owner, NULL, err);
	return status && !(status == LEDGER_NO && out_failed()) ? status : flush(err);
}

static void add_claim(struct buf *out, const struct ledger_claim *claim, bool first)
{
	char clock[RENDER_TIME_MAX];
	if (output.format == FORMAT_JSON) {
		buf_addf(out, "%s{\"node\":\"%.*s\",\"epoch\":%" PRIu64 ",\"sequence\":%" PRIu64,
			first ? "" : ",", SLICE_ARG(claim->node), claim->epoch, claim->sequence);
		add_moment(out, "clock", claim->clock);
		buf_add_char(out, '}');
		return;
	}
	render_moment(claim->clock, false, clock);
	buf_addf(out, "%s%.*s %s", first ? "" : ", ", SLICE_ARG(claim->node), clock);
}

static enum ledger_status print_conflict(const struct ledger_owner *o,
	const struct ledger_claim *claims, size_t n, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	bool json = output.format == FORMAT_JSON;
	(void)context;
	if (json) {
		add_json(&text, o);
		buf_add_text(&text, ",\"claims\":[");
	} else {
		buf_addf(&text, "%.*s  %.*s  owned by %.*s; claimed by ", SLICE_ARG(o->stream),
			SLICE_ARG(o->domain), SLICE_ARG(o->node));
	}
	for (size_t i = 0; i < n; i++)
		add_claim(&text, &claims[i], i == 0);
	buf_add_text(&text, json ? "]}\n" : "\n");
	TRY(print(&text, err));
	return out_failed() ? out_flush(err) : LEDGER_OK;
}

static enum ledger_status run_conflicts(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "conflicts", err));
	enum ledger_status status = ledger_conflicts(l, print_conflict, NULL, err);
	return status && !(status == LEDGER_NO && out_failed()) ? status : flush(err);
}

/* --- Deeds ----------------------------------------------------------------------------------- */

/* Of one transaction. */
#define BULK_MAX 1000

struct deeds {
	struct ledger *ledger;
	enum ledger_status (*act)(struct ledger *l, struct slice stream, struct ledger_owner *now,
		struct ledger_error *err);
	/* Before the transaction, which then is this stream's alone; NULL: nothing. */
	enum ledger_status (*first)(
		struct ledger *l, struct slice stream, struct ledger_error *err);
	struct streams streams;
	struct buf answers;
	bool end;
};

static enum ledger_status act_on(struct deeds *d, struct slice stream, struct ledger_error *err)
{
	struct ledger_owner now;
	TRY(d->act(d->ledger, stream, &now, err));
	add_line(&d->answers, &now);
	return LEDGER_OK;
}

/* What was recorded before one that is refused stays. */
static enum ledger_status commit(
	struct deeds *d, enum ledger_status refused, struct ledger_error *err)
{
	struct ledger_error refusal = *err;
	TRY(ledger_commit(d->ledger, err));
	if (!output.quiet)
		TRY(print(&d->answers, err));
	TRY(flush(err));
	buf_reset(&d->answers);
	*err = refusal;
	return refused;
}

static bool is_refusal(enum ledger_status status)
{
	return status == LEDGER_NO || status == LEDGER_NOT_OWNER || status == LEDGER_INVALID ||
	       status == LEDGER_BUSY;
}

/* One transaction, once there is something to do. */
static enum ledger_status do_some(struct deeds *d, struct ledger_error *err)
{
	struct slice stream;
	enum ledger_status status;
	TRY(streams_next(&d->streams, true, &stream, &d->end, err));
	if (d->end)
		return LEDGER_OK;
	if (d->first && d->first(d->ledger, stream, err))
		return fail_at_line(&d->streams, err);
	TRY(ledger_begin(d->ledger, err));
	for (int n = 0;; n++) {
		status = act_on(d, stream, err);
		if (status && !is_refusal(status))
			ledger_rollback(d->ledger);
		if (status)
			fail_at_line(&d->streams, err);
		if (status && !is_refusal(status))
			return status;
		if (status || n + 1 == BULK_MAX || d->first)
			break;
		status = streams_next(&d->streams, false, &stream, &d->end, err);
		if (status || d->end || !stream.ptr)
			break;
	}
	status = commit(d, status, err);
	if (d->streams.from_stdin)
		input_recycle(&d->streams.input);
	return status;
}

static enum ledger_status win(struct ledger *l, struct slice stream, struct ledger_error *err)
{
	return claims_win(l, domain_of(stream), stream, err);
}

static enum ledger_status claim(
	struct ledger *l, struct slice stream, struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_claim(l, domain_of(stream), stream, now, err);
}

static enum ledger_status do_all(struct ledger *l, const char *operand,
	enum ledger_status (*act)(
		struct ledger *, struct slice, struct ledger_owner *, struct ledger_error *),
	struct ledger_error *err)
{
	struct deeds d = { .ledger = l, .act = act };
	if (act == claim && claims_are_strict())
		d.first = win;
	enum ledger_status status = streams_init(&d.streams, operand, err);
	while (!status && !d.end)
		status = do_some(&d, err);
	streams_done(&d.streams);
	buf_done(&d.answers);
	return status;
}

/* What this node owes to others comes first. */
static enum ledger_status settle(struct ledger *l, struct ledger_error *err)
{
	uint64_t done;
	do
		TRY(ledger_own_step(l, &done, err));
	while (done);
	return LEDGER_OK;
}

static enum ledger_status run_claim(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "claim STREAM", err));
	TRY(settle(l, err));
	enum ledger_status status = do_all(l, argv[0], claim, err);
	claims_done();
	return status;
}

static enum ledger_status offer(
	struct ledger *l, struct slice stream, struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_offer(
		l, domain_of(stream), stream, slice_of(args.node), args.ttl, now, err);
}

static enum ledger_status run_transfer(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "transfer STREAM NODE", err));
	if (args.ttl == 0)
		return fail(err, LEDGER_USAGE, "--ttl 0 is no time to accept in");
	args.node = argv[1];
	TRY(settle(l, err));
	return do_all(l, argv[0], offer, err);
}

static enum ledger_status accept(
	struct ledger *l, struct slice stream, struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_accept(l, domain_of(stream), stream, now, err);
}

static enum ledger_status run_accept(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "accept STREAM", err));
	TRY(settle(l, err));
	return do_all(l, argv[0], accept, err);
}

static enum ledger_status cancel(
	struct ledger *l, struct slice stream, struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_cancel(l, domain_of(stream), stream, now, err);
}

/* Not behind `settle`: that would give away what was accepted a moment ago. */
static enum ledger_status run_cancel(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	TRY(operands_check(argc, argv, "cancel STREAM", err));
	TRY(do_all(l, argv[0], cancel, err));
	return settle(l, err);
}

static const struct verb verbs[] = {
	{ "show", "STREAM", "who owns it, and whether this node may write to it", OPENS_READ,
		COMPLETE_STREAM, run_show },
	{ "list", NULL, "streams that have an owner", OPENS_READ, COMPLETE_NONE, run_list },
	{ "claim", "STREAM", "make a stream that nobody owns this node's", OPENS_WRITE,
		COMPLETE_STREAM, run_claim },
	{ "transfer", "STREAM NODE", "offer a stream of this node to another", OPENS_WRITE,
		COMPLETE_STREAM, run_transfer },
	{ "accept", "STREAM", "take a stream that is offered to this node", OPENS_WRITE,
		COMPLETE_STREAM, run_accept },
	{ "cancel", "STREAM", "take an offer back", OPENS_WRITE, COMPLETE_STREAM, run_cancel },
	{ "conflicts", NULL, "streams that several nodes claimed, and who won", OPENS_READ,
		COMPLETE_NONE, run_conflicts },
	{ 0 },
};

const struct command cmd_own = {
	.name = "own",
	.summary = "Show and change who may write to a stream.",
	.opens = OPENS_READ,
	.opts = opts,
	.verbs = verbs,
	.examples = "ledgerbox own show product/sku-1\n"
		    "ledgerbox own transfer product/sku-1 store-b --ttl 5m\n"
		    "ledgerbox own list --node store-a --stream product/\n",
};
