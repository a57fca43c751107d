/*
 * The events of the benchmark, by number from 0: the same values for ledgerbox (as lines, by mklines)
 * and for its yardstick (as rows, by ceiling). 10,000 streams in a fixed order that does not follow
 * their names, so that of a million events each stream has 100; payloads of 250 bytes; one tag.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_STREAMS 10000
#define SAMPLE_PAYLOAD 250
#define SAMPLE_DOMAIN  "inventory"
#define SAMPLE_ORIGIN  "store-a"

/* 7919 has no divisor in common with 10,000: each stream comes once in 10,000 events. */
static inline unsigned sample_stream(uint64_t i)
{
	return (unsigned)(i * 7919 % SAMPLE_STREAMS);
}

static inline const char *sample_type(uint64_t i)
{
	static const char *const types[] = { "stock_adjusted", "stock_counted", "price_changed",
		"item_relocated" };
	return types[i * 2654435761u / 4096 % 4];
}

/* Fills `out` with an object of exactly SAMPLE_PAYLOAD bytes and a NUL. */
static inline void sample_payload(uint64_t i, char out[SAMPLE_PAYLOAD + 1])
{
	int n = snprintf(out, SAMPLE_PAYLOAD,
		"{\"sku\":\"sku-%u\",\"delta\":%d,\"order\":\"%010" PRIu64
		"\",\"price\":%u.%02u,\"note\":\"",
		sample_stream(i), (int)(i % 19) - 9, i, (unsigned)(i % 997), (unsigned)(i % 100));
	for (size_t at = (size_t)n; at < SAMPLE_PAYLOAD - 2; at++)
		out[at] = (char)('a' + (at * 7 + i) % 26);
	memcpy(out + SAMPLE_PAYLOAD - 2, "\"}", 3);
}

#endif
