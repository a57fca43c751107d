/* UUIDs, RFC 9562. Sixteen bytes; text is lower case with hyphens. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "slice.h"

#define UUID_TEXT_MAX 37

/* Version 7 from a moment in µs (its milliseconds, then its µs within the millisecond as the 12 bits
 * after the version, RFC 9562 method 3) and 8 random bytes. */
void uuid_v7(uint64_t us, const uint8_t random[8], uint8_t out[16]);

/* 8-4-4-4-12 hex digits, either case. */
bool uuid_parse(struct slice text, uint8_t out[16]);

void uuid_format(const uint8_t id[16], char out[UUID_TEXT_MAX]);

#endif
