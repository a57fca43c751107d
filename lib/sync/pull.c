/*
 * Pulling stored messages: requests for batches are kept under way, each with a reply subject of its
 * own for its statuses. The messages themselves come with the subject they were published with, and
 * name stream and consumer in their reply subject:
 *
 *	$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>
 *	$JS.ACK.<domain>.<account>.<stream>.….<pending>.<random>	later servers
 *
 * natsSubscription_Fetch of libnats 3.4.1 is not used: it writes behind its array (see also
 * https://github.com/nats-io/nats.c/pull/749). A pull from a consumer that was deleted is not answered
 * at all, so each request asks for heartbeats, and silence is what tells.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../base/time.h"

#include "state.h"

#include "../base/banned.h"

#define GRACE	 TIME_SECOND	  /* on top of what the server promised */
#define REST	 UINT64_C(250000) /* after something went wrong */
#define REST_MAX (30 * TIME_SECOND)

/* --- Start and stop -------------------------------------------------------------------------- */

enum ledger_status link_pull_start(
	struct link *l, const struct link_pull *o, uint64_t tag, struct ledger_error *err)
{
	char names[SUBJECT_MAX];
	struct slice tokens[2] = { slice_of(o->stream), slice_of(o->consumer) };
	size_t slot = 0;
	TRY(subject_of(names, tokens, 2, err));
	while (slot < PULLS_MAX && l->pulls[slot].active)
		slot++;
	if (slot == PULLS_MAX)
		return fail(err, LEDGER_BUSY, "more than %d pulls", PULLS_MAX);
	struct pull *p = &l->pulls[slot];
	uint32_t generation = p->generation;
	*p = (struct pull){ .active = true,
		.tag = tag,
		.batch = o->batch ? o->batch : 64,
		.depth = o->depth && o->depth <= PULL_DEPTH_MAX ? o->depth : 2,
		.expires = o->expires ? o->expires : 30 * TIME_SECOND,
		.heartbeat = o->heartbeat ? o->heartbeat : 5 * TIME_SECOND,
		.generation = generation };
	memcpy(p->stream, o->stream, tokens[0].len + 1);
	memcpy(p->consumer, o->consumer, tokens[1].len + 1);
	return LEDGER_OK;
}

void link_pull_stop(struct link *l, uint64_t tag)
{
	for (size_t i = 0; i < PULLS_MAX; i++)
		if (l->pulls[i].active && l->pulls[i].tag == tag)
			l->pulls[i].active = false;
}

static void drop_requests(struct pull *p)
{
	memset(p->requests, 0, sizeof(p->requests));
}

void pull_connection_lost(struct link *l)
{
	for (size_t i = 0; i < PULLS_MAX; i++) {
		drop_requests(&l->pulls[i]);
		l->pulls[i].rest = 0;
		l->pulls[i].silent = 0;
	}
}

/* --- Messages -------------------------------------------------------------------------------- */

/* Tokens of an acknowledgement subject from the stream's name on: 7 of them. */
static bool split(struct slice reply, struct slice out[7])
{
	struct slice token, rest = reply;
	size_t n = 1, from;
	while (slice_cut(rest, '.', &token, &rest))
		n++;
	from = n == 9 ? 2 : 4;
	if (n != 9 && n < 11)
		return false;
	for (size_t i = 0; i < 7; i++)
		out[i] = subject_token(reply, from + i);
	return true;
}

static bool read_receipt(struct slice reply, struct slice tokens[7], struct link_event *event)
{
	uint64_t ns;
	if (!slice_starts(reply, SLICE("$JS.ACK.")) || !split(reply, tokens))
		return false;
	if (!slice_u64(tokens[2], &event->delivered) || !slice_u64(tokens[3], &event->sequence) ||
		!slice_u64(tokens[4], &event->place) || !slice_u64(tokens[5], &ns) ||
		!slice_u64(tokens[6], &event->pending))
		return false;
	event->stored = ns / 1000;
	event->stream = tokens[0];
	return true;
}

/* Messages do not say which request they belong to: the oldest is served first. */
static void use_credit(struct link *l, struct pull *p)
{
	struct pull_request *oldest = NULL;
	for (size_t i = 0; i < p->depth; i++)
		if (p->requests[i].left &&
			(!oldest || p->requests[i].generation < oldest->generation))
			oldest = &p->requests[i];
	if (oldest && --oldest->left == 0) {
		oldest->generation = 0;
		l->spent = true;
	}
}

bool pull_message(struct link *l, const struct wire_in *in, struct link_event *event)
{
	struct slice tokens[7];
	if (!in->reply.ptr || !read_receipt(in->reply, tokens, event))
		return false;
	for (size_t i = 0; i < PULLS_MAX; i++) {
		struct pull *p = &l->pulls[i];
		if (!p->active || !slice_is(tokens[0], p->stream) ||
			!slice_is(tokens[1], p->consumer))
			continue;
		p->heard = time_monotonic();
		p->silent = 0;
		use_credit(l, p);
		event->kind = LINK_PULLED;
		event->tag = p->tag;
		event->subject = in->subject;
		event->reply = in->reply;
		event->data = in->data;
		event->id = in->id;
		return true;
	}
	return false;
}

enum ledger_status link_ack(struct link *l, struct slice reply, struct ledger_error *err)
{
	if (!slice_starts(reply, SLICE("$JS.ACK.")))
		return fail(err, LEDGER_INVALID, "not what a stored message came with");
	return link_publish(l, reply, SLICE("+ACK"), err);
}

/* --- Statuses -------------------------------------------------------------------------------- */

static void lose(struct pull *p, const struct wire_in *in, enum ledger_status status,
	struct link_event *event)
{
	drop_requests(p);
	p->rest = time_monotonic() + REST;
	event->kind = LINK_LOST;
	event->tag = p->tag;
	event->status = status;
	event->code = in->code;
	event->text = in->text;
}

static bool is_deleted(const struct wire_in *in)
{
	return in->code == 409 && slice_starts(in->text, SLICE("Consumer Deleted"));
}

/* A request that is over, though nothing is wrong. */
static bool is_over(const struct wire_in *in)
{
	static const struct slice harmless[] = { SLICE_INIT("Leadership Change"),
		SLICE_INIT("Server Shutdown"), SLICE_INIT("Message Size Exceeds MaxBytes"),
		SLICE_INIT("Batch Completed") };
	if (in->code == 404 || in->code == 408)
		return true;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (in->code == 409 && in->text.ptr && slice_starts(in->text, harmless[i]))
			return true;
	return false;
}

static struct pull_request *find_request(struct link *l, struct slice rest, struct pull **pull)
{
	struct slice left, right;
	uint64_t slot, generation;
	if (!slice_cut(rest, '.', &left, &right) || !slice_u64(left, &slot) ||
		!slice_u64(right, &generation) || slot >= PULLS_MAX || !l->pulls[slot].active)
		return NULL;
	*pull = &l->pulls[slot];
	for (size_t i = 0; i < PULL_DEPTH_MAX; i++)
		if (generation && (*pull)->requests[i].generation == generation)
			return &(*pull)->requests[i];
	return NULL;
}

bool pull_status(
	struct link *l, struct slice rest, const struct wire_in *in, struct link_event *event)
{
	struct pull *p;
	struct pull_request *request = find_request(l, rest, &p);
	if (!request)
		return false; /* of a request that was given up */
	p->heard = time_monotonic();
	if (in->code == 100) {
		p->silent = 0;
		return false;
	}
	if (is_over(in)) {
		p->silent = 0;
		*request = (struct pull_request){ 0 };
		/* Not at once where the server has no time for it: a new leader is being found. */
		if (in->code == 409)
			p->rest = time_monotonic() + REST;
		return false;
	}
	lose(p, in,
		is_deleted(in)	  ? LEDGER_NO
		: in->code == 503 ? LEDGER_UNREACHABLE
				  : LEDGER_REFUSED,
		event);
	if (in->code == 503 && !in->text.ptr)
		event->text = SLICE("JetStream does not answer");
	return true;
}

/* --- Requests -------------------------------------------------------------------------------- */

static bool ask(struct link *l, size_t slot, struct pull_request *request, uint64_t now)
{
	struct pull *p = &l->pulls[slot];
	char subject[SUBJECT_MAX], reply[sizeof(l->inbox) + 32], body[128];
	struct ledger_error err;
	p->generation = p->generation == UINT32_MAX ? 1 : p->generation + 1;
	snprintf(
		subject, sizeof(subject), JS_API "CONSUMER.MSG.NEXT.%s.%s", p->stream, p->consumer);
	snprintf(reply, sizeof(reply), "%s.p%zu.%" PRIu32, l->inbox, slot, p->generation);
	snprintf(body, sizeof(body),
		"{\"batch\":%" PRIu32 ",\"expires\":%" PRIu64 ",\"idle_heartbeat\":%" PRIu64 "}",
		p->batch, p->expires * 1000, p->heartbeat * 1000);
	struct wire_out out = {
		.subject = slice_of(subject), .reply = slice_of(reply), .data = slice_of(body)
	};
	if (wire_send(l->wire, &out, &err) != LEDGER_OK)
		return false;
	*request = (struct pull_request){ p->generation, p->batch, now + p->expires + GRACE };
	return true;
}

static bool has_requests(const struct pull *p)
{
	for (size_t i = 0; i < p->depth; i++)
		if (p->requests[i].generation)
			return true;
	return false;
}

static void refill(struct link *l, size_t slot, uint64_t now)
{
	struct pull *p = &l->pulls[slot];
	for (size_t i = 0; i < p->depth; i++) {
		struct pull_request *request = &p->requests[i];
		/* Some ends are never told (nats-server before 2.9.16). */
		if (request->generation && now > request->deadline)
			*request = (struct pull_request){ 0 };
		if (request->generation)
			continue;
		if (!has_requests(p))
			p->heard = now;
		if (!ask(l, slot, request, now)) {
			p->rest = now + REST / 10;
			return;
		}
	}
}

static uint64_t silence_deadline(const struct pull *p)
{
	return p->heard + 2 * p->heartbeat + GRACE;
}

static bool give_up(struct pull *p, uint64_t now, struct link_event *event)
{
	static const struct wire_in nothing = { .text = SLICE_INIT("nothing comes, not even "
								   "heartbeats") };
	if (!has_requests(p) || now <= silence_deadline(p))
		return false;
	lose(p, &nothing, LEDGER_TIMED_OUT, event);
	event->number = ++p->silent;
	uint64_t rest = REST << (p->silent < 10 ? p->silent : 10);
	p->rest = now + (rest < REST_MAX ? rest : REST_MAX);
	return true;
}

/* While what came is being worked on, the server gets the next ones ready. */
void pull_refill(struct link *l)
{
	uint64_t now = l->spent ? time_monotonic() : 0;
	for (size_t i = 0; l->spent && l->up && i < PULLS_MAX; i++)
		if (l->pulls[i].active && now >= l->pulls[i].rest)
			refill(l, i, now);
	l->spent = false;
}

bool pull_turn(struct link *l, uint64_t now, struct link_event *event)
{
	for (size_t i = 0; l->up && i < PULLS_MAX; i++) {
		if (!l->pulls[i].active)
			continue;
		if (give_up(&l->pulls[i], now, event))
			return true;
		if (now >= l->pulls[i].rest)
			refill(l, i, now);
	}
	return false;
}

uint64_t pull_next_deadline(const struct link *l)
{
	uint64_t next = UINT64_MAX;
	for (size_t i = 0; l->up && i < PULLS_MAX; i++) {
		const struct pull *p = &l->pulls[i];
		if (!p->active)
			continue;
		uint64_t moment = has_requests(p) ? silence_deadline(p) + 1 : p->rest;
		for (size_t j = 0; j < p->depth; j++)
			if (p->requests[j].generation && p->requests[j].deadline < moment)
				moment = p->requests[j].deadline + 1;
		if (moment < next)
			next = moment;
	}
	return next;
}
