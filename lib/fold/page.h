/* Events copied out of a read transaction, so that the time their consumers take holds up nobody. */
#ifndef FOLD_PAGE_H
#define FOLD_PAGE_H

#include "../fold.h"

#define PAGE_EVENTS_MAX 2048
#define PAGE_BYTES_MAX	(4u << 20) /* and one event more */

enum page_state { PAGE_WAITING, PAGE_SENT, PAGE_DONE, PAGE_FAILED };

struct page_event {
	struct event event;
	enum page_state state;
	bool timed_out;	     /* of a failed one: there was no answer */
	struct slice reason; /* of a failed one */
};

struct page {
	struct arena arena;
	struct page_event *events;
	size_t n;
	size_t bytes;
	bool is_full; /* there may be more behind it */
};

void page_done(struct page *page);

/* Fills a page with what matches and `wanted` (NULL: all) says yes to; at most filter->limit. Events are upcast
 * (`fold` NULL: not); one that cannot be is as it is stored, and has failed. */
typedef bool page_wanted_fn(const struct event *event, void *context);
enum ledger_status page_read(struct page *page, struct ledger *l,
	const struct ledger_filter *filter, page_wanted_fn *wanted, void *context,
	struct ledger_fold *fold, struct ledger_error *err);

/* Tries that again with one that has failed: it is waiting then, or failed. */
enum ledger_status page_upcast(struct page *page, struct page_event *e, struct ledger_fold *fold,
	struct ledger_error *err);

#endif
