#include "page.h"

#include <stdlib.h>

#include "../base/banned.h"

void page_done(struct page *page)
{
	arena_done(&page->arena);
	free(page->events);
	*page = (struct page){ 0 };
}

static bool copy(struct page *page, struct slice *s)
{
	if (!s->ptr)
		return true;
	page->bytes += s->len;
	*s = arena_copy(&page->arena, *s);
	return s->ptr != NULL;
}

static bool copy_event(struct page *page, struct event *e)
{
	page->bytes += sizeof(*e);
	return copy(page, &e->origin) && copy(page, &e->domain) && copy(page, &e->stream) &&
	       copy(page, &e->type) && copy(page, &e->tags) && copy(page, &e->payload) &&
	       copy(page, &e->metadata) && copy(page, &e->key);
}

/* The payload is borrowed from `fold` then. */
static enum ledger_status upcast(
	struct page *page, struct page_event *e, struct ledger_fold *fold, struct ledger_error *err)
{
	struct ledger_error why = { 0 };
	struct event event;
	enum ledger_status status =
		fold ? ledger_fold_upcast(fold, &e->event, &event, &why) : LEDGER_OK;
	e->state = status == LEDGER_OK ? PAGE_WAITING : PAGE_FAILED;
	if (status == LEDGER_OK && fold)
		e->event = event;
	if (status != LEDGER_INVALID) {
		if (status != LEDGER_OK)
			*err = why;
		return status;
	}
	e->reason = arena_copy(&page->arena, slice_of(why.text));
	return e->reason.ptr ? LEDGER_OK : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

enum ledger_status page_upcast(
	struct page *page, struct page_event *e, struct ledger_fold *fold, struct ledger_error *err)
{
	TRY(upcast(page, e, fold, err));
	return copy(page, &e->event.payload) ? LEDGER_OK
					     : fail(err, LEDGER_NO_MEMORY, "out of memory");
}

struct filling {
	struct page *page;
	struct ledger_fold *fold;
	size_t most;
	page_wanted_fn *wanted;
	void *context;
};

static enum ledger_status add(const struct event *event, void *context, struct ledger_error *err)
{
	struct filling *f = context;
	struct page *page = f->page;
	if (f->wanted && !f->wanted(event, f->context))
		return LEDGER_OK;
	struct page_event *e = &page->events[page->n];
	*e = (struct page_event){ .event = *event };
	TRY(upcast(page, e, f->fold, err));
	if (!copy_event(page, &e->event))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	page->n++;
	page->is_full = page->n == f->most || page->bytes >= PAGE_BYTES_MAX;
	/* Leaves the read transaction. */
	return page->is_full ? LEDGER_NO : LEDGER_OK;
}

enum ledger_status page_read(struct page *page, struct ledger *l,
	const struct ledger_filter *filter, page_wanted_fn *wanted, void *context,
	struct ledger_fold *fold, struct ledger_error *err)
{
	size_t most = filter->limit && filter->limit < PAGE_EVENTS_MAX ? (size_t)filter->limit
								       : PAGE_EVENTS_MAX;
	struct filling f = { page, fold, most, wanted, context };
	struct ledger_filter unlimited = *filter;
	unlimited.limit = 0; /* what is not wanted does not count */
	arena_reset(&page->arena);
	page->n = page->bytes = 0;
	page->is_full = false;
	if (!page->events)
		page->events = calloc(PAGE_EVENTS_MAX, sizeof(*page->events));
	if (!page->events)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	enum ledger_status status = ledger_read(l, &unlimited, add, &f, err);
	return status == LEDGER_NO && page->is_full ? LEDGER_OK : status;
}
