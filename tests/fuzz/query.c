/*
 * The query of --fail-if, and what show takes as a reference. Bytes: the position behind which, then
 * the query. A query that is taken is put to a ledger as a condition, and its answer is held against
 * one that looks at every event.
 */
#include "fuzz.h"

#include <stdlib.h>

static struct ledger *ledger(void)
{
	static struct ledger *l;
	static struct ledger_options options;
	if (!l) {
		options = fuzz_options();
		l = fuzz_ledger(&options);
	}
	return l;
}

/* --- By hand --------------------------------------------------------------------------------- */

struct search {
	const struct ledger_query_item *item;
	uint64_t after;
	bool found;
};

static bool is_among(struct slice one, const struct slice *many, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(one, many[i]))
			return true;
	return false;
}

static bool has_tag(const struct event *event, struct slice wanted)
{
	struct slice rest = event->tags, tag;
	while (event_next_tag(&rest, &tag))
		if (slice_eq(tag, wanted))
			return true;
	return false;
}

static enum ledger_status look(const struct event *event, void *context, struct ledger_error *err)
{
	struct search *search = context;
	const struct ledger_query_item *item = search->item;
	(void)err;
	bool fits = event->position > search->after &&
		    (!item->n_types || is_among(event->type, item->types, item->n_types));
	for (size_t i = 0; i < item->n_tags; i++)
		fits = fits && has_tag(event, item->tags[i]);
	search->found = search->found || fits;
	return LEDGER_OK;
}

static void claim_answer(const struct ledger_query_item *item, uint64_t after)
{
	struct ledger_error err = { 0 };
	struct ledger_filter all = { 0 };
	struct search search = { item, after, false };
	struct ledger_condition condition = { .fail_if = item, .n_fail_if = 1, .after = after };
	struct ledger_new new = {
		.domain = SLICE("sales"), .type = SLICE("sold"), .schema = 1, .payload = SLICE("1")
	};
	struct ledger_answer answer;
	uint64_t last;
	MUST(ledger_last_position(ledger(), &last, &err));
	MUST(ledger_read(ledger(), &all, look, &search, &err));
	MUST(ledger_begin(ledger(), &err));
	enum ledger_status status = ledger_add(ledger(), &new, &condition, &answer, &err);
	fuzz_claim_error(status, &err);
	ledger_rollback(ledger());
	if (after > last)
		CLAIM(status == LEDGER_INVALID);
	else
		CLAIM(status == (search.found ? LEDGER_CONFLICT : LEDGER_OK));
}

/* --- The target ------------------------------------------------------------------------------ */

static void claim_inside(struct slice part, struct slice whole)
{
	CLAIM(part.len && part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void claim_item(struct slice text, const struct ledger_query_item *item)
{
	struct ledger_error err;
	CLAIM(item->n_types <= 16 && item->n_tags <= EVENT_TAGS_MAX);
	CLAIM(item->n_types || item->n_tags);
	for (size_t i = 0; i < item->n_types; i++) {
		claim_inside(item->types[i], text);
		CLAIM(event_check_type(item->types[i], &err) == LEDGER_OK);
	}
	for (size_t i = 0; i < item->n_tags; i++) {
		claim_inside(item->tags[i], text);
		CLAIM(event_check_tag(item->tags[i], &err) == LEDGER_OK);
	}
}

static enum ledger_status count(const struct event *event, void *context, struct ledger_error *err)
{
	(void)event;
	(void)err;
	++*(unsigned *)context;
	return LEDGER_OK;
}

static void claim_found(struct slice reference)
{
	struct ledger_error err = { 0 };
	unsigned n = 0;
	enum ledger_status status = ledger_find(ledger(), reference, count, &n, &err);
	fuzz_claim_error(status, &err);
	CLAIM(n == (status == LEDGER_OK));
	CLAIM(status == LEDGER_OK || status == LEDGER_NO || status == LEDGER_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t after;
	struct ledger_error err = { 0 };
	struct slice text = fuzz_rest(bytes, size, &after);
	struct ledger_query_item item = { 0 };
	enum ledger_status status = ledger_query_parse(text, &item, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_INVALID);
	if (status == LEDGER_OK) {
		claim_item(text, &item);
		claim_answer(&item, after);
	}
	claim_found(text);
	return 0;
}
