/*
 * The JSON scanner against two other parsers, jansson and SQLite's, on whatever bytes.
 *
 * Decided differences, see lib/base/json.h:
 *	numbers of any size	we keep their bytes, nobody computes with them; jansson refuses those
 *				that do not fit its own
 *	\u0000 in a key		we take it as in any string; jansson refuses it
 *	nesting			we refuse more than 64 levels; both others take more
 *	a raw NUL behind it	we refuse it; both others take it for the end of the text
 *	lone surrogates, what is not UTF-8, NaN and infinity (some versions)
 *				we and jansson refuse them; SQLite takes them
 */
#include "fuzz.h"

#include <sqlite3.h>

/* Both name their kinds JSON_...: jansson's get names of their own. */
#define JSON_OBJECT  JANSSON_OBJECT
#define JSON_ARRAY   JANSSON_ARRAY
#define JSON_STRING  JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL    JANSSON_REAL
#define JSON_TRUE    JANSSON_TRUE
#define JSON_FALSE   JANSSON_FALSE
#define JSON_NULL    JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

/* Nesting by counting what opens, outside of strings. */
static unsigned depth_of(struct slice text)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > deepest)
			deepest = depth;
		else if (!in_string && (c == ']' || c == '}') && depth)
			depth--;
	}
	return deepest;
}

static bool sqlite_takes(struct slice text)
{
	static sqlite3 *db;
	static sqlite3_stmt *st;
	if (!db) {
		CLAIM(sqlite3_open(":memory:", &db) == SQLITE_OK);
		CLAIM(sqlite3_prepare_v2(db, "select json_valid(?)", -1, &st, NULL) == SQLITE_OK);
	}
	sqlite3_bind_text(st, 1, text.ptr, (int)text.len, SQLITE_STATIC);
	CLAIM(sqlite3_step(st) == SQLITE_ROW);
	bool takes = sqlite3_column_int(st, 0) == 1;
	sqlite3_reset(st);
	return takes;
}

/* --- A taken value means the same to both ---------------------------------------------------- */

static void compare(struct slice ours, const json_t *theirs);

static void decode(struct slice string, struct buf *out)
{
	json_decode_string(string, out);
	CLAIM(!out->failed);
	CLAIM(json_string_is(string, buf_slice(out)));
}

static void compare_string(struct slice ours, const json_t *theirs)
{
	CLEANUP_BUF struct buf text = { 0 };
	decode(ours, &text);
	struct slice want = { json_string_value(theirs), json_string_length(theirs) };
	CLAIM(slice_eq(buf_slice(&text), want));
}

static void compare_object(struct slice ours, const json_t *theirs)
{
	struct json_walk walk;
	struct slice key, value, last;
	size_t n = 0;
	json_walk_init(&walk, ours);
	while (json_walk_next(&walk, &key, &value)) {
		CLEANUP_BUF struct buf name = { 0 };
		decode(key, &name);
		/* The last of several with one name counts for both. */
		CLAIM(json_member(ours, buf_slice(&name), &last));
		if (last.ptr == value.ptr)
			compare(value, json_object_get(theirs, buf_text(&name)));
		n++;
	}
	struct ledger_error err = { 0 };
	bool unique = json_check_unique(ours, &err) == LEDGER_OK;
	CLAIM(unique == (n == json_object_size(theirs)));
}

static void compare_array(struct slice ours, const json_t *theirs)
{
	struct json_walk walk;
	struct slice key, value;
	size_t n = 0;
	json_walk_init(&walk, ours);
	while (json_walk_next(&walk, &key, &value)) {
		CLAIM(!key.ptr);
		compare(value, json_array_get(theirs, n++));
	}
	CLAIM(n == json_array_size(theirs));
}

static void compare_number(struct slice ours, const json_t *theirs)
{
	uint64_t number = 0;
	bool whole = json_u64(ours, &number);
	CLAIM(whole || ours.ptr[0] == '-' || memchr(ours.ptr, '.', ours.len) ||
		memchr(ours.ptr, 'e', ours.len) || memchr(ours.ptr, 'E', ours.len));
	if (whole)
		CLAIM(number == (uint64_t)json_integer_value(theirs));
}

static void compare(struct slice ours, const json_t *theirs)
{
	static const enum json_kind kinds[] = {
		[JANSSON_OBJECT] = JSON_OBJECT,
		[JANSSON_ARRAY] = JSON_ARRAY,
		[JANSSON_STRING] = JSON_STRING,
		[JANSSON_INTEGER] = JSON_NUMBER,
		[JANSSON_REAL] = JSON_NUMBER,
		[JANSSON_TRUE] = JSON_TRUE,
		[JANSSON_FALSE] = JSON_FALSE,
		[JANSSON_NULL] = JSON_NULL,
	};
	CLAIM(theirs && json_kind(ours) == kinds[json_typeof(theirs)]);
	if (json_kind(ours) == JSON_OBJECT)
		compare_object(ours, theirs);
	else if (json_kind(ours) == JSON_ARRAY)
		compare_array(ours, theirs);
	else if (json_kind(ours) == JSON_STRING)
		compare_string(ours, theirs);
	else if (json_kind(ours) == JSON_NUMBER)
		compare_number(ours, theirs);
}

/* --- What is written from it ----------------------------------------------------------------- */

static json_t *load(struct slice text, json_error_t *error)
{
	/* jansson wants a pointer even for no bytes. */
	return json_loadb(
		text.len ? text.ptr : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

static void claim_same(struct slice written, json_t *meant)
{
	json_error_t error;
	struct ledger_error err = { 0 };
	struct slice value;
	CLAIM(json_check(written, &value, &err) == LEDGER_OK);
	json_t *read = load(written, &error);
	CLAIM(read && json_equal(read, meant));
	json_decref(read);
}

static void claim_written(struct slice value, json_t *theirs)
{
	CLEANUP_BUF struct buf flat = { 0 }, pretty = { 0 };
	json_add_flat(&flat, value);
	CLAIM(flat.len == value.len);
	CLAIM(!memchr(flat.ptr, '\n', flat.len) && !memchr(flat.ptr, '\r', flat.len));
	claim_same(buf_slice(&flat), theirs);
	json_add_pretty(&pretty, value, 0);
	claim_same(buf_slice(&pretty), theirs);
}

/* Any bytes become one string on one line, and what was UTF-8 comes back. */
static void claim_string(struct slice text)
{
	CLEANUP_BUF struct buf string = { 0 }, back = { 0 };
	struct ledger_error err = { 0 };
	struct slice value;
	json_add_string(&string, text);
	CLAIM(json_check(buf_slice(&string), &value, &err) == LEDGER_OK);
	CLAIM(json_kind(value) == JSON_STRING && value.len == string.len);
	for (size_t i = 0; i < string.len; i++)
		CLAIM((uint8_t)string.ptr[i] >= 0x20 && string.ptr[i] != 0x7F);
	decode(value, &back);
	CLAIM(slice_is_utf8(buf_slice(&back)));
	CLAIM(!slice_is_utf8(text) || slice_eq(buf_slice(&back), text));
}

/* --- The target ------------------------------------------------------------------------------ */

/* Is it refused by jansson alone, for the reasons at the top? */
static bool is_beyond_jansson(const json_error_t *error)
{
	return json_error_code(error) == json_error_numeric_overflow ||
	       json_error_code(error) == json_error_null_byte_in_key;
}

static size_t first_of(struct slice text, const char *any)
{
	size_t n = 0;
	while (n < text.len && !strchr(any, text.ptr[n]))
		n++;
	return n;
}

static void claim_refused(struct slice text, const json_t *theirs)
{
	bool deep = depth_of(text) > JSON_DEPTH_MAX, nul = memchr(text.ptr, 0, text.len) != NULL;
	CLAIM(!theirs || deep || nul);
	if (!deep && !nul && slice_is_utf8(text) && sqlite_takes(text))
		CLAIM(memmem(text.ptr, text.len, "\\u", 2) || first_of(text, "NnIi") < text.len);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice text = { (const char *)bytes, size }, value = { NULL, 0 };
	struct ledger_error err = { 0 };
	json_error_t error;
	enum ledger_status status = json_check(text, &value, &err);
	json_t *theirs = load(text, &error);
	fuzz_claim_error(status, &err);
	claim_string(text);
	if (status == LEDGER_OK) {
		CLAIM(value.ptr >= text.ptr && value.ptr + value.len <= text.ptr + text.len);
		CLAIM(value.len && !is_space(value.ptr[0]) && !is_space(value.ptr[value.len - 1]));
		CLAIM(depth_of(text) <= JSON_DEPTH_MAX);
		CLAIM(sqlite_takes(text));
		CLAIM(theirs || is_beyond_jansson(&error));
		if (theirs) {
			compare(value, theirs);
			claim_written(value, theirs);
		}
	} else {
		CLAIM(status == LEDGER_INVALID);
		claim_refused(text, theirs);
	}
	json_decref(theirs);
	return 0;
}
