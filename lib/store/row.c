/* A row of table event, with its short integers turned back into words. */
#include "handle.h"

#include "../base/banned.h"

enum column {
	COL_POSITION,
	COL_CHAIN,
	COL_SEQUENCE,
	COL_DOMAIN,
	COL_ID,
	COL_STREAM,
	COL_VERSION,
	COL_TYPE,
	COL_SCHEMA,
	COL_CLOCK,
	COL_TIME,
	COL_TAGS,
	COL_KEY,
	COL_SALT,
	COL_PREV,
	COL_HASH,
	COL_MAC,
	COL_METADATA,
	COL_PAYLOAD,
	COL_BODY /* only where verify asks for it */
};

static bool read_bytes(struct value *const *row, int at, uint8_t *out, size_t n)
{
	struct slice bytes = value_blob(row[at]);
	if (bytes.len != n || !bytes.ptr)
		return false;
	memcpy(out, bytes.ptr, n);
	return true;
}

/* A text, or NULL where that is allowed. */
static bool read_text(struct value *const *row, int at, bool may_be_absent, struct slice *out)
{
	*out = value_text(row[at]);
	return out->ptr || (may_be_absent && value_is_null(row[at]));
}

/* A tag's name, colon and value, and the space before the next one. */
#define TAG_MAX	 (64 + 1 + EVENT_TAG_VALUE_MAX)
#define TAGS_MAX (EVENT_TAGS_MAX * (TAG_MAX + 1) - 1)

/* As many tags as the format allows, and no space behind the last one, which no hash would see. */
static bool are_tags(struct slice tags)
{
	size_t spaces = 0;
	for (size_t i = 0; i < tags.len && i < TAGS_MAX; i++)
		spaces += tags.ptr[i] == ' ';
	return tags.len <= TAGS_MAX && spaces < EVENT_TAGS_MAX &&
	       (tags.len == 0 || tags.ptr[tags.len - 1] != ' ');
}

/* Columns in which a wrong type or size can only be damage; NULL when all is well. */
static const char *read_columns(struct value *const *row, struct event *e)
{
	if (!value_u64(row[COL_POSITION], &e->position))
		return "position";
	if (!value_u64(row[COL_SEQUENCE], &e->sequence))
		return "sequence";
	if (!read_bytes(row, COL_ID, e->id, sizeof(e->id)))
		return "id";
	/* The lengths are limits of the format: chain.c has room for no more. */
	if (!read_text(row, COL_STREAM, true, &e->stream) ||
		e->stream.len > 64 + 1 + EVENT_STREAM_KEY_MAX)
		return "stream";
	if (!value_u64(row[COL_VERSION], &e->version))
		return "version";
	if (!read_text(row, COL_TYPE, false, &e->type) || e->type.len > EVENT_TYPE_MAX)
		return "type";
	if (!value_u64(row[COL_SCHEMA], &e->schema))
		return "schema";
	if (!value_u64(row[COL_CLOCK], &e->clock))
		return "clock";
	if (!value_u64(row[COL_TIME], &e->time))
		return "time";
	if (!read_text(row, COL_TAGS, true, &e->tags) || !are_tags(e->tags))
		return "tags";
	if (!read_bytes(row, COL_PREV, e->prev, EVENT_HASH_SIZE))
		return "prev";
	if (!read_bytes(row, COL_HASH, e->hash, EVENT_HASH_SIZE))
		return "hash";
	if (!read_bytes(row, COL_MAC, e->mac, EVENT_HASH_SIZE))
		return "mac";
	return NULL;
}

static const char *read_body(struct value *const *row, struct event *e)
{
	if (!read_text(row, COL_METADATA, true, &e->metadata))
		return "metadata";
	if (!read_text(row, COL_PAYLOAD, false, &e->payload))
		return "payload";
	if (!read_bytes(row, COL_SALT, e->salt, sizeof(e->salt)))
		return "salt";
	return NULL;
}

static bool read_names(struct ledger *l, struct value *const *row, struct event *e, uint64_t *chain,
	uint64_t *domain, const char **what)
{
	uint64_t key;
	*what = "chain";
	if (!value_u64(row[COL_CHAIN], chain) || !value_u64(row[COL_DOMAIN], domain) ||
		!value_u64(row[COL_KEY], &key))
		return false;
	struct names_found found;
	bool all = names_find(l, *chain, key, &found);
	if (!all && found.chain && found.chain->domain_name.ptr)
		*what = "signing_key";
	if (!all)
		return false;
	e->origin = found.chain->origin;
	e->epoch = found.chain->epoch;
	e->domain = found.chain->domain_name;
	e->key = found.key->name;
	return true;
}

enum row_state row_event(struct ledger *l, struct value *const *row, struct event *event,
	uint64_t *chain, uint64_t *domain, const char **what)
{
	*what = read_columns(row, event);
	if (*what)
		return ROW_MALFORMED;
	if (!read_names(l, row, event, chain, domain, what))
		return ROW_UNKNOWN_CHAIN;
	*what = read_body(row, event);
	if (!*what)
		return ROW_GOOD;
	return value_is_null(row[COL_PAYLOAD]) && value_is_null(row[COL_SALT]) ? ROW_ERASED
									       : ROW_MALFORMED;
}

bool row_has_no_body(struct value *const *row)
{
	return value_is_null(row[COL_BODY]);
}

bool row_body(struct value *const *row, uint8_t out[EVENT_HASH_SIZE])
{
	return read_bytes(row, COL_BODY, out, EVENT_HASH_SIZE);
}

uint64_t row_position(struct value *const *row)
{
	uint64_t position = 0;
	value_u64(row[COL_POSITION], &position);
	return position;
}

enum ledger_status row_read(
	struct ledger *l, struct stmt *st, struct event *event, struct ledger_error *err)
{
	const char *what;
	uint64_t chain, domain;
	struct value *row[COL_PAYLOAD + 1];
	stmt_values(st, COL_PAYLOAD + 1, row);
	if (row_event(l, row, event, &chain, &domain, &what) == ROW_GOOD)
		return LEDGER_OK;
	if (l->names_failure.status) {
		*err = l->names_failure;
		return err->status;
	}
	fail(err, LEDGER_DAMAGED, "position %" PRIu64 " of %s has a malformed %s",
		row_position(row), store_path(l->store), what);
	return hint(err, "ledgerbox verify lists what is wrong");
}
