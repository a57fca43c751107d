/*
 * ledgerbox COMMAND …, or a link named ledger-COMMAND. Finds the command, reads its options, opens
 * what it needs, prints its one error; the status is the exit code.
 */
#include "command.h"
#include "output.h"
#include "sandbox.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/base/banned.h"

/* Is a usage error one of the config or of a file? It names its place by itself; others name the help. */
static bool reading_files;

/* --- Before anything else -------------------------------------------------------------------- */

/* A file opened later must not become 0, 1 or 2. What stands in cannot be used: reading a stdin or
 * writing a stdout that was closed is an error (EBADF), not an empty input or a silent success. */
static void fill_missing_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(LEDGER_IO);
}

/* Even an error in the options is printed in the format that is asked for. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--format=json") == 0 ||
			(strcmp(argv[i], "--format") == 0 && i + 1 < argc &&
				strcmp(argv[i + 1], "json") == 0))
			return true;
	return false;
}

/* --- Output ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum format format;
} format_names[] = {
	{ "text", FORMAT_TEXT },
	{ "json", FORMAT_JSON },
	{ "tsv", FORMAT_TSV },
	{ "payload", FORMAT_PAYLOAD },
	{ "prometheus", FORMAT_PROMETHEUS },
};

static bool has_format(const struct command *command, const char *name)
{
	for (const char *const *f = command_formats(command); *f; f++)
		if (strcmp(*f, name) == 0)
			return true;
	return false;
}

static enum ledger_status choose_format(const struct command *command, struct ledger_error *err)
{
	const char *name = common.format ? common.format : command_formats(command)[0];
	for (size_t i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++)
		if (strcmp(format_names[i].name, name) == 0 && has_format(command, name)) {
			output.format = format_names[i].format;
			return LEDGER_OK;
		}
	CLEANUP_BUF struct buf all = { 0 };
	for (const char *const *f = command_formats(command); *f; f++)
		buf_addf(&all, "%s%s", f == command_formats(command) ? "" : ", ", *f);
	fail(err, LEDGER_USAGE, "there is no format '%.60s' here", name);
	return hint(err, "one of: %s", buf_text(&all));
}

static unsigned terminal_columns(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

/* NO_COLOR counts when it is not empty: no-color.org. */
static void look_at_terminal(void)
{
	const char *term = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");
	bool dumb = !term || !*term || strcmp(term, "dumb") == 0;
	output.terminal = isatty(STDOUT_FILENO);
	output.colour = output.terminal && !dumb && !(no_colour && *no_colour);
	output.progress = isatty(STDERR_FILENO) && !dumb && !output.quiet;
	if (output.terminal)
		output.columns = terminal_columns();
}

/* --- A command ------------------------------------------------------------------------------- */

static void close_ledger(struct ledger **l)
{
	ledger_close(*l);
}

/* A copied or restored ledger can be read: say so and go on. */
static void warn_away_from_home(struct ledger *l)
{
	struct ledger_error err = { 0 };
	enum ledger_status status = ledger_check_home(l, &err);
	if (status == LEDGER_REFUSED || ledger_worth_retrying(status))
		warn("%s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
}

/* What the run came to, given how writing its output went. */
static enum ledger_status finish_output(enum ledger_status status, struct ledger_error *err)
{
	struct ledger_error out_err = { 0 };
	enum ledger_status written = out_flush(&out_err);
	bool has_answer =
		status == LEDGER_OK || status == LEDGER_DAMAGED || status == LEDGER_UNVERIFIED;
	/* The reader has gone (`tail | head`): nobody is left to be told. */
	if (written == LEDGER_NO)
		return status == LEDGER_NO && !err->text[0] ? LEDGER_OK : status;
	if (written == LEDGER_OK && has_answer)
		written = out_file_commit(&out_err);
	if (written == LEDGER_OK || written == status)
		return status;
	if (status == LEDGER_OK)
		*err = out_err;
	else if (!strstr(err->text, out_err.text)) /* or it is told as the cause */
		warn("%s", out_err.text);
	return status == LEDGER_OK ? written : status;
}

typedef enum ledger_status run_fn(
	struct ledger *l, int argc, char **argv, struct ledger_error *err);

static enum ledger_status run_with(
	enum command_opens opens, run_fn *run, int argc, char **argv, struct ledger_error *err)
{
	__attribute__((cleanup(close_ledger))) struct ledger *l = NULL;
	reading_files = true;
	if (opens >= OPENS_SETTINGS)
		TRY(settings_read(err));
	if (opens >= OPENS_READ) {
		enum ledger_status status = command_open_ledger(
			opens == OPENS_WRITE ? LEDGER_MODE_WRITE : LEDGER_MODE_READ, &l, err);
		if (status != LEDGER_DAMAGED || opens != OPENS_DAMAGED)
			TRY(status);
	}
	if (l && opens != OPENS_WRITE)
		warn_away_from_home(l);
	if (output_path && strcmp(output_path, "-") != 0)
		TRY(out_file_begin(output_path, err));
	reading_files = false;
	enum ledger_status status = finish_output(run(l, argc, argv, err), err);
	out_file_abort();
	return status;
}

static enum ledger_status no_operands(
	const char *name, const char *operands, int argc, char **argv, struct ledger_error *err)
{
	if (argc == 0 || (operands && *operands))
		return LEDGER_OK;
	return fail(err, LEDGER_USAGE, "%s takes no operand, not '%.60s'", name, argv[0]);
}

static enum ledger_status run_verb(
	const struct command *command, int argc, char **argv, struct ledger_error *err)
{
	CLEANUP_BUF struct buf all = { 0 };
	for (const struct verb *v = command->verbs; v->name; v++) {
		if (argc > 0 && strcmp(v->name, argv[0]) == 0) {
			TRY(no_operands(v->name, v->operands, argc - 1, argv + 1, err));
			return run_with(v->opens, v->run, argc - 1, argv + 1, err);
		}
		buf_addf(&all, "%s%s", v == command->verbs ? "" : ", ", v->name);
	}
	if (argc == 0)
		fail(err, LEDGER_USAGE, "a verb is missing");
	else
		fail(err, LEDGER_USAGE, "there is no verb '%.60s'", argv[0]);
	return hint(err, "one of: %s", buf_text(&all));
}

static enum ledger_status run_command(
	const struct command *command, int argc, char **argv, struct ledger_error *err)
{
	int n = 0;
	output.command = command->name;
	TRY(opt_parse(command->opts, common_opts, argc, argv, false, &n, err));
	if (common.help) {
		help_command(command);
		return finish_output(LEDGER_OK, err);
	}
	TRY(choose_format(command, err));
	look_at_terminal();
	if (command->verbs)
		return run_verb(command, n, argv, err);
	TRY(no_operands(command->name, command->operands, n, argv, err));
	return run_with(command->opens, command->run, n, argv, err);
}

static enum ledger_status find_and_run(
	const char *name, int argc, char **argv, struct ledger_error *err)
{
	const struct command *command = command_find(name);
	if (!command) {
		const char *near = command_nearest(name);
		fail(err, LEDGER_USAGE, "there is no command '%.60s'", name);
		return near ? hint(err, "did you mean %s?", near) : LEDGER_USAGE;
	}
	enum ledger_status status = run_command(command, argc, argv, err);
	opt_done(command->opts);
	return status;
}

/* --- The program ----------------------------------------------------------------------------- */

static enum ledger_status print_version(struct ledger_error *err)
{
	if (output.format == FORMAT_JSON)
		out_text("{\"name\":\"ledgerbox\",\"version\":\"" LEDGERBOX_VERSION "\"}\n");
	else
		out_text("ledgerbox " LEDGERBOX_VERSION "\n");
	return finish_output(LEDGER_OK, err);
}

static enum ledger_status run_program(int argc, char **argv, struct ledger_error *err)
{
	static const char link[] = "ledger-";
	const char *name = argc > 0 ? basename(argv[0]) : "ledgerbox";
	int n = 0;
	if (strncmp(name, link, strlen(link)) == 0)
		return find_and_run(name + strlen(link), argc - 1, argv + 1, err);
	if (argc > 2 && strcmp(argv[1], "__complete") == 0)
		return (enum ledger_status)complete_words(argc - 3, argv + 3);
	if (argc > 0)
		TRY(opt_parse(program_opts, common_opts, argc - 1, argv + 1, true, &n, err));
	if (version_asked)
		return print_version(err);
	if (n > 0 && !common.help)
		return find_and_run(argv[1], n - 1, argv + 2, err);
	if (!common.help)
		out_to_stderr();
	help_program();
	return finish_output(common.help ? LEDGER_OK : LEDGER_USAGE, err);
}

static void print_page(void)
{
	if (!reading_files && output.format != FORMAT_JSON)
		fprintf(stderr, "see 'ledgerbox %s%s--help'\n",
			output.command ? output.command : "", output.command ? " " : "");
}

int main(int argc, char **argv)
{
	struct ledger_error err = { 0 };
	fill_missing_descriptors();
	sandbox_hide_memory();
	signal(SIGPIPE, SIG_IGN);
	if (asks_for_json(argc, argv))
		output.format = FORMAT_JSON;
	enum ledger_status status = run_program(argc, argv, &err);
	settings_done();
	progress_clear();
	if (status == LEDGER_OK)
		return status;
	err.status = status;
	show_error(&err);
	if (status == LEDGER_USAGE && err.text[0])
		print_page();
	return status;
}
