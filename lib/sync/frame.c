#include "frame.h"

#include <inttypes.h>
#include <stdio.h>

#include "../event/line.h"

#include "../base/banned.h"

/* --- Writing --------------------------------------------------------------------------------- */

static void keep_name(char out[65], struct slice name)
{
	size_t n = name.len < 64 ? name.len : 64;
	memcpy(out, name.ptr, n);
	out[n] = '\0';
}

static bool continues(const struct frame *frame, const struct event *event)
{
	return event->sequence == frame->last + 1 && event->epoch == frame->epoch &&
	       slice_is(event->origin, frame->origin) && slice_is(event->domain, frame->domain);
}

/* What the line made of the frame; one event alone is sent however large, if the server takes it. */
static enum frame_outcome judge(const struct frame *frame)
{
	if (frame->lines.failed)
		return FRAME_NO_MEMORY;
	bool fits = frame->limit == 0 || frame->lines.len <= frame->limit;
	if (frame->events == 0)
		return fits ? FRAME_ADDED : FRAME_TOO_LARGE;
	return fits && frame->lines.len <= FRAME_BYTES ? FRAME_ADDED : FRAME_FULL;
}

enum frame_outcome frame_add(struct frame *frame, const struct event *event)
{
	if (frame->events > 0 && !continues(frame, event))
		return FRAME_OTHER;
	if (frame->events == FRAME_EVENTS_MAX)
		return FRAME_FULL;
	struct event sent = *event;
	size_t before = frame->lines.len;
	sent.position = 0;
	event_add_line(&frame->lines, &sent);
	buf_add_char(&frame->lines, '\n');
	enum frame_outcome outcome = judge(frame);
	if (outcome != FRAME_ADDED) {
		frame->lines.len = before;
		frame->lines.failed = false;
		return outcome;
	}
	if (frame->events++ == 0) {
		frame->first = event->sequence;
		frame->epoch = event->epoch;
		keep_name(frame->origin, event->origin);
		keep_name(frame->domain, event->domain);
	}
	frame->last = event->sequence;
	memcpy(frame->hash, event->hash, EVENT_HASH_SIZE);
	return FRAME_ADDED;
}

void frame_reset(struct frame *frame)
{
	frame->events = 0;
	buf_reset(&frame->lines);
}

void frame_done(struct frame *frame)
{
	buf_done(&frame->lines);
	frame->events = 0;
}

void frame_id(const struct frame *frame, uint64_t round, char out[FRAME_ID_MAX])
{
	const uint8_t *h = frame->hash;
	int n = snprintf(out, FRAME_ID_MAX,
		"%s/%" PRIu64 "/%s/%" PRIu64 "-%" PRIu64 "/%02x%02x%02x%02x%02x%02x%02x%02x",
		frame->origin, frame->epoch, frame->domain, frame->first, frame->last, h[0], h[1],
		h[2], h[3], h[4], h[5], h[6], h[7]);
	if (round)
		snprintf(out + n, FRAME_ID_MAX - (size_t)n, "/r%" PRIu64, round);
}

/* --- Reading --------------------------------------------------------------------------------- */

void frame_reader_init(
	struct frame_reader *r, struct slice data, struct slice origin, struct slice domain)
{
	*r = (struct frame_reader){ .rest = data, .origin = origin, .domain = domain };
}

static enum ledger_status check_names(
	const struct frame_reader *r, const struct event *e, struct ledger_error *err)
{
	if (r->origin.ptr && !slice_eq(r->origin, e->origin))
		return fail(err, LEDGER_INVALID, "an event of origin %.*s among those of %.*s",
			SLICE_ARG(e->origin), SLICE_ARG(r->origin));
	if (r->domain.ptr && !slice_eq(r->domain, e->domain))
		return fail(err, LEDGER_INVALID, "an event of domain %.*s among those of %.*s",
			SLICE_ARG(e->domain), SLICE_ARG(r->domain));
	return LEDGER_OK;
}

static enum ledger_status check_place(
	const struct frame_reader *r, const struct event *e, struct ledger_error *err)
{
	if (r->events == 0)
		return LEDGER_OK;
	if (e->epoch != r->epoch)
		return fail(err, LEDGER_INVALID,
			"an event of epoch %" PRIu64 " among those of %" PRIu64, e->epoch,
			r->epoch);
	if (e->sequence != r->sequence + 1)
		return fail(err, LEDGER_INVALID,
			"sequence %" PRIu64 " stands where %" PRIu64 " should", e->sequence,
			r->sequence + 1);
	return LEDGER_OK;
}

enum ledger_status frame_read(
	struct frame_reader *r, struct arena *arena, struct event *event, struct ledger_error *err)
{
	struct slice line, rest;
	struct event read;
	if (r->rest.len == 0)
		return r->events ? LEDGER_NO : fail(err, LEDGER_INVALID, "an empty frame");
	if (r->events == FRAME_EVENTS_MAX)
		return fail(
			err, LEDGER_INVALID, "more than %d events in a frame", FRAME_EVENTS_MAX);
	if (!slice_cut(r->rest, '\n', &line, &rest))
		return fail(err, LEDGER_INVALID, "the last line is cut short");
	TRY(event_read_line(line, arena, &read, err));
	TRY(check_names(r, &read, err));
	TRY(check_place(r, &read, err));
	if (r->events++ == 0) {
		r->origin = read.origin;
		r->domain = read.domain;
	}
	r->epoch = read.epoch;
	r->sequence = read.sequence;
	r->line = line;
	r->rest = rest;
	*event = read;
	return LEDGER_OK;
}
