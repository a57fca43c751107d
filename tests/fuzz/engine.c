/*
 * The engine of serve-sync, without a server: messages of a stream, answers of a peer, statements of
 * heads, questions for them, requests for ranges, leases and lists of streams, as they come from the wire. They stand one behind another, each ends
 * with 0xff; the first byte of each is its kind and switches. Events and statements may be signed here,
 * as a node that has the key would.
 *
 * Nothing that comes makes this node lose, change or reorder what it has, whatever stands in it; and the
 * ledger verifies, unless a fork was sent.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <unistd.h>

#include "../../lib/base/json.h"
#include "../../lib/event/chain.h"
#include "../../lib/event/line.h"
#include "../../lib/sync/engine.h"

enum { STREAM, PEER, HEADS, RANGE, ASK, LEASE, NAMES, KINDS = 8, SIGNED = 0x40, OTHER = 0x20 };

static struct {
	struct ledger_options options;
	const char *paths[2], *shm;
	struct buf files[2]; /* the database and its -wal, as they are at the beginning */
	struct buf lines;    /* its events */
	struct chain_key key;
	struct link *link; /* to nobody */
} base;

static enum ledger_status add_line(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	event_add_line(context, event);
	buf_add_char(context, '\n');
	return LEDGER_OK;
}

static void read_own(struct ledger *l, struct buf *out)
{
	struct ledger_error err = { 0 };
	struct ledger_filter own = { .to = 9 };
	buf_reset(out);
	MUST(ledger_read(l, &own, add_line, out, &err));
}

static void prepare(void)
{
	static const char *const urls[] = { "nats://127.0.0.1:1" };
	struct link_options link = { .cluster = "shop",
		.node = "store-a",
		.urls = urls,
		.n_urls = 1,
		.retry_max = 3600 * TIME_SECOND };
	struct ledger_error err = { 0 };
	uint8_t secret[CHAIN_KEY_SIZE];
	base.options = fuzz_options();
	base.options.state_dir = NULL;
	CLAIM(slice_unhex(SLICE("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
		secret, sizeof(secret)));
	chain_key_init(&base.key, secret);
	struct ledger *l = fuzz_ledger(&base.options);
	read_own(l, &base.lines);
	ledger_close(l);
	base.paths[0] = base.options.path;
	base.paths[1] = fuzz_path("ledger.db-wal");
	base.shm = fuzz_path("ledger.db-shm");
	for (int i = 0; i < 2; i++)
		fuzz_read(base.paths[i], &base.files[i]);
	MUST(link_open(&base.link, &link, &err));
}

/* --- Signing --------------------------------------------------------------------------------- */

/* With the links and MACs that it would have had, each continuing the one before. */
static void sign_lines(struct slice lines, struct buf *out)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct slice line, rest = lines;
	struct event before = { 0 };
	while (slice_cut(rest, '\n', &line, &rest)) {
		struct ledger_error err;
		struct event e;
		uint8_t body[EVENT_HASH_SIZE];
		if (event_read_line(line, &arena, &e, &err) != LEDGER_OK) {
			buf_add_slice(out, line);
			buf_add_char(out, '\n');
			continue;
		}
		e.key = slice_of(base.key.id);
		if (e.sequence == 1)
			chain_genesis(e.origin, e.epoch, e.domain, e.prev);
		else if (before.sequence + 1 == e.sequence)
			memcpy(e.prev, before.hash, sizeof(e.prev));
		chain_body(&e, body);
		chain_hash(&e, body, e.hash);
		chain_mac(&base.key, e.hash, e.mac);
		before = e;
		event_add_line(out, &e);
		buf_add_char(out, '\n');
	}
}

static void sign_statement(struct ledger *l, const char *label, struct slice words, struct buf *out)
{
	struct ledger_error err = { 0 };
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
	MUST(ledger_sign(l, label, words, key, mac, &err));
	buf_add_slice(out, words);
	buf_addf(out, "\n{\"key\":\"%s\",\"mac\":\"", key);
	buf_add_hex(out, mac, sizeof(mac));
	buf_add_text(out, "\"}\n");
}

/* --- Messages -------------------------------------------------------------------------------- */

static void take_stream(struct sync *s, struct slice data, bool other)
{
	struct ledger_error err = { 0 };
	struct track *t = &s->tracks[0];
	struct link_event event = { .kind = LINK_PULLED,
		.tag = tag_of(TAG_PULL, 0, 0),
		.subject = other ? SLICE("ledger.events.inventory.store-a")
				 : SLICE("ledger.events.inventory.store-b"),
		.reply = SLICE("$JS.ACK.s.c.1.1.1.1.0"),
		.data = data,
		.sequence = t->taken + 1,
		.place = t->place + 1 };
	t->state = TRACK_READY;
	MUST(take_message(s, &event, &err));
	MUST(take_commit(s, &err));
}

static void take_peer(struct sync *s, struct slice data, bool other)
{
	struct ledger_error err = { 0 };
	struct chain *c = hold_chain(s, other ? SLICE("store-a") : SLICE("store-b"),
		1763658000000000, SLICE("inventory"));
	CLAIM(c);
	c->asked = true;
	MUST(take_lines(s, data, c, "store-b", &err));
	c->asked = false;
}

static void take_request(struct sync *s, struct slice data)
{
	struct ledger_error err = { 0 };
	struct link_event event = {
		.kind = LINK_MESSAGE, .reply = SLICE("_INBOX.a"), .data = data
	};
	repair_queue(s, 0, &event);
	if (s->n_answers) {
		const struct answer *a = &s->answers[0];
		CLAIM(slice_is_token(slice_of(a->origin)) && slice_is_token(slice_of(a->domain)));
		CLAIM(a->epoch <= TIME_MAX && a->from <= TIME_MAX && a->max_bytes <= TIME_MAX);
	}
	MUST(repair_answer(s, &err));
}

/* As JetStream shows what it stores. */
static void show_stored(struct slice bytes, struct buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned n = 0;
	buf_add_text(out, "{\"message\":{\"seq\":7,\"data\":\"");
	for (size_t i = 0; i < bytes.len; i++)
		for (bits = bits << 8 | (uint8_t)bytes.ptr[i], n += 8; n >= 6; n -= 6)
			buf_add_char(out, digits[bits >> (n - 6) & 63]);
	if (n)
		buf_add_char(out, digits[bits << (6 - n) & 63]);
	buf_add_text(out, "\"}}");
}

static void take_lease(struct sync *s, struct slice data, bool other)
{
	struct cluster *c = &s->clusters[0];
	struct link_event event = {
		.kind = LINK_REPLY, .tag = tag_of(TAG_LEASE, 1, 0), .data = data
	};
	c->lease = (struct lease){ .state = other ? LEASE_LOOK : LEASE_READ,
		.generation = 1,
		.asked = true,
		.age = TIME_SECOND };
	lease_reply(s, &event);
	CLAIM(!c->lease.asked && c->lease.age <= 600 * TIME_SECOND);
	CLAIM(!s->taken.status || (s->taken.status == LEDGER_BUSY && s->taken.hint[0]));
	s->taken = (struct ledger_error){ 0 };
}

static void take_names(struct sync *s, struct slice data)
{
	struct ledger_error err = { 0 };
	struct link_event event = { .kind = LINK_NAMES, .tag = tag_of(TAG_NAMES, 0, 0) };
	struct slice value;
	if (json_check(data, &value, &err) != LEDGER_OK || json_kind(value) != JSON_ARRAY)
		return;
	event.data = value;
	s->clusters[0].listing = (struct listing){ .asked = true };
	enum ledger_status status = discover_names(s, &event, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	for (size_t i = 0; i < s->n_tracks; i++)
		CLAIM(slice_is_token(slice_of(s->tracks[i].domain)));
}

static void sign_piece(struct sync *s, unsigned kind, struct slice data, struct buf *out)
{
	CLEANUP_BUF struct buf lease = { 0 };
	if (kind == HEADS)
		sign_statement(s->ledger, "ledgerbox/heads/v1", data, out);
	else if (kind == ASK)
		sign_statement(s->ledger, "ledgerbox/ask/v1", data, out);
	else if (kind == LEASE) {
		sign_statement(s->ledger, "ledgerbox/lease/v1", data, &lease);
		show_stored(buf_slice(&lease), out);
	} else
		sign_lines(data, out);
}

static void take_piece(struct sync *s, struct slice piece)
{
	CLEANUP_BUF struct buf made = { 0 };
	struct ledger_error err = { 0 };
	uint8_t switches;
	struct slice data = fuzz_rest((const uint8_t *)piece.ptr, piece.len, &switches);
	unsigned kind = switches % KINDS;
	bool other = switches & OTHER;
	if (switches & SIGNED) {
		sign_piece(s, kind, data, &made);
		data = made.len ? buf_slice(&made) : SLICE("");
	}
	s->now += TIME_SECOND / 10;
	if (kind == STREAM)
		take_stream(s, data, other);
	else if (kind == PEER)
		take_peer(s, data, other);
	else if (kind == HEADS || kind == ASK)
		MUST(heads_take(s, 0, data, &err));
	else if (kind == LEASE)
		take_lease(s, data, other);
	else if (kind == NAMES)
		take_names(s, data);
	else
		take_request(s, data);
	MUST(heads_step(s, &err));
	CLAIM(s->n_held <= HELD_EVENTS && s->held_bytes <= HELD_BYTES);
	CLAIM(s->n_chains <= CHAINS_MAX && s->n_peers <= PEERS_MAX && s->n_answers <= ANSWERS_MAX);
}

/* --- Afterwards ------------------------------------------------------------------------------ */

static enum ledger_status count_fork(
	const struct ledger_fork *fork, void *context, struct ledger_error *err)
{
	(void)fork;
	(void)err;
	++*(size_t *)context;
	return LEDGER_OK;
}

static void claim_ledger(struct ledger *l)
{
	static const struct ledger_verify_options all = { .workers = 1 };
	struct ledger_error err = { 0 };
	struct ledger_verify_report report;
	CLEANUP_BUF struct buf own = { 0 };
	size_t forks = 0;
	MUST(ledger_forks(l, count_fork, &forks, &err));
	enum ledger_status status = ledger_verify(l, &all, &report, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || (forks && status == LEDGER_DAMAGED));
	read_own(l, &own);
	CLAIM(slice_eq(buf_slice(&own), buf_slice(&base.lines)));
}

/* The same files each time: they keep their inodes, so that the ledger is at home. */
static struct ledger *begin_anew(void)
{
	struct ledger_error err = { 0 };
	struct ledger *l;
	unlink(base.shm);
	for (int i = 0; i < 2; i++)
		fuzz_write(base.paths[i], buf_slice(&base.files[i]));
	MUST(ledger_open(&l, &base.options, &err));
	return l;
}

static void run_all(struct ledger *l, struct slice input)
{
	static const struct sync_cluster shop = { .name = "shop" };
	static const struct sync_options options = { .prefix = "ledger", .wake_fd = -1 };
	struct sync *s = calloc(1, sizeof(*s));
	struct slice piece;
	CLAIM(s);
	s->ledger = l;
	s->options = &options;
	s->lock = s->poll = -1;
	s->epoch = ledger_epoch(l);
	s->boot = 1;
	s->now = time_monotonic();
	memcpy(s->node, "store-a", 8);
	memcpy(s->prefix, "ledger", 7);
	s->tracks = calloc(TRACKS_MAX, sizeof(*s->tracks));
	s->sources = calloc(SOURCES_MAX, sizeof(*s->sources));
	s->chains = calloc(CHAINS_MAX, sizeof(*s->chains));
	CLAIM(s->tracks && s->sources && s->chains);
	s->clusters[0] = (struct cluster){ .options = &shop, .link = base.link };
	s->n_clusters = 1;
	s->tracks[0] = (struct track){ .subscribe = true, .propagate = true };
	memcpy(s->tracks[0].domain, "inventory", 10);
	s->n_tracks = 1;
	while (slice_cut(input, (char)0xff, &piece, &input))
		take_piece(s, piece);
	s->n_clusters = 0; /* the link is used again */
	sync_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!base.link)
		prepare();
	struct ledger *l = begin_anew();
	run_all(l, size ? (struct slice){ (const char *)bytes, size } : SLICE(""));
	claim_ledger(l);
	ledger_close(l);
	return 0;
}
