#include "rules.h"

#include <inttypes.h>
#include <stdlib.h>

#include "../event/chain.h"
#include "merge.h"

#include "../base/banned.h"

/* --- Open and close -------------------------------------------------------------------------- */

enum ledger_status ledger_fold_open(struct ledger_fold **out, struct ledger *l,
	const struct ledger_rules *rules, struct ledger_error *err)
{
	struct ledger_fold *f = calloc(1, sizeof(*f));
	if (f) {
		f->ledger = l;
		f->rules = rules;
		f->value.max = f->state.max = f->next.max = SQLITE_STATE_MAX;
		f->reducers = calloc(rules->n_reducers + 1, sizeof(*f->reducers));
		f->upcasts = calloc(rules->n_upcasts + 1, sizeof(struct sqlite_stmt *));
	}
	if (!f || !f->reducers || !f->upcasts) {
		ledger_fold_close(f);
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < rules->n_reducers; i++) {
		f->reducers[i].rules = &rules->reducers[i];
		f->reducers[i].kind = rules->reducers[i].kind;
	}
	*out = f;
	return LEDGER_OK;
}

static void close_reducer(struct reducer *r)
{
	for (size_t i = 0; r->compiled && i < r->rules->n_rules; i++)
		sqlite_stmt_close(r->compiled[i]);
	free(r->compiled);
}

void ledger_fold_close(struct ledger_fold *f)
{
	if (!f)
		return;
	for (size_t i = 0; f->reducers && i < f->rules->n_reducers; i++)
		close_reducer(&f->reducers[i]);
	for (size_t i = 0; f->upcasts && i < f->rules->n_upcasts; i++)
		sqlite_stmt_close(f->upcasts[i]);
	free(f->reducers);
	free(f->upcasts);
	sqlite_close(f->sealed);
	struct buf *const all[] = { &f->payloads[0], &f->payloads[1], &f->value, &f->state,
		&f->next, &f->stream, &f->domain };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		buf_done(all[i]);
	free(f);
}

void ledger_fold_on_refused(struct ledger_fold *f, ledger_refused_fn *fn, void *context)
{
	f->refused = fn;
	f->refused_context = context;
}

/* --- Compiling ------------------------------------------------------------------------------- */

static enum ledger_status compile(struct ledger_fold *f, enum sqlite_use use, struct slice text,
	struct sqlite_stmt **out, struct ledger_error *err)
{
	if (*out)
		return LEDGER_OK;
	if (!f->sealed)
		TRY(sqlite_open_sealed(&f->sealed, err));
	return sqlite_compile_expression(f->sealed, use, text, out, err);
}

static enum ledger_status compile_upcast(struct ledger_fold *f, size_t i, struct ledger_error *err)
{
	const struct ledger_upcast *u = &f->rules->upcasts[i];
	if (compile(f, FOR_UPCASTER, u->expression, &f->upcasts[i], err))
		return fail_in(err, "upcast of %.*s from schema %" PRIu64 ": ", SLICE_ARG(u->type),
			u->schema);
	return LEDGER_OK;
}

/* gcc's -fanalyzer does not see that close_reducer goes through the same array of reducers. */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static enum ledger_status compile_rule(
	struct ledger_fold *f, struct reducer *r, size_t i, struct ledger_error *err)
{
	const struct ledger_reducer *rules = r->rules;
	if (!r->compiled)
		r->compiled = calloc(rules->n_rules, sizeof(struct sqlite_stmt *));
	if (!r->compiled)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	if (compile(f, FOR_REDUCER, rules->rules[i].expression, &r->compiled[i], err))
		return fail_in(err, "reducer of %.*s, %.*s: ", SLICE_ARG(rules->stream_type),
			SLICE_ARG(rules->rules[i].type));
	return LEDGER_OK;
}

#ifndef __clang__
#pragma GCC diagnostic pop
#endif

static enum ledger_status check_initial(const struct ledger_reducer *r, struct ledger_error *err)
{
	struct slice value;
	if (!r->initial.ptr)
		return LEDGER_OK;
	if (json_check(r->initial, &value, err) || r->initial.len > SQLITE_STATE_MAX) {
		err->status = LEDGER_USAGE;
		return fail_in(err, "reducer of %.*s, initial: ", SLICE_ARG(r->stream_type));
	}
	return LEDGER_OK;
}

static enum ledger_status check_all(struct ledger_fold *f, struct ledger_error *err)
{
	for (size_t i = 0; i < f->rules->n_upcasts; i++)
		TRY(compile_upcast(f, i, err));
	for (size_t i = 0; i < f->rules->n_reducers; i++) {
		TRY(check_initial(f->reducers[i].rules, err));
		for (size_t k = 0; k < f->reducers[i].rules->n_rules; k++)
			TRY(compile_rule(f, &f->reducers[i], k, err));
	}
	return LEDGER_OK;
}

enum ledger_status ledger_rules_check(const struct ledger_rules *rules, struct ledger_error *err)
{
	struct ledger_fold *f = NULL;
	TRY(ledger_fold_open(&f, NULL, rules, err));
	enum ledger_status status = check_all(f, err);
	ledger_fold_close(f);
	return status;
}

/* --- Hashes ---------------------------------------------------------------------------------- */

static int by_type(const void *a, const void *b)
{
	const struct ledger_reducer_rule *const *x = a, *const *y = b;
	return slice_cmp((*x)->type, (*y)->type);
}

static int by_type_and_schema(const void *a, const void *b)
{
	const struct ledger_upcast *const *x = a, *const *y = b;
	int order = slice_cmp((*x)->type, (*y)->type);
	return order ? order : ((*x)->schema > (*y)->schema) - ((*x)->schema < (*y)->schema);
}

static bool add_rules(struct buf *out, struct arena *arena, const struct ledger_reducer *r)
{
	size_t n = r ? r->n_rules : 0;
	const struct ledger_reducer_rule **sorted = arena_array(arena, n + 1, sizeof(*sorted));
	if (!sorted)
		return false;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &r->rules[i];
	qsort(sorted, n, sizeof(*sorted), by_type);
	pae_begin(out, 2 * n);
	for (size_t i = 0; i < n; i++) {
		pae_add(out, sorted[i]->type);
		pae_add(out, sorted[i]->expression);
	}
	return true;
}

bool rules_add_upcasts(struct buf *out, struct arena *arena, const struct ledger_rules *rules,
	bool (*wanted)(struct slice type, const void *context), const void *context)
{
	size_t n = 0;
	const struct ledger_upcast **sorted =
		arena_array(arena, rules->n_upcasts + 1, sizeof(*sorted));
	if (!sorted)
		return false;
	for (size_t i = 0; i < rules->n_upcasts; i++)
		if (!wanted || wanted(rules->upcasts[i].type, context))
			sorted[n++] = &rules->upcasts[i];
	qsort(sorted, n, sizeof(*sorted), by_type_and_schema);
	pae_begin(out, 3 * n);
	for (size_t i = 0; i < n; i++) {
		pae_add(out, sorted[i]->type);
		pae_add_u64(out, sorted[i]->schema);
		pae_add(out, sorted[i]->expression);
	}
	return true;
}

/* What two nodes have in common who come to the same state: the texts, whatever their order. */
static enum ledger_status compute_hash(
	struct ledger_fold *f, struct reducer *r, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	CLEANUP_BUF struct buf rules = { 0 }, upcasts = { 0 }, all = { 0 };
	if (!add_rules(&rules, &arena, r->rules) ||
		!rules_add_upcasts(&upcasts, &arena, f->rules, NULL, NULL))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	pae_begin(&all, 5);
	pae_add(&all, SLICE("ledgerbox/reducer/v1"));
	pae_add(&all, slice_of(reducer_name(r)));
	pae_add(&all, reducer_initial(r));
	pae_add(&all, buf_slice(&rules));
	pae_add(&all, buf_slice(&upcasts));
	TRY(buf_check(&all, err));
	chain_sha256(buf_slice(&all), r->hash);
	r->has_hash = true;
	return LEDGER_OK;
}

/* --- Reducers -------------------------------------------------------------------------------- */

enum ledger_status reducer_find(
	struct ledger_fold *f, struct slice stream, struct reducer **out, struct ledger_error *err)
{
	struct slice type = stream, key;
	struct reducer *found = &f->reducers[f->rules->n_reducers];
	slice_cut(stream, '/', &type, &key);
	for (size_t i = 0; i < f->rules->n_reducers; i++) {
		struct reducer *r = &f->reducers[i];
		if (slice_eq(r->rules->stream_type, type)) {
			found = r;
			break;
		}
		if (slice_is(r->rules->stream_type, "*"))
			found = r;
	}
	if (found->rules)
		TRY(check_initial(found->rules, err));
	if (!found->has_hash)
		TRY(compute_hash(f, found, err));
	*out = found;
	return LEDGER_OK;
}

const char *reducer_name(const struct reducer *r)
{
	static const char *const names[] = { "merge", "last", "count", "sql" };
	return names[r->kind];
}

struct slice reducer_initial(const struct reducer *r)
{
	if (r->kind == LEDGER_REDUCER_COUNT)
		return SLICE("0");
	if (r->kind != LEDGER_REDUCER_SQL)
		return (struct slice){ NULL, 0 };
	/* Of that kind are only those with rules. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return r->rules->initial.ptr ? r->rules->initial : SLICE("{}");
}

/* The value of the last expression is a state only if it is JSON. */
static enum ledger_status take_json(
	struct ledger_fold *f, struct buf *out, struct ledger_error *err)
{
	struct slice value;
	if (json_check(buf_slice(&f->value), &value, err)) {
		fail_in(err, "what it gives is not JSON: ");
		return hint(err, "json_quote() makes JSON of text, json() checks it");
	}
	buf_reset(out);
	json_add_flat(out, value);
	return buf_check(out, err);
}

static enum ledger_status keep_state(struct slice state, struct buf *out, struct ledger_error *err)
{
	buf_reset(out);
	buf_add_slice(out, state);
	return buf_check(out, err);
}

static enum ledger_status apply_sql(struct ledger_fold *f, struct reducer *r,
	const struct event *event, struct slice state, struct buf *out, struct ledger_error *err)
{
	size_t n = r->rules->n_rules, at = n;
	for (size_t i = 0; i < n; i++) {
		struct slice type = r->rules->rules[i].type;
		if (slice_eq(type, event->type)) {
			at = i;
			break;
		}
		if (slice_is(type, "*"))
			at = i;
	}
	if (at == n)
		return keep_state(state, out, err);
	TRY(compile_rule(f, r, at, err));
	if (sqlite_evaluate(r->compiled[at], event, state, &f->value, err) ||
		take_json(f, out, err))
		return fail_in(err, "reducer of %.*s, %.*s, at position %" PRIu64 ": ",
			SLICE_ARG(r->rules->stream_type), SLICE_ARG(r->rules->rules[at].type),
			event->position);
	return LEDGER_OK;
}

static enum ledger_status apply_merge(
	const struct event *event, struct slice state, struct buf *out, struct ledger_error *err)
{
	struct slice patch;
	TRY(json_check(event->payload, &patch, err));
	buf_reset(out);
	enum ledger_status status = merge_patch(state, patch, out, err);
	if (status && out->len + EVENT_PAYLOAD_MAX >= SQLITE_STATE_MAX)
		return fail(err, LEDGER_INVALID,
			"the state at position %" PRIu64 " would be more than %u KiB",
			event->position, SQLITE_STATE_MAX >> 10);
	return status;
}

static enum ledger_status apply_count(struct slice state, struct buf *out, struct ledger_error *err)
{
	uint64_t n = 0;
	slice_u64(state, &n);
	buf_reset(out);
	buf_add_u64(out, n + 1);
	return buf_check(out, err);
}

enum ledger_status reducer_apply(struct ledger_fold *f, struct reducer *r,
	const struct event *event, struct slice state, struct buf *out, struct ledger_error *err)
{
	switch (r->kind) {
	case LEDGER_REDUCER_SQL:
		return apply_sql(f, r, event, state, out, err);
	case LEDGER_REDUCER_COUNT:
		return apply_count(state, out, err);
	case LEDGER_REDUCER_LAST:
		return keep_state(event->payload, out, err);
	default:
		return apply_merge(event, state, out, err);
	}
}

/* --- Upcasters ------------------------------------------------------------------------------- */

static bool find_upcast(
	const struct ledger_rules *rules, struct slice type, uint64_t schema, size_t *at)
{
	for (size_t i = 0; i < rules->n_upcasts; i++) {
		const struct ledger_upcast *u = &rules->upcasts[i];
		if (u->schema == schema && slice_eq(u->type, type)) {
			*at = i;
			return true;
		}
	}
	return false;
}

uint64_t ledger_upcast_schema(const struct ledger_rules *rules, const struct event *event)
{
	uint64_t schema = event->schema;
	size_t at;
	while (find_upcast(rules, event->type, schema, &at))
		schema++;
	return schema;
}

enum ledger_status ledger_fold_upcast(
	struct ledger_fold *f, const struct event *in, struct event *out, struct ledger_error *err)
{
	struct event event = *in;
	size_t at, turn = 0;
	while (find_upcast(f->rules, event.type, event.schema, &at)) {
		struct buf *payload = &f->payloads[turn++ % 2];
		TRY(compile_upcast(f, at, err));
		if (sqlite_evaluate(
			    f->upcasts[at], &event, (struct slice){ NULL, 0 }, &f->value, err) ||
			take_json(f, payload, err))
			return fail_in(err,
				"upcast of %.*s from schema %" PRIu64 ", at position %" PRIu64 ": ",
				SLICE_ARG(event.type), event.schema, event.position);
		event.payload = buf_slice(payload);
		event.schema++;
	}
	*out = event;
	return LEDGER_OK;
}
