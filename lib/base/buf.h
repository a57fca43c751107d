/*
 * A buffer that grows up to a ceiling. A failure (no memory, ceiling) sticks: later additions do
 * nothing, and one buf_check at the end tells. So text is composed line by line without a test each.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "error.h"
#include "slice.h"

struct buf {
	char *ptr;
	size_t len;
	size_t cap;
	size_t max; /* ceiling in bytes; 0 means BUF_MAX_DEFAULT */
	bool failed;
};

#define BUF_MAX_DEFAULT (64u << 20)

/* Frees when the scope ends. */
#define CLEANUP_BUF __attribute__((cleanup(buf_done)))

void buf_done(struct buf *b);

/* Empty again, memory kept, failure forgotten. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_char(struct buf *b, char c);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_u64(struct buf *b, uint64_t value);		 /* decimal */
void buf_add_be64(struct buf *b, uint64_t value);		 /* 8 bytes, big-endian */
void buf_add_hex(struct buf *b, const uint8_t *bytes, size_t n); /* lower case */
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for n bytes at the end, to be filled by the caller; NULL on failure. Counted at once. */
char *buf_extend(struct buf *b, size_t n);

/* What is in it; valid until the next addition. */
struct slice buf_slice(const struct buf *b);

/* The content as a C string (a NUL is kept behind it); "" when empty or failed. */
const char *buf_text(struct buf *b);

/* LEDGER_NO_MEMORY if any addition failed. */
enum ledger_status buf_check(const struct buf *b, struct ledger_error *err);

#endif
