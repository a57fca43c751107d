/* The wire's queues, its thread from first to last, and the daemon's side of it. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/file.h"
#include "../base/time.h"

#include "wire_inside.h"

#include "../base/banned.h"

#define RETRY_MIN UINT64_C(250000)
#define STABLE	  (5 * TIME_SECOND) /* up so long: the next failure is the first again */

/* --- Both sides ------------------------------------------------------------------------------ */

static void lock(struct wire *w)
{
	pthread_mutex_lock(&w->mutex);
}

static void unlock(struct wire *w)
{
	pthread_mutex_unlock(&w->mutex);
}

void wire_ring(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void wire_hush(int fd)
{
	uint64_t count;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void drop_out(struct wire *w)
{
	for (struct packet *p = w->out, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	w->out = NULL;
	w->out_end = &w->out;
	w->out_bytes = 0;
}

static void destroy(struct wire *w)
{
	drop_out(w);
	for (struct wire_in *in = w->in, *next; in; in = next) {
		next = in->next;
		free(in);
	}
	file_close(&w->wake);
	file_close(&w->ready);
	pthread_mutex_destroy(&w->mutex);
	arena_done(&w->arena);
	free(w);
}

static void leave(struct wire *w)
{
	lock(w);
	bool last = --w->owners == 0;
	unlock(w);
	if (last)
		destroy(w);
}

/* --- What the thread hands over -------------------------------------------------------------- */

static struct slice put(char **to, struct slice s)
{
	if (!s.ptr)
		return s;
	struct slice copy = { *to, s.len };
	*to = mempcpy(*to, s.ptr, s.len);
	*(*to)++ = '\0';
	return copy;
}

void wire_hand_over(struct wire *w, const struct wire_in *from)
{
	size_t size = sizeof(*from) + from->subject.len + from->reply.len + from->text.len +
		      from->id.len + from->data.len + 5;
	struct wire_in *in = malloc(size);
	if (!in) {
		/* A hole among messages would be acknowledged with what comes behind it. */
		wire_cut(w, "out of memory");
		return;
	}
	char *to = (char *)(in + 1);
	*in = *from;
	in->next = NULL;
	in->size = size;
	in->subject = put(&to, from->subject);
	in->reply = put(&to, from->reply);
	in->text = put(&to, from->text);
	in->id = put(&to, from->id);
	in->data = put(&to, from->data);
	atomic_fetch_add(&w->in_bytes, size);
	lock(w);
	*w->in_end = in;
	w->in_end = &in->next;
	unlock(w);
	wire_ring(w->ready);
}

static void tell_down(struct wire *w, const struct ledger_error *err, uint64_t retry)
{
	wire_hand_over(w, &(struct wire_in){ .kind = WIRE_DOWN,
				  .status = err->status,
				  .number = retry,
				  .text = slice_of(err->text) });
}

struct packet *wire_next_packet(struct wire *w)
{
	lock(w);
	struct packet *p = w->out;
	if (p) {
		w->out = p->next;
		w->out_bytes -= p->size;
		if (!w->out)
			w->out_end = &w->out;
	}
	unlock(w);
	return p;
}

/* --- The thread ------------------------------------------------------------------------------ */

bool wire_stopping(struct wire *w)
{
	lock(w);
	bool stop = w->stop;
	unlock(w);
	return stop;
}

static void set_up(struct wire *w, bool up)
{
	lock(w);
	w->up = up;
	if (up)
		w->cut = NULL;
	else
		drop_out(w);
	unlock(w);
}

/* Twice as long after each failure, up to the limit, and between half and all of that by chance: many
 * nodes that lost one server do not come back in one moment. */
static uint64_t retry_delay(const struct wire *w, unsigned failures)
{
	uint16_t chance = 0;
	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = 0;
	uint64_t delay = RETRY_MIN << (failures < 16 ? failures : 16);
	if (delay > w->options.retry_max)
		delay = w->options.retry_max;
	return delay / 2 + delay / 2 * chance / UINT16_MAX;
}

static void wait_until(struct wire *w, uint64_t moment)
{
	for (uint64_t now; !wire_stopping(w) && (now = time_monotonic()) < moment;) {
		struct pollfd fd = { .fd = w->wake, .events = POLLIN };
		if (poll(&fd, 1, (int)((moment - now) / 1000) + 1) > 0)
			wire_hush(w->wake);
	}
}

/* Why it is over, where that was our own doing. */
static void name_cut(struct wire *w, struct ledger_error *err)
{
	lock(w);
	const char *cut = w->cut;
	unlock(w);
	if (cut)
		fail(err, LEDGER_UNREACHABLE, "cluster %s: %s", w->options.cluster, cut);
}

static void *run(void *context)
{
	struct wire *w = context;
	struct ledger_error err;
	unsigned failures = 0;
	while (!wire_stopping(w)) {
		uint64_t began = time_monotonic();
		struct session *session = NULL;
		bool connected = session_open(&session, w, &err) == LEDGER_OK;
		if (connected) {
			set_up(w, true);
			session_serve(session, &err);
			set_up(w, false);
			session_close(session);
			name_cut(w, &err);
		}
		if (wire_stopping(w))
			break;
		if (connected && time_monotonic() - began > STABLE)
			failures = 0;
		uint64_t delay = retry_delay(w, failures++);
		tell_down(w, &err, delay);
		wait_until(w, time_monotonic() + delay);
	}
	session_leave_thread();
	leave(w);
	return NULL;
}

/* --- The daemon's side ----------------------------------------------------------------------- */

static const char *copy_text(struct wire *w, const char *text)
{
	return text ? arena_copy(&w->arena, slice_of(text)).ptr : NULL;
}

static bool copy_options(struct wire *w, const struct link_options *o)
{
	const char **urls = arena_array(&w->arena, o->n_urls ? o->n_urls : 1, sizeof(*urls));
	const char **texts[] = { &w->options.cluster, &w->options.node, &w->options.credentials,
		&w->options.nkey, &w->options.user, &w->options.password_file,
		&w->options.token_file, &w->options.tls_ca, &w->options.tls_cert,
		&w->options.tls_key, &w->options.tls_hostname };
	bool all = urls != NULL;
	w->options = *o;
	for (size_t i = 0; all && i < o->n_urls; i++)
		all = (urls[i] = copy_text(w, o->urls[i])) != NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = *texts[i];
		*texts[i] = copy_text(w, text);
		all = all && (*texts[i] || !text);
	}
	w->options.urls = urls;
	return all;
}

static enum ledger_status start_thread(struct wire *w, struct ledger_error *err)
{
	TRY(session_check(&w->options, err));
	w->owners = 2;
	errno = pthread_create(&w->thread, NULL, run, w);
	return errno ? fail_errno(err, "cannot start a thread") : LEDGER_OK;
}

static enum ledger_status start(struct wire *w, struct ledger_error *err)
{
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake < 0 || w->ready < 0)
		return fail_errno(err, "cannot make an event counter");
	/* Signals are for the daemon's own thread, not for ours or those that libnats makes. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	enum ledger_status status = start_thread(w, err);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return status;
}

enum ledger_status wire_open(struct wire **out, const struct link_options *options,
	const char *inbox, struct ledger_error *err)
{
	struct wire *w = calloc(1, sizeof(*w));
	if (!w)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	pthread_mutex_init(&w->mutex, NULL);
	w->wake = w->ready = w->socket = -1;
	w->out_end = &w->out;
	w->in_end = &w->in;
	stpncpy(w->inbox, inbox, SUBJECT_MAX - 1);
	enum ledger_status status = LEDGER_NO_MEMORY;
	if (!copy_options(w, options))
		fail(err, status, "out of memory");
	else
		status = start(w, err);
	if (status != LEDGER_OK)
		destroy(w);
	else
		*out = w;
	return status;
}

static void cut_socket(struct wire *w)
{
	lock(w);
	if (w->socket >= 0)
		shutdown(w->socket, SHUT_RDWR);
	unlock(w);
	wire_ring(w->wake);
}

static bool join_within(struct wire *w, time_t seconds)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	return pthread_timedjoin_np(w->thread, NULL, &until) == 0;
}

/* A thread that hangs in a handshake cannot be ended: it is left behind and frees the rest itself. */
void wire_close(struct wire *w)
{
	if (!w)
		return;
	lock(w);
	w->stop = true;
	unlock(w);
	wire_ring(w->wake);
	bool ended = join_within(w, 2);
	if (!ended) {
		cut_socket(w);
		ended = join_within(w, 3);
	}
	if (!ended)
		pthread_detach(w->thread);
	leave(w);
}

int wire_fd(const struct wire *w)
{
	return w->ready;
}

struct wire_in *wire_take(struct wire *w)
{
	wire_hush(w->ready);
	lock(w);
	struct wire_in *in = w->in;
	w->in = NULL;
	w->in_end = &w->in;
	unlock(w);
	return in;
}

void wire_freed(struct wire *w, size_t bytes)
{
	size_t before = atomic_fetch_sub(&w->in_bytes, bytes);
	if (before >= WIRE_IN_MAX && before - bytes < WIRE_IN_MAX)
		wire_ring(w->wake);
}

static struct packet *make_packet(const struct wire_out *out)
{
	size_t size = sizeof(struct packet) + out->subject.len + out->reply.len + out->data.len + 3;
	for (size_t i = 0; i < out->n_headers; i++)
		size += out->headers[i].value.len + 1;
	struct packet *p = malloc(size);
	if (!p)
		return NULL;
	char *to = (char *)(p + 1);
	p->next = NULL;
	p->size = size;
	p->out = *out;
	p->out.subject = put(&to, out->subject);
	p->out.reply = put(&to, out->reply);
	p->out.data = put(&to, out->data.ptr ? out->data : (struct slice){ "", 0 });
	for (size_t i = 0; i < out->n_headers; i++)
		p->out.headers[i].value = put(&to, out->headers[i].value);
	return p;
}

enum ledger_status wire_send(struct wire *w, const struct wire_out *out, struct ledger_error *err)
{
	struct packet *p = make_packet(out);
	if (!p)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	lock(w);
	bool up = w->up, room = w->out_bytes == 0 || w->out_bytes + p->size <= WIRE_OUT_MAX;
	if (up && room) {
		*w->out_end = p;
		w->out_end = &p->next;
		w->out_bytes += p->size;
	}
	unlock(w);
	if (up && room) {
		wire_ring(w->wake);
		return LEDGER_OK;
	}
	free(p);
	if (!up)
		return fail(
			err, LEDGER_UNREACHABLE, "cluster %s: not connected", w->options.cluster);
	return fail(err, LEDGER_BUSY, "cluster %s: too much waits to be sent", w->options.cluster);
}

enum ledger_status wire_subscribe(struct wire *w, const char *pattern, struct ledger_error *err)
{
	lock(w);
	bool room = w->n_patterns < WIRE_SUBS_MAX;
	if (room)
		stpncpy(w->patterns[w->n_patterns++], pattern, SUBJECT_MAX - 1);
	unlock(w);
	if (!room)
		return fail(err, LEDGER_BUSY, "more than %d subscriptions", WIRE_SUBS_MAX);
	wire_ring(w->wake);
	return LEDGER_OK;
}

void wire_cut(struct wire *w, const char *why)
{
	lock(w);
	w->cut = why;
	unlock(w);
	cut_socket(w);
}

size_t wire_max_payload(const struct wire *w)
{
	return atomic_load(&w->max_payload);
}

uint64_t wire_heard(const struct wire *w)
{
	return atomic_load(&w->heard);
}
