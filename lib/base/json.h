/*
 * A strict reader for JSON (RFC 8259) that looks and never re-serialises: values are handed out as
 * slices of the bytes that came in.
 *
 * Decided where the RFC leaves it open: numbers of any size and precision are taken (their bytes are
 * kept, nobody computes with them); "\u" escapes must form whole characters (a lone surrogate has no
 * text behind it and is refused), \u0000 is taken; a byte order mark, invalid UTF-8 and more than
 * JSON_DEPTH_MAX levels of nesting are refused; duplicate keys are taken unless the caller looks for them.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "buf.h"
#include "error.h"
#include "slice.h"

#define JSON_DEPTH_MAX 64

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/*
 * Checks that `text` is one JSON value with nothing but white space around it; *value is that value,
 * first to last byte. LEDGER_INVALID says what is wrong and at which byte (1-based "column").
 * Needs no memory; time is linear.
 */
enum ledger_status json_check(struct slice text, struct slice *value, struct ledger_error *err);

/* The same for an event line, which is one level around its payload. */
enum ledger_status json_check_line(
	struct slice text, struct slice *value, struct ledger_error *err);

/* The kind of a checked value. */
enum json_kind json_kind(struct slice value);

/* Walks the members of a checked object, or the items of a checked array (key is then absent). */
struct json_walk {
	struct slice rest;
	bool object;
};

void json_walk_init(struct json_walk *walk, struct slice value);

/* The next member: *key with its quotes and escapes as they stand, *value a whole value. False at the end. */
bool json_walk_next(struct json_walk *walk, struct slice *key, struct slice *value);

/* Finds the last member of a checked object by its decoded key. */
bool json_member(struct slice object, struct slice key, struct slice *value);

/* Refuses a checked object in which one (decoded) key stands twice at the top level: LEDGER_INVALID
 * names the key. Not quadratic in the number of keys. */
enum ledger_status json_check_unique(struct slice object, struct ledger_error *err);

/* The text of a checked string (quotes included in `string`), escapes decoded, added to `out`. */
void json_decode_string(struct slice string, struct buf *out);

/* Is a checked string, decoded, the same bytes as `text`? */
bool json_string_is(struct slice string, struct slice text);

/* Adds a JSON string, quotes included: escapes ", \ and control characters (C0, DEL) so that the
 * result is one printable line; invalid UTF-8 becomes U+FFFD. */
void json_add_string(struct buf *out, struct slice text);

/* Adds a checked value with each raw CR and LF as a space: the bytes that are stored and hashed. */
void json_add_flat(struct buf *out, struct slice value);

/* Adds a checked value indented for people: two spaces a level, `indent` levels to begin with. */
void json_add_pretty(struct buf *out, struct slice value, unsigned indent);

/* A checked number that is a whole one without sign, fraction or exponent and fits 64 bits. */
bool json_u64(struct slice value, uint64_t *out);

#endif
