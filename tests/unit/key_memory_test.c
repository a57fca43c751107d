/*
 * What is left of a key in memory: neither its digits nor its bytes. Something is done by a process of its
 * own, which then stands still; this one, which did not know the key before, looks through its memory.
 */
#include "../../lib/event/keyfile.h"

#include "ledger_fixture.h"

#include <signal.h>
#include <string.h>

static struct ledger_error err;

static int make_folder(void **state)
{
	*state = place_empty();
	return 0;
}

/* A process that has done it, and stands still; it never ends by itself. */
static pid_t stopped_behind(void (*deed)(const struct place *), const struct place *p)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		deed(p);
		kill(getpid(), SIGSTOP);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

static bool has(const char *bytes, size_t n, const struct slice *wanted, size_t n_wanted)
{
	for (size_t i = 0; i < n_wanted; i++)
		if (memmem(bytes, n, wanted[i].ptr, wanted[i].len))
			return true;
	return false;
}

/* Does what the process can write hold one of these, each of 64 bytes at most? What a sanitizer keeps for
 * itself is larger than anything of ours. */
static bool memory_has(pid_t pid, const struct slice *wanted, size_t n_wanted)
{
	enum { PIECE = 1 << 20 };
	char path[64], line[512], rights[8];
	uint64_t begin, end;
	bool found = false;
	char *piece = malloc(PIECE);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "re");
	assert_true(memory >= 0 && maps && piece);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &begin, &end, rights) != 3 ||
			strncmp(rights, "rw", 2) != 0 || end - begin > 1 << 28)
			continue;
		for (ssize_t n; !found && begin < end; begin += PIECE - 64) {
			n = pread(memory, piece, end - begin < PIECE ? end - begin : PIECE,
				(off_t)begin);
			found = n > 0 && has(piece, (size_t)n, wanted, n_wanted);
		}
	}
	fclose(maps);
	close(memory);
	free(piece);
	return found;
}

/* The key that stands in the place's file, in each form that it has on its way: its digits, its bytes, and
 * those with the pads of HMAC. */
static bool memory_has_key_of(pid_t pid, const struct place *p)
{
	char hex[65] = "";
	uint8_t forms[3][CHAIN_KEY_SIZE];
	FILE *file = fopen(p->key, "re");
	assert_non_null(file);
	assert_non_null(fgets(hex, sizeof(hex), file));
	fclose(file);
	assert_true(slice_unhex(slice_of(hex), forms[0], CHAIN_KEY_SIZE));
	for (size_t i = 0; i < CHAIN_KEY_SIZE; i++) {
		forms[1][i] = forms[0][i] ^ 0x36;
		forms[2][i] = forms[0][i] ^ 0x5C;
	}
	struct slice wanted[4] = { slice_of(hex) };
	for (size_t i = 0; i < 3; i++)
		wanted[1 + i] = (struct slice){ (const char *)forms[i], CHAIN_KEY_SIZE };
	bool found = memory_has(pid, wanted, COUNT(wanted));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return found;
}

/* --- What is done ------------------------------------------------------------------------------ */

static void make_key(const struct place *p)
{
	if (ledger_key_create(p->key, NULL, &err) != LEDGER_OK)
		_exit(1);
}

/* As a ledger has it that is open. */
static void keep_key(const struct place *p)
{
	static struct chain_key key;
	if (keyfile_read(p->key, NULL, &key, &err) != LEDGER_OK)
		_exit(1);
}

static void keep_its_bytes(const struct place *p)
{
	static char hex[65];
	static uint8_t secret[CHAIN_KEY_SIZE];
	int fd = open(p->key, O_RDONLY | O_CLOEXEC);
	if (read(fd, hex, 64) != 64 || !slice_unhex(slice_of(hex), secret, sizeof(secret)))
		_exit(1);
	chain_wipe(hex, sizeof(hex));
}

static void keep_its_digits(const struct place *p)
{
	static char hex[65];
	int fd = open(p->key, O_RDONLY | O_CLOEXEC);
	if (read(fd, hex, 64) != 64)
		_exit(1);
}

/* The key is made by a process that is gone before. */
static bool stays_behind(void (*deed)(const struct place *), const struct place *p)
{
	pid_t maker = stopped_behind(make_key, p);
	kill(maker, SIGKILL);
	waitpid(maker, NULL, 0);
	return memory_has_key_of(stopped_behind(deed, p), p);
}

/* --- Claims ------------------------------------------------------------------------------------ */

static void this_test_finds_bytes_and_digits(void **state)
{
	const struct place *p = *state;
	assert_true(stays_behind(keep_its_bytes, p));
	assert_int_equal(unlink(p->key), 0);
	assert_true(stays_behind(keep_its_digits, p));
}

static void who_makes_a_key_forgets_it(void **state)
{
	const struct place *p = *state;
	assert_false(memory_has_key_of(stopped_behind(make_key, p), p));
}

static void who_signs_with_a_key_does_not_keep_it(void **state)
{
	const struct place *p = *state;
	assert_false(stays_behind(keep_key, p));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(this_test_finds_bytes_and_digits),
		TEST(who_makes_a_key_forgets_it),
		TEST(who_signs_with_a_key_does_not_keep_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
