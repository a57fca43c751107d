/* The link: what comes from the wire is turned into events; clocks are looked at when nothing comes. */
#include "link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../base/file.h"
#include "../base/time.h"

#include "state.h"

#include "../base/banned.h"

/* --- Open and close -------------------------------------------------------------------------- */

static enum ledger_status make_inbox(
	struct link *l, const struct link_options *options, struct ledger_error *err)
{
	uint64_t random[2];
	if (!slice_is_token(slice_of(options->node)))
		return fail(err, LEDGER_USAGE, "node '%s' is not a token", options->node);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "the kernel gives no random bytes");
	snprintf(l->inbox, sizeof(l->inbox), "_INBOX.%s.%016" PRIx64 "%016" PRIx64, options->node,
		random[0], random[1]);
	return LEDGER_OK;
}

static enum ledger_status watch(int poll, int fd, struct ledger_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };
	return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) ? fail_errno(err, "cannot poll")
							  : LEDGER_OK;
}

static enum ledger_status start(
	struct link *l, const struct link_options *options, struct ledger_error *err)
{
	TRY(make_inbox(l, options, err));
	l->poll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->poll < 0 || l->timer < 0)
		return fail_errno(err, "cannot make a timer");
	TRY(watch(l->poll, l->timer, err));
	TRY(wire_open(&l->wire, options, l->inbox, err));
	return watch(l->poll, wire_fd(l->wire), err);
}

enum ledger_status link_open(
	struct link **out, const struct link_options *given, struct ledger_error *err)
{
	struct link_options options = *given;
	struct link *l = calloc(1, sizeof(*l));
	if (!l)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (!options.timeout)
		options.timeout = 5 * TIME_SECOND;
	if (!options.retry_max)
		options.retry_max = 30 * TIME_SECOND;
	if (!options.keepalive)
		options.keepalive = 10 * TIME_SECOND;
	l->timeout = options.timeout;
	l->keepalive = options.keepalive;
	l->poll = l->timer = -1;
	l->first_free = UINT32_MAX;
	l->next_deadline = UINT64_MAX;
	l->cluster = strdup(options.cluster);
	enum ledger_status status =
		l->cluster ? start(l, &options, err) : fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (status != LEDGER_OK)
		link_close(l);
	else
		*out = l;
	return status;
}

static void free_in(struct link *l, struct wire_in *in)
{
	if (!in)
		return;
	wire_freed(l->wire, in->size);
	free(in);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	free_in(l, l->current);
	while (l->taken) {
		struct wire_in *in = l->taken;
		l->taken = in->next;
		free_in(l, in);
	}
	wire_close(l->wire);
	for (uint32_t i = 0; i < l->n_calls; i++)
		free(l->calls[i].body);
	free(l->calls);
	buf_done(&l->scratch);
	file_close(&l->poll);
	file_close(&l->timer);
	free(l->cluster);
	free(l);
}

int link_fd(const struct link *l)
{
	return l->poll;
}

bool link_is_up(const struct link *l)
{
	return l->up;
}

size_t link_max_payload(const struct link *l)
{
	/* Headers count too: what ours need, and some more. */
	size_t max = wire_max_payload(l->wire);
	return max > 1024 ? max - 1024 : max;
}

size_t link_waiting(const struct link *l)
{
	return l->used;
}

/* --- Plain messages -------------------------------------------------------------------------- */

enum ledger_status link_publish(
	struct link *l, struct slice subject, struct slice data, struct ledger_error *err)
{
	size_t max = wire_max_payload(l->wire);
	if (!subject_is_valid(subject, false))
		return fail(err, LEDGER_INVALID, "not a subject to publish to");
	if (max && data.len > max)
		return fail(err, LEDGER_INVALID, "a message of %zu bytes, the server takes %zu",
			data.len, max);
	return wire_send(l->wire, &(struct wire_out){ .subject = subject, .data = data }, err);
}

enum ledger_status link_subscribe(
	struct link *l, struct slice pattern, uint64_t tag, struct ledger_error *err)
{
	char text[SUBJECT_MAX];
	if (!subject_is_valid(pattern, true))
		return fail(err, LEDGER_INVALID, "not a subject to subscribe to");
	if (l->n_subscriptions == SUBSCRIPTIONS_MAX)
		return fail(err, LEDGER_BUSY, "more than %d subscriptions", SUBSCRIPTIONS_MAX);
	memcpy(text, pattern.ptr, pattern.len);
	text[pattern.len] = '\0';
	TRY(wire_subscribe(l->wire, text, err));
	l->subscription_tags[l->n_subscriptions++] = tag;
	return LEDGER_OK;
}

/* --- Events ---------------------------------------------------------------------------------- */

/* What is behind "<inbox>." in a subject. */
static bool is_in_inbox(const struct link *l, struct slice subject, struct slice *rest)
{
	struct slice inbox = slice_of(l->inbox);
	if (!slice_starts(subject, inbox) || subject.len <= inbox.len + 1 ||
		subject.ptr[inbox.len] != '.')
		return false;
	*rest = slice_from(subject, inbox.len + 1);
	return true;
}

/* Messages of the inbox: stored ones keep the subject they were published with. */
static bool take_inbox(struct link *l, const struct wire_in *in, struct link_event *event)
{
	struct slice rest;
	if (!is_in_inbox(l, in->subject, &rest))
		return pull_message(l, in, event);
	if (slice_is(rest, "echo")) {
		l->asked = 0;
		return false;
	}
	if (rest.ptr[0] == 'p')
		return pull_status(l, slice_from(rest, 1), in, event);
	struct call *call = call_of(l, rest);
	return call && call_answer(l, call, in, event);
}

static bool take_message(struct link *l, const struct wire_in *in, struct link_event *event)
{
	if (in->source == 0)
		return take_inbox(l, in, event);
	if (in->source > l->n_subscriptions)
		return false;
	event->kind = LINK_MESSAGE;
	event->tag = l->subscription_tags[in->source - 1];
	event->subject = in->subject;
	event->reply = in->reply;
	event->data = in->data;
	event->id = in->id;
	return true;
}

static bool take_unsent(struct link *l, const struct wire_in *in, struct link_event *event)
{
	struct slice rest;
	if (!is_in_inbox(l, in->reply, &rest) || rest.ptr[0] == 'p')
		return false;
	struct call *call = call_of(l, rest);
	if (!call)
		return false;
	call_give_up(l, call, in->status, in->text.ptr, event);
	return true;
}

static bool take(struct link *l, const struct wire_in *in, struct link_event *event)
{
	event->status = in->status;
	event->text = in->text;
	event->number = in->number;
	switch (in->kind) {
	case WIRE_UP:
		event->kind = LINK_UP;
		l->up = true;
		l->asked = 0;
		return true;
	case WIRE_DOWN:
		event->kind = LINK_DOWN;
		l->up = false;
		l->failing = true;
		pull_connection_lost(l);
		return true;
	case WIRE_DENIED:
		event->kind = LINK_DENIED;
		return true;
	case WIRE_UNSENT:
		return take_unsent(l, in, event);
	case WIRE_MESSAGE:
		event->status = LEDGER_OK;
		event->text = (struct slice){ NULL, 0 };
		event->number = 0;
		return take_message(l, in, event);
	}
	return false;
}

/* The connection was lost: calls are told before anything that came after it. */
static bool fail_next(struct link *l, struct link_event *event)
{
	struct call *call = l->failing ? call_overdue(l, UINT64_MAX) : NULL;
	l->failing = call != NULL;
	if (!call)
		return false;
	call_give_up(
		l, call, LEDGER_UNREACHABLE, "the connection was lost before the answer", event);
	return true;
}

static bool take_next(struct link *l, struct link_event *event)
{
	if (!l->taken)
		l->taken = wire_take(l->wire);
	while (l->taken) {
		struct wire_in *in = l->taken;
		l->taken = in->next;
		*event = (struct link_event){ .kind = LINK_UP };
		if (take(l, in, event)) {
			l->current = in;
			return true;
		}
		free_in(l, in);
		if (!l->taken)
			l->taken = wire_take(l->wire);
	}
	return false;
}

/* --- Clocks ---------------------------------------------------------------------------------- */

/* A server that was stopped, or a network that swallows: TCP says nothing for a quarter of an hour. */
static void keep_alive(struct link *l, uint64_t now)
{
	char subject[sizeof(l->inbox) + 8];
	struct ledger_error err;
	uint64_t heard = wire_heard(l->wire);
	if (!l->up)
		return;
	if (l->asked && heard > l->asked)
		l->asked = 0;
	if (l->asked && now > l->asked + 2 * l->keepalive) {
		wire_cut(l->wire, "the server has not answered for too long");
		l->asked = 0;
	}
	if (l->asked || now < heard + l->keepalive)
		return;
	snprintf(subject, sizeof(subject), "%s.echo", l->inbox);
	wire_send(l->wire, &(struct wire_out){ .subject = slice_of(subject) }, &err);
	l->asked = now;
}

static bool look_at_clocks(struct link *l, struct link_event *event)
{
	uint64_t now = time_monotonic();
	struct call *call = call_overdue(l, now);
	*event = (struct link_event){ .kind = LINK_UP };
	if (call) {
		call_give_up(l, call, LEDGER_TIMED_OUT, "no answer in time", event);
		return true;
	}
	keep_alive(l, now);
	return pull_turn(l, now, event);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void set_timer(struct link *l)
{
	uint64_t moment = least(l->next_deadline, pull_next_deadline(l));
	struct itimerspec spec = { .it_value = { 0, 0 } };
	if (l->up)
		moment = least(moment, l->asked ? l->asked + 2 * l->keepalive + 1
						: wire_heard(l->wire) + l->keepalive + 1);
	if (moment != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(moment / TIME_SECOND);
		spec.it_value.tv_nsec = (long)(moment % TIME_SECOND * 1000 + 1);
	}
	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

bool link_next(struct link *l, struct link_event *event)
{
	free_in(l, l->current);
	l->current = NULL;
	*event = (struct link_event){ .kind = LINK_UP };
	pull_refill(l);
	if (call_finish(l, event) || fail_next(l, event) || take_next(l, event) ||
		look_at_clocks(l, event))
		return true;
	set_timer(l);
	return false;
}
