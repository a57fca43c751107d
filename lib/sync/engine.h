/*
 * The engine from inside.
 *
 *	cluster		a link, and how it fares
 *	track		a domain on a cluster: its stream, our consumer, what was taken from it
 *	source		one of our chains on one cluster: how far it is published
 *	chain		a chain of which something is missing: events that came too early, what
 *			to ask for, and who may know
 *	peer		another node that said what it has
 *
 * Events of links are told apart by their tags: kind, generation, index.
 */
#ifndef SYNC_ENGINE_H
#define SYNC_ENGINE_H

#include "../own.h"
#include "../sync.h"
#include "frame.h"
#include "link.h"
#include "subject.h"

#define CLUSTERS_MAX 8
#define TRACKS_MAX   (CLUSTERS_MAX * 64)
#define SOURCES_MAX  1024
#define SENT_MAX     64 /* frames under way, of all clusters */
#define CHAINS_MAX   4096
#define PEERS_MAX    64
#define ASKS_MAX     4
#define ANSWERS_MAX  64

#define BATCH_EVENTS 4096u
#define BATCH_BYTES  (4u << 20)
#define HELD_EVENTS  16384u
#define HELD_BYTES   (12u << 20)
#define RANGE_BYTES  (512u << 10)

enum tag_kind {
	TAG_HEADS = 1,
	TAG_RANGE,
	TAG_STREAM,
	TAG_CONSUMER,
	TAG_PULL,
	TAG_SENT,
	TAG_ASK,
	TAG_COMMAND,
	TAG_QUEUE
};

struct cluster {
	const struct sync_cluster *options;
	struct link *link;
	bool up;
	uint64_t failures; /* in a row; three: another one is tried */
	uint64_t rest;	   /* nothing is published before this moment */
};

enum track_state {
	TRACK_OFF,	/* no connection */
	TRACK_STREAM,	/* the stream is looked up, or made */
	TRACK_CONSUMER, /* the consumer is */
	TRACK_DELETE,	/* it stands elsewhere than we do: away with it */
	TRACK_READY
};

struct track {
	size_t cluster;
	char domain[65];
	bool propagate, subscribe, dual;
	enum track_state state;
	bool asked;    /* the state's call is under way */
	bool told;     /* that the stream is missing, or differs */
	bool renewed;  /* the consumer was deleted: the next one is new */
	uint64_t rest; /* nothing is asked before this moment */
	struct link_stream stream;
	char created[40];    /* of the stream that is there; "": not known yet */
	uint64_t made;	     /* the same in µs */
	uint64_t taken;	     /* sequence of the last message taken, or in the batch */
	uint64_t committed;  /* the same, in the ledger */
	uint64_t place;	     /* of the last delivery; 0: none yet */
	uint64_t known_last; /* the stream had this when it was looked up */
	uint64_t hole;	     /* what was taken when deliveries were found missing, plus 1 */
	uint64_t checked;    /* when the stream was last looked up */
	char consumer[LINK_NAME_MAX];
	char ack[SUBJECT_MAX]; /* of the last message in the batch; "": none */
};

struct source {
	size_t track;
	uint64_t epoch;
	uint64_t acked; /* everything up to here was acknowledged */
	uint64_t saved; /* the same, in the ledger */
	uint64_t next;	/* to be sent */
	uint64_t head;	/* that is there */
	size_t limit;	/* bytes, after the server refused more; 0: none */
};

enum sent_state { SENT_FREE, SENT_UNDERWAY, SENT_FAILED, SENT_STORED };

struct sent {
	enum sent_state state;
	uint32_t generation;
	size_t source;
	uint64_t first, last;
};

struct held {
	struct held *next;
	uint64_t sequence;
	size_t size;
	char line[];
};

struct chain {
	char origin[65], domain[65];
	uint64_t epoch;
	struct held *held; /* by sequence */
	uint64_t target;   /* somebody has this sequence; 0: nothing is missing */
	uint64_t before;   /* it branched before this sequence: ask from `from` on */
	uint64_t from;
	bool branches; /* ask for branches too */
	uint64_t who;  /* peers, a bit each */
	bool asked;
	bool waiting;	 /* its key is not known here: it is of no use to ask */
	uint64_t told;	 /* when its fork was last said; 0: not */
	uint64_t failed; /* asks in a row that brought nothing */
	uint64_t rest;	 /* nothing is asked before this moment */
};

struct peer {
	char node[65];
	size_t cluster; /* where it was last heard */
	uint64_t epoch, counter;
	uint64_t heard; /* monotonic */
	uint64_t kept;	/* when its heads were last written down */
	uint8_t heads[EVENT_HASH_SIZE];
	bool level; /* all it named is here */
};

struct ask {
	bool active;
	uint32_t generation;
	size_t chain, peer;
};

struct answer {
	size_t cluster;
	char reply[SUBJECT_MAX];
	char origin[65], domain[65];
	uint64_t epoch, from, max_bytes;
	bool branches;
};

/* What was received and is not in the ledger yet. */
struct batch {
	struct arena arena;
	struct ledger_received *events;
	struct ledger_accepted *results;
	size_t n, bytes;
};

/* What became of the lines of a peer's answer. */
struct reply {
	struct chain *chain; /* while it is looked at */
	bool progress;	     /* something of it was new */
	bool joined;	     /* some of it hangs together with what is here */
	uint64_t lines;
	uint64_t last; /* sequence */
};

struct sync {
	struct ledger *ledger;
	const struct sync_options *options;
	char node[65], prefix[65];
	uint64_t epoch, boot;
	uint64_t started; /* wall clock */
	int lock, poll;
	uint64_t now;	 /* monotonic, of this turn */
	uint64_t wake;	 /* when the next turn is due */
	uint64_t looked; /* when the chains were last looked at */
	bool changed;	 /* the ledger has something new */
	bool more;	 /* the next turn has work already */
	bool stopping;
	uint64_t inserted, refused; /* since the last log line */
	uint64_t last_report;

	struct cluster clusters[CLUSTERS_MAX]; /* by priority */
	size_t n_clusters;
	struct track *tracks;
	size_t n_tracks;
	struct source *sources;
	size_t n_sources;
	struct sent sent[SENT_MAX];
	struct frame frame;
	uint64_t saved_at;

	struct batch batch;
	struct reply reply;
	struct chain *chains;
	size_t n_chains, last_chain;
	size_t n_held, held_bytes;

	struct peer peers[PEERS_MAX];
	size_t n_peers;
	struct ask asks[ASKS_MAX];
	struct answer answers[ANSWERS_MAX];
	size_t n_answers;
	uint64_t counter;	 /* of our last statement */
	uint64_t stated;	 /* when it was sent */
	uint64_t next_statement; /* when the next one is due */

	struct serve *serve; /* NULL: commands are not executed here */
};

static inline uint64_t tag_of(enum tag_kind kind, uint32_t generation, size_t index)
{
	return (uint64_t)kind << 56 | (uint64_t)(generation & 0xffffffffu) << 16 | index;
}
static inline enum tag_kind tag_kind(uint64_t tag)
{
	return (enum tag_kind)(tag >> 56);
}
static inline size_t tag_index(uint64_t tag)
{
	return tag & 0xffff;
}
static inline uint32_t tag_generation(uint64_t tag)
{
	return (uint32_t)(tag >> 16);
}

/* --- sync.c: facts --------------------------------------------------------------------------- */

#define TEXT(name, value)   ((struct sync_field){ (name), (value), 0 })
#define WORD(name, value)   ((struct sync_field){ (name), slice_of(value), 0 })
#define NUMBER(name, value) ((struct sync_field){ (name), { NULL, 0 }, (value) })
#define SAY(s, what, ...)   sync_say((s), false, (what), (struct sync_field[]){ __VA_ARGS__, { 0 } })
#define WARN(s, what, ...)  sync_say((s), true, (what), (struct sync_field[]){ __VA_ARGS__, { 0 } })
void sync_say(struct sync *s, bool warning, const char *what, const struct sync_field *fields);

/* A descriptor that ends the wait. */
enum ledger_status sync_watch(struct sync *s, int fd, struct ledger_error *err);

/* What a connection to a cluster takes. */
struct link_options sync_link_options(const struct sync_cluster *cluster, const char *node);

/* The stream of commands that are stored for a node: `name` and `subject` are filled. */
void sync_queue_stream(const char *prefix, struct slice node, struct link_stream *out);

/* Be back at `moment` at the latest. */
void sync_wake_at(struct sync *s, uint64_t moment);

/* Waits that double up to 30 s, with some chance in them; `failures` from 1. */
uint64_t sync_backoff(uint64_t failures);

/* --- route.c: which domains go where ----------------------------------------------------------- */

/* NULL: this domain is not ours to send or take. */
const struct sync_domain *route_of(const struct sync *s, struct slice domain);
bool route_names_cluster(const struct sync_domain *domain, const struct cluster *cluster);

/* Tracks for every domain that is configured, or met in the ledger; call it when there may be one. */
enum ledger_status route_meet(struct sync *s, struct slice domain, struct ledger_error *err);
enum ledger_status route_start(struct sync *s, struct ledger_error *err);

/* May others see this chain? */
bool route_is_shared(const struct sync *s, struct slice origin, struct slice domain);

/* --- publish.c --------------------------------------------------------------------------------- */

enum ledger_status publish_look(struct sync *s, struct ledger_error *err);
enum ledger_status publish_step(struct sync *s, struct ledger_error *err);
void publish_stored(struct sync *s, const struct link_event *event);
enum ledger_status publish_save(struct sync *s, struct ledger_error *err);
bool publish_is_level(const struct sync *s, struct buf *why);

/* --- track.c ----------------------------------------------------------------------------------- */

void track_connected(struct sync *s, size_t cluster);
void track_disconnected(struct sync *s, size_t cluster);
void track_step(struct sync *s);
enum ledger_status track_stream(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
void track_consumer(struct sync *s, const struct link_event *event);
void track_lost(struct sync *s, const struct link_event *event);
/* Begin again where the ledger stands. */
void track_restart(struct sync *s, struct track *t, uint64_t wait);
bool track_is_level(const struct sync *s, struct buf *why);

/* --- take.c: what comes in ----------------------------------------------------------------------- */

enum ledger_status take_message(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
/* The lines of a peer's answer; s->reply tells what became of them. */
enum ledger_status take_lines(struct sync *s, struct slice lines, struct chain *chain,
	const char *peer, struct ledger_error *err);
enum ledger_status take_commit(struct sync *s, struct ledger_error *err);
void take_done(struct sync *s);

/* --- hold.c: chains of which something is missing --------------------------------------------------- */

/* NULL: there are too many. */
struct chain *hold_chain(struct sync *s, struct slice origin, uint64_t epoch, struct slice domain);
struct chain *hold_find(struct sync *s, struct slice origin, uint64_t epoch, struct slice domain);
void hold_keep(struct sync *s, struct chain *c, uint64_t sequence, struct slice line);
/* Gives up held events before `sequence`. */
void hold_drop(struct sync *s, struct chain *c, uint64_t sequence);
void hold_done(struct sync *s);

/* --- serve.c: commands of others ------------------------------------------------------------------- */

enum ledger_status serve_open(struct sync *s, struct ledger_error *err);
enum ledger_status serve_cluster(struct sync *s, size_t cluster, struct ledger_error *err);
void serve_connected(struct sync *s, size_t cluster);
/* What came: a command, or news of the stream of those that were stored. */
void serve_message(struct sync *s, size_t cluster, const struct link_event *event);
void serve_queue(struct sync *s, const struct link_event *event);
enum ledger_status serve_step(struct sync *s, struct ledger_error *err);
void serve_close(struct sync *s);

/* --- heads.c --------------------------------------------------------------------------------------- */

enum ledger_status heads_step(struct sync *s, struct ledger_error *err);
enum ledger_status heads_take(
	struct sync *s, size_t cluster, struct slice data, struct ledger_error *err);
/* Say what is here within `wait` µs. */
void heads_soon(struct sync *s, uint64_t wait);

/* --- repair.c -------------------------------------------------------------------------------------- */

void repair_want(struct sync *s, struct chain *c, uint64_t sequence, uint64_t wait);
void repair_step(struct sync *s);
enum ledger_status repair_reply(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
void repair_end(struct sync *s, const struct link_event *event);
void repair_queue(struct sync *s, size_t cluster, const struct link_event *event);
enum ledger_status repair_answer(struct sync *s, struct ledger_error *err);

#endif
