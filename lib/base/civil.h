/* The calendar of UTC: dates and days since 1970-01-01, proleptic Gregorian, any year. */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
	int64_t year, month, day; /* month 1 to 12, day 1 to 31 */
};

/* Days since 1970-01-01, negative before. */
int64_t civil_to_days(struct civil date);

struct civil civil_from_days(int64_t days);

/* Is there such a day in the calendar? */
bool civil_is_valid(struct civil date);

#endif
