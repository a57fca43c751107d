/* append - record events. */
#include "append.h"

#include <inttypes.h>
#include <unistd.h>

#include "../lib/own.h"
#include "answers.h"
#include "claims.h"
#include "command.h"
#include "operands.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

#define BATCH_MAX 100000

static const char *domain, *type, *stream, *correlation, *causation, *id, *once, *when, *expect,
	*cursor;
static struct opt_list tag_list, meta_list, fail_if_list;
static struct opt_u64 schema, after, wait_nodes;
static uint64_t within;
static uint64_t batch = 10000;
static bool atomic, at_owner, create, dry_run;

static const struct opt opts[] = {
	{ 'd', "domain", "business area of the event", "<domain>", .str = &domain,
		.complete = COMPLETE_DOMAIN },
	{ 't', "type", "what happened", "<type>", .str = &type, .complete = COMPLETE_TYPE },
	{ 's', "stream", "what it happened to, type/key", "<stream>", .str = &stream,
		.complete = COMPLETE_STREAM },
	{ 0, "tag", "a tag name:value, repeatable", "<tag>", .list = &tag_list,
		.complete = COMPLETE_TAG },
	{ 0, "meta", "a member of the metadata, repeatable", "<name=text|name:=json>",
		.list = &meta_list },
	{ 0, "correlation", "correlation_id of the metadata", "<id>", .str = &correlation },
	{ 0, "causation", "causation_id of the metadata", "<id>", .str = &causation },
	{ 0, "id", "the event's id, instead of a new one", "<uuid>", .str = &id },
	{ 0, "once", "record only once what has this key", "<key>", .str = &once },
	{ 0, "schema", "version of the type, 1 by default", "<n>", .maybe_u64 = &schema },
	{ 0, "time", "when it happened, now by default", "<time>", .str = &when },
	{ 0, "expect", "version that the stream must have", "<any|none|exists|N>", .str = &expect },
	{ 0, "create", "a new stream: claim it, and --expect none", NULL, .flag = &create },
	{ 0, "fail-if", "refuse if an event matches, repeatable", "<query>",
		.list = &fail_if_list },
	{ 0, "after", "ask --fail-if only behind this position", "<position>",
		.maybe_u64 = &after },
	{ 0, "at-owner", "let the owner of the stream record it", NULL, .flag = &at_owner },
	{ 0, "cursor", "move a cursor in the same transaction", "<NAME=POS>", .str = &cursor,
		.complete = COMPLETE_CURSOR },
	{ 0, "atomic", "all lines in one transaction", NULL, .flag = &atomic },
	{ 0, "dry-run", "check everything, record nothing", NULL, .flag = &dry_run },
	{ 0, "batch", "events in a transaction, at most (10000)", "<n>", .u64 = &batch },
	{ 0, "wait", "until so many other nodes have proven that they store it", "<n>",
		.maybe_u64 = &wait_nodes },
	{ 0, "within", "with --wait: wait so long at most (10s)", "<duration>",
		.duration = &within },
	{ 0 },
};

static enum ledger_status out_of_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* --- What goes together ---------------------------------------------------------------------- */

/* The first flag given that speaks of one event, NULL without one. */
static const char *flag_of_one_event(void)
{
	const struct {
		const char *name;
		bool given;
	} flags_of_one[] = {
		{ "--expect", expect },
		{ "--create", create },
		{ "--fail-if", fail_if_list.n },
		{ "--after", after.given },
		{ "--cursor", cursor },
		{ "--id", id },
		{ "--once", once },
	};
	for (size_t i = 0; i < sizeof(flags_of_one) / sizeof(flags_of_one[0]); i++)
		if (flags_of_one[i].given)
			return flags_of_one[i].name;
	return NULL;
}

static enum ledger_status check_flags(bool from_lines, struct ledger_error *err)
{
	const char *flag = flag_of_one_event();
	if (from_lines && !atomic && flag) {
		fail(err, LEDGER_USAGE, "%s goes with one event, or with --atomic", flag);
		return hint(err,
			"give the payload as an operand (- takes it from stdin), or add --atomic; "
			"a line can have an \"id\" of its own");
	}
	if (id && once)
		return fail(err, LEDGER_USAGE, "--id and --once both give the id");
	if (at_owner &&
		(from_lines || create || dry_run || wait_nodes.given || cursor || fail_if_list.n)) {
		fail(err, LEDGER_USAGE,
			"--at-owner goes with one event as operands, and of the conditions with "
			"--expect "
			"alone");
		return hint(err, "for many, write a command for each: see ledgerbox send");
	}
	if (once && !once[0]) {
		fail(err, LEDGER_USAGE, "--once has an empty key");
		return hint(err,
			"a variable that was never set? the key tells this event from all others");
	}
	if (after.given && fail_if_list.n == 0)
		return fail(err, LEDGER_USAGE, "--after goes with --fail-if");
	if (batch < 1 || batch > BATCH_MAX)
		return fail(err, LEDGER_USAGE, "--batch %" PRIu64 " is not between 1 and %d", batch,
			BATCH_MAX);
	return LEDGER_OK;
}

/* --- Conditions ------------------------------------------------------------------------------ */

static enum ledger_status read_expect(struct ledger_condition *c, struct ledger_error *err)
{
	struct slice word = slice_of(expect);
	c->create = create;
	if (create) {
		c->expect = LEDGER_EXPECT_NONE;
		return !expect || slice_is(word, "none")
			       ? LEDGER_OK
			       : fail(err, LEDGER_USAGE, "--create means --expect none, not %.64s",
					 expect);
	}
	if (!expect || slice_is(word, "any"))
		return LEDGER_OK;
	if (slice_is(word, "none"))
		c->expect = LEDGER_EXPECT_NONE;
	else if (slice_is(word, "exists"))
		c->expect = LEDGER_EXPECT_EXISTS;
	else if (slice_u64(word, &c->version))
		c->expect = LEDGER_EXPECT_VERSION;
	else
		return fail(err, LEDGER_USAGE,
			"--expect '%.64s' is not any, none, exists or a version", expect);
	return LEDGER_OK;
}

static enum ledger_status read_queries(
	struct ledger_condition *c, struct arena *arena, struct ledger_error *err)
{
	struct ledger_query_item *items = arena_array(arena, fail_if_list.n, sizeof(*items));
	if (!items)
		return out_of_memory(err);
	for (size_t i = 0; i < fail_if_list.n; i++)
		if (ledger_query_parse(slice_of(fail_if_list.items[i]), &items[i], err) !=
			LEDGER_OK)
			return fail_in(err, "--fail-if: ");
	c->fail_if = items;
	c->n_fail_if = fail_if_list.n;
	c->after = after.value;
	return LEDGER_OK;
}

static enum ledger_status read_cursor(struct ledger_condition *c, struct ledger_error *err)
{
	struct slice position;
	if (!cursor || (slice_cut(slice_of(cursor), '=', &c->cursor, &position) &&
			       slice_u64(position, &c->cursor_position)))
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "--cursor '%.64s' is not NAME=POSITION", cursor);
	return hint(err, "for example --cursor invoices=42");
}

static enum ledger_status read_condition(
	struct ledger_condition *c, struct arena *arena, struct ledger_error *err)
{
	TRY(read_expect(c, err));
	TRY(read_cursor(c, err));
	return fail_if_list.n ? read_queries(c, arena, err) : LEDGER_OK;
}

/* --- Defaults -------------------------------------------------------------------------------- */

/* The members that --meta, --correlation and --causation give, and the object they make together. */
struct members {
	struct draft_member *items;
	size_t n;
	struct buf object;
	struct arena *arena;
};

static enum ledger_status add_member(
	struct members *m, struct slice name, struct slice json, struct ledger_error *err)
{
	struct draft_member *member = &m->items[m->n++];
	*member = (struct draft_member){ name, arena_copy(m->arena, json) };
	buf_add_char(&m->object, m->n == 1 ? '{' : ',');
	buf_add_slice(&m->object, json);
	return member->json.ptr ? LEDGER_OK : out_of_memory(err);
}

static enum ledger_status add_pair(struct members *m, const char *pair, struct ledger_error *err)
{
	CLEANUP_BUF struct buf json = { 0 };
	struct slice name;
	if (operand_add_pair(slice_of(pair), &name, &json, err) != LEDGER_OK)
		return fail_in(err, "--meta: ");
	return add_member(m, name, buf_slice(&json), err);
}

static enum ledger_status add_text(
	struct members *m, const char *name, const char *text, struct ledger_error *err)
{
	CLEANUP_BUF struct buf json = { 0 };
	if (!text)
		return LEDGER_OK;
	if (!slice_is_utf8(slice_of(text)))
		return fail(err, LEDGER_INVALID, "%s is not UTF-8", name);
	json_add_string(&json, slice_of(name));
	buf_add_char(&json, ':');
	json_add_string(&json, slice_of(text));
	TRY(buf_check(&json, err));
	return add_member(m, slice_of(name), buf_slice(&json), err);
}

static enum ledger_status add_members(struct members *m, struct ledger_error *err)
{
	for (size_t i = 0; i < meta_list.n; i++)
		TRY(add_pair(m, meta_list.items[i], err));
	TRY(add_text(m, "correlation_id", correlation, err));
	TRY(add_text(m, "causation_id", causation, err));
	buf_add_char(&m->object, '}');
	TRY(buf_check(&m->object, err));
	if (m->n && json_check_unique(buf_slice(&m->object), err) != LEDGER_OK)
		return fail_in(err, "metadata of the flags: ");
	return LEDGER_OK;
}

static enum ledger_status read_metadata(
	struct draft_defaults *d, struct arena *arena, struct ledger_error *err)
{
	struct members m = { .items = arena_array(arena, meta_list.n + 2, sizeof(*m.items)),
		.arena = arena };
	if (!m.items)
		return out_of_memory(err);
	enum ledger_status status = add_members(&m, err);
	if (status == LEDGER_OK && m.n) {
		d->members = m.items;
		d->n_members = m.n;
		d->metadata = arena_copy(arena, buf_slice(&m.object));
		if (!d->metadata.ptr)
			status = out_of_memory(err);
	}
	buf_done(&m.object);
	return status;
}

static enum ledger_status read_tags(
	struct draft_defaults *d, struct arena *arena, struct ledger_error *err)
{
	struct slice *tags = arena_array(arena, tag_list.n, sizeof(*tags));
	if (!tags)
		return out_of_memory(err);
	for (size_t i = 0; i < tag_list.n; i++)
		tags[i] = slice_of(tag_list.items[i]);
	d->tags = tags;
	d->n_tags = tag_list.n;
	return LEDGER_OK;
}

static enum ledger_status read_defaults(
	struct draft_defaults *d, struct arena *arena, struct ledger_error *err)
{
	d->domain = slice_of(domain);
	d->type = slice_of(type);
	d->stream = slice_of(stream);
	d->schema = schema.given ? schema.value : 1;
	if (schema.given && schema.value == 0)
		return fail(err, LEDGER_INVALID, "--schema counts from 1");
	if (when) {
		struct time_context context = { .now = time_now() };
		TRY(time_parse_words(slice_of(when), &context, &d->time, err));
		d->has_time = true;
	}
	TRY(read_tags(d, arena, err));
	return read_metadata(d, arena, err);
}

/* --- One event ------------------------------------------------------------------------------- */

static enum ledger_status record_one(const struct append *a, const struct ledger_new *event,
	struct ledger_answer *answer, struct ledger_error *err)
{
	if (!a->dry_run)
		return ledger_append(a->ledger, event, 1, &a->condition, answer, err);
	TRY(ledger_begin(a->ledger, err));
	enum ledger_status status = ledger_add(a->ledger, event, &a->condition, answer, err);
	ledger_rollback(a->ledger);
	return status;
}

static enum ledger_status answer_one(
	const struct append *a, const struct ledger_answer *answer, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	answer_add(&text, answer);
	answers_warn(a->ledger);
	enum ledger_status status = answers_print(buf_slice(&text), err);
	return status == LEDGER_OK || a->dry_run ? status : answers_lost(answer->position, err);
}

static enum ledger_status append_operands(const struct append *a, int n, char **operands,
	struct arena *arena, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct draft d = { 0 };
	struct ledger_new event;
	struct ledger_answer answer;
	TRY(operands_payload(n, operands, &text, &d.event.payload, err));
	TRY(append_complete(a, 1, &d, arena, &event, err));
	if (a->at_owner)
		return append_at_owner(a, &event, err);
	TRY(record_one(a, &event, &answer, err));
	return answer_one(a, &answer, err);
}

/* --- The command ----------------------------------------------------------------------------- */

static enum ledger_status read_flags(
	struct append *a, bool from_lines, struct arena *arena, struct ledger_error *err)
{
	TRY(check_flags(from_lines, err));
	if (id && !uuid_parse(slice_of(id), a->id)) {
		fail(err, LEDGER_INVALID, "id '%.64s' is not a UUID", id);
		return hint(err, "for a number of your own use --once KEY");
	}
	a->has_id = id;
	a->once = slice_of(once);
	a->dry_run = dry_run;
	a->at_owner = at_owner;
	a->batch = (size_t)batch;
	TRY(read_condition(&a->condition, arena, err));
	return read_defaults(&a->defaults, arena, err);
}

/* Not to hang in silence: say what is waited for. */
static void note_terminal(const char *what)
{
	if (isatty(STDIN_FILENO))
		note("reading %s from the terminal, end with Ctrl-D", what);
}

static enum ledger_status record(const struct append *a, int argc, char **argv, struct arena *arena,
	struct ledger_error *err)
{
	if (argc > 0)
		return append_operands(a, argc, argv, arena, err);
	/* A dry run in batches would forget each batch before the next. */
	return atomic || dry_run ? append_atomic(a, err) : append_lines(a, err);
}

/* What this node owes to those it offered streams to; an offer that has expired ends here. */
static enum ledger_status settle_owners(struct ledger *l, struct ledger_error *err)
{
	uint64_t done;
	do
		TRY(ledger_own_step(l, &done, err));
	while (done);
	return LEDGER_OK;
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	struct append a = { .ledger = l };
	if (within && !wait_nodes.given)
		return fail(err, LEDGER_USAGE, "--within goes with --wait");
	TRY(read_flags(&a, argc == 0, &arena, err));
	if (!dry_run && settings.n_owned)
		TRY(settle_owners(l, err));
	if (dry_run)
		note("dry run: nothing is recorded, the answers are what they would be");
	if (argc == 0)
		note_terminal("event lines");
	if (argc == 1 && strcmp(argv[0], "-") == 0)
		note_terminal("the payload");
	enum ledger_status status = record(&a, argc, argv, &arena, err);
	claims_done();
	TRY(status);
	if (!wait_nodes.given || dry_run)
		return LEDGER_OK;
	return append_wait(l, wait_nodes.value, within ? within : 10 * TIME_SECOND, err);
}

const struct command cmd_append = {
	.name = "append",
	.summary = "Record events.",
	.operands = "[PAYLOAD | @FILE | - | NAME=TEXT NAME:=JSON ...]",
	.opens = OPENS_WRITE,
	.opts = opts,
	.examples = "ledgerbox append -d inventory -t stock_adjusted -s product/sku-1 "
		    "'{\"delta\":-2}'\n"
		    "ledgerbox append -d inventory -t stock_adjusted sku=sku-1 delta:=-2\n"
		    "ledgerbox append < events.jsonl\n",
	.run = run,
};
