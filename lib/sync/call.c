/* Calls: what was asked and waits for its answer, each in a slot whose number is in the reply subject. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/json.h"
#include "../base/time.h"

#include "state.h"

#include "../base/banned.h"

/* --- Slots ----------------------------------------------------------------------------------- */

static enum ledger_status grow(struct link *l, struct ledger_error *err)
{
	if (l->n_calls == CALLS_MAX)
		return fail(err, LEDGER_BUSY, "cluster %s: %d calls wait for their answers",
			l->cluster, CALLS_MAX);
	uint32_t n = l->n_calls ? 2 * l->n_calls : 64;
	struct call *calls = realloc(l->calls, n * sizeof(*calls));
	if (!calls)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (uint32_t i = l->n_calls; i < n; i++)
		calls[i] = (struct call){ .next_free = i + 1 < n ? i + 1 : UINT32_MAX };
	l->first_free = l->n_calls;
	l->calls = calls;
	l->n_calls = n;
	return LEDGER_OK;
}

enum ledger_status call_begin(
	struct link *l, struct call_request *request, struct ledger_error *err)
{
	char reply[sizeof(l->inbox) + 32];
	if (!l->up)
		return fail(err, LEDGER_UNREACHABLE, "cluster %s: not connected", l->cluster);
	if (l->first_free == UINT32_MAX)
		TRY(grow(l, err));
	uint32_t slot = l->first_free;
	struct call *call = &l->calls[slot];
	snprintf(reply, sizeof(reply), "%s.%" PRIu32 ".%" PRIu32, l->inbox, slot,
		call->generation + 1);
	request->out.reply = slice_of(reply);
	TRY(wire_send(l->wire, &request->out, err));
	l->first_free = call->next_free;
	l->used++;
	call->kind = request->kind;
	call->generation++;
	call->tag = request->tag;
	call->most = request->most;
	call->came = 0;
	call->body = request->body;
	call->timeout = request->timeout ? request->timeout : l->timeout;
	call->deadline = time_monotonic() + call->timeout;
	if (call->deadline < l->next_deadline)
		l->next_deadline = call->deadline;
	return LEDGER_OK;
}

void call_end(struct link *l, struct call *call)
{
	free(call->body);
	call->body = NULL;
	if (l->finished == call)
		l->finished = NULL;
	call->kind = CALL_FREE;
	call->next_free = l->first_free;
	l->first_free = (uint32_t)(call - l->calls);
	l->used--;
}

struct call *call_of(struct link *l, struct slice rest)
{
	struct slice left, right;
	uint64_t slot, generation;
	if (!slice_cut(rest, '.', &left, &right) || !slice_u64(left, &slot) ||
		!slice_u64(right, &generation) || slot >= l->n_calls)
		return NULL;
	struct call *call = &l->calls[slot];
	return call->kind != CALL_FREE && call->generation == generation ? call : NULL;
}

/* All slots are looked at only when the earliest deadline known is over. */
struct call *call_overdue(struct link *l, uint64_t now)
{
	if (now < l->next_deadline)
		return NULL;
	l->next_deadline = UINT64_MAX;
	for (uint32_t i = 0; i < l->n_calls; i++) {
		struct call *call = &l->calls[i];
		if (call->kind == CALL_FREE)
			continue;
		if (call->deadline < l->next_deadline)
			l->next_deadline = call->deadline;
		if (call->deadline <= now)
			return call;
	}
	return NULL;
}

void link_forget(struct link *l, uint64_t tag)
{
	for (uint32_t i = 0; i < l->n_calls; i++)
		if (l->calls[i].kind == CALL_REQUEST && l->calls[i].tag == tag)
			call_end(l, &l->calls[i]);
}

/* --- Answers --------------------------------------------------------------------------------- */

static enum link_kind kind_of(enum call_kind kind)
{
	switch (kind) {
	case CALL_STORE:
		return LINK_STORED;
	case CALL_STREAM:
		return LINK_STREAM;
	case CALL_NAMES:
		return LINK_NAMES;
	case CALL_CONSUMER:
	case CALL_ENSURE:
		return LINK_CONSUMER;
	case CALL_FREE:
	case CALL_REQUEST:
		break;
	}
	return LINK_END;
}

static void begin_event(const struct call *call, struct link_event *event)
{
	*event = (struct link_event){ .kind = kind_of(call->kind), .tag = call->tag };
}

void call_give_up(struct link *l, struct call *call, enum ledger_status status, const char *why,
	struct link_event *event)
{
	begin_event(call, event);
	buf_reset(&l->scratch);
	buf_add_text(&l->scratch, why);
	event->status = status;
	event->text = slice_of(buf_text(&l->scratch));
	event->number = call->came;
	call_end(l, call);
}

bool call_finish(struct link *l, struct link_event *event)
{
	struct call *call = l->finished;
	if (!call)
		return false;
	begin_event(call, event);
	event->number = call->came;
	call_end(l, call);
	return true;
}

/* The server itself answers where nobody listens to a subject. */
static bool is_unheard(const struct wire_in *in)
{
	return in->code == 503 && in->data.len == 0;
}

static bool take_reply(
	struct link *l, struct call *call, const struct wire_in *in, struct link_event *event)
{
	begin_event(call, event);
	event->kind = LINK_REPLY;
	event->subject = in->subject;
	event->reply = in->reply;
	event->data = in->data;
	event->id = in->id;
	event->number = ++call->came;
	call->deadline = time_monotonic() + call->timeout;
	if (call->came == call->most)
		l->finished = call;
	if (call->deadline < l->next_deadline)
		l->next_deadline = call->deadline;
	return true;
}

static void take_stored(struct slice data, struct link_event *event)
{
	struct slice value;
	if (json_member(data, SLICE("stream"), &value) && json_kind(value) == JSON_STRING)
		event->stream = (struct slice){ value.ptr + 1, value.len - 2 };
	if (json_member(data, SLICE("seq"), &value))
		json_u64(value, &event->sequence);
	event->duplicate =
		json_member(data, SLICE("duplicate"), &value) && json_kind(value) == JSON_TRUE;
}

/* Looked for and not found: it is created, and the answer to that is the answer to the call. */
static bool create_instead(struct link *l, struct call *call, const struct link_event *event)
{
	struct ledger_error err;
	if (call->kind != CALL_ENSURE || event->status != LEDGER_NO || event->code != 10014)
		return false;
	char *subject = call->body, *body = subject + strlen(subject) + 1;
	struct call_request request = { .kind = CALL_CONSUMER,
		.tag = call->tag,
		.out = { .subject = slice_of(subject), .data = slice_of(body) } };
	if (call_begin(l, &request, &err) != LEDGER_OK)
		return false;
	return true;
}

static void take_answer(
	struct link *l, struct call *call, const struct wire_in *in, struct link_event *event)
{
	begin_event(call, event);
	if (!stream_answer_is_good(l, in->data, event))
		return;
	bool good = true;
	if (call->kind == CALL_STORE) {
		take_stored(in->data, event);
		good = event->sequence > 0 && event->stream.len > 0;
	} else if (call->kind == CALL_STREAM) {
		good = stream_read_info(in->data, &l->stream);
		event->stream_info = &l->stream;
	} else if (call->kind == CALL_NAMES) {
		good = stream_read_names(in->data, &event->data, &event->number);
	} else if (stream_read_consumer(in->data, &l->consumer)) {
		event->consumer_info = &l->consumer;
	} else {
		good = stream_is_done(in->data);
	}
	if (!good) {
		event->status = LEDGER_INVALID;
		event->text = SLICE("the answer is not one of JetStream");
		event->stream_info = NULL;
	}
}

bool call_answer(
	struct link *l, struct call *call, const struct wire_in *in, struct link_event *event)
{
	if (is_unheard(in)) {
		call_give_up(l, call, LEDGER_UNREACHABLE,
			call->kind == CALL_REQUEST ? "nobody listens there"
			: call->kind == CALL_STORE ? "no stream takes this subject"
						   : "JetStream does not answer",
			event);
		event->code = 503;
		return true;
	}
	if (call->kind == CALL_REQUEST)
		return take_reply(l, call, in, event);
	take_answer(l, call, in, event);
	uint32_t slot = (uint32_t)(call - l->calls);
	bool again = create_instead(l, call, event);
	call_end(l, &l->calls[slot]);
	return !again;
}

/* --- Asking ---------------------------------------------------------------------------------- */

static enum ledger_status check(
	struct link *l, struct slice subject, size_t size, struct ledger_error *err)
{
	size_t max = wire_max_payload(l->wire);
	if (!subject_is_valid(subject, false))
		return fail(err, LEDGER_INVALID, "not a subject to publish to");
	if (max && size > max)
		return fail(err, LEDGER_INVALID, "a message of %zu bytes, the server takes %zu",
			size, max);
	return LEDGER_OK;
}

enum ledger_status link_request(struct link *l, struct slice subject, struct slice data,
	uint64_t most, uint64_t timeout, uint64_t tag, struct ledger_error *err)
{
	TRY(check(l, subject, data.len, err));
	struct call_request request = { .kind = CALL_REQUEST,
		.tag = tag,
		.timeout = timeout,
		.most = most,
		.out = { .subject = subject, .data = data } };
	return call_begin(l, &request, err);
}

/* What stands in a header must not end it. */
static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] > '~')
			return false;
	return s.len > 0;
}

static void add_header(struct wire_out *out, const char *name, struct slice value)
{
	if (value.ptr)
		out->headers[out->n_headers++] = (struct wire_header){ name, value };
}

enum ledger_status link_store(
	struct link *l, const struct link_message *message, uint64_t tag, struct ledger_error *err)
{
	char last[24];
	struct call_request request = { .kind = CALL_STORE,
		.tag = tag,
		.out = { .subject = message->subject, .data = message->data } };
	if ((message->id.ptr && !is_printable(message->id)) ||
		(message->stream.ptr && !slice_is_token(message->stream)))
		return fail(err, LEDGER_INVALID, "not a message id or the name of a stream");
	snprintf(last, sizeof(last), "%" PRIu64, message->last);
	add_header(&request.out, "Nats-Msg-Id", message->id);
	add_header(&request.out, "Nats-Expected-Stream", message->stream);
	if (message->expects_last)
		add_header(&request.out, "Nats-Expected-Last-Subject-Sequence", slice_of(last));
	/* Each header is "name: value CR LF", between "NATS/1.0 CR LF" and CR LF. */
	size_t size = message->data.len + 12;
	for (size_t i = 0; i < request.out.n_headers; i++)
		size += strlen(request.out.headers[i].name) + 4 + request.out.headers[i].value.len;
	TRY(check(l, message->subject, size, err));
	return call_begin(l, &request, err);
}
