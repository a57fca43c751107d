/*
 * JSON that json_check took: walked in place, decoded, written.
 *
 * Nothing here looks for errors again, but it stays inside its slices even if the text is not JSON.
 */
#include "json.h"

#include <stdlib.h>

#include "arena.h"
#include "banned.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* --- Walk ------------------------------------------------------------------------------------- */

enum json_kind json_kind(struct slice value)
{
	switch (value.len ? value.ptr[0] : 'n') {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* Is the quote at ptr[at] escaped? An odd number of backslashes is in front of it. */
static bool is_escaped(const char *ptr, size_t at)
{
	size_t first = at;
	while (first > 1 && ptr[first - 1] == '\\')
		first--;
	return (at - first) % 2 == 1;
}

/* Length of the string at the front, quotes included. */
static size_t string_length(struct slice s)
{
	size_t at = 1;
	while (at < s.len) {
		const char *quote = memchr(s.ptr + at, '"', s.len - at);
		if (!quote)
			break;
		at = (size_t)(quote - s.ptr) + 1;
		if (!is_escaped(s.ptr, at - 1))
			return at;
	}
	return s.len;
}

/* Length of the number or word at the front: one byte or more. */
static size_t scalar_length(struct slice s)
{
	size_t n = 1;
	while (n < s.len && !is_blank(s.ptr[n]) && !memchr(",:]}", s.ptr[n], 4))
		n++;
	return n;
}

/* Length of the object or array at the front. */
static size_t container_length(struct slice s)
{
	size_t at = 0, depth = 0;
	while (at < s.len) {
		char c = s.ptr[at];
		if (c == '"') {
			at += string_length(slice_from(s, at));
			continue;
		}
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			break;
	}
	return at;
}

/* Takes the value at the front of a rest that is not empty. */
static struct slice take_value(struct slice *rest)
{
	char c = rest->ptr[0];
	size_t n = c == '"'		  ? string_length(*rest)
		   : c == '{' || c == '[' ? container_length(*rest)
					  : scalar_length(*rest);
	struct slice value = { rest->ptr, n };
	*rest = slice_from(*rest, n);
	return value;
}

/* What stands before a value: white space and one kind of separator. */
static void drop_separators(struct slice *rest, char separator)
{
	while (rest->len && (is_blank(rest->ptr[0]) || rest->ptr[0] == separator))
		*rest = slice_from(*rest, 1);
}

void json_walk_init(struct json_walk *walk, struct slice value)
{
	enum json_kind kind = json_kind(value);
	*walk = (struct json_walk){ .rest = { "", 0 }, .object = kind == JSON_OBJECT };
	if ((kind == JSON_OBJECT || kind == JSON_ARRAY) && value.len >= 2)
		walk->rest = (struct slice){ value.ptr + 1, value.len - 2 };
}

bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value)
{
	struct slice name = { NULL, 0 };
	drop_separators(&walk->rest, ',');
	if (walk->object && walk->rest.len) {
		name = take_value(&walk->rest);
		drop_separators(&walk->rest, ':');
	}
	if (walk->rest.len == 0)
		return false;
	*key = name;
	*value = take_value(&walk->rest);
	return true;
}

/* --- Strings ---------------------------------------------------------------------------------- */

/* A string without its quotes. */
static struct slice inside(struct slice string)
{
	return string.len >= 2 ? (struct slice){ string.ptr + 1, string.len - 2 }
			       : (struct slice){ "", 0 };
}

/* The number of the \uXXXX at the front, taken away; 0 where there is none. */
static uint32_t take_unit(struct slice *rest)
{
	uint8_t bytes[2];
	if (rest->len < 6 || !slice_unhex((struct slice){ rest->ptr + 2, 4 }, bytes, 2)) {
		*rest = slice_from(*rest, rest->len);
		return 0;
	}
	*rest = slice_from(*rest, 6);
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static size_t encode_utf8(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3F));
	out[0] = (char)((0xF00 >> n & 0xF0) | code);
	return n;
}

/* One escape, taken from the front of `rest`, as the bytes it stands for. */
static size_t take_escape(struct slice *rest, char out[4])
{
	static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
	char c = rest->len > 1 ? rest->ptr[1] : '\\';
	if (c == 'u') {
		uint32_t code = take_unit(rest);
		if (code >= 0xD800 && code <= 0xDBFF)
			code = 0x10000 + ((code - 0xD800) << 10) +
			       ((take_unit(rest) - 0xDC00) & 0x3FF);
		return encode_utf8(code, out);
	}
	const char *letter = memchr(letters, c, sizeof(letters) - 1);
	out[0] = letter ? controls[letter - letters] : c;
	*rest = slice_from(*rest, rest->len > 1 ? 2 : 1);
	return 1;
}

/* The next decoded piece of the inside of a string that is not empty; an escape goes to `room`. */
static struct slice take_piece(struct slice *rest, char room[4])
{
	if (rest->len && rest->ptr[0] == '\\')
		return (struct slice){ room, take_escape(rest, room) };
	const char *escape = rest->len ? memchr(rest->ptr, '\\', rest->len) : NULL;
	struct slice piece = { rest->ptr, escape ? (size_t)(escape - rest->ptr) : rest->len };
	*rest = slice_from(*rest, piece.len);
	return piece;
}

void json_decode_string(struct slice string, struct buf *out)
{
	struct slice rest = inside(string);
	char room[4];
	while (rest.len)
		buf_add_slice(out, take_piece(&rest, room));
}

bool json_string_is(struct slice string, struct slice text)
{
	struct slice rest = inside(string);
	char room[4];
	while (rest.len) {
		struct slice piece = take_piece(&rest, room);
		if (!slice_starts(text, piece))
			return false;
		text = slice_from(text, piece.len);
	}
	return text.len == 0;
}

bool json_member(struct slice object, struct slice key, struct slice *value)
{
	struct json_walk walk;
	struct slice name, found;
	bool any = false;
	json_walk_init(&walk, object);
	while (walk.object && json_walk_next(&walk, &name, &found)) {
		if (!json_string_is(name, key))
			continue;
		*value = found;
		any = true;
	}
	return any;
}

/* --- Keys that stand twice -------------------------------------------------------------------- */

#define FEW_KEYS 32 /* so many are compared without asking for memory */

static size_t count_keys(struct slice object)
{
	struct json_walk walk;
	struct slice key, value;
	size_t n = 0;
	json_walk_init(&walk, object);
	while (walk.object && json_walk_next(&walk, &key, &value))
		n++;
	return n;
}

/* The decoded text of a key; of one with escapes a copy in the arena, ptr NULL without memory. */
static struct slice decoded_key(struct slice key, struct arena *memory)
{
	struct slice rest = inside(key), piece;
	if (rest.len == 0 || !memchr(rest.ptr, '\\', rest.len))
		return rest;
	char room[4],
		*copy = arena_alloc(memory, rest.len); /* no escape is shorter than its character */
	size_t n = 0;
	for (; copy && rest.len; n += piece.len) {
		piece = take_piece(&rest, room);
		memcpy(copy + n, piece.ptr, piece.len);
	}
	return (struct slice){ copy, n };
}

static int compare_keys(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static enum ledger_status twice(struct slice key, struct ledger_error *err)
{
	CLEANUP_BUF struct buf shown = { 0 };
	bool cut = key.len > 64;
	json_add_string(&shown, (struct slice){ key.ptr, cut ? 64 : key.len });
	fail(err, LEDGER_INVALID, "key %s%s stands twice", buf_text(&shown), cut ? "..." : "");
	return hint(err, "readers disagree about which one counts: leave one out");
}

/* Sorted, not hashed: keys made to collide cost nothing extra. */
enum ledger_status json_check_unique(struct slice object, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena memory = { 0 };
	struct slice few[FEW_KEYS], *keys = few, key, value;
	struct json_walk walk;
	size_t n = count_keys(object);
	if (n > FEW_KEYS)
		keys = arena_array(&memory, n, sizeof(*keys));
	json_walk_init(&walk, object);
	for (size_t i = 0; keys && i < n && json_walk_next(&walk, &key, &value); i++) {
		keys[i] = decoded_key(key, &memory);
		if (!keys[i].ptr)
			keys = NULL;
	}
	if (!keys)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (slice_eq(keys[i - 1], keys[i]))
			return twice(keys[i], err);
	return LEDGER_OK;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static bool is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/* A byte that does not stand for itself. */
static void add_escaped(struct buf *out, char c)
{
	static const char controls[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *control = memchr(controls, c, sizeof(controls) - 1);
	if (control) {
		buf_add_char(out, '\\');
		buf_add_char(out, letters[control - controls]);
	} else {
		buf_add_text(out, "\\u00");
		buf_add_hex(out, (const uint8_t *)&c, 1);
	}
}

void json_add_string(struct buf *out, struct slice text)
{
	buf_add_char(out, '"');
	while (text.len) {
		size_t n = 0;
		while (n < text.len && is_printable((uint8_t)text.ptr[n]))
			n++;
		buf_add(out, text.ptr, n);
		text = slice_from(text, n);
		if (text.len == 0)
			break;
		n = slice_utf8_char(text, NULL);
		if (n == 0)
			buf_add_text(out, "\xEF\xBF\xBD"); /* U+FFFD */
		else if (n == 1)
			add_escaped(out, text.ptr[0]);
		else
			buf_add(out, text.ptr, n);
		text = slice_from(text, n ? n : 1);
	}
	buf_add_char(out, '"');
}

static void blank_out(char *bytes, size_t n, char c)
{
	char *end = bytes + n;
	while ((bytes = memchr(bytes, c, (size_t)(end - bytes))) != NULL)
		*bytes++ = ' ';
}

/* Valid JSON has a raw CR or LF only between tokens, so strings need no care. */
void json_add_flat(struct buf *out, struct slice value)
{
	char *copy = buf_extend(out, value.len);
	if (!copy || value.len == 0)
		return;
	memcpy(copy, value.ptr, value.len);
	blank_out(copy, value.len, '\n');
	blank_out(copy, value.len, '\r');
}

static void add_line_break(struct buf *out, size_t level)
{
	buf_add_char(out, '\n');
	while (level--)
		buf_add_text(out, "  ");
}

/* An opening bracket with what it asks for: a closing one at once, or a line of its own. */
static void add_open(struct buf *out, struct slice *rest, size_t *level)
{
	buf_add_char(out, rest->ptr[0]);
	*rest = slice_from(*rest, 1);
	drop_separators(rest, ' ');
	if (rest->len && (rest->ptr[0] == '}' || rest->ptr[0] == ']')) {
		buf_add_char(out, rest->ptr[0]);
		*rest = slice_from(*rest, 1);
		return;
	}
	add_line_break(out, ++*level);
}

void json_add_pretty(struct buf *out, struct slice value, unsigned indent)
{
	size_t level = indent;
	for (;;) {
		drop_separators(&value, ' ');
		if (value.len == 0)
			return;
		char c = value.ptr[0];
		if (c == '{' || c == '[') {
			add_open(out, &value, &level);
			continue;
		}
		if (c == '}' || c == ']')
			add_line_break(out, level ? --level : 0);
		if (!memchr(",:}]", c, 4)) {
			buf_add_slice(out, take_value(&value));
			continue;
		}
		value = slice_from(value, 1);
		buf_add_char(out, c);
		if (c == ',')
			add_line_break(out, level);
		if (c == ':')
			buf_add_char(out, ' ');
	}
}

bool json_u64(struct slice value, uint64_t *out)
{
	return slice_u64(value, out);
}
