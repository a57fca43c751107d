/* Who we are and whom we trust: TLS with client certificates, creds, nkeys, tokens, passwords. */
#include "fixture.h"

#include "../../lib/sync/door.h"

/* A file in the folder of the test. */
static const char *path_of(const char *name)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % COUNT(paths)];
	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = path_of(name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

/* What the link says when it cannot connect. */
static struct link_event refusal(struct link *l, char text[512])
{
	struct link_event e = wait_event(l, LINK_DOWN, 0);
	snprintf(text, 512, "%.*s", SLICE_ARG(e.text));
	assert_false(link_is_up(l));
	return e;
}

static void expect_up(int port, struct link_options options)
{
	struct link *l = open_with(port, options);
	/* One signature of 256 is spoilt by libnats 3.4.1: the next try has another. */
	wait_up(l);
	create_stream(l, "inventory");
	assert_int_equal(store_one(l, "inventory", 1).status, LEDGER_OK);
	link_close(l);
}

static void expect_refused(int port, struct link_options options, const char *wanted)
{
	char text[512];
	struct link *l = open_with(port, options);
	struct link_event e = refusal(l, text);
	if (e.status != LEDGER_REFUSED || !strstr(text, wanted))
		fail_msg("status %d: %s", e.status, text);
	link_close(l);
}

static void a_user_with_the_right_password_comes_in(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	servers("start u user");
	options.user = "ada";
	options.password_file = write_file("password", "s3cret-pass\n");
	expect_up(ports[0], options);
}

static void a_wrong_password_is_said_without_saying_it(void **state)
{
	struct link_options options = options_of(NULL, 0);
	char text[512];
	(void)state;
	servers("start w user");
	options.user = "ada";
	options.password_file = write_file("wrong", "hunter2-is-wrong\n");
	struct link *l = open_with(ports[0], options);
	struct link_event e = refusal(l, text);
	assert_int_equal(e.status, LEDGER_REFUSED);
	assert_string_equal(text, "cluster shop: the server does not take our credentials "
				  "(Authorization Violation)");
	/* The right one put in its place is taken at the next try. */
	write_file("wrong", "s3cret-pass\n");
	wait_up(l);
	link_close(l);
}

static void a_password_in_an_address_is_never_shown(void **state)
{
	struct link_options options = options_of(NULL, 0);
	struct link *l = NULL;
	char url[128], text[512];
	const char *urls[1] = { url };
	(void)state;
	servers("start v user");
	snprintf(url, sizeof(url), "nats://ada:hunter2@localhost:%d", ports[0]);
	options.urls = urls;
	options.n_urls = 1;
	MUST(link_open(&l, &options, &err));
	assert_int_equal(refusal(l, text).status, LEDGER_REFUSED);
	assert_null(strstr(text, "hunter2"));
	link_close(l);
	snprintf(url, sizeof(url), "nats://ada:s3cret-pass@localhost:%d", ports[0]);
	MUST(link_open(&l, &options, &err));
	struct link_event e = wait_event(l, LINK_UP, 0);
	snprintf(text, sizeof(text), "localhost:%d", ports[0]);
	assert_true(slice_is(e.text, text));
	link_close(l);
	/* Bad addresses are named by their place. */
	snprintf(url, sizeof(url), "nats://ada:hunter2@local host:abc");
	if (link_open(&l, &options, &err) == LEDGER_OK) {
		refusal(l, text);
		assert_null(strstr(text, "hunter2"));
		link_close(l);
	} else {
		assert_null(strstr(err.text, "hunter2"));
	}
}

/* Whatever libnats or a server may come up with. */
static void what_others_say_is_shown_without_passwords_and_control_characters(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	door_fail_nats(NATS_ERR,
		"(conn.c:7): at nats://ada:hunter2@a:1 and tls://t0ken@b:2, not c@d \x1B[2J\r\nx",
		&options, &err);
	assert_string_equal(err.text, "cluster shop: the connection failed (at nats://***@a:1 and "
				      "tls://***@b:2, not c@d ?[2J??x)");
	door_fail_nats(NATS_ERR, "nats://a:p@ss@host:1", &options, &err);
	assert_string_equal(err.text, "cluster shop: the connection failed (nats://***@host:1)");
	door_fail_nats(NATS_ERR, "nats://t@host", &options, &err);
	assert_string_equal(err.text, "cluster shop: the connection failed (nats://*@host)");
}

static void a_token_is_read_from_its_file(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	servers("start t token");
	options.token_file = write_file("token", "t0ken-of-ours\n");
	expect_up(ports[0], options);
	options.token_file = write_file("token2", "another\n");
	expect_refused(ports[0], options, "does not take our credentials");
}

static void an_nkey_signs_what_the_server_sends(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	servers("start n nkey");
	options.nkey = path_of("n.id/user.nk");
	for (int i = 0; i < 3; i++)
		expect_up(ports[0], options);
	options.nkey = NULL;
	expect_refused(ports[0], options, "Authorization Violation");
}

static void a_creds_file_opens_an_account(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	servers("start c creds");
	options.credentials = path_of("c.id/user.creds");
	expect_up(ports[0], options);
	options.credentials = NULL;
	expect_refused(ports[0], options, "Authorization Violation");
}

static struct link_options tls(const char *who)
{
	struct link_options options = options_of(NULL, 0);
	char name[64];
	options.tls_ca = path_of("s.id/ca.pem");
	if (who) {
		snprintf(name, sizeof(name), "s.id/%s.pem", who);
		options.tls_cert = path_of(name);
		snprintf(name, sizeof(name), "s.id/%s.key", who);
		options.tls_key = path_of(name);
	}
	return options;
}

/* One server for all tests of TLS: s. */
static int tls_port;

static void tls_with_a_client_certificate_carries_messages(void **state)
{
	(void)state;
	servers("start s tls");
	tls_port = ports[0];
	expect_up(tls_port, tls("client"));
}

static void tls_refuses_who_is_not_trusted(void **state)
{
	struct link_options options = tls("client");
	(void)state;
	expect_refused(tls_port, tls(NULL), "certificate");
	expect_refused(tls_port, tls("stranger"), "certificate");
	options.tls_ca = path_of("s.id/other-ca.pem");
	expect_refused(tls_port, options, "TLS");
	options.tls_ca = path_of("s.id/ca.pem");
	options.tls_hostname = "elsewhere";
	expect_refused(tls_port, options, "TLS");
	options.tls_hostname = "localhost";
	expect_up(tls_port, options);
}

static void a_server_with_tls_is_not_spoken_to_in_clear(void **state)
{
	(void)state;
	expect_refused(tls_port, options_of(NULL, 0), "TLS failed");
}

/* Both directions at once, records that do not fit into the socket, and a server that stops reading. */
static void much_goes_both_ways_over_tls(void **state)
{
	enum { N = 400, SIZE = 100000 };
	struct link *l = open_with(tls_port, tls("client"));
	struct link_event e;
	char *data = malloc(SIZE);
	uint64_t sent = 0, stored = 0, pulled = 0;
	(void)state;
	memset(data, 'x', SIZE);
	wait_up(l);
	create_stream(l, "much");
	ensure_consumer(l, "much");
	struct link_pull o = { .stream = "much", .consumer = "store-a", .batch = 50, .depth = 4 };
	MUST(link_pull_start(l, &o, N + 1, &err));
	while (stored < N || pulled < N) {
		struct link_message m = { .subject = SLICE("ledger.events.much.a"),
			.data = { data, SIZE } };
		while (sent < N && sent - stored < 64 && link_store(l, &m, sent, &err) == LEDGER_OK)
			if (++sent == N / 2) {
				servers("pause s");
				servers("resume s");
			}
		if (!link_next(l, &e)) {
			assert_int_equal(
				poll(&(struct pollfd){ link_fd(l), POLLIN, 0 }, 1, 30000), 1);
			continue;
		}
		if (e.kind == LINK_STORED) {
			assert_int_equal(e.status, LEDGER_OK);
			stored++;
		}
		if (e.kind == LINK_PULLED) {
			assert_int_equal(e.data.len, SIZE);
			assert_int_equal(e.sequence, ++pulled);
			MUST(link_ack(l, e.reply, &err));
		}
		assert_int_not_equal(e.kind, LINK_DOWN);
	}
	link_close(l);
	free(data);
}

/* While a server with TLS is stopped, libnats waits inside its calls; ours do not. */
static void no_call_waits_for_a_stopped_server(void **state)
{
	enum { SIZE = 500000 };
	struct link_options options = tls("client");
	char *data = calloc(1, SIZE);
	uint64_t began, refused = 0, worst = 0;
	struct link_event e;
	(void)state;
	options.keepalive = TIME_SECOND / 4;
	struct link *l = open_with(tls_port, options);
	wait_up(l);
	servers("pause s");
	for (int i = 0; i < 100; i++) {
		began = time_monotonic();
		refused += link_publish(l, SLICE("ledger.x"), (struct slice){ data, SIZE }, &err) ==
			   LEDGER_BUSY;
		while (link_next(l, &e))
			;
		uint64_t took = time_monotonic() - began;
		worst = took > worst ? took : worst;
	}
	assert_true(refused > 0);
	assert_true(worst < TIME_SECOND);
	/* It is cut off, and found again when it goes on. */
	e = wait_event(l, LINK_DOWN, 0);
	servers("resume s");
	wait_up(l);
	link_close(l);
	free(data);
}

static void what_the_server_does_not_permit_is_said(void **state)
{
	struct link_options options = options_of(NULL, 0);
	(void)state;
	servers("start p");
	servers("set p authorization: {users: [{user: bob, password: b, permissions: {"
		"publish: [\"ledger.sync.>\", \"_INBOX.store-a.>\"], subscribe: "
		"\"_INBOX.store-a.>\"}}]}");
	options.user = "bob";
	options.password_file = write_file("bob", "b\n");
	options.timeout = TIME_SECOND / 2;
	struct link *l = open_with(ports[0], options);
	wait_up(l);
	MUST(link_request(l, SLICE("ledger.commands.x.y"), SLICE("?"), 1, 0, 1, &err));
	struct link_event e = wait_event(l, LINK_DENIED, 0);
	assert_non_null(memmem(e.text.ptr, e.text.len, "ledger.commands.x.y", 19));
	assert_int_equal(wait_event(l, LINK_END, 1).status, LEDGER_TIMED_OUT);
	MUST(link_request(l, SLICE("ledger.sync.range.b"), SLICE("?"), 1, 0, 2, &err));
	assert_int_equal(wait_event(l, LINK_END, 2).code, 503);
	link_close(l);
}

static void options_that_cannot_work_are_refused_at_once(void **state)
{
	const char *url = "nats://localhost:4222";
	struct link_options options = options_of(&url, 1);
	struct link *l = NULL;
	(void)state;
	options.credentials = path_of("no-such.creds");
	MUST_FAIL(LEDGER_IO, link_open(&l, &options, &err));
	assert_non_null(strstr(err.text, "no-such.creds"));
	options.credentials = write_file("bad.creds", "nothing\n");
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	options.nkey = options.credentials;
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	assert_non_null(strstr(err.text, "more than one kind"));
	options.credentials = NULL;
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	assert_non_null(strstr(err.text, "not an nkey file"));
	options.nkey = NULL;
	options.user = "ada";
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	options.password_file = write_file("empty", "\nsecond line\n");
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	options.user = options.password_file = NULL;
	options.tls_ca = path_of("bad.creds");
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	options.tls_ca = NULL;
	options.tls_cert = path_of("bad.creds");
	MUST_FAIL(LEDGER_USAGE, link_open(&l, &options, &err));
	assert_null(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_with_the_right_password_comes_in),
		cmocka_unit_test(a_wrong_password_is_said_without_saying_it),
		cmocka_unit_test(a_password_in_an_address_is_never_shown),
		cmocka_unit_test(what_others_say_is_shown_without_passwords_and_control_characters),
		cmocka_unit_test(a_token_is_read_from_its_file),
		cmocka_unit_test(an_nkey_signs_what_the_server_sends),
		cmocka_unit_test(a_creds_file_opens_an_account),
		cmocka_unit_test(tls_with_a_client_certificate_carries_messages),
		cmocka_unit_test(tls_refuses_who_is_not_trusted),
		cmocka_unit_test(a_server_with_tls_is_not_spoken_to_in_clear),
		cmocka_unit_test(much_goes_both_ways_over_tls),
		cmocka_unit_test(no_call_waits_for_a_stopped_server),
		cmocka_unit_test(what_the_server_does_not_permit_is_said),
		cmocka_unit_test(options_that_cannot_work_are_refused_at_once),
	};
	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
