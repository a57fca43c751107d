/*
 * Commands: words that one node sends to the node that owns a stream, which executes them there.
 *
 *	sender				owner
 *	ledger_command_seal  ------>	ledger_command_open, ledger_commands_offer
 *					the handler gets command and state, prints events
 *	ledger_reply_open    <------	one transaction; ledger_reply_seal
 *
 * A command has an id: sent twice it is executed once, and answered twice. Nothing here knows of a
 * network; lib/sync does the talking.
 *
 * The rules of ledger.h hold here too. Whoever uses this ignores SIGPIPE.
 */
#ifndef SEND_H
#define SEND_H

#include "fold.h"
#include "replay.h"

/* --- Words between nodes ---------------------------------------------------------------------- */

/* The command that needs no handler: its payload is a list of event lines for the stream. */
#define LEDGER_COMMAND_APPEND "_append"

#define LEDGER_COMMAND_MAX	(800u << 10)			 /* bytes of one as it is sent */
#define LEDGER_COMMAND_LIFE_MAX (30 * 24 * UINT64_C(3600000000)) /* µs until it expires, at most */

struct ledger_command {
	uint8_t id[16];
	struct slice sender; /* a node */
	uint64_t epoch;	     /* of the sender's ledger */
	uint64_t counter;    /* grows within the sender's epoch */
	uint64_t expires;    /* µs UTC: later it is not executed any more */
	struct slice node;   /* whom it is for */
	struct slice stream; /* type/key */
	struct slice name;   /* of the command: a token */
	struct slice payload;
	bool only_asks; /* what became of it? It is not to be executed */
	bool stored; /* nobody waits for the answer: it is offered again, see ledger_command_keep */
};

/* Checks form and limits; LEDGER_INVALID. Flattens nothing: the payload is one JSON value. */
enum ledger_status ledger_command_check(
	const struct ledger_command *command, struct ledger_error *err);

/* Fills in sender, epoch and counter, and adds the signed bytes to `out`. */
enum ledger_status ledger_command_seal(struct ledger *l, struct ledger_command *command,
	struct buf *out, struct ledger_error *err);

/* Reads what came; everything in *out lives in the arena. LEDGER_UNVERIFIED: the key is not known
 * here; LEDGER_INVALID: forged, or not a command. */
enum ledger_status ledger_command_open(struct ledger *l, struct slice bytes, struct arena *arena,
	struct ledger_command *out, struct ledger_error *err);

/* What became of a command. */
struct ledger_reply {
	uint8_t id[16];
	uint64_t counter;	   /* of the question, as it was asked */
	struct slice node;	   /* who says so */
	enum ledger_status status; /* LEDGER_OK: executed; LEDGER_NO: the handler said no */
	uint64_t exit;		   /* the handler's exit code */
	bool repeated;		   /* it was executed before: the same answer again */
	struct slice text, hint;   /* why it was not executed; may be empty */
	struct slice result;	   /* JSON of the handler; absent: none */
	struct slice events;	   /* JSON list of position, sequence, version, id, hash */
};

/* The same of answers. In ledger_reply_seal `node` is filled in. */
enum ledger_status ledger_reply_seal(
	struct ledger *l, struct ledger_reply *reply, struct buf *out, struct ledger_error *err);
enum ledger_status ledger_reply_open(struct ledger *l, struct slice bytes, struct arena *arena,
	struct ledger_reply *out, struct ledger_error *err);

/* Adds an answer as one JSON object, without a newline; reads it again (borrowing from arena). */
void ledger_reply_add(struct buf *out, const struct ledger_reply *reply);
enum ledger_status ledger_reply_read(
	struct slice text, struct arena *arena, struct ledger_reply *out, struct ledger_error *err);

/* A new id. */
enum ledger_status ledger_command_new_id(uint8_t out[16], struct ledger_error *err);

/* Id of --once: from stream, command and KEY alone, the same on every node. */
void ledger_command_once_id(
	struct slice stream, struct slice name, struct slice key, uint8_t out[16]);

/* Id of the nth event (from 1) that a command records. */
void ledger_command_event_id(const uint8_t id[16], uint64_t nth, uint8_t out[16]);

/* --- Executing -------------------------------------------------------------------------------- */

struct ledger_command_handler {
	const char *stream_type; /* a token */
	const char *name;	 /* of the command */
	const char *const *exec; /* program and arguments, NULL at the end */
	enum ledger_handler_mode mode;
	bool state; /* it gets the stream's state */
	uint64_t
		snapshot_every; /* a state for which so many events were folded is stored; 0: never */
	uint64_t timeout;	/* µs for an answer */
	uint64_t retries;	/* runs after the first, where the stream has moved meanwhile */
};

struct ledger_commands_options {
	struct ledger *ledger; /* to write */
	const struct ledger_rules *rules;
	const struct ledger_command_handler *handlers;
	size_t n_handlers;
	const char *const *environment; /* "NAME=value" of every program; NULL at the end */
	const char *folder;		/* where programs run; NULL: here */
	/* May this program run? Asked before each start. NULL: it may. */
	enum ledger_status (*may_run)(const char *exec, struct ledger_error *err);
	/* Whose is the stream? LEDGER_OK: this node's, or nobody's that has to be asked; LEDGER_NOT_OWNER,
	 * LEDGER_BUSY. *domain: of the stream; absent: not known. */
	enum ledger_status (*owned_here)(struct ledger *l, struct slice stream,
		struct slice *domain, struct ledger_error *err);
	/* Makes an event of a line as `append` takes it, for this stream (domain absent: the line says).
	 * *out lives as long as line and arena. */
	enum ledger_status (*event_of)(struct slice line, struct slice stream, struct slice domain,
		struct arena *arena, struct ledger_new *out, struct ledger_error *err);
	/* What a program wrote to stderr, by lines. May be NULL. */
	void (*said)(const char *command, struct slice line, void *context);
	/* A command is over. The reply is valid for that call. */
	void (*answered)(const struct ledger_command *command, const struct ledger_reply *reply,
		uint64_t tag, void *context);
	void *context; /* of said and answered */
};

struct ledger_commands;

/* What options point to must outlive it. */
enum ledger_status ledger_commands_open(struct ledger_commands **out,
	const struct ledger_commands_options *options, struct ledger_error *err);

/* Takes a command (copied), to be answered by options.answered with this tag, in a later step. Commands of
 * one stream are executed in the order in which they were offered. LEDGER_BUSY: there are too many. */
enum ledger_status ledger_commands_offer(struct ledger_commands *c,
	const struct ledger_command *command, uint64_t tag, struct ledger_error *err);

/* Does what can be done without waiting: starts, listens, records, answers. */
enum ledger_status ledger_commands_step(struct ledger_commands *c, struct ledger_error *err);

/* Readable when a step has something to do; and the moment (time_monotonic) when it has at the latest. */
int ledger_commands_fd(const struct ledger_commands *c);
uint64_t ledger_commands_due(const struct ledger_commands *c);

/* Ends the programs; what was not answered is not answered any more, and nothing of it was recorded. */
void ledger_commands_close(struct ledger_commands *c);

/* --- What is known of commands ---------------------------------------------------------------- */

/* What became of a command that was executed or refused here, or that was sent from here and answered. LEDGER_NO: it
 * is not known (any more). Everything in *out lives in the arena. */
enum ledger_status ledger_command_answer(struct ledger *l, const uint8_t id[16],
	struct arena *arena, struct ledger_reply *out, struct ledger_error *err);

/* Keeps a refusal that nobody has heard, of a command that was stored for this node: it is final, but for
 * one that is sealed anew. Others are kept by themselves. */
enum ledger_status ledger_command_keep(struct ledger *l, const struct ledger_command *command,
	const struct ledger_reply *reply, struct ledger_error *err);

/* A command that was sent from here without an answer yet. */
struct ledger_sent {
	uint8_t id[16];
	struct slice node; /* to whom */
	struct slice stream, name;
	uint64_t time, expires; /* µs */
};

/* Remembers it until some time after it expires. */
enum ledger_status ledger_command_sent(
	struct ledger *l, const struct ledger_command *command, struct ledger_error *err);

/* LEDGER_NO: nothing of that id was sent from here. Lives in the arena. */
enum ledger_status ledger_command_find_sent(struct ledger *l, const uint8_t id[16],
	struct arena *arena, struct ledger_sent *out, struct ledger_error *err);

/* How often what happened: "executed", "repeated", "failed", "refused", "expired", "timed-out", "forged"
 * on the owner's side, "unanswered" on the sender's. */
struct ledger_command_count {
	struct slice what;
	uint64_t number;
	uint64_t last; /* µs */
};
typedef enum ledger_status ledger_command_count_fn(
	const struct ledger_command_count *count, void *context, struct ledger_error *err);
enum ledger_status ledger_command_counts(
	struct ledger *l, ledger_command_count_fn *fn, void *context, struct ledger_error *err);

/* Adds to a count, in a transaction of its own. */
enum ledger_status ledger_command_count(
	struct ledger *l, const char *what, uint64_t n, struct ledger_error *err);

#endif
