/* Verify: recompute everything, inside one snapshot, in pieces by workers; then say what was found. */
#include "verify.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../base/banned.h"

#define WORKERS_MAX	 8
#define PIECES_MAX	 64
#define PROBLEMS_DEFAULT 100
#define PIECE_MIN	 (16 * FORMAT_MARK_EVERY)

/* --- Range ----------------------------------------------------------------------------------- */

/* --since-last: behind what was verified, if that is still there. */
static enum ledger_status start_behind_last(struct verification *v, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	const struct verify_state *state = &v->state;
	bool row;
	if (!v->has_state || !state->ok || state->position == 0)
		return LEDGER_OK; /* nothing to build on: all of it */
	v->from = state->position + 1;
	TRY(store_get(v->ledger->store, SQL_EVENT_HASH, &st, err));
	bind_u64(st, 1, state->position);
	TRY(stmt_row(v->ledger->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (hash.len == EVENT_HASH_SIZE && memcmp(hash.ptr, state->hash, EVENT_HASH_SIZE) == 0)
		return LEDGER_OK;
	verify_report_damage(v, "ROLLED_BACK", NULL, state->position,
		"position %" PRIu64 " is not the event that was verified last time",
		state->position);
	v->from = 1;
	return LEDGER_OK;
}

static enum ledger_status choose_range(struct verification *v, struct ledger_error *err)
{
	const struct ledger_verify_options *o = v->options;
	v->from = o->from ? o->from : 1;
	v->to = o->to && o->to < v->seal.position ? o->to : v->seal.position;
	v->by_chain = o->origin.ptr || o->domain.ptr;
	if (o->since_last)
		TRY(start_behind_last(v, err));
	v->whole = v->from == 1 && v->to == v->seal.position && !v->by_chain;
	return LEDGER_OK;
}

static enum ledger_status cut_pieces(struct verification *v, struct ledger_error *err)
{
	uint64_t total = v->to >= v->from ? v->to - v->from + 1 : 0;
	uint64_t size = total / PIECES_MAX + 1;
	size = size < PIECE_MIN
		       ? PIECE_MIN
		       : (size + FORMAT_MARK_EVERY - 1) / FORMAT_MARK_EVERY * FORMAT_MARK_EVERY;
	v->pieces = calloc(PIECES_MAX + 2, sizeof(*v->pieces));
	if (!v->pieces)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (v->by_chain) {
		v->pieces[v->n_pieces++] = (struct piece){ .from = v->from, .to = v->to };
		return LEDGER_OK;
	}
	for (uint64_t from = v->from; from <= v->to;) {
		/* Seams lie behind a mark: the next piece then knows its link without reading back. */
		uint64_t to = (from - 1) / FORMAT_MARK_EVERY * FORMAT_MARK_EVERY + size;
		to = to > v->to ? v->to : to;
		v->pieces[v->n_pieces++] = (struct piece){ .from = from, .to = to };
		from = to + 1;
	}
	return LEDGER_OK;
}

/* --- Workers --------------------------------------------------------------------------------- */

static void work_on_pieces(struct verification *v, struct ledger *l)
{
	struct ledger_error err;
	if (v->whole && !atomic_exchange(&v->versions_taken, true) && verify_versions(v, l, &err))
		verify_report_failure(v, &err);
	for (;;) {
		size_t i = atomic_fetch_add(&v->next_piece, 1);
		if (i >= v->n_pieces || atomic_load(&v->stop))
			return;
		if (verify_piece(v, l, &v->pieces[i], &err))
			verify_report_failure(v, &err);
	}
}

/* A worker has a connection of its own. Its snapshot may be newer; positions up to v->to are the same. */
static enum ledger_status worker_run(struct verification *v, struct ledger_error *err)
{
	struct ledger *l;
	struct ledger_options options = v->ledger->options;
	options.mode = LEDGER_MODE_READ;
	TRY(ledger_open(&l, &options, err));
	enum ledger_status status = v->check_macs ? handle_load_keys(l, err) : LEDGER_OK;
	if (!status)
		status = store_begin_read(l->store, err);
	if (!status)
		work_on_pieces(v, l);
	ledger_close(l);
	return status;
}

static void *worker(void *context)
{
	struct verification *v = context;
	struct ledger_error err;
	if (worker_run(v, &err))
		verify_report_failure(v, &err);
	return NULL;
}

static void show_progress(struct verification *v)
{
	if (v->options->progress)
		v->options->progress(atomic_load(&v->done),
			v->to >= v->from ? v->to - v->from + 1 : 0, v->options->context);
}

struct crew {
	pthread_t threads[WORKERS_MAX];
	unsigned n;
};

static void join_crew(struct verification *v, struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++) {
		struct timespec until;
		do {
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 100 * 1000 * 1000;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
			show_progress(v);
		} while (pthread_timedjoin_np(crew->threads[i], NULL, &until) != 0);
	}
}

static unsigned count_workers(const struct verification *v)
{
	uint64_t events = v->to >= v->from ? v->to - v->from + 1 : 0;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = v->options->workers ? v->options->workers
		     : processors > 0	 ? (unsigned)processors
					 : 1;
	if (events < 2 * PIECE_MIN && !v->options->workers)
		n = 1; /* a thread costs more than it saves */
	return n > WORKERS_MAX ? WORKERS_MAX : n;
}

static void verify_rows(struct verification *v, unsigned workers)
{
	struct crew crew = { .n = 0 };
	if (workers > 1)
		while (crew.n < workers &&
			pthread_create(&crew.threads[crew.n], NULL, worker, v) == 0)
			crew.n++;
	if (crew.n == 0)
		work_on_pieces(v, v->ledger);
	join_crew(v, &crew);
	show_progress(v);
}

static void verify_chains(struct verification *v)
{
	struct ledger_error err;
	struct ledger *l = v->ledger;
	const struct ledger_verify_options *o = v->options;
	for (size_t i = 0; i < l->names.n_chains; i++) {
		const struct chain_row *c = &l->names.chains[i];
		if ((o->origin.ptr && !slice_eq(c->origin, o->origin)) ||
			(o->domain.ptr && !slice_eq(c->domain_name, o->domain)))
			continue;
		if (verify_one_chain(v, l, c->id, &v->pieces[0], &err))
			verify_report_failure(v, &err);
		show_progress(v);
	}
	v->pieces[0].done = true;
}

/* --- Seams ----------------------------------------------------------------------------------- */

/* The chain's event before the range: its hash must be what the first one in the range links to. */
static enum ledger_status check_before_range(struct verification *v, uint64_t chain,
	const struct edge *edge, struct event *at, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	if (edge->first_sequence <= 1)
		return LEDGER_OK;
	TRY(store_get(v->ledger->store, SQL_CHAIN_HASH, &st, err));
	bind_u64(st, 1, chain);
	bind_u64(st, 2, edge->first_sequence - 1);
	TRY(stmt_row(v->ledger->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (!row)
		verify_report_damage(v, "SEQUENCE_GAP", at, 0,
			"sequence %" PRIu64 " has none before it", edge->first_sequence);
	else if (hash.len != EVENT_HASH_SIZE ||
		 memcmp(hash.ptr, edge->first_prev, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "LINK_BROKEN", at, 0,
			"prev is not the hash of sequence %" PRIu64, edge->first_sequence - 1);
	return LEDGER_OK;
}

static void check_seam(struct verification *v, const struct edge *before, const struct edge *edge,
	struct event *at)
{
	if (edge->first_sequence != before->last_sequence + 1)
		verify_report_damage(v, "SEQUENCE_GAP", at, 0,
			"sequence %" PRIu64 " follows %" PRIu64, edge->first_sequence,
			before->last_sequence);
	else if (memcmp(edge->first_prev, before->last_hash, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "LINK_BROKEN", at, 0,
			"prev is not the hash of sequence %" PRIu64, before->last_sequence);
	else if (edge->first_clock <= before->last_clock)
		verify_report_damage(
			v, "CLOCK_BACKWARDS", at, 0, "the clock does not grow along the chain");
}

/* Follows one chain through the pieces. */
static enum ledger_status check_chain_seams(
	struct verification *v, uint64_t chain, bool *seen, struct ledger_error *err)
{
	const struct edge *before = NULL;
	const struct chain_row *row = NULL;
	for (size_t i = 0; i < v->n_pieces; i++) {
		struct piece *piece = &v->pieces[i];
		const struct edge *edge = chain < piece->n_edges ? &piece->edges[chain] : NULL;
		if (!edge || !edge->seen)
			continue;
		struct event at = { .position = edge->first_position,
			.sequence = edge->first_sequence };
		row = names_chain(v->ledger, chain);
		if (row) {
			at.origin = row->origin;
			at.epoch = row->epoch;
			at.domain = row->domain_name;
		}
		if (before)
			check_seam(v, before, edge, &at);
		else
			TRY(check_before_range(v, chain, edge, &at, err));
		before = edge;
	}
	*seen = before != NULL;
	return LEDGER_OK;
}

static enum ledger_status check_seams(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err)
{
	size_t most = 0;
	for (size_t i = 0; i < v->n_pieces; i++)
		most = v->pieces[i].n_edges > most ? v->pieces[i].n_edges : most;
	for (uint64_t chain = 0; chain < most; chain++) {
		bool seen;
		TRY(check_chain_seams(v, chain, &seen, err));
		report->chains += seen;
	}
	for (size_t i = 1; i < v->n_pieces && !v->by_chain; i++) {
		const struct piece *before = &v->pieces[i - 1], *piece = &v->pieces[i];
		if (before->done && piece->done && before->has_link && piece->has_link &&
			memcmp(before->link, piece->link_before, EVENT_HASH_SIZE) != 0)
			verify_report_damage(v, "MARK_MISMATCH", NULL, before->to,
				"the mark's link is not that of the events before it");
	}
	return LEDGER_OK;
}

/* --- The whole ------------------------------------------------------------------------------- */

static void sum_up(struct verification *v, struct ledger_verify_report *r)
{
	struct findings *f = &v->findings;
	r->complete = f->failed == LEDGER_OK;
	for (size_t i = 0; i < v->n_pieces; i++) {
		r->events += v->pieces[i].events;
		r->macs += v->pieces[i].macs;
		r->unverified += v->pieces[i].unverified;
		r->complete = r->complete && v->pieces[i].done;
	}
	r->from = v->from;
	r->to = v->to;
	r->last = v->seal.position;
	r->problems = f->damaged;
	r->first_bad = f->first_bad;
	r->last_good = f->first_bad ? f->first_bad - 1 : 0;
}

static enum ledger_status verdict(
	struct verification *v, const struct ledger_verify_report *r, struct ledger_error *err)
{
	struct findings *f = &v->findings;
	if (f->damaged)
		return fail(err, LEDGER_DAMAGED, "%s is damaged: %" PRIu64 " problem%s",
			store_path(v->ledger->store), f->damaged, f->damaged == 1 ? "" : "s");
	if (f->failed) {
		*err = f->failure;
		return f->failed;
	}
	if (f->unverified)
		return fail(err, LEDGER_UNVERIFIED, "%s: %" PRIu64 " events could not be verified",
			store_path(v->ledger->store), r->unverified);
	return LEDGER_OK;
}

/* A complete run of everything (or of what was new) is remembered; one that found damage too. */
static enum ledger_status remember(
	struct verification *v, const struct ledger_verify_report *r, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct verify_state state = { .finished = time_now(), .ok = r->problems == 0 };
	bool row;
	bool covers =
		v->whole || (v->options->since_last && !v->by_chain && v->to == v->seal.position);
	struct ledger_error ignored;
	if (!covers || !r->complete || !v->check_macs || v->findings.unverified ||
		home_check(v->ledger, &v->seal, NULL, &ignored) !=
			LEDGER_OK) /* a copy: the state is the ledger's */
		return LEDGER_OK;
	if (state.ok && v->seal.position) {
		TRY(store_get(v->ledger->store, SQL_EVENT_HASH, &st, err));
		bind_u64(st, 1, v->seal.position);
		TRY(stmt_row(v->ledger->store, st, &row, err));
		struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
		if (hash.len != EVENT_HASH_SIZE)
			return LEDGER_OK;
		memcpy(state.hash, hash.ptr, EVENT_HASH_SIZE);
		state.position = v->seal.position;
	}
	return verify_state_write(v->ledger, &state, err);
}

static void check_parts(struct verification *v, struct ledger_verify_report *report)
{
	struct ledger_error err;
	enum ledger_status (*const parts[])(struct verification *, struct ledger_error *) = {
		verify_schema,
		verify_heads,
		v->options->deep ? verify_file : NULL,
		v->options->deep ? verify_tags : NULL,
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] && parts[i](v, &err))
			verify_report_failure(v, &err);
	if (check_seams(v, report, &err) || verify_seal(v, report, &err))
		verify_report_failure(v, &err);
}

static enum ledger_status verify_all(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct ledger_error ignored;
	v->has_head = home_read_head(v->ledger, v->ledger->epoch, &v->head, &ignored) == LEDGER_OK;
	v->has_state = verify_state_read(v->ledger, &v->state, &ignored) == LEDGER_OK;
	TRY(read_txn_begin(&txn, v->ledger->store, err));
	TRY(seal_read(v->ledger, &v->seal, err));
	if (v->seal.epoch != v->ledger->epoch)
		v->has_head = v->has_state = false;
	TRY(names_load(v->ledger, err));
	TRY(choose_range(v, err));
	unsigned workers = count_workers(v);
	TRY(cut_pieces(v, err));
	if (v->by_chain)
		verify_chains(v);
	else
		verify_rows(v, workers);
	check_parts(v, report);
	if (store_was_touched(v->ledger->store)) {
		fail(err, LEDGER_BUSY, "%s was written while it was read without its -wal",
			store_path(v->ledger->store));
		return hint(err, "copy it together with its -wal, and verify the copy");
	}
	sum_up(v, report);
	return LEDGER_OK;
}

static void free_verification(struct verification *v)
{
	for (size_t i = 0; i < v->n_pieces; i++)
		piece_done(&v->pieces[i]);
	free(v->pieces);
	free(v->findings.list);
	pthread_mutex_destroy(&v->findings.lock);
}

static enum ledger_status prepare(struct verification *v, struct ledger *l,
	const struct ledger_verify_options *options, struct ledger_error *err)
{
	v->ledger = l;
	v->options = options;
	v->findings.max = options->max_problems ? options->max_problems : PROBLEMS_DEFAULT;
	v->findings.list = calloc(v->findings.max, sizeof(*v->findings.list));
	if (!v->findings.list)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	v->check_macs = !options->hash_only;
	if (v->check_macs && handle_load_keys(l, err)) {
		hint(err, "to check hashes and links without a key: --hash-only");
		return err->status;
	}
	return LEDGER_OK;
}

enum ledger_status ledger_verify(struct ledger *l, const struct ledger_verify_options *options,
	struct ledger_verify_report *report, struct ledger_error *err)
{
	struct verification v = { .ledger = l };
	struct ledger_verify_report r = { .complete = false };
	uint64_t begun = time_monotonic();
	pthread_mutex_init(&v.findings.lock, NULL);
	enum ledger_status status = prepare(&v, l, options, err);
	if (!status)
		status = verify_all(&v, &r, err);
	if (!status) {
		findings_hand_over(&v);
		status = verdict(&v, &r, err);
		struct ledger_error ignored;
		remember(&v, &r, &ignored);
	}
	r.elapsed = time_monotonic() - begun;
	*report = r;
	free_verification(&v);
	return status;
}
