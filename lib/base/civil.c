/*
 * Dates and day numbers, after Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms"
 * (days_from_civil, civil_from_days). Years begin in March, so that the leap day is the last one;
 * an era is 400 years, 146097 days, and begins on a 1 March; 719468 days lie between 0000-03-01 and
 * 1970-01-01.
 */
#include "civil.h"

#include "banned.h"

int64_t civil_to_days(struct civil d)
{
	int64_t year = d.year - (d.month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

struct civil civil_from_days(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153; /* 0: March */
	int64_t month = march_month + (march_month < 10 ? 3 : -9);
	return (struct civil){
		.year = year_of_era + era * 400 + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * march_month + 2) / 5 + 1,
	};
}

bool civil_is_valid(struct civil d)
{
	if (d.month < 1 || d.month > 12 || d.day < 1)
		return false;
	struct civil first = { d.year, d.month, 1 };
	struct civil next = { d.year + d.month / 12, d.month % 12 + 1, 1 };
	return d.day <= civil_to_days(next) - civil_to_days(first);
}
