/*
 * Lines from a file descriptor, handed out where they were read: no copy, no allocation per line.
 *
 *	bytes  |handed out ........|not yet|      free      |
 *	       0                start     end
 *
 * What was handed out stays until input_recycle. Memory has a ceiling: a line that is too long is
 * refused as soon as that is known, however long it is.
 */
#ifndef CMD_INPUT_H
#define CMD_INPUT_H

#include "../lib/ledger.h"

/* So many bytes handed out make a full batch. */
#define INPUT_BATCH_MAX (4u << 20)

struct input {
	int fd; /* borrowed */
	char *bytes;
	size_t start;	/* first byte that was not handed out */
	size_t scanned; /* between start and here is no newline */
	size_t end;	/* behind the last byte that was read */
	bool at_end;	/* read(2) said so */
	bool cut;	/* the line handed out last had no newline */
	uint64_t line;	/* number of the line handed out last, from 1 */
};

enum input_got {
	INPUT_LINE,
	INPUT_LATER, /* nothing more right now */
	INPUT_END
};

enum ledger_status input_open(struct input *in, int fd, struct ledger_error *err);
void input_close(struct input *in);

/*
 * The next line that is not blank, without its newline. With `wait` it waits for one, and lines handed
 * out before are gone; without, it says INPUT_LATER where read(2) would have to wait or the batch is
 * full. LEDGER_INVALID for a line over EVENT_LINE_MAX (the text names its number); whatever read(2)
 * fails with.
 */
enum ledger_status input_next(struct input *in, bool wait, enum input_got *got, struct slice *line,
	struct ledger_error *err);

/* The lines handed out so far are no longer needed. */
void input_recycle(struct input *in);

/* Reads to the end, at most `max` bytes, into `out` (emptied first). LEDGER_INVALID for more; `name`
 * is what errors call it. */
enum ledger_status input_read_all(
	int fd, const char *name, size_t max, struct buf *out, struct ledger_error *err);

/* As much of a value from outside as a message shows; who prints the message escapes it. */
struct slice input_shown(struct slice value);

#endif
