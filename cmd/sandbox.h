/*
 * Giving up rights that reading does not need, as far as the kernel lets us. What is open stays open, with
 * what it may do.
 *
 *	no_new_privs	no program run from here gains rights
 *	seccomp		no sockets (and no io_uring, which could make them unseen)
 *	Landlock	files are only read; no program is run. Linux 5.13 and later, where it is switched on
 *
 * Costs under 0.1 ms.
 */
#ifndef CMD_SANDBOX_H
#define CMD_SANDBOX_H

#include <stdbool.h>

#define SANDBOX_FOLDERS 4

struct sandbox {
	const char *database; /* its -shm is written by readers too; NULL: none */
	const char *writes_in
		[SANDBOX_FOLDERS]; /* folders in which files are made and written; NULL: none */
	const char *
		replaces_in; /* one in which an open file gets another name and files are removed */
	bool local_sockets;  /* AF_UNIX: the C library may ask a daemon for the system's groups */
	bool network;	     /* connections too, until sandbox_close_network */
};

/* What was given up; for tests. */
struct sandbox_result {
	bool privileges, sockets, files;
};

/* Before there are threads. Goes as far as it gets: a kernel that lacks one part has the others. */
struct sandbox_result sandbox_enter(const struct sandbox *sandbox);

/* No more sockets from here on, in no thread; those that are open should be closed before. */
bool sandbox_close_network(const struct sandbox *sandbox);

/* From here on a crash leaves no core, and no other process of this user looks into this one: keys are in
 * its memory. */
void sandbox_hide_memory(void);

#endif
