/*
 * Repair: what is missing is asked for, one range of a chain after the other, of the origin or of
 * whoever named it; while one is stored the next is on its way. An answer that brings nothing closes
 * nothing. And the other side: ranges are read for peers, of any chain that is here.
 *
 *	<prefix>.sync.range.<node>
 *	{"v":1,"origin":"store-a","epoch":1763…,"domain":"inventory","from":42,"max_bytes":524288}
 *	{…,"branches":true}	events of branches beside that chain
 *
 * The answer is event lines in one message; none: there is nothing from there on.
 */
#include "engine.h"

#include <inttypes.h>

#include "../base/json.h"
#include "../event/line.h"

#include "../base/banned.h"

#define SPAN	       256 /* events that are asked for before a branch, at first */
#define ALIVE	       (60 * TIME_SECOND)
#define ANSWERS_A_TURN 4
#define FAILURES_MAX   10
#define DOMAIN_IN_LINE 64

/* --- Asking -------------------------------------------------------------------------------------- */

void repair_want(struct sync *s, struct chain *c, uint64_t sequence, uint64_t wait)
{
	if (c->target == 0 && c->rest < s->now + wait)
		c->rest = s->now + wait;
	if (sequence > c->target)
		c->target = sequence;
	s->more = true;
}

void repair_want_next(struct sync *s, struct chain *c, uint64_t wait)
{
	struct ledger_chain_name name = { slice_of(c->origin), c->epoch, slice_of(c->domain) };
	struct ledger_error err;
	uint64_t head;
	if (ledger_chain_end(s->ledger, &name, &head, &err) == LEDGER_OK && head)
		repair_want(s, c, head + 1, wait);
}

/* Who is asked: the origin first, then those who named it, then anybody; in turns. PEERS_MAX: nobody. */
static size_t choose_peer(const struct sync *s, const struct chain *c)
{
	size_t candidates[PEERS_MAX] = { 0 }, n = 0;
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < s->n_peers; i++) {
			const struct peer *p = &s->peers[i];
			bool named = (c->who >> i & 1) != 0;
			bool origin = strcmp(p->node, c->origin) == 0 && !c->before;
			int rank = origin ? 0 : named ? 1 : 2;
			if (rank == round && s->now < p->heard + ALIVE &&
				s->clusters[p->cluster].up && !(c->before && c->who && !named))
				candidates[n++] = i;
		}
	return n ? candidates[c->failed % n] : PEERS_MAX;
}

static uint64_t where_to_begin(const struct chain *c, uint64_t head)
{
	uint64_t span = (uint64_t)SPAN << (2 * (c->failed < 16 ? c->failed : 16));
	if (!c->before)
		return head + 1;
	if (c->from)
		return c->from;
	return c->before > span ? c->before - span : 1;
}

static void add_request(struct buf *out, const struct chain *c, uint64_t from)
{
	buf_addf(out, "{\"v\":1,\"origin\":\"%s\",\"epoch\":%" PRIu64 ",\"domain\":\"%s\"",
		c->origin, c->epoch, c->domain);
	buf_addf(out, ",\"from\":%" PRIu64 ",\"max_bytes\":%u", from, RANGE_BYTES);
	buf_add_text(out, c->before && c->branches ? ",\"branches\":true}" : "}");
}

static enum ledger_status ask(struct sync *s, struct chain *c, size_t slot, size_t peer,
	uint64_t head, struct ledger_error *err)
{
	CLEANUP_BUF struct buf request = { 0 };
	struct ask *a = &s->asks[slot];
	const struct peer *p = &s->peers[peer];
	char subject[SUBJECT_MAX];
	struct slice tokens[] = { slice_of(s->prefix), SLICE("sync"), SLICE("range"),
		slice_of(p->node) };
	TRY(subject_of(subject, tokens, 4, err));
	add_request(&request, c, where_to_begin(c, head));
	TRY(buf_check(&request, err));
	uint32_t generation = a->generation + 1;
	TRY(link_request(s->clusters[p->cluster].link, slice_of(subject), buf_slice(&request), 1,
		5 * TIME_SECOND, tag_of(TAG_ASK, generation, slot), err));
	*a = (struct ask){ true, generation, (size_t)(c - s->chains), peer };
	c->asked = true;
	return LEDGER_OK;
}

/* What nobody has after many questions may have been somebody's invention; heads name it again where
 * that is wrong. */
static void give_up_for_now(struct sync *s, struct chain *c)
{
	c->failed++;
	c->rest = s->now + sync_backoff(c->failed);
	if (c->failed > FAILURES_MAX)
		c->target = 0;
}

static bool is_missing(struct sync *s, struct chain *c, uint64_t *head)
{
	struct ledger_chain_name name = { slice_of(c->origin), c->epoch, slice_of(c->domain) };
	struct ledger_error err;
	if (ledger_chain_end(s->ledger, &name, head, &err) != LEDGER_OK)
		return false;
	if (*head >= c->target) {
		c->target = 0;
		if (!c->before) {
			c->failed = 0;
			c->who = 0;
		}
	}
	return c->target || c->before;
}

static size_t free_slot(const struct sync *s)
{
	size_t slot = 0;
	while (slot < ASKS_MAX && s->asks[slot].active)
		slot++;
	return slot;
}

static void step_chain(struct sync *s, struct chain *c)
{
	size_t slot = free_slot(s);
	uint64_t head;
	struct ledger_error err;
	if ((!c->target && !c->before) || c->asked || c->waiting)
		return;
	if (s->now < c->rest) {
		sync_wake_at(s, c->rest);
		return;
	}
	if (slot == ASKS_MAX || !is_missing(s, c, &head))
		return;
	size_t peer = choose_peer(s, c);
	if (peer == PEERS_MAX || ask(s, c, slot, peer, head, &err) != LEDGER_OK) {
		c->rest = s->now + TIME_SECOND;
		sync_wake_at(s, c->rest);
	}
}

void repair_hurry(struct sync *s, const char *domain)
{
	for (size_t i = 0; i < s->n_chains; i++) {
		struct chain *c = &s->chains[i];
		if (strcmp(c->domain, domain) == 0 && c->target && !c->failed)
			c->rest = s->now;
	}
	s->more = true;
}

void repair_step(struct sync *s)
{
	for (size_t i = 0; i < s->n_chains && !s->stopping; i++)
		step_chain(s, &s->chains[i]);
}

static struct ask *find_ask(struct sync *s, uint64_t tag)
{
	struct ask *a = &s->asks[tag_index(tag)];
	return a->active && a->generation == tag_generation(tag) ? a : NULL;
}

/* Is this the last line of a part of the chain, and is there more behind it? */
static bool has_more(const struct chain *c, struct slice line, uint64_t *last)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger_error err;
	struct event e;
	if (event_read_line(line, &arena, &e, &err) != LEDGER_OK || e.epoch != c->epoch ||
		!slice_is(e.origin, c->origin) || !slice_is(e.domain, c->domain))
		return false;
	*last = e.sequence;
	return e.sequence < c->target;
}

/* The range behind the one that has just come is asked for before that one is stored; NULL: it is not.
 * What came is believed as far as a question goes. */
static struct ask *ask_ahead(struct sync *s, struct chain *c, size_t peer, struct slice lines)
{
	struct ledger_error err;
	uint64_t last;
	size_t slot = free_slot(s);
	if (c->before || slot == ASKS_MAX || lines.len < 2 || s->stopping)
		return NULL;
	struct slice line = { lines.ptr, lines.len - 1 };
	const char *before = memrchr(line.ptr, '\n', line.len);
	if (before)
		line = slice_from(line, (size_t)(before - line.ptr) + 1);
	if (!has_more(c, line, &last) || ask(s, c, slot, peer, last, &err) != LEDGER_OK)
		return NULL;
	return &s->asks[slot];
}

/* Towards the beginning until it hangs together with what is here, then to the end; then the
 * branches that the peer keeps beside it. */
static void look_at_branch(struct chain *c, const struct reply *reply)
{
	if (reply->lines == 0 && c->branches) {
		c->before = 0;
		c->branches = false;
	} else if (reply->lines == 0) {
		c->branches = true;
		c->from = 1;
	} else if (reply->joined || c->from)
		c->from = reply->last + 1;
}

enum ledger_status repair_reply(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	struct ask *a = find_ask(s, event->tag);
	if (!a)
		return LEDGER_OK;
	struct chain *c = &s->chains[a->chain];
	struct ask *ahead = ask_ahead(s, c, a->peer, event->data);
	TRY(take_lines(s, event->data, c, s->peers[a->peer].node, err));
	if (c->before)
		look_at_branch(c, &s->reply);
	c->rest = s->now;
	if (s->reply.progress)
		c->failed = 0;
	else if (!c->before)
		give_up_for_now(s, c);
	else if (!c->from)
		c->failed++;
	/* What it asked for is of no use now. */
	if (ahead && (!s->reply.progress || c->before))
		ahead->active = false;
	a->active = false;
	c->asked = ahead && ahead->active;
	s->more = true;
	return LEDGER_OK;
}

void repair_end(struct sync *s, const struct link_event *event)
{
	struct ask *a = find_ask(s, event->tag);
	if (!a)
		return;
	struct chain *c = &s->chains[a->chain];
	c->asked = a->active = false;
	give_up_for_now(s, c);
}

/* --- Answering ------------------------------------------------------------------------------------ */

static bool read_token(struct slice object, struct slice key, char out[65])
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	if (!json_member(object, key, &value) || json_kind(value) != JSON_STRING ||
		value.len > DOMAIN_IN_LINE * 6)
		return false;
	json_decode_string(value, &text);
	if (text.failed || !slice_is_token(buf_slice(&text)))
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

static bool read_number(struct slice object, struct slice key, uint64_t *out)
{
	struct slice value;
	return json_member(object, key, &value) && json_u64(value, out) && *out <= TIME_MAX;
}

static bool read_request(struct slice data, struct answer *out)
{
	struct slice value, branches;
	struct ledger_error err;
	if (data.len > 4096 || json_check(data, &value, &err) != LEDGER_OK ||
		json_kind(value) != JSON_OBJECT)
		return false;
	out->branches = json_member(value, SLICE("branches"), &branches) &&
			json_kind(branches) == JSON_TRUE;
	return read_token(value, SLICE("origin"), out->origin) &&
	       read_token(value, SLICE("domain"), out->domain) &&
	       read_number(value, SLICE("epoch"), &out->epoch) &&
	       read_number(value, SLICE("from"), &out->from) &&
	       read_number(value, SLICE("max_bytes"), &out->max_bytes);
}

void repair_queue(struct sync *s, size_t cluster, const struct link_event *event)
{
	struct answer a = { .cluster = cluster };
	if (s->n_answers == ANSWERS_MAX || !event->reply.ptr ||
		event->reply.len >= sizeof(a.reply) || !read_request(event->data, &a) ||
		!route_is_shared(s, slice_of(a.origin), slice_of(a.domain)))
		return;
	memcpy(a.reply, event->reply.ptr, event->reply.len);
	s->answers[s->n_answers++] = a;
	s->more = true;
}

struct lines {
	struct buf text;
	size_t limit; /* in bytes, of all lines but the first one */
	size_t most;  /* what the server takes */
};

static enum ledger_status add_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct lines *lines = context;
	struct event sent = *event;
	size_t before = lines->text.len;
	sent.position = 0;
	event_add_line(&lines->text, &sent);
	buf_add_char(&lines->text, '\n');
	TRY(buf_check(&lines->text, err));
	if (lines->text.len <= (before ? lines->limit : lines->most))
		return LEDGER_OK;
	lines->text.len = before;
	return fail(err, LEDGER_NO, "enough");
}

static enum ledger_status answer(struct sync *s, const struct answer *a, struct ledger_error *err)
{
	struct ledger_chain_name name = { slice_of(a->origin), a->epoch, slice_of(a->domain) };
	struct link *link = s->clusters[a->cluster].link;
	uint64_t bytes = a->max_bytes < RANGE_BYTES ? a->max_bytes : RANGE_BYTES;
	struct lines lines = { .most = link_max_payload(link) };
	lines.limit = bytes < lines.most ? bytes : lines.most;
	enum ledger_status status = a->branches ? ledger_read_branches(s->ledger, &name, a->from,
							  UINT64_MAX, add_event, &lines, err)
						: ledger_read_chain(s->ledger, &name, a->from,
							  UINT64_MAX, add_event, &lines, err);
	struct ledger_error unsent;
	if (!status || status == LEDGER_NO) {
		link_publish(link, slice_of(a->reply), buf_slice(&lines.text), &unsent);
		status = LEDGER_OK;
	}
	buf_done(&lines.text);
	return status;
}

enum ledger_status repair_answer(struct sync *s, struct ledger_error *err)
{
	size_t n = s->n_answers < ANSWERS_A_TURN ? s->n_answers : ANSWERS_A_TURN;
	for (size_t i = 0; i < n; i++)
		TRY(answer(s, &s->answers[i], err));
	s->n_answers -= n;
	memmove(s->answers, s->answers + n, s->n_answers * sizeof(s->answers[0]));
	s->more = s->more || s->n_answers;
	return LEDGER_OK;
}
