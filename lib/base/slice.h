/*
 * A slice borrows bytes: pointer and length, no NUL promised. Who hands one out says how long it
 * stays valid. An absent text is a slice whose ptr is NULL; an empty one has a pointer and len 0.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* A slice of a string literal, and the same for a constant table. */
#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define SLICE_INIT(literal)                                                                        \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

/* The two arguments that printf's "%.*s" takes. */
#define SLICE_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

/* The slice of a C string; NULL gives the absent slice. */
struct slice slice_of(const char *text);

bool slice_eq(struct slice a, struct slice b);

/* Is the slice the same bytes as the C string? */
bool slice_is(struct slice s, const char *text);

bool slice_starts(struct slice s, struct slice prefix);

/* Bytewise order, a prefix before what it begins: <0, 0, >0. */
int slice_cmp(struct slice a, struct slice b);

/* From byte `from` (<= len) to the end. */
struct slice slice_from(struct slice s, size_t from);

/* Cuts at the first `c`: *head is before it, *tail behind it. False (nothing written) without one. */
bool slice_cut(struct slice s, char c, struct slice *head, struct slice *tail);

/* Without the blanks (space, tab) at both ends. */
struct slice slice_trim(struct slice s);

/* A whole decimal number, digits only, that fits 64 bits. */
bool slice_u64(struct slice s, uint64_t *out);

/* 2 × n hex digits, either case, into n bytes. */
bool slice_unhex(struct slice s, uint8_t *out, size_t n);

/* Is it well-formed UTF-8 (no surrogates, nothing overlong, up to U+10FFFF)? */
bool slice_is_utf8(struct slice s);

/* Length of the well-formed UTF-8 character at the front, 0 where there is none. */
size_t slice_utf8_char(struct slice s, uint32_t *code);

/* Design section 1: [A-Za-z0-9_-]{1,64}. */
bool slice_is_token(struct slice s);

#endif
