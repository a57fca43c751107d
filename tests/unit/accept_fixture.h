/* Two ledgers that share a key: what store-b records is offered to store-a, line by line. */
#ifndef ACCEPT_FIXTURE_H
#define ACCEPT_FIXTURE_H

#include "../../lib/peers.h"

#include "ledger_fixture.h"

/* Lines of a ledger, each in memory of its own. */
struct lines {
	struct slice *list;
	size_t n;
};

static inline void lines_add(struct lines *lines, struct slice line)
{
	char *copy = malloc(line.len + 1);
	lines->list = realloc(lines->list, (lines->n + 1) * sizeof(*lines->list));
	assert_non_null(copy);
	assert_non_null(lines->list);
	memcpy(copy, line.ptr, line.len);
	lines->list[lines->n++] = (struct slice){ copy, line.len };
}

static inline void lines_done(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free((void *)(uintptr_t)lines->list[i].ptr);
	free(lines->list);
	*lines = (struct lines){ NULL, 0 };
}

static inline enum ledger_status keep_line(
	const struct event *event, void *context, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct event sent = *event;
	(void)err;
	sent.position = 0;
	event_add_line(&line, &sent);
	lines_add(context, buf_slice(&line));
	return LEDGER_OK;
}

/* What a ledger holds, in order of position. */
static inline struct lines lines_of(struct ledger *l)
{
	struct lines lines = { NULL, 0 };
	struct ledger_filter all = { .from = 1 };
	struct ledger_error err;
	MUST(ledger_read(l, &all, keep_line, &lines, &err));
	return lines;
}

/* A ledger of another node beside the first, with its key. Its path stays valid for the test. */
static inline struct ledger *other_node(
	const struct place *p, const char *node, const char *file, struct ledger_options *options)
{
	struct ledger_error err;
	static char paths[8][128];
	static size_t n;
	char *path = path_in(p, file, paths[n++ % 8]);
	*options = p->options;
	options->path = path;
	options->node = node;
	options->state_dir = NULL;
	if (access(path, F_OK) != 0)
		MUST(ledger_create(options, &err));
	return open_ledger(options);
}

static const struct ledger_source from_b = { .name = SLICE_INIT("peer store-b") };

/* Offers one line, and says what became of it. */
static inline struct ledger_accepted offer(struct ledger *l, struct slice line)
{
	struct ledger_error err;
	struct ledger_received received = { .line = line, .source = &from_b };
	struct ledger_accepted result = { .outcome = LEDGER_BAD };
	MUST(ledger_accept(l, &received, 1, NULL, 0, &result, &err));
	return result;
}

/* A line with one text in it replaced by another of any length. */
static inline struct slice changed(struct slice line, const char *from, const char *to, char *room)
{
	const char *at = memmem(line.ptr, line.len, from, strlen(from));
	if (!at)
		fail_msg("%s is not in %.*s", from, SLICE_ARG(line));
	int n = snprintf(room, 4096, "%.*s%s%.*s", (int)(at - line.ptr), line.ptr, to,
		(int)(line.ptr + line.len - at) - (int)strlen(from), at + strlen(from));
	assert_true(n > 0 && n < 4096);
	return (struct slice){ room, (size_t)n };
}

/* Two lives of one file: `common` events, then `n` more; then the file as it was after the common ones is
 * put back, and `m` others are appended. Lines of both, all of them. */
static inline void make_fork(struct ledger **l, const struct ledger_options *options,
	uint64_t common, uint64_t n, uint64_t m, struct lines *x, struct lines *y)
{
	char older[160];
	append_many(*l, common);
	ledger_close(*l);
	snprintf(older, sizeof(older), "%s.older", options->path);
	run_sql(options->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(options->path, older);
	*l = open_ledger(options);
	append_many(*l, n);
	*x = lines_of(*l);
	ledger_close(*l);
	copy_file(older, options->path);
	*l = open_ledger(options);
	append_many(*l, m);
	*y = lines_of(*l);
}

static inline enum ledger_status verified(struct ledger *l, struct ledger_error *err)
{
	struct ledger_verify_options options = { .deep = true };
	struct ledger_verify_report report;
	return ledger_verify(l, &options, &report, err);
}

#endif
