#include "slice.h"

#include "banned.h"

struct slice slice_of(const char *text)
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_is(struct slice s, const char *text)
{
	return slice_eq(s, slice_of(text));
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq((struct slice){ s.ptr, prefix.len }, prefix);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct slice slice_from(struct slice s, size_t from)
{
	return (struct slice){ s.ptr + from, s.len - from };
}

bool slice_cut(struct slice s, char c, struct slice *head, struct slice *tail)
{
	const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
	if (!at)
		return false;
	size_t before = (size_t)(at - s.ptr);
	*head = (struct slice){ s.ptr, before };
	*tail = slice_from(s, before + 1);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = slice_from(s, 1);
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool slice_u64(struct slice s, uint64_t *out)
{
	uint64_t value = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

/* 1 + the value of a hex digit, 0 for anything else: a table, since every event has 288 of them. */
static const uint8_t hex_digits[256] = { ['0'] = 1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	['A'] = 11,
	12,
	13,
	14,
	15,
	16,
	['a'] = 11,
	12,
	13,
	14,
	15,
	16 };

bool slice_unhex(struct slice s, uint8_t *out, size_t n)
{
	if (s.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned high = hex_digits[(uint8_t)s.ptr[2 * i]];
		unsigned low = hex_digits[(uint8_t)s.ptr[2 * i + 1]];
		if (!high || !low)
			return false;
		out[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	return true;
}

/* The smallest code point that needs each length: anything below is overlong. */
static const uint32_t utf8_least[] = { 0, 0, 0x80, 0x800, 0x10000 };

size_t slice_utf8_char(struct slice s, uint32_t *code)
{
	if (s.len == 0)
		return 0;
	uint8_t first = (uint8_t)s.ptr[0];
	size_t n = first < 0x80	  ? 1
		   : first < 0xC0 ? 0
		   : first < 0xE0 ? 2
		   : first < 0xF0 ? 3
		   : first < 0xF8 ? 4
				  : 0;
	if (n == 0 || n > s.len)
		return 0;
	uint32_t value = n == 1 ? first : first & (0x7F >> n);
	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)s.ptr[i] & 0xC0) != 0x80)
			return 0;
		value = value << 6 | ((uint8_t)s.ptr[i] & 0x3F);
	}
	if (value < utf8_least[n] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
		return 0;
	if (code)
		*code = value;
	return n;
}

bool slice_is_utf8(struct slice s)
{
	while (s.len) {
		size_t n = slice_utf8_char(s, NULL);
		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return true;
}

bool slice_is_token(struct slice s)
{
	if (s.len < 1 || s.len > 64)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-'))
			return false;
	}
	return true;
}
