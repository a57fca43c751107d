/* The versions of streams: do they grow along each chain, and does table stream have the highest? */
#include "posting.h"
#include "verify.h"

#include <stdlib.h>

#include "../base/banned.h"

#define SLOTS_FIRST 1024

/* Streams in one part: slots for so many take 16 MiB. */
#define PART_STREAMS 700000

/* --- The table ------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 u128;

static uint64_t fold(uint64_t a, uint64_t b)
{
	u128 product = (u128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Keyed with random numbers: not for those who can see it, but nobody can. */
uint64_t verify_hash(const struct verification *v, uint64_t number, struct slice text)
{
	uint64_t h = fold(number ^ v->hash_key[0], UINT64_C(0x9E3779B97F4A7C15) ^ text.len);
	while (text.len) {
		uint64_t word = 0;
		size_t n = text.len < sizeof(word) ? text.len : sizeof(word);
		memcpy(&word, text.ptr, n);
		h = fold(h ^ word, v->hash_key[1]);
		text = slice_from(text, n);
	}
	return fold(h ^ v->hash_key[1], UINT64_C(0xC4CEB9FE1A85EC53));
}

void versions_done(struct versions *versions)
{
	free(versions->slots);
	*versions = (struct versions){ .slots = NULL };
}

static struct version_slot *find(const struct versions *t, uint64_t key)
{
	size_t i = key & (t->n_slots - 1);
	while (t->slots[i].key && t->slots[i].key != key)
		i = (i + 1) & (t->n_slots - 1);
	return &t->slots[i];
}

static enum ledger_status grow(struct versions *t, struct ledger_error *err)
{
	struct versions grown = { .n_slots = t->n_slots ? 2 * t->n_slots : SLOTS_FIRST, .n = t->n };
	if (t->n < t->n_slots / 4 * 3)
		return LEDGER_OK;
	grown.slots = calloc(grown.n_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->slots[i].key)
			*find(&grown, t->slots[i].key) = t->slots[i];
	free(t->slots);
	*t = grown;
	return LEDGER_OK;
}

/* A later occurrence of a stream. */
static enum ledger_status add_slot(
	struct versions *t, const struct version_slot *later, struct ledger_error *err)
{
	TRY(grow(t, err));
	struct version_slot *slot = find(t, later->key);
	if (!slot->key) {
		*slot = *later;
		t->n++;
		return LEDGER_OK;
	}
	if (later->first <= slot->highest)
		slot->first = 0;
	slot->highest = later->highest; /* lower only where it is suspect */
	return LEDGER_OK;
}

static uint64_t key_of(const struct verification *v, struct slice stream, uint64_t domain)
{
	uint64_t key = verify_hash(v, domain, stream);
	return key ? key : 1;
}

/* Beyond 2^32 versions are not of this world: such a stream is looked at closely. */
static uint32_t kept(uint64_t version)
{
	return version < UINT32_MAX ? (uint32_t)version : UINT32_MAX;
}

enum ledger_status versions_add(struct verification *v, struct versions *t, struct slice stream,
	uint64_t domain, uint64_t version, struct ledger_error *err)
{
	struct version_slot slot = { .key = key_of(v, stream, domain),
		.first = kept(version) == UINT32_MAX ? 0 : kept(version),
		.highest = kept(version) };
	if (!stream.ptr || slot.key % v->parts != v->part)
		return LEDGER_OK;
	return add_slot(t, &slot, err);
}

enum ledger_status versions_join(
	struct versions *t, struct versions *from, struct ledger_error *err)
{
	if (t->n == 0) {
		versions_done(t);
		*t = *from;
		*from = (struct versions){ .slots = NULL };
		return LEDGER_OK;
	}
	for (size_t i = 0; i < from->n_slots; i++)
		if (from->slots[i].key)
			TRY(add_slot(t, &from->slots[i], err));
	versions_done(from);
	return LEDGER_OK;
}

enum ledger_status versions_plan(struct verification *v, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t streams = 0;
	bool row;
	TRY(handle_random(v->ledger, v->hash_key, sizeof(v->hash_key), err));
	TRY(store_get(v->ledger->store, SQL_VERIFY_STREAM_COUNT, &st, err));
	TRY(stmt_row(v->ledger->store, st, &row, err));
	if (row)
		column_u64(st, 0, &streams);
	v->part = 0;
	v->parts = streams / PART_STREAMS + 1;
	return LEDGER_OK;
}

/* --- One stream, chain by chain --------------------------------------------------------------- */

struct stream_check {
	struct verification *v;
	struct versions chains; /* the last version by chain */
	uint64_t highest;
};

static enum ledger_status check_event(struct stream_check *c, struct slice stream,
	uint64_t position, uint64_t chain, uint64_t version, struct ledger_error *err)
{
	uint64_t key = key_of(c->v, (struct slice){ NULL, 0 }, chain);
	TRY(grow(&c->chains, err));
	struct version_slot *slot = find(&c->chains, key);
	if (slot->key && version <= slot->highest && position >= c->v->from)
		verify_report_damage(c->v, "VERSION_BACKWARDS", NULL, position,
			"version %" PRIu64 " of stream %.*s does not grow along the chain", version,
			SLICE_ARG(stream));
	c->chains.n += slot->key == 0;
	slot->key = key;
	slot->highest = kept(version);
	if (version > c->highest)
		c->highest = version;
	return LEDGER_OK;
}

static enum ledger_status check_position(struct stream_check *c, struct slice stream,
	uint64_t domain, uint64_t position, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	uint64_t chain, version;
	bool row;
	TRY(store_get(c->v->ledger->store, SQL_VERIFY_STREAM, &st, err));
	bind_u64(st, 1, position);
	bind_text(st, 2, stream);
	bind_u64(st, 3, domain);
	TRY(stmt_row(c->v->ledger->store, st, &row, err));
	if (!row || !column_u64(st, 0, &chain) || !column_u64(st, 1, &version))
		return LEDGER_OK; /* a stream of that name in another domain */
	return check_event(c, stream, position, chain, version, err);
}

/* All of the stream's events up to the range's end: its first in the range may be the odd one. */
static enum ledger_status check_stream(struct verification *v, struct slice stream, uint64_t domain,
	uint64_t *highest, struct ledger_error *err)
{
	CLEANUP_POSTINGS struct postings postings = { .n_lists = 0 };
	struct stream_check c = { .v = v };
	struct ledger_filter filter = { .streams = &stream, .n_streams = 1 };
	enum ledger_status status = postings_init(&postings, v->ledger, &filter, 1, v->to, err);
	bool ended = false;
	for (uint64_t at = 1; !status; at++) {
		status = postings_next(&postings, &at, &ended, err);
		if (status || ended)
			break;
		status = check_position(&c, stream, domain, at, err);
	}
	*highest = c.highest;
	versions_done(&c.chains);
	return status;
}

/* --- Against table stream --------------------------------------------------------------------- */

struct stream_scan {
	struct verification *v;
	bool exact; /* all events were read: the table has to say just the same */
	struct versions *versions;
	uint64_t found; /* streams of the table that have events in the range */
	struct buf stream;
};

static enum ledger_status check_suspect(struct stream_scan *s, struct slice stream, uint64_t domain,
	uint64_t *highest, struct ledger_error *err)
{
	buf_reset(&s->stream);
	buf_add_slice(&s->stream, stream);
	TRY(buf_check(&s->stream, err));
	return check_stream(s->v, buf_slice(&s->stream), domain, highest, err);
}

static void report_stream(struct verification *v, struct slice stream, const char *what)
{
	verify_report_damage(v, "STREAM_INDEX", NULL, 0, "table stream, %.*s: %s",
		(int)(stream.len < 80 ? stream.len : 80), stream.ptr ? stream.ptr : "", what);
}

static enum ledger_status scan_stream(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct stream_scan *s = context;
	struct verification *v = s->v;
	uint64_t domain = 0, version = 0;
	struct slice stream = value_text(row[0]);
	bool good = stream.ptr && value_u64(row[1], &domain) && value_u64(row[2], &version);
	uint64_t key = good ? key_of(v, stream, domain) : 0;
	if (good && key % v->parts != v->part)
		return LEDGER_OK;
	struct version_slot *slot = good && s->versions->n ? find(s->versions, key) : NULL;
	if (!slot || !slot->key) {
		if (s->exact)
			report_stream(v, stream, "there is no such stream");
		return LEDGER_OK;
	}
	s->found++;
	uint64_t highest = slot->highest;
	if (slot->first == 0)
		TRY(check_suspect(s, stream, domain, &highest, err));
	if (s->exact ? version != highest : version < highest)
		report_stream(v, stream, "the version is not the highest of its events");
	return LEDGER_OK;
}

static enum ledger_status check_table(struct verification *v, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	struct stream_scan s = { .v = v, .exact = v->whole, .versions = &v->joined.versions };
	for (size_t i = 0; i < v->n_pieces; i++)
		s.exact = s.exact && v->pieces[i].unreadable == 0;
	TRY(store_get(v->ledger->store, SQL_VERIFY_STREAMS, &st, err));
	enum ledger_status status = store_each(v->ledger->store, st, scan_stream, &s, err);
	buf_done(&s.stream);
	TRY(status);
	if (s.found < s.versions->n)
		verify_report_damage(v, "STREAM_INDEX", NULL, 0,
			"table stream lacks %" PRIu64 " streams that have events",
			(uint64_t)s.versions->n - s.found);
	return LEDGER_OK;
}

static enum ledger_status add_version(
	struct value *const *row, void *context, struct ledger_error *err)
{
	struct verification *v = context;
	uint64_t domain, version;
	struct slice stream = value_text(row[0]);
	if (!stream.ptr || !value_u64(row[1], &domain) || !value_u64(row[2], &version))
		return LEDGER_OK; /* reported with its row */
	return versions_add(v, &v->joined.versions, stream, domain, version, err);
}

static enum ledger_status read_part(struct verification *v, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	versions_done(&v->joined.versions);
	TRY(store_get(v->ledger->store, SQL_VERIFY_VERSIONS, &st, err));
	bind_u64(st, 1, v->from);
	bind_u64(st, 2, v->to);
	return store_each(v->ledger->store, st, add_version, v, err);
}

enum ledger_status verify_versions(struct verification *v, struct ledger_error *err)
{
	TRY(check_table(v, err));
	for (v->part = 1; v->part < v->parts && !v->by_chain; v->part++) {
		TRY(read_part(v, err));
		TRY(check_table(v, err));
	}
	return LEDGER_OK;
}
