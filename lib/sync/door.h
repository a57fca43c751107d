/*
 * What link_nats.c and options_nats.c share: the door to libnats. No other file includes this one, and
 * none but this one nats.h.
 */
#ifndef SYNC_DOOR_H
#define SYNC_DOOR_H

#include <nats/nats.h>

#include "link.h"

/* Options for one connection, with what the files hold now. Where that fails: which file, and why. */
enum ledger_status door_options(
	natsOptions **out, const struct link_options *options, struct ledger_error *err);

/* Their failure in words for a person, ours and theirs; never with a password or a control character. */
enum ledger_status door_fail_nats(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err);

/* The same where a connection could not be made. */
enum ledger_status door_fail_connect(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err);

/* For text that a server sent: at most n - 1 bytes, printable. */
void door_clean(const char *text, char *out, size_t n);

#endif
