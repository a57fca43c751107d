#include "filter.h"

#include "output.h"
#include "render.h"

#include "../lib/base/banned.h"

/* SQLite's integers end here; nothing is behind it. */
#define POSITION_MAX ((uint64_t)INT64_MAX)

struct filter_words filter_words;

typedef enum ledger_status check_fn(struct slice value, struct ledger_error *err);

/* What one repeatable option takes. */
struct rule {
	const char *option;
	const struct opt_list *list;
	bool commas; /* a comma separates values: it cannot stand in one */
	check_fn *check;
};

static enum ledger_status check_token(struct slice value, struct ledger_error *err)
{
	if (slice_is_token(value))
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "'%.*s' is not a name", value.len < 80 ? (int)value.len : 80,
		value.ptr);
	return hint(err, "1 to 64 of A-Z a-z 0-9 _ -, several separated by commas");
}

/* A stream, or a stream type with a slash behind it. */
static enum ledger_status check_stream(struct slice value, struct ledger_error *err)
{
	struct slice type, key;
	if (slice_cut(value, '/', &type, &key) && key.len == 0 && slice_is_token(type))
		return LEDGER_OK;
	return event_check_stream(value, err);
}

static enum ledger_status check_correlation(struct slice value, struct ledger_error *err)
{
	if (value.len)
		return LEDGER_OK;
	return fail(err, LEDGER_USAGE, "the correlation id is empty");
}

static size_t count_values(const struct rule *rule)
{
	size_t n = rule->list->n;
	for (size_t i = 0; rule->commas && i < rule->list->n; i++)
		for (const char *p = rule->list->items[i]; *p; p++)
			n += *p == ',';
	return n;
}

static enum ledger_status check_value(
	const struct rule *rule, struct slice value, struct ledger_error *err)
{
	if (rule->check(value, err) == LEDGER_OK)
		return LEDGER_OK;
	err->status = LEDGER_USAGE;
	return fail_in(err, "--%s: ", rule->option);
}

enum ledger_status filter_check_stream(
	const char *option, const char *value, struct ledger_error *err)
{
	const struct rule rule = { .option = option, .check = check_stream };
	return value ? check_value(&rule, slice_of(value), err) : LEDGER_OK;
}

static enum ledger_status resolve_list(const struct rule *rule, struct arena *arena,
	const struct slice **values, size_t *n, struct ledger_error *err)
{
	if (rule->list->n == 0)
		return LEDGER_OK;
	struct slice *out = arena_array(arena, count_values(rule), sizeof(*out));
	if (!out)
		return fail(
			err, LEDGER_NO_MEMORY, "no memory for the values of --%s", rule->option);
	size_t count = 0;
	for (size_t i = 0; i < rule->list->n; i++) {
		struct slice rest = slice_of(rule->list->items[i]), head;
		while (rule->commas && slice_cut(rest, ',', &head, &rest)) {
			TRY(check_value(rule, head, err));
			out[count++] = head;
		}
		TRY(check_value(rule, rest, err));
		out[count++] = rest;
	}
	*values = out;
	*n = count;
	return LEDGER_OK;
}

static enum ledger_status resolve_lists(
	struct ledger_filter *f, struct arena *a, struct ledger_error *err)
{
	static const struct rule domain = { "domain", &filter_words.domains, true, check_token };
	static const struct rule type = { "type", &filter_words.types, true, event_check_type };
	static const struct rule stream = { "stream", &filter_words.streams, false, check_stream };
	static const struct rule tag = { "tag", &filter_words.tags, false, event_check_tag };
	static const struct rule origin = { "origin", &filter_words.origins, true, check_token };
	static const struct rule correlation = { "correlation", &filter_words.correlations, false,
		check_correlation };
	TRY(resolve_list(&domain, a, &f->domains, &f->n_domains, err));
	TRY(resolve_list(&type, a, &f->types, &f->n_types, err));
	TRY(resolve_list(&stream, a, &f->streams, &f->n_streams, err));
	TRY(resolve_list(&tag, a, &f->tags, &f->n_tags, err));
	TRY(resolve_list(&origin, a, &f->origins, &f->n_origins, err));
	return resolve_list(&correlation, a, &f->correlations, &f->n_correlations, err);
}

/* In a filter 0 is "no bound", and these bounds end before anything: an empty range instead. */
static void match_nothing(struct ledger_filter *f)
{
	f->from = POSITION_MAX;
	f->to = 1;
}

static enum ledger_status resolve_positions(struct ledger_filter *f, struct ledger_error *err)
{
	const struct filter_words *w = &filter_words;
	if (w->from.given && w->after.given)
		return fail(err, LEDGER_USAGE, "--from and --after are two places to begin");
	if (w->from.given)
		f->from = w->from.value < POSITION_MAX ? w->from.value : POSITION_MAX;
	if (w->after.given)
		f->from = w->after.value < POSITION_MAX ? w->after.value + 1 : POSITION_MAX;
	if (w->to.given)
		f->to = w->to.value < POSITION_MAX ? w->to.value : POSITION_MAX;
	if (w->to.given && f->to == 0)
		match_nothing(f);
	return LEDGER_OK;
}

/* Does the text say by itself which moment it means, wherever it is read? */
static bool is_exact(const char *text)
{
	uint64_t us;
	struct ledger_error ignored;
	return !text || text[0] == '@' || time_parse(slice_of(text), &us, &ignored) == LEDGER_OK;
}

static void say_range(const struct ledger_filter *f)
{
	char since[RENDER_TIME_MAX], until[RENDER_TIME_MAX];
	render_moment(f->since, filter_words.utc, since);
	render_moment(f->until, filter_words.utc, until);
	if (f->since && f->until)
		note("since %s until %s", since, until);
	else if (f->since)
		note("since %s", since);
	else
		note("until %s", until);
}

static enum ledger_status parse_time(const char *option, const char *text,
	const struct time_context *context, uint64_t *us, struct ledger_error *err)
{
	if (!text || time_parse_words(slice_of(text), context, us, err) == LEDGER_OK)
		return LEDGER_OK;
	err->status = LEDGER_USAGE;
	return fail_in(err, "--%s: ", option);
}

static enum ledger_status parse_day(
	const struct time_context *context, struct ledger_filter *f, struct ledger_error *err)
{
	const char *on = filter_words.on;
	if (!on || time_parse_day(slice_of(on), context, &f->since, &f->until, err) == LEDGER_OK)
		return LEDGER_OK;
	err->status = LEDGER_USAGE;
	return fail_in(err, "--on: ");
}

static enum ledger_status resolve_times(struct ledger_filter *f, struct ledger_error *err)
{
	const struct filter_words *w = &filter_words;
	if (w->on && (w->since || w->until))
		return fail(err, LEDGER_USAGE,
			"--on is a whole day: it does not go with --since or --until");
	struct time_context context = { .now = time_now(), .utc = w->utc };
	TRY(parse_day(&context, f, err));
	TRY(parse_time("since", w->since, &context, &f->since, err));
	TRY(parse_time("until", w->until, &context, &f->until, err));
	if (w->until && f->until == 0)
		match_nothing(f);
	else if (w->on || !is_exact(w->since) || !is_exact(w->until))
		say_range(f);
	return LEDGER_OK;
}

enum ledger_status filter_resolve(
	struct ledger_filter *filter, struct arena *arena, struct ledger_error *err)
{
	struct ledger_filter f = { 0 };
	TRY(resolve_lists(&f, arena, err));
	TRY(resolve_positions(&f, err));
	TRY(resolve_times(&f, err));
	*filter = f;
	return LEDGER_OK;
}

bool filter_is_bounded(void)
{
	const struct filter_words *w = &filter_words;
	return filter_has_start() || w->to.given || w->since || w->until || w->on;
}

bool filter_has_start(void)
{
	return filter_words.from.given || filter_words.after.given;
}
