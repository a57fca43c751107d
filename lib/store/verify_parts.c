/* What verify looks at besides the rows of events: schema, versions, heads, seal, tags, the SQLite file. */
#include "verify.h"

#include "../base/banned.h"

/* --- Schema ---------------------------------------------------------------------------------- */

static enum ledger_status next_object(
	struct store *s, struct stmt *st, bool *row, struct slice out[3], struct ledger_error *err)
{
	TRY(stmt_row(s, st, row, err));
	for (int i = 0; *row && i < 3; i++)
		out[i] = column_text(st, i);
	return LEDGER_OK;
}

static int compare_names(const struct slice a[3], const struct slice b[3])
{
	int order = slice_cmp(a[0], b[0]);
	return order ? order : slice_cmp(a[1], b[1]);
}

static void report_object(struct verification *v, const struct slice object[3], const char *what)
{
	verify_report_damage(v, "SCHEMA_CHANGED", NULL, 0, "%.*s %.*s %s", SLICE_ARG(object[0]),
		SLICE_ARG(object[1]), what);
}

/* Both lists are sorted by type and name: a merge finds what is missing, strange or different. */
static enum ledger_status compare_schemas(struct verification *v, struct store *model,
	struct stmt *want, struct stmt *got, struct ledger_error *err)
{
	struct store *s = v->ledger->store;
	struct slice wanted[3], present[3];
	bool more_wanted, more_present;
	TRY(next_object(model, want, &more_wanted, wanted, err));
	TRY(next_object(s, got, &more_present, present, err));
	while (more_wanted || more_present) {
		int order = !more_wanted ? 1 : !more_present ? -1 : compare_names(wanted, present);
		if (order < 0)
			report_object(v, wanted, "is missing");
		else if (order > 0)
			report_object(v, present, "does not belong here");
		else if (!slice_eq(wanted[2], present[2]))
			report_object(v, present, "was changed");
		if (order <= 0)
			TRY(next_object(model, want, &more_wanted, wanted, err));
		if (order >= 0)
			TRY(next_object(s, got, &more_present, present, err));
	}
	return LEDGER_OK;
}

static void close_model(struct store **s)
{
	store_close(*s);
}

enum ledger_status verify_schema(struct verification *v, struct ledger_error *err)
{
	__attribute__((cleanup(close_model))) struct store *model = NULL;
	CLEANUP_OWN_STMT struct stmt *want = NULL;
	CLEANUP_OWN_STMT struct stmt *got = NULL;
	TRY(store_open_memory(&model, err));
	TRY(store_run_script(model, sql_schema, err));
	TRY(store_prepare(model, SQL_SCHEMA, &want, err));
	TRY(store_prepare(v->ledger->store, SQL_SCHEMA, &got, err));
	return compare_schemas(v, model, want, got, err);
}

/* --- Versions -------------------------------------------------------------------------------- */

struct version_scan {
	struct verification *v;
	struct ledger *ledger;
	struct buf stream; /* the stream at hand */
	uint64_t domain, version, position;
	bool suspect; /* it was looked at chain by chain already */
};

/* Exact, for a stream whose versions and positions do not grow together: several origins may repeat numbers. */
static enum ledger_status check_stream_by_chain(struct version_scan *s, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	uint64_t chain = 0, version = 0;
	TRY(store_prepare(s->ledger->store, SQL_VERIFY_STREAM, &st, err));
	bind_text(st, 1, buf_slice(&s->stream));
	bind_u64(st, 2, s->domain);
	for (;;) {
		uint64_t this_chain, this_version, position;
		bool row;
		TRY(stmt_row(s->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		if (!column_u64(st, 0, &this_chain) || !column_u64(st, 1, &this_version) ||
			!column_u64(st, 2, &position))
			continue; /* reported with its row */
		if (this_chain == chain && this_version <= version)
			verify_report_damage(s->v, "VERSION_BACKWARDS", NULL, position,
				"version %" PRIu64 " of stream %.*s does not grow along the chain",
				this_version, SLICE_ARG(buf_slice(&s->stream)));
		chain = this_chain;
		version = this_version;
	}
}

static enum ledger_status scan_version(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct version_scan *s = context;
	uint64_t domain, version, position;
	struct slice stream = value_text(row[0]);
	if (!value_u64(row[1], &domain) || !value_u64(row[2], &version) ||
		!value_u64(row[3], &position))
		return LEDGER_OK;
	if (domain != s->domain || !slice_eq(stream, buf_slice(&s->stream))) {
		buf_reset(&s->stream);
		buf_add_slice(&s->stream, stream);
		TRY(buf_check(&s->stream, err));
		s->suspect = false;
	} else if (!s->suspect && (version <= s->version || position <= s->position)) {
		s->suspect = true;
		TRY(check_stream_by_chain(s, err));
	}
	s->domain = domain;
	s->version = version;
	s->position = position;
	return LEDGER_OK;
}

enum ledger_status verify_versions(
	struct verification *v, struct ledger *l, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct version_scan s = { .v = v, .ledger = l };
	TRY(store_get(l->store, SQL_VERIFY_VERSIONS, &st, err));
	enum ledger_status status = store_each(l->store, st, scan_version, &s, err);
	buf_done(&s.stream);
	return status;
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

/* The last run saw events here that are gone. Of a copy that is no wonder: it may be older. */
static enum ledger_status verify_last_run(struct verification *v, struct ledger_error *err)
{
	struct ledger_error found;
	if (!v->has_state || !v->state.ok || v->state.position <= v->seal.position)
		return LEDGER_OK;
	enum ledger_status status = home_check(v->ledger, &v->seal, NULL, &found);
	if (status && status != LEDGER_REFUSED) {
		*err = found;
		return status;
	}
	if (!status)
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

enum ledger_status verify_file(struct verification *v, struct ledger_error *err)
{
	CLEANUP_OWN_STMT struct stmt *st = NULL;
	TRY(store_prepare(v->ledger->store, SQL_INTEGRITY, &st, err));
	for (;;) {
		bool row;
		TRY(stmt_row(v->ledger->store, st, &row, err));
		if (!row)
			return LEDGER_OK;
		struct slice line = column_text(st, 0);
		if (!slice_is(line, "ok"))
			verify_report_damage(
				v, "FILE_CORRUPT", NULL, 0, "SQLite: %.*s", SLICE_ARG(line));
	}
}

/* A sum over (tag, position) that does not hang on the order; keyed, so that nobody can aim at it. */
static uint64_t mix(const uint64_t key[2], struct slice tag, uint64_t position)
{
	uint64_t h = key[0] ^ position * UINT64_C(0x9E3779B97F4A7C15);
	for (size_t i = 0; i < tag.len; i++) {
		h ^= (uint8_t)tag.ptr[i];
		h *= UINT64_C(0xFF51AFD7ED558CCD);
		h ^= h >> 29;
	}
	h += key[1];
	h ^= h >> 33;
	h *= UINT64_C(0xC4CEB9FE1A85EC53);
	return h ^ h >> 32;
}

struct tag_sum {
	uint64_t key[2];
	uint64_t sum, n;
	struct buf value, word;
};

static enum ledger_status add_tags_of(
	const struct event *event, void *context, struct ledger_error *err)
{
	struct tag_sum *s = context;
	struct slice rest = event->tags, tag;
	while (event_next_tag(&rest, &tag)) {
		s->sum += mix(s->key, tag, event->position);
		s->n++;
	}
	if (!event->metadata.ptr || !event_correlation(event, &s->value))
		return LEDGER_OK;
	buf_reset(&s->word);
	buf_add_text(&s->word, "@correlation:");
	buf_add_slice(&s->word, buf_slice(&s->value));
	s->sum += mix(s->key, buf_slice(&s->word), event->position);
	s->n++;
	return buf_check(&s->word, err);
}

static enum ledger_status subtract_row(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct tag_sum *s = context;
	uint64_t position = 0;
	(void)err;
	value_u64(row[1], &position);
	s->sum -= mix(s->key, value_text(row[0]), position);
	s->n--;
	return LEDGER_OK;
}

static enum ledger_status subtract_rows(
	struct verification *v, struct tag_sum *s, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	TRY(store_get(v->ledger->store, SQL_VERIFY_TAGS, &st, err));
	return store_each(v->ledger->store, st, subtract_row, s, err);
}

enum ledger_status verify_tags(struct verification *v, struct ledger_error *err)
{
	struct tag_sum s = { .n = 0 };
	struct ledger_filter all = { .from = 1 };
	TRY(handle_random(v->ledger, s.key, sizeof(s.key), err));
	enum ledger_status status = ledger_read(v->ledger, &all, add_tags_of, &s, err);
	if (!status)
		status = subtract_rows(v, &s, err);
	buf_done(&s.value);
	buf_done(&s.word);
	TRY(status);
	if (s.n != 0 || s.sum != 0)
		verify_report_damage(
			v, "TAG_INDEX", NULL, 0, "table tag does not list the tags of the events");
	return LEDGER_OK;
}
