/* Lines of stdin: in order, in place, with a ceiling. */
#include "../../cmd/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct ledger_error err;

/* A pipe to write to and an input that reads it. */
struct source {
	int write_to;
	struct input in;
};

static void source_open(struct source *s)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(input_open(&s->in, ends[0], &err), LEDGER_OK);
	s->write_to = ends[1];
}

static void source_end(struct source *s)
{
	if (s->write_to >= 0)
		close(s->write_to);
	s->write_to = -1;
}

static void source_close(struct source *s)
{
	source_end(s);
	close(s->in.fd);
	input_close(&s->in);
}

static void feed(struct source *s, const void *bytes, size_t n)
{
	assert_int_equal(write(s->write_to, bytes, n), n);
}

static void feed_text(struct source *s, const char *text)
{
	feed(s, text, strlen(text));
}

static void expect_line(struct source *s, bool wait, const char *text, uint64_t number)
{
	enum input_got got;
	struct slice line;
	assert_int_equal(input_next(&s->in, wait, &got, &line, &err), LEDGER_OK);
	assert_int_equal(got, INPUT_LINE);
	assert_true(slice_is(line, text));
	assert_int_equal(s->in.line, number);
}

static void expect_got(struct source *s, bool wait, enum input_got expected)
{
	enum input_got got;
	struct slice line;
	assert_int_equal(input_next(&s->in, wait, &got, &line, &err), LEDGER_OK);
	assert_int_equal(got, expected);
}

static void lines_come_in_order_and_blank_ones_count_but_are_skipped(void **state)
{
	(void)state;
	struct source s;
	source_open(&s);
	feed_text(&s, "one\n\n \t\r\ntwo\nthree");
	source_end(&s);
	expect_line(&s, true, "one", 1);
	expect_line(&s, true, "two", 4);
	assert_false(s.in.cut);
	expect_line(&s, true, "three", 5);
	assert_true(s.in.cut);
	expect_got(&s, true, INPUT_END);
	expect_got(&s, true, INPUT_END);
	source_close(&s);
}

static void without_wait_half_a_line_is_for_later(void **state)
{
	(void)state;
	struct source s;
	source_open(&s);
	expect_got(&s, false, INPUT_LATER);
	feed_text(&s, "one\ntw");
	expect_line(&s, false, "one", 1);
	expect_got(&s, false, INPUT_LATER);
	feed_text(&s, "o\n");
	expect_line(&s, false, "two", 2);
	source_end(&s);
	expect_got(&s, false, INPUT_END);
	source_close(&s);
}

static void lines_stay_where_they_are_until_recycled(void **state)
{
	(void)state;
	struct source s;
	struct slice first, second;
	enum input_got got;
	source_open(&s);
	feed_text(&s, "first\nsecond\nthird\n");
	assert_int_equal(input_next(&s.in, false, &got, &first, &err), LEDGER_OK);
	assert_int_equal(input_next(&s.in, false, &got, &second, &err), LEDGER_OK);
	assert_true(slice_is(first, "first"));
	assert_true(slice_is(second, "second"));
	input_recycle(&s.in);
	expect_line(&s, false, "third", 3);
	source_close(&s);
}

static char *many(char c, size_t n)
{
	char *bytes = malloc(n);
	assert_non_null(bytes);
	memset(bytes, c, n);
	return bytes;
}

/* A child writes, so that the pipe's size does not matter. */
static pid_t feed_from_child(struct source *s, const char *bytes, size_t n, size_t times)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(s->in.fd);
		for (size_t i = 0; i < times; i++)
			if (write(s->write_to, bytes, n) != (ssize_t)n)
				_exit(0);
		_exit(0);
	}
	source_end(s);
	return child;
}

static void the_longest_line_is_taken_and_one_byte_more_is_refused(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		struct source s;
		enum input_got got;
		struct slice line;
		size_t n = EVENT_LINE_MAX + more;
		char *bytes = many('x', n + 1);
		bytes[n] = '\n';
		source_open(&s);
		pid_t child = feed_from_child(&s, bytes, n + 1, 1);
		enum ledger_status status = input_next(&s.in, true, &got, &line, &err);
		assert_int_equal(status, more ? LEDGER_INVALID : LEDGER_OK);
		assert_int_equal(more ? n : line.len, n);
		source_close(&s);
		waitpid(child, NULL, 0);
		free(bytes);
	}
}

static void a_line_of_100_mb_is_refused_after_its_first_part(void **state)
{
	(void)state;
	struct source s;
	enum input_got got;
	struct slice line;
	char *bytes = many('x', 1 << 20);
	source_open(&s);
	pid_t child = feed_from_child(&s, bytes, 1 << 20, 100);
	assert_int_equal(input_next(&s.in, true, &got, &line, &err), LEDGER_INVALID);
	assert_non_null(strstr(err.text, "line 1: longer than 640 KiB"));
	assert_true(s.in.end < EVENT_LINE_MAX + (256 << 10));
	source_close(&s);
	waitpid(child, NULL, 0);
	free(bytes);
}

static void a_full_batch_says_later_and_nothing_is_lost(void **state)
{
	(void)state;
	struct source s;
	char line[100];
	uint64_t batches = 1, lines = 0;
	memset(line, 'y', sizeof(line));
	line[99] = '\n';
	source_open(&s);
	pid_t child = feed_from_child(&s, line, sizeof(line), 100000);
	for (enum input_got got = INPUT_LINE; got != INPUT_END;) {
		struct slice text;
		bool fresh = s.in.start == 0;
		assert_int_equal(input_next(&s.in, fresh, &got, &text, &err), LEDGER_OK);
		if (got == INPUT_LINE) {
			lines++;
			assert_int_equal(text.len, 99);
			assert_int_equal(text.ptr[98], 'y');
		}
		if (got == INPUT_LATER) {
			batches += s.in.start >= INPUT_BATCH_MAX;
			input_recycle(&s.in);
		}
	}
	assert_int_equal(lines, 100000);
	assert_true(s.in.end <= INPUT_BATCH_MAX + EVENT_LINE_MAX + (256 << 10));
	source_close(&s);
	waitpid(child, NULL, 0);
}

static void blank_lines_without_end_need_no_memory(void **state)
{
	(void)state;
	struct source s;
	char *bytes = many('\n', 1 << 20);
	source_open(&s);
	pid_t child = feed_from_child(&s, bytes, 1 << 20, 12);
	expect_got(&s, true, INPUT_END);
	assert_int_equal(s.in.line, 12 << 20);
	source_close(&s);
	waitpid(child, NULL, 0);
	free(bytes);
}

static void a_file_over_its_ceiling_is_refused(void **state)
{
	(void)state;
	for (size_t n = 2048; n < 2050; n++) {
		struct source s;
		CLEANUP_BUF struct buf all = { 0 };
		char *bytes = many('z', n);
		source_open(&s);
		feed(&s, bytes, n);
		source_end(&s);
		enum ledger_status status = input_read_all(s.in.fd, "x.json", 2048, &all, &err);
		assert_int_equal(status, n > 2048 ? LEDGER_INVALID : LEDGER_OK);
		source_close(&s);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_order_and_blank_ones_count_but_are_skipped),
		cmocka_unit_test(without_wait_half_a_line_is_for_later),
		cmocka_unit_test(lines_stay_where_they_are_until_recycled),
		cmocka_unit_test(the_longest_line_is_taken_and_one_byte_more_is_refused),
		cmocka_unit_test(a_line_of_100_mb_is_refused_after_its_first_part),
		cmocka_unit_test(a_full_batch_says_later_and_nothing_is_lost),
		cmocka_unit_test(blank_lines_without_end_need_no_memory),
		cmocka_unit_test(a_file_over_its_ceiling_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
