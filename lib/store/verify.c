/* Verify: recompute everything, inside one snapshot, in pieces by workers; then say what was found. */
#include "verify.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../base/banned.h"

#define WORKERS_MAX   8
#define PIECES_WANTED 64
/* Events to a piece: enough to be worth it, few enough for the versions of as many streams to be small. */
#define PIECE_MIN (16 * FORMAT_MARK_EVERY)
#define PIECE_MAX (64 * FORMAT_MARK_EVERY)

/* --- Range ----------------------------------------------------------------------------------- */

/* --since-last: behind what was verified, if that is still there. */
static enum ledger_status start_behind_last(struct verification *v, struct ledger_error *err)
{
	const struct verify_state *state = &v->state;
	bool fits;
	if (!v->has_state || !state->ok || state->position == 0)
		return LEDGER_OK; /* nothing to build on: all of it */
	TRY(verify_state_fits(v, &fits, err));
	if (fits)
		v->from = state->position + 1;
	else
		verify_report_damage(v, "ROLLED_BACK", NULL, state->position,
			"position %" PRIu64 " is not the event that was verified last time",
			state->position);
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

static uint64_t piece_size(uint64_t total)
{
	uint64_t size = total / PIECES_WANTED / FORMAT_MARK_EVERY * FORMAT_MARK_EVERY;
	return size < PIECE_MIN ? PIECE_MIN : size > PIECE_MAX ? PIECE_MAX : size;
}

/* The last position that has a row: the seal of a hostile file may speak of many more. */
static enum ledger_status last_row(struct verification *v, uint64_t *last, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	*last = 0;
	TRY(store_get(v->ledger->store, SQL_LAST_ROW, &st, err));
	TRY(stmt_row(v->ledger->store, st, &row, err));
	if (row)
		column_u64(st, 0, last);
	return LEDGER_OK;
}

static enum ledger_status cut_pieces(struct verification *v, struct ledger_error *err)
{
	uint64_t last = 0;
	if (last_row(v, &last, err)) /* the page is damaged: then it is one piece */
		verify_report_failure(v, err);
	last = last < v->to ? last : v->to;
	uint64_t total = last >= v->from ? last - v->from + 1 : 0;
	uint64_t size = piece_size(total);
	v->pieces = calloc(total / size + 2, sizeof(*v->pieces));
	if (!v->pieces)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (v->by_chain) {
		v->pieces[v->n_pieces++] = (struct piece){ .from = v->from, .to = v->to };
		return LEDGER_OK;
	}
	for (uint64_t from = v->from; from <= v->to;) {
		/* Seams lie behind a mark: the next piece then knows its link without reading back. */
		uint64_t to = (from - 1) / FORMAT_MARK_EVERY * FORMAT_MARK_EVERY + size;
		to = to >= last ? v->to : to;
		v->pieces[v->n_pieces++] = (struct piece){ .from = from, .to = to };
		from = to + 1;
	}
	return LEDGER_OK;
}

/* --- Workers --------------------------------------------------------------------------------- */

static void work_on_pieces(struct verification *v, struct ledger *l)
{
	struct ledger_error err;
	for (size_t i; seams_take_piece(v, &i);) {
		if (verify_piece(v, l, &v->pieces[i], &err))
			verify_report_failure(v, &err);
		seams_join_piece(v, l, i);
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

static void verify_rows(struct verification *v)
{
	struct crew crew = { .n = 0 };
	if (v->workers > 1)
		while (crew.n < v->workers &&
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
	v->pieces[0].done = v->findings.failed == LEDGER_OK;
	seams_join_piece(v, l, 0);
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

/* A complete run of everything (or of what was new) is remembered. One that found damage too: but what the
 * last good one saw stays, or a file put back would be found once and then be good. */
static enum ledger_status remember(
	struct verification *v, const struct ledger_verify_report *r, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct verify_state state =
		v->has_state ? v->state : (struct verify_state){ .position = 0 };
	bool row;
	bool covers =
		v->whole || (v->options->since_last && !v->by_chain && v->to == v->seal.position);
	struct ledger_error ignored;
	if (!covers || !r->complete || !v->check_macs || v->findings.unverified ||
		home_check(v->ledger, &v->seal, NULL, &ignored) !=
			LEDGER_OK) /* a copy: the state is the ledger's */
		return LEDGER_OK;
	state.finished = time_now();
	state.ok = r->problems == 0;
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
static bool all_done(const struct verification *v)
{
	for (size_t i = 0; i < v->n_pieces; i++)
		if (!v->pieces[i].done)
			return false;
	return true;
}

static void check_parts(struct verification *v, struct ledger_verify_report *report)
{
	struct ledger_error err;
	/* cppcheck takes the declaration of an array of functions for a use of it. */
	/* cppcheck-suppress uninitvar */
	enum ledger_status (*const parts[])(struct verification *, struct ledger_error *) = {
		verify_schema,
		verify_branches,
		verify_owners,
		verify_heads,
		v->options->deep ? verify_terms : NULL,
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] && parts[i](v, &err))
			verify_report_failure(v, &err);
	if (v->options->deep && verify_file(v, report, &err))
		verify_report_failure(v, &err);
	report->chains = v->joined.chains;
	if (verify_seal(v, report, &err))
		verify_report_failure(v, &err);
	if (all_done(v) && (verify_chain_ends(v, &err) || verify_versions(v, &err)))
		verify_report_failure(v, &err);
}

/* What the state folder knows of the ledger, or verify could not see that it was put back. */
static enum ledger_status read_state(struct verification *v, struct ledger_error *err)
{
	enum ledger_status status = home_read_head(v->ledger, v->ledger->epoch, &v->head, err);
	if (!home_may_lack(status))
		return status;
	v->has_head = status == LEDGER_OK;
	status = verify_state_read(v->ledger, &v->state, err);
	if (!home_may_lack(status))
		return status;
	v->has_state = status == LEDGER_OK;
	return LEDGER_OK;
}

static enum ledger_status verify_all(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	TRY(read_state(v, err));
	TRY(read_txn_begin(&txn, v->ledger->store, err));
	TRY(seal_read(v->ledger, &v->seal, err));
	if (v->seal.epoch != v->ledger->epoch)
		v->has_head = v->has_state = false;
	TRY(names_load(v->ledger, err));
	TRY(choose_range(v, err));
	TRY(versions_plan(v, err));
	v->workers = count_workers(v);
	TRY(cut_pieces(v, err));
	if (v->by_chain)
		verify_chains(v);
	else
		verify_rows(v);
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
	seams_done(v);
	findings_done(v);
}

static enum ledger_status prepare(struct verification *v, struct ledger *l,
	const struct ledger_verify_options *options, struct ledger_error *err)
{
	v->ledger = l;
	v->options = options;
	TRY(findings_init(v, err));
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
	seams_init(&v);
	enum ledger_status status = prepare(&v, l, options, err);
	if (!status)
		status = verify_all(&v, &r, err);
	if (status == LEDGER_DAMAGED) {
		/* Damage that keeps it from even beginning is what was found. */
		verify_report_failure(&v, err);
		findings_hand_over(&v);
		r.problems = v.findings.damaged;
	}
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
