/* What a process can still do once it gave up its rights: each try in a process of its own. */
#include "../../cmd/sandbox.h"

#include "ledger_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static int make_folder(void **state)
{
	*state = place_empty();
	return 0;
}

static const struct place *here;
static struct sandbox_result got;

static char *in(const char *name, char out[128])
{
	return path_in(here, name, out);
}

static int try_open(const char *name, int how)
{
	char path[128];
	int fd = open(in(name, path), how | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* --- Tries: 0 or errno ----------------------------------------------------------------------- */

static int inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int udp_socket(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int ring(void)
{
	char room[256] = "";
	return syscall(SYS_io_uring_setup, 1, room) < 0 ? errno : 0;
}

static int new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0;
}

static int write_old(void)
{
	return try_open("old", O_WRONLY);
}

static int make_new(void)
{
	return try_open("new", O_WRONLY | O_CREAT | O_EXCL);
}

static int write_database(void)
{
	return try_open("ledger.db", O_RDWR);
}

static int write_shm(void)
{
	return try_open("ledger.db-shm", O_RDWR | O_TRUNC);
}

static int make_in_folder(void)
{
	return try_open("folder/new", O_WRONLY | O_CREAT | O_TRUNC);
}

static int write_in_replaced(void)
{
	return try_open("replaced/old", O_WRONLY);
}

static int rename_in_replaced(void)
{
	char from[128], to[128];
	return rename(in("replaced/fresh", from), in("replaced/old", to)) ? errno : 0;
}

static int remove_old(void)
{
	char path[128];
	return unlink(in("old", path)) ? errno : 0;
}

static int rename_out(void)
{
	char from[128], to[128];
	return rename(in("old", from), in("folder/old", to)) ? errno : 0;
}

static int cut_old(void)
{
	char path[128];
	return truncate(in("old", path), 0) ? errno : 0;
}

static int read_old(void)
{
	return try_open("old", O_RDONLY);
}

static int run_program(void)
{
	execl("/bin/true", "true", NULL);
	return errno;
}

/* --- The matrix ------------------------------------------------------------------------------ */

enum part { PRIVILEGES, SOCKETS, FILES };

static const struct {
	const char *name;
	int (*try)(void);
	enum part part;
	bool refused;
} tries[] = {
	{ "no_new_privs", new_privileges, PRIVILEGES, true },
	{ "an internet socket", inet_socket, SOCKETS, true },
	{ "an IPv6 datagram socket", udp_socket, SOCKETS, true },
	{ "a netlink socket", netlink_socket, SOCKETS, true },
	{ "a local socket", unix_socket, SOCKETS, true },
	{ "io_uring", ring, SOCKETS, true },
	{ "writing a file", write_old, FILES, true },
	{ "making a file", make_new, FILES, true },
	{ "writing the database", write_database, FILES, true },
	{ "removing a file", remove_old, FILES, true },
	{ "moving a file to where files may be made", rename_out, FILES, true },
	{ "cutting a file", cut_old, FILES, true },
	{ "writing what is to be replaced", write_in_replaced, FILES, true },
	{ "running a program", run_program, FILES, true },
	{ "reading a file", read_old, FILES, false },
	{ "writing the database's -shm", write_shm, FILES, false },
	{ "making a file where it may", make_in_folder, FILES, false },
	{ "replacing a file where it may", rename_in_replaced, FILES, false },
};

static void enter(bool local_sockets)
{
	char database[128], folder[128], replaced[128];
	struct sandbox sandbox = {
		.database = in("ledger.db", database),
		.writes_in = { in("folder", folder), "/no/such/folder" },
		.replaces_in = in("replaced", replaced),
		.local_sockets = local_sockets,
	};
	got = sandbox_enter(&sandbox);
}

static bool is_on(enum part part)
{
	return part == PRIVILEGES ? got.privileges : part == SOCKETS ? got.sockets : got.files;
}

static void make_files(void)
{
	static const char *const names[] = { "old", "ledger.db", "ledger.db-shm", "replaced/old",
		"replaced/fresh" };
	char path[128];
	mkdir(in("folder", path), 0700);
	mkdir(in("replaced", path), 0700);
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(try_open(names[i], O_WRONLY | O_CREAT), 0);
}

/* What a child came to: 0 done, 200 the kernel lacks that part, else the errno. */
static int in_child(int (*try)(void), bool confined, enum part part, bool local_sockets)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (confined)
			enter(local_sockets);
		_exit(confined && !is_on(part) ? 200 : try());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void remove_files(void)
{
	static const char *const names[] = { "folder/new", "folder/old", "folder", "replaced/old",
		"replaced/fresh", "replaced", "new" };
	char path[128];
	for (size_t i = 0; i < COUNT(names); i++)
		remove(in(names[i], path));
}

static void try_part(void **state, enum part part)
{
	here = *state;
	for (size_t i = 0; i < COUNT(tries); i++) {
		if (tries[i].part != part)
			continue;
		make_files();
		int before = in_child(tries[i].try, false, part, false);
		remove_files();
		make_files();
		int after = in_child(tries[i].try, true, part, false);
		remove_files();
		if (after == 200)
			skip(); /* this kernel cannot */
		/* io_uring may be switched off for all. */
		if (before != 0 && tries[i].try != ring)
			fail_msg("%s: cannot even be done outside: %s", tries[i].name,
				strerror(before));
		if ((after != 0) != tries[i].refused)
			fail_msg("%s: %s", tries[i].name, after ? strerror(after) : "done");
	}
}

static void it_gains_no_privileges(void **state)
{
	try_part(state, PRIVILEGES);
}

static void it_makes_no_sockets(void **state)
{
	try_part(state, SOCKETS);
}

static void it_writes_only_what_it_may(void **state)
{
	try_part(state, FILES);
}

static void local_sockets_can_be_left(void **state)
{
	here = *state;
	int code = in_child(unix_socket, true, SOCKETS, true);
	if (code == 200)
		skip();
	assert_int_equal(code, 0);
	assert_int_not_equal(in_child(inet_socket, true, SOCKETS, true), 0);
}

/* As verify --peers: connections in the first step, none in the second, also not in a thread from before. */
static int closes;

static int network_in_steps(void)
{
	struct sandbox sandbox = { .network = true };
	got = sandbox_enter(&sandbox);
	if (!got.sockets)
		return 200;
	if (!closes)
		return inet_socket()   ? 1
		       : udp_socket()  ? 2
		       : unix_socket() ? 3
		       : ring() == 0   ? 4
				       : 0;
	if (!sandbox_close_network(&sandbox))
		return 5;
	return !inet_socket()	   ? 6
	       : !udp_socket()	   ? 7
	       : !netlink_socket() ? 8
	       : !unix_socket()	   ? 9
				   : 0;
}

static void the_network_can_be_left_and_closed_later(void **state)
{
	here = *state;
	for (closes = 0; closes < 2; closes++) {
		int code = in_child(network_in_steps, false, SOCKETS, false);
		if (code == 200)
			skip();
		assert_int_equal(code, 0);
	}
}

static pthread_barrier_t before_closing, after_closing;
static int in_thread;

static void *try_in_thread(void *context)
{
	pthread_barrier_wait(&before_closing);
	pthread_barrier_wait(&after_closing);
	in_thread = inet_socket();
	return context;
}

static int close_for_a_thread(void)
{
	struct sandbox sandbox = { .network = true };
	pthread_t thread;
	got = sandbox_enter(&sandbox);
	if (!got.sockets)
		return 200;
	pthread_barrier_init(&before_closing, NULL, 2);
	pthread_barrier_init(&after_closing, NULL, 2);
	if (pthread_create(&thread, NULL, try_in_thread, NULL))
		return 1;
	pthread_barrier_wait(&before_closing);
	bool closed = sandbox_close_network(&sandbox);
	pthread_barrier_wait(&after_closing);
	pthread_join(thread, NULL);
	return closed && in_thread ? 0 : 2;
}

static void closing_the_network_holds_for_threads_from_before(void **state)
{
	here = *state;
	int code = in_child(close_for_a_thread, false, SOCKETS, false);
	if (code == 200)
		skip();
	assert_int_equal(code, 0);
}

static int what_is_open(void)
{
	char path[128];
	int fd = open(in("open", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enter(false);
	return write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 ? 0 : errno;
}

static void what_is_open_stays_so(void **state)
{
	here = *state;
	assert_int_equal(in_child(what_is_open, false, FILES, false), 0);
}

/* --- Memory ---------------------------------------------------------------------------------- */

static int crash(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	setrlimit(RLIMIT_CORE, &all);
	if (chdir(here->folder) != 0)
		return 1;
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	return 1;
}

static int crash_hidden(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	sandbox_hide_memory();
	setrlimit(RLIMIT_CORE, &all);
	/* Not by the limit alone: cores that are handed to a program do not ask it. */
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? crash() : 1;
}

/* -1 where the process was not ended by the signal. */
static int dumps_core(int (*end)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(end());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WCOREDUMP(status) != 0 : -1;
}

static void a_crash_leaves_no_core(void **state)
{
	here = *state;
	int plain = dumps_core(crash);
	assert_int_equal(dumps_core(crash_hidden), 0);
	if (plain != 1)
		skip(); /* nobody's crash leaves one here */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(it_gains_no_privileges),
		TEST(it_makes_no_sockets),
		TEST(the_network_can_be_left_and_closed_later),
		TEST(closing_the_network_holds_for_threads_from_before),
		TEST(it_writes_only_what_it_may),
		TEST(local_sockets_can_be_left),
		TEST(what_is_open_stays_so),
		TEST(a_crash_leaves_no_core),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
