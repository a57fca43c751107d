/*
 * The lease: one daemon for each name. Two would share a consumer and each get half, and what they
 * record under one name are two truths. The file lock keeps a second one from the same ledger; this
 * keeps one from a copy of it, on another machine or in another folder.
 *
 *	bucket <prefix>-lease, key <node>, in JetStream's terms: stream KV_<prefix>-lease,
 *	subject $KV.<prefix>-lease.<node>, one message, forgotten after max_age
 *	{"v":1,"node":"store-a","where":"…","boot":81723,"host":"…","pid":17,"path":"…"}
 *	{"key":"hs256-…","mac":"…"}
 *
 * It is written where nothing is there, or what is there was left by a daemon of this very ledger, and
 * written again three times in its life, each time only over what was last read. What is there counts:
 * no clock is compared. On a cluster without such a bucket, or without JetStream, there is no lease, and
 * all else goes on.
 */
#include "engine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/file.h"
#include "../base/json.h"
#include "../event/chain.h"

#include "statement.h"

#include "../base/banned.h"

#define LABEL "ledgerbox/lease/v1"
#define AGE   (30 * TIME_SECOND)
#define AGE_MAX                                                                                    \
	(600 * TIME_SECOND)	   /* one that lasts longer would outlive who held it by too much */
#define PATIENCE (2 * TIME_SECOND) /* with JetStream, before all else goes on without it */
#define NS	 1000		   /* in a µs */
#define BODY_MAX 4096

static size_t index_of(const struct sync *s, const struct cluster *c)
{
	return (size_t)(c - s->clusters);
}

/* --- Who we are -------------------------------------------------------------------------------- */

static void add_file(struct buf *out, const char *path)
{
	char bytes[128];
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : 0;
	buf_add(out, bytes, n > 0 ? (size_t)n : 0);
	buf_add_char(out, '\0');
}

/* The same for a daemon that is started again after it was killed, another for a copy: the machine since
 * it was started (a clone was started too), its name (containers share a machine), and the path. */
static void find_where(const struct sync *s, const char *host, char out[17])
{
	CLEANUP_BUF struct buf text = { 0 };
	uint8_t hash[EVENT_HASH_SIZE];
	char *path = realpath(ledger_path(s->ledger), NULL);
	add_file(&text, "/etc/machine-id");
	add_file(&text, "/proc/sys/kernel/random/boot_id");
	buf_add(&text, host, strlen(host) + 1);
	buf_add_text(&text, path ? path : ledger_path(s->ledger));
	free(path);
	chain_sha256(buf_slice(&text), hash);
	snprintf(out, 17, "%016" PRIx64,
		(uint64_t)hash[0] << 56 | (uint64_t)hash[1] << 48 | (uint64_t)hash[2] << 40 |
			(uint64_t)hash[3] << 32 | (uint64_t)hash[4] << 24 |
			(uint64_t)hash[5] << 16 | (uint64_t)hash[6] << 8 | hash[7]);
}

void lease_start(struct sync *s)
{
	if (gethostname(s->host, sizeof(s->host)))
		s->host[0] = '\0';
	s->host[sizeof(s->host) - 1] = '\0';
	find_where(s, s->host, s->where);
}

static enum ledger_status add_lease(
	const struct sync *s, bool given_up, struct buf *out, struct ledger_error *err)
{
	buf_addf(out, "{\"v\":1,\"node\":\"%s\",\"where\":\"%s\",\"boot\":%" PRIu64, s->node,
		s->where, s->boot);
	buf_add_text(out, ",\"host\":");
	json_add_string(out, slice_of(s->host));
	buf_addf(out, ",\"pid\":%ld,\"path\":", (long)getpid());
	json_add_string(out, slice_of(ledger_path(s->ledger)));
	buf_add_text(out, given_up ? ",\"free\":true}" : "}");
	return statement_sign(s->ledger, LABEL, out, err);
}

/* --- Names ------------------------------------------------------------------------------------- */

/* Too long a prefix has no bucket: a stream's name has 64 characters at most. */
static bool name_stream(const struct sync *s, char out[LINK_NAME_MAX])
{
	if (strlen(s->prefix) + sizeof("KV_-lease") > LINK_NAME_MAX)
		return false;
	stpcpy(stpcpy(stpcpy(out, "KV_"), s->prefix), "-lease");
	return true;
}

static void name_key(const struct sync *s, char out[SUBJECT_MAX])
{
	snprintf(out, SUBJECT_MAX, "$KV.%s-lease.%s", s->prefix, s->node);
}

/* --- States ------------------------------------------------------------------------------------ */

/* From here on the cluster is used, with a lease or without. */
static void let_go_on(struct sync *s, struct cluster *c)
{
	if (c->ready)
		return;
	c->ready = true;
	track_connected(s, index_of(s, c));
	serve_connected(s, index_of(s, c));
	heads_soon(s, 0);
}

static void move(struct sync *s, struct cluster *c, enum lease_state state, uint64_t wait)
{
	c->lease.state = state;
	c->lease.asked = false;
	c->lease.rest = s->now + wait;
	sync_wake_at(s, c->lease.rest);
	s->more = s->more || wait == 0;
}

/* There is none to be had now; it is looked for again later. Said once. */
static void do_without(struct sync *s, struct cluster *c, const char *what, struct slice text)
{
	if (!c->lease.told)
		WARN(s, what, WORD("cluster", c->options->name), TEXT("text", text));
	c->lease.told = true;
	move(s, c, LEASE_LOOK, AGE / 3);
	let_go_on(s, c);
}

static void hold(struct sync *s, struct cluster *c, uint64_t sequence)
{
	struct lease *l = &c->lease;
	if (!l->held)
		SAY(s, "lease", WORD("cluster", c->options->name), WORD("node", s->node),
			NUMBER("seconds", l->age / TIME_SECOND));
	l->held = true;
	l->told = false;
	l->sequence = l->written = sequence;
	move(s, c, LEASE_WRITE, l->age / 3);
	let_go_on(s, c);
}

void lease_connected(struct sync *s, size_t cluster)
{
	struct cluster *c = &s->clusters[cluster];
	char stream[LINK_NAME_MAX];
	c->lease.generation++;
	move(s, c, name_stream(s, stream) ? LEASE_LOOK : LEASE_OFF, 0);
	/* Where it did not answer before, nothing waits for it again. */
	if (c->lease.state == LEASE_OFF || c->lease.told)
		let_go_on(s, c);
}

void lease_disconnected(struct sync *s, size_t cluster)
{
	s->clusters[cluster].lease.state = LEASE_OFF;
	/* That a question was lost with the connection is said behind this, and starts nothing. */
	s->clusters[cluster].lease.asked = false;
	s->clusters[cluster].ready = false;
}

/* --- Asking ------------------------------------------------------------------------------------ */

static enum ledger_status request(struct sync *s, struct cluster *c, const char *verb,
	const struct buf *body, struct ledger_error *err)
{
	char stream[LINK_NAME_MAX], subject[SUBJECT_MAX];
	name_stream(s, stream);
	snprintf(subject, sizeof(subject), "$JS.API.%s.%s", verb, stream);
	TRY(buf_check(body, err));
	return link_request(c->link, slice_of(subject), body->len ? buf_slice(body) : SLICE(""), 1,
		PATIENCE, tag_of(TAG_LEASE, c->lease.generation, index_of(s, c)), err);
}

/* As the KV buckets of all clients are. */
static void add_bucket(const struct sync *s, struct buf *out)
{
	uint64_t replicas = 1;
	char stream[LINK_NAME_MAX];
	for (size_t i = 0; i < s->options->n_domains; i++)
		if (s->options->domains[i].replicas > replicas)
			replicas = s->options->domains[i].replicas;
	name_stream(s, stream);
	buf_addf(out, "{\"name\":\"%s\",\"subjects\":[\"$KV.%s-lease.>\"]", stream, s->prefix);
	buf_addf(out, ",\"num_replicas\":%" PRIu64 ",\"max_age\":%" PRIu64, replicas,
		(uint64_t)(AGE * NS));
	buf_addf(out, ",\"duplicate_window\":%" PRIu64, (uint64_t)(AGE * NS));
	buf_add_text(out, ",\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"new\","
			  "\"max_msgs_per_subject\":1,\"max_msgs\":-1,\"max_bytes\":-1,"
			  "\"max_msg_size\":4096,\"max_consumers\":-1,\"allow_rollup_hdrs\":true,"
			  "\"allow_direct\":true,\"deny_delete\":true}");
}

static enum ledger_status write_lease(
	struct sync *s, struct cluster *c, bool given_up, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char key[SUBJECT_MAX], stream[LINK_NAME_MAX];
	name_key(s, key);
	name_stream(s, stream);
	TRY(add_lease(s, given_up, &text, err));
	struct link_message message = { .subject = slice_of(key),
		.stream = slice_of(stream),
		.expects_last = true,
		.last = c->lease.sequence,
		.data = buf_slice(&text) };
	return link_store(
		c->link, &message, tag_of(TAG_LEASE, c->lease.generation, index_of(s, c)), err);
}

static enum ledger_status ask(struct sync *s, struct cluster *c, struct ledger_error *err)
{
	CLEANUP_BUF struct buf body = { 0 };
	char key[SUBJECT_MAX];
	switch (c->lease.state) {
	case LEASE_LOOK:
		return request(s, c, "STREAM.INFO", &body, err);
	case LEASE_MAKE:
		add_bucket(s, &body);
		return request(s, c, "STREAM.CREATE", &body, err);
	case LEASE_READ:
		name_key(s, key);
		buf_addf(&body, "{\"last_by_subj\":\"%s\"}", key);
		return request(s, c, "STREAM.MSG.GET", &body, err);
	case LEASE_WRITE:
		return write_lease(s, c, false, err);
	case LEASE_OFF:
		break;
	}
	return LEDGER_OK;
}

static void step(struct sync *s, struct cluster *c)
{
	struct ledger_error err;
	struct lease *l = &c->lease;
	if (!c->up || l->asked || l->state == LEASE_OFF)
		return;
	if (s->now < l->rest) {
		sync_wake_at(s, l->rest);
		return;
	}
	l->generation++;
	if (ask(s, c, &err) == LEDGER_OK)
		l->asked = true;
	else
		do_without(s, c, "lease-failed", slice_of(err.text));
}

void lease_step(struct sync *s)
{
	for (size_t i = 0; i < s->n_clusters && !s->stopping; i++)
		step(s, &s->clusters[i]);
}

/* Nobody has to wait for its end. An answer is not waited for. */
void lease_release(struct sync *s)
{
	struct ledger_error ignored;
	for (size_t i = 0; i < s->n_clusters; i++)
		if (s->clusters[i].up && s->clusters[i].lease.held)
			write_lease(s, &s->clusters[i], true, &ignored);
}

/* --- What is there ----------------------------------------------------------------------------- */

static bool find(struct slice object, const char *outer, const char *name, struct slice *value)
{
	struct slice inner;
	return json_member(object, slice_of(outer), &inner) && json_kind(inner) == JSON_OBJECT &&
	       json_member(inner, slice_of(name), value);
}

static uint64_t number(struct slice object, const char *outer, const char *name)
{
	struct slice value;
	uint64_t n = 0;
	return find(object, outer, name, &value) && json_u64(value, &n) ? n : 0;
}

static int sextet(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Base64, as JetStream shows what it stores. */
static void decode(struct slice text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	for (size_t i = 0; i < text.len && sextet(text.ptr[i]) >= 0; i++) {
		bits = bits << 6 | (uint32_t)sextet(text.ptr[i]);
		n += 6;
		if (n >= 8) {
			n -= 8;
			buf_add_char(out, (char)(bits >> n & 0xff));
		}
	}
}

struct holder {
	struct slice where, host, path;
	uint64_t boot, pid;
	bool given_up;
};

/* What somebody without the key has put there is nobody's lease. */
static bool read_holder(
	struct sync *s, struct slice answer, struct arena *arena, struct holder *out)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	struct slice value, text, node, flag;
	struct ledger_error err;
	*out = (struct holder){ .pid = 0 };
	if (!find(answer, "message", "data", &value) || json_kind(value) != JSON_STRING)
		return false;
	decode((struct slice){ value.ptr + 1, value.len - 2 }, &bytes);
	text = arena_copy(arena, (struct slice){ buf_text(&bytes), bytes.len });
	if (!text.ptr || text.len > BODY_MAX ||
		!statement_open(s->ledger, LABEL, text, arena, &value, &err) ||
		!statement_text(value, SLICE("node"), arena, &node) || !slice_is(node, s->node))
		return false;
	out->given_up = json_member(value, SLICE("free"), &flag) && json_kind(flag) == JSON_TRUE;
	return statement_text(value, SLICE("where"), arena, &out->where) &&
	       statement_text(value, SLICE("host"), arena, &out->host) &&
	       statement_text(value, SLICE("path"), arena, &out->path) &&
	       statement_number(value, SLICE("pid"), &out->pid) &&
	       statement_number(value, SLICE("boot"), &out->boot);
}

/* Until when it lasts, by the server's clock, unless it is written again. */
static void find_end(
	struct slice answer, uint64_t age, struct arena *arena, char out[TIME_TEXT_MAX])
{
	struct slice message, time;
	struct ledger_error err;
	char date[TIME_TEXT_MAX];
	uint64_t stored = 0;
	if (!json_member(answer, SLICE("message"), &message) || json_kind(message) != JSON_OBJECT ||
		!statement_text(message, SLICE("time"), arena, &time))
		time = SLICE("");
	/* Nanoseconds are more than a moment of ours has. */
	snprintf(date, sizeof(date), "%.26sZ", time.ptr);
	if (time_parse(time.len > 27 ? slice_of(date) : time, &stored, &err) != LEDGER_OK)
		stored = time_now();
	time_format(stored + age, out);
}

static void refuse(struct sync *s, struct cluster *c, const struct holder *h, const char *end)
{
	const struct lease *l = &c->lease;
	fail(&s->taken, LEDGER_BUSY,
		"another serve-sync runs under the name %s: on %.64s, process %" PRIu64
		", ledger %.128s; its lease in cluster %s lasts until %s%s",
		s->node, h->host.ptr, h->pid, h->path.ptr, c->options->name, end,
		l->held ? ", and was ours until it was taken" : "");
	hint(&s->taken,
		"stop that one, or give one of the ledgers another name; if it was killed, start "
		"again after %s",
		end);
	WARN(s, "another-daemon", WORD("cluster", c->options->name), WORD("node", s->node),
		TEXT("host", h->host), NUMBER("pid", h->pid), TEXT("path", h->path),
		WORD("until", end));
}

static void found(struct sync *s, struct cluster *c, struct slice answer)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct holder h;
	char end[TIME_TEXT_MAX];
	struct lease *l = &c->lease;
	bool someone = read_holder(s, answer, &arena, &h) && !h.given_up;
	bool ours = someone && (h.boot == s->boot || (!l->held && slice_is(h.where, s->where)));
	l->sequence = number(answer, "message", "seq");
	/* A server that lost the end of the bucket shows a lease from before ours: nobody took it. */
	bool went_back = l->held && l->sequence < l->written;
	if (!someone || ours || went_back) {
		move(s, c, LEASE_WRITE, 0);
		return;
	}
	find_end(answer, l->age, &arena, end);
	refuse(s, c, &h, end);
	move(s, c, LEASE_OFF, 0);
}

/* --- Answers ----------------------------------------------------------------------------------- */

static void looked(struct sync *s, struct cluster *c, struct slice answer)
{
	uint64_t age = number(answer, "config", "max_age") / NS;
	if (age == 0 || age > AGE_MAX) {
		do_without(s, c, "lease-unfit",
			SLICE("the bucket of leases must forget them after ten minutes at most"));
		return;
	}
	c->lease.age = age;
	move(s, c, LEASE_READ, 0);
}

/* JetStream says no: its number for it. */
static void take_error(struct sync *s, struct cluster *c, struct slice answer, uint64_t code)
{
	struct slice text;
	struct lease *l = &c->lease;
	if (l->state == LEASE_LOOK && code == 10059 && s->options->create_streams)
		move(s, c, LEASE_MAKE, 0);
	else if (l->state == LEASE_LOOK && code == 10059)
		do_without(s, c, "lease-missing",
			SLICE("nothing keeps a second serve-sync of this name away; see "
			      "ledgerbox-nats(7)"));
	else if (l->state == LEASE_MAKE && code == 10058)
		move(s, c, LEASE_LOOK, 0);
	else if (l->state == LEASE_READ && code == 10037) {
		l->sequence = 0;
		move(s, c, LEASE_WRITE, 0);
	} else
		do_without(s, c, "lease-failed",
			find(answer, "error", "description", &text) ? text : SLICE("refused"));
}

static struct cluster *cluster_of(struct sync *s, const struct link_event *event)
{
	struct cluster *c = &s->clusters[tag_index(event->tag)];
	return c->lease.asked && c->lease.generation == tag_generation(event->tag) ? c : NULL;
}

void lease_reply(struct sync *s, const struct link_event *event)
{
	struct cluster *c = cluster_of(s, event);
	struct slice value, ignored;
	struct ledger_error err;
	if (!c)
		return;
	c->lease.asked = false;
	if (json_check(event->data, &value, &err) != LEDGER_OK || json_kind(value) != JSON_OBJECT)
		do_without(s, c, "lease-failed", SLICE("the answer is not one of JetStream"));
	else if (json_member(value, SLICE("error"), &ignored))
		take_error(s, c, value, number(value, "error", "err_code"));
	else if (c->lease.state == LEASE_LOOK || c->lease.state == LEASE_MAKE)
		looked(s, c, value);
	else
		found(s, c, value);
}

/* No answer, or the end behind one. */
void lease_end(struct sync *s, const struct link_event *event)
{
	struct cluster *c = cluster_of(s, event);
	if (c)
		do_without(s, c, "lease-failed", event->text);
}

void lease_stored(struct sync *s, const struct link_event *event)
{
	struct cluster *c = cluster_of(s, event);
	if (!c)
		return;
	c->lease.asked = false;
	if (event->status == LEDGER_OK)
		hold(s, c, event->sequence);
	else if (event->status == LEDGER_CONFLICT || event->status == LEDGER_TIMED_OUT)
		move(s, c, LEASE_READ, 0);
	else
		do_without(s, c, "lease-failed", event->text);
}
