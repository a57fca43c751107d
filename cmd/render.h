/*
 * One event for stdout: columns of text, tsv, the event line as JSON, or the bare payload. Adds to a
 * buffer and is then ready to be written: on a terminal, what came from outside is escaped already.
 *
 *	text      for people; on a terminal aligned and cut to its width. May change.
 *	json      the event line of ledgerbox-format(5)
 *	tsv       columns, a tab between; \t \n \r \\ stand for tab, newline, CR and backslash in a
 *	          value; absent is empty
 *	payload   exactly the payload's bytes
 *
 * Each ends with a newline.
 */
#ifndef CMD_RENDER_H
#define CMD_RENDER_H

#include "../lib/ledger.h"

#define RENDER_COLUMNS_MAX 32
#define RENDER_TIME_MAX	   40

struct render {
	bool utc;
	size_t n;
	unsigned columns[RENDER_COLUMNS_MAX]; /* which */
	unsigned widths[RENDER_COLUMNS_MAX];  /* on a terminal: they grow as events come */
	struct buf value;
	struct buf shown;
};

#define CLEANUP_RENDER __attribute__((cleanup(render_done)))

/* `fields` is a list of column names with commas; NULL: the usual ones of output.format. LEDGER_USAGE
 * names an unknown one. */
enum ledger_status render_init(
	struct render *r, const char *fields, bool utc, struct ledger_error *err);
void render_done(struct render *r);

/* The names of the columns, for text and tsv. */
void render_header(struct render *r, struct buf *out);

/* Adds one event in the way of output.format. Failures stick in `out`: see buf_check. */
void render_event(struct render *r, const struct event *event, struct buf *out);

/* RFC 3339 with whole seconds and offset, local or UTC: "2026-11-20T18:30:00+01:00". */
void render_moment(uint64_t us, bool utc, char out[RENDER_TIME_MAX]);

#endif
