/*
 * An event, format v1 (design section 2), in memory. Slices borrow from whoever filled the struct;
 * times are µs UTC.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "../base/buf.h"
#include "../base/error.h"
#include "../base/slice.h"

#define EVENT_PAYLOAD_MAX    (512u << 10)
#define EVENT_METADATA_MAX   (64u << 10)
#define EVENT_TAGS_MAX	     32
#define EVENT_TAG_VALUE_MAX  191
#define EVENT_TYPE_MAX	     128
#define EVENT_STREAM_KEY_MAX 256
#define EVENT_LINE_MAX	     (640u << 10)
#define EVENT_HASH_SIZE	     32
#define EVENT_KEY_ID_SIZE    22 /* "hs256-" and 16 hex digits */

struct event {
	uint64_t position; /* 0: not in a ledger */
	uint8_t id[16];
	struct slice origin;
	uint64_t epoch;
	struct slice domain;
	uint64_t sequence;
	struct slice stream; /* type/key; absent: no stream, version 0 */
	uint64_t version;
	struct slice type;
	uint64_t schema;
	uint64_t clock;
	uint64_t time;
	struct slice tags; /* sorted, unique, one space between; absent: none */
	struct slice payload;
	struct slice metadata; /* absent: none */
	uint8_t salt[16];
	uint8_t prev[EVENT_HASH_SIZE];
	uint8_t hash[EVENT_HASH_SIZE];
	struct slice key; /* key id */
	uint8_t mac[EVENT_HASH_SIZE];
};

/* Form and limits of single fields; LEDGER_INVALID names field and value. */
enum ledger_status event_check_domain(struct slice domain, struct ledger_error *err);
enum ledger_status event_check_type(struct slice type, struct ledger_error *err);
enum ledger_status event_check_stream(struct slice stream, struct ledger_error *err);
enum ledger_status event_check_tag(struct slice tag, struct ledger_error *err);

/* The next tag of an event's tags; false at the end. */
bool event_next_tag(struct slice *rest, struct slice *tag);

/* The correlation id in an event's metadata, decoded into `out` (emptied first); false without one. */
bool event_correlation(const struct event *event, struct buf *out);

/* Adds the event line of design section 2 without a newline; position too where it is not 0. */
void event_add_line(struct buf *out, const struct event *event);

#endif
