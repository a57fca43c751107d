/* Handlers: whose event it is, where their cursor stands, and what becomes of what they cannot take. */
#include "ledger_fixture.h"

#include "../../lib/fold.h"
#include "../../lib/replay.h"

#include <signal.h>

static struct ledger_error err;

static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };

/* --- Whose event is it ----------------------------------------------------------------------- */

static const struct ledger_upcast upcasts[] = { { TEXT("a"), 1,
	TEXT("json_object('n', json(:payload))") } };
static const struct ledger_rules upcasting = { NULL, 0, upcasts, 1 };

/* The handlers that take an event, by their first letters. */
static void expect_takers(const struct ledger_handler *handlers, size_t n, const char *domain,
	const char *type, uint64_t schema, const char *names)
{
	char found[16] = "";
	struct event event = {
		.domain = slice_of(domain), .type = slice_of(type), .schema = schema
	};
	for (size_t i = 0; i < n; i++)
		if (ledger_handler_takes(handlers, n, i, &event))
			strncat(found, handlers[i].name, 1);
	assert_string_equal(found, names);
}

static void those_that_say_most_about_an_event_take_it(void **state)
{
	static const struct ledger_handler handlers[] = {
		{ .name = "domain", .domain = TEXT("i") },
		{ .name = "type", .domain = TEXT("i"), .type = TEXT("a") },
		{ .name = "schema", .domain = TEXT("i"), .type = TEXT("a"), .schema = 2 },
		{ .name = "Type", .domain = TEXT("i"), .type = TEXT("a") },
		{ .name = "other", .domain = TEXT("j"), .type = TEXT("a"), .schema = 2 },
	};
	(void)state;
	expect_takers(handlers, COUNT(handlers), "i", "a", 2, "s");
	expect_takers(handlers, COUNT(handlers), "i", "a", 1, "tT");
	expect_takers(handlers, COUNT(handlers), "i", "b", 2, "d");
	expect_takers(handlers, COUNT(handlers), "j", "a", 2, "o");
	expect_takers(handlers, COUNT(handlers), "j", "a", 1, "");
	expect_takers(handlers, COUNT(handlers), "k", "a", 2, "");
}

static void the_schema_that_counts_is_that_behind_the_upcasters(void **state)
{
	static const struct ledger_handler handlers[] = {
		{ .name = "1",
			.domain = TEXT("i"),
			.type = TEXT("a"),
			.schema = 1,
			.rules = &upcasting },
		{ .name = "2",
			.domain = TEXT("i"),
			.type = TEXT("a"),
			.schema = 2,
			.rules = &upcasting },
		{ .name = "b",
			.domain = TEXT("i"),
			.type = TEXT("b"),
			.schema = 1,
			.rules = &upcasting },
	};
	(void)state;
	expect_takers(handlers, COUNT(handlers), "i", "a", 1, "2");
	expect_takers(handlers, COUNT(handlers), "i", "a", 2, "2");
	expect_takers(handlers, COUNT(handlers), "i", "a", 3, "");
	expect_takers(handlers, COUNT(handlers), "i", "b", 1, "b");
}

/* --- A handler on a ledger ------------------------------------------------------------------- */

struct stage {
	struct ledger *reader, *writer;
	const char *exec[4];
	struct ledger_handler handler;
	struct ledger_replay_options options;
	struct ledger_filter only;
	unsigned parked;
};

static void count_parked(const char *handler, const struct event *event, uint64_t failures,
	const char *reason, void *context)
{
	struct stage *s = context;
	(void)handler, (void)event, (void)failures, (void)reason;
	s->parked++;
}

/* A program of /bin/sh in the folder of the ledger; mode each unless it is changed. */
static void begin(struct stage *s, const struct place *p, const char *script)
{
	*s = (struct stage){
		.reader = open_ledger(&p->options),
		.writer = open_ledger(&p->options),
		.exec = { "/bin/sh", "-c", script },
		.handler = { .name = "h",
			.domain = TEXT("inventory"),
			.timeout = 60 * TIME_SECOND },
	};
	s->handler.exec = s->exec;
	s->options = (struct ledger_replay_options){
		.ledger = s->reader,
		.writer = s->writer,
		.environment = environment,
		.folder = p->folder,
		.wake = -1,
		.parked = count_parked,
		.context = s,
	};
}

static void end(struct stage *s)
{
	ledger_close(s->reader);
	ledger_close(s->writer);
}

static void put(struct stage *s, const char *stream, const char *payload)
{
	struct ledger_new new = plain();
	new.stream = slice_of(stream);
	new.type = SLICE("a");
	new.payload = slice_of(payload);
	append_one(s->writer, &new);
}

/* Opens, goes as far as it can, closes; *count is how many events were handled. */
static enum ledger_status go(struct stage *s, uint64_t *count)
{
	struct ledger_handler_run *run;
	uint64_t last;
	bool done = false;
	enum ledger_status status = LEDGER_OK;
	MUST(ledger_last_position(s->reader, &last, &err));
	MUST(ledger_handler_open(&run, &s->options, &s->handler, 1, 0, &err));
	while (status == LEDGER_OK && !done)
		status = ledger_handler_step(run, last, &done, &err);
	*count = ledger_handler_count(run);
	if (status == LEDGER_OK)
		status = ledger_handler_finish(run, &err);
	ledger_handler_close(run);
	return status;
}

static uint64_t cursor(struct stage *s)
{
	uint64_t position;
	MUST(ledger_cursor_get(s->writer, SLICE("handler:h"), &position, &err));
	return position;
}

static void the_cursor_moves_behind_what_was_handled(void **state)
{
	struct stage s;
	uint64_t count;
	begin(&s, *state, "cat > /dev/null");
	for (int i = 0; i < 3; i++)
		put(&s, "p/1", "1");
	s.options.limit = 2;
	MUST(go(&s, &count));
	assert_int_equal(count, 2);
	assert_int_equal(cursor(&s), 2);
	s.options.limit = 0;
	MUST(go(&s, &count));
	assert_int_equal(count, 1);
	assert_int_equal(cursor(&s), 3);
	MUST(go(&s, &count));
	assert_int_equal(count, 0);
	end(&s);
}

static void a_choice_of_events_reads_and_moves_no_cursor(void **state)
{
	struct stage s;
	uint64_t count, position;
	begin(&s, *state, "cat > /dev/null");
	for (int i = 0; i < 5; i++)
		put(&s, "p/1", "1");
	s.only = (struct ledger_filter){ .from = 2, .to = 3 };
	s.options.only = &s.only;
	MUST(go(&s, &count));
	assert_int_equal(count, 2);
	MUST_FAIL(LEDGER_NO, ledger_cursor_get(s.writer, SLICE("handler:h"), &position, &err));
	end(&s);
}

static void what_fails_is_tried_again_then_it_stops_before_it(void **state)
{
	const struct place *p = *state;
	struct stage s;
	struct ledger_failing failing;
	uint64_t count;
	begin(&s, p, "echo x >> tries; exit 1");
	put(&s, "p/1", "1");
	s.handler.retries = 2;
	MUST_FAIL(LEDGER_UNREACHABLE, go(&s, &count));
	assert_int_equal(count, 0);
	assert_int_equal(cursor(&s), 0);
	char path[128];
	struct stat st;
	assert_int_equal(stat(path_in(p, "tries", path), &st), 0);
	assert_int_equal(st.st_size, 2 * 3);
	MUST(ledger_handler_failing(s.writer, SLICE("h"), &failing, &err));
	assert_int_equal(failing.position, 1);
	assert_int_equal(failing.failures, 3);
	end(&s);
}

static void what_fails_too_often_is_parked_with_what_follows_in_its_stream(void **state)
{
	struct stage s;
	uint64_t count;
	begin(&s, *state, "[ \"$LEDGER_EVENT_STREAM\" != p/bad ] || [ -e mended ]");
	put(&s, "p/bad", "1");
	put(&s, "p/good", "1");
	put(&s, "p/bad", "2");
	s.handler.park_after = 1;
	MUST(go(&s, &count));
	assert_int_equal(count, 3);
	assert_int_equal(s.parked, 2);
	assert_int_equal(cursor(&s), 3);
	struct ledger_handler_run *run;
	MUST(ledger_handler_open(&run, &s.options, &s.handler, 1, 0, &err));
	MUST_FAIL(LEDGER_CONFLICT, ledger_handler_retry(run, 3, &err));
	MUST_FAIL(LEDGER_UNREACHABLE, ledger_handler_retry(run, 1, &err));
	MUST_FAIL(LEDGER_NO, ledger_handler_retry(run, 2, &err));
	char path[128];
	fclose(fopen(path_in(*state, "mended", path), "w"));
	MUST(ledger_handler_retry(run, 1, &err));
	MUST(ledger_handler_retry(run, 3, &err));
	MUST_FAIL(LEDGER_NO, ledger_handler_retry(run, 3, &err));
	ledger_handler_close(run);
	end(&s);
}

static void a_program_gets_what_upcasters_make(void **state)
{
	struct stage s;
	uint64_t count;
	begin(&s, *state, "[ \"$LEDGER_EVENT_SCHEMA $(cat)\" = '2 {\"n\":17}' ]");
	s.handler.rules = &upcasting;
	put(&s, "p/1", "17");
	MUST(go(&s, &count));
	assert_int_equal(count, 1);
	s.handler.mode = LEDGER_HANDLER_LINES;
	s.exec[2] = "read -r line; case $line in *'\"schema\":2,'*'\"payload\":{\"n\":18}'*) ;; *) "
		    "exit 1 ;; "
		    "esac; id=${line#*'\"id\":\"'}; echo \"ok ${id%%'\"'*}\"; cat";
	put(&s, "p/1", "18");
	MUST(go(&s, &count));
	assert_int_equal(count, 1);
	end(&s);
}

static void one_is_opened_by_one_process_at_a_time(void **state)
{
	struct place *p = *state;
	struct stage s;
	struct ledger_handler_run *first, *second = NULL;
	p->options.timeout = TIME_SECOND / 100;
	begin(&s, p, "true");
	MUST(ledger_handler_open(&first, &s.options, &s.handler, 1, 0, &err));
	MUST_FAIL(LEDGER_BUSY, ledger_handler_open(&second, &s.options, &s.handler, 1, 0, &err));
	assert_null(second);
	ledger_handler_close(first);
	MUST(ledger_handler_open(&first, &s.options, &s.handler, 1, 0, &err));
	ledger_handler_close(first);
	end(&s);
}

static void a_cursor_of_another_history_is_refused(void **state)
{
	const struct place *p = *state;
	struct stage s;
	struct ledger_handler_run *run = NULL;
	uint64_t count;
	begin(&s, p, "true");
	put(&s, "p/1", "1");
	MUST(go(&s, &count));
	run_sql(p->db, "update cursor set hash = zeroblob(32)");
	MUST_FAIL(LEDGER_REFUSED, ledger_handler_open(&run, &s.options, &s.handler, 1, 0, &err));
	end(&s);
}

#define ON_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_say_most_about_an_event_take_it),
		cmocka_unit_test(the_schema_that_counts_is_that_behind_the_upcasters),
		ON_PLACE(the_cursor_moves_behind_what_was_handled),
		ON_PLACE(a_choice_of_events_reads_and_moves_no_cursor),
		ON_PLACE(what_fails_is_tried_again_then_it_stops_before_it),
		ON_PLACE(what_fails_too_often_is_parked_with_what_follows_in_its_stream),
		ON_PLACE(a_program_gets_what_upcasters_make),
		ON_PLACE(one_is_opened_by_one_process_at_a_time),
		ON_PLACE(a_cursor_of_another_history_is_refused),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
