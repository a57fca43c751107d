/*
 * A frame is what one NATS message carries: event lines of one chain, in order, without a gap.
 *
 *	subject      ledger.events.<domain>.<origin>
 *	Nats-Msg-Id  <origin>/<epoch>/<domain>/<first>-<last>/<first 16 hex digits of the last hash>
 *	data         {"v":1,"id":…,"origin":…,…}\n
 *	             {"v":1,…}\n
 *
 * Nothing is said twice: chain and sequences stand in the lines. Each line ends with a newline, the
 * last one too, so that a frame that was cut short is seen to be.
 */
#ifndef SYNC_FRAME_H
#define SYNC_FRAME_H

#include "../base/arena.h"
#include "../event/event.h"

#define FRAME_EVENTS_MAX 256
#define FRAME_BYTES	 (256u << 10) /* a frame is full; one event alone may be larger */
#define FRAME_BYTES_MAX	 (FRAME_BYTES + EVENT_LINE_MAX)
#define FRAME_ID_MAX	 256

/* --- Writing --------------------------------------------------------------------------------- */

/* The events of one message. Begin with { .limit = … }; done with frame_done. */
struct frame {
	size_t limit; /* bytes that the server allows in a message; 0: no limit known */
	size_t events;
	uint64_t first, last; /* sequences */
	uint64_t epoch;
	char origin[65], domain[65];
	uint8_t hash[EVENT_HASH_SIZE]; /* of the last event */
	struct buf lines;
};

enum frame_outcome {
	FRAME_ADDED,
	FRAME_FULL,	 /* send it, then add this event to the next one */
	FRAME_OTHER,	 /* the event does not continue this chain: likewise */
	FRAME_TOO_LARGE, /* the event alone is more than the server allows */
	FRAME_NO_MEMORY
};

/* Adds an event, or says why not; the frame is then as it was. */
enum frame_outcome frame_add(struct frame *frame, const struct event *event);

/* Empty again; memory and limit are kept. */
void frame_reset(struct frame *frame);
void frame_done(struct frame *frame);

/* The message id. `round` 0 is the first time; a number from 1 makes another id for the same frame:
 * after a loss the server would drop a known one as a duplicate. */
void frame_id(const struct frame *frame, uint64_t round, char out[FRAME_ID_MAX]);

/* --- Reading --------------------------------------------------------------------------------- */

struct frame_reader {
	struct slice rest; /* what was not read yet: from the first bad line on after a failure */
	struct slice line; /* the last line read, without its newline */
	struct slice origin, domain; /* what the subject said */
	uint64_t epoch, sequence;    /* of the last event; 0: none yet */
	size_t events;
};

/* Reads a message's data; `origin` and `domain` come from its subject, absent: any. Everything is
 * borrowed. */
void frame_reader_init(
	struct frame_reader *r, struct slice data, struct slice origin, struct slice domain);

/*
 * The next event; LEDGER_NO at the end. Borrows from the data and the arena. Structure and limits are
 * checked, and that the events are one chain's without a gap; hash and MAC are not.
 *
 * LEDGER_INVALID, LEDGER_UNVERIFIED (see line.h): what was read before is good; `rest` is what is not.
 */
enum ledger_status frame_read(
	struct frame_reader *r, struct arena *arena, struct event *event, struct ledger_error *err);

#endif
