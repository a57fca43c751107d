/*
 * Moments and lengths of time. A moment is microseconds since 1970-01-01T00:00:00Z without leap
 * seconds, 0 <= x < 2^53 (design section 2).
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "error.h"
#include "slice.h"

#define TIME_SECOND   UINT64_C(1000000)
#define TIME_MAX      ((UINT64_C(1) << 53) - 1)
#define TIME_TEXT_MAX 32

/* The wall clock in µs. */
uint64_t time_now(void);

/* A clock that never goes back, in µs since some moment: for waiting and measuring. */
uint64_t time_monotonic(void);

/* "2026-11-20T17:30:00.123456Z": always six digits and Z, NUL-terminated. */
void time_format(uint64_t us, char out[TIME_TEXT_MAX]);

/* RFC 3339 with offset or Z, up to six digits of fraction ("T", "t" or one space between date and
 * time); LEDGER_INVALID names the value. Leap second :60 and moments before 1970 are refused. */
enum ledger_status time_parse(struct slice text, uint64_t *us, struct ledger_error *err);

/* How words on the command line are read. */
struct time_context {
	uint64_t now; /* µs */
	bool utc;     /* without offset: UTC, else the local time zone */
};

/*
 * A moment as a person types it: what time_parse takes, with the offset left out ("2026-11-20 17:30",
 * seconds optional), a bare date (its first instant), "now", "today", "yesterday", "tomorrow" (their
 * first instants), "-90s" "-5m" "-1h" "-2d" "-3w" before now and "+1h" after it, "@" and µs or
 * seconds since 1970 ("@1763658000", "@1763658000.123456").
 * LEDGER_INVALID names the value; the hint lists what is understood. A local time that a clock change
 * skips or repeats is taken as mktime takes it.
 */
enum ledger_status time_parse_words(struct slice text, const struct time_context *context,
	uint64_t *us, struct ledger_error *err);

/* The first instant of the day that `text` (a date, "today", "yesterday") names, and of the day after. */
enum ledger_status time_parse_day(struct slice text, const struct time_context *context,
	uint64_t *first, uint64_t *next, struct ledger_error *err);

/* "250ms", "5s", "10m", "1h", "30d", "2w": a whole number and a unit, in µs; a number without unit is
 * refused unless it is 0. */
enum ledger_status time_parse_duration(struct slice text, uint64_t *us, struct ledger_error *err);

#endif
