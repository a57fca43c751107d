/* JetStream's own language: JSON requests to $JS.API and their answers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/json.h"
#include "../base/time.h"

#include "state.h"

#include "../base/banned.h"

#define NS UINT64_C(1000) /* in a µs */

/* --- Reading --------------------------------------------------------------------------------- */

/* A member of a member; JetStream nests no deeper. */
static bool find(struct slice data, const char *outer, const char *name, struct slice *value)
{
	struct slice object = data;
	if (outer &&
		(!json_member(data, slice_of(outer), &object) || json_kind(object) != JSON_OBJECT))
		return false;
	return json_member(object, slice_of(name), value);
}

/* A number; -1, null and what is missing mean "no limit" or "none": 0. */
static uint64_t number(struct slice data, const char *outer, const char *name)
{
	struct slice value;
	uint64_t n = 0;
	return find(data, outer, name, &value) && json_u64(value, &n) ? n : 0;
}

static bool truth(struct slice data, const char *outer, const char *name)
{
	struct slice value;
	return find(data, outer, name, &value) && json_kind(value) == JSON_TRUE;
}

/* A text that fits; "" otherwise. */
static void text(struct slice value, char *out, size_t n)
{
	CLEANUP_BUF struct buf decoded = { 0 };
	out[0] = '\0';
	if (json_kind(value) != JSON_STRING)
		return;
	json_decode_string(value, &decoded);
	if (decoded.failed || decoded.len >= n || memchr(buf_text(&decoded), '\0', decoded.len))
		return;
	memcpy(out, buf_text(&decoded), decoded.len + 1);
}

static void member(struct slice data, const char *outer, const char *name, char *out, size_t n)
{
	struct slice value;
	out[0] = '\0';
	if (find(data, outer, name, &value))
		text(value, out, n);
}

static bool says(struct slice data, const char *outer, const char *name, const char *wanted)
{
	struct slice value;
	return find(data, outer, name, &value) && json_kind(value) == JSON_STRING &&
	       json_string_is(value, slice_of(wanted));
}

static bool is_missing(struct slice data, const char *outer, const char *name)
{
	struct slice value;
	return !find(data, outer, name, &value);
}

static bool is_object(struct slice data)
{
	struct ledger_error err;
	struct slice value;
	return json_check(data, &value, &err) == LEDGER_OK && json_kind(value) == JSON_OBJECT;
}

bool stream_is_done(struct slice data)
{
	return truth(data, NULL, "success");
}

/* --- Errors ---------------------------------------------------------------------------------- */

/* JetStream's numbers (err_code) as what a caller does next. */
static const struct {
	int code;
	enum ledger_status status;
} codes[] = {
	{ 10014, LEDGER_NO },	       /* consumer not found */
	{ 10059, LEDGER_NO },	       /* stream not found */
	{ 10037, LEDGER_NO },	       /* no message found */
	{ 10058, LEDGER_CONFLICT },    /* stream name in use, with another config */
	{ 10065, LEDGER_CONFLICT },    /* subjects overlap with another stream */
	{ 10013, LEDGER_CONFLICT },    /* consumer name in use */
	{ 10105, LEDGER_CONFLICT },    /* consumer exists */
	{ 10071, LEDGER_CONFLICT },    /* wrong last sequence */
	{ 10164, LEDGER_CONFLICT },    /* the same, of a subject */
	{ 10060, LEDGER_REFUSED },     /* another stream took the subject than expected */
	{ 10054, LEDGER_INVALID },     /* larger than the stream allows */
	{ 10002, LEDGER_NO_SPACE },    /* the account's resources */
	{ 10023, LEDGER_NO_SPACE },    /* the server's */
	{ 10028, LEDGER_NO_SPACE },    /* memory */
	{ 10047, LEDGER_NO_SPACE },    /* storage */
	{ 10077, LEDGER_NO_SPACE },    /* store failed: a limit of the stream */
	{ 10039, LEDGER_REFUSED },     /* JetStream not enabled for the account */
	{ 10076, LEDGER_UNREACHABLE }, /* JetStream not enabled */
	{ 10008, LEDGER_UNREACHABLE }, /* no leader now */
};

/* Others by the kind of HTTP code: what the server cannot do now, and what it will not do. */
static enum ledger_status status_of(uint64_t code, uint64_t kind)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == (int)code)
			return codes[i].status;
	return kind >= 500 ? LEDGER_UNREACHABLE : LEDGER_REFUSED;
}

bool stream_answer_is_good(struct link *l, struct slice data, struct link_event *event)
{
	char description[256];
	struct slice error;
	if (!is_object(data)) {
		event->status = LEDGER_INVALID;
		event->text = SLICE("the answer is not one of JetStream");
		return false;
	}
	if (!json_member(data, SLICE("error"), &error) || json_kind(error) != JSON_OBJECT)
		return true;
	uint64_t code = number(data, "error", "err_code");
	event->code = code < 100000 ? (int)code : 0;
	event->status = status_of(code, number(data, "error", "code"));
	member(data, "error", "description", description, sizeof(description));
	buf_reset(&l->scratch);
	for (const char *c = description; *c; c++)
		buf_add_char(&l->scratch, *c >= ' ' && *c <= '~' ? *c : '?');
	event->text = slice_of(buf_text(&l->scratch));
	return false;
}

/* --- Asking ---------------------------------------------------------------------------------- */

static enum ledger_status ask(struct link *l, enum call_kind kind, const char *subject,
	struct slice body, uint64_t tag, struct ledger_error *err)
{
	struct call_request request = {
		.kind = kind, .tag = tag, .out = { .subject = slice_of(subject), .data = body }
	};
	return call_begin(l, &request, err);
}

/* "$JS.API.<verb>.<a>[.<b>]" */
static enum ledger_status api_subject(char out[SUBJECT_MAX], const char *verb, const char *a,
	const char *b, struct ledger_error *err)
{
	char names[SUBJECT_MAX];
	struct slice tokens[2] = { slice_of(a), slice_of(b) };
	TRY(subject_of(names, tokens, b ? 2 : 1, err));
	snprintf(out, SUBJECT_MAX, JS_API "%s.%.*s", verb, 2 * LINK_NAME_MAX, names);
	return LEDGER_OK;
}

static void add_member(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, ",\"%s\":", name);
	json_add_string(out, slice_of(value));
}

/* --- Streams --------------------------------------------------------------------------------- */

/* A cache that drops what is oldest: the ledgers are what lasts, and repair fills the gaps. */
static void add_stream_config(struct buf *out, const struct link_stream *s)
{
	buf_add_text(out, "{\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"old\","
			  "\"max_consumers\":-1,\"max_msgs\":-1,\"max_msgs_per_subject\":-1,"
			  "\"max_msg_size\":-1,\"deny_delete\":true,\"deny_purge\":true");
	add_member(out, "name", s->name);
	buf_add_text(out, ",\"subjects\":[");
	json_add_string(out, slice_of(s->subject));
	buf_addf(out, "],\"num_replicas\":%" PRIu64, s->replicas);
	buf_addf(out, ",\"max_age\":%" PRIu64 ",\"duplicate_window\":%" PRIu64, s->max_age * NS,
		s->window * NS);
	if (s->max_bytes)
		buf_addf(out, ",\"max_bytes\":%" PRIu64 "}", s->max_bytes);
	else
		buf_add_text(out, ",\"max_bytes\":-1}");
}

bool stream_read_info(struct slice data, struct link_stream *out)
{
	struct slice list, key, item;
	*out = (struct link_stream){ .replicas = number(data, "config", "num_replicas"),
		.max_age = number(data, "config", "max_age") / NS,
		.max_bytes = number(data, "config", "max_bytes"),
		.window = number(data, "config", "duplicate_window") / NS,
		.file = says(data, "config", "storage", "file") &&
			says(data, "config", "retention", "limits") &&
			says(data, "config", "discard", "old"),
		.guarded =
			truth(data, "config", "deny_delete") && truth(data, "config", "deny_purge"),
		.messages = number(data, "state", "messages"),
		.bytes = number(data, "state", "bytes"),
		.first = number(data, "state", "first_seq"),
		.last = number(data, "state", "last_seq") };
	member(data, "config", "name", out->name, sizeof(out->name));
	member(data, NULL, "created", out->created, sizeof(out->created));
	if (find(data, "config", "subjects", &list) && json_kind(list) == JSON_ARRAY) {
		struct json_walk walk;
		json_walk_init(&walk, list);
		if (json_walk_next(&walk, &key, &item))
			text(item, out->subject, sizeof(out->subject));
		if (json_walk_next(&walk, &key, &item))
			out->subject[0] = '\0';
	}
	return out->name[0] && out->created[0];
}

enum ledger_status link_stream_info(
	struct link *l, const char *name, uint64_t tag, struct ledger_error *err)
{
	char subject[SUBJECT_MAX];
	TRY(api_subject(subject, "STREAM.INFO", name, NULL, err));
	return ask(l, CALL_STREAM, subject, SLICE(""), tag, err);
}

/* Where there is none the list is null. */
bool stream_read_names(struct slice data, struct slice *names, uint64_t *total)
{
	struct slice list;
	*total = number(data, NULL, "total");
	*names = (struct slice){ NULL, 0 };
	if (is_missing(data, NULL, "total"))
		return false;
	if (find(data, NULL, "streams", &list) && json_kind(list) == JSON_ARRAY)
		*names = list;
	return true;
}

enum ledger_status link_stream_names(struct link *l, const char *pattern, uint64_t offset,
	uint64_t tag, struct ledger_error *err)
{
	CLEANUP_BUF struct buf body = { 0 };
	buf_add_text(&body, "{\"subject\":");
	json_add_string(&body, slice_of(pattern));
	buf_addf(&body, ",\"offset\":%" PRIu64 "}", offset);
	TRY(buf_check(&body, err));
	return ask(l, CALL_NAMES, JS_API "STREAM.NAMES", buf_slice(&body), tag, err);
}

enum ledger_status link_stream_create(
	struct link *l, const struct link_stream *stream, uint64_t tag, struct ledger_error *err)
{
	char subject[SUBJECT_MAX];
	CLEANUP_BUF struct buf body = { 0 };
	TRY(api_subject(subject, "STREAM.CREATE", stream->name, NULL, err));
	if (!subject_is_valid(slice_of(stream->subject), true))
		return fail(err, LEDGER_INVALID, "not a subject for stream %s", stream->name);
	add_stream_config(&body, stream);
	TRY(buf_check(&body, err));
	return ask(l, CALL_STREAM, subject, buf_slice(&body), tag, err);
}

static void differ_number(struct buf *out, const char *what, uint64_t have, uint64_t want)
{
	if (have != want)
		buf_addf(out, "%s: %" PRIu64 ", wanted %" PRIu64 "\n", what, have, want);
}

static void differ_text(struct buf *out, const char *what, const char *have, const char *want)
{
	if (strcmp(have, want) != 0)
		buf_addf(out, "%s: %s, wanted %s\n", what, have[0] ? have : "(none or several)",
			want);
}

static void differ_truth(struct buf *out, const char *what, bool have, bool want)
{
	if (have != want)
		buf_addf(
			out, "%s: %s, wanted %s\n", what, have ? "yes" : "no", want ? "yes" : "no");
}

bool link_stream_differs(
	const struct link_stream *have, const struct link_stream *want, struct buf *out)
{
	size_t before = out->len;
	differ_text(out, "subject", have->subject, want->subject);
	differ_number(out, "replicas", have->replicas, want->replicas);
	differ_number(out, "max_age (us)", have->max_age, want->max_age);
	differ_number(out, "max_bytes", have->max_bytes, want->max_bytes);
	differ_number(out, "duplicate window (us)", have->window, want->window);
	differ_truth(out, "file storage by limits, the oldest discarded", have->file, want->file);
	differ_truth(out, "deletes and purges denied", have->guarded, want->guarded);
	return out->len != before;
}

/* --- Consumers ------------------------------------------------------------------------------- */

static void add_consumer(struct buf *out, const struct link_consumer *c)
{
	buf_add_text(out, "{\"stream_name\":");
	json_add_string(out, slice_of(c->stream));
	buf_add_text(out, ",\"config\":{\"ack_policy\":\"all\",\"max_deliver\":-1,"
			  "\"replay_policy\":\"instant\"");
	add_member(out, "durable_name", c->name);
	if (c->start)
		buf_addf(out,
			",\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":%" PRIu64,
			c->start);
	else
		buf_add_text(out, ",\"deliver_policy\":\"all\"");
	buf_addf(out, ",\"ack_wait\":%" PRIu64 ",\"max_ack_pending\":%" PRIu64 "}}",
		c->ack_wait * NS, c->max_pending);
}

bool stream_read_consumer(struct slice data, struct link_consumer *out)
{
	*out = (struct link_consumer){ .start = number(data, "config", "opt_start_seq"),
		.ack_wait = number(data, "config", "ack_wait") / NS,
		.max_pending = number(data, "config", "max_ack_pending"),
		.plain = says(data, "config", "ack_policy", "all") &&
			 number(data, "config", "max_deliver") == 0 &&
			 is_missing(data, "config", "filter_subject") &&
			 is_missing(data, "config", "deliver_subject") &&
			 number(data, "config", "inactive_threshold") == 0,
		.delivered = number(data, "delivered", "stream_seq"),
		.acknowledged = number(data, "ack_floor", "stream_seq"),
		.ack_pending = number(data, NULL, "num_ack_pending"),
		.pending = number(data, NULL, "num_pending"),
		.redelivered = number(data, NULL, "num_redelivered") };
	member(data, NULL, "stream_name", out->stream, sizeof(out->stream));
	member(data, NULL, "name", out->name, sizeof(out->name));
	member(data, NULL, "created", out->created, sizeof(out->created));
	return out->stream[0] && out->name[0] && out->created[0];
}

enum ledger_status link_consumer_info(struct link *l, const char *stream, const char *name,
	uint64_t tag, struct ledger_error *err)
{
	char subject[SUBJECT_MAX];
	TRY(api_subject(subject, "CONSUMER.INFO", stream, name, err));
	return ask(l, CALL_CONSUMER, subject, SLICE(""), tag, err);
}

enum ledger_status link_consumer_delete(struct link *l, const char *stream, const char *name,
	uint64_t tag, struct ledger_error *err)
{
	char subject[SUBJECT_MAX];
	TRY(api_subject(subject, "CONSUMER.DELETE", stream, name, err));
	return ask(l, CALL_CONSUMER, subject, SLICE(""), tag, err);
}

/* Asked for first: creating one that exists would change it. */
enum ledger_status link_consumer_ensure(struct link *l, const struct link_consumer *consumer,
	uint64_t tag, struct ledger_error *err)
{
	char info[SUBJECT_MAX], create[SUBJECT_MAX];
	CLEANUP_BUF struct buf body = { 0 };
	TRY(api_subject(info, "CONSUMER.INFO", consumer->stream, consumer->name, err));
	TRY(api_subject(create, "CONSUMER.DURABLE.CREATE", consumer->stream, consumer->name, err));
	buf_add(&body, create, strlen(create) + 1);
	add_consumer(&body, consumer);
	buf_add_char(&body, '\0');
	TRY(buf_check(&body, err));
	struct call_request request = { .kind = CALL_ENSURE,
		.tag = tag,
		.out = { .subject = slice_of(info), .data = SLICE("") },
		.body = malloc(body.len) };
	if (!request.body)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	memcpy(request.body, body.ptr, body.len);
	enum ledger_status status = call_begin(l, &request, err);
	if (status != LEDGER_OK)
		free(request.body);
	return status;
}

bool link_consumer_differs(
	const struct link_consumer *have, const struct link_consumer *want, struct buf *out)
{
	size_t before = out->len;
	differ_number(out, "start", have->start, want->start);
	differ_number(out, "ack_wait (us)", have->ack_wait, want->ack_wait);
	differ_number(out, "max_ack_pending", have->max_pending, want->max_pending);
	differ_truth(out, "pull, all acknowledged, no filter, kept", have->plain, want->plain);
	return out->len != before;
}
