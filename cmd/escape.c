/*
 * Text from outside, made safe to show. A terminal obeys C0, DEL and C1; bidirectional controls make a
 * line read differently from its bytes (CVE-2021-42574); U+2028 and U+2029 end a line in some of them;
 * and what is not UTF-8 is anybody's guess. Each of their bytes is shown as \xNN.
 */
#include "output.h"

#include "../lib/base/banned.h"

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7F;
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x61C || code == 0x200E ||
	       code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
	       (code >= 0x2066 && code <= 0x2069);
}

static void add_escaped(struct buf *out, struct slice bytes)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t byte = (uint8_t)bytes.ptr[i];
		buf_add(out, (char[]){ '\\', 'x', digits[byte >> 4], digits[byte & 15] }, 4);
	}
}

/* The bytes at the front that need no look at more than one of them. */
static size_t plain_run(struct slice s)
{
	size_t n = 0;
	while (n < s.len && is_plain(s.ptr[n]))
		n++;
	return n;
}

void escape_slice(struct buf *out, struct slice s, bool keep_newlines)
{
	while (s.len) {
		uint32_t code = 0;
		size_t plain = plain_run(s);
		buf_add(out, s.ptr, plain);
		s = slice_from(s, plain);
		if (!s.len)
			return;
		size_t valid = slice_utf8_char(s, &code);
		struct slice one = { s.ptr, valid ? valid : 1 };
		if (valid && (!is_control(code) || (code == '\n' && keep_newlines)))
			buf_add_slice(out, one);
		else
			add_escaped(out, one);
		s = slice_from(s, one.len);
	}
}
