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
#include "send.h"

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
	const struct sync_cluster *clusters;
	size_t n_clusters;
	const struct sync_domain *domains; /* none: every domain is propagated and subscribed */
	size_t n_domains;
	uint64_t heads_interval; /* µs between two statements; 0: 5 s */
	/* How commands of other nodes are executed; answered and context are the engine's. NULL: they are
	 * not. */
	const struct ledger_commands_options *commands;
	int wake_fd; /* readable: sync_turn returns; -1: none */
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

/* Stops taking and sending anything new, keeps cursors, sends what is queued; a second or so. */
enum ledger_status sync_drain(struct sync *s, struct ledger_error *err);

/* NULL is fine. */
void sync_close(struct sync *s);

/* --- Claims ---------------------------------------------------------------------------------- */

/*
 * Claims of streams in a bucket that all nodes share (JetStream KV), before they are recorded: to be
 * refused early, and nothing more. Of the options only prefix, create_streams (makes the bucket where it is
 * missing) and clusters count, in their order; `timeout` µs bounds each wait.
 */
struct sync_claims;

/* LEDGER_UNREACHABLE: no server, no JetStream or no bucket. */
enum ledger_status sync_claims_open(struct sync_claims **out, const struct sync_options *options,
	const char *node, uint64_t timeout, struct ledger_error *err);
void sync_claims_close(struct sync_claims *c); /* NULL is fine */

/* LEDGER_OK: it is this node's there; LEDGER_NOT_OWNER: another node's; LEDGER_UNREACHABLE. */
enum ledger_status sync_claims_win(
	struct sync_claims *c, struct slice domain, struct slice stream, struct ledger_error *err);

/* --- Asking: the side that sends commands ----------------------------------------------------- */

struct sync_ask;

/*
 * What became of a command: a reply that was verified, or NULL and why there is none: LEDGER_UNREACHABLE
 * (nobody has it), LEDGER_UNKNOWN (somebody may have it). Of one that was stored both say nothing:
 * LEDGER_OK and no reply.
 */
typedef void sync_answer_fn(uint64_t tag, const struct ledger_reply *reply,
	const struct ledger_error *err, void *context);

/* Begins to connect to the clusters of the options. Everything they point to must outlive it. */
enum ledger_status sync_ask_open(struct sync_ask **out, struct ledger *l,
	const struct sync_options *options, sync_answer_fn *answered, void *context,
	struct ledger_error *err);

/* Sends a command (sealed now, `node` names to whom), to be answered within `timeout` µs. With `store` it is
 * put where that node finds it when it is there again. LEDGER_BUSY: too many are under way. */
enum ledger_status sync_ask_put(struct sync_ask *a, struct ledger_command *command, bool store,
	uint64_t timeout, uint64_t tag, struct ledger_error *err);

/* Does what can be done without waiting. */
void sync_ask_step(struct sync_ask *a);

/* Readable when a step has something to do; and the moment (time_monotonic) when it has at the latest. */
int sync_ask_fd(const struct sync_ask *a);
uint64_t sync_ask_due(const struct sync_ask *a);
void sync_ask_close(struct sync_ask *a);

#endif
