/* Bytes kept until it is known what becomes of them: in memory, and beyond 64 KiB in a temporary file
 * that has no name ($TMPDIR, else /tmp), so that nothing is left behind. */
#ifndef CMD_SPOOL_H
#define CMD_SPOOL_H

#include "../lib/ledger.h"

struct spool {
	int fd; /* -1 as long as everything fits in memory */
	struct buf buf;
};

#define CLEANUP_SPOOL __attribute__((cleanup(spool_done)))

/* An empty one: `struct spool s = SPOOL_EMPTY;` */
#define SPOOL_EMPTY                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

void spool_done(struct spool *s);

/* The buffer to add to; call spool_check now and then, it keeps memory small. */
enum ledger_status spool_check(struct spool *s, struct ledger_error *err);

/* Everything in the file, to be read from its beginning through s->fd. */
enum ledger_status spool_rewind(struct spool *s, struct ledger_error *err);

/* Hands all bytes, in order, to `fn`. */
typedef enum ledger_status spool_fn(struct slice bytes, struct ledger_error *err);
enum ledger_status spool_each(struct spool *s, spool_fn *fn, struct ledger_error *err);

#endif
