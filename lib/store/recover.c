/*
 * The next epoch: after a copy or restore, this file goes on under an epoch of its own, so that no
 * sequence is ever used twice.
 */
#include "handle.h"

#include "../peers.h"

#include <stdio.h>
#include <sys/random.h>

#include "../base/banned.h"

/* The next epoch: now, but greater than any epoch of this node known here. Where the clock is behind, two
 * copies of one ledger would both count on from the same epoch: an hour's worth of chance is between them. */
#define SPREAD (UINT64_C(1) << 32)
static enum ledger_status choose_epoch(struct ledger *l, uint64_t *epoch, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t newest = 0;
	bool row;
	TRY(store_get(l->store, SQL_NEWEST_EPOCH, &st, err));
	bind_text(st, 1, slice_of(l->node));
	TRY(stmt_row(l->store, st, &row, err));
	if (row)
		column_u64(st, 0, &newest);
	if (l->batch.seal.epoch > newest)
		newest = l->batch.seal.epoch;
	uint64_t now = time_now(), random;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "the kernel gives no random bytes");
	if (newest >= TIME_MAX - SPREAD)
		return fail(err, LEDGER_DAMAGED, "%s has an epoch at the end of time",
			store_path(l->store));
	*epoch = now > newest ? now : newest + 1 + random % SPREAD;
	return LEDGER_OK;
}

/* The list is cut where the payload would grow too large; `more` counts what is left out. */
#define LIST_MAX (EVENT_PAYLOAD_MAX - (64u << 10))

struct chain_list {
	struct buf *out;
	const char *node;
	const char *before;
	uint64_t more;
};

static enum ledger_status add_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct chain_list *list = context;
	(void)err;
	if (!slice_is(chain->origin, list->node))
		return LEDGER_OK;
	if (list->out->len > LIST_MAX) {
		list->more++;
		return LEDGER_OK;
	}
	buf_addf(list->out,
		"%s{\"epoch\":%" PRIu64 ",\"domain\":\"%.*s\",\"sequence\":%" PRIu64 ",\"hash\":\"",
		list->before, chain->epoch, SLICE_ARG(chain->domain), chain->sequence);
	buf_add_hex(list->out, chain->hash, EVENT_HASH_SIZE);
	buf_add_text(list->out, "\"}");
	list->before = ",";
	return LEDGER_OK;
}

static enum ledger_status describe(struct ledger *l, struct slice reason, const char *found,
	struct buf *out, struct ledger_error *err)
{
	struct chain_list list = { out, l->node, "", 0 };
	buf_add_text(out, "{\"reason\":");
	json_add_string(out, reason);
	buf_add_text(out, ",\"found\":");
	json_add_string(out, slice_of(found));
	buf_addf(out, ",\"old_epoch\":%" PRIu64 ",\"chains\":[", l->batch.seal.epoch);
	TRY(ledger_chains(l, add_chain, &list, err));
	buf_add_char(out, ']');
	if (list.more)
		buf_addf(out, ",\"more\":%" PRIu64, list.more);
	buf_add_char(out, '}');
	return buf_check(out, err);
}

static enum ledger_status look(
	struct ledger *l, bool force, struct ledger_recovery *out, struct ledger_error *err)
{
	struct head_file head;
	struct ledger_error found = { .status = LEDGER_OK };
	struct seal *seal = &l->batch.seal;
	enum ledger_status read = home_read_head(l, seal->epoch, &head, err);
	if (read && read != LEDGER_NO)
		return read;
	enum ledger_status home = home_check(l, seal, read ? NULL : &head, &found);
	if (home && home != LEDGER_REFUSED) {
		*err = found;
		return home;
	}
	snprintf(out->found, sizeof(out->found), "%.255s", found.text);
	out->old_epoch = seal->epoch;
	if (!home && !force) {
		fail(err, LEDGER_NO,
			"%s is where it was last written, and as it was: there is nothing to "
			"recover",
			store_path(l->store));
		return hint(err, "to begin a new epoch all the same: --force");
	}
	return choose_epoch(l, &out->epoch, err);
}

/* Is the old epoch's head file this file's, and not that of a ledger it was copied from? */
static bool owns_head(struct ledger *l)
{
	struct head_file head;
	struct ledger_error ignored;
	bool has_head = home_read_head(l, l->batch.seal.epoch, &head, &ignored) == LEDGER_OK;
	return home_is_of(l, &l->batch.seal, has_head ? &head : NULL);
}

/* The old epoch's head file goes along: a file of that epoch put back later is behind it. */
static void close_old_head(struct ledger *l, uint64_t old_epoch)
{
	struct seal old = l->batch.seal;
	old.epoch = old_epoch;
	home_write_head(l, &old, l->batch.last_hash);
}

static enum ledger_status begin_epoch(struct ledger *l, struct slice reason,
	struct ledger_recovery *out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf payload = { 0 };
	struct ledger_answer answer;
	struct seal *seal = &l->batch.seal;
	struct ledger_new event = {
		.domain = SLICE("_ledger"), .type = SLICE("epoch_started"), .schema = 1
	};
	bool own_head = owns_head(l);
	TRY(describe(l, reason, out->found, &payload, err));
	event.payload = buf_slice(&payload);
	seal->epoch = out->epoch;
	TRY(home_of_file(store_path(l->store), &seal->inode, &seal->birth, err));
	TRY(ledger_add(l, &event, NULL, &answer, err));
	TRY(seal_move_in(l, seal, err));
	TRY(ledger_commit(l, err));
	if (own_head)
		close_old_head(l, out->old_epoch);
	l->epoch = out->epoch;
	out->position = answer.position;
	return LEDGER_OK;
}

#define FORKS_MAX 1000

static void count_fork(const struct ledger_problem *problem, void *context)
{
	uint64_t *forks = context;
	*forks += strcmp(problem->code, "FORK") == 0;
}

/*
 * An old -wal beside a file put back is played into it by SQLite, and makes of both what neither was.
 * So the file is verified by itself: what the head file knows is why we are here. A fork is no damage of
 * the file.
 */
static enum ledger_status verify_first(struct ledger *l, struct ledger_error *err)
{
	struct ledger_options options = l->options;
	uint64_t forks = 0;
	struct ledger_verify_options all = {
		.deep = true, .max_problems = FORKS_MAX, .problem = count_fork, .context = &forks
	};
	struct ledger_verify_report report = { 0 };
	struct ledger *alone;
	options.mode = LEDGER_MODE_READ;
	options.state_dir = NULL;
	TRY(ledger_open(&alone, &options, err));
	enum ledger_status status = ledger_verify(alone, &all, &report, err);
	ledger_close(alone);
	bool sound = status == LEDGER_DAMAGED && report.complete && report.problems == forks;
	if (status == LEDGER_OK || status == LEDGER_UNVERIFIED || sound)
		return LEDGER_OK;
	if (status != LEDGER_DAMAGED)
		return fail_in(err, "no epoch is begun in a ledger that could not be verified: ");
	fail_in(err, "no epoch is begun in a ledger that does not verify: ");
	return hint(err, "put the file back without the old -wal and -shm beside it");
}

static enum ledger_status recover(struct ledger *l, struct slice reason, bool force, bool dry_run,
	struct ledger_recovery *out, struct ledger_error *err)
{
	struct ledger_recovery r = { .epoch = 0 };
	TRY(batch_begin_anywhere(l, err));
	enum ledger_status status = seal_check_mac(l, &l->batch.seal, err);
	if (!status)
		status = look(l, force, &r, err);
	if (!status && !dry_run)
		status = begin_epoch(l, reason, &r, err);
	ledger_rollback(l);
	if (status)
		return status;
	*out = r;
	return LEDGER_OK;
}

enum ledger_status ledger_recover(struct ledger *l, struct slice reason, bool force, bool dry_run,
	struct ledger_recovery *out, struct ledger_error *err)
{
	if (!dry_run)
		TRY(verify_first(l, err));
	return recover(l, reason, force, dry_run, out, err);
}

enum ledger_status ledger_next_epoch(struct ledger *l, struct slice reason,
	struct ledger_recovery *out, struct ledger_error *err)
{
	return recover(l, reason, true, false, out, err);
}
