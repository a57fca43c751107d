/* Hostile YAML: each case is refused at its place, quickly, and without memory left behind. */
#include "../../cmd/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "../../lib/base/banned.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static enum ledger_status parse(
	struct slice text, struct arena *arena, struct yaml **root, struct ledger_error *err)
{
	*root = NULL;
	return yaml_parse("t.yaml", text, arena, root, err);
}

struct refused {
	struct slice text;
	const char *want; /* what the error begins with */
};

static void check_refused(const struct refused *c)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	struct ledger_error err = { 0 };
	struct yaml *root;
	enum ledger_status status = parse(c->text, &arena, &root, &err);
	if (status != LEDGER_USAGE || strncmp(err.text, c->want, strlen(c->want)) != 0)
		fail_msg("'%.*s': status %d, '%s' instead of '%s'", SLICE_ARG(c->text), (int)status,
			err.text, c->want);
	assert_null(root);
	assert_true(err.hint[0]);
}

static void what_could_grow_or_hide_is_refused(void **state)
{
	(void)state;
	const struct refused cases[] = {
		{ SLICE("a: &x 1\n"), "t.yaml:1:4: an anchor" },
		{ SLICE("a: &x [1]\n"), "t.yaml:1:4: an anchor" },
		{ SLICE("a: &x {b: 1}\n"), "t.yaml:1:4: an anchor" },
		{ SLICE("&x a: 1\n"), "t.yaml:1:1: an anchor" },
		{ SLICE("a: *x\n"), "t.yaml:1:4: an alias" },
		{ SLICE("*x : 1\n"), "t.yaml:1:1: an alias" },
		{ SLICE("a: !!int 1\n"), "t.yaml:1:4: a tag" },
		{ SLICE("a: ! 1\n"), "t.yaml:1:4: a tag" },
		{ SLICE("a: !x [1]\n"), "t.yaml:1:4: a tag" },
		{ SLICE("a:\n  b: !!map {c: 1}\n"), "t.yaml:2:6: a tag" },
		{ SLICE("%TAG ! tag:x,2000:\n---\na: 1\n"), "t.yaml:1:1: a %TAG directive" },
		{ SLICE("<<: {a: 1}\n"), "t.yaml:1:1: a merge key" },
		{ SLICE("a: 1\n---\nb: 2\n"), "t.yaml:2:1: a second document" },
		{ SLICE("a: 1\n...\n---\n"), "t.yaml:3:1: a second document" },
		{ SLICE("---\n---\n"), "t.yaml:2:1: a second document" },
	};
	for (size_t i = 0; i < N(cases); i++)
		check_refused(&cases[i]);
}

static void keys_are_words_that_stand_once(void **state)
{
	(void)state;
	const struct refused cases[] = {
		{ SLICE("a: 1\nb: 2\na: 3\n"),
			"t.yaml:3:1: key 'a' stands here a second time, after line 1" },
		{ SLICE("a: {b: 1, b: 2}\n"), "t.yaml:1:11: key 'b'" },
		{ SLICE("a: 1\n\"a\": 2\n"), "t.yaml:2:1: key 'a'" },
		{ SLICE("a: 1\n\"\\x61\": 2\n"), "t.yaml:2:1: key 'a'" },
		{ SLICE("? [a]\n: 1\n"), "t.yaml:1:3: a key must be a word" },
		{ SLICE("? {a: 1}\n: 1\n"), "t.yaml:1:3: a key must be a word" },
		{ SLICE("? {}\n"), "t.yaml:1:3: a key must be a word" },
		{ SLICE("? \n: 1\n"), "t.yaml:1:2: a key must not be empty" },
		{ SLICE("\"\": 1\n"), "t.yaml:1:1: a key must not be empty" },
	};
	for (size_t i = 0; i < N(cases); i++)
		check_refused(&cases[i]);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	(void)state;
	const struct refused cases[] = {
		{ SLICE("a: 1\0\n"), "t.yaml:1:5: byte 0x00" },
		{ SLICE("a: 1\nb: \xFF\n"), "t.yaml:2:4: byte 0xff" },
		{ SLICE("\xFF\xFE"
			"a\0"),
			"t.yaml:1:1: byte 0xff" },
		{ SLICE("a: \xC0\x80\n"), "t.yaml:1:4: byte 0xc0" },
		{ SLICE("a: \xED\xA0\x80\n"), "t.yaml:1:4: byte 0xed" },
		{ SLICE("a: \xF4\x90\x80\x80\n"), "t.yaml:1:4: byte 0xf4" },
		{ SLICE("\xC3\xA4: \xC3\n"), "t.yaml:1:4: byte 0xc3" },
		{ SLICE("a: \x1B[31m\n"), "t.yaml:1:4: byte 0x1b" },
		{ SLICE("a: \x7F\n"), "t.yaml:1:4: byte 0x7f" },
		{ SLICE("a: \xC2\x9B\n"), "t.yaml:1:4: byte 0xc2" },
		{ SLICE("# \x01\n"), "t.yaml:1:3: byte 0x01" },
		{ SLICE("a: \"\\0\"\n"), "t.yaml:1:4: the text holds a control character" },
		{ SLICE("a: \"\\e[31m\"\n"), "t.yaml:1:4: the text holds a control character" },
		{ SLICE("a: \"\\x9b\"\n"), "t.yaml:1:4: the text holds a control character" },
		{ SLICE("\"a\\0\": 1\n"), "t.yaml:1:1: the text holds a control character" },
		{ SLICE("a: \"\\ud800\"\n"), "t.yaml:1:" },
	};
	for (size_t i = 0; i < N(cases); i++)
		check_refused(&cases[i]);
}

static void what_is_not_yaml_is_refused_at_its_place(void **state)
{
	(void)state;
	const struct refused cases[] = {
		{ SLICE("a: [1\n"), "t.yaml:2:1: not valid YAML: " },
		{ SLICE(": 1\n"), "t.yaml:1:1: not valid YAML: " },
		{ SLICE("a: 'x\n"), "t.yaml:2:1: not valid YAML: " },
		{ SLICE("a: 1\n b: 2\n"), "t.yaml:2:3: not valid YAML: " },
		{ SLICE("\ta: 1\n"), "t.yaml:1:1: not valid YAML: " },
		{ SLICE("a: }\n"), "t.yaml:1:4: not valid YAML: " },
		{ SLICE("a: @x\n"), "t.yaml:1:4: not valid YAML: " },
		{ SLICE("a: b: c\n"), "t.yaml:1:5: not valid YAML: " },
		{ SLICE("%YAML 9.9\n---\na: 1\n"), "t.yaml:1:1: not valid YAML: " },
	};
	for (size_t i = 0; i < N(cases); i++)
		check_refused(&cases[i]);
}

/* `text` `n` times. */
static void repeat(struct buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_text(out, text);
}

static void check_big(struct buf *text, const char *want)
{
	struct refused c = { buf_slice(text), want };
	assert_false(text->failed);
	clock_t before = clock(); /* computing, whatever else the machine does */
	check_refused(&c);
	assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
	buf_reset(text);
}

static void nesting_length_and_size_have_a_ceiling(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf text = { 0 };
	repeat(&text, "[", 60000);
	check_big(&text, "t.yaml:1:17: nested deeper than 16 levels");
	repeat(&text, "{a: ", 16000);
	check_big(&text, "t.yaml:1:65: nested deeper than 16 levels");
	repeat(&text, "- ", 30000);
	check_big(&text, "t.yaml:1:33: nested deeper than 16 levels");
	repeat(&text, "? ", 30000);
	check_big(&text, "t.yaml:1:3: a key must be a word");
	buf_add_text(&text, "a: [");
	repeat(&text, "x,", 30000);
	check_big(&text, "t.yaml:1:2005: more than 1000 values");
	for (unsigned i = 0; i < 1001; i++)
		buf_addf(&text, "k%u: 1\n", i);
	check_big(&text, "t.yaml:1001:1: more than 1000 values");
	repeat(&text, "#", YAML_SIZE_MAX + 1);
	check_big(&text, "t.yaml: larger than 64 KiB");
}

static void sixteen_levels_and_64_kib_are_taken(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_ARENA struct arena arena = { 0 };
	struct ledger_error err = { 0 };
	struct yaml *root;
	repeat(&text, "[", YAML_DEPTH_MAX);
	repeat(&text, "]", YAML_DEPTH_MAX);
	assert_int_equal(parse(buf_slice(&text), &arena, &root, &err), LEDGER_OK);
	buf_reset(&text);
	buf_add_text(&text, "a: 1\n");
	repeat(&text, "#", YAML_SIZE_MAX - text.len);
	assert_int_equal(parse(buf_slice(&text), &arena, &root, &err), LEDGER_OK);
	assert_true(slice_is(yaml_get(root, "a")->text, "1"));
}

/* Every front part of a good config is refused or taken, but never crashes. */
static void a_config_cut_anywhere_is_no_danger(void **state)
{
	(void)state;
	static const char config[] =
		"---\nnode: store-a\nkeys: {sign: ledger.key, verify: [b.key, \"c\\u00e4.key\"]}\n"
		"domains:\n  inventory:\n    tags_from: {product: $.id}\n  \"*\": {}\nsql: |\n  "
		"select 1\n"
		"  from x\n...\n";
	for (size_t n = 0; n < sizeof(config); n++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct ledger_error err = { 0 };
		struct yaml *root;
		/* A copy of its own size, so that a sanitizer sees a read behind it. */
		char *cut = malloc(n ? n : 1);
		assert_non_null(cut);
		memcpy(cut, config, n);
		enum ledger_status status = parse((struct slice){ cut, n }, &arena, &root, &err);
		if (n == sizeof(config) - 1)
			assert_int_equal(status, LEDGER_OK);
		assert_true(status == LEDGER_OK || status == LEDGER_USAGE);
		free(cut);
	}
}

static void nothing_but_comments_is_no_document(void **state)
{
	(void)state;
	const struct slice cases[] = {
		SLICE(""),
		SLICE("\n\n"),
		SLICE("# a\n#b\n"),
		SLICE("---\n"),
		SLICE("---\n...\n"),
		SLICE("\xEF\xBB\xBF# a\n"),
		SLICE("~\n"),
	};
	for (size_t i = 0; i < N(cases); i++) {
		CLEANUP_ARENA struct arena arena = { 0 };
		struct ledger_error err = { 0 };
		struct yaml *root;
		if (parse(cases[i], &arena, &root, &err) != LEDGER_OK)
			fail_msg("case %zu: %s", i, err.text);
		assert_null(root);
	}
}

static void values_keep_text_order_and_place(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena arena = { 0 };
	struct ledger_error err = { 0 };
	struct yaml *root;
	struct slice text =
		SLICE("\xEF\xBB\xBF# c\r\nn: no\r\nq: \"5\"\nl: [a, 'b c']\nm:\n  x: {}\n  y:\n");
	assert_int_equal(parse(text, &arena, &root, &err), LEDGER_OK);
	const struct yaml *n = yaml_get(root, "n"), *q = yaml_get(root, "q"),
			  *l = yaml_get(root, "l");
	assert_true(n->kind == YAML_TEXT && slice_is(n->text, "no") && !n->quoted);
	assert_true(n->line == 2 && n->column == 4 && n->key_line == 2 && n->key_column == 1);
	assert_true(slice_is(q->text, "5") && q->quoted);
	assert_true(l->kind == YAML_LIST && slice_is(l->first->text, "a"));
	assert_true(slice_is(l->first->next->text, "b c") && !l->first->next->next);
	const struct yaml *m = yaml_get(root, "m");
	assert_true(m->kind == YAML_MAP && m->first == yaml_get(m, "x") && !m->first->first);
	assert_true(yaml_is_empty(yaml_get(m, "y")) && !yaml_is_empty(n));
	assert_null(yaml_get(root, "z"));
	assert_null(yaml_get(n, "z"));
	assert_null(yaml_get(NULL, "z"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_could_grow_or_hide_is_refused),
		cmocka_unit_test(keys_are_words_that_stand_once),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(what_is_not_yaml_is_refused_at_its_place),
		cmocka_unit_test(nesting_length_and_size_have_a_ceiling),
		cmocka_unit_test(sixteen_levels_and_64_kib_are_taken),
		cmocka_unit_test(a_config_cut_anywhere_is_no_danger),
		cmocka_unit_test(nothing_but_comments_is_no_document),
		cmocka_unit_test(values_keep_text_order_and_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
