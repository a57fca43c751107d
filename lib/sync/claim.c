/*
 * Claims in a bucket that all nodes share, before they are recorded: whoever writes a stream's name there
 * first may go on. It only refuses early. The recorded claims decide, and what the bucket says is forgotten
 * after an hour, when they are everywhere, or when it is lost.
 *
 *	bucket <prefix>-claims, in JetStream's terms: stream KV_<prefix>-claims, subject
 *	$KV.<prefix>-claims.<hex of SHA-256 of "domain type/key">, the node's name
 */
#include "../sync.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "../event/chain.h"
#include "link.h"
#include "subject.h"

#include "../base/banned.h"

#define AGE_NS (3600 * UINT64_C(1000000000))

struct sync_claims {
	struct link *link;
	char node[65];
	char stream[LINK_NAME_MAX];
	char prefix[65];
	uint64_t timeout;
};

/* --- Waiting ------------------------------------------------------------------------------------- */

/* The next event of a kind, or that the link is down. What it holds is valid until the next one. */
static enum ledger_status wait_for(struct sync_claims *c, enum link_kind kind, uint64_t until,
	struct link_event *event, struct ledger_error *err)
{
	for (;;) {
		while (link_next(c->link, event)) {
			if (event->kind == kind)
				return LEDGER_OK;
			if (event->kind == LINK_DOWN)
				return fail(
					err, LEDGER_UNREACHABLE, "%.*s", SLICE_ARG(event->text));
		}
		uint64_t now = time_monotonic();
		struct pollfd fd = { .fd = link_fd(c->link), .events = POLLIN };
		if (now >= until)
			return fail(err, LEDGER_UNREACHABLE, "no answer in time");
		poll(&fd, 1, (int)((until - now) / 1000) + 1);
	}
}

static uint64_t soon(const struct sync_claims *c)
{
	return time_monotonic() + c->timeout;
}

/* Asks JetStream; the answer is in *event, valid until the next call. */
static enum ledger_status ask(struct sync_claims *c, const char *subject, struct slice body,
	struct buf *answer, struct ledger_error *err)
{
	struct link_event event;
	uint64_t until = soon(c);
	TRY(link_request(c->link, slice_of(subject), body, 1, c->timeout, 0, err));
	TRY(wait_for(c, LINK_REPLY, until, &event, err));
	buf_reset(answer);
	buf_add_slice(answer, event.data);
	TRY(buf_check(answer, err));
	return wait_for(c, LINK_END, until, &event, err);
}

/* --- The bucket ---------------------------------------------------------------------------------- */

static bool says_error(struct slice answer)
{
	struct slice value, error;
	struct ledger_error ignored;
	return json_check(answer, &value, &ignored) || json_kind(value) != JSON_OBJECT ||
	       json_member(value, SLICE("error"), &error);
}

/* As the KV buckets of all clients are. */
static enum ledger_status make_bucket(
	struct sync_claims *c, struct buf *answer, struct ledger_error *err)
{
	CLEANUP_BUF struct buf body = { 0 };
	char subject[SUBJECT_MAX];
	snprintf(subject, sizeof(subject), "$JS.API.STREAM.CREATE.%s", c->stream);
	buf_addf(&body,
		"{\"name\":\"%s\",\"subjects\":[\"$KV.%s-claims.>\"],\"max_age\":%" PRIu64
		",\"duplicate_window\":120000000000,\"num_replicas\":1,\"retention\":\"limits\","
		"\"storage\":\"file\",\"discard\":\"new\",\"max_msgs_per_subject\":1,"
		"\"max_msgs\":-1,\"max_bytes\":-1,\"max_msg_size\":1024,\"max_consumers\":-1,"
		"\"allow_rollup_hdrs\":true,\"allow_direct\":true,\"deny_delete\":true}",
		c->stream, c->prefix, AGE_NS);
	TRY(buf_check(&body, err));
	TRY(ask(c, subject, buf_slice(&body), answer, err));
	if (says_error(buf_slice(answer)))
		return fail(err, LEDGER_UNREACHABLE, "bucket %s-claims cannot be made", c->prefix);
	return LEDGER_OK;
}

static enum ledger_status find_bucket(struct sync_claims *c, bool make, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	char subject[SUBJECT_MAX];
	snprintf(subject, sizeof(subject), "$JS.API.STREAM.INFO.%s", c->stream);
	TRY(ask(c, subject, SLICE(""), &answer, err));
	if (!says_error(buf_slice(&answer)))
		return LEDGER_OK;
	if (!make)
		return fail(err, LEDGER_UNREACHABLE, "there is no bucket %s-claims", c->prefix);
	return make_bucket(c, &answer, err);
}

/* --- Open and close ------------------------------------------------------------------------------ */

static enum ledger_status connect_to(struct sync_claims *c, const struct sync_options *options,
	const struct sync_cluster *cluster, struct ledger_error *err)
{
	struct link_event event;
	struct link_options o = { .cluster = cluster->name,
		.node = c->node,
		.urls = cluster->urls,
		.n_urls = cluster->n_urls,
		.credentials = cluster->credentials,
		.nkey = cluster->nkey,
		.user = cluster->user,
		.password_file = cluster->password_file,
		.token_file = cluster->token_file,
		.tls_ca = cluster->tls_ca,
		.tls_cert = cluster->tls_cert,
		.tls_key = cluster->tls_key,
		.tls_hostname = cluster->tls_hostname,
		.timeout = c->timeout };
	TRY(link_open(&c->link, &o, err));
	TRY(wait_for(c, LINK_UP, soon(c), &event, err));
	return find_bucket(c, options->create_streams, err);
}

static enum ledger_status name_it(struct sync_claims *c, const struct sync_options *options,
	const char *node, struct ledger_error *err)
{
	int n = snprintf(c->stream, sizeof(c->stream), "KV_%s-claims", options->prefix);
	if (n < 0 || (size_t)n >= sizeof(c->stream))
		return fail(err, LEDGER_USAGE, "the prefix '%.64s' is too long for a bucket's name",
			options->prefix);
	snprintf(c->prefix, sizeof(c->prefix), "%s", options->prefix);
	snprintf(c->node, sizeof(c->node), "%s", node);
	return LEDGER_OK;
}

enum ledger_status sync_claims_open(struct sync_claims **out, const struct sync_options *options,
	const char *node, uint64_t timeout, struct ledger_error *err)
{
	struct sync_claims *c = calloc(1, sizeof(*c));
	if (!c)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	c->timeout = timeout;
	enum ledger_status status = name_it(c, options, node, err);
	bool tried = status != LEDGER_OK;
	for (size_t i = 0; i < options->n_clusters && (!tried || status == LEDGER_UNREACHABLE);
		i++) {
		link_close(c->link);
		c->link = NULL;
		status = connect_to(c, options, &options->clusters[i], err);
		tried = true;
	}
	if (status)
		sync_claims_close(c);
	else
		*out = c;
	return status;
}

void sync_claims_close(struct sync_claims *c)
{
	if (!c)
		return;
	link_close(c->link);
	free(c);
}

/* --- Winning ------------------------------------------------------------------------------------- */

static void name_key(
	const struct sync_claims *c, struct slice domain, struct slice stream, struct buf *out)
{
	CLEANUP_BUF struct buf name = { 0 };
	uint8_t hash[EVENT_HASH_SIZE];
	buf_add_slice(&name, domain);
	buf_add_char(&name, ' ');
	buf_add_slice(&name, stream);
	chain_sha256(buf_slice(&name), hash);
	buf_addf(out, "$KV.%s-claims.", c->prefix);
	buf_add_hex(out, hash, sizeof(hash));
}

/* Somebody has it: this node, in an earlier try, or another. */
static enum ledger_status see_who(
	struct sync_claims *c, struct buf *key, struct slice stream, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	char subject[SUBJECT_MAX];
	snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET.%s.%s", c->stream, buf_text(key));
	TRY(ask(c, subject, SLICE(""), &answer, err));
	if (slice_is(buf_slice(&answer), c->node))
		return LEDGER_OK;
	if (!slice_is_token(buf_slice(&answer)))
		return fail(err, LEDGER_UNREACHABLE, "the bucket's answer is not understood");
	fail(err, LEDGER_NOT_OWNER, "stream %.*s is being claimed by %s", SLICE_ARG(stream),
		buf_text(&answer));
	return hint(err, "its claim is on the way here: see ledgerbox own show '%.*s'",
		SLICE_ARG(stream));
}

enum ledger_status sync_claims_win(
	struct sync_claims *c, struct slice domain, struct slice stream, struct ledger_error *err)
{
	CLEANUP_BUF struct buf key = { 0 };
	struct link_event event;
	name_key(c, domain, stream, &key);
	TRY(buf_check(&key, err));
	struct link_message message = { .subject = buf_slice(&key),
		.stream = slice_of(c->stream),
		.expects_last = true,
		.data = slice_of(c->node) };
	TRY(link_store(c->link, &message, 0, err));
	TRY(wait_for(c, LINK_STORED, soon(c), &event, err));
	if (event.status == LEDGER_OK)
		return LEDGER_OK;
	if (event.status == LEDGER_CONFLICT)
		return see_who(c, &key, stream, err);
	return fail(err, LEDGER_UNREACHABLE, "%.*s", SLICE_ARG(event.text));
}
