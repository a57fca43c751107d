/* Programs run sealed: what they find, how they end, and that nothing of them stays. */
#include "ledger_fixture.h"

#include "../../lib/fold/process.h"

#include <signal.h>

static struct ledger_error err;

static const char *const environment[] = { "PATH=/usr/bin:/bin", "WORD=value", NULL };

/* Runs a script; p->output and p->status tell. */
static bool run(struct process *p, const char *script, const char *input, uint64_t timeout)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct process_spec spec = { argv, environment, NULL };
	bool timed_out;
	MUST(process_run(p, &spec, slice_of(input), 4096, timeout, &timed_out, &err));
	return timed_out;
}

static void expect(struct process *p, const char *text)
{
	if (!slice_is(buf_slice(&p->output), text))
		fail_msg("'%.*s' instead of '%s'", SLICE_ARG(buf_slice(&p->output)), text);
}

static void input_output_and_end_come_through(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	assert_false(run(&p, "cat; echo oops >&2; exit 3", "hello", 60 * TIME_SECOND));
	expect(&p, "hello");
	assert_true(slice_is(buf_slice(&p.complaint), "oops\n"));
	assert_int_equal(WEXITSTATUS(p.status), 3);
	assert_int_equal(p.pid, 0);
}

static void the_environment_is_what_was_given(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	setenv("SECRET", "1", 1);
	run(&p, "env | grep -vE '^(PWD|SHLVL|OLDPWD|_)=' | sort", "", 60 * TIME_SECOND);
	expect(&p, "PATH=/usr/bin:/bin\nWORD=value\n");
}

static void no_descriptor_is_inherited(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	int ours = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	assert_true(ours >= 3);
	run(&p, "for n in 3 4 5 6 7 8 9 10 11 12; do [ ! -e /proc/$$/fd/$n ] || echo $n; done", "",
		60 * TIME_SECOND);
	expect(&p, "");
	close(ours);
}

static void signals_that_we_ignore_are_not_ignored_there(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	run(&p, "kill -PIPE $$; echo alive", "", 60 * TIME_SECOND);
	expect(&p, "");
	assert_true(WIFSIGNALED(p.status) && WTERMSIG(p.status) == SIGPIPE);
}

static void who_takes_too_long_ends_with_its_group(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	assert_true(run(&p, "trap '' TERM; sleep 1000 & echo $!; wait; wait; sleep 1000", "",
		TIME_SECOND / 2));
	assert_true(WIFSIGNALED(p.status) && WTERMSIG(p.status) == SIGKILL);
	/* What it started is gone, or a zombie that nobody of ours can reap. */
	pid_t child = (pid_t)strtol(buf_text(&p.output), NULL, 10);
	assert_true(child > 0);
	char path[64], state_of = 'Z';
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	for (int i = 0; i < 1000; i++) {
		FILE *f = fopen(path, "re");
		if (!f)
			return;
		int n = fscanf(f, "%*d %*s %c", &state_of);
		fclose(f);
		if (n != 1 || state_of == 'Z')
			return;
		usleep(10000);
	}
	fail_msg("%d is still there: %c", (int)child, state_of);
}

static void a_flood_is_cut_and_does_not_block(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	assert_false(
		run(&p, "yes | head -c 5000000; yes | head -c 5000000 >&2", "", 600 * TIME_SECOND));
	assert_int_equal(p.output.len, 4096);
	assert_true(p.is_cut);
	assert_true(p.complaint.len <= PROCESS_COMPLAINT_MAX);
}

static void one_that_floods_for_ever_is_over_in_time(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	assert_true(run(&p, "yes & yes >&2", "", TIME_SECOND / 2));
}

static void one_that_reads_nothing_is_no_error(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	(void)state;
	char *much = malloc(1 << 20);
	memset(much, 'x', (1 << 20) - 1);
	much[(1 << 20) - 1] = '\0';
	assert_false(run(&p, "exec <&-; echo done", much, 600 * TIME_SECOND));
	expect(&p, "done\n");
	free(much);
}

static void what_cannot_be_run_says_so(void **state)
{
	CLEANUP_PROCESS struct process p = PROCESS_NONE;
	static const char *const paths[] = { "/nothing/here", "/etc/passwd", "/" };
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		const char *const argv[] = { paths[i], NULL };
		struct process_spec spec = { argv, environment, NULL };
		MUST_FAIL(LEDGER_USAGE, process_start(&p, &spec, &err));
		assert_non_null(strstr(err.text, paths[i]));
		assert_int_equal(p.pid, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_output_and_end_come_through),
		cmocka_unit_test(the_environment_is_what_was_given),
		cmocka_unit_test(no_descriptor_is_inherited),
		cmocka_unit_test(signals_that_we_ignore_are_not_ignored_there),
		cmocka_unit_test(who_takes_too_long_ends_with_its_group),
		cmocka_unit_test(a_flood_is_cut_and_does_not_block),
		cmocka_unit_test(one_that_floods_for_ever_is_over_in_time),
		cmocka_unit_test(one_that_reads_nothing_is_no_error),
		cmocka_unit_test(what_cannot_be_run_says_so),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
