/*
 * Times, days and durations as people type them. The first byte chooses the zone and the clock, the
 * rest is the text.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY (24 * 3600 * TIME_SECOND)

/* The C library's calendar agrees with ours. */
static void claim_written(uint64_t us)
{
	struct ledger_error err;
	char ours[TIME_TEXT_MAX], theirs[TIME_TEXT_MAX + 8], seconds[TIME_TEXT_MAX];
	time_t t = (time_t)(us / TIME_SECOND);
	struct tm tm;
	uint64_t back;
	CLAIM(us <= TIME_MAX);
	time_format(us, ours);
	CLAIM(gmtime_r(&t, &tm) && strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm));
	snprintf(theirs, sizeof(theirs), "%s.%06uZ", seconds, (unsigned)(us % TIME_SECOND));
	CLAIM(strcmp(ours, theirs) == 0);
	CLAIM(time_parse(slice_of(ours), &back, &err) == LEDGER_OK && back == us);
}

static void use_zone(unsigned which)
{
	/* Berlin; Santiago changes at midnight; Apia left out a day; Lord Howe moves half an hour. */
	static const char *const zones[] = { "UTC", "Europe/Berlin", "America/Santiago",
		"Pacific/Apia", "Australia/Lord_Howe", "EST5EDT", "<+14>-14", "Africa/Casablanca" };
	static unsigned now = 99;
	if (which == now)
		return;
	now = which;
	setenv("TZ", zones[which], 1);
	tzset();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint64_t clocks[] = { UINT64_C(1763658000123456), 0, TIME_MAX, 1 };
	struct ledger_error err = { 0 };
	uint8_t switches;
	uint64_t exact = 0, us = 0, first = 0, next = 0;
	struct slice text = fuzz_rest(bytes, size, &switches);
	use_zone(switches & 7);
	struct time_context context = { clocks[switches >> 3 & 3], switches & 32 };

	enum ledger_status strict = time_parse(text, &exact, &err);
	fuzz_claim_error(strict, &err);
	enum ledger_status words = time_parse_words(text, &context, &us, &err);
	fuzz_claim_error(words, &err);
	if (words == LEDGER_OK)
		claim_written(us);
	/* What is exact means the same where words are taken too. */
	if (strict == LEDGER_OK)
		CLAIM(words == LEDGER_OK && us == exact);
	enum ledger_status day = time_parse_day(text, &context, &first, &next, &err);
	fuzz_claim_error(day, &err);
	if (day == LEDGER_OK) {
		claim_written(first);
		claim_written(next);
		CLAIM(first <= next && next - first <= DAY + 3 * DAY / 24);
		CLAIM(words == LEDGER_OK && us == first);
	}
	enum ledger_status duration = time_parse_duration(text, &us, &err);
	fuzz_claim_error(duration, &err);
	CLAIM(duration != LEDGER_OK || us <= TIME_MAX);
	return 0;
}
