/* What is taken and what is refused: known ids, limits. */
#include "ledger_fixture.h"

static struct ledger_error err;

static void expect_verified(struct ledger *l)
{
	struct ledger_verify_options all = { .deep = true };
	struct ledger_verify_report report;
	MUST(ledger_verify(l, &all, &report, &err));
	assert_true(report.complete && report.seal && report.seal_mac);
	assert_int_equal(report.macs, report.last);
}

static enum ledger_status append_if(struct ledger *l, const struct ledger_new *new,
	const struct ledger_condition *condition, struct ledger_answer *answer)
{
	return ledger_append(l, new, 1, condition, answer, &err);
}

/* --- Known ids ------------------------------------------------------------------------------- */

static const struct slice two_tags[] = { TEXT("a:1"), TEXT("b:2") };
static const struct slice turned_tags[] = { TEXT("b:2"), TEXT("a:1"), TEXT("b:2") };
static const struct slice other_tags[] = { TEXT("a:1"), TEXT("b:3") };

/* An event with everything. */
static struct ledger_new full(void)
{
	struct ledger_new new = plain();
	new.has_id = true;
	memcpy(new.id, "0123456789abcdef", 16);
	new.stream = SLICE("product/sku-1");
	new.has_time = true;
	new.time = 1700000000000000;
	new.tags = two_tags;
	new.n_tags = 2;
	new.metadata = SLICE("{\"actor\":\"ada\"}");
	return new;
}

/* The same event, said in another way. */
static void say_turned_tags(struct ledger_new *new)
{
	new->tags = turned_tags;
	new->n_tags = 3;
}
static void say_no_time(struct ledger_new *new)
{
	new->has_time = false;
}
static void say_with_blanks(struct ledger_new *new)
{
	new->payload = SLICE(" {\"delta\":-2}\n");
}
static void say_nothing_new(struct ledger_new *new)
{
	(void)new;
}

/* Another event. */
static void change_domain(struct ledger_new *new)
{
	new->domain = SLICE("orders");
}
static void change_type(struct ledger_new *new)
{
	new->type = SLICE("stock_counted");
}
static void change_stream(struct ledger_new *new)
{
	new->stream = SLICE("product/sku-2");
}
static void drop_stream(struct ledger_new *new)
{
	new->stream = (struct slice){ NULL, 0 };
}
static void change_schema(struct ledger_new *new)
{
	new->schema = 2;
}
static void change_time(struct ledger_new *new)
{
	new->time++;
}
static void change_tags(struct ledger_new *new)
{
	new->tags = other_tags;
}
static void drop_a_tag(struct ledger_new *new)
{
	new->n_tags = 1;
}
static void drop_tags(struct ledger_new *new)
{
	new->n_tags = 0;
}
static void change_payload(struct ledger_new *new)
{
	new->payload = SLICE("{\"delta\": -2}");
}
static void change_metadata(struct ledger_new *new)
{
	new->metadata = SLICE("{}");
}
static void drop_metadata(struct ledger_new *new)
{
	new->metadata = (struct slice){ NULL, 0 };
}

static const struct {
	const char *name;
	void (*say)(struct ledger_new *new);
	bool same;
} repetitions[] = {
#define SAME(say)                                                                                  \
	{                                                                                          \
#say, say, true                                                                    \
	}
#define OTHER(say)                                                                                 \
	{                                                                                          \
#say, say, false                                                                   \
	}
	SAME(say_nothing_new),
	SAME(say_turned_tags),
	SAME(say_no_time),
	SAME(say_with_blanks),
	OTHER(change_domain),
	OTHER(change_type),
	OTHER(change_stream),
	OTHER(drop_stream),
	OTHER(change_schema),
	OTHER(change_time),
	OTHER(change_tags),
	OTHER(drop_a_tag),
	OTHER(drop_tags),
	OTHER(change_payload),
	OTHER(change_metadata),
	OTHER(drop_metadata),
};

static void a_known_id_with_the_same_content_is_answered_with_its_old_place(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new event = full(), before = plain();
	append_one(l, &before);
	struct ledger_answer first = append_one(l, &event);
	append_one(l, &before);
	for (size_t i = 0; i < COUNT(repetitions); i++) {
		struct ledger_new again = full();
		struct ledger_answer answer;
		repetitions[i].say(&again);
		enum ledger_status status = append_if(l, &again, NULL, &answer);
		if (status != (repetitions[i].same ? LEDGER_OK : LEDGER_CONFLICT))
			fail_msg("%s: %d", repetitions[i].name, status);
		if (!repetitions[i].same) {
			assert_string_equal(err.id, "30313233-3435-3637-3839-616263646566");
			continue;
		}
		assert_true(answer.repeated);
		assert_int_equal(answer.position, 2);
		assert_int_equal(answer.sequence, first.sequence);
		assert_int_equal(answer.version, first.version);
		assert_memory_equal(answer.hash, first.hash, 32);
	}
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 3);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM domain"), 1);
	ledger_close(l);
}

static void an_event_without_metadata_is_not_one_with_an_empty_object(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new event = full();
	struct ledger_answer answer;
	event.metadata = (struct slice){ NULL, 0 };
	append_one(l, &event);
	event.metadata = SLICE("{}");
	assert_int_equal(append_if(l, &event, NULL, &answer), LEDGER_CONFLICT);
	ledger_close(l);
}

static void a_known_id_is_answered_before_any_condition(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_query_item everything = { .n_types = 0 };
	struct ledger_condition condition = { .expect = LEDGER_EXPECT_NONE,
		.fail_if = &everything,
		.n_fail_if = 1,
		.cursor = SLICE("c"),
		.cursor_position = 1 };
	struct ledger_new event = full();
	struct ledger_answer answer;
	uint64_t position;
	append_one(l, &event);
	MUST(append_if(l, &event, &condition, &answer));
	assert_true(answer.repeated);
	MUST(ledger_cursor_get(l, SLICE("c"), &position, &err)); /* the cursor moves all the same */
	assert_int_equal(position, 1);
	ledger_close(l);
}

static void an_id_is_known_within_its_own_batch(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new events[2] = { full(), full() };
	struct ledger_answer answers[2];
	MUST(ledger_append(l, events, 2, NULL, answers, &err));
	assert_false(answers[0].repeated);
	assert_true(answers[1].repeated);
	change_payload(&events[1]);
	memcpy(events[0].id, events[1].id, 16);
	MUST_FAIL(LEDGER_CONFLICT, ledger_append(l, events, 2, NULL, answers, &err));
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 1);
	ledger_close(l);
}

/* --- Limits ---------------------------------------------------------------------------------- */

/* JSON of exactly n bytes: a string, or an object with one long member. */
static struct slice json_of(size_t n, bool object, char *room)
{
	memset(room, 'x', n);
	memcpy(room, object ? "{\"a\":\"" : "\"", object ? 6 : 1);
	memcpy(room + n - (object ? 2 : 1), "\"}", object ? 2 : 1);
	return (struct slice){ room, n };
}

static void payload_and_metadata_are_taken_up_to_their_limits(void **state)
{
	static char payload[EVENT_PAYLOAD_MAX + 8], metadata[EVENT_METADATA_MAX + 8];
	static const struct {
		size_t payload, metadata;
		bool good;
	} sizes[] = {
		{ EVENT_PAYLOAD_MAX, 64, true },
		{ EVENT_PAYLOAD_MAX + 1, 64, false },
		{ 64, EVENT_METADATA_MAX, true },
		{ 64, EVENT_METADATA_MAX + 1, false },
		{ EVENT_PAYLOAD_MAX, EVENT_METADATA_MAX, true },
	};
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct ledger_new new = plain();
		struct ledger_answer answer;
		new.payload = json_of(sizes[i].payload, false, payload);
		new.metadata = json_of(sizes[i].metadata, true, metadata);
		enum ledger_status want = sizes[i].good ? LEDGER_OK : LEDGER_INVALID;
		if (append_if(l, &new, NULL, &answer) != want)
			fail_msg("row %zu: %s", i, err.text);
	}
	expect_verified(l);
	ledger_close(l);
}

static void blanks_around_a_payload_do_not_count(void **state)
{
	static char room[EVENT_PAYLOAD_MAX + 8];
	struct ledger_new new = plain();
	(void)state;
	json_of(EVENT_PAYLOAD_MAX, false, room + 1);
	room[0] = room[EVENT_PAYLOAD_MAX + 1] = '\n';
	new.payload = (struct slice){ room, EVENT_PAYLOAD_MAX + 2 };
	MUST(ledger_check_new(&new, &err));
}

static void a_payload_is_nested_at_most_64_deep(void **state)
{
	char room[130];
	struct ledger_new new = plain();
	(void)state;
	memset(room, '[', 65);
	memset(room + 65, ']', 65);
	new.payload = (struct slice){ room, 130 };
	MUST_FAIL(LEDGER_INVALID, ledger_check_new(&new, &err));
	new.payload = (struct slice){ room + 1, 128 };
	MUST(ledger_check_new(&new, &err));
}

static void at_most_32_tags_are_taken(void **state)
{
	char text[33][8];
	struct slice tags[33];
	struct ledger_new new = plain();
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < 33; i++) {
		snprintf(text[i], sizeof(text[i]), "t:%zu", i % 100);
		tags[i] = slice_of(text[i]);
	}
	new.tags = tags;
	new.n_tags = 32;
	append_one(l, &new);
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM term WHERE term LIKE 't:%'"), 32);
	new.n_tags = 33;
	MUST_FAIL(LEDGER_INVALID, ledger_check_new(&new, &err));
	ledger_close(l);
}

static const struct {
	const char *name;
	struct ledger_new event;
} unfit[] = {
#define UNFIT(...)                                                                                 \
	{                                                                                          \
#__VA_ARGS__, __VA_ARGS__                                                          \
	}
#define OF(...)                                                                                    \
	{                                                                                          \
		.domain = TEXT("d"), .type = TEXT("t"), .schema = 1, .payload = TEXT("1"),         \
		__VA_ARGS__                                                                        \
	}
	UNFIT({ .type = TEXT("t"), .schema = 1, .payload = TEXT("1") }),
	UNFIT({ .domain = TEXT("d"), .schema = 1, .payload = TEXT("1") }),
	UNFIT({ .domain = TEXT("d"), .type = TEXT("t"), .payload = TEXT("1") }),
	UNFIT({ .domain = TEXT("d"), .type = TEXT("t"), .schema = 1 }),
	UNFIT({ .domain = TEXT("d/e"), .type = TEXT("t"), .schema = 1, .payload = TEXT("1") }),
	UNFIT({ .domain = TEXT("d"), .type = TEXT("t u"), .schema = 1, .payload = TEXT("1") }),
	UNFIT(OF(.has_id = true)), /* the nil UUID */
	UNFIT(OF(.stream = TEXT("x"))),
	UNFIT(OF(.stream = TEXT(""))),
	UNFIT(OF(.has_time = true, .time = TIME_MAX + 1)),
	UNFIT(OF(.metadata = TEXT("[]"))),
	UNFIT(OF(.metadata = TEXT(""))),
	UNFIT(OF(.metadata = TEXT("{\"a\":1,\"a\":2}"))),
	UNFIT(OF(.metadata = TEXT("{\"a\":1,\"\\u0061\":2}"))),
	UNFIT(OF(.metadata = TEXT("{} {}"))),
};

static void what_is_outside_the_format_is_refused(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	for (size_t i = 0; i < COUNT(unfit); i++) {
		struct ledger_answer answer;
		if (ledger_check_new(&unfit[i].event, &err) != LEDGER_INVALID ||
			append_if(l, &unfit[i].event, NULL, &answer) != LEDGER_INVALID)
			fail_msg("%s", unfit[i].name);
	}
	assert_int_equal(ask_sql(p->db, "SELECT count(*) FROM event"), 0);
	ledger_close(l);
}

static void the_largest_time_and_schema_are_taken(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_new new = plain();
	new.has_time = true;
	new.time = new.schema = TIME_MAX;
	append_one(l, &new);
	new.time = 0;
	append_one(l, &new);
	expect_verified(l);
	ledger_close(l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		TEST(a_known_id_with_the_same_content_is_answered_with_its_old_place),
		TEST(an_event_without_metadata_is_not_one_with_an_empty_object),
		TEST(a_known_id_is_answered_before_any_condition),
		TEST(an_id_is_known_within_its_own_batch),
		TEST(payload_and_metadata_are_taken_up_to_their_limits),
		TEST(blanks_around_a_payload_do_not_count),
		TEST(a_payload_is_nested_at_most_64_deep),
		TEST(at_most_32_tags_are_taken),
		TEST(what_is_outside_the_format_is_refused),
		TEST(the_largest_time_and_schema_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
