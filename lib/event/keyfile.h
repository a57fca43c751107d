/* Key files: 64 hex digits, for the owner's eyes only. */
#ifndef EVENT_KEYFILE_H
#define EVENT_KEYFILE_H

#include "chain.h"

/*
 * Reads a key file. LEDGER_REFUSED: a symbolic link, no regular file, of another owner (neither
 * this user nor root), readable by others, or by a group other than `group` (NULL: by any group).
 * LEDGER_INVALID: not 64 hex digits (and one newline). LEDGER_USAGE: there is none. LEDGER_IO and so on from the system.
 */
enum ledger_status keyfile_read(
	const char *path, const char *group, struct chain_key *key, struct ledger_error *err);

/* The key written as 64 hex digits. */
enum ledger_status keyfile_parse(struct slice hex, struct chain_key *key, struct ledger_error *err);

#endif
