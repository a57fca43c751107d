/* Command lines are read by the table, and mistakes in them are named. Needs cmd/opt.c. */
#include "../../cmd/opt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool follow, reverse, help;
static uint64_t lines, wait, bytes;
static struct opt_u64 after;
static const char *domain, *how;
static struct opt_list types;
static const char *const hows[] = { "fast", "slow", NULL };

static const struct opt table[] = {
	{ 'f', "follow", "go on", NULL, .flag = &follow },
	{ 'r', "reverse", "newest first", NULL, .flag = &reverse },
	{ 'n', "lines", "so many", "<n>", .u64 = &lines },
	{ 'a', "after", "behind it", "<position>", .maybe_u64 = &after },
	{ 'd', "domain", "the domain", "<domain>", .str = &domain },
	{ 0, "how", "how to", "<how>", .str = &how, .choices = hows },
	{ 't', "type", "these types", "<type>", .list = &types },
	{ 0, "wait", "so long", "<duration>", .duration = &wait },
	{ 0, "size", "so much", "<size>", .size = &bytes },
	{ 0 },
};

static const struct opt common[] = {
	{ 'h', "help", "print help", NULL, .flag = &help },
	{ 0 },
};

#define WORDS_MAX 16

/* A copy of the words that opt_parse may move about. */
struct words {
	char *argv[WORDS_MAX];
	int argc;
};

static struct words words_of(const char *const *from)
{
	struct words w = { 0 };
	for (; from[w.argc]; w.argc++)
		w.argv[w.argc] = (char *)(uintptr_t)from[w.argc];
	return w;
}

#define WORDS(...) words_of((const char *const[]){ __VA_ARGS__, NULL })

static int forget(void **state)
{
	(void)state;
	opt_done(table);
	follow = reverse = help = false;
	lines = wait = bytes = 0;
	after = (struct opt_u64){ 0 };
	domain = how = NULL;
	return 0;
}

static int read_words(struct words *w)
{
	struct ledger_error err = { 0 };
	int n = -1;
	assert_int_equal(opt_parse(table, common, w->argc, w->argv, false, &n, &err), LEDGER_OK);
	return n;
}

static void every_spelling_of_a_value_is_taken(void **state)
{
	const char *const spellings[][4] = {
		{ "-n", "10" },
		{ "-n10" },
		{ "-fn10" },
		{ "-fn", "10" },
		{ "--lines", "10" },
		{ "--lines=10" },
	};
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		struct words w = words_of(spellings[i]);
		forget(state);
		assert_int_equal(read_words(&w), 0);
		assert_int_equal(lines, 10);
	}
}

static void every_kind_is_set(void **state)
{
	(void)state;
	struct words w = WORDS("-frh", "-a", "0", "-d", "--odd", "--how", "slow", "-t", "a,b", "-t",
		"c", "--wait", "250ms", "--size=64KiB");
	assert_int_equal(read_words(&w), 0);
	assert_true(follow && reverse && help);
	assert_true(after.given && after.value == 0);
	assert_string_equal(domain, "--odd");
	assert_string_equal(how, "slow");
	assert_int_equal(types.n, 2);
	assert_string_equal(types.items[0], "a,b");
	assert_string_equal(types.items[1], "c");
	assert_int_equal(wait, 250000);
	assert_int_equal(bytes, 64 << 10);
}

static void an_absent_option_changes_nothing(void **state)
{
	(void)state;
	struct words w = WORDS("x");
	lines = 7;
	assert_int_equal(read_words(&w), 1);
	assert_int_equal(lines, 7);
	assert_false(after.given);
	assert_null(domain);
}

static void an_empty_value_is_a_value(void **state)
{
	(void)state;
	struct words w = WORDS("--domain=");
	read_words(&w);
	assert_string_equal(domain, "");
}

static void operands_stand_anywhere_and_keep_their_order(void **state)
{
	(void)state;
	struct words w = WORDS("one", "-f", "-", "-n", "3", "two", "--", "-r", "--");
	assert_int_equal(read_words(&w), 5);
	const char *const wanted[] = { "one", "-", "two", "-r", "--" };
	for (int i = 0; i < 5; i++)
		assert_string_equal(w.argv[i], wanted[i]);
	assert_true(follow);
	assert_false(reverse);
}

static void parsing_stops_at_the_first_operand_when_asked(void **state)
{
	(void)state;
	struct words w = WORDS("-f", "tail", "-r", "--nonsense", "x");
	struct ledger_error err = { 0 };
	int n = 0;
	assert_int_equal(opt_parse(table, common, w.argc, w.argv, true, &n, &err), LEDGER_OK);
	assert_int_equal(n, 4);
	assert_string_equal(w.argv[0], "tail");
	assert_string_equal(w.argv[1], "-r");
	assert_string_equal(w.argv[3], "x");
	assert_true(follow);
	assert_false(reverse);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *words[4];
		const char *text;
		const char *hint;
	} cases[] = {
		{ { "--nonsense" }, "unknown option '--nonsense'", "" },
		{ { "--domian" }, "unknown option '--domian'", "did you mean --domain?" },
		{ { "--hepl=x" }, "unknown option '--hepl'", "did you mean --help?" },
		{ { "--dom", "x" }, "unknown option '--dom'", "did you mean --domain?" },
		{ { "--hew=x" }, "unknown option '--hew'", "did you mean --how?" },
		{ { "--haa=x" }, "unknown option '--haa'", "" },
		{ { "--", "--nonsense" }, NULL, NULL },
		{ { "-fx" }, "unknown option '-x'",
			"an operand that begins with - goes behind --" },
		{ { "-n" }, "--lines needs a value: <n>", "" },
		{ { "--lines" }, "--lines needs a value: <n>", "" },
		{ { "--follow=yes" }, "--follow takes no value", "" },
		{ { "--domain=a", "-db" }, "--domain is given twice", "" },
		{ { "-n1", "-n1" }, "--lines is given twice", "" },
		{ { "-ff" }, NULL, NULL },
		{ { "-n", "-1" }, "--lines takes a whole number, not '-1'", "" },
		{ { "-n=1" }, "--lines takes a whole number, not '=1'", "" },
		{ { "-n18446744073709551616" },
			"--lines takes a whole number, not '18446744073709551616'", "" },
		{ { "-a", "" }, "--after takes a whole number, not ''", "" },
		{ { "--how=Fast" }, "--how takes one of fast, slow, not 'Fast'", "" },
		{ { "--wait=5" }, "--wait takes a time such as 250ms, 5s, 10m, 1h or 30d, not '5'",
			"" },
		{ { "--size=1MB" },
			"--size takes a size such as 4096, 64KiB, 1MiB or 1GiB, not '1MB'", "" },
		{ { "--size=KiB" },
			"--size takes a size such as 4096, 64KiB, 1MiB or 1GiB, not 'KiB'", "" },
		{ { "--size=99999999999999GiB" },
			"--size takes a size such as 4096, 64KiB, 1MiB or 1GiB, not "
			"'99999999999999GiB'",
			"" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words w = words_of(cases[i].words);
		struct ledger_error err = { 0 };
		int n = 0;
		forget(state);
		enum ledger_status status =
			opt_parse(table, common, w.argc, w.argv, false, &n, &err);
		assert_int_equal(status, cases[i].text ? LEDGER_USAGE : LEDGER_OK);
		assert_string_equal(err.text, cases[i].text ? cases[i].text : "");
		assert_string_equal(err.hint, cases[i].hint ? cases[i].hint : "");
	}
}

static void a_value_that_is_refused_is_not_set(void **state)
{
	(void)state;
	struct words w = WORDS("--size=99999999999999GiB");
	struct ledger_error err = { 0 };
	int n = 0;
	assert_int_equal(opt_parse(table, common, w.argc, w.argv, false, &n, &err), LEDGER_USAGE);
	assert_int_equal(bytes, 0);
}

static void a_row_is_found_by_name_and_letter(void **state)
{
	(void)state;
	assert_ptr_equal(opt_find(table, common, SLICE("follow")), &table[0]);
	assert_ptr_equal(opt_find(table, common, SLICE("help")), &common[0]);
	assert_null(opt_find(table, common, SLICE("foll")));
	assert_ptr_equal(opt_find_letter(table, common, 'h'), &common[0]);
	assert_null(opt_find_letter(table, NULL, 'h'));
	assert_null(opt_find_letter(table, common, '\0'));
}

static void spelling_counts_single_edits(void **state)
{
	static const struct {
		const char *typed;
		const char *word;
		unsigned distance;
	} cases[] = {
		{ "tail", "tail", 0 },
		{ "", "tail", 4 },
		{ "tial", "tail", 1 },
		{ "tai", "tail", 1 },
		{ "tails", "tail", 1 },
		{ "tall", "tail", 1 },
		{ "atil", "tail", 1 },
		{ "apend", "append", 1 },
		{ "show", "tail", 4 },
		{ "123456789012345678901234567890123", "1", SPELLING_FAR },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			spelling_distance(slice_of(cases[i].typed), slice_of(cases[i].word)),
			cases[i].distance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_spelling_of_a_value_is_taken, forget, forget),
		cmocka_unit_test_setup_teardown(every_kind_is_set, forget, forget),
		cmocka_unit_test_setup_teardown(an_absent_option_changes_nothing, forget, forget),
		cmocka_unit_test_setup_teardown(an_empty_value_is_a_value, forget, forget),
		cmocka_unit_test_setup_teardown(
			operands_stand_anywhere_and_keep_their_order, forget, forget),
		cmocka_unit_test_setup_teardown(
			parsing_stops_at_the_first_operand_when_asked, forget, forget),
		cmocka_unit_test_setup_teardown(mistakes_are_named, forget, forget),
		cmocka_unit_test_setup_teardown(a_value_that_is_refused_is_not_set, forget, forget),
		cmocka_unit_test(a_row_is_found_by_name_and_letter),
		cmocka_unit_test(spelling_counts_single_edits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
