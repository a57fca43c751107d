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
	bool once;	     /* it ends when all is level; for sync_describe */
	const struct sync_cluster *clusters;
	size_t n_clusters;
	const struct sync_domain *domains; /* none: every domain is propagated and subscribed */
	size_t n_domains;
	/* Take back what other nodes have of this node's own chains, and nothing else: nothing is sent, taken
	 * from streams, or answered. The ledger may be copied or restored until the first sync_turn. */
	bool recover;
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
 * `timeout` µs at most. Any failure is for good: the ledger cannot be written any more, or
 * (LEDGER_BUSY) another daemon has this node's name on a cluster. */
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

/* --- Asking peers, without changing anything -------------------------------------------------------- */

/*
 * What others hold of what is here, asked now: all nodes on the clusters are asked for their heads, and
 * single nodes for events. Only reads the ledger, needs the key, takes no lock, runs beside serve-sync.
 */
struct survey;

struct survey_options {
	const struct sync_options *sync; /* clusters and prefix count */
	uint64_t within;		 /* µs that gathering heads takes at most */
	size_t peers; /* wait for so many; those that the ledger has heard before are waited for too */
	int stop_fd; /* readable: give up (LEDGER_UNREACHABLE); -1: none */
};

/* Asks, and gathers answers. LEDGER_UNREACHABLE: no server, or fewer than `peers` answers (but one at
 * least); LEDGER_REFUSED: there is no key. */
enum ledger_status survey_open(struct survey **out, struct ledger *l,
	const struct survey_options *options, struct ledger_error *err);
void survey_close(struct survey *s); /* NULL is fine */

/* Names of those that answered, in order; NULL behind the last. Valid until survey_close. */
const char *survey_peer(const struct survey *s, size_t index);

/* Of those that the ledger has heard before and did not answer. */
const char *survey_silent(const struct survey *s, size_t index);

/* Did a daemon under this node's own name speak? Ours, unless it is known not to run. */
bool survey_heard_ourselves(const struct survey *s);

/* What one peer says it has; by chain, then peer. */
struct survey_head {
	const char *peer;
	size_t index; /* of the peer */
	struct ledger_head head;
};
typedef enum ledger_status survey_head_fn(
	const struct survey_head *head, void *context, struct ledger_error *err);
enum ledger_status survey_heads(
	struct survey *s, survey_head_fn *fn, void *context, struct ledger_error *err);

/* The event that a peer has at a place, checked: its hash. LEDGER_NO: it has none there, does not
 * answer, or what it answers is not such an event. */
enum ledger_status survey_hash(struct survey *s, size_t peer, const struct ledger_chain_name *chain,
	uint64_t sequence, uint8_t hash[EVENT_HASH_SIZE], struct ledger_error *err);

enum survey_finding_kind {
	SURVEY_OLDER, /* a peer has an event of this node's present epoch that is not here */
	SURVEY_OTHER  /* a peer has another event at a place */
};

struct survey_finding {
	enum survey_finding_kind kind;
	const char *peer;
	struct ledger_chain_name chain;
	uint64_t sequence; /* OLDER: the peer's last; OTHER: the first place known to differ */
	uint8_t there[EVENT_HASH_SIZE]; /* the peer's hash at it */
	uint8_t here[EVENT_HASH_SIZE];	/* OTHER: ours at it; OLDER: ours at `last` */
	uint64_t last;			/* OLDER: where the chain ends here (0: nothing of it is) */
};

/* How far a chain is proven to be with a peer; every chain is told of. */
struct survey_proof {
	struct ledger_chain_name chain;
	uint64_t last;	  /* here */
	uint64_t proven;  /* up to here some peer has what is here; 0: none said so */
	const char *peer; /* which; NULL: none */
};

struct survey_compare {
	struct slice origin, domain; /* only such chains; absent: all */
	void (*finding)(const struct survey_finding *finding, void *context);
	void (*proof)(const struct survey_proof *proof, void *context);
	void *context;
};

/* Compares every chain here with what the peers said, asking for events where heads are not at the
 * same place. Findings are no failure. */
enum ledger_status survey_compare(
	struct survey *s, const struct survey_compare *compare, struct ledger_error *err);

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
