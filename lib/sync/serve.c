/*
 * Commands of other nodes. What comes is opened, handed to lib/own, and answered when that has recorded it;
 * programs run beside the loop. Commands that were stored for this node come from a stream of their own:
 * they are acknowledged in order, after the commit, and nobody listens to the answer, so it is kept.
 */
#include "engine.h"

#include <stdlib.h>

#include "../base/banned.h"

#define SLOTS_MAX  1280
#define RING_MAX   64 /* stored commands under way */
#define PULL_BATCH 16
#define PULL_DEPTH 2
#define RETRY	   (5 * TIME_SECOND)
#define LOOK_AGAIN (30 * TIME_SECOND)

enum queue_state { QUEUE_OFF, QUEUE_STREAM, QUEUE_CONSUMER, QUEUE_READY };

/* Where stored commands of one cluster come from. */
struct queue {
	enum queue_state state;
	bool asked;
	bool missing;  /* there is no stream, which was said */
	uint64_t rest; /* nothing is asked before this moment */
	/* What came, in order: acknowledged when all before it is done. */
	struct stored {
		bool offered, done;
		uint64_t again; /* not offered before this moment */
		struct buf bytes;
		char ack[SUBJECT_MAX];
	} ring[RING_MAX];
	size_t first, n;
};

/* Who waits for an answer: somebody at a subject, or a place in a ring. */
struct slot {
	bool used;
	size_t cluster;
	bool queued;
	size_t place;
	char reply[SUBJECT_MAX];
};

struct serve {
	struct ledger_commands *commands;
	struct ledger_commands_options options;
	struct slot slots[SLOTS_MAX];
	struct queue queues[CLUSTERS_MAX];
	uint64_t forged, told;
	uint64_t said; /* when forged ones were last said */
};

/* --- Answers ------------------------------------------------------------------------------------- */

static void say_answer(
	struct sync *s, const struct ledger_command *command, const struct ledger_reply *reply)
{
	char id[UUID_TEXT_MAX];
	uuid_format(command->id, id);
	if (reply->status == LEDGER_OK)
		return;
	WARN(s, "command-not-executed", WORD("id", id), TEXT("from", command->sender),
		TEXT("stream", command->stream), TEXT("command", command->name),
		WORD("status", ledger_status_name(reply->status)), NUMBER("exit", reply->exit),
		TEXT("text", reply->text.ptr ? reply->text : SLICE("")));
}

static void send_reply(
	struct sync *s, size_t cluster, const char *subject, const struct ledger_reply *reply)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_reply r = *reply;
	struct ledger_error err;
	size_t max = link_max_payload(s->clusters[cluster].link);
	enum ledger_status status = ledger_reply_seal(s->ledger, &r, &bytes, &err);
	if (!status && max && bytes.len > max) {
		/* Executed is executed: the long part goes, not the answer. */
		r.events = r.result = (struct slice){ NULL, 0 };
		buf_reset(&bytes);
		status = ledger_reply_seal(s->ledger, &r, &bytes, &err);
	}
	if (!status)
		status = link_publish(
			s->clusters[cluster].link, slice_of(subject), buf_slice(&bytes), &err);
	if (status)
		WARN(s, "answer-not-sent", WORD("text", err.text));
}

/* Nobody hears why a stored command failed: what may pass is tried again, the rest is kept. */
static void queued_over(struct sync *s, struct queue *q, size_t place,
	const struct ledger_command *command, const struct ledger_reply *reply)
{
	struct stored *stored = &q->ring[place];
	struct ledger_error err;
	bool passes = ledger_worth_retrying(reply->status) || reply->status == LEDGER_CONFLICT ||
		      reply->status == LEDGER_UNKNOWN;
	if (passes && !reply->repeated && time_now() + RETRY < command->expires) {
		stored->offered = false;
		stored->again = s->now + RETRY;
		return;
	}
	if (reply->status && reply->status != LEDGER_NO && !reply->repeated &&
		ledger_command_keep(s->ledger, command, reply, &err) != LEDGER_OK)
		WARN(s, "answer-not-kept", WORD("text", err.text));
	stored->done = true;
}

static void answered(const struct ledger_command *command, const struct ledger_reply *reply,
	uint64_t tag, void *context)
{
	struct sync *s = context;
	struct slot *slot = &s->serve->slots[tag];
	say_answer(s, command, reply);
	if (slot->queued)
		queued_over(s, &s->serve->queues[slot->cluster], slot->place, command, reply);
	else if (slot->reply[0])
		send_reply(s, slot->cluster, slot->reply, reply);
	slot->used = false;
	s->changed = true;
}

/* --- What comes ---------------------------------------------------------------------------------- */

static struct slot *free_slot(struct serve *serve)
{
	for (size_t i = 0; i < SLOTS_MAX; i++)
		if (!serve->slots[i].used)
			return &serve->slots[i];
	return NULL;
}

/* Whoever does not know the key is not answered; said once a second at most. */
static void refuse_forged(struct sync *s, const struct ledger_error *err)
{
	struct serve *serve = s->serve;
	serve->forged++;
	if (s->now < serve->said + TIME_SECOND)
		return;
	serve->said = s->now;
	WARN(s, "bad-command", WORD("text", err->text), NUMBER("since", serve->forged));
}

static bool read_command(
	struct sync *s, struct slice bytes, struct arena *arena, struct ledger_command *out)
{
	struct ledger_error err = { 0 };
	enum ledger_status status = ledger_command_open(s->ledger, bytes, arena, out, &err);
	if (!status && !slice_is(out->node, s->node))
		status = fail(&err, LEDGER_INVALID, "a command for node %.*s, not for %s",
			SLICE_ARG(out->node), s->node);
	if (!status && out->expires > time_now() + LEDGER_COMMAND_LIFE_MAX + TIME_SECOND * 3600)
		status = fail(&err, LEDGER_INVALID, "a command that expires in more than 30 days");
	if (status)
		refuse_forged(s, &err);
	return status == LEDGER_OK;
}

static void reply_at_once(struct sync *s, size_t cluster, const char *subject,
	const struct ledger_command *command, struct ledger_reply *reply)
{
	memcpy(reply->id, command->id, sizeof(reply->id));
	reply->counter = command->counter;
	if (subject[0])
		send_reply(s, cluster, subject, reply);
}

static void tell(struct sync *s, size_t cluster, const char *subject,
	const struct ledger_command *command, struct arena *arena)
{
	struct ledger_error err = { 0 };
	struct ledger_reply reply = { 0 };
	enum ledger_status status =
		ledger_command_answer(s->ledger, command->id, arena, &reply, &err);
	if (status)
		reply = (struct ledger_reply){
			.status = status, .text = slice_of(err.text), .exit = 0
		};
	else
		reply.repeated = true;
	reply_at_once(s, cluster, subject, command, &reply);
}

static void offer(struct sync *s, struct ledger_command *command, const struct slot *who)
{
	struct ledger_error err = { 0 };
	struct slot *slot = free_slot(s->serve);
	command->stored = who->queued;
	enum ledger_status status = LEDGER_BUSY;
	if (!slot)
		fail(&err, LEDGER_BUSY, "too many commands are waiting");
	else
		status = ledger_commands_offer(
			s->serve->commands, command, (uint64_t)(slot - s->serve->slots), &err);
	if (status == LEDGER_OK) {
		*slot = *who;
		slot->used = true;
		s->more = true;
		return;
	}
	struct ledger_reply reply = { .status = status, .text = slice_of(err.text) };
	say_answer(s, command, &reply);
	if (who->queued)
		queued_over(s, &s->serve->queues[who->cluster], who->place, command, &reply);
	else
		reply_at_once(s, who->cluster, who->reply, command, &reply);
}

void serve_message(struct sync *s, size_t cluster, const struct link_event *event)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger_command command;
	struct slot who = { .cluster = cluster };
	/* Before the lease is looked at another daemon may have this name: its answer comes. */
	if (!s->serve || !s->clusters[cluster].ready ||
		!read_command(s, event->data, &arena, &command))
		return;
	if (event->reply.ptr && event->reply.len < sizeof(who.reply))
		memcpy(who.reply, event->reply.ptr, event->reply.len);
	if (command.only_asks)
		tell(s, cluster, who.reply, &command, &arena);
	else
		offer(s, &command, &who);
}

/* --- Stored commands ----------------------------------------------------------------------------- */

static uint64_t queue_tag(size_t cluster)
{
	return tag_of(TAG_QUEUE, 0, cluster);
}

static void forget_ring(struct queue *q)
{
	/* Those that were offered go on, and are answered into places that nobody asks about. */
	for (size_t i = 0; i < RING_MAX; i++)
		buf_done(&q->ring[i].bytes);
	memset(q->ring, 0, sizeof(q->ring));
	q->first = q->n = 0;
}

static void restart(struct sync *s, size_t cluster, uint64_t wait)
{
	struct queue *q = &s->serve->queues[cluster];
	link_pull_stop(s->clusters[cluster].link, queue_tag(cluster));
	for (size_t i = 0; i < SLOTS_MAX; i++)
		if (s->serve->slots[i].cluster == cluster)
			s->serve->slots[i].queued = false;
	forget_ring(q);
	q->state = s->clusters[cluster].ready ? QUEUE_STREAM : QUEUE_OFF;
	q->asked = false;
	q->rest = s->now + wait;
	sync_wake_at(s, q->rest);
}

void serve_connected(struct sync *s, size_t cluster)
{
	if (s->serve)
		restart(s, cluster, 0);
}

static void ask(struct sync *s, size_t cluster)
{
	struct queue *q = &s->serve->queues[cluster];
	struct link *link = s->clusters[cluster].link;
	struct link_stream stream;
	struct ledger_error err;
	enum ledger_status status;
	sync_queue_stream(s->prefix, slice_of(s->node), &stream);
	if (q->state == QUEUE_STREAM) {
		status = link_stream_info(link, stream.name, queue_tag(cluster), &err);
	} else {
		struct link_consumer consumer = {
			.ack_wait = 60 * TIME_SECOND, .max_pending = RING_MAX, .plain = true
		};
		memcpy(consumer.stream, stream.name, sizeof(consumer.stream));
		memcpy(consumer.name, s->node, sizeof(s->node));
		status = link_consumer_ensure(link, &consumer, queue_tag(cluster), &err);
	}
	q->asked = status == LEDGER_OK;
	if (status)
		q->rest = s->now + TIME_SECOND;
}

static void found_stream(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct queue *q = &s->serve->queues[cluster];
	struct link_stream stream;
	struct ledger_error err;
	q->asked = false;
	if (event->status == LEDGER_OK) {
		q->state = QUEUE_CONSUMER;
		s->news = s->news || q->missing;
		q->missing = false;
		s->more = true;
		return;
	}
	q->rest = s->now + LOOK_AGAIN;
	sync_queue_stream(s->prefix, slice_of(s->node), &stream);
	if (event->status == LEDGER_NO && !s->options->create_streams && !q->missing) {
		WARN(s, "commands-stream-missing",
			WORD("cluster", s->clusters[cluster].options->name),
			WORD("stream", stream.name),
			WORD("text",
				"nothing sent with --async reaches this node here: make it, or "
				"set sync.create_streams"));
		q->missing = true;
		s->news = true;
	}
	if (event->status == LEDGER_NO && s->options->create_streams)
		q->asked = link_stream_create(s->clusters[cluster].link, &stream,
				   queue_tag(cluster), &err) == LEDGER_OK;
	sync_wake_at(s, q->rest);
}

static void found_consumer(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct queue *q = &s->serve->queues[cluster];
	struct link_stream stream;
	struct ledger_error err;
	sync_queue_stream(s->prefix, slice_of(s->node), &stream);
	struct link_pull pull = {
		.stream = stream.name, .consumer = s->node, .batch = PULL_BATCH, .depth = PULL_DEPTH
	};
	if (event->status == LEDGER_OK && link_pull_start(s->clusters[cluster].link, &pull,
						  queue_tag(cluster), &err) == LEDGER_OK) {
		q->state = QUEUE_READY;
		q->asked = false;
	} else {
		restart(s, cluster, RETRY);
	}
}

static void take_stored(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct queue *q = &s->serve->queues[cluster];
	if (q->n == RING_MAX || event->reply.len >= SUBJECT_MAX) {
		restart(s, cluster, RETRY);
		return;
	}
	struct stored *stored = &q->ring[(q->first + q->n++) % RING_MAX];
	memcpy(stored->ack, event->reply.ptr, event->reply.len);
	stored->ack[event->reply.len] = '\0';
	stored->offered = stored->done = false;
	stored->again = 0;
	buf_reset(&stored->bytes);
	buf_add_slice(&stored->bytes, event->data);
	stored->done = stored->bytes.failed;
	s->more = true;
}

void serve_queue(struct sync *s, const struct link_event *event)
{
	size_t cluster = tag_index(event->tag);
	if (!s->serve || cluster >= s->n_clusters)
		return;
	struct queue *q = &s->serve->queues[cluster];
	if (event->kind == LINK_STREAM && q->state == QUEUE_STREAM)
		found_stream(s, cluster, event);
	else if (event->kind == LINK_CONSUMER && q->state == QUEUE_CONSUMER)
		found_consumer(s, cluster, event);
	else if (event->kind == LINK_PULLED)
		take_stored(s, cluster, event);
	else if (event->kind == LINK_LOST)
		restart(s, cluster, RETRY);
}

static void offer_stored(struct sync *s, size_t cluster, size_t place)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct stored *stored = &s->serve->queues[cluster].ring[place];
	struct slot who = { .cluster = cluster, .queued = true, .place = place };
	struct ledger_command command;
	stored->offered = true;
	if (read_command(s, buf_slice(&stored->bytes), &arena, &command) && !command.only_asks)
		offer(s, &command, &who);
	else
		stored->done = true;
}

static void step_queue(struct sync *s, size_t cluster)
{
	struct queue *q = &s->serve->queues[cluster];
	const char *ack = NULL;
	struct ledger_error err;
	if ((q->state == QUEUE_STREAM || q->state == QUEUE_CONSUMER) && !q->asked) {
		if (s->now >= q->rest)
			ask(s, cluster);
		sync_wake_at(s, q->rest);
	}
	for (size_t i = 0; i < q->n; i++) {
		size_t place = (q->first + i) % RING_MAX;
		struct stored *stored = &q->ring[place];
		if (!stored->offered && !stored->done && s->now >= stored->again)
			offer_stored(s, cluster, place);
		else if (!stored->offered && !stored->done)
			sync_wake_at(s, stored->again);
	}
	for (; q->n > 0 && q->ring[q->first].done; q->n--) {
		ack = q->ring[q->first].ack;
		q->first = (q->first + 1) % RING_MAX;
	}
	if (ack && link_ack(s->clusters[cluster].link, slice_of(ack), &err) != LEDGER_OK)
		restart(s, cluster, RETRY);
}

/* --- All of it ----------------------------------------------------------------------------------- */

enum ledger_status serve_open(struct sync *s, struct ledger_error *err)
{
	if (!s->options->commands)
		return LEDGER_OK;
	s->serve = calloc(1, sizeof(*s->serve));
	if (!s->serve)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->serve->options = *s->options->commands;
	s->serve->options.answered = answered;
	s->serve->options.context = s;
	TRY(ledger_commands_open(&s->serve->commands, &s->serve->options, err));
	return sync_watch(s, ledger_commands_fd(s->serve->commands), err);
}

enum ledger_status serve_cluster(struct sync *s, size_t cluster, struct ledger_error *err)
{
	CLEANUP_BUF struct buf subject = { 0 };
	if (!s->serve)
		return LEDGER_OK;
	buf_addf(&subject, "%s.commands.*.%s", s->prefix, s->node);
	TRY(buf_check(&subject, err));
	return link_subscribe(s->clusters[cluster].link, buf_slice(&subject),
		tag_of(TAG_COMMAND, 0, cluster), err);
}

static void count_forged(struct sync *s)
{
	struct serve *serve = s->serve;
	struct ledger_error ignored;
	if (serve->forged == 0 || s->now < serve->told + TIME_SECOND)
		return;
	serve->told = s->now;
	if (ledger_command_count(s->ledger, "forged", serve->forged, &ignored) == LEDGER_OK)
		serve->forged = 0;
}

enum ledger_status serve_step(struct sync *s, struct ledger_error *err)
{
	if (!s->serve)
		return LEDGER_OK;
	if (!s->stopping)
		for (size_t i = 0; i < s->n_clusters; i++)
			step_queue(s, i);
	TRY(ledger_commands_step(s->serve->commands, err));
	count_forged(s);
	sync_wake_at(s, ledger_commands_due(s->serve->commands));
	return LEDGER_OK;
}

bool serve_lacks_queue(const struct sync *s, size_t cluster)
{
	return s->serve && s->clusters[cluster].up && s->serve->queues[cluster].missing;
}

void serve_close(struct sync *s)
{
	if (!s->serve)
		return;
	ledger_commands_close(s->serve->commands);
	for (size_t i = 0; i < CLUSTERS_MAX; i++)
		forget_ring(&s->serve->queues[i]);
	free(s->serve);
	s->serve = NULL;
}
