/*
 * Reading: whatever the filter, the events are those that a plain scan of the file finds, in order. The
 * ledger is the golden one: several origins, epochs and domains, late events, marks.
 */
#include "ledger_fixture.h"

#define EVENTS	2600
#define FILTERS 3000

static struct ledger_error err;

/* --- The file, read by SQL ------------------------------------------------------------------- */

struct known {
	uint64_t position, time;
	char *origin, *domain, *type, *stream, *tags, *correlation; /* NULL: none */
};

static struct known known[EVENTS];
static struct place *golden;
static struct ledger *ledger;
static uint64_t seed, random_state;

static char *copy_column(sqlite3_stmt *st, int at)
{
	const char *text = (const char *)sqlite3_column_text(st, at);
	return text ? strdup(text) : NULL;
}

static void load_known(const char *path)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	size_t n = 0;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db,
		"SELECT position, time, origin, name, type, stream, tags, "
		"json_extract(metadata, '$.correlation_id') "
		"FROM event JOIN chain ON chain.id = chain JOIN domain ON domain.id = chain.domain "
		"ORDER BY position",
		-1, &st, NULL);
	while (sqlite3_step(st) == SQLITE_ROW) {
		struct known *k = &known[n++];
		k->position = (uint64_t)sqlite3_column_int64(st, 0);
		k->time = (uint64_t)sqlite3_column_int64(st, 1);
		char **texts[] = { &k->origin, &k->domain, &k->type, &k->stream, &k->tags,
			&k->correlation };
		for (int i = 0; i < (int)COUNT(texts); i++)
			*texts[i] = copy_column(st, 2 + i);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	assert_int_equal(n, EVENTS);
}

static int open_golden(void **state)
{
	static char db[128];
	char number[16];
	(void)state;
	golden = place_empty();
	snprintf(number, sizeof(number), "%d", EVENTS);
	make_golden(golden, number);
	golden->options.path = path_in(golden, "golden.db", db);
	golden->options.mode = LEDGER_MODE_READ;
	golden->options.sign_key = NULL;
	load_known(db);
	ledger = open_ledger(&golden->options);
	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : time_now();
	random_state = seed;
	print_message("# SEED=%" PRIu64 "\n", seed);
	return 0;
}

static int close_golden(void **state)
{
	void *place = golden;
	(void)state;
	ledger_close(ledger);
	for (size_t i = 0; i < EVENTS; i++) {
		struct known *k = &known[i];
		char *texts[] = { k->origin, k->domain, k->type, k->stream, k->tags,
			k->correlation };
		for (size_t j = 0; j < COUNT(texts); j++)
			free(texts[j]);
	}
	return place_remove(&place);
}

/* --- Random filters -------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return (z ^ z >> 31) % below;
}

/* A word that some event has, now and then one that none has; for streams also "type/". */
static struct slice draw_word(size_t offset)
{
	const struct known *k = &known[draw(EVENTS)];
	const char *text = *(char *const *)(const void *)((const char *)k + offset);
	if (!text || draw(20) == 0)
		return SLICE("no:such");
	struct slice word = slice_of(text), rest;
	if (offset == offsetof(struct known, stream) && draw(3) == 0) {
		slice_cut(word, '/', &word, &rest);
		word.len++;
	} else if (offset == offsetof(struct known, tags)) {
		for (rest = word; event_next_tag(&rest, &word) && draw(2);)
			;
	}
	return word;
}

struct words {
	struct slice domains[3], types[3], streams[3], tags[3], origins[3], correlations[3];
};

static size_t draw_words(struct slice words[3], size_t offset)
{
	size_t n = draw(3) ? 0 : 1 + draw(3);
	for (size_t i = 0; i < n; i++)
		words[i] = draw_word(offset);
	return n;
}

/* A moment at or beside the time of an event; often the first or last of those of one mark. */
static uint64_t draw_time(void)
{
	uint64_t begin = draw(EVENTS / 1024) * 1024, last = draw(2),
		 time = known[draw(EVENTS)].time;
	if (draw(2)) {
		time = known[begin].time;
		for (uint64_t i = begin; i < begin + 1024; i++)
			if (last ? known[i].time > time : known[i].time < time)
				time = known[i].time;
	}
	return time + draw(3) - 1;
}

static struct ledger_filter draw_filter(struct words *w)
{
	struct ledger_filter f = {
		.domains = w->domains,
		.types = w->types,
		.streams = w->streams,
		.tags = w->tags,
		.origins = w->origins,
		.correlations = w->correlations,
	};
	if (draw(3) == 0)
		f.from = draw(EVENTS + 50);
	if (draw(3) == 0)
		f.to = draw(EVENTS + 50);
	if (draw(3) == 0)
		f.since = draw_time();
	if (draw(3) == 0)
		f.until = draw_time();
	f.n_domains = draw_words(w->domains, offsetof(struct known, domain));
	f.n_types = draw_words(w->types, offsetof(struct known, type));
	f.n_streams = draw_words(w->streams, offsetof(struct known, stream));
	f.n_tags = draw_words(w->tags, offsetof(struct known, tags));
	f.n_origins = draw_words(w->origins, offsetof(struct known, origin));
	f.n_correlations = draw_words(w->correlations, offsetof(struct known, correlation));
	f.limit = draw(3) ? 0 : 1 + draw(40);
	f.reverse = draw(2);
	return f;
}

/* --- The plain scan -------------------------------------------------------------------------- */

static bool any_is(const struct slice *words, size_t n, const char *text)
{
	bool found = n == 0;
	for (size_t i = 0; i < n && text; i++)
		found = found || slice_is(words[i], text);
	return found;
}

static bool any_stream(const struct ledger_filter *f, const char *stream)
{
	bool found = f->n_streams == 0;
	for (size_t i = 0; i < f->n_streams && stream; i++) {
		struct slice s = f->streams[i];
		bool all_of_type = s.ptr[s.len - 1] == '/';
		found = found ||
			(all_of_type ? strncmp(stream, s.ptr, s.len) == 0 : slice_is(s, stream));
	}
	return found;
}

static bool all_tags(const struct ledger_filter *f, const char *tags)
{
	for (size_t i = 0; i < f->n_tags; i++) {
		char padded[1024], wanted[256];
		snprintf(padded, sizeof(padded), " %s ", tags ? tags : "");
		snprintf(wanted, sizeof(wanted), " %.*s ", SLICE_ARG(f->tags[i]));
		if (!strstr(padded, wanted))
			return false;
	}
	return true;
}

static bool is_wanted(const struct ledger_filter *f, const struct known *k)
{
	return k->position >= f->from && (!f->to || k->position <= f->to) && k->time >= f->since &&
	       (!f->until || k->time < f->until) && any_is(f->domains, f->n_domains, k->domain) &&
	       any_is(f->types, f->n_types, k->type) &&
	       any_is(f->origins, f->n_origins, k->origin) &&
	       any_is(f->correlations, f->n_correlations, k->correlation) &&
	       any_stream(f, k->stream) && all_tags(f, k->tags);
}

struct positions {
	size_t n;
	uint64_t at[EVENTS];
};

static void scan(const struct ledger_filter *f, struct positions *out)
{
	out->n = 0;
	for (size_t i = 0; i < EVENTS && (!f->limit || out->n < f->limit); i++) {
		const struct known *k = &known[f->reverse ? EVENTS - 1 - i : i];
		if (is_wanted(f, k))
			out->at[out->n++] = k->position;
	}
}

static enum ledger_status add_position(
	const struct event *e, void *context, struct ledger_error *unused)
{
	struct positions *out = context;
	(void)unused;
	assert_true(out->n < EVENTS);
	assert_true(slice_is(e->type, known[e->position - 1].type));
	assert_true(slice_is(e->origin, known[e->position - 1].origin));
	out->at[out->n++] = e->position;
	return LEDGER_OK;
}

static void expect_same(const struct positions *got, const struct positions *want, int round)
{
	if (got->n != want->n)
		fail_msg("SEED=%" PRIu64 ", filter %d: %zu events instead of %zu", seed, round,
			got->n, want->n);
	for (size_t i = 0; i < got->n; i++)
		if (got->at[i] != want->at[i])
			fail_msg("SEED=%" PRIu64 ", filter %d: event %zu is %" PRIu64
				 " instead of %" PRIu64,
				seed, round, i, got->at[i], want->at[i]);
}

static void a_filter_finds_what_a_plain_scan_finds(void **state)
{
	static struct positions got, want;
	size_t found = 0;
	(void)state;
	for (int round = 0; round < FILTERS; round++) {
		struct words words;
		struct ledger_filter f = draw_filter(&words);
		got.n = 0;
		MUST(ledger_read(ledger, &f, add_position, &got, &err));
		scan(&f, &want);
		expect_same(&got, &want, round);
		found += want.n > 0;
	}
	assert_true(found > FILTERS / 10); /* else the filters ask for nothing */
}

static void the_last_n_begin_where_a_plain_scan_says(void **state)
{
	static struct positions want;
	(void)state;
	for (int round = 0; round < FILTERS / 3; round++) {
		struct words words;
		struct ledger_filter f = draw_filter(&words);
		uint64_t n = draw(30), from = 99;
		MUST(ledger_last(ledger, &f, n, &from, &err));
		f.limit = n;
		f.reverse = true;
		scan(&f, &want);
		uint64_t expected = n && want.n ? want.at[want.n - 1] : 0;
		if (from != expected)
			fail_msg("SEED=%" PRIu64 ", filter %d: %" PRIu64 " instead of %" PRIu64,
				seed, round, from, expected);
	}
}

/* --- Edges ----------------------------------------------------------------------------------- */

static size_t count(const struct ledger_filter *f)
{
	static struct positions got;
	got.n = 0;
	MUST(ledger_read(ledger, f, add_position, &got, &err));
	return got.n;
}

static void bounds_are_as_they_are_named(void **state)
{
	(void)state;
	assert_int_equal(count(&(struct ledger_filter){ .from = 0 }), EVENTS);
	assert_int_equal(count(&(struct ledger_filter){ .from = 5, .to = 5 }), 1);
	assert_int_equal(count(&(struct ledger_filter){ .from = 6, .to = 5 }), 0);
	assert_int_equal(count(&(struct ledger_filter){ .from = 6, .to = 5, .reverse = true }), 0);
	assert_int_equal(count(&(struct ledger_filter){ .from = EVENTS }), 1);
	assert_int_equal(count(&(struct ledger_filter){ .from = EVENTS + 1 }), 0);
	assert_int_equal(count(&(struct ledger_filter){ .from = UINT64_MAX }), 0);
	assert_int_equal(count(&(struct ledger_filter){ .to = UINT64_MAX }), EVENTS);
	assert_int_equal(count(&(struct ledger_filter){ .until = 1 }), 0);
	assert_int_equal(count(&(struct ledger_filter){ .since = UINT64_MAX }), 0);
}

/* More words than there is room for lists: they are looked at one by one instead. */
static void a_filter_may_have_more_words_than_lists(void **state)
{
	static char text[200][32];
	static struct slice words[200];
	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		snprintf(text[i], sizeof(text[i]), "product/sku-%zu", i);
		words[i] = slice_of(text[i]);
	}
	struct ledger_filter f = { .streams = words, .n_streams = COUNT(words) };
	struct ledger_filter of_type = { .streams = &(struct slice){ "product/", 8 },
		.n_streams = 1 };
	assert_int_equal(count(&f), count(&of_type));
	assert_true(count(&f) > 100);
	f = (struct ledger_filter){ .types = words, .n_types = COUNT(words) };
	assert_int_equal(count(&f), 0);
	f = (struct ledger_filter){ .correlations = words, .n_correlations = COUNT(words) };
	assert_int_equal(count(&f), 0);
}

static enum ledger_status stop_at_third(
	const struct event *e, void *context, struct ledger_error *error)
{
	(void)e;
	(void)error;
	return ++*(int *)context == 3 ? LEDGER_UNKNOWN : LEDGER_OK;
}

static void reading_ends_when_the_reader_says_so(void **state)
{
	struct ledger_filter all = { .from = 1 };
	int n = 0;
	(void)state;
	assert_int_equal(ledger_read(ledger, &all, stop_at_third, &n, &err), LEDGER_UNKNOWN);
	assert_int_equal(n, 3);
	assert_int_equal(count(&all), EVENTS);
}

static void an_empty_ledger_has_no_events(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	static struct positions got;
	struct ledger_filter filters[] = { { .from = 0 }, { .reverse = true },
		{ .since = 1, .until = 2 }, { .tags = &(struct slice){ "a:1", 3 }, .n_tags = 1 } };
	uint64_t from = 99;
	for (size_t i = 0; i < COUNT(filters); i++) {
		MUST(ledger_read(l, &filters[i], add_position, &got, &err));
		MUST(ledger_last(l, &filters[i], 10, &from, &err));
		assert_int_equal(from, 0);
	}
	assert_int_equal(got.n, 0);
	ledger_close(l);
}

static enum ledger_status count_stream(
	const struct event *e, void *context, struct ledger_error *unused)
{
	(void)unused;
	assert_true(slice_starts(e->stream, SLICE("product/")));
	++*(size_t *)context;
	return LEDGER_OK;
}

/* So many that they are not sorted but scanned for. */
static void all_streams_of_a_type_are_found_however_many(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct ledger_filter f = { .streams = &(struct slice){ "product/", 8 }, .n_streams = 1 };
	struct ledger_new other = plain();
	size_t n = 0;
	other.stream = SLICE("person/1");
	append_one(l, &other);
	append_many(l, 20500);
	append_one(l, &other);
	MUST(ledger_read(l, &f, count_stream, &n, &err));
	assert_int_equal(n, 20500);
	ledger_close(l);
}

struct writing {
	struct ledger *writer;
	int seen;
};

static enum ledger_status append_while_reading(
	const struct event *e, void *context, struct ledger_error *unused)
{
	struct writing *w = context;
	struct ledger_new new = plain();
	(void)e;
	(void)unused;
	w->seen++;
	append_one(w->writer, &new);
	return LEDGER_OK;
}

static void what_is_appended_while_reading_is_not_read(void **state)
{
	const struct place *p = *state;
	struct ledger *l = open_ledger(&p->options);
	struct writing w = { open_ledger(&p->options), 0 };
	struct ledger_filter all = { .from = 1 };
	append_many(l, 10);
	MUST(ledger_read(l, &all, append_while_reading, &w, &err));
	assert_int_equal(w.seen, 10);
	MUST(ledger_read(l, &all, append_while_reading, &w, &err));
	assert_int_equal(w.seen, 30);
	ledger_close(l);
	ledger_close(w.writer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_finds_what_a_plain_scan_finds),
		cmocka_unit_test(the_last_n_begin_where_a_plain_scan_says),
		cmocka_unit_test(bounds_are_as_they_are_named),
		cmocka_unit_test(a_filter_may_have_more_words_than_lists),
		cmocka_unit_test(reading_ends_when_the_reader_says_so),
		TEST(an_empty_ledger_has_no_events),
		TEST(all_streams_of_a_type_are_found_however_many),
		TEST(what_is_appended_while_reading_is_not_read),
	};
	return cmocka_run_group_tests(tests, open_golden, close_golden);
}
