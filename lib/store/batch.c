/* A batch is one transaction: the seal is read, events are added, the seal is written; then the head file. */
#include "owner.h"

#include <stdio.h>

#include "../base/banned.h"

#define YEAR_2020	    (UINT64_C(1577836800) * TIME_SECOND)
#define YEAR_2200	    (UINT64_C(7258118400) * TIME_SECOND)
#define CLOCK_AHEAD_WARNING (60 * TIME_SECOND)

static enum ledger_status check_may_write(struct ledger *l, struct ledger_error *err)
{
	struct seal *seal = &l->batch.seal;
	struct head_file head;
	TRY(seal_check_mac(l, seal, err));
	enum ledger_status status = home_read_head(l, seal->epoch, &head, err);
	if (status && status != LEDGER_NO)
		return status;
	return home_check(l, seal, status ? NULL : &head, err);
}

static enum ledger_status check_clock(struct ledger *l, struct ledger_error *err)
{
	uint64_t now = time_now();
	char text[TIME_TEXT_MAX];
	time_format(now, text);
	if (now < YEAR_2020 || now >= YEAR_2200) {
		fail(err, LEDGER_REFUSED, "the clock of this machine says %s", text);
		return hint(err, "set the clock; events are recorded between 2020 and 2200");
	}
	if (l->batch.seal.clock > now + CLOCK_AHEAD_WARNING)
		snprintf(l->warning, sizeof(l->warning),
			"the ledger's clock is %" PRIu64 " s ahead of this machine's (%s)",
			(l->batch.seal.clock - now) / TIME_SECOND, text);
	return LEDGER_OK;
}

static enum ledger_status begin_batch(struct ledger *l, struct ledger_error *err)
{
	struct batch *b = &l->batch;
	TRY(seal_read(l, &b->seal, err));
	b->key = 0;
	b->n_tails = 0;
	b->first_position = b->seal.position;
	b->open = true;
	return owner_cache_begin(l, err);
}

static enum ledger_status begin_anywhere(struct ledger *l, struct ledger_error *err)
{
	TRY(begin_batch(l, err));
	return check_clock(l, err);
}

static enum ledger_status begin_any_time(struct ledger *l, struct ledger_error *err)
{
	TRY(begin_batch(l, err));
	TRY(check_may_write(l, err));
	l->epoch = l->batch.seal.epoch;
	return LEDGER_OK;
}

static enum ledger_status begin_at_home(struct ledger *l, struct ledger_error *err)
{
	TRY(begin_anywhere(l, err));
	TRY(check_may_write(l, err));
	l->epoch = l->batch.seal.epoch;
	return LEDGER_OK;
}

/* Keys, a transaction; `begin` does the rest inside it. */
static enum ledger_status open_batch(struct ledger *l,
	enum ledger_status (*begin)(struct ledger *, struct ledger_error *),
	struct ledger_error *err)
{
	l->warning[0] = '\0';
	if (l->options.mode != LEDGER_MODE_WRITE)
		return fail(
			err, LEDGER_REFUSED, "%s is open for reading only", store_path(l->store));
	TRY(handle_load_keys(l, err));
	if (!l->can_sign) {
		fail(err, LEDGER_USAGE, "there is no signing key");
		return hint(err, "name it with --key-file or keys: {sign: …} in the config");
	}
	TRY(guard_begin_write(l, err));
	enum ledger_status status = begin(l, err);
	if (status)
		ledger_rollback(l);
	return status;
}

enum ledger_status ledger_begin(struct ledger *l, struct ledger_error *err)
{
	return open_batch(l, begin_at_home, err);
}

enum ledger_status batch_begin_anywhere(struct ledger *l, struct ledger_error *err)
{
	return open_batch(l, begin_anywhere, err);
}

enum ledger_status batch_begin_any_time(struct ledger *l, struct ledger_error *err)
{
	return open_batch(l, begin_any_time, err);
}

void ledger_rollback(struct ledger *l)
{
	struct batch *b = &l->batch;
	if (l->store)
		store_rollback(l->store);
	if (b->open)
		names_forget(l); /* rows made in the batch are gone */
	owner_cache_forget(l);
	b->open = false;
	b->n_tails = 0;
	arena_reset(&b->arena);
}

enum ledger_status ledger_commit(struct ledger *l, struct ledger_error *err)
{
	struct batch *b = &l->batch;
	if (!b->open)
		return fail(err, LEDGER_USAGE, "no batch is open");
	bool wrote = b->seal.position != b->first_position;
	enum ledger_status status = wrote ? seal_write(l, &b->seal, err) : LEDGER_OK;
	if (!status)
		status = store_commit(l->store, err);
	if (status) {
		ledger_rollback(l);
		return status;
	}
	if (wrote)
		home_write_head(l, &b->seal, b->last_hash);
	b->open = false;
	b->n_tails = 0;
	arena_reset(&b->arena);
	return LEDGER_OK;
}
