/* Who owns a stream: the rule, whatever the order in which events arrive, and what follows from it for those
 * who append. */
#include "../../lib/own.h"
#include "../../lib/store/accept.h"
#include "../../lib/store/owner.h"

#include "accept_fixture.h"

/* --- The rule ------------------------------------------------------------------------------------ */

/* An event by letters: what it is called, what it follows, who says it. '\0' ends a list. */
struct said {
	char name, follows;
	enum owner_kind kind;
	const char *origin, *to;
	uint64_t epoch, clock;
};

struct scenario {
	const char *name;
	struct said events[9];
	const char *node;
	enum owner_state state;
	const char *next;
	char line;
	bool contested;
};

#define CLAIM	   OWNER_CLAIMED
#define OFFER	   OWNER_OFFERED
#define ACCEPT	   OWNER_ACCEPTED
#define TRANSFER   OWNER_TRANSFERRED
#define CANCEL	   OWNER_CANCELLED
#define HELD	   OWNER_IS_HELD
#define IS_OFFERED OWNER_IS_OFFERED

static const struct scenario scenarios[] = {
	{ "of competing claims the first in the order wins, and what was built on the other is "
	  "void",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 0, CLAIM, "B", NULL, 1, 5 },
			{ 'c', 'a', OFFER, "A", "C", 1, 11 },
			{ 'd', 'c', ACCEPT, "C", NULL, 1, 12 },
			{ 'e', 'd', TRANSFER, "A", "C", 1, 13 },
			{ 'f', 'b', OFFER, "B", "A", 1, 20 },
			{ 'g', 'f', ACCEPT, "A", NULL, 1, 21 } },
		"B", OWNER_IS_ACCEPTED, "A", 'f', true },
	{ "claims of one clock are ordered by their origins",
		{ { 'a', 0, CLAIM, "B", NULL, 1, 10 }, { 'b', 0, CLAIM, "A", NULL, 9, 10 },
			{ 'c', 0, CLAIM, "C", NULL, 1, 10 } },
		"A", HELD, "", 'b', true },
	{ "two claims of one node are no contest, in whatever epochs",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 0, CLAIM, "A", NULL, 2, 20 },
			{ 'c', 'a', OFFER, "A", "B", 2, 21 } },
		"A", IS_OFFERED, "B", 'c', false },
	{ "a transfer ends with the old owner's word, and the new owner goes on",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'a', OFFER, "A", "B", 1, 11 },
			{ 'c', 'b', ACCEPT, "B", NULL, 1, 12 },
			{ 'd', 'c', TRANSFER, "A", "B", 1, 13 },
			{ 'e', 'd', OFFER, "B", "C", 1, 14 },
			{ 'f', 'e', ACCEPT, "C", NULL, 1, 15 },
			{ 'g', 'f', TRANSFER, "B", "C", 1, 16 } },
		"C", HELD, "", 'g', false },
	{ "an accept that crosses a cancellation has no effect, whatever the clocks say",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'a', OFFER, "A", "B", 1, 11 },
			{ 'c', 'b', ACCEPT, "B", NULL, 1, 12 },
			{ 'd', 'b', CANCEL, "A", NULL, 1, 90 },
			{ 'e', 'd', OFFER, "A", "C", 1, 91 },
			{ 'f', 'e', ACCEPT, "B", NULL, 1, 92 } },
		"A", IS_OFFERED, "C", 'e', false },
	{ "words of a node that is not the owner have no effect",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'a', OFFER, "M", "M2", 1, 11 },
			{ 'c', 'a', OFFER, "A", "B", 1, 20 },
			{ 'd', 'c', ACCEPT, "M", NULL, 1, 21 },
			{ 'e', 'd', TRANSFER, "M", "M2", 1, 22 },
			{ 'f', 'c', CANCEL, "M", NULL, 1, 23 },
			{ 'g', 'd', TRANSFER, "A", "M", 1, 24 } },
		"A", IS_OFFERED, "B", 'c', false },
	{ "words that follow another event, or stand out of place, have no effect",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'z', OFFER, "A", "B", 1, 11 },
			{ 'c', 'a', TRANSFER, "A", "B", 1, 12 },
			{ 'd', 'a', CANCEL, "A", NULL, 1, 13 },
			{ 'e', 'a', ACCEPT, "A", NULL, 1, 14 },
			{ 'f', 'b', ACCEPT, "B", NULL, 1, 15 },
			{ 'g', 'f', TRANSFER, "A", "B", 1, 16 } },
		"A", HELD, "", 'a', false },
	{ "a clock that is not behind what it follows has no effect",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'a', OFFER, "A", "B", 1, 10 },
			{ 'c', 'b', ACCEPT, "B", NULL, 1, 12 } },
		"A", HELD, "", 'a', false },
	{ "of two decisions of a node that was put back the first in the order counts",
		{ { 'a', 0, CLAIM, "A", NULL, 1, 10 }, { 'b', 'a', OFFER, "A", "B", 1, 11 },
			{ 'c', 'b', ACCEPT, "B", NULL, 1, 12 },
			{ 'd', 'b', CANCEL, "A", NULL, 2, 30 },
			{ 'e', 'd', OFFER, "A", "C", 2, 31 },
			{ 'f', 'c', TRANSFER, "A", "B", 1, 20 },
			{ 'g', 'f', OFFER, "B", "A", 1, 40 } },
		"B", IS_OFFERED, "A", 'g', false },
	{ "nobody owns what nobody claimed",
		{ { 'b', 'a', OFFER, "A", "B", 1, 11 }, { 'c', 'b', ACCEPT, "B", NULL, 1, 12 } },
		"", OWNER_NONE, "", 0, false },
};

static void name_hash(char name, uint8_t out[EVENT_HASH_SIZE])
{
	memset(out, name, EVENT_HASH_SIZE);
}

static void compose(
	const struct said *said, uint64_t sequence, struct buf *payload, struct event *e)
{
	uint8_t follows[EVENT_HASH_SIZE];
	name_hash(said->follows, follows);
	buf_add_text(payload, "{\"domain\":\"inventory\",\"stream\":\"product/sku-1\"");
	if (said->follows) {
		buf_add_text(payload, ",\"follows\":\"");
		buf_add_hex(payload, follows, EVENT_HASH_SIZE);
		buf_add_char(payload, '"');
	}
	if (said->to)
		buf_addf(payload, ",\"to\":\"%s\"", said->to);
	if (said->kind == OFFER)
		buf_add_text(payload, ",\"expires\":\"2026-11-20T17:35:00.000000Z\"");
	if (said->kind == TRANSFER)
		buf_add_text(payload, ",\"heads\":[]");
	buf_add_char(payload, '}');
	*e = (struct event){ .domain = OWNER_DOMAIN,
		.origin = slice_of(said->origin),
		.epoch = said->epoch,
		.sequence = sequence,
		.clock = said->clock,
		.type = slice_of(owner_kind_name(said->kind)),
		.payload = buf_slice(payload) };
	name_hash(said->name, e->hash);
}

static const struct owner_name sku_1 = { SLICE_INIT("inventory"), SLICE_INIT("product/sku-1") };

static void must_be(struct ledger *l, const struct scenario *s, const size_t *order, size_t n)
{
	uint8_t line[EVENT_HASH_SIZE];
	char said[16] = "";
	struct ledger_error err = { .status = LEDGER_OK };
	struct owner_row row = { .state = OWNER_NONE }, derived = { .state = OWNER_NONE };
	enum ledger_status status = owner_read(l, &sku_1, &row, &err);
	enum ledger_status again = owner_derive(l, &sku_1, &derived, &err);
	for (size_t i = 0; i < n; i++)
		said[i] = s->events[order[i]].name;
	name_hash(s->line, line);
	if (status != (s->node[0] ? LEDGER_OK : LEDGER_NO) || status != again ||
		strcmp(row.node, s->node) != 0 || row.state != s->state ||
		strcmp(row.next, s->next) != 0 || memcmp(row.line, line, sizeof(line)) != 0 ||
		row.contested != s->contested || memcmp(&row, &derived, sizeof(row)) != 0)
		fail_msg(
			"%s: in the order %s it is %s, state %d, next '%s', line %c, contested %d; "
			"derived anew %s, line %c",
			s->name, said, row.node, row.state, row.next, row.line[0], row.contested,
			derived.node, derived.line[0]);
}

/* The events in one order, in a transaction that is rolled back. */
static void take_in_order(struct ledger *l, const struct scenario *s, const size_t *order, size_t n)
{
	struct ledger_error err;
	MUST(store_begin_write(l->store, &err));
	for (size_t i = 0; i < n; i++) {
		CLEANUP_BUF struct buf payload = { 0 };
		struct event e;
		compose(&s->events[order[i]], order[i] + 1, &payload, &e);
		MUST(owner_take(l, &e, &err));
		if (order[0] == 0) /* it may come twice: from a branch */
			MUST(owner_take(l, &e, &err));
	}
	must_be(l, s, order, n);
	store_rollback(l->store);
}

/* All orders of what is behind `fixed`. */
static void permute(
	struct ledger *l, const struct scenario *s, size_t *order, size_t n, size_t fixed)
{
	if (fixed + 1 >= n)
		take_in_order(l, s, order, n);
	for (size_t i = fixed; fixed + 1 < n && i < n; i++) {
		size_t at = order[fixed];
		order[fixed] = order[i];
		order[i] = at;
		permute(l, s, order, n, fixed + 1);
		order[i] = order[fixed];
		order[fixed] = at;
	}
}

static void every_order_of_arrival_gives_the_same_owner(void **state)
{
	struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		size_t order[COUNT(scenarios[i].events)], n = 0;
		for (; scenarios[i].events[n].name; n++)
			order[n] = n;
		permute(l, &scenarios[i], order, n, 0);
	}
	ledger_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_order_of_arrival_gives_the_same_owner, place_make, place_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
