/*
 * Heads: what each node has, said to all others at the start, every few seconds, and when something
 * has changed. A statement is two lines, the second one signs the bytes of the first:
 *
 *	<prefix>.sync.heads
 *	{"v":1,"node":"store-a","epoch":1763…,"counter":1763…,"boot":17…,"heads":[
 *	 {"origin":"store-a","epoch":1763…,"domain":"inventory","sequence":42,"hash":"…"},
 *	 {…,"branch":true}]}
 *	{"key":"hs256-…","mac":"…"}
 *
 * More heads than one message takes are several statements, with "part":0,"more":true, then "part":1, and
 * so on; the last one has no "more".
 *
 * A node may ask all others to say it now: a statement like the above, of the words {"ask":"heads"}.
 *
 * Heads prove what a peer stores. One that names what is not here begins a question, and no more.
 */
#include "engine.h"

#include <inttypes.h>

#include "../base/json.h"
#include "../event/chain.h"

#include "statement.h"

#include "../base/banned.h"

#define INTERVAL       (5 * TIME_SECOND)
#define STATEMENT_MAX  (256u << 10)
#define STATEMENT_ROOM 1024
#define KEEP_INTERVAL  (10 * TIME_SECOND)
#define SILENCE	       (600 * TIME_SECOND)
#define ASK_WAIT       (TIME_SECOND / 5) /* many who ask at once get one answer */
#define PATIENCE       TIME_SECOND
#define SOON	       (TIME_SECOND / 10)

/* --- Saying -------------------------------------------------------------------------------------- */

void heads_soon(struct sync *s, uint64_t wait)
{
	if (s->options->recover)
		return;
	if (s->next_statement > s->now + wait)
		s->next_statement = s->now + wait;
	sync_wake_at(s, s->next_statement);
}

void heads_ask(struct sync *s, size_t cluster)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice tokens[] = { slice_of(s->prefix), SLICE("sync"), SLICE("heads") };
	char subject[SUBJECT_MAX];
	struct ledger_error err;
	/* What is not asked is said all the same, a few seconds later. */
	if (subject_of(subject, tokens, 3, &err) == LEDGER_OK &&
		statement_ask(s->ledger, s->node, &text, &err) == LEDGER_OK)
		link_publish(s->clusters[cluster].link, slice_of(subject), buf_slice(&text), &err);
}

struct statement {
	struct sync *s;
	struct buf heads;
	size_t n, limit; /* bytes */
	uint64_t part;
};

static enum ledger_status send_statement(struct statement *st, bool more, struct ledger_error *err)
{
	struct sync *s = st->s;
	CLEANUP_BUF struct buf text = { 0 };
	char subject[SUBJECT_MAX];
	struct ledger_error unsent;
	struct slice tokens[] = { slice_of(s->prefix), SLICE("sync"), SLICE("heads") };
	uint64_t now = time_now();
	s->counter = now > s->counter ? now : s->counter + 1;
	buf_addf(&text, "{\"v\":1,\"node\":\"%s\",\"epoch\":%" PRIu64 ",\"counter\":%" PRIu64,
		s->node, s->epoch, s->counter);
	buf_addf(&text, ",\"boot\":%" PRIu64, s->boot);
	if (st->part || more)
		buf_addf(&text, ",\"part\":%" PRIu64, st->part);
	buf_add_text(&text, more ? ",\"more\":true,\"heads\":[" : ",\"heads\":[");
	buf_add_slice(&text, buf_slice(&st->heads));
	buf_add_text(&text, "]}");
	TRY(statement_sign(s->ledger, STATEMENT_HEADS, &text, err));
	TRY(subject_of(subject, tokens, 3, err));
	for (size_t i = 0; i < s->n_clusters; i++)
		if (s->clusters[i].ready)
			link_publish(
				s->clusters[i].link, slice_of(subject), buf_slice(&text), &unsent);
	buf_reset(&st->heads);
	st->n = 0;
	st->part++;
	return LEDGER_OK;
}

static enum ledger_status state_head(
	struct statement *st, const struct ledger_head *head, bool branch, struct ledger_error *err)
{
	if (!route_is_shared(st->s, head->origin, head->domain))
		return LEDGER_OK;
	if (st->n)
		buf_add_char(&st->heads, ',');
	statement_add_head(&st->heads, head, branch);
	bool full = ++st->n == STATEMENT_HEADS_MAX || st->heads.len > st->limit;
	return full ? send_statement(st, true, err) : LEDGER_OK;
}

static enum ledger_status state_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct ledger_head head = { chain->origin, chain->epoch, chain->domain, chain->sequence,
		{ 0 } };
	memcpy(head.hash, chain->hash, sizeof(head.hash));
	return state_head(context, &head, false, err);
}

static enum ledger_status state_fork(
	const struct ledger_fork *fork, void *context, struct ledger_error *err)
{
	struct ledger_head head = { fork->chain.origin, fork->chain.epoch, fork->chain.domain,
		fork->last, { 0 } };
	memcpy(head.hash, fork->last_hash, sizeof(head.hash));
	return state_head(context, &head, true, err);
}

/* What all servers take, with room for one head more and what stands around them. */
static size_t most_bytes(const struct sync *s)
{
	size_t most = STATEMENT_MAX;
	for (size_t i = 0; i < s->n_clusters; i++)
		if (s->clusters[i].up && link_max_payload(s->clusters[i].link) < most)
			most = link_max_payload(s->clusters[i].link);
	return most > STATEMENT_ROOM ? most - STATEMENT_ROOM : 0;
}

enum ledger_status heads_step(struct sync *s, struct ledger_error *err)
{
	struct statement st = { .s = s, .limit = most_bytes(s) };
	uint64_t interval = s->options->heads_interval ? s->options->heads_interval : INTERVAL;
	if (s->now < s->next_statement) {
		sync_wake_at(s, s->next_statement);
		return LEDGER_OK;
	}
	/* Not all nodes at once. */
	s->next_statement = s->now + interval - interval / 8 + s->boot % (interval / 4 + 1);
	sync_wake_at(s, s->next_statement);
	s->stated = s->now;
	enum ledger_status status = ledger_heads(s->ledger, NULL, 0, state_chain, &st, err);
	if (!status)
		status = ledger_forks(s->ledger, state_fork, &st, err);
	if (!status)
		status = send_statement(&st, false, err);
	buf_done(&st.heads);
	return status;
}

/* --- Listening ------------------------------------------------------------------------------------ */

/* One that nobody has heard for long makes room for another; PEERS_MAX: none has been silent. */
static size_t silent_peer(struct sync *s)
{
	size_t slot = 0;
	for (size_t i = 1; i < s->n_peers; i++)
		if (s->peers[i].heard < s->peers[slot].heard)
			slot = i;
	if (s->now < s->peers[slot].heard + SILENCE)
		return PEERS_MAX;
	for (size_t i = 0; i < s->n_chains; i++)
		s->chains[i].who &= ~(UINT64_C(1) << slot);
	return slot;
}

static struct peer *find_peer(struct sync *s, const char *node)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (strcmp(s->peers[i].node, node) == 0)
			return &s->peers[i];
	size_t slot = s->n_peers < PEERS_MAX ? s->n_peers++ : silent_peer(s);
	if (slot == PEERS_MAX) {
		report_beyond(s, CEILING_PEERS, "they are not asked for what is missing");
		return NULL;
	}
	struct peer *p = &s->peers[slot];
	*p = (struct peer){ 0 };
	memcpy(p->node, node, strlen(node) + 1);
	SAY(s, "peer", WORD("node", node));
	heads_soon(s, TIME_SECOND / 10);
	return p;
}

/* Our own chains are taken back also where those of others are not taken. */
static bool is_wanted(const struct sync *s, const struct ledger_head *head)
{
	const struct sync_domain *route = route_of(s, head->domain);
	bool own = slice_is(head->origin, s->node);
	if (s->options->recover)
		return own;
	return route && (route->subscribe || (own && route->propagate));
}

/* How long what a head names may still be on its way through a stream. */
static uint64_t patience(const struct sync *s, struct slice domain)
{
	if (s->options->recover)
		return 0;
	return track_is_empty(s, domain) ? SOON : PATIENCE;
}

/* What it names and is not here is a question to it. */
static enum ledger_status compare(struct sync *s, struct peer *p, const struct ledger_head *head,
	bool branch, struct ledger_error *err)
{
	enum ledger_presence presence;
	if (!is_wanted(s, head))
		return LEDGER_OK;
	TRY(ledger_has(s->ledger, head, &presence, err));
	if (presence == LEDGER_PRESENT || presence == LEDGER_IN_BRANCH)
		return LEDGER_OK;
	if (!s->options->recover)
		TRY(route_meet(s, head->domain, err));
	struct chain *c = hold_chain(s, head->origin, head->epoch, head->domain);
	p->lacking = true;
	if (!c || c->waiting)
		return LEDGER_OK;
	uint64_t bit = UINT64_C(1) << (p - s->peers);
	c->who |= bit;
	if (presence == LEDGER_ABSENT && !branch)
		repair_want(s, c, head->sequence, patience(s, head->domain));
	else if (!c->before) {
		c->before = head->sequence + 1;
		c->from = branch ? 1 : 0;
		c->branches = branch;
		c->who = bit;
	}
	s->more = true;
	return LEDGER_OK;
}

/* In the ledger where something has changed, and now and then as a sign of life. */
static enum ledger_status keep(struct sync *s, struct peer *p, const struct heard *heard,
	const struct ledger_head *heads, size_t n, struct ledger_error *err)
{
	uint8_t hash[EVENT_HASH_SIZE];
	struct ledger_statement statement = { slice_of(p->node), heard->epoch, heard->boot,
		heard->counter, time_now(), heads, n };
	chain_sha256(heard->heads, hash);
	if (p->kept && s->now < p->kept + KEEP_INTERVAL &&
		memcmp(hash, p->heads, sizeof(hash)) == 0)
		return LEDGER_OK;
	enum ledger_status status = ledger_keep_statement(s->ledger, &statement, err);
	/* While somebody holds the lock nothing is kept: the next statement is, though it says the same. */
	if (status == LEDGER_BUSY) {
		p->kept = 0;
		return LEDGER_OK;
	}
	/* Known from before this daemon was started: it says nothing of today. */
	p->lacking = p->lacking || status == LEDGER_NO;
	if (status && status != LEDGER_NO)
		return status;
	p->kept = s->now;
	memcpy(p->heads, hash, sizeof(hash));
	return LEDGER_OK;
}

/* It is level when nothing of all parts of one saying is missing here; a part that was lost may have named
 * what is. */
static void begin_part(struct peer *p, const struct heard *heard)
{
	if (heard->part == 0)
		p->lacking = false;
	else if (heard->part != p->part + 1 || heard->boot != p->part_boot)
		p->lacking = true;
	p->part = heard->part;
	p->part_boot = heard->boot;
}

static void end_part(struct peer *p, const struct heard *heard)
{
	if (p->lacking)
		p->level = false;
	else if (!heard->more)
		p->level = true;
}

static enum ledger_status take(struct sync *s, struct peer *p, const struct heard *heard,
	struct arena *arena, struct ledger_error *err)
{
	struct ledger_head *heads = arena_array(arena, STATEMENT_HEADS_MAX, sizeof(*heads));
	struct json_walk walk;
	struct slice key, value;
	size_t n = 0;
	bool branch;
	if (!heads)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	begin_part(p, heard);
	json_walk_init(&walk, heard->heads);
	while (n < STATEMENT_HEADS_MAX && json_walk_next(&walk, &key, &value)) {
		if (!statement_read_head(value, arena, &heads[n], &branch))
			continue;
		TRY(compare(s, p, &heads[n], branch, err));
		n += branch ? 0 : 1;
	}
	TRY(keep(s, p, heard, heads, n, err));
	end_part(p, heard);
	return LEDGER_OK;
}

/* What comes again, or late, is none. Each run of a daemon counts for itself: after a restart its clock may
 * be behind, after a restore its epoch, and two daemons may have one name for a while. */
static bool is_news(struct peer *p, const struct heard *heard)
{
	for (size_t i = 0; i < PEER_RUNS; i++) {
		struct peer_run *run = &p->runs[i];
		if (run->boot != heard->boot || run->counter == 0)
			continue;
		bool newer = heard->counter > run->counter;
		run->counter = newer ? heard->counter : run->counter;
		return newer;
	}
	p->last_run = (p->last_run + 1) % PEER_RUNS;
	p->runs[p->last_run] = (struct peer_run){ heard->boot, heard->counter };
	return heard->counter != 0;
}

enum ledger_status heads_take(
	struct sync *s, size_t cluster, struct slice data, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct heard heard;
	struct ledger_error why = { 0 };
	/* Who asks may be of our own name: verify and recover do. */
	if (statement_is_ask(s->ledger, data)) {
		heads_soon(s, ASK_WAIT);
		return LEDGER_OK;
	}
	if (!statement_read(s->ledger, data, &arena, &heard, &why)) {
		WARN(s, "bad-heads", WORD("text", why.text));
		return LEDGER_OK;
	}
	if (strcmp(heard.node, s->node) == 0) {
		if (heard.boot != s->boot && heard.counter > s->started)
			WARN(s, "another-daemon", WORD("node", s->node),
				NUMBER("epoch", heard.epoch),
				WORD("hint", "two ledgers have one name: rename or stop one"));
		return LEDGER_OK;
	}
	struct peer *p = find_peer(s, heard.node);
	if (!p || !is_news(p, &heard))
		return LEDGER_OK;
	p->cluster = cluster;
	p->epoch = heard.epoch;
	p->heard = s->now;
	return take(s, p, &heard, &arena, err);
}
