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

/* --- Several ledgers -------------------------------------------------------------------------------- */

static const struct ledger_owned products = { SLICE_INIT("product"), SLICE_INIT("inventory") };

static struct ledger *a, *b, *c;
static struct ledger_options a_options, b_options, c_options;

static int setup(void **state)
{
	place_make(state);
	struct place *p = *state;
	p->options.owned = &products;
	p->options.n_owned = 1;
	a_options = p->options;
	a = open_ledger(&a_options);
	b = other_node(p, "store-b", "b.db", &b_options);
	c = other_node(p, "store-c", "c.db", &c_options);
	return 0;
}

static int teardown(void **state)
{
	ledger_close(a);
	ledger_close(b);
	ledger_close(c);
	return place_remove(state);
}

/* All that `from` has, or of one domain only, is offered to `to`. */
static void send_all(struct ledger *from, struct ledger *to, const char *domain)
{
	struct lines lines = lines_of(from);
	for (size_t i = 0; i < lines.n; i++)
		if (!domain || memmem(lines.list[i].ptr, lines.list[i].len, domain, strlen(domain)))
			offer(to, lines.list[i]);
	lines_done(&lines);
}

static enum ledger_status append_to(
	struct ledger *l, const char *stream, bool create, struct ledger_error *err)
{
	struct ledger_new new = plain();
	struct ledger_answer answer;
	struct ledger_condition condition = {
		.expect = create ? LEDGER_EXPECT_NONE : LEDGER_EXPECT_ANY, .create = create
	};
	new.stream = slice_of(stream);
	return ledger_append(l, &new, 1, &condition, &answer, err);
}

static struct ledger_owner owner_of(struct ledger *l, const char *key)
{
	struct ledger_error err;
	struct ledger_owner owner;
	MUST(ledger_owner_of(l, SLICE("product"), slice_of(key), &owner, &err));
	return owner;
}

static void must_own(
	struct ledger *l, const char *key, const char *node, enum ledger_owner_state state_wanted)
{
	struct ledger_owner owner = owner_of(l, key);
	if (!slice_is(owner.node, node) || owner.state != state_wanted)
		fail_msg("%s: %.*s, %s", key, SLICE_ARG(owner.node),
			ledger_owner_state_name(owner.state));
}

typedef enum ledger_status deed_fn(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err);

static enum ledger_status deed(
	deed_fn *fn, struct ledger *l, const char *stream, struct ledger_error *err)
{
	struct ledger_owner now;
	TRY(ledger_begin(l, err));
	enum ledger_status status = fn(l, SLICE("inventory"), slice_of(stream), &now, err);
	struct ledger_error ignored;
	if (status)
		ledger_rollback(l);
	else
		status = ledger_commit(l, &ignored);
	return status;
}

static enum ledger_status offer_to_b(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_offer(l, domain, stream, SLICE("store-b"), 3600 * TIME_SECOND, now, err);
}

static enum ledger_status offer_for_a_moment(struct ledger *l, struct slice domain,
	struct slice stream, struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_offer(l, domain, stream, SLICE("store-b"), 1, now, err);
}

static enum ledger_status offer_to_c(struct ledger *l, struct slice domain, struct slice stream,
	struct ledger_owner *now, struct ledger_error *err)
{
	return ledger_own_offer(l, domain, stream, SLICE("store-c"), 3600 * TIME_SECOND, now, err);
}

static uint64_t step(struct ledger *l)
{
	struct ledger_error err;
	uint64_t done;
	MUST(ledger_own_step(l, &done, &err));
	return done;
}

static void a_stream_is_written_by_its_owner_alone(void **state)
{
	struct ledger_error err;
	(void)state;
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(a, "product/1", false, &err));
	assert_non_null(strstr(err.hint, "--create"));
	MUST(append_to(a, "product/1", true, &err));
	MUST(append_to(a, "product/1", false, &err));
	MUST_FAIL(LEDGER_CONFLICT, append_to(a, "product/1", true, &err));
	send_all(a, b, NULL);
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
	assert_non_null(strstr(err.text, "store-a"));
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", true, &err));
	MUST(append_to(b, "order/1", false, &err));
	MUST_FAIL(LEDGER_USAGE, append_to(b, "order/2", true, &err));
	must_own(b, "1", "store-a", LEDGER_OWNER_HELD);
}

static void a_claim_that_is_refused_with_its_event_was_never_made(void **state)
{
	struct ledger_error err;
	struct ledger_owner owner;
	struct ledger_options free_for_all = a_options;
	free_for_all.n_owned = 0;
	struct ledger *l = open_ledger(&free_for_all);
	MUST(append_to(l, "product/1", false, &err));
	ledger_close(l);
	(void)state;
	MUST_FAIL(LEDGER_CONFLICT, append_to(a, "product/1", true, &err));
	MUST_FAIL(LEDGER_NO, ledger_owner_of(a, SLICE("product"), SLICE("1"), &owner, &err));
	MUST(verified(a, &err));
}

/* More than are looked up one by one, and of two nodes. */
static void what_is_remembered_of_many_streams_is_forgotten_when_one_changes_hands(void **state)
{
	char stream[32];
	struct ledger_error err;
	struct ledger_owner now;
	struct ledger_answer answer;
	(void)state;
	MUST(append_to(b, "product/0", true, &err));
	send_all(b, a, NULL);
	MUST(ledger_begin(a, &err));
	for (int i = 1; i < 1200; i++) {
		snprintf(stream, sizeof(stream), "product/%d", i);
		MUST(ledger_own_claim(a, SLICE("inventory"), slice_of(stream), &now, &err));
	}
	MUST(ledger_commit(a, &err));
	MUST(ledger_begin(a, &err));
	for (int i = 1; i < 600; i++) {
		struct ledger_new new = plain();
		snprintf(stream, sizeof(stream), "product/%d", i);
		new.stream = slice_of(stream);
		MUST(ledger_add(a, &new, NULL, &answer, &err));
	}
	MUST(ledger_commit(a, &err));
	MUST(append_to(a, "product/1100", false, &err));
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(a, "product/0", false, &err));
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(a, "product/1200", false, &err));
	/* By this connection, and by another one. */
	MUST(deed(offer_to_b, a, "product/1101", &err));
	MUST_FAIL(LEDGER_BUSY, append_to(a, "product/1101", false, &err));
	struct ledger *other = open_ledger(&a_options);
	MUST(deed(offer_to_b, other, "product/1100", &err));
	ledger_close(other);
	MUST_FAIL(LEDGER_BUSY, append_to(a, "product/1100", false, &err));
	MUST(append_to(a, "product/1102", false, &err));
}

static void a_claim_that_was_rolled_back_is_not_remembered(void **state)
{
	struct ledger_error err;
	struct ledger_new new = plain();
	struct ledger_answer answer;
	struct ledger_condition create = { .expect = LEDGER_EXPECT_NONE, .create = true };
	(void)state;
	new.stream = SLICE("product/1");
	MUST(append_to(a, "product/9", true, &err));
	MUST(ledger_begin(a, &err));
	MUST(ledger_add(a, &new, &create, &answer, &err));
	MUST(ledger_add(a, &new, NULL, &answer, &err));
	ledger_rollback(a);
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(a, "product/1", false, &err));
}

static void a_transfer_lets_nobody_write_until_the_owner_has_said_it(void **state)
{
	struct ledger_error err;
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	MUST(deed(offer_to_b, a, "product/1", &err));
	MUST(deed(offer_to_b, a, "product/1", &err)); /* once more is the same */
	MUST_FAIL(LEDGER_BUSY, append_to(a, "product/1", false, &err));
	send_all(a, b, NULL);
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
	assert_non_null(strstr(err.hint, "own accept"));
	MUST_FAIL(LEDGER_NOT_OWNER, deed(ledger_own_cancel, b, "product/1", &err));
	MUST(deed(ledger_own_accept, b, "product/1", &err));
	MUST(deed(ledger_own_accept, b, "product/1", &err));
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
	send_all(b, a, NULL);
	must_own(a, "1", "store-a", LEDGER_OWNER_ACCEPTED);
	MUST_FAIL(LEDGER_BUSY, append_to(a, "product/1", false, &err));
	assert_int_equal(step(b), 0); /* not its to say */
	assert_int_equal(step(a), 1);
	assert_int_equal(step(a), 0);
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(a, "product/1", false, &err));
	send_all(a, b, NULL);
	MUST(append_to(b, "product/1", false, &err));
	MUST(verified(a, &err));
	MUST(verified(b, &err));
}

static void a_new_owner_waits_for_what_the_owner_before_recorded(void **state)
{
	struct ledger_error err;
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	MUST(deed(offer_to_b, a, "product/1", &err));
	send_all(a, b, "\"_ownership\"");
	MUST(deed(ledger_own_accept, b, "product/1", &err));
	send_all(b, a, NULL);
	assert_int_equal(step(a), 1);
	send_all(a, b, "\"_ownership\"");
	must_own(b, "1", "store-b", LEDGER_OWNER_HELD);
	MUST_FAIL(LEDGER_BUSY, append_to(b, "product/1", false, &err));
	assert_non_null(strstr(err.text, "store-a/"));
	MUST_FAIL(LEDGER_BUSY, deed(offer_to_c, b, "product/1", &err));
	send_all(a, b, NULL);
	MUST(append_to(b, "product/1", false, &err));
}

static void an_offer_that_expired_is_taken_back_by_the_owner(void **state)
{
	struct ledger_error err;
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	MUST(deed(offer_for_a_moment, a, "product/1", &err));
	send_all(a, b, NULL);
	MUST(deed(ledger_own_accept, b, "product/1", &err)); /* its clock does not decide */
	assert_int_equal(step(a), 1);
	MUST(append_to(a, "product/1", false, &err));
	send_all(b, a, NULL);
	assert_int_equal(step(a), 0); /* the accept came too late */
	must_own(a, "1", "store-a", LEDGER_OWNER_HELD);
	MUST(append_to(a, "product/1", false, &err));
	send_all(a, b, NULL);
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
}

struct conflicts {
	size_t n, claims;
	char owner[65], loser[65];
};

static enum ledger_status keep_conflict(const struct ledger_owner *owner,
	const struct ledger_claim *claims, size_t n, void *context, struct ledger_error *err)
{
	struct conflicts *found = context;
	(void)err;
	found->n++;
	found->claims = n;
	snprintf(found->owner, sizeof(found->owner), "%.*s", SLICE_ARG(owner->node));
	snprintf(found->loser, sizeof(found->loser), "%.*s", SLICE_ARG(claims[n - 1].node));
	return LEDGER_OK;
}

static void two_nodes_that_create_a_stream_while_apart_agree_on_the_first(void **state)
{
	struct ledger_error err;
	struct ledger *all[3] = { a, b, c };
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	MUST(append_to(b, "product/1", true, &err));
	MUST(append_to(b, "product/1", false, &err)); /* it does not know yet */
	send_all(b, c, NULL);
	must_own(c, "1", "store-b", LEDGER_OWNER_HELD);
	send_all(b, a, NULL);
	send_all(a, b, NULL);
	send_all(a, c, NULL);
	for (size_t i = 0; i < COUNT(all); i++) {
		struct conflicts found = { 0 };
		must_own(all[i], "1", "store-a", LEDGER_OWNER_HELD);
		MUST(ledger_conflicts(all[i], keep_conflict, &found, &err));
		assert_int_equal(found.n, 1);
		assert_int_equal(found.claims, 2);
		assert_string_equal(found.owner, "store-a");
		assert_string_equal(found.loser, "store-b");
		MUST(verified(all[i], &err));
	}
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
	assert_non_null(strstr(err.text, "store-a"));
	MUST(append_to(a, "product/1", false, &err));
}

/* Words that the library would not record, by the node that calls itself so: facts all the same. */
static void forge(struct ledger *l, const char *type, const char *members)
{
	char payload[512];
	struct ledger_answer answer;
	struct ledger_error err;
	struct ledger_new new = { .domain = OWNER_DOMAIN, .type = slice_of(type), .schema = 1 };
	snprintf(payload, sizeof(payload), "{\"domain\":\"inventory\",\"stream\":\"product/1\"%s}",
		members);
	new.payload = slice_of(payload);
	MUST(ledger_append(l, &new, 1, NULL, &answer, &err));
}

static void forged_words_are_facts_without_effect(void **state)
{
	struct ledger_error err;
	struct ledger_owner owner;
	char hash[EVENT_HASH_SIZE * 2 + 1] = "", members[400];
	CLEANUP_BUF struct buf hex = { 0 };
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	send_all(a, b, NULL);
	owner = owner_of(b, "1");
	buf_add_hex(&hex, owner.hash, sizeof(owner.hash));
	snprintf(hash, sizeof(hash), "%s", buf_text(&hex));
	static const char *const forms[] = {
		",\"follows\":\"%s\",\"to\":\"store-b\",\"expires\":\"2100-01-01T00:00:00Z\"",
		",\"follows\":\"%s\",\"to\":\"store-b\",\"heads\":[]",
		",\"follows\":\"%s\",\"to\":\"store-b\",\"heads\":[{\"epoch\":1}]",
		",\"follows\":\"%s\",\"to\":7",
		",\"follows\":\"%.8s\"",
		",\"follows\":\"%s\",\"to\":\"a b\"",
	};
	static const char *const types[] = { "offered", "accepted", "transferred", "cancelled",
		"claimed", "seized", "Offered" };
	for (size_t i = 0; i < COUNT(forms); i++) {
		for (size_t k = 0; k < COUNT(types); k++) {
			if (strcmp(types[k], "claimed") == 0)
				continue; /* that is a claim, and contests */
			_Pragma("GCC diagnostic push")
				_Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
					snprintf(members, sizeof(members), forms[i], hash);
			_Pragma("GCC diagnostic pop") forge(b, types[k], members);
		}
	}
	send_all(b, a, NULL);
	must_own(a, "1", "store-a", LEDGER_OWNER_HELD);
	must_own(b, "1", "store-a", LEDGER_OWNER_HELD);
	assert_false(owner_of(a, "1").contested);
	MUST(append_to(a, "product/1", false, &err));
	MUST_FAIL(LEDGER_NOT_OWNER, append_to(b, "product/1", false, &err));
	MUST(verified(a, &err));
	MUST(verified(b, &err));
	forge(b, "claimed", "");
	send_all(b, a, NULL);
	must_own(a, "1", "store-a", LEDGER_OWNER_HELD);
	assert_true(owner_of(a, "1").contested);
	MUST(append_to(a, "product/1", false, &err));
}

/* Two lives of b: in one it gave the stream to a, in the other to c; each of a and c has seen another one first. */
static void a_forked_owner_leaves_the_same_owner_everywhere(void **state)
{
	struct ledger_error err;
	struct ledger_owner now;
	char older[160];
	(void)state;
	MUST(append_to(b, "product/1", true, &err));
	ledger_close(b);
	snprintf(older, sizeof(older), "%s.older", b_options.path);
	run_sql(b_options.path, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(b_options.path, older);
	struct lines lives[2];
	for (int i = 0; i < 2; i++) {
		copy_file(older, b_options.path);
		b = open_ledger(&b_options);
		MUST(ledger_begin(b, &err));
		MUST(ledger_own_offer(b, SLICE("inventory"), SLICE("product/1"),
			i ? SLICE("store-c") : SLICE("store-a"), TIME_SECOND, &now, &err));
		MUST(ledger_commit(b, &err));
		lives[i] = lines_of(b);
		ledger_close(b);
	}
	b = open_ledger(&b_options);
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < lives[i].n; k++)
			offer(a, lives[i].list[k]);
		for (size_t k = 0; k < lives[1 - i].n; k++)
			offer(c, lives[1 - i].list[k]);
	}
	struct ledger_owner at_a = owner_of(a, "1"), at_c = owner_of(c, "1");
	assert_int_equal(at_a.state, LEDGER_OWNER_OFFERED);
	assert_true(slice_is(at_a.next, "store-a"));
	assert_true(slice_eq(at_a.next, at_c.next));
	assert_memory_equal(at_a.hash, at_c.hash, EVENT_HASH_SIZE);
	for (int i = 0; i < 2; i++)
		lines_done(&lives[i]);
}

static void a_node_owns_through_all_its_epochs(void **state)
{
	struct ledger_error err;
	struct ledger_recovery recovery;
	(void)state;
	MUST(append_to(a, "product/1", true, &err));
	MUST(ledger_recover(a, SLICE("a test"), true, false, &recovery, &err));
	MUST(append_to(a, "product/1", false, &err));
	MUST(deed(offer_to_b, a, "product/1", &err));
	must_own(a, "1", "store-a", LEDGER_OWNER_OFFERED);
	MUST(deed(ledger_own_cancel, a, "product/1", &err));
	must_own(a, "1", "store-a", LEDGER_OWNER_HELD);
}

static struct ledger_problem last_problem;

static void keep_problem(const struct ledger_problem *problem, void *context)
{
	(void)context;
	last_problem = *problem;
}

static void verify_finds_what_was_done_to_the_tables(void **state)
{
	static const char *const changes[] = {
		"UPDATE owner SET node = 'store-b'",
		"UPDATE owner SET state = 2, next = 'store-b'",
		"UPDATE owner SET contested = 1",
		"UPDATE owner SET hash = zeroblob(32)",
		"UPDATE owner SET node = 'store b'",
		"DELETE FROM owner",
		"INSERT INTO owner SELECT 'product/2', domain, node, state, next, expires, clock, "
		"line, "
		"hash, moved, contested FROM owner",
		"DROP TRIGGER ownership_no_delete; DELETE FROM ownership",
		"DROP TRIGGER ownership_no_update; UPDATE ownership SET origin = 'store-b'",
		"DROP TRIGGER ownership_no_update; UPDATE ownership SET clock = clock + 1",
		"INSERT INTO ownership SELECT stream, domain, follows, 1, 'store-b', 1, 1, "
		"zeroblob(32), "
		"kind, next, expires, heads FROM ownership",
	};
	struct place *p = *state;
	struct ledger_error err;
	char older[160];
	MUST(append_to(a, "product/1", true, &err));
	MUST(verified(a, &err));
	ledger_close(a);
	snprintf(older, sizeof(older), "%s/older", p->folder);
	run_sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	copy_file(p->db, older);
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct ledger_verify_options options = { .problem = keep_problem };
		struct ledger_verify_report report;
		copy_file(older, p->db);
		run_sql(p->db, changes[i]);
		a = open_ledger(&a_options);
		MUST_FAIL(LEDGER_DAMAGED, ledger_verify(a, &options, &report, &err));
		if (i < 7 || i == 10)
			assert_string_equal(last_problem.code, "OWNER_MISMATCH");
		ledger_close(a);
	}
	copy_file(older, p->db);
	a = open_ledger(&a_options);
	MUST(verified(a, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_order_of_arrival_gives_the_same_owner, place_make, place_remove),
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_stream_is_written_by_its_owner_alone),
		TEST(a_claim_that_is_refused_with_its_event_was_never_made),
		TEST(what_is_remembered_of_many_streams_is_forgotten_when_one_changes_hands),
		TEST(a_claim_that_was_rolled_back_is_not_remembered),
		TEST(a_transfer_lets_nobody_write_until_the_owner_has_said_it),
		TEST(a_new_owner_waits_for_what_the_owner_before_recorded),
		TEST(an_offer_that_expired_is_taken_back_by_the_owner),
		TEST(two_nodes_that_create_a_stream_while_apart_agree_on_the_first),
		TEST(forged_words_are_facts_without_effect),
		TEST(a_forked_owner_leaves_the_same_owner_everywhere),
		TEST(a_node_owns_through_all_its_epochs),
		TEST(verify_finds_what_was_done_to_the_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
