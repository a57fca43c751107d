/*
 * Moments as text. UTC is reckoned by hand (civil.c); local time is what mktime and localtime_r
 * say.
 */
#include "time.h"

#include <time.h>

#include "civil.h"
#include "json.h"
#include "banned.h"

#define DAY    (24 * 3600) /* seconds; UTC has no leap seconds here */
#define SECOND ((int64_t)TIME_SECOND)

/* A moment as written: fields, and the offset from UTC where there is one. */
struct stamp {
	struct civil date;
	int64_t hour, minute, second;
	int64_t fraction; /* µs */
	bool has_offset;
	int64_t offset; /* minutes east of Greenwich */
};

/* --- Clocks ----------------------------------------------------------------------------------- */

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now) != 0 || now.tv_sec < 0)
		return 0;
	return (uint64_t)now.tv_sec * TIME_SECOND + (uint64_t)now.tv_nsec / 1000;
}

uint64_t time_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t time_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* --- Format ----------------------------------------------------------------------------------- */

/* The last `width` digits of a number, and what stands behind them. */
static char *put(char *at, uint64_t value, int width, char behind)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	at[width] = behind;
	return at + width + 1;
}

/* 64 bits of µs reach to the year 586524: six digits, which a damaged ledger may ask for. */
void time_format(uint64_t us, char out[TIME_TEXT_MAX])
{
	uint64_t second = us / TIME_SECOND;
	struct civil d = civil_from_days((int64_t)(second / DAY));
	char *at = put(out, (uint64_t)d.year, d.year > 9999 ? 6 : 4, '-');
	at = put(at, (uint64_t)d.month, 2, '-');
	at = put(at, (uint64_t)d.day, 2, 'T');
	at = put(at, second % DAY / 3600, 2, ':');
	at = put(at, second % 3600 / 60, 2, ':');
	at = put(at, second % 60, 2, '.');
	at = put(at, us % TIME_SECOND, 6, 'Z');
	*at = '\0';
}

/* --- Parse ------------------------------------------------------------------------------------ */

/* Parsers below return why they do not take a text, as the end of a sentence; NULL: they do. */
static const char not_understood[] = "is not understood";
static const char no_such_date[] = "has a day that is not in the calendar";
static const char no_such_hour[] = "has an hour above 23, or a minute or second above 59";
static const char before_1970[] = "is before 1970";
static const char too_late[] = "is after the last moment there is, 2255-06-05T23:47:34.740991Z";

static enum ledger_status refuse(
	struct ledger_error *err, const char *what, struct slice text, const char *reason)
{
	CLEANUP_BUF struct buf shown = { 0 };
	bool cut = text.len > 40;
	json_add_string(&shown, (struct slice){ text.ptr, cut ? 40 : text.len });
	return fail(err, LEDGER_INVALID, "%s %s%s %s", what, buf_text(&shown), cut ? "..." : "",
		reason);
}

static bool take_char(struct slice *rest, char c)
{
	if (rest->len == 0 || rest->ptr[0] != c)
		return false;
	*rest = slice_from(*rest, 1);
	return true;
}

static size_t count_digits(struct slice s)
{
	size_t n = 0;
	while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
		n++;
	return n;
}

/* Exactly n digits. */
static bool take_digits(struct slice *rest, size_t n, int64_t *value)
{
	int64_t number = 0;
	if (rest->len < n || count_digits((struct slice){ rest->ptr, n }) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		number = number * 10 + (rest->ptr[i] - '0');
	*value = number;
	*rest = slice_from(*rest, n);
	return true;
}

/* YYYY-MM-DD */
static bool take_date(struct slice *rest, struct civil *d)
{
	return take_digits(rest, 4, &d->year) && take_char(rest, '-') &&
	       take_digits(rest, 2, &d->month) && take_char(rest, '-') &&
	       take_digits(rest, 2, &d->day);
}

/* The digits behind a point, one to six, as µs. */
static bool take_fraction(struct slice *rest, int64_t *us)
{
	size_t n = count_digits(*rest);
	if (n < 1 || n > 6 || !take_digits(rest, n, us))
		return false;
	for (; n < 6; n++)
		*us *= 10;
	return true;
}

/* HH:MM:SS.ffffff; the fraction may be missing, and the seconds where `short_form`. */
static bool take_clock(struct slice *rest, bool short_form, struct stamp *st)
{
	if (!take_digits(rest, 2, &st->hour) || !take_char(rest, ':') ||
		!take_digits(rest, 2, &st->minute))
		return false;
	if (!take_char(rest, ':'))
		return short_form;
	if (!take_digits(rest, 2, &st->second))
		return false;
	return !take_char(rest, '.') || take_fraction(rest, &st->fraction);
}

/* Z or +HH:MM; false without or with a wrong one. */
static bool take_offset(struct slice *rest, struct stamp *st)
{
	int64_t hours, minutes;
	st->has_offset = true;
	if (take_char(rest, 'Z') || take_char(rest, 'z'))
		return true;
	bool west = rest->len && rest->ptr[0] == '-';
	if (!take_char(rest, west ? '-' : '+') || !take_digits(rest, 2, &hours) ||
		!take_char(rest, ':') || !take_digits(rest, 2, &minutes) || hours > 23 ||
		minutes > 59)
		return false;
	st->offset = (hours * 60 + minutes) * (west ? -1 : 1);
	return true;
}

static bool take_between(struct slice *rest)
{
	return take_char(rest, 'T') || take_char(rest, 't') || take_char(rest, ' ');
}

static const char *check_stamp(const struct stamp *st)
{
	if (!civil_is_valid(st->date))
		return no_such_date;
	if (st->hour > 23 || st->minute > 59 || st->second > 59)
		return no_such_hour;
	return NULL;
}

/* Seconds and µs since 1970, if that is a moment. */
static const char *to_moment(int64_t seconds, int64_t fraction, uint64_t *us)
{
	if (seconds < 0)
		return before_1970;
	if (seconds > (int64_t)TIME_MAX / SECOND ||
		(uint64_t)(seconds * SECOND + fraction) > TIME_MAX)
		return too_late;
	*us = (uint64_t)(seconds * SECOND + fraction);
	return NULL;
}

static const char *utc_moment(const struct stamp *st, uint64_t *us)
{
	int64_t minutes = st->hour * 60 + st->minute - st->offset;
	return to_moment(
		civil_to_days(st->date) * DAY + minutes * 60 + st->second, st->fraction, us);
}

static const char *parse_full(struct slice text, uint64_t *us)
{
	struct stamp st = { 0 };
	if (!take_date(&text, &st.date) || !take_between(&text) || !take_clock(&text, false, &st) ||
		!take_offset(&text, &st) || text.len)
		return not_understood;
	const char *reason = check_stamp(&st);
	return reason ? reason : utc_moment(&st, us);
}

enum ledger_status time_parse(struct slice text, uint64_t *us, struct ledger_error *err)
{
	const char *reason = parse_full(text, us);
	if (!reason)
		return LEDGER_OK;
	refuse(err, "time", text, reason);
	return hint(err,
		"write it like 2026-11-20T17:30:00Z or 2026-11-20T17:30:00.123456+01:00, with "
		"at most six digits behind the point");
}

/* --- Local time ------------------------------------------------------------------------------- */

/* Seconds since 1970 of a local time; `dst` as tm_isdst, -1: let mktime find out. */
static int64_t local_seconds(const struct stamp *st, int dst)
{
	struct tm tm = {
		.tm_year = (int)st->date.year - 1900,
		.tm_mon = (int)st->date.month - 1,
		.tm_mday = (int)st->date.day,
		.tm_hour = (int)st->hour,
		.tm_min = (int)st->minute,
		.tm_sec = (int)st->second,
		.tm_isdst = dst,
	};
	return mktime(&tm);
}

static struct civil date_at(int64_t seconds, bool utc)
{
	struct tm tm = { 0 };
	time_t t = seconds;
	if (utc || !localtime_r(&t, &tm))
		return civil_from_days((seconds >= 0 ? seconds : seconds - DAY + 1) / DAY);
	return (struct civil){ tm.tm_year + INT64_C(1900), tm.tm_mon + 1, tm.tm_mday };
}

static const char *moment_of(const struct stamp *st, bool utc, uint64_t *us)
{
	if (utc || st->has_offset)
		return utc_moment(st, us);
	return to_moment(local_seconds(st, -1), st->fraction, us);
}

/*
 * The first instant of a day. Some zones change their clocks at midnight, so that it is skipped or
 * comes twice: of what mktime makes of midnight, the earliest that is on the day.
 */
static const char *first_of_day(struct civil day, bool utc, uint64_t *us)
{
	struct stamp midnight = { .date = day };
	if (utc)
		return utc_moment(&midnight, us);
	int64_t first = local_seconds(&midnight, -1);
	bool found = false;
	for (int dst = -1; dst <= 1; dst++) {
		int64_t at = local_seconds(&midnight, dst);
		if (civil_to_days(date_at(at, false)) != civil_to_days(day) ||
			(found && at > first))
			continue;
		first = at;
		found = true;
	}
	return to_moment(first, 0, us);
}

/* --- Words ------------------------------------------------------------------------------------ */

/* "today" and its neighbours, as a date; false for other words. */
static bool named_day(struct slice text, const struct time_context *context, struct civil *day)
{
	static const char *const names[] = { "yesterday", "today", "tomorrow" };
	for (int i = 0; i < 3; i++) {
		if (!slice_is(text, names[i]))
			continue;
		int64_t today =
			civil_to_days(date_at((int64_t)(context->now / TIME_SECOND), context->utc));
		*day = civil_from_days(today + i - 1);
		return true;
	}
	return false;
}

static const char *parse_duration(struct slice text, uint64_t *us)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {
		{ "ms", 1000 },
		{ "s", TIME_SECOND },
		{ "m", 60 * TIME_SECOND },
		{ "h", 3600 * TIME_SECOND },
		{ "d", DAY * TIME_SECOND },
		{ "w", 7 * DAY * TIME_SECOND },
	};
	size_t digits = count_digits(text);
	if (digits == 0)
		return not_understood;
	struct slice unit = slice_from(text, digits);
	uint64_t number;
	if (!slice_u64((struct slice){ text.ptr, digits }, &number))
		return "is too long";
	if (unit.len == 0 && number == 0) {
		*us = 0;
		return NULL;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!slice_is(unit, units[i].name))
			continue;
		if (number > TIME_MAX / units[i].us)
			return "is too long";
		*us = number * units[i].us;
		return NULL;
	}
	return unit.len ? not_understood : "has no unit";
}

/* "-5m", "+1h" */
static const char *parse_from_now(struct slice text, uint64_t now, uint64_t *us)
{
	uint64_t distance;
	const char *reason = parse_duration(slice_from(text, 1), &distance);
	if (reason)
		return reason;
	if (text.ptr[0] == '-' && distance > now)
		return before_1970;
	if (text.ptr[0] == '+' && (now > TIME_MAX || distance > TIME_MAX - now))
		return too_late;
	*us = text.ptr[0] == '-' ? now - distance : now + distance;
	return NULL;
}

/* "@1763658000", "@1763658000.123456"; a whole number too large for seconds is µs. */
static const char *parse_number(struct slice text, uint64_t *us)
{
	uint64_t number;
	int64_t fraction = 0;
	struct slice rest = slice_from(text, 1);
	size_t digits = count_digits(rest);
	struct slice whole = { rest.ptr, digits };
	rest = slice_from(rest, digits);
	bool has_fraction = take_char(&rest, '.');
	if (digits == 0 || (has_fraction && !take_fraction(&rest, &fraction)) || rest.len)
		return not_understood;
	if (!slice_u64(whole, &number) || number > TIME_MAX)
		return too_late;
	if (has_fraction || number <= TIME_MAX / TIME_SECOND)
		return to_moment((int64_t)number, fraction, us);
	*us = number;
	return NULL;
}

/* A date, alone or with a clock, with or without offset. */
static const char *parse_stamp(struct slice text, const struct time_context *context, uint64_t *us)
{
	struct stamp st = { 0 };
	if (!take_date(&text, &st.date))
		return not_understood;
	bool bare = text.len == 0;
	if (!bare && (!take_between(&text) || !take_clock(&text, true, &st)))
		return not_understood;
	if (text.len && (!take_offset(&text, &st) || text.len))
		return not_understood;
	const char *reason = check_stamp(&st);
	if (reason)
		return reason;
	return bare ? first_of_day(st.date, context->utc, us) : moment_of(&st, context->utc, us);
}

static const char *parse_words(struct slice text, const struct time_context *context, uint64_t *us)
{
	struct civil day;
	if (slice_is(text, "now")) {
		*us = context->now;
		return NULL;
	}
	if (named_day(text, context, &day))
		return first_of_day(day, context->utc, us);
	switch (text.len ? text.ptr[0] : '\0') {
	case '-':
	case '+':
		return parse_from_now(text, context->now, us);
	case '@':
		return parse_number(text, us);
	default:
		return parse_stamp(text, context, us);
	}
}

enum ledger_status time_parse_words(struct slice text, const struct time_context *context,
	uint64_t *us, struct ledger_error *err)
{
	const char *reason = parse_words(text, context, us);
	if (!reason)
		return LEDGER_OK;
	refuse(err, "time", text, reason);
	return hint(err,
		"understood: 2026-11-20T17:30:00Z, \"2026-11-20 17:30\", 2026-11-20, now, today, "
		"yesterday, tomorrow, -90s, -5m, -1h, -2d, -3w, +1h, @1763658000");
}

static const char *parse_day(
	struct slice text, const struct time_context *context, uint64_t *first, uint64_t *next)
{
	struct civil day;
	uint64_t from, to;
	if (!named_day(text, context, &day) && (!take_date(&text, &day) || text.len))
		return not_understood;
	if (!civil_is_valid(day))
		return no_such_date;
	const char *reason = first_of_day(day, context->utc, &from);
	if (!reason)
		reason = first_of_day(civil_from_days(civil_to_days(day) + 1), context->utc, &to);
	if (reason)
		return reason;
	*first = from;
	*next = to;
	return NULL;
}

enum ledger_status time_parse_day(struct slice text, const struct time_context *context,
	uint64_t *first, uint64_t *next, struct ledger_error *err)
{
	const char *reason = parse_day(text, context, first, next);
	if (!reason)
		return LEDGER_OK;
	refuse(err, "day", text, reason);
	return hint(err, "understood: 2026-11-20, today, yesterday");
}

enum ledger_status time_parse_duration(struct slice text, uint64_t *us, struct ledger_error *err)
{
	const char *reason = parse_duration(text, us);
	if (!reason)
		return LEDGER_OK;
	refuse(err, "duration", text, reason);
	return hint(err, "write a whole number and a unit: 250ms, 5s, 10m, 1h, 30d, 2w");
}
