/* A link against a real server: connecting, publishing, asking, losing the connection. */
#include "fixture.h"

static struct link *l;
static int port;

static int setup(void **state)
{
	if (start_servers(state))
		return -1;
	servers("start a");
	port = ports[0];
	l = open_up(port);
	create_stream(l, "inventory");
	return 0;
}

static int teardown(void **state)
{
	link_close(l);
	return stop_servers(state);
}

static void a_stored_message_is_answered_with_stream_and_sequence(void **state)
{
	(void)state;
	struct link_event e = store_one(l, "inventory", 1);
	assert_int_equal(e.status, LEDGER_OK);
	assert_true(slice_is(e.stream, "inventory"));
	assert_true(e.sequence >= 1);
	assert_false(e.duplicate);
	uint64_t first = e.sequence;
	e = store_one(l, "inventory", 2);
	assert_int_equal(e.sequence, first + 1);
}

static void a_known_id_is_called_a_duplicate(void **state)
{
	(void)state;
	uint64_t first = store_one(l, "inventory", 3).sequence;
	struct link_event e = store_one(l, "inventory", 3);
	assert_int_equal(e.status, LEDGER_OK);
	assert_true(e.duplicate);
	assert_int_equal(e.sequence, first);
}

static void thousands_in_a_window_are_all_answered(void **state)
{
	enum { N = 5000, WINDOW = 256 };
	static bool answered[N];
	struct link_event e;
	size_t sent = 0, came = 0;
	(void)state;
	while (came < N) {
		while (sent < N && link_waiting(l) < WINDOW) {
			char id[32];
			snprintf(id, sizeof(id), "many-%zu", sent);
			struct link_message m = { .subject = SLICE("ledger.events.inventory.x"),
				.id = slice_of(id),
				.stream = SLICE("inventory"),
				.data = SLICE("{}") };
			MUST(link_store(l, &m, sent++, &err));
		}
		assert_true(link_next(l, &e) ||
			    poll(&(struct pollfd){ link_fd(l), POLLIN, 0 }, 1, 30000) == 1);
		if (e.kind != LINK_STORED)
			continue;
		assert_int_equal(e.status, LEDGER_OK);
		assert_false(answered[e.tag]);
		answered[e.tag] = true;
		came++;
	}
	assert_int_equal(link_waiting(l), 0);
}

static void another_stream_than_expected_is_an_error(void **state)
{
	(void)state;
	struct link_message m = { .subject = SLICE("ledger.events.inventory.x"),
		.stream = SLICE("orders"),
		.data = SLICE("{}") };
	MUST(link_store(l, &m, 7, &err));
	struct link_event e = wait_event(l, LINK_STORED, 7);
	assert_int_equal(e.status, LEDGER_REFUSED);
	assert_int_equal(e.code, 10060);
	assert_true(e.text.len > 0);
}

static void compare_and_set_refuses_the_second(void **state)
{
	(void)state;
	struct link_message m = { .subject = SLICE("ledger.events.inventory.cas"),
		.expects_last = true,
		.data = SLICE("{}") };
	MUST(link_store(l, &m, 8, &err));
	struct link_event e = wait_event(l, LINK_STORED, 8);
	assert_int_equal(e.status, LEDGER_OK);
	uint64_t sequence = e.sequence;
	MUST(link_store(l, &m, 8, &err));
	assert_int_equal(wait_event(l, LINK_STORED, 8).status, LEDGER_CONFLICT);
	m.last = sequence;
	MUST(link_store(l, &m, 8, &err));
	assert_int_equal(wait_event(l, LINK_STORED, 8).status, LEDGER_OK);
}

static void where_no_stream_is_the_answer_comes_at_once(void **state)
{
	(void)state;
	struct link_message m = { .subject = SLICE("nobody.stores.this"), .data = SLICE("{}") };
	MUST(link_store(l, &m, 9, &err));
	struct link_event e = wait_event(l, LINK_STORED, 9);
	assert_int_equal(e.status, LEDGER_UNREACHABLE);
	/* The server says it; a request that nobody answers would end without a code. */
	assert_int_equal(e.code, 503);
}

static void a_request_that_nobody_hears_ends_at_once(void **state)
{
	(void)state;
	MUST(link_request(l, SLICE("ledger.sync.range.nobody"), SLICE("{}"), 1, 0, 10, &err));
	struct link_event e = wait_event(l, LINK_END, 10);
	assert_int_equal(e.status, LEDGER_UNREACHABLE);
	assert_int_equal(e.number, 0);
}

static void many_replies_are_gathered_until_nothing_more_comes(void **state)
{
	struct link *peers[3];
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		peers[i] = open_up(port);
		MUST(link_subscribe(peers[i], SLICE("ledger.sync.*"), 1, &err));
		/* Behind the subscription on the same connection: answered, both have arrived. */
		MUST(link_stream_info(peers[i], "inventory", 2, &err));
		wait_event(peers[i], LINK_STREAM, 2);
	}
	MUST(link_request(l, SLICE("ledger.sync.heads"), SLICE("?"), 0, TIME_SECOND / 2, 11, &err));
	for (size_t i = 0; i < 3; i++) {
		struct link_event asked = wait_event(peers[i], LINK_MESSAGE, 1);
		assert_true(slice_is(asked.subject, "ledger.sync.heads"));
		assert_true(slice_is(asked.data, "?"));
		MUST(link_publish(peers[i], asked.reply, SLICE("one"), &err));
		MUST(link_publish(peers[i], asked.reply, SLICE("two"), &err));
	}
	for (uint64_t i = 1; i <= 6; i++)
		assert_int_equal(wait_event(l, LINK_REPLY, 11).number, i);
	struct link_event e = wait_event(l, LINK_END, 11);
	assert_int_equal(e.status, LEDGER_TIMED_OUT);
	assert_int_equal(e.number, 6);
	for (size_t i = 0; i < 3; i++)
		link_close(peers[i]);
}

static void a_request_ends_with_the_last_reply_that_it_wanted(void **state)
{
	struct link *peer = open_up(port);
	(void)state;
	MUST(link_subscribe(peer, SLICE("ledger.commands.>"), 1, &err));
	MUST(link_stream_info(peer, "inventory", 2, &err));
	wait_event(peer, LINK_STREAM, 2);
	MUST(link_request(
		l, SLICE("ledger.commands.product.store-b"), SLICE("go"), 2, 0, 12, &err));
	struct link_event asked = wait_event(peer, LINK_MESSAGE, 1);
	for (int i = 0; i < 4; i++)
		MUST(link_publish(peer, asked.reply, SLICE("done"), &err));
	wait_event(l, LINK_REPLY, 12);
	wait_event(l, LINK_REPLY, 12);
	struct link_event e;
	assert_true(link_next(l, &e));
	assert_int_equal(e.kind, LINK_END);
	assert_int_equal(e.status, LEDGER_OK);
	assert_int_equal(e.number, 2);
	link_close(peer);
}

static void a_stream_that_exists_with_another_config_is_not_changed(void **state)
{
	struct link_stream want = stream_named("inventory");
	CLEANUP_BUF struct buf text = { 0 };
	(void)state;
	want.max_age = 3600 * TIME_SECOND;
	MUST(link_stream_create(l, &want, 13, &err));
	struct link_event e = wait_event(l, LINK_STREAM, 13);
	assert_int_equal(e.status, LEDGER_CONFLICT);
	assert_int_equal(e.code, 10058);
	MUST(link_stream_info(l, "inventory", 14, &err));
	e = wait_event(l, LINK_STREAM, 14);
	assert_int_equal(e.status, LEDGER_OK);
	assert_true(link_stream_differs(e.stream_info, &want, &text));
	assert_string_equal(buf_text(&text), "max_age (us): 0, wanted 3600000000\n");
	want.max_age = 0;
	assert_false(link_stream_differs(e.stream_info, &want, &text));
	assert_true(e.stream_info->last >= 1 && e.stream_info->first == 1);
	assert_true(e.stream_info->created[0]);
}

static void a_stream_that_is_not_there_is_not_found(void **state)
{
	(void)state;
	MUST(link_stream_info(l, "nothing", 15, &err));
	struct link_event e = wait_event(l, LINK_STREAM, 15);
	assert_int_equal(e.status, LEDGER_NO);
	assert_null(e.stream_info);
}

static void what_is_larger_than_the_server_allows_is_refused_here(void **state)
{
	size_t max = link_max_payload(l);
	char *data = calloc(1, max + 2000);
	(void)state;
	assert_int_equal(max, (1 << 20) - 1024);
	struct link_message m = { .subject = SLICE("ledger.events.inventory.big"),
		.id = SLICE("big"),
		.data = { data, max } };
	MUST(link_store(l, &m, 16, &err));
	assert_int_equal(wait_event(l, LINK_STORED, 16).status, LEDGER_OK);
	m.data.len = max + 1024;
	MUST_FAIL(LEDGER_INVALID, link_store(l, &m, 16, &err));
	assert_non_null(strstr(err.text, "1048576"));
	MUST_FAIL(LEDGER_INVALID,
		link_publish(l, SLICE("x"), (struct slice){ data, max + 1025 }, &err));
	free(data);
}

static void a_lower_limit_of_the_server_is_noticed(void **state)
{
	(void)state;
	servers("start small");
	servers("set small max_payload: 4096");
	struct link *small = open_up(ports[0]);
	assert_int_equal(link_max_payload(small), 4096 - 1024);
	link_close(small);
	servers("stop small");
}

/* What must not get into a line of the protocol. */
static const char *const bad_subjects[] = { "", " ", "a b", "a\r\nPUB x 1\r\ny", "a\nb", "a.*",
	"a.>", ".a", "a.", "a..b", "\x01", "caf\xC3\xA9" };

static void subjects_that_could_be_more_than_one_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_subjects); i++) {
		struct slice bad = slice_of(bad_subjects[i]);
		struct link_message m = { .subject = bad, .data = SLICE("{}") };
		MUST_FAIL(LEDGER_INVALID, link_publish(l, bad, SLICE("x"), &err));
		MUST_FAIL(LEDGER_INVALID, link_store(l, &m, 1, &err));
		MUST_FAIL(LEDGER_INVALID, link_request(l, bad, SLICE("x"), 1, 0, 1, &err));
	}
	MUST_FAIL(LEDGER_INVALID, link_publish(l, (struct slice){ "a\0b", 3 }, SLICE("x"), &err));
	struct link_message m = {
		.subject = SLICE("a"), .id = SLICE("x\r\nNats-Rollup: all"), .data = SLICE("{}")
	};
	MUST_FAIL(LEDGER_INVALID, link_store(l, &m, 1, &err));
	MUST_FAIL(LEDGER_INVALID, link_stream_info(l, "a.b", 1, &err));
	MUST_FAIL(LEDGER_INVALID, link_subscribe(l, SLICE("a.>.b"), 1, &err));
	MUST_FAIL(LEDGER_INVALID, link_ack(l, SLICE("$JS.API.STREAM.DELETE.inventory"), &err));
}

/* Counts a byte string in the hex that the fake server gives. */
static size_t count_in(const char *hex, const char *text)
{
	char needle[256] = "";
	size_t n = 0;
	for (size_t i = 0; text[i]; i++)
		snprintf(needle + 2 * i, 3, "%02x", (unsigned)(unsigned char)text[i]);
	for (const char *at = hex; (at = strstr(at, needle)); at += 2)
		n++;
	return n;
}

static void one_publish_is_one_line_on_the_wire(void **state)
{
	struct ledger_error ignored;
	(void)state;
	servers("fake f");
	struct link *fake = open_up(ports[0]);
	struct link_message m = { .subject = SLICE("ledger.events.inventory.store-a"),
		.id = SLICE("the-id"),
		.data = SLICE("two\r\nPUB lines 0\r\n\r\n") };
	MUST(link_store(fake, &m, 1, &err));
	MUST(link_publish(fake, SLICE("ledger.sync.heads"), SLICE("{}"), &err));
	for (size_t i = 0; i < COUNT(bad_subjects); i++)
		link_publish(fake, slice_of(bad_subjects[i]), SLICE("x"), &ignored);
	link_close(fake);
	const char *hex = servers("heard f");
	assert_int_equal(
		count_in(hex, "\r\nHPUB ledger.events.inventory.store-a _INBOX.store-a."), 1);
	assert_int_equal(count_in(hex, "Nats-Msg-Id: the-id\r\n"), 1);
	assert_int_equal(count_in(hex, "\r\nPUB ledger.sync.heads 2\r\n{}\r\n"), 1);
	assert_int_equal(count_in(hex, "PUB "), 4); /* one stands in the data; and the goodbye */
	assert_int_equal(count_in(hex, "goodbye 0\r\n"), 1);
}

static void without_a_server_it_keeps_trying_and_says_so(void **state)
{
	struct link_event e;
	(void)state;
	servers("start late");
	servers("stop late");
	struct link *late = open_link(ports[0]);
	for (int i = 0; i < 3; i++) {
		e = wait_event(late, LINK_DOWN, 0);
		assert_int_equal(e.status, LEDGER_UNREACHABLE);
		assert_true(e.number > 0 && e.number <= TIME_SECOND);
		assert_non_null(strstr(e.text.ptr, "cluster shop"));
	}
	MUST_FAIL(LEDGER_UNREACHABLE, link_publish(late, SLICE("a"), SLICE("x"), &err));
	MUST_FAIL(LEDGER_UNREACHABLE, link_stream_info(late, "inventory", 1, &err));
	servers("again late");
	wait_up(late);
	link_close(late);
	servers("stop late");
}

/* What was under way when the server died is told, each call once, and the link comes back. */
static void a_killed_server_fails_what_waits_and_is_found_again(void **state)
{
	struct link_event e;
	uint64_t failed = 0, good = 0;
	(void)state;
	servers("start mortal");
	struct link *m = open_up(ports[0]);
	create_stream(m, "mortal");
	servers("pause mortal");
	for (uint64_t i = 0; i < 100; i++) {
		struct link_message message = { .subject = SLICE("ledger.events.mortal.a"),
			.data = SLICE("{}") };
		MUST(link_store(m, &message, i, &err));
	}
	servers("kill mortal");
	while (link_waiting(m)) {
		if (!link_next(m, &e)) {
			poll(&(struct pollfd){ link_fd(m), POLLIN, 0 }, 1, 1000);
			continue;
		}
		failed += e.kind == LINK_STORED && e.status == LEDGER_UNREACHABLE;
		good += e.kind == LINK_STORED && e.status == LEDGER_OK;
	}
	assert_int_equal(failed + good, 100);
	assert_true(failed > 0);
	servers("again mortal");
	wait_up(m);
	assert_int_equal(store_one(m, "mortal", 1).status, LEDGER_OK);
	link_close(m);
	servers("stop mortal");
}

static void subscriptions_survive_a_restart_of_the_server(void **state)
{
	(void)state;
	servers("start sub");
	struct link *m = open_up(ports[0]);
	MUST(link_subscribe(m, SLICE("ledger.sync.heads"), 5, &err));
	servers("stop sub");
	wait_event(m, LINK_DOWN, 0);
	assert_false(link_is_up(m));
	servers("again sub");
	wait_up(m);
	MUST(link_publish(m, SLICE("ledger.sync.heads"), SLICE("hello"), &err));
	assert_true(slice_is(wait_event(m, LINK_MESSAGE, 5).data, "hello"));
	link_close(m);
	servers("stop sub");
}

/* A connection that only looks alive. */
static void a_silent_server_is_cut_off_and_left_for_another(void **state)
{
	const char *urls[2] = { NULL };
	struct link *m = NULL;
	struct link_options options = options_of(urls, 2);
	(void)state;
	servers("start mute");
	servers("proxy mute");
	urls[0] = url_of(ports[0]);
	urls[1] = urls[0];
	options.keepalive = TIME_SECOND / 5;
	options.timeout = TIME_SECOND;
	MUST(link_open(&m, &options, &err));
	wait_up(m);
	servers("hold mute");
	MUST(link_stream_info(m, "inventory", 3, &err));
	struct link_event e = wait_event(m, LINK_DOWN, 0);
	assert_non_null(strstr(e.text.ptr, "has not answered"));
	assert_int_equal(wait_event(m, LINK_STREAM, 3).status, LEDGER_UNREACHABLE);
	servers("mend mute");
	wait_up(m);
	link_close(m);
	servers("stop mute");
}

/* In a quiet hour the keepalive keeps the connection and says nothing. */
static void an_idle_link_stays_up(void **state)
{
	struct link_options options = options_of(NULL, 0);
	struct link_event e;
	(void)state;
	options.keepalive = TIME_SECOND / 20;
	struct link *m = open_with(port, options);
	wait_up(m);
	assert_false(next_event(m, LINK_DOWN, 0, TIME_SECOND, &e));
	assert_true(link_is_up(m));
	link_close(m);
}

static void what_was_published_before_the_close_arrives(void **state)
{
	struct link *m = open_up(port);
	(void)state;
	MUST(link_subscribe(l, SLICE("ledger.goodbye"), 21, &err));
	MUST(link_stream_info(l, "inventory", 22, &err));
	wait_event(l, LINK_STREAM, 22);
	for (int i = 0; i < 1000; i++)
		MUST(link_publish(m, SLICE("ledger.goodbye"), SLICE("x"), &err));
	link_close(m);
	for (int i = 0; i < 1000; i++)
		wait_event(l, LINK_MESSAGE, 21);
}

static void a_close_while_connecting_waits_for_nobody(void **state)
{
	(void)state;
	servers("start shut");
	servers("proxy shut");
	int way = ports[0];
	servers("hold shut");
	struct link *m = open_link(way);
	uint64_t began = time_monotonic();
	link_close(m);
	assert_true(time_monotonic() - began < PATIENCE);
	servers("mend shut");
	servers("stop shut");
}

static void wrong_options_are_refused_at_once(void **state)
{
	const char *url = "http://localhost";
	struct link_options options = options_of(&url, 1);
	struct link *m = NULL;
	(void)state;
	MUST_FAIL(LEDGER_USAGE, link_open(&m, &options, &err));
	url = "nats://localhost:4222";
	options.node = "a b";
	MUST_FAIL(LEDGER_USAGE, link_open(&m, &options, &err));
	options.node = "a";
	options.n_urls = 0;
	MUST_FAIL(LEDGER_USAGE, link_open(&m, &options, &err));
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stored_message_is_answered_with_stream_and_sequence),
		cmocka_unit_test(a_known_id_is_called_a_duplicate),
		cmocka_unit_test(thousands_in_a_window_are_all_answered),
		cmocka_unit_test(another_stream_than_expected_is_an_error),
		cmocka_unit_test(compare_and_set_refuses_the_second),
		cmocka_unit_test(where_no_stream_is_the_answer_comes_at_once),
		cmocka_unit_test(a_request_that_nobody_hears_ends_at_once),
		cmocka_unit_test(many_replies_are_gathered_until_nothing_more_comes),
		cmocka_unit_test(a_request_ends_with_the_last_reply_that_it_wanted),
		cmocka_unit_test(a_stream_that_exists_with_another_config_is_not_changed),
		cmocka_unit_test(a_stream_that_is_not_there_is_not_found),
		cmocka_unit_test(what_is_larger_than_the_server_allows_is_refused_here),
		cmocka_unit_test(a_lower_limit_of_the_server_is_noticed),
		cmocka_unit_test(subjects_that_could_be_more_than_one_are_refused),
		cmocka_unit_test(one_publish_is_one_line_on_the_wire),
		cmocka_unit_test(without_a_server_it_keeps_trying_and_says_so),
		cmocka_unit_test(a_killed_server_fails_what_waits_and_is_found_again),
		cmocka_unit_test(subscriptions_survive_a_restart_of_the_server),
		cmocka_unit_test(a_silent_server_is_cut_off_and_left_for_another),
		cmocka_unit_test(an_idle_link_stays_up),
		cmocka_unit_test(what_was_published_before_the_close_arrives),
		cmocka_unit_test(a_close_while_connecting_waits_for_nobody),
		cmocka_unit_test(wrong_options_are_refused_at_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
