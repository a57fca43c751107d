/*
 * A line of `append`: read, completed from the flags, recorded, read back. What comes back is what
 * went in, and its event line is one line of JSON.
 */
#include "fuzz.h"

#include "../../cmd/draft.h"
#include "../../cmd/operands.h"

/* One ledger takes so many, then another begins. */
#define EVENTS_MAX 2000

static struct ledger *ledger(void)
{
	static struct ledger *l;
	static struct ledger_options options;
	static unsigned used;
	if (!l)
		options = fuzz_options();
	if (!l || ++used > EVENTS_MAX) {
		ledger_close(l);
		l = fuzz_ledger(&options);
		used = 0;
	}
	return l;
}

static bool same(struct slice a, struct slice b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && slice_eq(a, b);
}

static void claim_line(const struct event *event)
{
	CLEANUP_BUF struct buf line = { 0 };
	struct ledger_error err;
	struct slice value, payload;
	event_add_line(&line, event);
	CLAIM(!line.failed && line.len <= EVENT_LINE_MAX);
	CLAIM(!memchr(line.ptr, '\n', line.len) && !memchr(line.ptr, '\r', line.len));
	CLAIM(json_check_line(buf_slice(&line), &value, &err) == LEDGER_OK);
	CLAIM(json_check_unique(value, &err) == LEDGER_OK);
	CLAIM(json_member(value, SLICE("payload"), &payload) && slice_eq(payload, event->payload));
}

static enum ledger_status compare(
	const struct event *event, void *context, struct ledger_error *err)
{
	const struct ledger_new *new = context;
	CLEANUP_BUF struct buf flat = { 0 };
	struct slice value, rest = event->tags, tag;
	CLAIM(json_check(new->payload, &value, err) == LEDGER_OK);
	json_add_flat(&flat, value);
	CLAIM(slice_eq(buf_slice(&flat), event->payload));
	CLAIM(same(new->domain, event->domain) && same(new->type, event->type));
	CLAIM(same(new->stream, event->stream) && new->schema == event->schema);
	CLAIM(!new->has_time || new->time == event->time);
	CLAIM((new->metadata.ptr == NULL) == (event->metadata.ptr == NULL));
	for (size_t i = 0; i < new->n_tags; i++) {
		bool found = false;
		for (rest = event->tags; event_next_tag(&rest, &tag);)
			found = found || slice_eq(tag, new->tags[i]);
		CLAIM(found);
	}
	claim_line(event);
	return LEDGER_OK;
}

static void record(const struct ledger_new *new)
{
	struct ledger_error err = { 0 };
	struct ledger_answer answer;
	struct ledger *l = ledger();
	enum ledger_status status = ledger_append(l, new, 1, NULL, &answer, &err);
	fuzz_claim_error(status, &err);
	/* An id that another input had, with other content. */
	CLAIM(status == LEDGER_OK || (status == LEDGER_CONFLICT && new->has_id));
	CLEANUP_BUF struct buf at = { 0 };
	buf_add_u64(&at, answer.position);
	if (status == LEDGER_OK)
		MUST(ledger_find(l, buf_slice(&at), compare, (void *)(uintptr_t) new, &err));
}

/* The same bytes as NAME=TEXT or NAME:=JSON of the command line. */
static void claim_pair(struct slice text)
{
	CLEANUP_BUF struct buf object = { 0 };
	struct ledger_error err = { 0 };
	struct slice name, value;
	buf_add_char(&object, '{');
	enum ledger_status status = operand_add_pair(text, &name, &object, &err);
	fuzz_claim_error(status, &err);
	buf_add_char(&object, '}');
	if (status == LEDGER_OK)
		CLAIM(json_check_line(buf_slice(&object), &value, &err) == LEDGER_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct slice tags[] = { SLICE_INIT("from:flags") };
	static const struct draft_member members[] = {
		{ SLICE_INIT("actor"), SLICE_INIT("\"actor\":\"fuzz\"") },
	};
	static const struct draft_defaults defaults = {
		.domain = SLICE_INIT("inventory"),
		.type = SLICE_INIT("counted"),
		.tags = tags,
		.n_tags = 1,
		.schema = 1,
		.members = members,
		.n_members = 1,
		.metadata = SLICE_INIT("{\"actor\":\"fuzz\"}"),
	};
	CLEANUP_ARENA struct arena arena = { 0 };
	struct slice line = { (const char *)bytes, size };
	struct ledger_error err = { 0 };
	struct draft draft;
	struct ledger_new new = { 0 };
	if (size == 0)
		line = SLICE("");
	claim_pair(line);
	enum ledger_status status = draft_from_line(&draft, line, &arena, &err);
	if (status == LEDGER_OK)
		status = draft_fill(&draft, &defaults, &arena, &err);
	if (status == LEDGER_OK)
		status = draft_finish(&draft, &arena, &new, &err);
	if (status == LEDGER_OK)
		status = ledger_check_new(&new, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_INVALID);
	if (status == LEDGER_OK)
		record(&new);
	return 0;
}
