/* Mode each: a process per event. Its payload is a line on stdin, its other fields are the environment. */
#include "handler.h"

#include <inttypes.h>
#include <sys/wait.h>

#include "../base/banned.h"

/* Of what it prints so much is handed on. */
#define OUTPUT_MAX (64u << 10)

#define VARIABLES_MAX 64

struct environment {
	struct arena arena;
	const char *items[VARIABLES_MAX + 1]; /* NULL at the end */
	size_t n;
	bool failed;
};

#define CLEANUP_ENVIRONMENT __attribute__((cleanup(environment_done)))

static void environment_done(struct environment *e)
{
	arena_done(&e->arena);
}

static void add(struct environment *e, const char *item)
{
	e->failed = e->failed || !item || e->n == VARIABLES_MAX;
	if (!e->failed)
		e->items[e->n++] = item;
}

/* An absent value is a variable that is not there. */
static void add_text(struct environment *e, const char *name, struct slice value)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (!value.ptr)
		return;
	buf_addf(&text, "LEDGER_%s=", name);
	buf_add_slice(&text, value);
	add(e, text.failed ? NULL : arena_copy(&e->arena, buf_slice(&text)).ptr);
}

static void add_number(struct environment *e, const char *name, uint64_t value)
{
	char text[24];
	CLEANUP_BUF struct buf b = { 0 };
	buf_add_u64(&b, value);
	size_t n = b.len < sizeof(text) ? b.len : 0;
	memcpy(text, n ? b.ptr : "", n);
	add_text(e, name, (struct slice){ text, n });
}

static void add_time(struct environment *e, const char *name, uint64_t us)
{
	char text[TIME_TEXT_MAX];
	time_format(us, text);
	add_text(e, name, slice_of(text));
}

static void add_event(struct environment *e, const struct event *event)
{
	char id[UUID_TEXT_MAX];
	CLEANUP_BUF struct buf hash = { 0 };
	uuid_format(event->id, id);
	buf_add_hex(&hash, event->hash, EVENT_HASH_SIZE);
	add_text(e, "EVENT_ID", slice_of(id));
	add_number(e, "EVENT_POSITION", event->position);
	add_text(e, "EVENT_ORIGIN", event->origin);
	add_number(e, "EVENT_EPOCH", event->epoch);
	add_text(e, "EVENT_DOMAIN", event->domain);
	add_number(e, "EVENT_SEQUENCE", event->sequence);
	add_text(e, "EVENT_STREAM", event->stream);
	if (event->stream.ptr)
		add_number(e, "EVENT_VERSION", event->version);
	add_text(e, "EVENT_TYPE", event->type);
	add_number(e, "EVENT_SCHEMA", event->schema);
	add_time(e, "EVENT_CLOCK", event->clock);
	add_time(e, "EVENT_TIME", event->time);
	add_text(e, "EVENT_TAGS", event->tags);
	add_text(e, "EVENT_METADATA", event->metadata);
	add_text(e, "EVENT_HASH", buf_slice(&hash));
}

static enum ledger_status make_environment(const struct ledger_handler_run *run,
	const struct event *event, struct environment *e, struct ledger_error *err)
{
	for (const char *const *item = run->options.environment; *item; item++)
		add(e, *item);
	add_text(e, "HANDLER", slice_of(run->handler->name));
	add_event(e, event);
	return e->failed ? fail(err, LEDGER_NO_MEMORY, "out of memory") : LEDGER_OK;
}

static enum ledger_status judge(struct ledger_handler_run *run, struct page_event *e,
	bool timed_out, struct ledger_error *err)
{
	CLEANUP_BUF struct buf reason = { 0 };
	int status = run->process.status;
	if (!timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		e->state = PAGE_DONE;
		return LEDGER_OK;
	}
	e->timed_out = timed_out;
	if (timed_out)
		buf_addf(&reason, "it had not ended after %" PRIu64 " ms",
			run->handler->timeout / 1000);
	else
		process_add_end(&reason, status);
	return handler_failed(run, e, buf_slice(&reason), true, err);
}

enum ledger_status each_try(
	struct ledger_handler_run *run, struct page_event *e, struct ledger_error *err)
{
	CLEANUP_ENVIRONMENT struct environment environment = { 0 };
	struct process_spec spec = { run->handler->exec, environment.items, run->options.folder };
	bool timed_out;
	TRY(make_environment(run, &e->event, &environment, err));
	buf_reset(&run->text);
	buf_reset(&run->last_said);
	buf_add_slice(&run->text, e->event.payload);
	buf_add_char(&run->text, '\n');
	TRY(buf_check(&run->text, err));
	TRY(process_run(&run->process, &spec, buf_slice(&run->text), OUTPUT_MAX,
		run->handler->timeout, &timed_out, err));
	handler_say(run, &run->process.output, true);
	handler_say(run, &run->process.complaint, true);
	return judge(run, e, timed_out, err);
}
