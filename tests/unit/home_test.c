/*
 * Home: a ledger that was copied or restored is noticed before a sequence is used twice.
 */
#include "verify_fixture.h"

static struct ledger_error err;

/* The head file of the first epoch. */
static const char *head_path(const struct place *p)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/store-a-%" PRId64 ".head", p->state,
		ask_sql(p->db, "SELECT epoch FROM seal"));
	return path;
}

/* Reading goes on, says so when asked; writing is refused, with `word` and the command to type. */
static void expect_refused(const struct place *p, const char *word)
{
	struct ledger *l = open_ledger(&p->options);
	struct ledger_filter all = { .from = 1 };
	struct ledger_overview overview;
	uint64_t from;
	MUST_FAIL(LEDGER_REFUSED, ledger_check_home(l, &err));
	if (!strstr(err.text, word))
		fail_msg("no '%s' in: %s", word, err.text);
	assert_non_null(strstr(err.hint, "recover --offline"));
	MUST_FAIL(LEDGER_REFUSED, ledger_begin(l, &err));
	assert_non_null(strstr(err.text, word));
	MUST(ledger_last(l, &all, 1, &from, &err));
	MUST(ledger_overview(l, &overview, &err));
	assert_int_equal(overview.home, LEDGER_REFUSED);
	assert_non_null(strstr(overview.home_text, word));
	ledger_close(l);
}

static void expect_home(const struct place *p)
{
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	MUST(ledger_check_home(l, &err));
	append_one(l, &new);
	MUST(ledger_check_home(l, &err));
	ledger_close(l);
}

/* --- What is noticed ------------------------------------------------------------------------- */

static void a_ledger_at_home_may_be_written(void **state)
{
	const struct place *p = *state;
	expect_home(p);
	expect_home(p);
	struct stat st;
	assert_int_equal(stat(p->state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(head_path(p), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_copy_is_refused(void **state)
{
	struct place *p = *state;
	char copy[128];
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "copy.db", copy));
	p->options.path = copy;
	expect_refused(p, "copied");
	p->options.state_dir = NULL; /* without any state too */
	expect_refused(p, "copied");
	p->options.path = p->db;
	expect_home(p); /* the original goes on */
}

static void a_copy_moved_into_place_is_refused(void **state)
{
	struct place *p = *state;
	char copy[128];
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "copy.db", copy));
	assert_int_equal(rename(copy, p->db), 0);
	expect_refused(p, "copied");
}

static void a_ledger_that_is_moved_stays_at_home(void **state)
{
	struct place *p = *state;
	char moved[128];
	append_and_close(p, 3);
	assert_int_equal(rename(p->db, path_in(p, "moved.db", moved)), 0);
	p->options.path = moved;
	expect_home(p);
}

static void an_older_file_written_over_the_same_one_is_refused(void **state)
{
	const struct place *p = *state;
	char older[128];
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "older.db", older));
	append_and_close(p, 4);
	copy_file(older, p->db);
	expect_refused(p, "restored");
	const struct verdict *v =
		verify_file_at(&p->options, p->db, &(struct ledger_verify_options){ .from = 0 });
	assert_int_equal(v->status, LEDGER_DAMAGED);
	assert_true(has_finding(v, "ROLLED_BACK", 0));
}

/* Restored, and events recorded by a program that did not look: the head file disagrees. */
static void an_older_file_that_went_its_own_way_is_refused(void **state)
{
	struct place *p = *state;
	char older[128];
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "older.db", older));
	append_and_close(p, 4);
	copy_file(older, p->db);
	p->options.state_dir = NULL;
	append_and_close(p, 9);
	p->options.state_dir = p->state;
	expect_refused(p, "position 7 is not the event");
}

static void a_file_of_the_last_epoch_put_back_is_refused(void **state)
{
	const struct place *p = *state;
	struct ledger_recovery recovery;
	char older[128];
	append_and_close(p, 3);
	copy_file(p->db, path_in(p, "older.db", older));
	struct ledger *l = open_ledger(&p->options);
	MUST(ledger_recover(l, SLICE("test"), true, false, &recovery, &err));
	append_many(l, 5);
	ledger_close(l);
	settle(p);
	copy_file(older, p->db);
	expect_refused(p, "restored");
}

/* --- The head file --------------------------------------------------------------------------- */

static void read_head(const struct place *p, char line[256])
{
	int fd = open(head_path(p), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, line, 255);
	assert_int_equal(n, 20 + 3 * (1 + 64) + 1);
	line[n] = '\0';
	close(fd);
}

static void write_head(const struct place *p, const char *line, size_t n)
{
	int fd = open(head_path(p), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, n), n);
	close(fd);
}

static void a_head_file_that_is_behind_is_normal(void **state)
{
	const struct place *p = *state;
	char line[256];
	append_and_close(p, 3);
	read_head(p, line);
	assert_true(strncmp(line, "00000000000000000003 ", 21) == 0);
	append_and_close(p, 4);
	write_head(p, line, strlen(line));
	expect_home(p);
	read_head(p, line);
	assert_true(strncmp(line, "00000000000000000008 ", 21) == 0);
}

static void a_missing_head_file_is_made_again(void **state)
{
	const struct place *p = *state;
	char line[256];
	append_and_close(p, 3);
	assert_int_equal(unlink(head_path(p)), 0);
	expect_home(p);
	read_head(p, line);
}

static void write_cut(const struct place *p, const char *line, size_t n)
{
	write_head(p, line, n);
	expect_home(p);
}

/* It is never synced: a power loss may leave anything in it. */
static void a_garbled_head_file_says_nothing(void **state)
{
	const struct place *p = *state;
	char line[256];
	append_and_close(p, 3);
	read_head(p, line);
	size_t n = strlen(line);
	for (size_t i = 0; i <= n; i += 7)
		write_cut(p, line, i);
	for (size_t i = 0; i < n; i += 11) {
		char garbled[256];
		memcpy(garbled, line, n);
		garbled[i] = '\0';
		write_head(p, garbled, n);
		expect_home(p);
	}
	memset(line, 0, sizeof(line));
	write_head(p, line, n);
	expect_home(p);
	write_head(p, "00000000000000000099 ", 21);
	expect_home(p);
}

/* Whoever may write the state folder but has no key cannot stop the ledger. */
static void a_forged_head_file_says_nothing(void **state)
{
	const struct place *p = *state;
	char line[256];
	append_and_close(p, 3);
	read_head(p, line);
	memcpy(line, "00000000000000000099", 20);
	write_head(p, line, strlen(line));
	expect_home(p);
	read_head(p, line);
	line[30] = line[30] == '0' ? '1' : '0';
	write_head(p, line, strlen(line));
	expect_home(p);
}

static void a_head_file_that_cannot_be_read_refuses_writers(void **state)
{
	const struct place *p = *state;
	append_and_close(p, 3);
	const char *path = head_path(p);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* is opened, but read(2) fails */
	struct ledger *l = open_ledger(&p->options);
	MUST_FAIL(LEDGER_IO, ledger_begin(l, &err));
	assert_non_null(strstr(err.text, "head file"));
	MUST_FAIL(LEDGER_IO, ledger_check_home(l, &err));
	struct ledger_verify_options all = { .deep = false };
	struct ledger_verify_report report;
	MUST_FAIL(LEDGER_IO, ledger_verify(l, &all, &report, &err));
	struct ledger_recovery recovery;
	MUST_FAIL(LEDGER_IO, ledger_recover(l, SLICE("x"), true, false, &recovery, &err));
	ledger_close(l);
	assert_int_equal(rmdir(path), 0);
	append_and_close(p, 1);
}

static void a_state_folder_that_cannot_be_written_is_a_warning(void **state)
{
	struct place *p = *state;
	struct ledger_new new = plain();
	p->options.state_dir = "/dev/null/state";
	struct ledger *l = open_ledger(&p->options);
	assert_int_equal(append_one(l, &new).position, 1);
	assert_non_null(ledger_warning(l));
	assert_non_null(strstr(ledger_warning(l), "head file"));
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_ledger_at_home_may_be_written),
		TEST(a_copy_is_refused),
		TEST(a_copy_moved_into_place_is_refused),
		TEST(a_ledger_that_is_moved_stays_at_home),
		TEST(an_older_file_written_over_the_same_one_is_refused),
		TEST(an_older_file_that_went_its_own_way_is_refused),
		TEST(a_file_of_the_last_epoch_put_back_is_refused),
		TEST(a_head_file_that_is_behind_is_normal),
		TEST(a_missing_head_file_is_made_again),
		TEST(a_garbled_head_file_says_nothing),
		TEST(a_head_file_that_cannot_be_read_refuses_writers),
		TEST(a_forged_head_file_says_nothing),
		TEST(a_state_folder_that_cannot_be_written_is_a_warning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
