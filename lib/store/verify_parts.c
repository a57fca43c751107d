/* What verify looks at besides the rows of events: chains, heads, seal, terms, the SQLite file. */
#include "verify.h"

#include "../base/banned.h"

/* --- Chains ---------------------------------------------------------------------------------- */

static bool all_readable(const struct verification *v)
{
	for (size_t i = 0; i < v->n_pieces; i++)
		if (v->pieces[i].unreadable)
			return false;
	return true;
}

/* append goes on from where the index says that a chain ends. */
static enum ledger_status verify_chain_end(struct verification *v, uint64_t chain,
	const struct edge *edge, const struct event *at, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t sequence = 0;
	bool row;
	TRY(store_get(v->ledger->store, SQL_CHAIN_HEAD, &st, err));
	bind_u64(st, 1, chain);
	TRY(stmt_row(v->ledger->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 1) : (struct slice){ NULL, 0 };
	if (row)
		column_u64(st, 0, &sequence);
	/* Beyond the last event by position: then a sequence is out of order, and said to be. */
	if (sequence < edge->last_sequence ||
		(sequence == edge->last_sequence && hash.len == EVENT_HASH_SIZE &&
			memcmp(hash.ptr, edge->last_hash, EVENT_HASH_SIZE) != 0))
		verify_report_damage(v, "CHAIN_INDEX", at, 0,
			"in the index of chains it ends at sequence %" PRIu64, sequence);
	return LEDGER_OK;
}

enum ledger_status verify_chain_ends(struct verification *v, struct ledger_error *err)
{
	const struct names *names = &v->ledger->names;
	const struct joined *j = &v->joined;
	if (!v->whole)
		return LEDGER_OK;
	for (size_t i = 0; i < names->n_chains; i++) {
		const struct chain_row *row = &names->chains[i];
		const struct edge *edge = row->id < j->n_edges ? &j->edges[row->id] : NULL;
		struct event at = {
			.origin = row->origin, .epoch = row->epoch, .domain = row->domain_name
		};
		if (edge && edge->seen) {
			at.sequence = edge->last_sequence;
			TRY(verify_chain_end(v, row->id, edge, &at, err));
		} else if (all_readable(v)) {
			verify_report_damage(v, "CHAIN_EMPTY", &at, 0,
				"the chain has no events: they were removed, or it was put in");
		}
	}
	return LEDGER_OK;
}

/* --- Heads and seal -------------------------------------------------------------------------- */

static enum ledger_status verify_head(
	struct verification *v, const struct ledger_head *head, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct ledger *l = v->ledger;
	struct event at = { .origin = head->origin,
		.epoch = head->epoch,
		.domain = head->domain,
		.sequence = head->sequence };
	uint64_t domain, chain;
	bool row = false;
	enum ledger_status status = names_domain_id(l, head->domain, false, &domain, err);
	if (!status)
		status = names_chain_id(l, head->origin, head->epoch, domain, false, &chain, err);
	if (status && status != LEDGER_NO)
		return status;
	if (!status) {
		TRY(store_get(l->store, SQL_CHAIN_HASH, &st, err));
		bind_u64(st, 1, chain);
		bind_u64(st, 2, head->sequence);
		TRY(stmt_row(l->store, st, &row, err));
	}
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (!row)
		verify_report_damage(
			v, "HEAD_MISSING", &at, 0, "the event that was the head once is not here");
	else if (hash.len != EVENT_HASH_SIZE || memcmp(hash.ptr, head->hash, EVENT_HASH_SIZE) != 0)
		verify_report_damage(v, "HEAD_MISMATCH", &at, 0,
			"another event is here than the one that was the head once");
	return LEDGER_OK;
}

static enum ledger_status verify_head_file(struct verification *v, struct ledger_error *err)
{
	struct ledger_error found;
	enum ledger_status status =
		home_check_head(v->ledger, &v->seal, v->has_head ? &v->head : NULL, &found);
	if (status == LEDGER_REFUSED)
		verify_report_damage(v, "ROLLED_BACK", NULL, 0, "%s", found.text);
	else if (status)
		*err = found;
	return status == LEDGER_REFUSED ? LEDGER_OK : status;
}

/* The last event of the last good run is the same still? --since-last has asked that already. */
static enum ledger_status verify_last_event(struct verification *v, struct ledger_error *err)
{
	bool same;
	if (v->options->since_last && v->state.ok)
		return LEDGER_OK;
	TRY(verify_state_fits(v, &same, err));
	if (!same)
		verify_report_damage(v, "ROLLED_BACK", NULL, v->state.position,
			"position %" PRIu64 " is not the event that was verified last time",
			v->state.position);
	return LEDGER_OK;
}

/* The last run saw events here that are gone. Of a copy that is no wonder: it may be older. */
static enum ledger_status verify_last_run(struct verification *v, struct ledger_error *err)
{
	struct ledger_error found;
	if (!v->has_state || v->state.position == 0)
		return LEDGER_OK;
	enum ledger_status status = home_check(v->ledger, &v->seal, NULL, &found);
	if (status && status != LEDGER_REFUSED) {
		*err = found;
		return status;
	}
	if (status)
		return LEDGER_OK;
	if (v->state.position <= v->seal.position)
		return verify_last_event(v, err);
	verify_report_damage(v, "ROLLED_BACK", NULL, 0,
		"the ledger ends at position %" PRIu64 ", %" PRIu64 " was verified here",
		v->seal.position, v->state.position);
	return LEDGER_OK;
}

enum ledger_status verify_heads(struct verification *v, struct ledger_error *err)
{
	for (size_t i = 0; i < v->options->n_heads; i++)
		TRY(verify_head(v, &v->options->heads[i], err));
	TRY(verify_head_file(v, err));
	return verify_last_run(v, err);
}

static enum ledger_status check_last_row(struct verification *v, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t last = 0, before = 0, marks = 0;
	bool row;
	TRY(store_get(v->ledger->store, SQL_LAST_ROW, &st, err));
	TRY(stmt_row(v->ledger->store, st, &row, err));
	if (row) {
		column_u64(st, 0, &last);
		column_u64(st, 1, &before);
		column_u64(st, 2, &marks);
	}
	if (before)
		verify_report_damage(v, "SEAL_MISMATCH", NULL, 0,
			"there are %" PRIu64 " rows before position 1", before);
	/* Each one that belongs here is compared with the events: none may stand between them. */
	if (marks != v->seal.position / FORMAT_MARK_EVERY)
		verify_report_damage(v, "MARK_MISMATCH", NULL, 0,
			"there are %" PRIu64 " marks instead of %" PRIu64, marks,
			v->seal.position / FORMAT_MARK_EVERY);
	if (last > v->seal.position)
		verify_report_damage(v, "SEAL_MISMATCH", NULL, v->seal.position + 1,
			"there are events behind position %" PRIu64 ", where the seal ends",
			v->seal.position);
	return LEDGER_OK;
}

static void check_seal_content(struct verification *v, struct ledger_verify_report *report)
{
	const struct piece *last = v->n_pieces ? &v->pieces[v->n_pieces - 1] : NULL;
	static const uint8_t empty[EVENT_HASH_SIZE];
	const uint8_t *link = last ? last->link : empty;
	uint64_t clock = 0;
	if (v->by_chain || v->to != v->seal.position)
		return;
	if (last ? !last->done || !last->has_link : v->seal.position != 0)
		return;
	for (size_t i = 0; i < v->n_pieces; i++)
		/* Pieces that are counted are there. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		clock = v->pieces[i].max_clock > clock ? v->pieces[i].max_clock : clock;
	if (memcmp(link, v->seal.link, EVENT_HASH_SIZE) != 0)
		verify_report_damage(
			v, "SEAL_MISMATCH", NULL, 0, "the seal's link is not that of the events");
	else if (v->whole && clock != v->seal.clock)
		verify_report_damage(v, "SEAL_MISMATCH", NULL, 0,
			"the seal's clock is not the highest of the events");
	memcpy(report->link, link, EVENT_HASH_SIZE);
	report->seal = true;
}

enum ledger_status verify_seal(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err)
{
	TRY(check_last_row(v, err));
	check_seal_content(v, report);
	if (!v->check_macs)
		return LEDGER_OK;
	struct ledger_error found;
	enum ledger_status status = seal_check_mac(v->ledger, &v->seal, &found);
	if (status == LEDGER_DAMAGED)
		verify_report_damage(v, "SEAL_MAC_BAD", NULL, 0,
			"the seal was changed by somebody without the key");
	else if (status == LEDGER_UNVERIFIED)
		verify_report_unverified(v, "KEY_UNKNOWN", NULL,
			"the seal's key %s is not among the keys here", v->seal.key);
	report->seal_mac = status == LEDGER_OK || status == LEDGER_DAMAGED;
	return LEDGER_OK;
}

/* --- The file -------------------------------------------------------------------------------- */

/* SQLite's findings, each with a NUL behind it. */
static enum ledger_status read_findings(
	struct store *store, struct buf *findings, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(store_prepare(store, SQL_INTEGRITY, &st, err));
	for (;;) {
		bool row;
		TRY(stmt_row(store, st, &row, err));
		if (!row)
			return buf_check(findings, err);
		struct slice line = column_text(st, 0);
		TRY(store_check_finding(store, line, err));
		buf_add_slice(findings, line);
		buf_add_char(findings, '\0');
	}
}

/*
 * All are read before one is told: behind a page that could not be read, SQLite finds what is not so.
 *
 * Not with a schema that is not ours, which is damage anyway: SQLite would compute its CHECKs and its indexes
 * of expressions row by row, and they need not end.
 */
enum ledger_status verify_file(
	struct verification *v, struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_BUF struct buf findings = { 0 };
	struct slice rest, line;
	if (v->foreign_schema)
		return LEDGER_OK;
	TRY(read_findings(v->ledger->store, &findings, err));
	rest = buf_slice(&findings);
	while (slice_cut(rest, '\0', &line, &rest))
		if (!slice_is(line, "ok"))
			verify_report_damage(
				v, "FILE_CORRUPT", NULL, 0, "SQLite: %.*s", SLICE_ARG(line));
	report->file = true;
	return LEDGER_OK;
}

/* A sum over the rows of table term that does not hang on their order. */
struct term_sum {
	struct verification *v;
	uint64_t sum, n;
	struct buf value, word;
};

static void add_term(struct term_sum *s, struct slice term, uint64_t position)
{
	s->sum += verify_hash(s->v, position, term);
	s->n++;
}

static enum ledger_status add_terms_of(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct term_sum *s = context;
	struct slice rest = event->tags, tag;
	if (event->stream.ptr)
		add_term(s, event->stream, event->position);
	while (event_next_tag(&rest, &tag))
		add_term(s, tag, event->position);
	if (!event->metadata.ptr || !event_correlation(event, &s->value))
		return LEDGER_OK;
	buf_reset(&s->word);
	buf_add_text(&s->word, "@correlation:");
	buf_add_slice(&s->word, buf_slice(&s->value));
	TRY(buf_check(&s->word, err));
	add_term(s, buf_slice(&s->word), event->position);
	return LEDGER_OK;
}

static enum ledger_status subtract_row(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct term_sum *s = context;
	uint64_t block = 0, position = 0;
	(void)err;
	if (value_u64(row[0], &block) && value_u64(row[2], &position) &&
		block == position / FORMAT_BLOCK)
		s->sum -= verify_hash(s->v, position, value_text(row[1]));
	s->n--;
	return LEDGER_OK;
}

static enum ledger_status subtract_rows(struct term_sum *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(s->v->ledger->store, SQL_VERIFY_TERMS, &st, err));
	return store_each(s->v->ledger->store, st, subtract_row, s, err);
}

enum ledger_status verify_terms(struct verification *v, struct ledger_error *err)
{
	struct term_sum s = { .v = v };
	struct ledger_filter all = { .from = 1 };
	enum ledger_status status = ledger_read(v->ledger, &all, add_terms_of, &s, err);
	if (!status)
		status = subtract_rows(&s, err);
	buf_done(&s.value);
	buf_done(&s.word);
	TRY(status);
	if (s.n != 0 || s.sum != 0)
		verify_report_damage(v, "TERM_INDEX", NULL, 0,
			"table term does not list the streams and tags of the events");
	return LEDGER_OK;
}
