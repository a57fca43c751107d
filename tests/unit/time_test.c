/* Time: text both ways, words, local days, durations. */
#include "../../lib/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

#define S TIME_SECOND

/* Rules spelled out (POSIX TZ), so that no test depends on the machine's zone files. */
#define BERLIN	   "CET-1CEST,M3.5.0,M10.5.0/3"
#define HAVANA	   "CST5CDT,M3.2.0/0,M11.1.0/1"	    /* midnight is skipped, and comes twice */
#define SAOPAULO   "<-03>3<-02>,M10.3.0/0,M2.3.0/0" /* midnight is skipped */
#define KIRITIMATI "<+14>-14"

static struct ledger_error err;

static void set_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static uint64_t moment(const char *text)
{
	uint64_t us = 0;
	if (time_parse(slice_of(text), &us, &err) != LEDGER_OK)
		fail_msg("%s", err.text);
	return us;
}

static void expect_moment(uint64_t us, const char *text)
{
	char shown[TIME_TEXT_MAX];
	time_format(us, shown);
	assert_string_equal(shown, text);
}

static void expect_words(const char *words, const struct time_context *context, const char *text)
{
	uint64_t us = 0;
	if (time_parse_words(slice_of(words), context, &us, &err) != LEDGER_OK)
		fail_msg("%s", err.text);
	expect_moment(us, text);
}

static void clocks_run(void **state)
{
	(void)state;
	assert_true(time_now() > moment("2020-01-01T00:00:00Z") && time_now() < TIME_MAX);
	uint64_t before = time_monotonic();
	assert_true(time_monotonic() >= before);
}

static void known_moments_are_written(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1, "1970-01-01T00:00:00.000001Z" },
		{ 951782400 * S, "2000-02-29T00:00:00.000000Z" },
		{ 951868800 * S - 1, "2000-02-29T23:59:59.999999Z" },
		{ 1763659800 * S + 123456, "2025-11-20T17:30:00.123456Z" },
		{ 4107542400 * S, "2100-03-01T00:00:00.000000Z" },
		{ TIME_MAX, "2255-06-05T23:47:34.740991Z" },
		{ UINT64_MAX, "586524-01-19T08:01:49.551615Z" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_moment(cases[i].us, cases[i].text);
}

/* Every day that can be written, against the C library; and read back. */
static void every_day_is_what_gmtime_r_says(void **state)
{
	(void)state;
	for (uint64_t day = 0; day * 86400 <= TIME_MAX / S; day++) {
		time_t t = (time_t)(day * 86400 + day % 86400);
		char ours[TIME_TEXT_MAX], theirs[TIME_TEXT_MAX];
		struct tm tm;
		assert_non_null(gmtime_r(&t, &tm));
		assert_true(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000000Z", &tm));
		time_format((uint64_t)t * S, ours);
		assert_string_equal(ours, theirs);
		assert_true(moment(ours) == (uint64_t)t * S);
	}
}

static void every_form_of_rfc_3339_is_read(void **state)
{
	static const struct {
		const char *text, *meaning;
	} cases[] = {
		{ "2026-11-20T17:30:00Z", "2026-11-20T17:30:00.000000Z" },
		{ "2026-11-20t17:30:00z", "2026-11-20T17:30:00.000000Z" },
		{ "2026-11-20 17:30:00.5Z", "2026-11-20T17:30:00.500000Z" },
		{ "2026-11-20T17:30:00.000001Z", "2026-11-20T17:30:00.000001Z" },
		{ "2026-11-20T17:30:00.12345+01:00", "2026-11-20T16:30:00.123450Z" },
		{ "2026-11-20T17:30:00-08:30", "2026-11-21T02:00:00.000000Z" },
		{ "2026-11-20T17:30:00-00:00", "2026-11-20T17:30:00.000000Z" },
		{ "2026-01-01T00:30:00+23:59", "2025-12-31T00:31:00.000000Z" },
		{ "1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00.000000Z" },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z" },
		{ "2255-06-05T23:47:34.740991Z", "2255-06-05T23:47:34.740991Z" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_moment(moment(cases[i].text), cases[i].meaning);
}

static void what_is_no_moment_is_refused(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-11-20", "2026-11-20T17:30Z",
		"2026-11-20T17:30:00", "2026-11-20  17:30:00Z", "2026-11-20_17:30:00Z",
		"2026-11-20T17:30:00ZZ", " 2026-11-20T17:30:00Z", "2026-11-20T17:30:00Z ",
		"2026-11-20T17:30:00.Z", "2026-11-20T17:30:00.1234567Z", "2026-11-20T17:30:00,5Z",
		"2026-11-20T17:30:00+0100", "2026-11-20T17:30:00+01", "2026-11-20T17:30:00+24:00",
		"2026-11-20T17:30:00+01:60", "2026-11-20T17:30:60Z", "2026-11-20T24:00:00Z",
		"2026-11-20T17:60:00Z", "2026-13-20T17:30:00Z", "2026-00-20T17:30:00Z",
		"2026-11-00T17:30:00Z", "2026-11-31T17:30:00Z", "2025-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00+00:01",
		"0000-01-01T00:00:00Z", "2255-06-05T23:47:34.740992Z", "9999-12-31T23:59:59Z",
		"12026-11-20T17:30:00Z", "-026-11-20T17:30:00Z", "+026-11-20T17:30:00Z",
		"2026-1-20T17:30:00Z", "now" };
	uint64_t us = 7;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (time_parse(slice_of(bad[i]), &us, &err) != LEDGER_INVALID)
			fail_msg("taken: %s", bad[i]);
	assert_true(us == 7);
	assert_int_equal(time_parse((struct slice){ NULL, 0 }, &us, &err), LEDGER_INVALID);
	assert_int_equal(time_parse(SLICE("2026-11-20T17:30:00Z\0"), &us, &err), LEDGER_INVALID);
}

static void an_error_names_the_value_and_says_why(void **state)
{
	uint64_t us;
	(void)state;
	time_parse(SLICE("2025-02-29T00:00:00Z"), &us, &err);
	assert_string_equal(
		err.text, "time \"2025-02-29T00:00:00Z\" has a day that is not in the calendar");
	assert_true(err.hint[0]);
	time_parse(SLICE("a\x1B[31mb"), &us, &err);
	assert_string_equal(err.text, "time \"a\\u001b[31mb\" is not understood");
	time_parse(SLICE("0123456789012345678901234567890123456789x"), &us, &err);
	assert_string_equal(
		err.text, "time \"0123456789012345678901234567890123456789\"... is not understood");
}

static void words_are_read_in_utc(void **state)
{
	static const struct {
		const char *words, *meaning;
	} cases[] = {
		{ "now", "2026-03-01T10:20:30.400000Z" },
		{ "today", "2026-03-01T00:00:00.000000Z" },
		{ "yesterday", "2026-02-28T00:00:00.000000Z" },
		{ "tomorrow", "2026-03-02T00:00:00.000000Z" },
		{ "-90s", "2026-03-01T10:19:00.400000Z" },
		{ "-5m", "2026-03-01T10:15:30.400000Z" },
		{ "-1h", "2026-03-01T09:20:30.400000Z" },
		{ "-2d", "2026-02-27T10:20:30.400000Z" },
		{ "-3w", "2026-02-08T10:20:30.400000Z" },
		{ "-400ms", "2026-03-01T10:20:30.000000Z" },
		{ "+1h", "2026-03-01T11:20:30.400000Z" },
		{ "-0", "2026-03-01T10:20:30.400000Z" },
		{ "@0", "1970-01-01T00:00:00.000000Z" },
		{ "@1763659800", "2025-11-20T17:30:00.000000Z" },
		{ "@1763659800.123456", "2025-11-20T17:30:00.123456Z" },
		{ "@1763659800123456", "2025-11-20T17:30:00.123456Z" },
		{ "@9007199254", "2255-06-05T23:47:34.000000Z" },
		{ "@9007199254740991", "2255-06-05T23:47:34.740991Z" },
		{ "2026-11-20", "2026-11-20T00:00:00.000000Z" },
		{ "2026-11-20 17:30", "2026-11-20T17:30:00.000000Z" },
		{ "2026-11-20T17:30:01.5", "2026-11-20T17:30:01.500000Z" },
		{ "2026-11-20 17:30+01:00", "2026-11-20T16:30:00.000000Z" },
		{ "2026-11-20T17:30:00Z", "2026-11-20T17:30:00.000000Z" },
	};
	struct time_context context = { .now = moment("2026-03-01T10:20:30.4Z"), .utc = true };
	(void)state;
	set_zone(KIRITIMATI);
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_words(cases[i].words, &context, cases[i].meaning);
}

static void words_without_offset_are_local(void **state)
{
	static const struct {
		const char *zone, *words, *meaning;
	} cases[] = {
		{ BERLIN, "2026-11-20 17:30", "2026-11-20T16:30:00.000000Z" },
		{ BERLIN, "2026-07-20 17:30:01.25", "2026-07-20T15:30:01.250000Z" },
		{ BERLIN, "2026-07-20", "2026-07-19T22:00:00.000000Z" },
		{ BERLIN, "2026-07-20 17:30Z", "2026-07-20T17:30:00.000000Z" },
		{ BERLIN, "today", "2026-03-28T23:00:00.000000Z" },
		{ BERLIN, "tomorrow", "2026-03-29T22:00:00.000000Z" },
		{ BERLIN, "yesterday", "2026-03-27T23:00:00.000000Z" },
		{ KIRITIMATI, "today", "2026-03-29T10:00:00.000000Z" },
		{ HAVANA, "yesterday", "2026-03-28T04:00:00.000000Z" },
		{ HAVANA, "2026-03-08", "2026-03-08T05:00:00.000000Z" },
		{ HAVANA, "2026-11-01", "2026-11-01T04:00:00.000000Z" },
		{ SAOPAULO, "2017-10-15", "2017-10-15T03:00:00.000000Z" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct time_context context = { .now = moment("2026-03-29T12:00:00Z") };
		set_zone(cases[i].zone);
		expect_words(cases[i].words, &context, cases[i].meaning);
	}
}

static void other_words_are_refused_with_a_hint(void **state)
{
	static const char *const bad[] = { "", "Now", "now ", "-", "+", "-5", "-5y", "-5 m", "--5m",
		"-m", "-1.5h", "@", "@-1", "@1.", "@.5", "@1.1234567", "@1x", "@9007199254740992",
		"@99999999999999999999999", "@9007199255.0", "2026-11", "2026-11-20T",
		"2026-11-20 ", "2026-11-20 17", "2026-11-20 17:30 Z", "2026-11-20Z", "2026-02-30",
		"2026-11-20 24:00", "1969-12-31", "2300-01-01", "-3000w", "+99999w",
		"-99999999999999999999s", "+9007199254740991ms", "20.11.2026", "11/20/2026" };
	struct time_context context = { .now = moment("2026-03-01T10:20:30Z"), .utc = true };
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(bad); i++) {
		uint64_t us = 7;
		context.utc = i % 2;
		if (time_parse_words(slice_of(bad[i / 2]), &context, &us, &err) != LEDGER_INVALID)
			fail_msg("taken: %s", bad[i / 2]);
		assert_true(us == 7 && err.hint[0]);
	}
	assert_int_equal(
		time_parse_words((struct slice){ NULL, 0 }, &context, &(uint64_t){ 0 }, &err),
		LEDGER_INVALID);
}

static void a_day_is_as_long_as_the_clocks_make_it(void **state)
{
	static const struct {
		const char *zone, *day;
		uint64_t hours;
	} cases[] = {
		{ BERLIN, "2026-11-20", 24 },
		{ BERLIN, "2026-03-29", 23 },
		{ BERLIN, "2026-10-25", 25 },
		{ BERLIN, "today", 24 },
		{ HAVANA, "2026-03-08", 23 },
		{ HAVANA, "2026-11-01", 25 },
		{ HAVANA, "2026-10-31", 24 },
		{ SAOPAULO, "2017-10-15", 23 },
		{ SAOPAULO, "2017-02-18", 25 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct time_context context = { .now = moment("2026-07-01T12:00:00Z") };
		uint64_t first, next, same;
		set_zone(cases[i].zone);
		struct slice day = slice_of(cases[i].day);
		assert_int_equal(time_parse_day(day, &context, &first, &next, &err), LEDGER_OK);
		assert_int_equal((next - first) / S, cases[i].hours * 3600);
		assert_int_equal(time_parse_words(day, &context, &same, &err), LEDGER_OK);
		assert_true(same == first);
		context.utc = true;
		assert_int_equal(time_parse_day(day, &context, &first, &next, &err), LEDGER_OK);
		assert_true(next - first == 24 * 3600 * S);
	}
}

static void only_days_are_days(void **state)
{
	static const char *const bad[] = { "", "now", "-1d", "2026-11-20T00:00:00Z", "2026-11-20 ",
		"2026-11-31", "2255-06-05", "1969-12-31", "@0" };
	struct time_context context = { .now = moment("2026-07-01T12:00:00Z"), .utc = true };
	uint64_t first = 7, next = 7;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(time_parse_day(slice_of(bad[i]), &context, &first, &next, &err),
			LEDGER_INVALID);
	assert_true(first == 7 && next == 7);
	assert_int_equal(
		time_parse_day(SLICE("yesterday"), &context, &first, &next, &err), LEDGER_OK);
	assert_true(next == moment("2026-07-01T00:00:00Z"));
}

static void durations_have_a_number_and_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} cases[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "250ms", 250000 },
		{ "5s", 5 * S },
		{ "10m", 600 * S },
		{ "1h", 3600 * S },
		{ "30d", 30 * 86400 * S },
		{ "2w", 14 * 86400 * S },
		{ "9007199254s", 9007199254 * S },
	};
	static const char *const bad[] = { "", "5", "s", "-5s", "+5s", "5 s", "5S", "5sec", "1.5h",
		"5s ", "5ss", "9007199255s", "99999999999999999999s", "18446744073709551616ms",
		"14893w", "5\xC2\xB5s" };
	uint64_t us;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
			time_parse_duration(slice_of(cases[i].text), &us, &err), LEDGER_OK);
		assert_true(us == cases[i].us);
	}
	us = 7;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (time_parse_duration(slice_of(bad[i]), &us, &err) != LEDGER_INVALID)
			fail_msg("taken: %s", bad[i]);
	assert_true(us == 7);
	assert_int_equal(time_parse_duration((struct slice){ NULL, 0 }, &us, &err), LEDGER_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_run),
		cmocka_unit_test(known_moments_are_written),
		cmocka_unit_test(every_day_is_what_gmtime_r_says),
		cmocka_unit_test(every_form_of_rfc_3339_is_read),
		cmocka_unit_test(what_is_no_moment_is_refused),
		cmocka_unit_test(an_error_names_the_value_and_says_why),
		cmocka_unit_test(words_are_read_in_utc),
		cmocka_unit_test(words_without_offset_are_local),
		cmocka_unit_test(other_words_are_refused_with_a_hint),
		cmocka_unit_test(a_day_is_as_long_as_the_clocks_make_it),
		cmocka_unit_test(only_days_are_days),
		cmocka_unit_test(durations_have_a_number_and_a_unit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
