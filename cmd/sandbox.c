#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/ledger.h"

#include "../lib/base/banned.h"

/* --- Memory ---------------------------------------------------------------------------------- */

void sandbox_hide_memory(void)
{
	struct rlimit none = { 0, 0 };
	/* Both: the limit does not hold for a program that takes cores (core(5)), this holds for both. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* --- Sockets --------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#ifdef ARCHITECTURE

#define X32_BIT		   0x40000000u
#define LOAD(member)	   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define EQUAL(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define REFUSE(code)	   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
#define ALLOW		   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* The first argument is an int: the low half of 64 bits, which comes first on these machines. */
static bool refuse_sockets(bool local, bool network)
{
	const uint32_t none = UINT32_MAX;
	struct sock_filter rows[] = {
		/* Other numbers for the same calls. */
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		REFUSE(ENOSYS),
		LOAD(nr),
#ifdef __x86_64__
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		REFUSE(ENOSYS),
#endif
		EQUAL(SYS_io_uring_setup, 1),
		REFUSE(EPERM),
		EQUAL(SYS_socket, 10),
		LOAD(args[0]),
		EQUAL(local || network ? AF_UNIX : none, 1),
		ALLOW,
		EQUAL(network ? AF_INET : none, 1),
		ALLOW,
		EQUAL(network ? AF_INET6 : none, 1),
		ALLOW,
		/* Which kinds of addresses this machine has: the C library asks before it looks up a name. */
		EQUAL(network ? AF_NETLINK : none, 1),
		ALLOW,
		REFUSE(EACCES),
		ALLOW,
	};
	struct sock_fprog filter = { sizeof(rows) / sizeof(rows[0]), rows };
	/* libnats leaves threads behind: for them too. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) ==
		       0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

#else

static bool refuse_sockets(bool local, bool network)
{
	(void)local, (void)network;
	return false;
}

#endif

/* --- Files ----------------------------------------------------------------------------------- */

/* Those of Linux 5.13, and what came later; the headers may be older than the kernel. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define REPLACE_RIGHTS (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define FILE_RIGHTS    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define FIRST_RIGHTS                                                                               \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | REPLACE_RIGHTS |             \
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |                     \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |                       \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                     \
		LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What this kernel can take away; 0: nothing. */
static uint64_t rights_here(void)
{
#ifdef LEDGERBOX_COVERAGE
	return 0; /* what ran is written at the end, beside each object */
#else
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	return FIRST_RIGHTS | (version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
	       (version >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
#endif
}

/* What is not there needs no right. */
static void let(int rules, const char *path, uint64_t rights)
{
	CLEANUP_FD int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	if (fd >= 0 && rights)
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static void let_database(int rules, const char *path, uint64_t rights)
{
	CLEANUP_BUF struct buf shm = { 0 };
	if (!path)
		return;
	buf_addf(&shm, "%s-shm", path);
	let(rules, buf_text(&shm), rights);
}

#ifdef __SANITIZE_ADDRESS__
/* A sanitizer writes what it finds to a file that it makes when it finds something. */
static void let_sanitizer(int rules, uint64_t rights)
{
	const char *options = getenv("ASAN_OPTIONS");
	const char *at = options ? strstr(options, "log_path=") : NULL;
	if (!at)
		return;
	at += strlen("log_path=");
	CLEANUP_BUF struct buf folder = { 0 };
	const char *slash = memrchr(at, '/', strcspn(at, ":"));
	buf_add(&folder, at, slash ? (size_t)(slash - at) : 0);
	let(rules, buf_text(&folder), rights);
}
#else
static void let_sanitizer(int rules, uint64_t rights)
{
	(void)rules, (void)rights;
}
#endif

static bool refuse_writes(const struct sandbox *sandbox)
{
	uint64_t rights = rights_here();
	struct landlock_ruleset_attr all = { .handled_access_fs = rights };
	if (!rights)
		return false;
	CLEANUP_FD int rules =
		(int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);
	if (rules < 0)
		return false;
	let_database(rules, sandbox->database, FILE_RIGHTS & rights);
	for (size_t i = 0; i < SANDBOX_FOLDERS; i++)
		let(rules, sandbox->writes_in[i], (FILE_RIGHTS | REPLACE_RIGHTS) & rights);
	let(rules, sandbox->replaces_in, REPLACE_RIGHTS);
	let_sanitizer(rules, (FILE_RIGHTS | REPLACE_RIGHTS) & rights);
	return syscall(SYS_landlock_restrict_self, rules, 0) == 0;
}

struct sandbox_result sandbox_enter(const struct sandbox *sandbox)
{
	struct sandbox_result result = { 0 };
	result.privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	if (!result.privileges)
		return result;
	result.files = refuse_writes(sandbox);
	result.sockets = refuse_sockets(sandbox->local_sockets, sandbox->network);
	return result;
}

bool sandbox_close_network(const struct sandbox *sandbox)
{
	return refuse_sockets(sandbox->local_sockets, false);
}
