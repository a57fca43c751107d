/* Pulling from a real server: in order, acknowledged by the last, through every loss. */
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
	return 0;
}

static int teardown(void **state)
{
	link_close(l);
	return stop_servers(state);
}

/* A stream with n messages and a consumer. */
static void fill(struct link *to, const char *stream, int n)
{
	create_stream(to, stream);
	ensure_consumer(to, stream);
	for (int i = 1; i <= n; i++)
		assert_int_equal(store_one(to, stream, i).status, LEDGER_OK);
}

static struct link_pull pull_of(const char *stream)
{
	return (struct link_pull){ .stream = stream,
		.consumer = "store-a",
		.batch = 10,
		.depth = 3,
		.heartbeat = TIME_SECOND / 2,
		.expires = 10 * TIME_SECOND };
}

static void start_pull(struct link *from, const char *stream, uint64_t tag)
{
	struct link_pull o = pull_of(stream);
	MUST(link_pull_start(from, &o, tag, &err));
}

/* Takes messages first to last in order; the receipt of the last one is kept. */
static char receipt[512];
static void expect(struct link *from, uint64_t tag, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		struct link_event e = wait_event(from, LINK_PULLED, tag);
		assert_int_equal(e.sequence, i);
		snprintf(receipt, sizeof(receipt), "%.*s", SLICE_ARG(e.reply));
	}
}

static struct link_consumer info_of(struct link *from, const char *stream)
{
	MUST(link_consumer_info(from, stream, "store-a", 77, &err));
	struct link_event e = wait_event(from, LINK_CONSUMER, 77);
	assert_int_equal(e.status, LEDGER_OK);
	return *e.consumer_info;
}

/* The server takes its time over acknowledgements. */
static struct link_consumer wait_acknowledged(struct link *from, const char *stream, uint64_t last)
{
	uint64_t deadline = time_monotonic() + PATIENCE;
	struct link_consumer c = info_of(from, stream);
	while (c.acknowledged != last && time_monotonic() < deadline)
		c = info_of(from, stream);
	assert_int_equal(c.acknowledged, last);
	return c;
}

static void a_consumer_is_made_once_and_found_again(void **state)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct link_consumer want = consumer_of("made");
	(void)state;
	create_stream(l, "made");
	MUST(link_consumer_info(l, "made", "store-a", 1, &err));
	assert_int_equal(wait_event(l, LINK_CONSUMER, 1).status, LEDGER_NO);
	ensure_consumer(l, "made");
	struct link_consumer have = info_of(l, "made");
	assert_false(link_consumer_differs(&have, &want, &text));
	assert_true(have.created[0]);
	want.ack_wait /= 2;
	want.max_pending = 5;
	MUST(link_consumer_ensure(l, &want, 2, &err));
	struct link_event e = wait_event(l, LINK_CONSUMER, 2);
	assert_int_equal(e.status, LEDGER_OK);
	assert_string_equal(e.consumer_info->created, have.created);
	assert_true(link_consumer_differs(e.consumer_info, &want, &text));
	assert_string_equal(buf_text(&text), "ack_wait (us): 60000000, wanted 30000000\n"
					     "max_ack_pending: 1000, wanted 5\n");
}

static void a_consumer_of_no_stream_cannot_be_made(void **state)
{
	struct link_consumer c = consumer_of("nowhere");
	(void)state;
	MUST(link_consumer_ensure(l, &c, 3, &err));
	struct link_event e = wait_event(l, LINK_CONSUMER, 3);
	assert_int_equal(e.status, LEDGER_NO);
	assert_int_equal(e.code, 10059);
}

static void messages_come_in_order_with_what_they_were_stored_with(void **state)
{
	(void)state;
	fill(l, "order", 100);
	lost = 0;
	start_pull(l, "order", 4);
	struct link_event e = wait_event(l, LINK_PULLED, 4);
	assert_true(slice_is(e.subject, "ledger.events.order.store-a"));
	assert_true(slice_is(e.data, "message 1"));
	assert_true(slice_is(e.id, "id-1"));
	assert_true(slice_is(e.stream, "order"));
	assert_int_equal(e.sequence, 1);
	assert_int_equal(e.place, 1);
	assert_int_equal(e.delivered, 1);
	assert_int_equal(e.pending, 99);
	assert_true(e.stored > time_now() - 60 * TIME_SECOND && e.stored <= time_now());
	expect(l, 4, 2, 100);
	/* What is stored later comes too. */
	store_one(l, "order", 101);
	expect(l, 4, 101, 101);
	/* Ten requests were used up and asked for anew in time. */
	assert_int_equal(lost, 0);
	link_pull_stop(l, 4);
}

static void the_last_acknowledgement_counts_for_all_before(void **state)
{
	(void)state;
	fill(l, "ack", 50);
	start_pull(l, "ack", 5);
	expect(l, 5, 1, 30);
	char middle[sizeof(receipt)];
	memcpy(middle, receipt, sizeof(receipt));
	expect(l, 5, 31, 50);
	assert_int_equal(info_of(l, "ack").acknowledged, 0);
	MUST(link_ack(l, slice_of(middle), &err));
	struct link_consumer c = wait_acknowledged(l, "ack", 30);
	assert_int_equal(c.ack_pending, 20);
	MUST(link_ack(l, slice_of(receipt), &err));
	c = wait_acknowledged(l, "ack", 50);
	assert_int_equal(c.ack_pending, 0);
	assert_int_equal(c.pending, 0);
	link_pull_stop(l, 5);
}

/* Nothing new for some heartbeats: that is not silence. */
static void an_idle_pull_is_not_lost(void **state)
{
	struct link_event e;
	struct link_pull o = pull_of("idle");
	(void)state;
	fill(l, "idle", 1);
	o.heartbeat = TIME_SECOND / 10;
	o.expires = TIME_SECOND;
	MUST(link_pull_start(l, &o, 6, &err));
	expect(l, 6, 1, 1);
	assert_false(next_event(l, LINK_LOST, 6, 5 * TIME_SECOND / 2, &e));
	store_one(l, "idle", 2);
	expect(l, 6, 2, 2);
	link_pull_stop(l, 6);
}

static void a_deleted_consumer_is_noticed_and_made_again(void **state)
{
	(void)state;
	fill(l, "gone", 5);
	start_pull(l, "gone", 7);
	expect(l, 7, 1, 5);
	MUST(link_consumer_delete(l, "gone", "store-a", 8, &err));
	assert_int_equal(wait_event(l, LINK_LOST, 7).status, LEDGER_NO);
	/* From now on the server says nothing at all. */
	struct link_event e = wait_event(l, LINK_LOST, 7);
	assert_int_equal(e.status, LEDGER_TIMED_OUT);
	assert_int_equal(e.number, 1);
	MUST(link_consumer_info(l, "gone", "store-a", 9, &err));
	assert_int_equal(wait_event(l, LINK_CONSUMER, 9).status, LEDGER_NO);
	ensure_consumer(l, "gone");
	expect(l, 7, 1, 5);
	link_pull_stop(l, 7);
}

static void a_deleted_and_recreated_stream_is_another_one(void **state)
{
	char created[40];
	(void)state;
	fill(l, "again", 3);
	start_pull(l, "again", 10);
	expect(l, 10, 1, 3);
	MUST(link_stream_info(l, "again", 11, &err));
	memcpy(created, wait_event(l, LINK_STREAM, 11).stream_info->created, sizeof(created));
	MUST(link_request(l, SLICE("$JS.API.STREAM.DELETE.again"), SLICE(""), 1, 0, 11, &err));
	assert_int_equal(wait_event(l, LINK_LOST, 10).status, LEDGER_NO);
	fill(l, "again", 2);
	MUST(link_stream_info(l, "again", 12, &err));
	struct link_event e = wait_event(l, LINK_STREAM, 12);
	assert_string_not_equal(e.stream_info->created, created);
	assert_int_equal(e.stream_info->last, 2);
	expect(l, 10, 1, 2);
	link_pull_stop(l, 10);
}

static void what_was_not_acknowledged_comes_again_after_a_restart(void **state)
{
	(void)state;
	servers("start restarted");
	struct link *m = open_up(ports[0]);
	fill(m, "restart", 40);
	start_pull(m, "restart", 13);
	expect(m, 13, 1, 20);
	MUST(link_ack(m, slice_of(receipt), &err));
	expect(m, 13, 21, 40);
	wait_acknowledged(m, "restart", 20);
	servers("stop restarted");
	servers("again restarted");
	/* The pull goes on by itself. Acknowledged or not: what comes, comes in order to the end. */
	wait_event(m, LINK_UP, 0);
	struct link_consumer c = info_of(m, "restart");
	assert_int_equal(c.acknowledged, 20);
	assert_int_equal(store_one(m, "restart", 41).status, LEDGER_OK);
	struct link_event e;
	do
		e = wait_event(m, LINK_PULLED, 13);
	while (e.sequence < 41);
	link_close(m);
	servers("stop restarted");
}

static void a_stopped_server_is_waited_for(void **state)
{
	struct link_event e;
	struct link_pull o = pull_of("stopped");
	(void)state;
	servers("start sleepy");
	struct link *m = open_up(ports[0]);
	fill(m, "stopped", 3);
	o.heartbeat = TIME_SECOND / 5;
	MUST(link_pull_start(m, &o, 14, &err));
	expect(m, 14, 1, 3);
	servers("pause sleepy");
	e = wait_event(m, LINK_LOST, 14);
	assert_int_equal(e.status, LEDGER_TIMED_OUT);
	servers("resume sleepy");
	store_one(m, "stopped", 4);
	expect(m, 14, 4, 4);
	link_close(m);
	servers("stop sleepy");
}

/* Wiped: the stream and its consumer are gone, the server says nothing of it. */
static void a_wiped_server_is_silent_until_all_is_made_again(void **state)
{
	(void)state;
	servers("start wiped");
	struct link *m = open_up(ports[0]);
	fill(m, "wiped", 3);
	start_pull(m, "wiped", 15);
	expect(m, 15, 1, 3);
	servers("kill wiped");
	servers("wipe wiped");
	servers("again wiped");
	assert_int_equal(wait_event(m, LINK_LOST, 15).status, LEDGER_TIMED_OUT);
	fill(m, "wiped", 2);
	expect(m, 15, 1, 2);
	link_close(m);
	servers("stop wiped");
}

/* What came through the proxy, once it is some and no more comes. */
static int settled(const char *proxy)
{
	int before, now = 0;
	do {
		before = now;
		poll(NULL, 0, 300);
		servers("moved %s", proxy);
		now = ports[0];
	} while (now != before || now < (8 << 20));
	return now;
}

/* 60 MB wait while nobody takes them: most of it stays with the server, and nothing is lost. */
static void a_slow_reader_holds_the_server_back(void **state)
{
	enum { N = 120, SIZE = 512 << 10 };
	char *data = calloc(1, SIZE);
	struct link_pull o = pull_of("slow");
	(void)state;
	create_stream(l, "slow");
	ensure_consumer(l, "slow");
	for (uint64_t i = 1; i <= N; i++) {
		struct link_message m = { .subject = SLICE("ledger.events.slow.a"),
			.data = { data, SIZE } };
		MUST(link_store(l, &m, i, &err));
		assert_int_equal(wait_event(l, LINK_STORED, i).status, LEDGER_OK);
	}
	free(data);
	servers("proxy a");
	struct link *m = open_up(ports[0]);
	o.batch = N;
	MUST(link_pull_start(m, &o, 16, &err));
	link_next(m, &(struct link_event){ 0 });
	/* The queue of the link, and what the kernel keeps for both connections. */
	int moved = settled("a");
	expect(m, 16, 1, N);
	assert_true(moved < 48 << 20);
	link_close(m);
}

static void a_cluster_goes_on_when_one_of_three_dies(void **state)
{
	const char *urls[3] = { NULL };
	struct link_options options = options_of(urls, 3);
	struct link *m = NULL;
	char name[8];
	(void)state;
	servers("cluster c");
	for (size_t i = 0; i < 3; i++)
		urls[i] = url_of(ports[i]);
	MUST(link_open(&m, &options, &err));
	wait_up(m);
	struct link_stream s = stream_named("three");
	s.replicas = 3;
	MUST(link_stream_create(m, &s, 17, &err));
	assert_int_equal(wait_event(m, LINK_STREAM, 17).status, LEDGER_OK);
	ensure_consumer(m, "three");
	for (int i = 1; i <= 20; i++)
		assert_int_equal(store_one(m, "three", i).status, LEDGER_OK);
	start_pull(m, "three", 18);
	expect(m, 18, 1, 20);
	/* Whichever it is: the one we talk to, the leader, or a follower. */
	snprintf(name, sizeof(name), "c%d", (int)(time_now() % 3) + 1);
	print_message("# kills %s\n", name);
	servers("kill %s", name);
	/* It may take a while until there is a leader; the id keeps it at once each. */
	for (int i = 21; i <= 40; i++) {
		for (;;) {
			if (!link_is_up(m))
				wait_up(m);
			struct link_message message = { .subject = SLICE("ledger.events.three.a"),
				.data = SLICE("{}") };
			char id[32];
			snprintf(id, sizeof(id), "id-%d", i);
			message.id = slice_of(id);
			if (link_store(m, &message, 1000 + (uint64_t)i, &err) != LEDGER_OK)
				continue;
			if (wait_event(m, LINK_STORED, 1000 + (uint64_t)i).status == LEDGER_OK)
				break;
		}
	}
	MUST(link_stream_info(m, "three", 19, &err));
	assert_int_equal(wait_event(m, LINK_STREAM, 19).stream_info->last, 40);
	link_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_consumer_is_made_once_and_found_again),
		cmocka_unit_test(a_consumer_of_no_stream_cannot_be_made),
		cmocka_unit_test(messages_come_in_order_with_what_they_were_stored_with),
		cmocka_unit_test(the_last_acknowledgement_counts_for_all_before),
		cmocka_unit_test(an_idle_pull_is_not_lost),
		cmocka_unit_test(a_deleted_consumer_is_noticed_and_made_again),
		cmocka_unit_test(a_deleted_and_recreated_stream_is_another_one),
		cmocka_unit_test(what_was_not_acknowledged_comes_again_after_a_restart),
		cmocka_unit_test(a_stopped_server_is_waited_for),
		cmocka_unit_test(a_wiped_server_is_silent_until_all_is_made_again),
		cmocka_unit_test(a_slow_reader_holds_the_server_back),
		cmocka_unit_test(a_cluster_goes_on_when_one_of_three_dies),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
