/*
 * The wire: one connection to a cluster of NATS servers, kept up by a thread of its own.
 *
 * That thread alone calls libnats: it connects, reads, writes, waits and connects again, and knows
 * nothing of ledgers. Towards the daemon there are two queues with a ceiling each and a descriptor
 * that poll() can wait for. So whatever blocks in there (name look-ups, TLS handshakes, a server that
 * was stopped) blocks nothing of ours, and one SSL object is never used by two threads: libnats 3.4.1
 * does that by itself, and waits inside its calls where a TLS record is not complete.
 */
#ifndef SYNC_WIRE_H
#define SYNC_WIRE_H

#include "../base/error.h"
#include "../base/slice.h"

#include "link.h"

struct wire;

#define WIRE_HEADERS_MAX 4

enum wire_kind {
	WIRE_UP,   /* connected; text: host and port */
	WIRE_DOWN, /* connection lost, or could not be made: status, text; retry in `number` µs */
	WIRE_DENIED, /* the server refused something: text */
	WIRE_UNSENT, /* a message could not be sent: reply is its reply subject; status, text */
	WIRE_MESSAGE
};

/* What came. One piece of memory: slices point behind it, free() frees it all. */
struct wire_in {
	struct wire_in *next;
	enum wire_kind kind;
	size_t source; /* of a message: 0 the inbox, n the n-th subscription */
	enum ledger_status status;
	int code; /* NATS status of a message: 100, 404, 408, 409, 503 …; 0: none */
	uint64_t number;
	struct slice subject, reply, text, id, data;
	size_t size; /* bytes in all */
};

struct wire_header {
	const char *name;
	struct slice value;
};

/* What goes out: reply absent: none. */
struct wire_out {
	struct slice subject, reply, data;
	struct wire_header headers[WIRE_HEADERS_MAX];
	size_t n_headers;
};

/* Starts the thread; `inbox` is the subject under which answers arrive. Options are copied.
 * LEDGER_USAGE or LEDGER_REFUSED where the options cannot work (an address, a file). */
enum ledger_status wire_open(struct wire **out, const struct link_options *options,
	const char *inbox, struct ledger_error *err);

/* Sends what is queued (for a second at most) and ends the thread. */
void wire_close(struct wire *w);

/* Readable when there is something to take. */
int wire_fd(const struct wire *w);

/* All that came since the last call, oldest first; NULL: nothing. The caller frees each. */
struct wire_in *wire_take(struct wire *w);

/* Tells how many bytes of what was taken are freed, so that the thread reads on. */
void wire_freed(struct wire *w, size_t bytes);

/* Queues a message. LEDGER_BUSY: the queue is full; LEDGER_UNREACHABLE: not connected. */
enum ledger_status wire_send(struct wire *w, const struct wire_out *out, struct ledger_error *err);

/* Subscribes now and after every reconnect, as source `n` (from 1, in order of the calls). */
enum ledger_status wire_subscribe(struct wire *w, const char *pattern, struct ledger_error *err);

/* Cuts the connection: it answers no more. The thread makes a new one. */
void wire_cut(struct wire *w, const char *why);

/* Bytes that the server takes in one message, headers included; 0 before the first connection. */
size_t wire_max_payload(const struct wire *w);

/* µs (monotonic) when something was last read. */
uint64_t wire_heard(const struct wire *w);

#endif
