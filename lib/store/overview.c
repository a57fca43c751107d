/* Chains with their heads, and the counts that status shows. */
#include "handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "../base/banned.h"

/* The head of a chain; LEDGER_NO where it has no event. */
static enum ledger_status read_head(struct ledger *l, const struct chain_row *row,
	struct ledger_chain *chain, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool found;
	*chain = (struct ledger_chain){
		.origin = row->origin, .epoch = row->epoch, .domain = row->domain_name
	};
	TRY(store_get(l->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, row->id);
	TRY(stmt_row(l->store, st, &found, err));
	if (!found)
		return fail(err, LEDGER_NO, "the chain is empty");
	struct slice hash = column_blob(st, 1);
	if (!column_u64(st, 0, &chain->sequence) || hash.len != EVENT_HASH_SIZE ||
		!column_u64(st, 2, &chain->position) || !column_u64(st, 3, &chain->clock) ||
		!column_u64(st, 4, &chain->time))
		return fail(err, LEDGER_DAMAGED,
			"the head of chain %.*s/%" PRIu64 "/%.*s is malformed",
			SLICE_ARG(row->origin), row->epoch, SLICE_ARG(row->domain_name));
	memcpy(chain->hash, hash.ptr, EVENT_HASH_SIZE);
	return LEDGER_OK;
}

static int compare_chains(const void *a, const void *b)
{
	const struct chain_row *x = *(const struct chain_row *const *)a,
			       *y = *(const struct chain_row *const *)b;
	int order = slice_cmp(x->origin, y->origin);
	if (order == 0)
		order = (x->epoch > y->epoch) - (x->epoch < y->epoch);
	return order ? order : slice_cmp(x->domain_name, y->domain_name);
}

static enum ledger_status each_chain(struct ledger *l, const struct chain_row **sorted,
	ledger_chain_fn *fn, void *context, struct ledger_error *err)
{
	size_t n = l->names.n_chains;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &l->names.chains[i];
	/* It is the pointers that are sorted. NOLINTNEXTLINE(bugprone-sizeof-expression) */
	qsort(sorted, n, sizeof(sorted[0]), compare_chains);
	for (size_t i = 0; i < n; i++) {
		struct ledger_chain chain;
		enum ledger_status status = read_head(l, sorted[i], &chain, err);
		if (status == LEDGER_OK)
			status = fn(&chain, context, err);
		if (status && status != LEDGER_NO)
			return status;
	}
	return LEDGER_OK;
}

enum ledger_status ledger_chains(
	struct ledger *l, ledger_chain_fn *fn, void *context, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(names_load(l, err));
	const struct chain_row **sorted =
		calloc(l->names.n_chains + 1, sizeof(const struct chain_row *));
	if (!sorted)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	enum ledger_status status = each_chain(l, sorted, fn, context, err);
	free(sorted);
	return status;
}

static enum ledger_status count_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	(void)chain;
	(void)err;
	++*(uint64_t *)context;
	return LEDGER_OK;
}

static enum ledger_status count_word(struct slice word, void *context, struct ledger_error *err)
{
	(void)word;
	(void)err;
	++*(uint64_t *)context;
	return LEDGER_OK;
}

static enum ledger_status count_words(
	struct ledger *l, enum ledger_words which, uint64_t *n, struct ledger_error *err)
{
	*n = 0;
	return ledger_list_words(l, which, SLICE(""), SIZE_MAX, count_word, n, err);
}

static enum ledger_status keep_time(
	const struct event *event, void *context, struct ledger_error *err)
{
	(void)err;
	*(uint64_t *)context = event->time;
	return LEDGER_OK;
}

static enum ledger_status time_at(
	struct ledger *l, bool reverse, uint64_t *time, struct ledger_error *err)
{
	struct ledger_filter filter = { .limit = 1, .reverse = reverse };
	*time = 0;
	return ledger_read(l, &filter, keep_time, time, err);
}

static void measure_files(struct ledger *l, struct ledger_overview *out)
{
	CLEANUP_BUF struct buf wal = { 0 };
	struct stat st;
	struct statvfs fs;
	buf_addf(&wal, "%s-wal", store_path(l->store));
	out->file_bytes = stat(store_path(l->store), &st) == 0 ? (uint64_t)st.st_size : 0;
	out->wal_bytes = stat(buf_text(&wal), &st) == 0 ? (uint64_t)st.st_size : 0;
	out->free_bytes =
		statvfs(store_path(l->store), &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

static enum ledger_status fill_overview(
	struct ledger *l, struct ledger_overview *out, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct seal seal;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(seal_read(l, &seal, err));
	out->node = l->node;
	out->epoch = seal.epoch;
	out->events = seal.position;
	TRY(ledger_chains(l, count_chain, &out->chains, err));
	TRY(count_words(l, LEDGER_WORDS_DOMAIN, &out->domains, err));
	TRY(count_words(l, LEDGER_WORDS_ORIGIN, &out->origins, err));
	TRY(count_words(l, LEDGER_WORDS_STREAM, &out->streams, err));
	TRY(count_words(l, LEDGER_WORDS_TYPE, &out->types, err));
	TRY(time_at(l, false, &out->first_time, err));
	return time_at(l, true, &out->last_time, err);
}

enum ledger_status ledger_overview(
	struct ledger *l, struct ledger_overview *out, struct ledger_error *err)
{
	struct ledger_overview o = { .node = l->node };
	struct ledger_error home;
	o.home = ledger_check_home(l, &home);
	if (o.home)
		snprintf(o.home_text, sizeof(o.home_text), "%.255s", home.text);
	TRY(fill_overview(l, &o, err));
	measure_files(l, &o);
	*out = o;
	return LEDGER_OK;
}
