/* A spool gives back what went in, from memory or from its file, and leaves nothing behind. */
#include "../../cmd/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ledger_error err;
static size_t lines_seen;

static enum ledger_status count_lines(struct slice bytes, struct ledger_error *unused)
{
	(void)unused;
	for (size_t i = 0; i < bytes.len; i++)
		lines_seen += bytes.ptr[i] == '\n';
	return LEDGER_OK;
}

static void fill(struct spool *s, size_t lines)
{
	for (size_t i = 0; i < lines; i++) {
		buf_add_u64(&s->buf, i);
		buf_add_char(&s->buf, '\n');
		assert_int_equal(spool_check(s, &err), LEDGER_OK);
		assert_true(s->buf.len <= 65 << 10);
	}
}

static void every_byte_comes_back(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 10, 100000 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CLEANUP_SPOOL struct spool s = SPOOL_EMPTY;
		fill(&s, sizes[i]);
		assert_int_equal(s.fd >= 0, sizes[i] == 100000);
		lines_seen = 0;
		assert_int_equal(spool_each(&s, count_lines, &err), LEDGER_OK);
		assert_int_equal(lines_seen, sizes[i]);
	}
}

static void a_file_without_a_folder_is_an_error_with_a_hint(void **state)
{
	(void)state;
	CLEANUP_SPOOL struct spool s = SPOOL_EMPTY;
	setenv("TMPDIR", "/no/such/folder", 1);
	buf_add_text(&s.buf, "x");
	assert_int_equal(spool_rewind(&s, &err), LEDGER_IO);
	assert_non_null(strstr(err.text, "/no/such/folder"));
	assert_non_null(strstr(err.hint, "TMPDIR"));
	unsetenv("TMPDIR");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(a_file_without_a_folder_is_an_error_with_a_hint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
