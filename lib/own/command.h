/*
 * Executing commands, from inside.
 *
 *	job	a command on its way: waiting, running (its program has it), ready (to be recorded),
 *		or refused (that is to be recorded)
 *	program	a process of a handler: one for all of its commands (mode lines), or one for each
 *
 * execute.c decides, converse.c talks to programs, said.c reads what they say, record.c writes; refused.c
 * has the refusals that could not be written.
 */
#ifndef OWN_COMMAND_H
#define OWN_COMMAND_H

#include "../fold/process.h"
#include "../send.h"

#define JOBS_MAX      1024
#define JOBS_BYTES    (64u << 20)
#define GROUP_MAX     256 /* commands in a transaction */
#define PROGRAMS_EACH 8	  /* programs of mode each at a time */
#define PROGRAMS_MAX  64
#define WINDOW_MAX    256	 /* commands that a program of mode lines has at a time */
#define SAID_MAX      (4u << 20) /* bytes of events of one command */
#define EVENTS_MAX    1000	 /* of one command */
#define RESULT_MAX    (64u << 10)

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_READY, JOB_REFUSED };

struct job {
	struct job *next; /* in the order of the offers */
	enum job_state state;
	struct ledger_command command; /* in the arena */
	struct arena arena;
	uint64_t tag;
	uint8_t digest[EVENT_HASH_SIZE];
	const struct ledger_command_handler *handler; /* NULL: the built-in one */
	struct slice domain;			      /* absent: the lines say */
	uint64_t version;			      /* that it was given */
	uint64_t runs;
	size_t bytes;		   /* that it was offered with */
	struct buf said;	   /* what its handler printed */
	struct ledger_new *events; /* the same, read; in the arena */
	size_t n_events;
	struct ledger_condition condition; /* of the first of them */
	struct ledger_reply reply;	   /* in the arena, but for … */
	struct buf recorded;		   /* … its events */
};

struct watched {
	int fd;
	uint32_t mask;
};

struct program {
	const struct ledger_command_handler *handler;
	struct process process;
	bool is_running;
	struct job *jobs[WINDOW_MAX]; /* those it has, oldest first */
	size_t n;
	uint64_t since; /* its first one is waited for */
	struct watched watched[4];
	char last_word[200]; /* the last line of its stderr */
};

/* What happened since the last transaction. */
enum count {
	COUNT_EXECUTED,
	COUNT_REPEATED,
	COUNT_FAILED,
	COUNT_REFUSED,
	COUNT_EXPIRED,
	COUNT_TIMED_OUT,
	COUNTS
};

struct ledger_commands {
	const struct ledger_commands_options *options;
	struct ledger *ledger;
	struct ledger_fold *fold;
	int poll;
	struct job *first, **last;
	size_t n_jobs, bytes;
	bool more; /* the next step has work already */
	struct program programs[PROGRAMS_MAX];
	size_t n_programs;
	struct refused *refused, **last_refused; /* oldest first */
	size_t n_refused;
	uint64_t counts[COUNTS];
	uint64_t forgot; /* when old answers were last given up, monotonic */
	uint64_t counted;
	struct buf text;
};

/* SHA-256 over stream, name and payload: the same command says the same. */
void command_digest(const struct ledger_command *c, uint8_t out[EVENT_HASH_SIZE]);

/* --- execute.c ------------------------------------------------------------------------------- */

/* The command is over, and answered. */
void job_answer(struct ledger_commands *c, struct job *job, const struct ledger_reply *reply);
/* The same where nothing was executed: the status tells which count it is. true: the job is still there, to be
 * recorded and answered as JOB_REFUSED: its message, sent once more by somebody else, is not to be executed. */
bool job_refuse(struct ledger_commands *c, struct job *job, const struct ledger_error *err);
/* It runs again, from the start. */
void job_again(struct ledger_commands *c, struct job *job);
/* The handler has answered: its lines are read, to be recorded, or (exit code not 0) only its result. */
void job_answered(struct ledger_commands *c, struct job *job, uint64_t exit, struct slice reason);

/* --- converse.c ------------------------------------------------------------------------------ */

/* Gives a command (a line of text) to its program, starting it where need be. *taken: false where it has as
 * many as it takes. */
enum ledger_status converse_give(struct ledger_commands *c, struct job *job, struct slice line,
	bool *taken, struct ledger_error *err);

/* Is there a place for it? */
bool converse_has_room(const struct ledger_commands *c, const struct job *job);

/* Listens to all programs. */
enum ledger_status converse_step(struct ledger_commands *c, struct ledger_error *err);
uint64_t converse_due(const struct ledger_commands *c);
void converse_done(struct ledger_commands *c);

/* --- said.c ---------------------------------------------------------------------------------- */

/* Reads what a handler printed: events for the job's stream and at most one result. LEDGER_INVALID. */
enum ledger_status said_read(
	struct ledger_commands *c, struct job *job, bool only_result, struct ledger_error *err);
/* The same of the payload of the built-in command. */
enum ledger_status said_read_payload(
	struct ledger_commands *c, struct job *job, struct ledger_error *err);

/* --- record.c -------------------------------------------------------------------------------- */

/* Records what is ready in one transaction, then answers. */
enum ledger_status record_step(struct ledger_commands *c, struct ledger_error *err);

/* --- refused.c ------------------------------------------------------------------------------- */

/* Remembers a refusal until it is written; of very many the oldest are forgotten, as all are without memory. */
void refused_remember(struct ledger_commands *c, const struct ledger_command *command,
	const struct ledger_reply *reply);
/* The answer, a line of JSON; absent: this message was not refused, as far as is remembered. */
struct slice refused_find(const struct ledger_commands *c, const struct ledger_command *command);
/* Inside a write transaction. */
enum ledger_status refused_write(struct ledger_commands *c, struct ledger_error *err);
/* They are written, or it is over. */
void refused_forget(struct ledger_commands *c);

#endif
