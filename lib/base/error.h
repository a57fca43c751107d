/*
 * How things end. A status is what a program acts on and is the exit code of every command; the
 * text is for a person: a part of a sentence, no capital, no full stop, the value in question named.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

enum ledger_status {
	LEDGER_OK = 0,
	LEDGER_NO = 1,		/* not found, nothing there */
	LEDGER_USAGE = 2,	/* usage or config */
	LEDGER_DAMAGED = 3,	/* verify found something wrong */
	LEDGER_CONFLICT = 10,	/* version or condition */
	LEDGER_NOT_OWNER = 11,	/* another node owns the stream */
	LEDGER_INVALID = 12,	/* input that is not valid */
	LEDGER_NOT_LEDGER = 13, /* not a ledger, or a newer one */
	LEDGER_REFUSED =
		14, /* copied or restored, permission, other node, cursor of another history */
	LEDGER_UNVERIFIED = 15, /* key, format or algorithm unknown */
	LEDGER_BUSY = 20,
	LEDGER_UNREACHABLE = 21,
	LEDGER_TIMED_OUT = 22,
	LEDGER_IO = 23,
	LEDGER_NO_SPACE = 24,
	LEDGER_NO_MEMORY = 25,
	LEDGER_NOT_PROVEN = 30, /* recorded, not proven by N nodes in time */
	LEDGER_UNKNOWN = 31	/* may be recorded */
};

struct ledger_error {
	enum ledger_status status;
	char text[512]; /* what went wrong */
	char hint[256]; /* what to do next, "" where we do not know */
	char id[40];	/* the event in question, "" where there is none */
};

/* Leaves the function on the first failure. */
#define TRY(step)                                                                                  \
	do {                                                                                       \
		enum ledger_status try_status_ = (step);                                           \
		if (try_status_ != LEDGER_OK)                                                      \
			return try_status_;                                                        \
	} while (0)

/* Fills *err and returns the status, so that failing is one line. Cut where it does not fit. */
enum ledger_status fail(struct ledger_error *err, enum ledger_status status, const char *format,
	...) __attribute__((format(printf, 3, 4)));

/* The same with errno behind it: "cannot open x: No such file or directory"; picks the status
 * from errno: ENOSPC and EDQUOT LEDGER_NO_SPACE, ENOMEM LEDGER_NO_MEMORY, EACCES, EPERM and EROFS
 * LEDGER_REFUSED, else LEDGER_IO. */
enum ledger_status fail_errno(struct ledger_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts context in front of the text that is there: "line 7: " … Returns err->status. */
enum ledger_status fail_in(struct ledger_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Says what to do next. Returns err->status. */
enum ledger_status hint(struct ledger_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A stable word for a status: "ok", "conflict", "not-a-ledger" …; the JSON error's `code`. */
const char *ledger_status_name(enum ledger_status status);

/* One line for people: what the status means. */
const char *ledger_status_meaning(enum ledger_status status);

/* May the same call succeed later (exit codes 20 to 29)? */
bool ledger_worth_retrying(enum ledger_status status);

#endif
