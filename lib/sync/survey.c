/*
 * Asking peers what they have, now: one process for one question, beside the daemon or without it.
 *
 *	<prefix>.sync.heads		a signed question; every node answers with a statement, to all
 *	<prefix>.sync.range.<node>	one event of a chain
 *
 * Nothing is written, here or there.
 */
#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/json.h"
#include "../event/line.h"

#include "statement.h"
#include "subject.h"

#include "../base/banned.h"

#define QUIET	     (TIME_SECOND / 2) /* of silence behind the last answer, … */
#define QUIET_AT_ALL TIME_SECOND       /* … where nobody is known to be missing or not */
#define ASK_AGAIN    (2 * TIME_SECOND)
#define PATIENCE     (3 * TIME_SECOND) /* with one request */

#define TAG_OF_HEADS 1 /* requests have larger ones */

/* --- Open and close ------------------------------------------------------------------------------ */

static enum ledger_status open_link(
	struct survey *s, const struct sync_cluster *o, struct ledger_error *err)
{
	struct survey_link *l = &s->links[s->n_links];
	char subject[SUBJECT_MAX];
	struct slice heads[] = { slice_of(s->prefix), SLICE("sync"), SLICE("heads") };
	struct link_options options = { .cluster = o->name,
		.node = s->node,
		.urls = o->urls,
		.n_urls = o->n_urls,
		.credentials = o->credentials,
		.nkey = o->nkey,
		.user = o->user,
		.password_file = o->password_file,
		.token_file = o->token_file,
		.tls_ca = o->tls_ca,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.tls_hostname = o->tls_hostname,
		.retry_max = TIME_SECOND };
	TRY(link_open(&l->link, &options, err));
	l->options = o;
	s->n_links++;
	TRY(subject_of(subject, heads, 3, err));
	return link_subscribe(l->link, slice_of(subject), TAG_OF_HEADS, err);
}

static enum ledger_status open_links(struct survey *s, struct ledger_error *err)
{
	const struct sync_options *o = s->options->sync;
	if (!slice_is_token(slice_of(o->prefix)))
		return fail(err, LEDGER_USAGE, "the prefix '%.80s' is not a name", o->prefix);
	if (o->n_clusters == 0 || o->n_clusters > SURVEY_CLUSTERS_MAX)
		return fail(err, LEDGER_USAGE, "from 1 to %d clusters, not %zu",
			SURVEY_CLUSTERS_MAX, o->n_clusters);
	snprintf(s->node, sizeof(s->node), "%s", ledger_node(s->ledger));
	snprintf(s->prefix, sizeof(s->prefix), "%s", o->prefix);
	for (size_t i = 0; i < o->n_clusters; i++)
		TRY(open_link(s, &o->clusters[i], err));
	return LEDGER_OK;
}

void survey_close(struct survey *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_links; i++)
		link_close(s->links[i].link);
	free(s->said);
	buf_done(&s->answer);
	arena_done(&s->arena);
	free(s);
}

/* --- Statements ---------------------------------------------------------------------------------- */

static bool has_peer(const struct survey *s, struct slice node)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (slice_is(node, s->peers[i].node))
			return true;
	return false;
}

static struct survey_peer *meet(struct survey *s, const char *node, size_t cluster)
{
	size_t i = 0;
	while (i < s->n_peers && strcmp(s->peers[i].node, node) != 0)
		i++;
	if (i == SURVEY_PEERS_MAX)
		return NULL;
	if (i == s->n_peers) {
		memcpy(s->peers[i].node, node, strlen(node) + 1);
		s->n_peers++;
	}
	s->peers[i].cluster = cluster;
	return &s->peers[i];
}

static struct said *add_said(struct survey *s, struct ledger_error *err)
{
	if (s->n_said == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct said *more =
			room <= SURVEY_HEADS_MAX ? realloc(s->said, room * sizeof(*more)) : NULL;
		if (!more) {
			fail(err, LEDGER_NO_MEMORY, "peers name more heads than fit");
			return NULL;
		}
		s->said = more;
		s->room = room;
	}
	return &s->said[s->n_said++];
}

static enum ledger_status take_heads(struct survey *s, const struct survey_peer *p,
	const struct heard *heard, struct ledger_error *err)
{
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, heard->heads);
	for (size_t n = 0; n < STATEMENT_HEADS_MAX && json_walk_next(&walk, &key, &value); n++) {
		struct ledger_head head;
		bool branch;
		if (!statement_read_head(value, &s->arena, &head, &branch) || branch)
			continue;
		struct said *said = add_said(s, err);
		if (!said)
			return err->status;
		*said = (struct said){ { p->node, (size_t)(p - s->peers), head }, heard->epoch,
			heard->counter };
	}
	return LEDGER_OK;
}

static enum ledger_status take_statement(
	struct survey *s, size_t cluster, struct slice data, struct ledger_error *err)
{
	struct heard heard;
	struct ledger_error why;
	if (statement_is_ask(s->ledger, data) ||
		!statement_read(s->ledger, data, &s->arena, &heard, &why))
		return LEDGER_OK;
	s->news = time_monotonic();
	if (strcmp(heard.node, s->node) == 0) {
		s->ourselves = true;
		return LEDGER_OK;
	}
	const struct survey_peer *p = meet(s, heard.node, cluster);
	return p ? take_heads(s, p, &heard, err) : LEDGER_OK;
}

/* By chain, then peer, then the newest. */
static int compare_said(const void *a, const void *b)
{
	const struct said *x = a, *y = b;
	const struct ledger_head *h = &x->what.head, *k = &y->what.head;
	int order = slice_cmp(h->origin, k->origin);
	if (!order)
		order = (h->epoch > k->epoch) - (h->epoch < k->epoch);
	if (!order)
		order = slice_cmp(h->domain, k->domain);
	if (!order)
		order = strcmp(x->what.peer, y->what.peer);
	if (!order)
		order = (x->epoch < y->epoch) - (x->epoch > y->epoch);
	return order ? order : (x->counter < y->counter) - (x->counter > y->counter);
}

static bool is_same_head(const struct said *x, const struct said *y)
{
	const struct ledger_head *h = &x->what.head, *k = &y->what.head;
	return x->what.index == y->what.index && h->epoch == k->epoch &&
	       slice_eq(h->origin, k->origin) && slice_eq(h->domain, k->domain);
}

/* A node that spoke twice counts with what it said last. */
static void sort_said(struct survey *s)
{
	size_t n = 0;
	if (s->n_said)
		qsort(s->said, s->n_said, sizeof(*s->said), compare_said);
	for (size_t i = 0; i < s->n_said; i++)
		if (n == 0 || !is_same_head(&s->said[n - 1], &s->said[i]))
			s->said[n++] = s->said[i];
	s->n_said = n;
}

/* --- Events of the links ------------------------------------------------------------------------- */

static void ask(struct survey *s, struct survey_link *l)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice tokens[] = { slice_of(s->prefix), SLICE("sync"), SLICE("heads") };
	char subject[SUBJECT_MAX];
	struct ledger_error err;
	/* A failure shows as silence. */
	if (subject_of(subject, tokens, 3, &err) == LEDGER_OK &&
		statement_ask(s->ledger, s->node, &text, &err) == LEDGER_OK)
		link_publish(l->link, slice_of(subject), buf_slice(&text), &err);
}

static enum ledger_status dispatch(
	struct survey *s, size_t cluster, const struct link_event *event, struct ledger_error *err)
{
	struct survey_link *l = &s->links[cluster];
	if (event->kind == LINK_UP) {
		l->up = true;
		s->news = time_monotonic();
		ask(s, l);
	} else if (event->kind == LINK_DOWN) {
		l->up = false;
	}
	if (event->kind == LINK_DOWN || event->kind == LINK_DENIED)
		snprintf(s->why, sizeof(s->why), "%.*s", SLICE_ARG(event->text));
	if (event->kind == LINK_MESSAGE)
		return take_statement(s, cluster, event->data, err);
	if (event->kind == LINK_REPLY && event->tag == s->tag)
		buf_add_slice(&s->answer, event->data);
	if (event->kind == LINK_END && event->tag == s->tag)
		s->ended = true;
	return LEDGER_OK;
}

/* Waits for something to happen, until `moment` at most. */
static enum ledger_status turn(struct survey *s, uint64_t moment, struct ledger_error *err)
{
	struct pollfd fds[SURVEY_CLUSTERS_MAX + 1];
	struct link_event event;
	uint64_t now = time_monotonic();
	for (size_t i = 0; i < s->n_links; i++)
		fds[i] = (struct pollfd){ .fd = link_fd(s->links[i].link), .events = POLLIN };
	fds[s->n_links] = (struct pollfd){ .fd = s->options->stop_fd, .events = POLLIN };
	int wait = moment > now ? (int)((moment - now) / 1000) + 1 : 0;
	if (poll(fds, s->n_links + 1, wait) < 0 && errno != EINTR)
		return fail_errno(err, "cannot wait for answers");
	if (fds[s->n_links].revents)
		return fail(err, LEDGER_UNREACHABLE, "interrupted");
	for (size_t i = 0; i < s->n_links; i++)
		while (link_next(s->links[i].link, &event))
			TRY(dispatch(s, i, &event, err));
	return LEDGER_OK;
}

/* --- Gathering heads ----------------------------------------------------------------------------- */

static enum ledger_status note_known(
	const struct ledger_peer_head *head, void *context, struct ledger_error *err)
{
	struct survey *s = context;
	for (size_t i = 0; i < s->n_silent; i++)
		if (slice_is(head->node, s->silent[i]))
			return LEDGER_OK;
	if (s->n_silent == SURVEY_PEERS_MAX || slice_is(head->node, s->node))
		return LEDGER_OK;
	struct slice name = arena_copy(&s->arena, head->node);
	if (!name.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->silent[s->n_silent++] = name.ptr;
	return LEDGER_OK;
}

/* Those that have spoken are silent no more. */
static void strike_out(struct survey *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_silent; i++)
		if (!has_peer(s, slice_of(s->silent[i])))
			s->silent[n++] = s->silent[i];
	s->n_silent = n;
	s->silent[n] = NULL;
}

static bool has_enough(struct survey *s, uint64_t now)
{
	bool someone_known = s->n_silent > 0;
	strike_out(s);
	if (s->n_peers == 0 || s->n_peers < s->options->peers || s->n_silent)
		return false;
	return now >= s->news + (someone_known ? QUIET : QUIET_AT_ALL);
}

static bool is_up(const struct survey *s)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (s->links[i].up)
			return true;
	return false;
}

static enum ledger_status judge(struct survey *s, struct ledger_error *err)
{
	size_t wanted = s->options->peers ? s->options->peers : 1;
	double seconds = (double)s->options->within / (double)TIME_SECOND;
	if (s->n_peers >= wanted)
		return LEDGER_OK;
	if (!is_up(s))
		return fail(err, LEDGER_UNREACHABLE, "no NATS server could be reached: %s",
			s->why[0] ? s->why : "no answer");
	fail(err, LEDGER_UNREACHABLE, "%zu of %zu nodes answered within %gs%s%s", s->n_peers,
		wanted, seconds, s->why[0] ? "; " : "", s->why);
	return hint(err, "is ledgerbox serve-sync running on the other nodes?");
}

static enum ledger_status gather(struct survey *s, struct ledger_error *err)
{
	uint64_t now = time_monotonic(), end = now + s->options->within, again = now + ASK_AGAIN;
	/* Where the ledger cannot tell, nobody is known. */
	struct ledger_error ignored;
	ledger_peer_heads(s->ledger, note_known, s, &ignored);
	while (now < end && !has_enough(s, now)) {
		uint64_t moment = now + TIME_SECOND / 10 < end ? now + TIME_SECOND / 10 : end;
		TRY(turn(s, moment, err));
		now = time_monotonic();
		for (size_t i = 0; i < s->n_links && now >= again; i++)
			if (s->links[i].up)
				ask(s, &s->links[i]);
		if (now >= again)
			again = now + ASK_AGAIN;
	}
	strike_out(s);
	sort_said(s);
	return judge(s, err);
}

static enum ledger_status start(struct survey *s, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	TRY(statement_ask(s->ledger, ledger_node(s->ledger), &text, err));
	TRY(open_links(s, err));
	return gather(s, err);
}

enum ledger_status survey_open(struct survey **out, struct ledger *l,
	const struct survey_options *options, struct ledger_error *err)
{
	struct survey *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->ledger = l;
	s->options = options;
	s->tag = TAG_OF_HEADS + 1;
	enum ledger_status status = start(s, err);
	if (status != LEDGER_OK)
		survey_close(s);
	else
		*out = s;
	return status;
}

const char *survey_peer(const struct survey *s, size_t index)
{
	return index < s->n_peers ? s->peers[index].node : NULL;
}

const char *survey_silent(const struct survey *s, size_t index)
{
	return index < s->n_silent ? s->silent[index] : NULL;
}

bool survey_heard_ourselves(const struct survey *s)
{
	return s->ourselves;
}

enum ledger_status survey_heads(
	struct survey *s, survey_head_fn *fn, void *context, struct ledger_error *err)
{
	for (size_t i = 0; i < s->n_said; i++)
		TRY(fn(&s->said[i].what, context, err));
	return LEDGER_OK;
}

/* --- One event ----------------------------------------------------------------------------------- */

static enum ledger_status request(struct survey *s, const struct survey_peer *p,
	const struct ledger_chain_name *chain, uint64_t sequence, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice tokens[] = { slice_of(s->prefix), SLICE("sync"), SLICE("range"),
		slice_of(p->node) };
	char subject[SUBJECT_MAX];
	TRY(subject_of(subject, tokens, 4, err));
	buf_addf(&text, "{\"v\":1,\"origin\":\"%.*s\",\"epoch\":%" PRIu64 ",\"domain\":\"%.*s\"",
		SLICE_ARG(chain->origin), chain->epoch, SLICE_ARG(chain->domain));
	buf_addf(&text, ",\"from\":%" PRIu64 ",\"max_bytes\":1}", sequence);
	TRY(buf_check(&text, err));
	s->ended = false;
	buf_reset(&s->answer);
	return link_request(s->links[p->cluster].link, slice_of(subject), buf_slice(&text), 1,
		PATIENCE, ++s->tag, err);
}

static bool is_at(const struct event *e, const struct ledger_chain_name *chain, uint64_t sequence)
{
	return e->sequence == sequence && e->epoch == chain->epoch &&
	       slice_eq(e->origin, chain->origin) && slice_eq(e->domain, chain->domain);
}

enum ledger_status survey_hash(struct survey *s, size_t peer, const struct ledger_chain_name *chain,
	uint64_t sequence, uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct slice line, rest;
	struct event event;
	struct ledger_error why;
	if (request(s, &s->peers[peer], chain, sequence, &why) != LEDGER_OK)
		return fail(
			err, LEDGER_NO, "%s cannot be asked: %s", s->peers[peer].node, why.text);
	uint64_t end = time_monotonic() + PATIENCE + TIME_SECOND;
	while (!s->ended && time_monotonic() < end)
		TRY(turn(s, end, err));
	if (s->answer.failed || !slice_cut(buf_slice(&s->answer), '\n', &line, &rest) ||
		event_read_line(line, &arena, &event, &why) != LEDGER_OK ||
		!is_at(&event, chain, sequence) ||
		ledger_check_event(s->ledger, &event, &why) != LEDGER_OK)
		return fail(err, LEDGER_NO, "%s did not show its event %" PRIu64,
			s->peers[peer].node, sequence);
	memcpy(hash, event.hash, EVENT_HASH_SIZE);
	return LEDGER_OK;
}
