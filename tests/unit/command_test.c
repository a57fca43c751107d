/* Commands: how they are sent and read again, that one is executed once, and that what is kept of it goes. */
#include "../../lib/own/command.h"
#include "../../lib/store/command.h"
#include "../../lib/store/handle.h"

#include "ledger_fixture.h"

static struct place *p;
static struct ledger *a;
static enum ledger_status owner; /* what is said when it is asked whose a stream is */

static int setup(void **state)
{
	place_make(state);
	p = *state;
	a = open_ledger(&p->options);
	owner = LEDGER_OK;
	return 0;
}

static int teardown(void **state)
{
	ledger_close(a);
	return place_remove(state);
}

static struct ledger_command a_command(char id)
{
	struct ledger_command c = { .node = SLICE("store-a"),
		.stream = SLICE("product/sku-1"),
		.name = SLICE(LEDGER_COMMAND_APPEND),
		.sender = SLICE("store-b"),
		.expires = time_now() + 60 * TIME_SECOND,
		.payload = SLICE("{\"events\":[{\"type\":\"priced\",\"payload\":1}]}") };
	memset(c.id, id, sizeof(c.id));
	return c;
}

/* --- Words --------------------------------------------------------------------------------------- */

static void a_command_is_read_as_it_was_sent(void **state)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_error err;
	struct ledger_command got, c = a_command('a');
	(void)state;
	MUST(ledger_command_seal(a, &c, &bytes, &err));
	MUST(ledger_command_open(a, buf_slice(&bytes), &arena, &got, &err));
	assert_memory_equal(got.id, c.id, sizeof(c.id));
	assert_true(slice_is(got.sender, "store-a"));
	assert_true(slice_eq(got.stream, c.stream) && slice_eq(got.name, c.name));
	assert_true(slice_eq(got.payload, c.payload) && slice_eq(got.node, c.node));
	assert_int_equal(got.counter, c.counter);
	assert_int_equal(got.epoch, ledger_epoch(a));
	assert_int_equal(got.expires, c.expires);
	assert_false(got.only_asks);
}

static void each_sealing_has_a_higher_counter(void **state)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_error err;
	struct ledger_command c = a_command('a');
	uint64_t last = 0;
	(void)state;
	for (int i = 0; i < 100; i++) {
		MUST(ledger_command_seal(a, &c, &bytes, &err));
		assert_true(c.counter > last);
		last = c.counter;
	}
}

/* Each byte of it is under the MAC, or is the MAC. */
static void a_command_with_any_byte_changed_is_not_taken(void **state)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_error err;
	struct ledger_command got, c = a_command('a');
	(void)state;
	MUST(ledger_command_seal(a, &c, &bytes, &err));
	for (size_t i = 0; i + 1 < bytes.len; i++) {
		bytes.ptr[i] ^= 1;
		if (ledger_command_open(a, buf_slice(&bytes), &arena, &got, &err) == LEDGER_OK)
			fail_msg("taken with byte %zu changed: %s", i, buf_text(&bytes));
		bytes.ptr[i] ^= 1;
	}
	MUST(ledger_command_open(a, buf_slice(&bytes), &arena, &got, &err));
	for (size_t len = 0; len + 2 < bytes.len; len++)
		assert_int_not_equal(ledger_command_open(a, (struct slice){ bytes.ptr, len },
					     &arena, &got, &err),
			LEDGER_OK);
}

static void an_answer_is_no_command_and_a_command_no_answer(void **state)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	CLEANUP_BUF struct buf bytes = { 0 }, answer = { 0 };
	struct ledger_error err;
	struct ledger_command got, c = a_command('a');
	struct ledger_reply read, r = { .counter = 7, .exit = 3, .text = SLICE("no \"such\"\n") };
	(void)state;
	MUST(ledger_command_seal(a, &c, &bytes, &err));
	MUST(ledger_reply_seal(a, &r, &answer, &err));
	MUST_FAIL(LEDGER_INVALID, ledger_command_open(a, buf_slice(&answer), &arena, &got, &err));
	MUST_FAIL(LEDGER_INVALID, ledger_reply_open(a, buf_slice(&bytes), &arena, &read, &err));
	MUST(ledger_reply_open(a, buf_slice(&answer), &arena, &read, &err));
	assert_int_equal(read.counter, 7);
	assert_int_equal(read.exit, 3);
	assert_true(slice_eq(read.text, r.text) && slice_is(read.node, "store-a"));
}

static void what_is_no_command_is_not_sent(void **state)
{
	static const uint8_t nil[16];
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_error err;
	struct ledger_command c = a_command('a');
	char *large = calloc(1, EVENT_PAYLOAD_MAX + 3);
	(void)state;
	assert_non_null(large);
	memset(large, '1', EVENT_PAYLOAD_MAX + 1);
#define REFUSED(member, value)                                                                     \
	c = a_command('a');                                                                        \
	c.member = value;                                                                          \
	MUST_FAIL(LEDGER_INVALID, ledger_command_seal(a, &c, &bytes, &err))
	REFUSED(stream, SLICE("sku-1"));
	REFUSED(stream, SLICE("product/"));
	REFUSED(name, SLICE("up date"));
	REFUSED(name, SLICE(""));
	REFUSED(payload, SLICE("{"));
	REFUSED(payload, SLICE("1 2"));
	REFUSED(payload, slice_of(large));
	c = a_command('a');
	memcpy(c.id, nil, sizeof(nil));
	MUST_FAIL(LEDGER_INVALID, ledger_command_seal(a, &c, &bytes, &err));
	free(large);
}

/* --- Executing ----------------------------------------------------------------------------------- */

struct heard {
	size_t n;
	enum ledger_status status;
	bool repeated;
	char text[200];
};

static void hear(const struct ledger_command *command, const struct ledger_reply *reply,
	uint64_t tag, void *context)
{
	struct heard *heard = context;
	(void)command;
	(void)tag;
	heard->n++;
	heard->status = reply->status;
	heard->repeated = reply->repeated;
	snprintf(heard->text, sizeof(heard->text), "%.*s", (int)reply->text.len,
		reply->text.len ? reply->text.ptr : "");
}

static enum ledger_status is_here(
	struct ledger *l, struct slice stream, struct slice *domain, struct ledger_error *err)
{
	(void)l;
	(void)stream;
	*domain = SLICE("inventory");
	return owner ? (fail)(err, owner, "it is not for this node") : LEDGER_OK; /* not cmocka's */
}

/* As small as can be: the type alone is looked at. */
static enum ledger_status event_of(struct slice line, struct slice stream, struct slice domain,
	struct arena *arena, struct ledger_new *out, struct ledger_error *err)
{
	struct slice type;
	(void)arena;
	if (!json_member(line, SLICE("type"), &type))
		return (fail)(err, LEDGER_INVALID, "no type"); /* not cmocka's */
	*out = plain();
	out->stream = stream;
	out->domain = domain;
	out->payload = type;
	return LEDGER_OK;
}

static struct ledger_commands *open_commands(struct heard *heard)
{
	static const char *const environment[] = { NULL };
	static const struct ledger_rules rules;
	static struct ledger_commands_options o;
	struct ledger_error err;
	struct ledger_commands *commands;
	o = (struct ledger_commands_options){ .ledger = a,
		.rules = &rules,
		.environment = environment,
		.owned_here = is_here,
		.event_of = event_of,
		.answered = hear,
		.context = heard };
	MUST(ledger_commands_open(&commands, &o, &err));
	return commands;
}

static void execute_by(
	struct ledger_commands *commands, struct heard *heard, const struct ledger_command *c)
{
	struct ledger_error err;
	*heard = (struct heard){ .status = LEDGER_UNKNOWN };
	MUST(ledger_commands_offer(commands, c, 1, &err));
	for (int i = 0; i < 10 && heard->n == 0; i++)
		MUST(ledger_commands_step(commands, &err));
	assert_int_equal(heard->n, 1);
}

static struct heard execute(const struct ledger_command *c)
{
	struct heard heard;
	struct ledger_commands *commands = open_commands(&heard);
	execute_by(commands, &heard, c);
	ledger_commands_close(commands);
	return heard;
}

static uint64_t events(void)
{
	struct ledger_overview o;
	struct ledger_error err;
	MUST(ledger_overview(a, &o, &err));
	return o.events;
}

static void sent_twice_it_is_executed_once(void **state)
{
	struct ledger_command c = a_command('a');
	(void)state;
	struct heard first = execute(&c), second = execute(&c);
	assert_int_equal(first.status, LEDGER_OK);
	assert_int_equal(second.status, LEDGER_OK);
	assert_true(second.repeated && !first.repeated);
	assert_int_equal(events(), 1);
	c.payload = SLICE("{\"events\":[{\"type\":\"other\"}]}");
	assert_int_equal(execute(&c).status, LEDGER_CONFLICT);
	assert_int_equal(events(), 1);
}

/* A command as it comes from the network, sealed anew. */
static struct ledger_command sealed(char id)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	struct ledger_error err;
	struct ledger_command c = a_command(id);
	MUST(ledger_command_seal(a, &c, &bytes, &err));
	c.sender = SLICE("store-b"); /* what is sealed borrows the ledger's */
	return c;
}

static void a_message_that_was_refused_stays_refused_and_one_sealed_anew_is_executed(void **state)
{
	struct ledger_command c = sealed('a'), again;
	(void)state;
	owner = LEDGER_NOT_OWNER;
	struct heard first = execute(&c);
	assert_int_equal(first.status, LEDGER_NOT_OWNER);
	assert_false(first.repeated);
	owner = LEDGER_OK;
	struct heard second = execute(&c);
	assert_int_equal(second.status, LEDGER_NOT_OWNER);
	assert_true(second.repeated);
	assert_string_equal(second.text, first.text);
	ledger_close(a);
	a = open_ledger(&p->options);
	assert_int_equal(execute(&c).status, LEDGER_NOT_OWNER);
	assert_int_equal(events(), 0);
	again = sealed('a');
	struct heard third = execute(&again);
	assert_int_equal(third.status, LEDGER_OK);
	assert_false(third.repeated);
	/* It is executed now, whichever message of it comes. */
	assert_int_equal(execute(&c).status, LEDGER_OK);
	assert_true(execute(&c).repeated);
	assert_int_equal(events(), 1);
}

static void refusals_are_of_one_sender_and_the_last_counts(void **state)
{
	struct ledger_command b = sealed('a'), c = sealed('a'), of_z = sealed('a');
	(void)state;
	of_z.sender = SLICE("store-z");
	of_z.counter = 1;
	owner = LEDGER_CONFLICT;
	assert_int_equal(execute(&b).status, LEDGER_CONFLICT);
	owner = LEDGER_NOT_OWNER;
	assert_int_equal(execute(&c).status, LEDGER_NOT_OWNER);
	assert_int_equal(execute(&of_z).status, LEDGER_NOT_OWNER);
	owner = LEDGER_OK;
	assert_int_equal(execute(&b).status, LEDGER_NOT_OWNER);
	assert_int_equal(execute(&c).status, LEDGER_NOT_OWNER);
	assert_int_equal(execute(&of_z).status, LEDGER_NOT_OWNER);
	assert_int_equal(events(), 0);
	of_z.counter = 2;
	assert_int_equal(execute(&of_z).status, LEDGER_OK);
	assert_int_equal(events(), 1);
}

/* Their messages are not over when they are refused. */
static void what_is_stored_and_what_was_never_sent_may_come_again(void **state)
{
	struct ledger_command stored = sealed('a'), typed = a_command('b');
	(void)state;
	stored.stored = true;
	owner = LEDGER_BUSY;
	assert_int_equal(execute(&stored).status, LEDGER_BUSY);
	assert_int_equal(execute(&typed).status, LEDGER_BUSY);
	owner = LEDGER_OK;
	assert_int_equal(execute(&stored).status, LEDGER_OK);
	assert_int_equal(execute(&typed).status, LEDGER_OK);
	assert_int_equal(events(), 2);
}

static void a_stored_one_that_was_given_up_is_executed_when_it_is_sealed_anew(void **state)
{
	struct ledger_error err;
	struct ledger_command c = sealed('a');
	const struct ledger_reply reply = { .status = LEDGER_INVALID, .text = SLICE("no") };
	(void)state;
	MUST(ledger_command_keep(a, &c, &reply, &err));
	assert_int_equal(execute(&c).status, LEDGER_INVALID);
	c = sealed('a');
	assert_int_equal(execute(&c).status, LEDGER_OK);
	assert_int_equal(events(), 1);
}

/* Another process writes: the refusal is remembered, and written when that is over. */
static void a_refusal_that_cannot_be_written_is_remembered(void **state)
{
	struct ledger_command c = sealed('a');
	struct ledger_error err;
	struct heard heard = { .status = LEDGER_UNKNOWN };
	(void)state;
	ledger_close(a);
	p->options.timeout = TIME_SECOND / 10; /* for the other one */
	a = open_ledger(&p->options);
	struct ledger_commands *commands = open_commands(&heard);
	struct ledger *other = open_ledger(&p->options);
	MUST(guard_begin_write(other, &err));
	owner = LEDGER_NOT_OWNER;
	execute_by(commands, &heard, &c);
	assert_int_equal(heard.status, LEDGER_NOT_OWNER);
	owner = LEDGER_OK;
	execute_by(commands, &heard, &c);
	assert_int_equal(heard.status, LEDGER_NOT_OWNER);
	assert_true(heard.repeated);
	ledger_close(other);
	while (commands->n_refused)
		MUST(ledger_commands_step(commands, &err));
	ledger_commands_close(commands);
	assert_int_equal(execute(&c).status, LEDGER_NOT_OWNER);
	assert_int_equal(events(), 0);
}

static void answers_are_forgotten_when_the_command_cannot_come_any_more_and_its_events_never(
	void **state)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger_error err;
	struct ledger_reply reply = { 0 };
	struct ledger_command c = a_command('a');
	(void)state;
	assert_int_equal(execute(&c).status, LEDGER_OK);
	MUST(guard_begin_write(a, &err));
	MUST(command_forget(a, c.expires, &err));
	MUST(store_commit(a->store, &err));
	MUST(ledger_command_answer(a, c.id, &arena, &reply, &err));
	MUST(guard_begin_write(a, &err));
	MUST(command_forget(a, c.expires + 3600 * TIME_SECOND, &err));
	MUST(store_commit(a->store, &err));
	MUST_FAIL(LEDGER_NO, ledger_command_answer(a, c.id, &arena, &reply, &err));
	struct heard again = execute(&c);
	assert_int_equal(again.status, LEDGER_OK);
	assert_true(again.repeated);
	assert_int_equal(events(), 1);
}

static void an_expired_one_and_one_without_events_record_nothing(void **state)
{
	struct ledger_command c = a_command('a');
	(void)state;
	c.expires = time_now() - 1;
	assert_int_equal(execute(&c).status, LEDGER_TIMED_OUT);
	c = a_command('b');
	c.payload = SLICE("{\"events\":[]}");
	assert_int_equal(execute(&c).status, LEDGER_INVALID);
	c.payload = SLICE("[]");
	assert_int_equal(execute(&c).status, LEDGER_INVALID);
	c.payload = SLICE("{\"events\":[{\"type\":\"a\"},{\"no\":1}]}");
	assert_int_equal(execute(&c).status, LEDGER_INVALID);
	c.payload = SLICE("{\"expect\":7,\"events\":[{\"type\":\"a\"}]}");
	assert_int_equal(execute(&c).status, LEDGER_CONFLICT);
	c = a_command('c');
	c.name = SLICE("unknown");
	assert_int_equal(execute(&c).status, LEDGER_INVALID);
	assert_int_equal(events(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_command_is_read_as_it_was_sent),
		TEST(each_sealing_has_a_higher_counter),
		TEST(a_command_with_any_byte_changed_is_not_taken),
		TEST(an_answer_is_no_command_and_a_command_no_answer),
		TEST(what_is_no_command_is_not_sent),
		TEST(sent_twice_it_is_executed_once),
		TEST(a_message_that_was_refused_stays_refused_and_one_sealed_anew_is_executed),
		TEST(refusals_are_of_one_sender_and_the_last_counts),
		TEST(what_is_stored_and_what_was_never_sent_may_come_again),
		TEST(a_stored_one_that_was_given_up_is_executed_when_it_is_sealed_anew),
		TEST(a_refusal_that_cannot_be_written_is_remembered),
		TEST(answers_are_forgotten_when_the_command_cannot_come_any_more_and_its_events_never),
		TEST(an_expired_one_and_one_without_events_record_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
