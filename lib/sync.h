/*
 * The engine that lets a ledger converge with others: publishes what was recorded here, takes what
 * others recorded, and asks peers for what is missing. One loop, one thread:
 *
 *	sync_open
 *	while (…)
 *		sync_turn
 *	sync_drain, sync_close
 *
 * The ledger is the only truth: what streams and peers say is checked, and nothing that is lost on
 * the way is lost for good while any node has it.
 */
#ifndef SYNC_H
#define SYNC_H

#include "peers.h"

struct sync;

struct sync_cluster {
	const char *name;
	const char *const *urls;
	size_t n_urls;
	uint64_t priority; /* 1 is tried first */
	/* Files; NULL: none. See struct link_options. */
	const char *credentials, *nkey, *user, *password_file, *token_file;
	const char *tls_ca, *tls_cert, *tls_key;
	const char *tls_hostname;
};

struct sync_domain {
	const char *name;   /* "*": any that is not named */
	const char *stream; /* its name; NULL: made of prefix and domain */
	bool propagate, subscribe;
	bool dual; /* published to the first two clusters at once; else to the first that works */
	const char *const *clusters; /* names; none: all */
	size_t n_clusters;
	uint64_t replicas;  /* of a stream that is made; 0: 1 */
	uint64_t max_age;   /* µs; 0: no limit */
	uint64_t max_bytes; /* 0: no limit */
};

/* One word or number of a fact. */
struct sync_field {
	const char *key; /* NULL ends a list */
	struct slice text;
	uint64_t number; /* where text is absent */
};

struct sync_options {
	const char *prefix;  /* of subjects and streams, a token */
	bool create_streams; /* that are missing */
	bool once;	     /* it ends when all is level; for sync_describe */
	const struct sync_cluster *clusters;
	size_t n_clusters;
	const struct sync_domain *domains; /* none: every domain is propagated and subscribed */
	size_t n_domains;
	uint64_t heads_interval; /* µs between two statements; 0: 5 s */
	int wake_fd;		 /* readable: sync_turn returns; -1: none */
	/* Told of everything worth knowing: `what` is a stable word ("connected", "received" …). */
	void (*say)(bool warning, const char *what, const struct sync_field *fields, void *context);
	void *context;
};

/*
 * Starts; needs no server to be there. Everything that options point to must outlive it.
 * LEDGER_BUSY: another one runs on this ledger. LEDGER_USAGE: the options are wrong. LEDGER_REFUSED:
 * the ledger was copied or restored.
 */
enum ledger_status sync_open(struct sync **out, struct ledger *l,
	const struct sync_options *options, struct ledger_error *err);

/* One bounded piece of everything; where nothing is left to do, waits for something to happen,
 * `timeout` µs at most. Any failure is for good: the ledger cannot be written any more. */
enum ledger_status sync_turn(struct sync *s, uint64_t timeout, struct ledger_error *err);

/*
 * Is everything that is here with the streams, everything of the streams here, and everything that
 * `peers` other nodes have named since the start here too? Else `why` says what is missing.
 */
bool sync_is_level(const struct sync *s, size_t peers, struct buf *why);

/* How far it is: since the start, and as far as is known still to come. */
struct sync_progress {
	uint64_t received, to_receive; /* events; to come: what peers have said they have */
	uint64_t messages; /* that the streams still have for us; of any number of events */
	uint64_t published, to_publish;
};
void sync_progress(struct sync *s, struct sync_progress *out);

/*
 * What it knows beside the ledger, as one JSON object on a line, for `status`: clusters, streams and
 * consumers, what is missing, peers, events that are too large, ceilings. `sync_has_news`: it would say
 * something else than the last time that matters.
 */
void sync_describe(struct sync *s, struct buf *out);
bool sync_has_news(const struct sync *s);
/* Takes over from the description of an earlier run what cannot be known any more. */
void sync_recall(struct sync *s, struct slice description);

/* Is there one on the ledger of this path? LEDGER_REFUSED, …: it cannot be known. */
enum ledger_status sync_is_running(const char *ledger, bool *running, struct ledger_error *err);

/* Stops taking and sending anything new, keeps cursors, sends what is queued; a second or so. */
enum ledger_status sync_drain(struct sync *s, struct ledger_error *err);

/* NULL is fine. */
void sync_close(struct sync *s);

#endif
