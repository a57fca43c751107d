/*
 * One connection to a server, through libnats (see wire.h and door.h).
 *
 * libnats is run with an event loop of ours (natsOptions_SetEventLoop), so that it makes no threads for
 * reading and writing; and without its reconnecting, pings, JetStream and request functions, in which
 * most of the bugs of 3.4.1 are. A connection that ends is thrown away and another one made.
 *
 * One thread of the library does deliver: that of the inbox. natsSubscription_NextMsg, which needs none,
 * drops the answer "nobody listens" and does not say to which request. The thread only copies.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "../base/time.h"

#include "door.h"
#include "wire_inside.h"

#include "../base/banned.h"

#define UNSENT_MAX  (256 << 10) /* bytes in the buffer of libnats */
#define GOODBYE_MAX TIME_SECOND

struct session {
	struct wire *wire;
	natsConnection *nats;
	natsSubscription *subscriptions[1 + WIRE_SUBS_MAX];
	size_t n_subscriptions;
	bool wants_read, wants_write;
	bool said_goodbye;
	_Atomic bool goodbye_came;
	char denied[256]; /* the last thing denied: said once */

	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t ended;
	bool delivers; /* the thread of the inbox lives */
};

/* --- What came ------------------------------------------------------------------------------- */

/* Host and port, from an address with a user in front. */
static void tell_up(struct session *s)
{
	char url[512] = "", clean[512];
	door.natsConnection_GetConnectedUrl(s->nats, url, sizeof(url));
	const char *host = strstr(url, "://"), *at = strrchr(url, '@');
	host = at ? at + 1 : host ? host + 3 : url;
	door_clean(host, clean, sizeof(clean));
	wire_hand_over(s->wire, &(struct wire_in){ .kind = WIRE_UP, .text = slice_of(clean) });
}

static struct slice header(natsMsg *message, const char *name)
{
	const char *value = NULL;
	if (door.natsMsgHeader_Get(message, name, &value) != NATS_OK)
		value = NULL;
	return slice_of(value);
}

static void take_message(struct session *s, size_t source, natsMsg *message)
{
	struct wire_in in = { .kind = WIRE_MESSAGE,
		.source = source,
		.subject = slice_of(door.natsMsg_GetSubject(message)),
		.reply = slice_of(door.natsMsg_GetReply(message)),
		.text = header(message, "Description"),
		.id = header(message, "Nats-Msg-Id"),
		.data = { door.natsMsg_GetData(message),
			(size_t)door.natsMsg_GetDataLength(message) } };
	uint64_t code;
	if (slice_u64(header(message, "Status"), &code) && code < 1000)
		in.code = (int)code;
	wire_hand_over(s->wire, &in);
	door.natsMsg_Destroy(message);
}

/* In the library's thread. */
static void on_message(
	natsConnection *nats, natsSubscription *subscription, natsMsg *message, void *context)
{
	struct session *s = context;
	size_t inbox = strlen(s->wire->inbox);
	const char *subject = door.natsMsg_GetSubject(message);
	(void)nats;
	(void)subscription;
	if (strlen(subject) > inbox && strcmp(subject + inbox, ".goodbye") == 0) {
		atomic_store(&s->goodbye_came, true);
		door.natsMsg_Destroy(message);
		wire_ring(s->wire->wake);
		return;
	}
	take_message(s, 0, message);
}

/* The last thing that thread does with the session. */
static void on_end(void *context)
{
	struct session *s = context;
	pthread_mutex_lock(&s->mutex);
	s->delivers = false;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->mutex);
}

static void take_messages(struct session *s)
{
	for (size_t i = 1; i < s->n_subscriptions; i++) {
		natsMsg *message = NULL;
		natsStatus code = NATS_OK;
		while (code == NATS_OK || code == NATS_NO_RESPONDERS) {
			code = door.natsSubscription_NextMsg(&message, s->subscriptions[i], 0);
			if (code == NATS_OK)
				take_message(s, i, message);
		}
	}
}

/* What the server complained of since it was last looked at. */
static void take_complaints(struct session *s)
{
	const char *text = NULL;
	char clean[sizeof(s->denied)];
	if (door.natsConnection_GetLastError(s->nats, &text) != NATS_NOT_PERMITTED)
		return;
	door_clean(text, clean, sizeof(clean));
	if (strcmp(clean, s->denied) == 0)
		return;
	memcpy(s->denied, clean, sizeof(clean));
	wire_hand_over(s->wire,
		&(struct wire_in){
			.kind = WIRE_DENIED, .status = LEDGER_REFUSED, .text = slice_of(clean) });
}

/* --- The event loop that libnats sees; it calls these in our thread -------------------------- */

static void set_socket(struct session *s, int socket)
{
	pthread_mutex_lock(&s->wire->mutex);
	s->wire->socket = socket;
	pthread_mutex_unlock(&s->wire->mutex);
}

static natsStatus attach(void **data, void *loop, natsConnection *nats, natsSock socket)
{
	struct session *s = loop;
	(void)nats;
	*data = s;
	s->wants_read = true;
	set_socket(s, socket);
	return NATS_OK;
}

/* Removing it is the last call before the socket is closed: wire_cut must not touch the number from
 * here on. */
static natsStatus want_read(void *data, bool add)
{
	struct session *s = data;
	s->wants_read = add;
	if (!add)
		set_socket(s, -1);
	return NATS_OK;
}

static natsStatus want_write(void *data, bool add)
{
	struct session *s = data;
	s->wants_write = add;
	return NATS_OK;
}

static natsStatus detach(void *data)
{
	return want_read(data, false);
}

/* --- Sending --------------------------------------------------------------------------------- */

static natsStatus send_plain(struct session *s, const struct wire_out *out)
{
	int n = (int)out->data.len;
	return out->reply.ptr
		       ? door.natsConnection_PublishRequest(
				 s->nats, out->subject.ptr, out->reply.ptr, out->data.ptr, n)
		       : door.natsConnection_Publish(s->nats, out->subject.ptr, out->data.ptr, n);
}

static natsStatus send_packet(struct session *s, const struct wire_out *out)
{
	natsMsg *message = NULL;
	if (out->n_headers == 0)
		return send_plain(s, out);
	natsStatus code = door.natsMsg_Create(
		&message, out->subject.ptr, out->reply.ptr, out->data.ptr, (int)out->data.len);
	for (size_t i = 0; code == NATS_OK && i < out->n_headers; i++)
		code = door.natsMsgHeader_Set(
			message, out->headers[i].name, out->headers[i].value.ptr);
	if (code == NATS_OK)
		code = door.natsConnection_PublishMsg(s->nats, message);
	door.natsMsg_Destroy(message);
	return code;
}

static void tell_unsent(struct session *s, const struct wire_out *out, natsStatus code)
{
	struct ledger_error err;
	door_fail_nats(code, door.nats_GetLastError(NULL), &s->wire->options, &err);
	wire_hand_over(s->wire, &(struct wire_in){ .kind = WIRE_UNSENT,
					.status = err.status,
					.reply = out->reply,
					.text = slice_of(err.text) });
}

static natsStatus subscribe_inbox(struct session *s)
{
	char pattern[SUBJECT_MAX + 2];
	natsSubscription *inbox = NULL;
	stpcpy(stpcpy(pattern, s->wire->inbox), ".>");
	natsStatus code = door.natsConnection_Subscribe(&inbox, s->nats, pattern, on_message, s);
	if (code != NATS_OK)
		return code;
	s->subscriptions[s->n_subscriptions++] = inbox;
	s->delivers = true;
	code = door.natsSubscription_SetOnCompleteCB(inbox, on_end, s);
	return code == NATS_OK ? door.natsSubscription_SetPendingLimits(inbox, -1, -1) : code;
}

/* Subscriptions that the daemon asked for since. */
static natsStatus subscribe(struct session *s)
{
	natsStatus code = s->n_subscriptions == 0 ? subscribe_inbox(s) : NATS_OK;
	pthread_mutex_lock(&s->wire->mutex);
	size_t wanted = 1 + s->wire->n_patterns;
	pthread_mutex_unlock(&s->wire->mutex);
	while (code == NATS_OK && s->n_subscriptions < wanted) {
		/* Patterns are only ever added: those below the number stay as they are. */
		const char *pattern = s->wire->patterns[s->n_subscriptions - 1];
		natsSubscription *made = NULL;
		code = door.natsConnection_SubscribeSync(&made, s->nats, pattern);
		if (code != NATS_OK)
			return code;
		s->subscriptions[s->n_subscriptions++] = made;
		/* Bounded by WIRE_IN_MAX: what is read is taken at once. */
		code = door.natsSubscription_SetPendingLimits(made, -1, -1);
	}
	return code;
}

/* From our queue to libnats' buffer, as far as that should go. */
static void send_queued(struct session *s)
{
	while (door.natsConnection_Buffered(s->nats) < UNSENT_MAX) {
		struct packet *p = wire_next_packet(s->wire);
		if (!p)
			break;
		natsStatus code = send_packet(s, &p->out);
		if (code != NATS_OK && p->out.reply.ptr)
			tell_unsent(s, &p->out, code);
		free(p);
	}
}

/* --- Open and close -------------------------------------------------------------------------- */

enum ledger_status session_check(const struct link_options *options, struct ledger_error *err)
{
	natsOptions *nats = NULL;
	TRY(door_options(&nats, options, err));
	door.natsOptions_Destroy(nats);
	return LEDGER_OK;
}

static enum ledger_status connect_to(struct session *s, struct ledger_error *err)
{
	natsOptions *options = NULL;
	TRY(door_options(&options, &s->wire->options, err));
	natsStatus code =
		door.natsOptions_SetEventLoop(options, s, attach, want_read, want_write, detach);
	if (code == NATS_OK)
		code = door.natsConnection_Connect(&s->nats, options);
	door.natsOptions_Destroy(options);
	return code == NATS_OK ? LEDGER_OK
			       : door_fail_connect(code, door.nats_GetLastError(NULL),
					 &s->wire->options, err);
}

static void free_session(struct session *s)
{
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->ended);
	free(s);
}

enum ledger_status session_open(struct session **out, struct wire *w, struct ledger_error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	s->wire = w;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->ended, NULL);
	enum ledger_status status = connect_to(s, err);
	if (status != LEDGER_OK)
		free_session(s);
	else
		*out = s;
	return status;
}

/* Subscriptions are freed when nothing is delivered any more: 3.4.1 does not bear it earlier. */
void session_close(struct session *s)
{
	door.natsConnection_Close(s->nats);
	pthread_mutex_lock(&s->mutex);
	while (s->delivers)
		pthread_cond_wait(&s->ended, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	for (size_t i = 0; i < s->n_subscriptions; i++)
		door.natsSubscription_Destroy(s->subscriptions[i]);
	door.natsConnection_Destroy(s->nats);
	free_session(s);
}

void session_leave_thread(void)
{
	door.nats_ReleaseThreadMemory();
}

/* --- While the connection lasts -------------------------------------------------------------- */

/* A message to ourselves behind all that is left: when it is back, everything has arrived. */
static bool has_said_goodbye(struct session *s, uint64_t *deadline)
{
	char subject[SUBJECT_MAX + 16];
	uint64_t now = time_monotonic();
	if (!*deadline)
		*deadline = now + GOODBYE_MAX;
	pthread_mutex_lock(&s->wire->mutex);
	bool empty = !s->wire->out;
	pthread_mutex_unlock(&s->wire->mutex);
	if (empty && !s->said_goodbye) {
		stpcpy(stpcpy(subject, s->wire->inbox), ".goodbye");
		s->said_goodbye = door.natsConnection_Publish(s->nats, subject, "", 0) == NATS_OK;
	}
	return atomic_load(&s->goodbye_came) || now > *deadline;
}

static void note_limits(struct session *s)
{
	int64_t max = door.natsConnection_GetMaxPayload(s->nats);
	atomic_store(&s->wire->max_payload, max > 0 ? (size_t)max : 0);
}

static void read_some(struct session *s)
{
	door.natsConnection_ProcessReadEvent(s->nats);
	atomic_store(&s->wire->heard, time_monotonic());
	note_limits(s);
	take_messages(s);
	take_complaints(s);
}

/* Is there room for more, in the daemon's queue and on the way there? */
static bool has_room(struct session *s)
{
	int messages = 0, bytes = 0;
	door.natsSubscription_GetPending(s->subscriptions[0], &messages, &bytes);
	return atomic_load(&s->wire->in_bytes) + (size_t)bytes < WIRE_IN_MAX;
}

/* What the daemon is late with is looked at again soon; all else rings. */
static int patience(struct session *s, bool room)
{
	return wire_stopping(s->wire) ? 20 : room ? -1 : 100;
}

/* One turn: send, wait, read, write. False when the connection is over. */
static bool turn(struct session *s)
{
	struct pollfd fds[2] = { { .fd = s->wire->wake, .events = POLLIN },
		{ .fd = s->wire->socket } };
	if (subscribe(s) != NATS_OK || fds[1].fd < 0)
		return false;
	send_queued(s);
	bool room = has_room(s);
	if (s->wants_read && room)
		fds[1].events |= POLLIN;
	if (s->wants_write)
		fds[1].events |= POLLOUT;
	if (poll(fds, 2, patience(s, room)) < 0 && errno != EINTR)
		return false;
	/* Not reading is our doing: the server is not silent. */
	if (!room)
		atomic_store(&s->wire->heard, time_monotonic());
	if (fds[0].revents)
		wire_hush(s->wire->wake);
	if (fds[1].revents & (POLLERR | POLLHUP) && !room)
		return false;
	if (fds[1].revents & (POLLIN | POLLERR | POLLHUP))
		read_some(s);
	if (fds[1].revents & POLLOUT && !door.natsConnection_IsClosed(s->nats))
		door.natsConnection_ProcessWriteEvent(s->nats);
	return !door.natsConnection_IsClosed(s->nats);
}

void session_serve(struct session *s, struct ledger_error *err)
{
	uint64_t deadline = 0;
	const char *theirs = NULL;
	atomic_store(&s->wire->heard, time_monotonic());
	note_limits(s);
	tell_up(s);
	while (turn(s))
		if (wire_stopping(s->wire) && has_said_goodbye(s, &deadline))
			break;
	natsStatus code = door.natsConnection_GetLastError(s->nats, &theirs);
	if (code == NATS_OK || code == NATS_NOT_PERMITTED) {
		code = NATS_CONNECTION_CLOSED;
		theirs = NULL;
	}
	door_fail_nats(code, theirs, &s->wire->options, err);
}
