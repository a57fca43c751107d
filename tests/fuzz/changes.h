/*
 * Changes to a ledger's files and rows, as a fuzzer makes them up: records of eight bytes,
 *
 *	what (1) | where (3, big-endian) | with (4, big-endian)
 *
 * The numbers are taken modulo what there is, so that any bytes mean something.
 */
#ifndef FUZZ_CHANGES_H
#define FUZZ_CHANGES_H

#include "fuzz.h"

/* Writes the changed database and -wal to their paths; `files` stay as they are. */
void changes_apply(
	const uint8_t *bytes, size_t size, const struct buf files[2], const char *const paths[2]);

#endif
