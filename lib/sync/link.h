/*
 * A link to one cluster of NATS servers, in the terms of this project: what publishing, receiving,
 * repair and commands are written on. Nothing here waits: calls queue and return, what happened comes
 * as events, and one descriptor tells when to look.
 *
 *	poll( link_fd, … )
 *	while (link_next(link, &event))
 *		…
 *
 * A call is answered by one event with its tag (a number of the caller's), or by several where that is
 * said; also when the connection is lost meanwhile: then the status is LEDGER_UNREACHABLE, and what
 * was asked for may have happened or not. Without a connection calls return LEDGER_UNREACHABLE at once
 * and there is no event. LEDGER_BUSY: too much is under way, go on after the next events.
 *
 * A link belongs to one thread, the one that made it. Making the first one ignores SIGPIPE for the
 * process (libnats does that); after a fork() the child must not use it.
 */
#ifndef SYNC_LINK_H
#define SYNC_LINK_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../base/error.h"
#include "../base/slice.h"

struct link;

struct link_options {
	const char *cluster; /* its name, for messages */
	/* Ours, a token. Inboxes are _INBOX.<node>.…, so that others can be denied them. */
	const char *node;
	/* nats://host:port or tls://…, with user:password@ where need be (as they stand: libnats
	 * decodes no %XX). */
	const char *const *urls;
	size_t n_urls;

	/* At most one kind of credentials; files are read anew for each connection. */
	const char *credentials;   /* a .creds file */
	const char *nkey;	   /* a file with seed (SU…) and public key (U…), a line each */
	const char *user;	   /* with … */
	const char *password_file; /* … whose first line it is */
	const char *token_file;	   /* its first line */

	const char *tls_ca; /* a file with whom to trust; NULL: those of the system */
	const char *tls_cert, *tls_key;
	const char *tls_hostname; /* that the certificate must have; NULL: that of the URL */

	/* µs; 0 is what stands in brackets. */
	uint64_t timeout;   /* of one connection, or one answer (5 s) */
	uint64_t retry_max; /* between two tries at most (30 s) */
	uint64_t keepalive; /* of silence until the server is asked; cut after two more (10 s) */
};

enum link_kind {
	LINK_UP,     /* text: host and port */
	LINK_DOWN,   /* status, text: why; number: µs until the next try. Not only after LINK_UP */
	LINK_DENIED, /* text: what the server does not permit. What was denied times out */
	LINK_STORED, /* answer to link_store */
	LINK_REPLY,  /* one answer to link_request */
	LINK_END,    /* a request is over; number: replies that came */
	LINK_STREAM, /* answer to link_stream_… */
	LINK_NAMES,  /* answer to link_stream_names; data: a checked array; number: of all */
	LINK_CONSUMER, /* answer to link_consumer_… */
	LINK_MESSAGE,  /* for a subscription: tag is its */
	LINK_PULLED,   /* a stored message: tag is the pull's */
	LINK_LOST      /* a pull gets nothing any more: tag is the pull's */
};

/* Slices and pointers are valid until the next link_next, link_close. */
struct link_event {
	enum link_kind kind;
	uint64_t tag;
	enum ledger_status status; /* LEDGER_OK, or why not: then `text` says it for a person */
	int code;		   /* JetStream's or NATS' number for it; 0: none */
	uint64_t number;	   /* see the kinds */
	struct slice text;
	struct slice subject, reply, data;
	struct slice id; /* Nats-Msg-Id; absent: none */

	/* LINK_STORED, LINK_PULLED */
	struct slice stream;
	uint64_t sequence; /* in the stream, from 1 */
	bool duplicate; /* its id was known. That proves nothing: what it stood for may be gone */

	/* LINK_PULLED */
	uint64_t delivered; /* how often, this time included */
	uint64_t place;	    /* of the delivery, for this consumer: 1, 2, 3 … */
	uint64_t pending;   /* more to come */
	uint64_t stored;    /* µs UTC, by the server's clock */

	const struct link_stream *stream_info;	   /* LINK_STREAM with LEDGER_OK, else NULL */
	const struct link_consumer *consumer_info; /* LINK_CONSUMER with LEDGER_OK, else NULL */
};

/*
 * Begins to connect, and never gives up: waits longer after each failure, up to retry_max, with some
 * chance in it. LEDGER_USAGE: the options are wrong; LEDGER_REFUSED and others: a file cannot be read.
 */
enum ledger_status link_open(
	struct link **out, const struct link_options *options, struct ledger_error *err);

/* Sends what is queued, waits a second at most until the server has it. NULL is fine. */
void link_close(struct link *l);

/* Readable when link_next should be called; stays the same. */
int link_fd(const struct link *l);

/* The next event; false: nothing more now. Does the link's own work too, so call it until false. */
bool link_next(struct link *l, struct link_event *event);

bool link_is_up(const struct link *l);

/* Bytes that one message may have (the server's max_payload), headers aside; 0: not known yet. */
size_t link_max_payload(const struct link *l);

/* Calls that wait for their event; publishes among them. */
size_t link_waiting(const struct link *l);

/* --- Messages -------------------------------------------------------------------------------- */

/* A plain message: nobody says whether it arrived. LEDGER_INVALID: subject, or larger than allowed. */
enum ledger_status link_publish(
	struct link *l, struct slice subject, struct slice data, struct ledger_error *err);

struct link_message {
	struct slice subject;
	struct slice stream; /* it must be this one that stores it; absent: any */
	struct slice id;     /* Nats-Msg-Id: printable ASCII; absent: none */
	bool expects_last;   /* compare and set: the last sequence of the subject must be … */
	uint64_t last;	     /* … this (0: none) */
	struct slice data;
};

/* Publishes to a stream: LINK_STORED. LEDGER_TIMED_OUT there: it may be stored or not. */
enum ledger_status link_store(
	struct link *l, const struct link_message *message, uint64_t tag, struct ledger_error *err);

/*
 * Asks: LINK_REPLY for each answer, at most `most`, then LINK_END. It ends with LEDGER_OK after `most`
 * answers, LEDGER_UNREACHABLE where nobody listens, LEDGER_TIMED_OUT after `timeout` µs (0: the
 * link's) without another.
 */
enum ledger_status link_request(struct link *l, struct slice subject, struct slice data,
	uint64_t most, uint64_t timeout, uint64_t tag, struct ledger_error *err);

/* No more events for the requests with this tag. */
void link_forget(struct link *l, uint64_t tag);

/* Takes what is sent to a pattern (`*` one token, `>` the rest), from now on until the link is closed.
 * Also without a connection. Answer LINK_MESSAGE's `reply` with link_publish. */
enum ledger_status link_subscribe(
	struct link *l, struct slice pattern, uint64_t tag, struct ledger_error *err);

/* --- Streams --------------------------------------------------------------------------------- */

#define LINK_NAME_MAX 65

struct link_stream {
	char name[LINK_NAME_MAX];
	char subject[256]; /* its only one; "" where it has several or none */
	uint64_t replicas;
	uint64_t max_age;   /* µs; 0: no limit */
	uint64_t max_bytes; /* 0: no limit */
	uint64_t window;    /* µs in which ids are recognised */
	bool file;	    /* stored in files, by limits, the oldest go first */
	bool guarded;	    /* nothing can be deleted or purged */

	/* What is in it; the server's part. */
	char created[40]; /* another text: another stream of that name */
	uint64_t messages, bytes, first, last;
};

/* LINK_STREAM: LEDGER_NO where there is none. */
enum ledger_status link_stream_info(
	struct link *l, const char *name, uint64_t tag, struct ledger_error *err);

/* Names of the streams that store what is published under a pattern, from the one at `offset` on: LINK_NAMES.
 * As many come as the server likes. */
enum ledger_status link_stream_names(struct link *l, const char *pattern, uint64_t offset,
	uint64_t tag, struct ledger_error *err);

/* LINK_STREAM: LEDGER_CONFLICT where one of that name is there with another config. Never changes one. */
enum ledger_status link_stream_create(
	struct link *l, const struct link_stream *stream, uint64_t tag, struct ledger_error *err);

/* Adds a line for each part of the config that differs ("replicas: 1, wanted 3"); false: none does. */
bool link_stream_differs(
	const struct link_stream *have, const struct link_stream *want, struct buf *out);

/* --- Consumers ------------------------------------------------------------------------------- */

struct link_consumer {
	char stream[LINK_NAME_MAX];
	char name[LINK_NAME_MAX];
	uint64_t start;	      /* stream sequence to begin with; 0: all that there is */
	uint64_t ack_wait;    /* µs until what is not acknowledged comes again */
	uint64_t max_pending; /* messages that may wait for it */
	bool plain;	      /* pull, AckAll, no filter, tried for ever, never deleted by itself */

	/* Where it is; the server's part. */
	char created[40];
	uint64_t delivered;    /* stream sequence of the last delivery */
	uint64_t acknowledged; /* stream sequence up to which all is */
	uint64_t ack_pending, pending, redelivered;
};

/* LINK_CONSUMER: LEDGER_NO where there is none. */
enum ledger_status link_consumer_info(struct link *l, const char *stream, const char *name,
	uint64_t tag, struct ledger_error *err);

/* Looks it up and makes it where it is missing: LINK_CONSUMER with what is there, which may differ. */
enum ledger_status link_consumer_ensure(struct link *l, const struct link_consumer *consumer,
	uint64_t tag, struct ledger_error *err);

/* LINK_CONSUMER, without consumer_info. */
enum ledger_status link_consumer_delete(struct link *l, const char *stream, const char *name,
	uint64_t tag, struct ledger_error *err);

bool link_consumer_differs(
	const struct link_consumer *have, const struct link_consumer *want, struct buf *out);

/* --- Pulling --------------------------------------------------------------------------------- */

struct link_pull {
	const char *stream, *consumer;
	uint32_t batch;	    /* messages in one request */
	uint32_t depth;	    /* requests under way, 1 to 8 */
	uint64_t expires;   /* µs that a request lives; 0: 30 s */
	uint64_t heartbeat; /* µs between signs of life, at most half of it; 0: 5 s */
};

/*
 * Keeps requests under way from now on, through reconnects: LINK_PULLED for each message, in the order
 * of the stream unless something came again. LINK_LOST (and goes on trying, slowly):
 *	LEDGER_NO		the consumer was deleted (known only at that moment)
 *	LEDGER_TIMED_OUT	not even heartbeats; number: how often in a row. The consumer may be gone
 *	LEDGER_UNREACHABLE	no JetStream there
 *	LEDGER_REFUSED		the request is not allowed like that; text says why
 */
enum ledger_status link_pull_start(
	struct link *l, const struct link_pull *pull, uint64_t tag, struct ledger_error *err);

/* Ends the pulls with this tag; what is on its way comes again to whoever pulls next. */
void link_pull_stop(struct link *l, uint64_t tag);

/* Acknowledges a message and all before it: give LINK_PULLED's `reply`, after the commit. */
enum ledger_status link_ack(struct link *l, struct slice reply, struct ledger_error *err);

#endif
