/* replay --stdout: event lines in order, a page at a time, as `tail` prints them. */
#include "replay.h"

#include "command.h"
#include "output.h"
#include "settings.h"
#include "signals.h"

#include "../lib/base/banned.h"

#define PAGE_BYTES (1u << 20)
#define NO_LIMIT   UINT64_MAX

struct feed {
	struct ledger *ledger;
	struct ledger_fold *fold; /* NULL: there are no upcasters */
	struct buf page;
	uint64_t done; /* every position up to this one is printed or does not match */
	uint64_t left;
	uint64_t last; /* position of the last event in the page */
	bool is_full;
	bool is_over; /* nobody reads any more, or the limit is reached */
};

#define CLEANUP_FEED __attribute__((cleanup(feed_done)))

static void feed_done(struct feed *feed)
{
	buf_done(&feed->page);
	ledger_fold_close(feed->fold);
}

static enum ledger_status add_event(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct feed *feed = context;
	struct event upcast = *event;
	if (feed->fold)
		TRY(ledger_fold_upcast(feed->fold, event, &upcast, err));
	event_add_line(&feed->page, &upcast);
	buf_add_char(&feed->page, '\n');
	TRY(buf_check(&feed->page, err));
	feed->last = event->position;
	feed->left -= feed->left != NO_LIMIT;
	feed->is_full = feed->page.len >= PAGE_BYTES || feed->left == 0;
	/* Leaves the read transaction; print_range comes back for the rest. */
	return feed->is_full ? LEDGER_NO : LEDGER_OK;
}

static enum ledger_status write_page(struct feed *feed, struct ledger_error *err)
{
	out_safe_lines(buf_slice(&feed->page));
	buf_reset(&feed->page);
	enum ledger_status status = out_flush(err);
	feed->is_over = status == LEDGER_NO || feed->left == 0 || signals_stop();
	return status == LEDGER_NO ? LEDGER_OK : status;
}

/* Something went wrong behind what is in the page, which still is to be printed. */
static enum ledger_status give_up(struct feed *feed, enum ledger_status status)
{
	struct ledger_error ignored;
	write_page(feed, &ignored);
	return status;
}

static enum ledger_status print_range(struct feed *feed, uint64_t end, struct ledger_error *err)
{
	struct ledger_filter f = replay_args.filter;
	f.to = end;
	while (feed->done < end && !feed->is_over) {
		if (feed->done + 1 > f.from)
			f.from = feed->done + 1;
		f.limit = feed->left == NO_LIMIT ? 0 : feed->left;
		feed->is_full = false;
		enum ledger_status status = ledger_read(feed->ledger, &f, add_event, feed, err);
		if (status != LEDGER_OK && !feed->is_full)
			return give_up(feed, status);
		feed->done = feed->is_full ? feed->last : end;
		TRY(write_page(feed, err));
	}
	return LEDGER_OK;
}

static enum ledger_status step(struct feed *feed, struct ledger_error *err)
{
	uint64_t end, to = replay_args.filter.to;
	TRY(ledger_last_position(feed->ledger, &end, err));
	TRY(print_range(feed, to && to < end ? to : end, err));
	feed->is_over = feed->is_over || (to && feed->done >= to);
	return LEDGER_OK;
}

/* The order of all nodes: what stands there now, once. */
static enum ledger_status print_shared(struct feed *feed, struct ledger_error *err)
{
	const struct ledger_filter *f = &replay_args.filter;
	struct ledger_shared *shared;
	uint64_t end;
	TRY(ledger_last_position(feed->ledger, &end, err));
	TRY(ledger_shared_open(&shared, feed->ledger, f->from ? f->from : 1,
		f->to && f->to < end ? f->to : end, err));
	enum ledger_status status = LEDGER_OK;
	do {
		feed->is_full = false;
		status = ledger_shared_read(shared, f, add_event, feed, err);
		if (status == LEDGER_OK || feed->is_full)
			status = write_page(feed, err);
		else
			give_up(feed, status);
	} while (status == LEDGER_OK && feed->is_full && !feed->is_over);
	ledger_shared_close(shared);
	return status;
}

enum ledger_status replay_to_stdout(struct ledger *l, struct ledger_error *err)
{
	CLEANUP_FEED struct feed feed = { .ledger = l, .left = NO_LIMIT };
	bool changed;
	if (replay_args.limit.given)
		feed.left = replay_args.limit.value;
	if (settings.rules.n_upcasts)
		TRY(ledger_fold_open(&feed.fold, l, &settings.rules, err));
	command_confine(NULL, NULL);
	if (replay_is_shared())
		return print_shared(&feed, err);
	if (replay_args.follow) {
		TRY(signals_catch(err));
		/* From here on a commit is noticed, also one between the first reading and the first wait. */
		TRY(ledger_watch(l, signals_wake(), 0, &changed, err));
	}
	TRY(step(&feed, err));
	if (replay_args.follow && !feed.is_over)
		note("live from here on, behind position %llu", (unsigned long long)feed.done);
	while (replay_args.follow && !feed.is_over && !signals_stop() && !out_reader_has_gone()) {
		TRY(ledger_watch(l, signals_wake(), TIME_SECOND, &changed, err));
		TRY(step(&feed, err));
	}
	return LEDGER_OK;
}
