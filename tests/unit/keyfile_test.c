/* Key files: who may read them, what stands in them, how they are made. */
#include "../../lib/event/keyfile.h"

#include "ledger_fixture.h"

#include <grp.h>
#include <pwd.h>

static struct ledger_error err;

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static int make_folder(void **state)
{
	*state = place_empty();
	return 0;
}

/* Writes the place's key file with that content and mode. */
static const char *write_key(const struct place *p, struct slice content, mode_t mode)
{
	int fd = open(p->key, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content.ptr, content.len), content.len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return p->key;
}

static enum ledger_status read_key(const char *path, const char *group)
{
	struct chain_key key;
	enum ledger_status status = keyfile_read(path, group, &key, &err);
	if (status == LEDGER_OK)
		chain_key_done(&key);
	return status;
}

/* --- Content --------------------------------------------------------------------------------- */

static const struct {
	struct slice content;
	bool good;
} contents[] = {
	{ TEXT(HEX), true },
	{ TEXT(HEX "\n"), true },
	{ TEXT("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n"), true },
	{ TEXT(""), false },
	{ TEXT("\n"), false },
	{ TEXT(HEX "\r\n"), false },
	{ TEXT(HEX "\n\n"), false },
	{ TEXT(HEX "0"), false },
	{ TEXT(HEX "00"), false },
	{ TEXT(HEX " "), false },
	{ TEXT(" " HEX), false },
	{ TEXT("0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), false },
	{ TEXT("00010203040506070809\0"
	       "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1"),
		false },
	{ TEXT("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"), false },
	{ TEXT("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g"), false },
	{ TEXT("\xEF\xBB\xBF" HEX), false },
};

static void a_key_file_holds_64_hex_digits(void **state)
{
	for (size_t i = 0; i < COUNT(contents); i++) {
		const char *path = write_key(*state, contents[i].content, 0600);
		enum ledger_status want = contents[i].good ? LEDGER_OK : LEDGER_INVALID;
		if (read_key(path, NULL) != want)
			fail_msg("row %zu: %s", i, contents[i].good ? err.text : "taken");
		if (!contents[i].good)
			assert_non_null(strstr(err.text, path));
	}
}

static void a_refused_key_is_not_shown(void **state)
{
	const char *path = write_key(*state, SLICE(HEX "0"), 0600);
	assert_int_equal(read_key(path, NULL), LEDGER_INVALID);
	assert_null(strstr(err.text, "0102030405"));
	assert_null(strstr(err.hint, "0102030405"));
}

/* The same id, and the same MAC over something. */
static void expect_same_key(const struct chain_key *got, const struct chain_key *want)
{
	uint8_t one[EVENT_HASH_SIZE], other[EVENT_HASH_SIZE];
	assert_string_equal(got->id, want->id);
	chain_sign(got, "test", SLICE("x"), one);
	chain_sign(want, "test", SLICE("x"), other);
	assert_memory_equal(one, other, sizeof(one));
}

static void the_same_digits_are_the_same_key(void **state)
{
	uint8_t secret[CHAIN_KEY_SIZE];
	struct chain_key want, got;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	chain_key_init(&want, secret);
	MUST(keyfile_read(write_key(*state, SLICE(HEX "\n"), 0600), NULL, &got, &err));
	expect_same_key(&got, &want);
	MUST(keyfile_parse(SLICE(HEX), &got, &err));
	expect_same_key(&got, &want);
}

/* --- Who may read it ------------------------------------------------------------------------- */

static const struct {
	mode_t mode;
	enum ledger_status alone;  /* no group is named */
	enum ledger_status shared; /* the file's group is named */
} modes[] = {
	{ 0600, LEDGER_OK, LEDGER_OK },
	{ 0400, LEDGER_OK, LEDGER_OK },
	{ 0700, LEDGER_OK, LEDGER_OK },
	{ 0640, LEDGER_REFUSED, LEDGER_OK },
	{ 0440, LEDGER_REFUSED, LEDGER_OK },
	{ 0660, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0620, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0610, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0604, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0602, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0601, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0644, LEDGER_REFUSED, LEDGER_REFUSED },
	{ 0666, LEDGER_REFUSED, LEDGER_REFUSED },
};

static const char *own_group(void)
{
	struct group *g = getgrgid(getegid());
	return g ? g->gr_name : NULL;
}

static void a_key_that_others_can_read_is_refused(void **state)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		const char *path = write_key(*state, SLICE(HEX "\n"), modes[i].mode);
		if (read_key(path, NULL) != modes[i].alone)
			fail_msg("mode %o alone", modes[i].mode);
		if (own_group() && read_key(path, own_group()) != modes[i].shared)
			fail_msg("mode %o with a group", modes[i].mode);
	}
}

static void a_group_that_is_not_the_files_may_not_read_it(void **state)
{
	const char *path = write_key(*state, SLICE(HEX "\n"), 0640);
	assert_int_equal(read_key(path, "no-such-group"), LEDGER_REFUSED);
	assert_non_null(strstr(err.hint, "chmod 600"));
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(path, (uid_t)-1, 12345), 0);
	assert_int_equal(read_key(path, own_group()), LEDGER_REFUSED);
}

static void a_key_of_another_user_is_refused(void **state)
{
	const char *path = write_key(*state, SLICE(HEX "\n"), 0600);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
	assert_int_equal(read_key(path, NULL), LEDGER_REFUSED);
	assert_non_null(strstr(err.text, "another user"));
}

static void what_is_no_regular_file_is_refused(void **state)
{
	const struct place *p = *state;
	char link[128], fifo[128];
	write_key(p, SLICE(HEX "\n"), 0600);
	assert_int_equal(symlink(p->key, path_in(p, "link", link)), 0);
	assert_int_equal(read_key(link, NULL), LEDGER_REFUSED);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(mkfifo(path_in(p, "fifo", fifo), 0600), 0);
	assert_int_equal(read_key(fifo, NULL), LEDGER_REFUSED); /* and does not wait for a writer */
	assert_int_equal(read_key(p->folder, NULL), LEDGER_REFUSED);
}

static void a_missing_key_says_how_to_name_one(void **state)
{
	const struct place *p = *state;
	assert_int_equal(read_key(p->key, NULL), LEDGER_USAGE);
	assert_non_null(strstr(err.text, p->key));
	assert_non_null(strstr(err.hint, "--key-file"));
}

/* --- Making one ------------------------------------------------------------------------------ */

static mode_t mode_of(const char *path, gid_t *group)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	if (group)
		*group = st.st_gid;
	return st.st_mode & 07777;
}

static void the_mode_of_a_new_key_does_not_hang_on_the_umask(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	const struct place *p = *state;
	for (size_t i = 0; i < COUNT(masks); i++) {
		mode_t old = umask(masks[i]);
		enum ledger_status status = ledger_key_create(p->key, NULL, &err);
		umask(old);
		MUST(status);
		assert_int_equal(mode_of(p->key, NULL), 0600);
		assert_int_equal(read_key(p->key, NULL), LEDGER_OK);
		unlink(p->key);
	}
}

static void a_new_key_can_be_shared_with_a_group(void **state)
{
	const struct place *p = *state;
	gid_t group;
	if (!own_group())
		skip();
	mode_t old = umask(0777);
	enum ledger_status status = ledger_key_create(p->key, own_group(), &err);
	umask(old);
	MUST(status);
	assert_int_equal(mode_of(p->key, &group), 0640);
	assert_int_equal(group, getegid());
	assert_int_equal(read_key(p->key, own_group()), LEDGER_OK);
}

static void an_unknown_group_leaves_no_file(void **state)
{
	const struct place *p = *state;
	MUST_FAIL(LEDGER_USAGE, ledger_key_create(p->key, "no-such-group", &err));
	assert_int_equal(access(p->key, F_OK), -1);
}

static void making_a_key_never_overwrites(void **state)
{
	const struct place *p = *state;
	char link[128], target[128];
	write_key(p, SLICE("mine"), 0644);
	MUST_FAIL(LEDGER_REFUSED, ledger_key_create(p->key, NULL, &err));
	struct stat st;
	assert_int_equal(stat(p->key, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_mode & 0777, 0644);
	/* Nor does it follow a link to where nothing is yet. */
	path_in(p, "target", target);
	assert_int_equal(symlink(target, path_in(p, "link", link)), 0);
	MUST_FAIL(LEDGER_REFUSED, ledger_key_create(link, NULL, &err));
	assert_int_equal(access(target, F_OK), -1);
}

static void two_new_keys_differ(void **state)
{
	const struct place *p = *state;
	char other[128], one_id[EVENT_KEY_ID_SIZE + 1], other_id[EVENT_KEY_ID_SIZE + 1];
	MUST(ledger_key_create(p->key, NULL, &err));
	MUST(ledger_key_create(path_in(p, "other.key", other), NULL, &err));
	MUST(ledger_key_id(p->key, NULL, one_id, &err));
	MUST(ledger_key_id(other, NULL, other_id, &err));
	assert_string_not_equal(one_id, other_id);
	assert_int_equal(strlen(one_id), EVENT_KEY_ID_SIZE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_key_file_holds_64_hex_digits),
		TEST(a_refused_key_is_not_shown),
		TEST(the_same_digits_are_the_same_key),
		TEST(a_key_that_others_can_read_is_refused),
		TEST(a_group_that_is_not_the_files_may_not_read_it),
		TEST(a_key_of_another_user_is_refused),
		TEST(what_is_no_regular_file_is_refused),
		TEST(a_missing_key_says_how_to_name_one),
		TEST(the_mode_of_a_new_key_does_not_hang_on_the_umask),
		TEST(a_new_key_can_be_shared_with_a_group),
		TEST(an_unknown_group_leaves_no_file),
		TEST(making_a_key_never_overwrites),
		TEST(two_new_keys_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
