/* Small things done to files: whole writes, syncs of folders, sharing with a group. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>

#include "buf.h"
#include "error.h"
#include "slice.h"

/* Closes at the end of the scope; -1 is nothing. */
#define CLEANUP_FD __attribute__((cleanup(file_close)))
void file_close(int *fd);

/* Writes everything or fails; `path` is for the message. */
enum ledger_status file_write_all(
	int fd, struct slice bytes, const char *path, struct ledger_error *err);

/* Sets mode, and the group where `group` is not NULL, whatever the umask was. */
enum ledger_status file_share(
	int fd, const char *path, const char *group, mode_t mode, struct ledger_error *err);

/* Syncs the folder that holds `path`, so that its new name survives a power loss. */
enum ledger_status file_sync_folder(const char *path, struct ledger_error *err);

/* Adds a path as a "file:" URI, so that no character of it means anything else. */
void file_add_uri(struct buf *out, const char *path);

/* Makes a folder and what is missing above it (0755; the last one `mode`, shared with `group`). */
enum ledger_status file_make_folder(
	const char *path, const char *group, mode_t mode, struct ledger_error *err);

#endif
