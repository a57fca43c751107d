/*
 * A link from inside: what link.c, call.c, stream.c and pull.c share.
 *
 * Answers arrive in one inbox that lives as long as the link: _INBOX.<node>.<random>, then
 *	.<slot>.<generation>	the answer to a call
 *	.p<slot>.<generation>	the status of a pull's requests
 *	.echo			our own sign of life
 */
#ifndef SYNC_STATE_H
#define SYNC_STATE_H

#include "link.h"
#include "subject.h"
#include "wire.h"

#define CALLS_MAX	  4096
#define PULLS_MAX	  64
#define SUBSCRIPTIONS_MAX 64
#define PULL_DEPTH_MAX	  8
#define JS_API		  "$JS.API."

enum call_kind {
	CALL_FREE,
	CALL_REQUEST,
	CALL_STORE,
	CALL_STREAM,
	CALL_NAMES,
	CALL_CONSUMER,
	CALL_ENSURE /* a CALL_CONSUMER that creates what it does not find */
};

struct call {
	enum call_kind kind;
	uint32_t generation;
	uint32_t next_free;
	uint64_t tag;
	uint64_t timeout;
	uint64_t deadline;
	uint64_t most, came; /* replies */
	char *body;	     /* CALL_ENSURE: subject, NUL, request; to be freed */
};

/* The requests of one pull that are under way. */
struct pull {
	bool active;
	uint64_t tag;
	char stream[LINK_NAME_MAX], consumer[LINK_NAME_MAX];
	uint32_t batch, depth;
	uint64_t expires, heartbeat; /* µs */
	struct pull_request {
		uint32_t generation; /* 0: none */
		uint32_t left;	     /* messages that may still come */
		uint64_t deadline;
	} requests[PULL_DEPTH_MAX];
	uint32_t generation;
	uint64_t heard;	 /* when something last came */
	uint64_t rest;	 /* no new requests before this moment */
	uint64_t silent; /* how often in a row it heard nothing */
};

struct link {
	struct wire *wire;
	char *cluster;
	char inbox[128];
	uint64_t timeout, keepalive;
	int poll, timer;
	bool up;
	bool failing;	/* the connection was lost: each call is told so, one by one */
	uint64_t asked; /* when the keepalive was sent; 0: it was not */

	struct call *calls;
	uint32_t n_calls, first_free, used;
	struct call *finished;	/* has all its replies: its end is the next event */
	uint64_t next_deadline; /* no call ends before it */

	struct pull pulls[PULLS_MAX];
	bool spent; /* a request of one of them is used up */
	uint64_t subscription_tags[SUBSCRIPTIONS_MAX];
	size_t n_subscriptions;

	struct wire_in *taken;	 /* not looked at yet */
	struct wire_in *current; /* what the last event borrows from */
	struct buf scratch;	 /* texts of events */
	struct link_stream stream;
	struct link_consumer consumer;
};

/* --- call.c ---------------------------------------------------------------------------------- */

struct call_request {
	enum call_kind kind;
	struct wire_out out; /* its reply is filled in */
	uint64_t tag, timeout, most;
	char *body; /* taken over on success */
};

enum ledger_status call_begin(
	struct link *l, struct call_request *request, struct ledger_error *err);

/* The call that a subject in the inbox belongs to; NULL: it is over. */
struct call *call_of(struct link *l, struct slice rest);
void call_end(struct link *l, struct call *call);

/* The end of a request that has all its replies; false: there is none. */
bool call_finish(struct link *l, struct link_event *event);

/* The next call that must be given up; NULL: none now. */
struct call *call_overdue(struct link *l, uint64_t now);

/* What an answer means, or what its absence means (NULL). False: no event for it. */
bool call_answer(
	struct link *l, struct call *call, const struct wire_in *in, struct link_event *event);
void call_give_up(struct link *l, struct call *call, enum ledger_status status, const char *why,
	struct link_event *event);

/* --- stream.c -------------------------------------------------------------------------------- */

/* Fills status, code and text from an answer of JetStream; false where it is an error. */
bool stream_answer_is_good(struct link *l, struct slice data, struct link_event *event);
bool stream_is_done(struct slice data); /* "success":true */
bool stream_read_info(struct slice data, struct link_stream *out);
bool stream_read_names(struct slice data, struct slice *names, uint64_t *total);
bool stream_read_consumer(struct slice data, struct link_consumer *out);

/* --- pull.c ---------------------------------------------------------------------------------- */

/* A stored message or the status of a request; false: no event for it. */
bool pull_message(struct link *l, const struct wire_in *in, struct link_event *event);
bool pull_status(
	struct link *l, struct slice rest, const struct wire_in *in, struct link_event *event);

/* Sends a request in place of each that is used up. */
void pull_refill(struct link *l);

/* Sends requests where they are missing; true: `event` says that one is silent. */
bool pull_turn(struct link *l, uint64_t now, struct link_event *event);
void pull_connection_lost(struct link *l);
uint64_t pull_next_deadline(const struct link *l);

#endif
