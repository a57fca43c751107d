/*
 * The parts of ledgerbox-faulty: the program itself on a disk and a memory that fail when told to.
 *
 * What happens to files goes to a journal (disk.c), from which a driver computes what a power loss may
 * leave of them. SQLite's calls come through a VFS (vfs.c), ours through the linker's --wrap (calls.c);
 * allocations of both through memory.c. All is driven by the environment, see disk.c.
 */
#ifndef FAULTY_H
#define FAULTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The names that the linker gives with --wrap: __wrap_x is called in x's place, __real_x is x. */
#define WRAPS(type, name, ...)                                                                     \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

enum fault_kind {
	FAULT_READ,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_TRUNCATE,
	FAULT_LOCK,
	FAULT_OPEN,
	FAULT_NAME, /* rename, link, unlink, mkdir */
	FAULT_ALLOC,
	FAULT_KINDS_
};

/* What the journal has: a struct disk_record, then two pieces of bytes. power.py reads it. */
enum disk_what {
	DISK_OPEN,     /* a: path; file: what it is now */
	DISK_WRITE,    /* file, offset, a: bytes */
	DISK_TRUNCATE, /* file, offset: the new size */
	DISK_SYNC,     /* file */
	DISK_SYNC_DIR, /* a: path of the folder */
	DISK_RENAME,   /* a: from, b: to */
	DISK_LINK,     /* a: from, b: to */
	DISK_UNLINK,   /* a: path */
	DISK_FAILED,   /* a: what failed on purpose, in words */
	DISK_END       /* a: how many calls there were of each kind */
};

struct disk_record {
	uint32_t what;
	uint32_t a, b; /* bytes that follow */
	uint32_t unused;
	uint64_t file; /* inode */
	uint64_t offset;
};

/* Counts a call of a kind; true where it has to fail. fault_errno() says how; the caller sets it. */
bool fault_hits(enum fault_kind kind);
int fault_errno(void);
/* Is the write that fails to be done in part? */
bool fault_is_short(void);
/* One of the ways to lie: see disk.c. */
bool fault_lies(const char *how);

/* Writes a record. */
void disk_note(enum disk_what what, uint64_t file, uint64_t offset, const void *a, size_t n_a,
	const void *b, size_t n_b);
/* Before something changes on the disk: the power may go here, and the process ends. */
void disk_step(void);

uint64_t disk_file(const char *path); /* its inode, 0 without one */

#endif
