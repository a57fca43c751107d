/*
 * Text from outside, escaped for a terminal: whatever it was, what comes out has no control character
 * and nothing else that a terminal obeys, and is UTF-8. Looked at by other means than ours.
 */
#include "fuzz.h"

#include <iconv.h>

#include "../../cmd/form.h"
#include "../../cmd/output.h"

static bool is_obeyed(uint32_t c)
{
	/* Unicode's Cc, Bidi_Control, and the line and paragraph separators. */
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
	       c == 0x2028 || c == 0x2029 || (c >= 0x202A && c <= 0x202E) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* The C library's idea of UTF-8, not ours. */
static void claim_harmless(struct slice text, bool newlines)
{
	static iconv_t convert = (iconv_t)-1;
	if (convert == (iconv_t)-1)
		convert = iconv_open("UTF-32LE", "UTF-8");
	CLAIM(convert != (iconv_t)-1);
	char *from = (char *)(uintptr_t)text.ptr;
	size_t left = text.len;
	while (left) {
		uint32_t codes[256];
		char *to = (char *)codes;
		size_t room = sizeof(codes);
		size_t before = left;
		iconv(convert, &from, &left, &to, &room);
		CLAIM(left < before);
		for (size_t i = 0; i < (sizeof(codes) - room) / sizeof(codes[0]); i++)
			CLAIM(!is_obeyed(codes[i]) || (newlines && codes[i] == '\n'));
	}
}

static void claim_escaped(struct slice text, bool newlines)
{
	CLEANUP_BUF struct buf once = { 0 }, twice = { 0 };
	escape_slice(&once, text, newlines);
	CLAIM(!once.failed && once.len >= text.len && once.len <= 4 * text.len);
	claim_harmless(buf_slice(&once), newlines);
	/* What is harmless is left as it is. */
	escape_slice(&twice, buf_slice(&once), newlines);
	CLAIM(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

/* A text as an error shows it, and a URL without its secrets. */
static void claim_excerpt(struct slice text)
{
	CLEANUP_BUF struct buf hidden = { 0 };
	char shown[FORM_EXCERPT_MAX];
	form_excerpt(text, shown);
	CLAIM(memchr(shown, 0, sizeof(shown)));
	claim_harmless(slice_of(shown), false);
	form_add_hidden(&hidden, text);
	CLAIM(!hidden.failed);
}

/* The secret of a URL is never shown, whatever stands in it. */
static void claim_hidden(struct slice text)
{
	CLEANUP_BUF struct buf url = { 0 }, shown = { 0 };
	char excerpt[FORM_EXCERPT_MAX];
	buf_add_text(&url, "nats://user:Se5cret");
	for (size_t i = 0; i < text.len; i++)
		if ((uint8_t)text.ptr[i] > ' ')
			buf_add_char(&url, text.ptr[i]);
	buf_add_text(&url, "@host:4222");
	form_add_hidden(&shown, buf_slice(&url));
	CLAIM(!memmem(shown.ptr, shown.len, "Se5cret", 7));
	CLAIM(!strstr(form_excerpt(buf_slice(&url), excerpt), "Se5cret"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice text = { (const char *)bytes, size };
	if (!size)
		text = SLICE("");
	claim_escaped(text, false);
	claim_escaped(text, true);
	claim_excerpt(text);
	claim_hidden(text);
	return 0;
}
