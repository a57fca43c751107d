/* Files that are filled under a temporary name: put in place, given up, left and swept. */
#include "../../lib/base/partial.h"

#include "ledger_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct ledger_error err;

static int make_folder(void **state)
{
	*state = place_empty();
	return 0;
}

static size_t count_files(const struct place *p)
{
	size_t n = 0;
	DIR *dir = opendir(p->folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static void make_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

static bool has(const char *path, const char *content)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);
	if (fd >= 0)
		close(fd);
	return n >= 0 && strcmp(got, content) == 0;
}

static void fill(struct partial *p, const char *target, const char *content)
{
	MUST(partial_begin(p, target, &err));
	assert_int_equal(write(p->fd, content, strlen(content)), strlen(content));
}

/* --- Putting in place ------------------------------------------------------------------------ */

static void it_gets_its_name_only_when_it_is_committed(void **state)
{
	char path[128];
	struct partial p = { 0 };
	path_in(*state, "file", path);
	fill(&p, path, "new");
	assert_int_equal(access(path, F_OK), -1);
	MUST(partial_commit(&p, false, &err));
	assert_true(has(path, "new"));
	assert_null(p.path);
	assert_int_equal(count_files(*state), 1);
}

static void it_replaces_only_what_it_is_told_to(void **state)
{
	char path[128];
	struct partial p = { 0 };
	make_file(path_in(*state, "file", path), "old");
	fill(&p, path, "new");
	MUST_FAIL(LEDGER_REFUSED, partial_commit(&p, false, &err));
	assert_true(has(path, "old"));
	MUST(partial_commit(&p, true, &err));
	assert_true(has(path, "new"));
	assert_int_equal(count_files(*state), 1);
}

static void given_up_it_leaves_nothing(void **state)
{
	char path[128], beside[256];
	struct partial p = { 0 };
	path_in(*state, "file", path);
	fill(&p, path, "new");
	snprintf(beside, sizeof(beside), "%s-wal", p.path);
	make_file(beside, "x");
	partial_drop(&p);
	partial_drop(&p);
	assert_int_equal(count_files(*state), 0);
	fill(&p, path, "new");
	partial_remove_all();
	assert_int_equal(count_files(*state), 0);
	partial_drop(&p);
}

/* --- File systems that know less ------------------------------------------------------------- */

/* From here on the kernel answers these two calls as such a file system does. */
static bool refuse(int code_of_rename, int code_of_link)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code_of_rename),
#ifdef SYS_link
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_link, 1, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, code_of_link ? SECCOMP_RET_ERRNO | (unsigned)code_of_link
						       : SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(rows) / sizeof(rows[0]), rows };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* In a process of its own: 0 as it should be, 77 where the kernel filters no calls. */
static int commit_with(const char *path, int code_of_rename, int code_of_link)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct partial first = { 0 }, second = { 0 };
		if (!refuse(code_of_rename, code_of_link))
			_exit(77);
		if (syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "x", RENAME_NOREPLACE) == 0 ||
			errno != code_of_rename)
			_exit(2);
		if (partial_begin(&first, path, &err) || write(first.fd, "new", 3) != 3 ||
			partial_commit(&first, false, &err) || !has(path, "new"))
			_exit(3);
		if (partial_begin(&second, path, &err) ||
			partial_commit(&second, false, &err) != LEDGER_REFUSED || !has(path, "new"))
			_exit(4);
		partial_drop(&second);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void nothing_is_replaced_where_rename_cannot_promise_it(void **state)
{
	static const int codes[][2] = { { EINVAL, 0 }, { ENOSYS, 0 }, { EINVAL, EPERM },
		{ EINVAL, EOPNOTSUPP }, { ENOSYS, ENOSYS } };
	char path[128];
	for (size_t i = 0; i < COUNT(codes); i++) {
		int got = commit_with(path_in(*state, "file", path), codes[i][0], codes[i][1]);
		if (got == 77)
			skip();
		if (got != 0)
			fail_msg("row %zu: step %d", i, got);
		assert_int_equal(count_files(*state), 1);
		unlink(path);
	}
}

/* --- What was left --------------------------------------------------------------------------- */

static void what_a_killed_process_left_is_swept(void **state)
{
	char path[128], beside[256];
	path_in(*state, "file", path);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct partial p = { 0 };
		if (partial_begin(&p, path, &err))
			_exit(1);
		snprintf(beside, sizeof(beside), "%s-wal", p.path);
		make_file(beside, "x");
		kill(getpid(), SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_files(*state), 2);
	assert_true(partial_is_left(path));
	partial_sweep(path);
	assert_int_equal(count_files(*state), 0);
	assert_false(partial_is_left(path));
}

static void what_is_being_filled_is_not_swept(void **state)
{
	char path[128];
	struct partial p = { 0 };
	fill(&p, path_in(*state, "file", path), "new");
	assert_false(partial_is_left(path));
	partial_sweep(path);
	MUST(partial_commit(&p, false, &err));
	assert_true(has(path, "new"));
}

static void other_names_and_other_users_files_stay(void **state)
{
	static const char *const names[] = { "file", ".file", ".file.partial-", ".file.partial-abc",
		".file.partial-abcdefg", ".file2.partial-abcdef", "file.partial-abcdef",
		".file.partial-abcdef-wal" };
	char path[128], target[128];
	path_in(*state, "file", target);
	for (size_t i = 0; i < COUNT(names); i++)
		make_file(path_in(*state, names[i], path), "mine");
	assert_int_equal(symlink(target, path_in(*state, ".file.partial-linked", path)), 0);
	assert_int_equal(mkdir(path_in(*state, ".file.partial-folder", path), 0700), 0);
	size_t n = count_files(*state);
	assert_false(partial_is_left(target));
	partial_sweep(target);
	assert_int_equal(count_files(*state), n);
	if (geteuid() != 0)
		return;
	make_file(path_in(*state, ".file.partial-others", path), "theirs");
	assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
	partial_sweep(target);
	assert_int_equal(count_files(*state), n + 1);
	rmdir(path_in(*state, ".file.partial-folder", path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(it_gets_its_name_only_when_it_is_committed),
		TEST(it_replaces_only_what_it_is_told_to),
		TEST(given_up_it_leaves_nothing),
		TEST(nothing_is_replaced_where_rename_cannot_promise_it),
		TEST(what_a_killed_process_left_is_swept),
		TEST(what_is_being_filled_is_not_swept),
		TEST(other_names_and_other_users_files_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
