/*
 * The side that sends commands: one question for each, which goes to the first cluster where somebody
 * listens, by priority. Whoever answers has to know the key; what does not is not an answer.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "../event/chain.h"

#include "../base/banned.h"

#define QUESTIONS_MAX 256
#define ANSWERS_EACH  8 /* of which one has to be right */

struct question {
	bool active, under_way, store;
	bool unsure;	/* it may have arrived somewhere */
	bool made;	/* the stream was made, or tried to */
	bool no_stream; /* a server said that there is none */
	bool is_append; /* ledgerbox append --at-owner, which cannot store it */
	uint64_t tag;
	uint32_t generation;
	uint8_t id[16];
	uint64_t counter;
	char node[65], subject[SUBJECT_MAX];
	struct buf bytes;
	size_t cluster;
	uint64_t deadline;
	char why[160]; /* what the last try came to */
};

struct asked_cluster {
	const struct sync_cluster *options;
	struct link *link;
	bool up, failed;
};

struct sync_ask {
	struct ledger *ledger;
	const struct sync_options *options;
	sync_answer_fn *answered;
	void *context;
	int poll;
	struct asked_cluster clusters[CLUSTERS_MAX];
	size_t n_clusters;
	struct question questions[QUESTIONS_MAX];
	uint32_t generation;
};

void sync_queue_stream(const char *prefix, struct slice node, struct link_stream *out)
{
	uint8_t hash[EVENT_HASH_SIZE];
	*out = (struct link_stream){ .replicas = 1,
		.max_age = LEDGER_COMMAND_LIFE_MAX,
		.window = 120 * TIME_SECOND,
		.file = true,
		.guarded = true };
	snprintf(out->subject, sizeof(out->subject), "%s.queue.%.*s", prefix, SLICE_ARG(node));
	int n = snprintf(out->name, sizeof(out->name), "%s-queue-%.*s", prefix, SLICE_ARG(node));
	if (n > 0 && (size_t)n < sizeof(out->name))
		return;
	chain_sha256(slice_of(out->subject), hash);
	snprintf(out->name, sizeof(out->name), "queue-%02x%02x%02x%02x%02x%02x%02x%02x", hash[0],
		hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
}

/* --- Ends ---------------------------------------------------------------------------------------- */

static void finish(struct sync_ask *a, struct question *q, const struct ledger_reply *reply,
	const struct ledger_error *err)
{
	uint64_t tag = q->tag;
	for (size_t i = 0; i < a->n_clusters; i++)
		link_forget(a->clusters[i].link,
			tag_of(TAG_ASK, q->generation, (size_t)(q - a->questions)));
	buf_done(&q->bytes);
	*q = (struct question){ .generation = ++a->generation };
	a->answered(tag, reply, err, a->context);
}

static void finish_without(struct sync_ask *a, struct question *q)
{
	struct ledger_error err = { 0 };
	char id[UUID_TEXT_MAX];
	uuid_format(q->id, id);
	if (q->unsure) {
		fail(&err, LEDGER_UNKNOWN, "command %s: no answer of %s: %s", id, q->node, q->why);
		hint(&err, "ask with: ledgerbox send --status %s; or send it again with --id", id);
	} else if (q->store) {
		fail(&err, LEDGER_UNREACHABLE, "command %s cannot be stored for %s: %s", id,
			q->node, q->why);
		hint(&err, q->no_stream ? "make its stream, or set sync.create_streams: true"
					: "try again when a server can be reached");
	} else {
		fail(&err, LEDGER_UNREACHABLE, "nobody answers for %s: %s", q->node, q->why);
		hint(&err, q->is_append
				   ? "is serve-sync running there? see ledgerbox status"
				   : "is serve-sync running there? --async stores the command");
	}
	memcpy(err.id, id, sizeof(id));
	finish(a, q, NULL, &err);
}

/* --- Tries --------------------------------------------------------------------------------------- */

static enum ledger_status put(struct sync_ask *a, struct question *q, struct ledger_error *err)
{
	struct link *link = a->clusters[q->cluster].link;
	uint64_t tag = tag_of(TAG_ASK, q->generation, (size_t)(q - a->questions));
	uint64_t now = time_monotonic();
	struct link_stream stream;
	if (!q->store)
		return link_request(link, slice_of(q->subject), buf_slice(&q->bytes), ANSWERS_EACH,
			q->deadline > now ? q->deadline - now : 1, tag, err);
	sync_queue_stream(a->options->prefix, slice_of(q->node), &stream);
	struct link_message message = { .subject = slice_of(stream.subject),
		.stream = slice_of(stream.name),
		.data = buf_slice(&q->bytes) };
	return link_store(link, &message, tag, err);
}

static void remember(struct question *q, struct slice why)
{
	snprintf(q->why, sizeof(q->why), "%.*s", (int)(why.len < 150 ? why.len : 150),
		why.ptr ? why.ptr : "");
}

/* To the next cluster that is there, as far as that is known now. */
static void advance(struct sync_ask *a, struct question *q)
{
	while (q->active && !q->under_way) {
		struct ledger_error err;
		if (q->cluster == a->n_clusters) {
			finish_without(a, q);
			return;
		}
		const struct asked_cluster *c = &a->clusters[q->cluster];
		if (!c->up && !c->failed)
			return;
		enum ledger_status status = c->up ? put(a, q, &err) : LEDGER_UNREACHABLE;
		if (status == LEDGER_OK) {
			q->under_way = true;
			return;
		}
		if (status == LEDGER_BUSY)
			return;
		if (c->up)
			remember(q, slice_of(err.text));
		else
			snprintf(q->why, sizeof(q->why), "cluster %.60s is not reached",
				c->options->name);
		q->cluster++;
	}
}

/* --- Answers ------------------------------------------------------------------------------------- */

static struct question *question_of(struct sync_ask *a, uint64_t tag)
{
	struct question *q = &a->questions[tag_index(tag) % QUESTIONS_MAX];
	return tag_kind(tag) == TAG_ASK && q->active && tag_generation(tag) == q->generation ? q
											     : NULL;
}

static void replied(struct sync_ask *a, struct question *q, struct slice data)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger_reply reply;
	struct ledger_error err = { 0 };
	enum ledger_status status = ledger_reply_open(a->ledger, data, &arena, &reply, &err);
	q->unsure = true;
	if (status) {
		remember(q, slice_of(err.text));
		return;
	}
	if (memcmp(reply.id, q->id, sizeof(q->id)) != 0 || reply.counter != q->counter ||
		!slice_is(reply.node, q->node)) {
		remember(q, SLICE("an answer to something else"));
		return;
	}
	finish(a, q, &reply, &err);
}

/* Nobody was there (503): it did not arrive. All else may have. */
static void ended(struct sync_ask *a, struct question *q, const struct link_event *event)
{
	bool unheard = event->code == 503;
	q->under_way = false;
	q->unsure = q->unsure || !unheard;
	remember(q, event->status == LEDGER_TIMED_OUT ? SLICE("timed out") : event->text);
	if (event->status == LEDGER_TIMED_OUT)
		finish_without(a, q);
	else
		q->cluster++;
}

static void stored(struct sync_ask *a, struct question *q, const struct link_event *event)
{
	struct ledger_error err = { 0 };
	struct link_stream stream;
	q->under_way = false;
	if (event->status == LEDGER_OK) {
		finish(a, q, NULL, &err);
		return;
	}
	remember(q, event->text);
	if (event->code == 503 && a->options->create_streams && !q->made) {
		q->made = true;
		sync_queue_stream(a->options->prefix, slice_of(q->node), &stream);
		q->under_way = link_stream_create(a->clusters[q->cluster].link, &stream,
				       tag_of(TAG_ASK, q->generation, (size_t)(q - a->questions)),
				       &err) == LEDGER_OK;
		return;
	}
	q->unsure = q->unsure || event->status == LEDGER_TIMED_OUT;
	q->no_stream = q->no_stream || event->code == 503;
	q->made = false;
	q->cluster++;
}

static void dispatch(struct sync_ask *a, struct asked_cluster *c, const struct link_event *event)
{
	struct question *q;
	if (event->kind == LINK_UP)
		c->up = true;
	if (event->kind == LINK_DOWN) {
		c->up = false;
		c->failed = true;
	}
	if (event->kind == LINK_UP || event->kind == LINK_DOWN || event->kind == LINK_DENIED)
		return;
	if (!(q = question_of(a, event->tag)))
		return;
	if (event->kind == LINK_REPLY)
		replied(a, q, event->data);
	else if (event->kind == LINK_END)
		ended(a, q, event);
	else if (event->kind == LINK_STORED)
		stored(a, q, event);
	else if (event->kind == LINK_STREAM)
		q->under_way = false;
}

void sync_ask_step(struct sync_ask *a)
{
	struct link_event event;
	uint64_t now = time_monotonic();
	for (size_t i = 0; i < a->n_clusters; i++)
		while (link_next(a->clusters[i].link, &event))
			dispatch(a, &a->clusters[i], &event);
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		struct question *q = &a->questions[i];
		if (!q->active)
			continue;
		advance(a, q);
		if (q->active && now >= q->deadline) {
			if (!q->why[0])
				remember(q, q->under_way ? SLICE("timed out")
							 : SLICE("no cluster is reached"));
			q->unsure = q->unsure || q->under_way;
			finish_without(a, q);
		}
	}
}

/* --- The outside --------------------------------------------------------------------------------- */

enum ledger_status sync_ask_put(struct sync_ask *a, struct ledger_command *command, bool store,
	uint64_t timeout, uint64_t tag, struct ledger_error *err)
{
	struct slice type, key;
	size_t i = 0;
	while (i < QUESTIONS_MAX && a->questions[i].active)
		i++;
	if (i == QUESTIONS_MAX)
		return fail(err, LEDGER_BUSY, "%d commands are under way", QUESTIONS_MAX);
	struct question *q = &a->questions[i];
	if (!slice_is_token(command->node) || !slice_cut(command->stream, '/', &type, &key))
		return fail(err, LEDGER_INVALID, "a command without node or stream");
	struct slice tokens[] = { slice_of(a->options->prefix), SLICE("commands"), type,
		command->node };
	TRY(subject_of(q->subject, tokens, 4, err));
	buf_reset(&q->bytes);
	TRY(ledger_command_seal(a->ledger, command, &q->bytes, err));
	memcpy(q->node, command->node.ptr, command->node.len);
	q->node[command->node.len] = '\0';
	memcpy(q->id, command->id, sizeof(q->id));
	q->counter = command->counter;
	q->tag = tag;
	q->store = store;
	q->is_append = slice_is(command->name, LEDGER_COMMAND_APPEND);
	q->deadline = time_monotonic() + timeout;
	q->generation = ++a->generation;
	q->active = true;
	advance(a, q);
	return LEDGER_OK;
}

int sync_ask_fd(const struct sync_ask *a)
{
	return a->poll;
}

uint64_t sync_ask_due(const struct sync_ask *a)
{
	uint64_t due = UINT64_MAX;
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		if (a->questions[i].active && a->questions[i].deadline < due)
			due = a->questions[i].deadline;
	return due;
}

static enum ledger_status open_links(struct sync_ask *a, struct ledger_error *err)
{
	const struct sync_options *o = a->options;
	for (size_t i = 0; i < o->n_clusters && i < CLUSTERS_MAX; i++) {
		size_t at = a->n_clusters++;
		while (at > 0 && a->clusters[at - 1].options->priority > o->clusters[i].priority) {
			a->clusters[at] = a->clusters[at - 1];
			at--;
		}
		a->clusters[at] = (struct asked_cluster){ .options = &o->clusters[i] };
	}
	for (size_t i = 0; i < a->n_clusters; i++) {
		struct asked_cluster *c = &a->clusters[i];
		struct epoll_event event = { .events = EPOLLIN };
		struct link_options options = sync_link_options(c->options, ledger_node(a->ledger));
		TRY(link_open(&c->link, &options, err));
		if (epoll_ctl(a->poll, EPOLL_CTL_ADD, link_fd(c->link), &event))
			return fail_errno(err, "cannot wait for answers");
	}
	return LEDGER_OK;
}

enum ledger_status sync_ask_open(struct sync_ask **out, struct ledger *l,
	const struct sync_options *options, sync_answer_fn *answered, void *context,
	struct ledger_error *err)
{
	struct sync_ask *a = calloc(1, sizeof(*a));
	if (!a)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	a->ledger = l;
	a->options = options;
	a->answered = answered;
	a->context = context;
	a->poll = epoll_create1(EPOLL_CLOEXEC);
	enum ledger_status status =
		a->poll < 0 ? fail_errno(err, "cannot wait for answers") : open_links(a, err);
	if (status)
		sync_ask_close(a);
	else
		*out = a;
	return status;
}

void sync_ask_close(struct sync_ask *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_clusters; i++)
		link_close(a->clusters[i].link);
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		buf_done(&a->questions[i].bytes);
	file_close(&a->poll);
	free(a);
}
