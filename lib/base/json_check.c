/*
 * json_check: is this one JSON value (RFC 8259)?
 *
 * It goes through the text once. What is open is a stack with a place for each level, so depth
 * costs no memory of its own and no recursion. Each scan_ function begins with s->at at
 * its first byte and leaves it behind its last.
 */
#include "json.h"

#include <inttypes.h>

#include "banned.h"

/* Bytes of a string that stand for themselves: ASCII without controls, quote and backslash. */
static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#define EACH_BYTE (UINT64_MAX / 255) /* times a byte: eight of it */

/* The first byte that is not plain; eight at a time, then one by one. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		uint64_t quotes = word ^ EACH_BYTE * '"';
		uint64_t slashes = word ^ EACH_BYTE * '\\';
		/* In ASCII a subtraction sets a high bit only where the byte was too small. */
		uint64_t stops = word | (word - EACH_BYTE * ' ') | (quotes - EACH_BYTE) |
				 (slashes - EACH_BYTE);
		if (stops & EACH_BYTE * 0x80)
			break;
	}
	while (at < end && is_plain(*at))
		at++;
	return at;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

struct scan {
	const uint8_t *start;
	const uint8_t *at;
	const uint8_t *end;
	bool is_object[JSON_DEPTH_MAX + 2]; /* by level, from 1 */
	unsigned depth;
	unsigned max_depth;
	struct ledger_error *err;
};

/* The place of s->at, counted from 1. */
static size_t place(const struct scan *s)
{
	return (size_t)(s->at - s->start) + 1;
}

static struct slice rest_of(const struct scan *s)
{
	return (struct slice){ (const char *)s->at, (size_t)(s->end - s->at) };
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

static enum ledger_status ends_inside(const struct scan *s, const char *what)
{
	return fail(s->err, LEDGER_INVALID, "ends in the middle of %s at byte %zu", what,
		(size_t)(s->end - s->start));
}

static enum ledger_status not_utf8(const struct scan *s)
{
	fail(s->err, LEDGER_INVALID, "invalid UTF-8 at byte %zu", place(s));
	return hint(s->err, "convert it to UTF-8 first, for example with iconv");
}

static enum ledger_status unexpected(const struct scan *s)
{
	uint32_t code;
	if (slice_utf8_char(rest_of(s), &code) == 0)
		return not_utf8(s);
	if (code > 0x7E)
		return fail(s->err, LEDGER_INVALID, "unexpected U+%04" PRIX32 " at byte %zu", code,
			place(s));
	if (code < 0x20)
		return fail(s->err, LEDGER_INVALID, "unexpected byte 0x%02" PRIx32 " at byte %zu",
			code, place(s));
	fail(s->err, LEDGER_INVALID, "unexpected '%c' at byte %zu", (int)code, place(s));
	return code == '\'' ? hint(s->err, "strings and keys stand in double quotes")
			    : LEDGER_INVALID;
}

/* The number behind "\u" at s->at. */
static enum ledger_status scan_unit(struct scan *s, uint32_t *unit)
{
	uint8_t bytes[2];
	struct slice rest = rest_of(s);
	if (rest.len < 6 && !memchr(rest.ptr, '"', rest.len))
		return ends_inside(s, "a string");
	if (rest.len < 6 || !slice_unhex((struct slice){ rest.ptr + 2, 4 }, bytes, 2))
		return fail(s->err, LEDGER_INVALID, "\\u without four hex digits at byte %zu",
			place(s));
	*unit = (uint32_t)bytes[0] << 8 | bytes[1];
	return LEDGER_OK;
}

static bool is_high_surrogate(uint32_t unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* "\uXXXX", or two of them that form a character beyond U+FFFF. */
static enum ledger_status scan_unicode(struct scan *s)
{
	struct scan pair = *s;
	uint32_t unit, low = 0;
	TRY(scan_unit(s, &unit));
	pair.at += 6;
	if (is_high_surrogate(unit) && slice_starts(rest_of(&pair), SLICE("\\u"))) {
		TRY(scan_unit(&pair, &low));
		pair.at += 6;
	}
	if (is_low_surrogate(unit) || (is_high_surrogate(unit) && !is_low_surrogate(low)))
		return fail(s->err, LEDGER_INVALID, "lone surrogate \\u%04" PRIx32 " at byte %zu",
			unit, place(s));
	s->at = pair.at;
	return LEDGER_OK;
}

static enum ledger_status unknown_escape(const struct scan *s)
{
	uint8_t c = s->at[1];
	if (c > 0x20 && c < 0x7F)
		return fail(s->err, LEDGER_INVALID, "unknown escape \\%c at byte %zu", c, place(s));
	return fail(s->err, LEDGER_INVALID, "unknown escape at byte %zu", place(s));
}

static enum ledger_status scan_escape(struct scan *s)
{
	if (s->end - s->at < 2)
		return ends_inside(s, "a string");
	switch (s->at[1]) {
	case 'u':
		return scan_unicode(s);
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		s->at += 2;
		return LEDGER_OK;
	default:
		return unknown_escape(s);
	}
}

/* s->at is at the opening quote, afterwards behind the closing one. */
static enum ledger_status scan_string(struct scan *s)
{
	s->at++;
	for (;;) {
		s->at = skip_plain(s->at, s->end);
		if (s->at == s->end)
			return ends_inside(s, "a string");
		if (*s->at == '"')
			break;
		if (*s->at == '\\') {
			TRY(scan_escape(s));
		} else if (*s->at < 0x20) {
			return fail(s->err, LEDGER_INVALID,
				"raw control character 0x%02x in a string at byte %zu", *s->at,
				place(s));
		} else {
			size_t n = slice_utf8_char(rest_of(s), NULL);
			if (n == 0)
				return not_utf8(s);
			s->at += n;
		}
	}
	s->at++;
	return LEDGER_OK;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static enum ledger_status scan_digits(struct scan *s)
{
	if (s->at == s->end)
		return ends_inside(s, "a number");
	if (!is_digit(*s->at))
		return unexpected(s);
	while (s->at < s->end && is_digit(*s->at))
		s->at++;
	return LEDGER_OK;
}

static bool scan_one_of(struct scan *s, char a, char b)
{
	if (s->at == s->end || (*s->at != a && *s->at != b))
		return false;
	s->at++;
	return true;
}

/* A digit behind a leading 0 is left there, where nothing expects it. */
static enum ledger_status scan_number(struct scan *s)
{
	scan_one_of(s, '-', '-');
	if (!scan_one_of(s, '0', '0'))
		TRY(scan_digits(s));
	if (scan_one_of(s, '.', '.'))
		TRY(scan_digits(s));
	if (scan_one_of(s, 'e', 'E')) {
		scan_one_of(s, '+', '-');
		TRY(scan_digits(s));
	}
	return LEDGER_OK;
}

static enum ledger_status scan_word(struct scan *s, const char *word)
{
	for (; *word; word++, s->at++) {
		if (s->at == s->end)
			return ends_inside(s, "a word");
		if (*s->at != (uint8_t)*word)
			return unexpected(s);
	}
	return LEDGER_OK;
}

static bool in_object(const struct scan *s)
{
	return s->is_object[s->depth];
}

static enum ledger_status ends_in_level(const struct scan *s)
{
	if (s->depth == 0)
		return fail(s->err, LEDGER_INVALID, "nothing there");
	return ends_inside(s, in_object(s) ? "an object" : "an array");
}

/* A key and its colon. */
static enum ledger_status scan_key(struct scan *s)
{
	skip_blanks(s);
	if (s->at == s->end)
		return ends_in_level(s);
	if (*s->at != '"')
		return unexpected(s);
	TRY(scan_string(s));
	skip_blanks(s);
	if (s->at == s->end)
		return ends_in_level(s);
	return scan_one_of(s, ':', ':') ? LEDGER_OK : unexpected(s);
}

/* Where the innermost level ends here, leaves it. */
static bool scan_close(struct scan *s)
{
	char bracket = in_object(s) ? '}' : ']';
	skip_blanks(s);
	if (!scan_one_of(s, bracket, bracket))
		return false;
	s->depth--;
	return true;
}

/* An opening bracket; *inside: a first value must follow, else the level is closed again. */
static enum ledger_status scan_open(struct scan *s, bool *inside)
{
	if (s->depth == s->max_depth)
		return fail(s->err, LEDGER_INVALID, "nested deeper than %d levels at byte %zu",
			s->max_depth, place(s));
	s->is_object[++s->depth] = *s->at == '{';
	s->at++;
	*inside = !scan_close(s);
	return *inside && in_object(s) ? scan_key(s) : LEDGER_OK;
}

/* From behind a value to where the next one must begin, or out of all levels. */
static enum ledger_status scan_between(struct scan *s)
{
	while (s->depth) {
		if (scan_close(s))
			continue;
		if (s->at == s->end)
			return ends_in_level(s);
		if (!scan_one_of(s, ',', ','))
			return unexpected(s);
		return in_object(s) ? scan_key(s) : LEDGER_OK;
	}
	return LEDGER_OK;
}

static enum ledger_status scan_scalar(struct scan *s)
{
	if (*s->at == '-' || is_digit(*s->at))
		return scan_number(s);
	switch (*s->at) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return unexpected(s);
	}
}

static enum ledger_status scan_value(struct scan *s)
{
	do {
		bool inside = false;
		skip_blanks(s);
		if (s->at == s->end)
			return ends_in_level(s);
		if (*s->at == '{' || *s->at == '[')
			TRY(scan_open(s, &inside));
		else
			TRY(scan_scalar(s));
		if (!inside)
			TRY(scan_between(s));
	} while (s->depth);
	return LEDGER_OK;
}

static enum ledger_status byte_order_mark(struct ledger_error *err)
{
	fail(err, LEDGER_INVALID, "byte order mark at byte 1");
	return hint(err, "leave out the first three bytes (EF BB BF)");
}

static enum ledger_status check(
	struct slice text, unsigned max_depth, struct slice *value, struct ledger_error *err)
{
	if (text.len == 0)
		return fail(err, LEDGER_INVALID, "nothing there");
	const uint8_t *start = (const uint8_t *)text.ptr;
	struct scan s;
	s.start = s.at = start;
	s.end = start + text.len;
	s.depth = 0;
	s.max_depth = max_depth;
	s.err = err;
	if (slice_starts(text, SLICE("\xEF\xBB\xBF")))
		return byte_order_mark(err);
	skip_blanks(&s);
	size_t first = (size_t)(s.at - start);
	TRY(scan_value(&s));
	size_t behind = (size_t)(s.at - start);
	skip_blanks(&s);
	if (s.at != s.end)
		return unexpected(&s);
	*value = (struct slice){ text.ptr + first, behind - first };
	return LEDGER_OK;
}

enum ledger_status json_check(struct slice text, struct slice *value, struct ledger_error *err)
{
	return check(text, JSON_DEPTH_MAX, value, err);
}

enum ledger_status json_check_line(struct slice text, struct slice *value, struct ledger_error *err)
{
	return check(text, JSON_DEPTH_MAX + 1, value, err);
}
