/* Frames: event lines of one chain in one message; subjects. */
#include "../../lib/sync/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/sync/subject.h"

#include "event_cases.h"

#include <cmocka.h>

static struct ledger_error err;
static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

/* A frame of events first to last. */
static void fill(struct frame *f, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		struct event e = sample_event(i);
		assert_int_equal(frame_add(f, &e), FRAME_ADDED);
	}
}

/* Reads a frame as that of a subject; returns how it ended. */
static enum ledger_status read_all(struct slice data, uint64_t *n, struct slice *rest)
{
	struct frame_reader r;
	struct event e;
	enum ledger_status status;
	*n = 0;
	arena_reset(&arena);
	frame_reader_init(&r, data, SLICE("store-a"), SLICE("inventory"));
	while ((status = frame_read(&r, &arena, &e, &err)) == LEDGER_OK)
		++*n;
	if (rest)
		*rest = r.rest;
	return status;
}

static void expect_bad(struct slice data, uint64_t good, const char *named)
{
	uint64_t n;
	assert_int_equal(read_all(data, &n, NULL), LEDGER_INVALID);
	assert_int_equal(n, good);
	if (!strstr(err.text, named))
		fail_msg("no '%s' in: %s", named, err.text);
}

static void what_was_framed_comes_back_in_order(void **state)
{
	struct frame f = { .limit = 1 << 20 };
	struct frame_reader r;
	struct event e;
	(void)state;
	fill(&f, 7, 20);
	assert_int_equal(f.first, 7);
	assert_int_equal(f.last, 20);
	frame_reader_init(&r, buf_slice(&f.lines), SLICE("store-a"), SLICE("inventory"));
	for (uint64_t i = 7; i <= 20; i++) {
		assert_int_equal(frame_read(&r, &arena, &e, &err), LEDGER_OK);
		assert_int_equal(e.sequence, i);
		assert_true(r.line.ptr[0] == '{' && r.line.ptr[r.line.len] == '\n');
	}
	assert_int_equal(frame_read(&r, &arena, &e, &err), LEDGER_NO);
	assert_int_equal(r.rest.len, 0);
	frame_done(&f);
}

static void a_position_is_never_sent(void **state)
{
	struct frame f = { 0 };
	struct event e = sample_event(1);
	(void)state;
	e.position = 17;
	assert_int_equal(frame_add(&f, &e), FRAME_ADDED);
	assert_null(strstr(buf_text(&f.lines), "position"));
	frame_done(&f);
}

static void a_frame_takes_so_many_events_and_no_more(void **state)
{
	struct frame f = { 0 };
	struct event e = sample_event(FRAME_EVENTS_MAX + 1);
	uint64_t n;
	(void)state;
	e.payload = SLICE("1");
	fill(&f, 1, FRAME_EVENTS_MAX);
	size_t before = f.lines.len;
	assert_int_equal(frame_add(&f, &e), FRAME_FULL);
	assert_int_equal(f.lines.len, before);
	assert_int_equal(f.last, FRAME_EVENTS_MAX);
	assert_int_equal(read_all(buf_slice(&f.lines), &n, NULL), LEDGER_NO);
	assert_int_equal(n, FRAME_EVENTS_MAX);
	/* One that somebody else made longer is not taken. */
	event_add_line(&f.lines, &e);
	buf_add_char(&f.lines, '\n');
	expect_bad(buf_slice(&f.lines), FRAME_EVENTS_MAX, "more than 256");
	frame_done(&f);
}

/* Splits a run of events with large payloads: every event goes out once, none in too large a message. */
static void what_is_too_much_for_one_message_is_split(void **state)
{
	static char payload[100000];
	struct frame f = { .limit = 250000 };
	uint64_t sent = 0, frames = 0, n;
	(void)state;
	memset(payload, '1', sizeof(payload));
	for (uint64_t i = 1; i <= 20;) {
		struct event e = sample_event(i);
		e.payload = (struct slice){ payload, sizeof(payload) };
		enum frame_outcome outcome = frame_add(&f, &e);
		if (outcome == FRAME_ADDED) {
			i++;
			continue;
		}
		assert_int_equal(outcome, FRAME_FULL);
		assert_true(f.lines.len <= f.limit);
		assert_int_equal(read_all(buf_slice(&f.lines), &n, NULL), LEDGER_NO);
		sent += n;
		frames++;
		frame_reset(&f);
	}
	assert_int_equal(sent + f.events, 20);
	assert_int_equal(frames, 9);
	frame_done(&f);
}

static void one_event_larger_than_a_full_frame_goes_alone(void **state)
{
	static char payload[EVENT_PAYLOAD_MAX];
	struct frame f = { .limit = 1 << 20 };
	struct event e = sample_event(1);
	(void)state;
	memset(payload, '1', sizeof(payload));
	e.payload = (struct slice){ payload, sizeof(payload) };
	assert_int_equal(frame_add(&f, &e), FRAME_ADDED);
	e = sample_event(2);
	assert_int_equal(frame_add(&f, &e), FRAME_FULL);
	/* Where the server takes less, it is named and nothing is spoilt. */
	frame_reset(&f);
	f.limit = EVENT_PAYLOAD_MAX;
	e = sample_event(1);
	e.payload = (struct slice){ payload, sizeof(payload) };
	assert_int_equal(frame_add(&f, &e), FRAME_TOO_LARGE);
	assert_int_equal(f.events, 0);
	assert_int_equal(f.lines.len, 0);
	fill(&f, 2, 3);
	frame_done(&f);
}

static void another_chain_or_a_gap_begins_another_frame(void **state)
{
	struct frame f = { 0 };
	(void)state;
	fill(&f, 1, 2);
	struct event e = sample_event(4);
	assert_int_equal(frame_add(&f, &e), FRAME_OTHER);
	e = sample_event(2);
	assert_int_equal(frame_add(&f, &e), FRAME_OTHER);
	e = sample_event(3);
	e.epoch++;
	assert_int_equal(frame_add(&f, &e), FRAME_OTHER);
	e = sample_event(3);
	e.origin = SLICE("store-b");
	assert_int_equal(frame_add(&f, &e), FRAME_OTHER);
	e = sample_event(3);
	e.domain = SLICE("orders");
	assert_int_equal(frame_add(&f, &e), FRAME_OTHER);
	assert_int_equal(f.events, 2);
	frame_done(&f);
}

static void an_id_names_chain_range_and_hash_and_can_be_made_fresh(void **state)
{
	struct frame f = { 0 };
	char id[FRAME_ID_MAX], again[FRAME_ID_MAX];
	(void)state;
	fill(&f, 3, 5);
	frame_id(&f, 0, id);
	assert_string_equal(id, "store-a/1763658000123456/inventory/3-5/c3c3c3c3c3c3c3c3");
	frame_id(&f, 2, again);
	assert_string_equal(again, "store-a/1763658000123456/inventory/3-5/c3c3c3c3c3c3c3c3/r2");
	frame_done(&f);
}

/* Lines for a frame that nobody would write. */
static void add_line(struct buf *out, struct event e)
{
	event_add_line(out, &e);
	buf_add_char(out, '\n');
}

static void events_that_do_not_belong_together_are_refused(void **state)
{
	CLEANUP_BUF struct buf data = { 0 };
	struct event other;
	(void)state;
	add_line(&data, sample_event(1));
	add_line(&data, sample_event(3));
	expect_bad(buf_slice(&data), 1, "sequence 3 stands where 2 should");
	buf_reset(&data);
	add_line(&data, sample_event(2));
	add_line(&data, sample_event(2));
	expect_bad(buf_slice(&data), 1, "sequence 2");
	buf_reset(&data);
	add_line(&data, sample_event(1));
	other = sample_event(2);
	other.epoch++;
	add_line(&data, other);
	expect_bad(buf_slice(&data), 1, "epoch");
	buf_reset(&data);
	other = sample_event(1);
	other.origin = SLICE("store-b");
	add_line(&data, other);
	expect_bad(buf_slice(&data), 0, "origin store-b");
	buf_reset(&data);
	other = sample_event(1);
	other.domain = SLICE("orders");
	add_line(&data, other);
	expect_bad(buf_slice(&data), 0, "domain orders");
}

static void what_is_cut_short_keeps_its_good_part(void **state)
{
	struct frame f = { 0 };
	struct slice rest;
	uint64_t n;
	(void)state;
	fill(&f, 1, 3);
	struct slice all = buf_slice(&f.lines);
	size_t line = all.len / 3;
	for (size_t len = 0; len < all.len; len++) {
		char *copy = malloc(len ? len : 1);
		memcpy(copy, all.ptr, len);
		enum ledger_status status = read_all((struct slice){ copy, len }, &n, &rest);
		assert_int_equal(status, len && len % line == 0 ? LEDGER_NO : LEDGER_INVALID);
		assert_int_equal(n, len / line);
		assert_int_equal(rest.len, len % line);
		free(copy);
	}
	frame_done(&f);
}

static void noise_is_only_refused(void **state)
{
	struct frame f = { 0 };
	uint64_t n;
	uint32_t seed = 1;
	(void)state;
	fill(&f, 1, 3);
	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		size_t at = (seed >> 8) % f.lines.len;
		char before = f.lines.ptr[at];
		f.lines.ptr[at] = (char)(seed >> 3);
		enum ledger_status status = read_all(buf_slice(&f.lines), &n, NULL);
		assert_true(n <= 3 && status != LEDGER_OK);
		f.lines.ptr[at] = before;
	}
	frame_done(&f);
}

static void subjects_are_made_of_tokens_only(void **state)
{
	char out[SUBJECT_MAX] = "untouched";
	struct slice tokens[4] = { SLICE("ledger"), SLICE("events"), SLICE("inventory"),
		SLICE("store-a") };
	static const char *const bad[] = { "", "a.b", "a b", "*", ">", "a\r\nb", "\xC3\xA9",
		"0123456789012345678901234567890123456789012345678901234567890123x" };
	(void)state;
	assert_int_equal(subject_of(out, tokens, 4, &err), LEDGER_OK);
	assert_string_equal(out, "ledger.events.inventory.store-a");
	assert_true(slice_is(subject_token(slice_of(out), 0), "ledger"));
	assert_true(slice_is(subject_token(slice_of(out), 3), "store-a"));
	assert_null(subject_token(slice_of(out), 4).ptr);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tokens[2] = slice_of(bad[i]);
		assert_int_equal(subject_of(out, tokens, 4, &err), LEDGER_INVALID);
		assert_string_equal(out, "ledger.events.inventory.store-a");
	}
}

static void patterns_are_for_subscriptions_only(void **state)
{
	(void)state;
	assert_true(subject_is_valid(SLICE("a.*.c"), true));
	assert_true(subject_is_valid(SLICE("a.>"), true));
	assert_true(subject_is_valid(SLICE(">"), true));
	assert_false(subject_is_valid(SLICE("a.*.c"), false));
	assert_false(subject_is_valid(SLICE("a.>"), false));
	assert_false(subject_is_valid(SLICE(">.a"), true));
	assert_false(subject_is_valid(SLICE("a*"), true));
	assert_false(subject_is_valid(SLICE("a.b>"), true));
	assert_true(subject_is_valid(SLICE("$JS.ACK.s.c.1.2.3.4.5"), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_framed_comes_back_in_order),
		cmocka_unit_test(a_position_is_never_sent),
		cmocka_unit_test(a_frame_takes_so_many_events_and_no_more),
		cmocka_unit_test(what_is_too_much_for_one_message_is_split),
		cmocka_unit_test(one_event_larger_than_a_full_frame_goes_alone),
		cmocka_unit_test(another_chain_or_a_gap_begins_another_frame),
		cmocka_unit_test(an_id_names_chain_range_and_hash_and_can_be_made_fresh),
		cmocka_unit_test(events_that_do_not_belong_together_are_refused),
		cmocka_unit_test(what_is_cut_short_keeps_its_good_part),
		cmocka_unit_test(noise_is_only_refused),
		cmocka_unit_test(subjects_are_made_of_tokens_only),
		cmocka_unit_test(patterns_are_for_subscriptions_only),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
