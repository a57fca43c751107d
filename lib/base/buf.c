#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "banned.h"

void buf_done(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Makes room for n more bytes and a NUL. */
static bool reserve(struct buf *b, size_t n)
{
	size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
	if (b->failed || n > max || b->len > max - n) {
		b->failed = true;
		return false;
	}
	if (b->len + n < b->cap)
		return true;
	size_t cap = b->cap ? b->cap : 256;
	while (cap <= b->len + n)
		cap *= 2;
	char *grown = realloc(b->ptr, cap);
	if (!grown) {
		b->failed = true;
		return false;
	}
	b->ptr = grown;
	b->cap = cap;
	return true;
}

char *buf_extend(struct buf *b, size_t n)
{
	if (!reserve(b, n))
		return NULL;
	char *room = b->ptr + b->len;
	b->len += n;
	return room;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	char *room = buf_extend(b, n);
	if (room && n)
		memcpy(room, bytes, n);
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.ptr, s.len);
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_u64(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_be64(struct buf *b, uint64_t value)
{
	uint64_t big = __builtin_bswap64(value);
	buf_add(b, &big, 8);
}

void buf_add_hex(struct buf *b, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *room = buf_extend(b, 2 * n);
	for (size_t i = 0; room && i < n; i++) {
		room[2 * i] = digits[bytes[i] >> 4];
		room[2 * i + 1] = digits[bytes[i] & 15];
	}
}

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(b->ptr + b->len, (size_t)n + 1, format, args);
	va_end(args);
	b->len += (size_t)n;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->ptr ? b->ptr : "", b->len };
}

const char *buf_text(struct buf *b)
{
	if (b->failed || !reserve(b, 0))
		return "";
	b->ptr[b->len] = '\0';
	return b->ptr;
}

enum ledger_status buf_check(const struct buf *b, struct ledger_error *err)
{
	if (b->failed)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return LEDGER_OK;
}
