/*
 * The engine from inside.
 *
 *	cluster		a link, and how it fares
 *	track		a domain on a cluster: its stream, our consumer, what was taken from it
 *	source		one of our chains on one cluster: how far it is published
 *	chain		a chain of which something is missing: events that came too early, what
 *			to ask for, and who may know
 *	peer		another node that said what it has
 *	lease		our name on a cluster, for one daemon
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

/*
 * Ceilings. What lies beyond one is said (report_beyond) and shown by `status`; it loses speed, not
 * events: what is not published or taken from streams is brought by repair. Memory that is not used
 * is not touched.
 */
#define CLUSTERS_MAX 8
#define TRACKS_MAX   4096  /* domains, each once for each of its clusters */
#define SOURCES_MAX  16384 /* chains of this node, likewise */
#define SENT_MAX     64	   /* frames under way, of all clusters */
#define CHAINS_MAX   16384
#define PEERS_MAX    64 /* one that is silent makes room; a bit each in struct chain */
#define PEER_RUNS    8	/* of one node, that are told apart */
#define ASKS_MAX     4
#define ANSWERS_MAX  64 /* who gets no answer asks again */
#define LARGE_MAX    64 /* listed; the rest is counted */
#define ECHOES_MAX                                                                                 \
	4096 /* frames of ours that are known again by their bytes; the rest is verified */

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
	TAG_LEASE,
	TAG_COMMAND,
	TAG_QUEUE,
	TAG_NAMES
};

/* Asked next, or waited for. */
enum lease_state { LEASE_OFF, LEASE_LOOK, LEASE_MAKE, LEASE_READ, LEASE_WRITE };

struct lease {
	enum lease_state state;
	uint32_t generation; /* of the call under way */
	bool asked;
	bool held;	   /* by this daemon, at least once */
	bool told;	   /* that there is none */
	uint64_t age;	   /* µs that it lasts */
	uint64_t sequence; /* of what is there, in the bucket; 0: nothing */
	uint64_t written;  /* sequence of what this daemon wrote last; 0: nothing */
	uint64_t rest;	   /* nothing is asked before this moment */
};

/* Looking for the streams of domains that nobody has named. */
struct listing {
	bool asked;
	bool done;	   /* all was listed once, since the cluster is up */
	bool denied, told; /* it is not permitted, and that was said */
	uint64_t offset;   /* of the next page */
	uint64_t failures; /* in a row */
	uint64_t rest;	   /* nothing is asked before this moment */
};

struct cluster {
	const struct sync_cluster *options;
	struct link *link;
	bool up;
	bool ready; /* up, and the lease was looked at */
	struct lease lease;
	struct listing listing;
	uint64_t failures; /* in a row; three: another one is tried */
	uint64_t rest;	   /* nothing is published before this moment */
	uint64_t since;	   /* wall clock: up, or down, since then */
	uint64_t losses;   /* connections that were lost */
	char server[128];  /* that we are connected to, or were last */
	char trouble[256]; /* why not; "": all is well */
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
	bool unpulled; /* there are too many: it is only published to */
	bool named;    /* by the config; not only found, or met */
	bool denied;   /* it may not be looked up */
	bool suspect;  /* the consumer delivers nothing: the next one is new */
	uint64_t rest; /* nothing is asked before this moment */
	struct link_stream stream;
	char created[40];	  /* of the stream that is there; "": not known yet */
	uint64_t made;		  /* the same in µs */
	uint64_t taken;		  /* sequence of the last message taken, or in the batch */
	uint64_t committed;	  /* the same, in the ledger */
	uint64_t place;		  /* of the last delivery; 0: none yet */
	uint64_t known_last;	  /* the stream had this when it was looked up */
	uint64_t hole;		  /* what was taken when deliveries were found missing, plus 1 */
	bool left;		  /* likewise: it had messages */
	uint64_t first;		  /* likewise, the first of them; 0: none */
	uint64_t grown;		  /* when it was last seen to have more than before */
	uint64_t stored;	  /* sequence of the last message of ours that was acknowledged */
	uint64_t sure;		  /* the stream had this when it was asked for */
	uint64_t failures;	  /* look-ups in a row: three, and another cluster is tried */
	uint64_t checked;	  /* when the stream was last looked up */
	uint64_t messages, bytes; /* it had then */
	uint64_t taken_then;	  /* and this was taken */
	uint64_t silent;	  /* it had this when the consumer was made anew for its silence */
	uint64_t pending;	  /* messages to come, at the last one */
	uint64_t redelivered;	  /* messages that came again */
	char trouble[256];	  /* what is wrong with the stream; "": nothing */
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
	uint64_t round; /* of the ids; another one after each loss */
	uint64_t told;	/* events acknowledged since that was last said */
};

enum sent_state { SENT_FREE, SENT_UNDERWAY, SENT_FAILED, SENT_STORED };

struct sent {
	enum sent_state state;
	uint32_t generation;
	size_t source;
	uint64_t first, last;
	uint64_t round; /* of its id */
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

/* One run of a daemon, and its last statement. */
struct peer_run {
	uint64_t boot, counter;
};

struct peer {
	char node[65];
	size_t cluster; /* where it was last heard */
	struct peer_run runs[PEER_RUNS];
	size_t last_run;
	uint64_t epoch; /* it said last */
	uint64_t heard; /* monotonic */
	uint64_t kept;	/* when its heads were last written down */
	uint8_t heads[EVENT_HASH_SIZE];
	bool level;	    /* all it named is here */
	bool lacking;	    /* of what it says now, in one or several parts, something is not */
	uint64_t part;	    /* the last one of that */
	uint64_t part_boot; /* and by which of its daemons */
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

/* An event that a cluster's servers do not take. */
struct large {
	char cluster[65], domain[65];
	uint64_t epoch, sequence, bytes;
};

enum ceiling { CEILING_DOMAINS, CEILING_PULLS, CEILING_SOURCES, CEILING_CHAINS, CEILING_PEERS };
#define SYNC_CEILINGS 5

/* What was given up because there is too much of it. */
struct beyond {
	uint64_t times;
	uint64_t said;
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
	char host[65], where[17];  /* for the lease */
	struct ledger_error taken; /* another daemon has our name: why this one ends */
	uint64_t started;	   /* wall clock */
	int lock, poll;
	uint64_t now;	 /* monotonic, of this turn */
	uint64_t wake;	 /* when the next turn is due */
	uint64_t looked; /* when the chains were last looked at */
	bool changed;	 /* the ledger has something new */
	bool more;	 /* the next turn has work already */
	bool stopping;
	uint64_t inserted, refused; /* since the last log line */
	uint64_t inserting;	    /* since when there was something to report */
	uint64_t last_report;
	uint64_t caught;	      /* events since everything was level */
	uint64_t received, published; /* events since the start */
	uint64_t left, counted;	      /* events that peers have and we lack, and when that was so */
	struct large large[LARGE_MAX];
	size_t n_large;
	uint64_t large_events;
	struct beyond beyond[SYNC_CEILINGS];
	bool news; /* a description of before is no longer right */

	struct cluster clusters[CLUSTERS_MAX]; /* by priority */
	size_t n_clusters;
	struct track *tracks;
	size_t n_tracks;
	struct source *sources;
	size_t n_sources;
	struct sent sent[SENT_MAX];
	struct frame frame;
	uint8_t echoes[ECHOES_MAX]
		      [EVENT_HASH_SIZE]; /* SHA-256 of what was sent, each in its place */
	uint64_t saved_at;
	bool unsaved;	     /* a cursor has moved since then */
	uint64_t publishing; /* when it was last reported that something was published */

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

	struct serve *serve;  /* NULL: commands are not executed here */
	uint64_t owners_rest; /* the clock is wrong: owners are not looked at before this moment */
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

/* --- discover.c ---------------------------------------------------------------------------------- */

void discover_step(struct sync *s);
enum ledger_status discover_names(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
/* Was it listing streams that this complaint of a server is about? */
bool discover_denied(struct sync *s, size_t cluster, struct slice text);
bool discover_is_level(const struct sync *s, struct buf *why);

/* --- publish.c --------------------------------------------------------------------------------- */

enum ledger_status publish_look(struct sync *s, struct ledger_error *err);
enum ledger_status publish_step(struct sync *s, struct ledger_error *err);
enum ledger_status publish_stored(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
/* A cluster is gone: what was under way to it does not keep others from being used. */
void publish_disconnected(struct sync *s, size_t cluster);
/* A stream has lost messages: goes back to what peers have proven, and sends the rest once more. */
enum ledger_status publish_lost(struct sync *s, size_t track, struct ledger_error *err);
struct cluster *publish_cluster(struct sync *s, const struct source *source);
/* Do two sources publish the same chain? */
bool publish_same_chain(const struct sync *s, const struct source *a, const struct source *b);

/* Was exactly this sent from here, a short while ago? */
bool publish_has_sent(const struct sync *s, struct slice data);

/* --- published.c ------------------------------------------------------------------------------- */

#define PUBLISH_SAVE_INTERVAL TIME_SECOND
enum ledger_status publish_save(struct sync *s, struct ledger_error *err);
bool publish_is_level(const struct sync *s, struct buf *why);
/* Events that wait to be acknowledged. */
uint64_t publish_left(const struct sync *s);

/* --- track.c ----------------------------------------------------------------------------------- */

void track_connected(struct sync *s, size_t cluster);
void track_disconnected(struct sync *s, size_t cluster);
void track_step(struct sync *s);
enum ledger_status track_stream(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
void track_consumer(struct sync *s, const struct link_event *event);
void track_lost(struct sync *s, const struct link_event *event);
/* Is it a look-up of one of the streams that this complaint of a server is about? */
bool track_denied(struct sync *s, size_t cluster, struct slice text);
/* Begin again where the ledger stands. */
void track_restart(struct sync *s, struct track *t, uint64_t wait);
bool track_is_level(const struct sync *s, struct buf *why);
/* Has the stream of a domain been looked at, and was there nothing for us? */
bool track_is_empty(const struct sync *s, struct slice domain);

/* --- take.c: what comes in ----------------------------------------------------------------------- */

enum ledger_status take_message(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
/* The lines of a peer's answer; s->reply tells what became of them. */
enum ledger_status take_lines(struct sync *s, struct slice lines, struct chain *chain,
	const char *peer, struct ledger_error *err);
enum ledger_status take_commit(struct sync *s, struct ledger_error *err);
/* Another frame would not fit into the batch. */
bool take_is_full(const struct sync *s);
void take_done(struct sync *s);

/* --- report.c ------------------------------------------------------------------------------------ */

/* Something was given up; `consequence` for the log, which says it once a minute. */
void report_beyond(struct sync *s, enum ceiling ceiling, const char *consequence);
void report_received(struct sync *s);
void report_large(struct sync *s, const struct large *large);
/* Events a second. */
uint64_t report_rate(uint64_t events, uint64_t us);

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
/* Commands cannot be stored for this node on that cluster, since nobody has made the stream for them. */
bool serve_lacks_queue(const struct sync *s, size_t cluster);
void serve_close(struct sync *s);

/* --- heads.c --------------------------------------------------------------------------------------- */

enum ledger_status heads_step(struct sync *s, struct ledger_error *err);
enum ledger_status heads_take(
	struct sync *s, size_t cluster, struct slice data, struct ledger_error *err);
/* Ask all on this cluster to say it now. */
void heads_ask(struct sync *s, size_t cluster);
/* Say what is here within `wait` µs. */
void heads_soon(struct sync *s, uint64_t wait);

/* --- lease.c --------------------------------------------------------------------------------------- */

void lease_start(struct sync *s);
void lease_connected(struct sync *s, size_t cluster);
void lease_disconnected(struct sync *s, size_t cluster);
void lease_step(struct sync *s);
void lease_release(struct sync *s);
void lease_reply(struct sync *s, const struct link_event *event);
void lease_end(struct sync *s, const struct link_event *event);
void lease_stored(struct sync *s, const struct link_event *event);

/* --- repair.c -------------------------------------------------------------------------------------- */

void repair_want(struct sync *s, struct chain *c, uint64_t sequence, uint64_t wait);
/* The stream of a domain has nothing for us: what is missing will not come by itself. */
void repair_hurry(struct sync *s, const char *domain);
/* Something of the chain came damaged: ask what follows what is here, if any of it is. */
void repair_want_next(struct sync *s, struct chain *c, uint64_t wait);
void repair_step(struct sync *s);
enum ledger_status repair_reply(
	struct sync *s, const struct link_event *event, struct ledger_error *err);
void repair_end(struct sync *s, const struct link_event *event);
void repair_queue(struct sync *s, size_t cluster, const struct link_event *event);
enum ledger_status repair_answer(struct sync *s, struct ledger_error *err);

#endif
