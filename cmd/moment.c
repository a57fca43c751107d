#include "moment.h"

#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

static bool is_all_digits(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0;
}

/* "2026-01-05" and nothing behind it. */
static bool is_date(struct slice text)
{
	return text.len == 10 && text.ptr[4] == '-' && text.ptr[7] == '-';
}

static void say_time(const char *option, struct slice text, bool utc, uint64_t us)
{
	char shown[RENDER_TIME_MAX];
	uint64_t ignored;
	struct ledger_error nothing;
	/* With offset, or as a number, it says by itself which moment it is. */
	if (text.ptr[0] == '@' || time_parse(text, &ignored, &nothing) == LEDGER_OK)
		return;
	render_moment(us, utc, shown);
	note("%s %s%s", option, shown, is_date(text) ? ", the first instant of that day" : "");
}

static enum ledger_status parse_time(
	const char *option, const char *text, bool utc, uint64_t *us, struct ledger_error *err)
{
	struct time_context context = { .now = time_now(), .utc = utc };
	if (is_all_digits(slice_of(text))) {
		fail(err, LEDGER_USAGE, "%s: '%.40s' is a bare number", option, text);
		return hint(err,
			"write version=%.20s, position=%.20s, or a time such as 2026-01-05", text,
			text);
	}
	if (time_parse_words(slice_of(text), &context, us, err)) {
		err->status = LEDGER_USAGE;
		return fail_in(err, "%s: ", option);
	}
	say_time(option, slice_of(text), utc, *us);
	return LEDGER_OK;
}

static enum ledger_status parse_number(
	const char *option, struct slice number, uint64_t *out, struct ledger_error *err)
{
	if (slice_u64(number, out) && *out > 0)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "%s: '%.*s' is not a version or position", option,
		number.len < 40 ? (int)number.len : 40, number.ptr);
	return hint(err, "a whole number from 1");
}

enum ledger_status moment_parse(const char *option, const char *text, bool utc,
	struct ledger_moment *moment, struct ledger_error *err)
{
	struct slice word, value;
	if (slice_cut(slice_of(text), '=', &word, &value)) {
		if (slice_is(word, "version"))
			return parse_number(option, value, &moment->version, err);
		if (slice_is(word, "position"))
			return parse_number(option, value, &moment->position, err);
	}
	TRY(parse_time(option, text, utc, &moment->time, err));
	moment->has_time = true;
	return LEDGER_OK;
}

enum ledger_status moment_parse_known(
	const char *text, bool utc, struct ledger_moment *moment, struct ledger_error *err)
{
	TRY(parse_time("--known-at", text, utc, &moment->clock, err));
	moment->has_clock = true;
	return LEDGER_OK;
}
