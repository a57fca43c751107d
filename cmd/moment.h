/*
 * A moment of a state as a person types it: a time, version=N or position=N. A bare number is refused,
 * because it could be any of them; a date is its first instant, and that is said on stderr.
 */
#ifndef CMD_MOMENT_H
#define CMD_MOMENT_H

#include "../lib/fold.h"

/* Adds what `text` says to *moment. `option` is for messages ("--at"). LEDGER_USAGE names a bad one. */
enum ledger_status moment_parse(const char *option, const char *text, bool utc,
	struct ledger_moment *moment, struct ledger_error *err);

/* The same for a time alone, which is read on the clock. */
enum ledger_status moment_parse_known(
	const char *text, bool utc, struct ledger_moment *moment, struct ledger_error *err);

#endif
