/* What --help prints, out of the tables that are parsed; and the command `help`. 80 columns. */
#include "command.h"
#include "output.h"

#include <stdlib.h>

#include "../lib/base/banned.h"

#define WIDTH	    80
#define HELP_COLUMN 30 /* where the words about an option begin */
#define NAME_COLUMN 17 /* where those about a command begin */

/* Words of `text` from column `at` on; lines after the first begin at `indent`. */
static void put_wrapped(struct slice text, size_t at, size_t indent)
{
	bool first = true;
	while (text.len) {
		struct slice word = text;
		struct slice rest = { 0 };
		slice_cut(text, ' ', &word, &rest);
		if (!first && at + 1 + word.len > WIDTH) {
			outf("\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			out_text(" ");
			at++;
		}
		out_slice(word);
		at += word.len;
		first = false;
		text = rest;
	}
	out_text("\n");
}

/* A row of a table: `left`, then `right` from `column` on, below it where `left` is too long. */
static void put_row(struct slice left, const char *right, size_t column)
{
	out_slice(left);
	if (left.len + 2 > column)
		outf("\n%*s", (int)column, "");
	else
		outf("%*s", (int)(column - left.len), "");
	put_wrapped(slice_of(right), column, column);
}

static void put_option(const struct opt *o, const char *help)
{
	CLEANUP_BUF struct buf left = { 0 };
	if (o->letter)
		buf_addf(&left, "  -%c, ", o->letter);
	else
		buf_add_text(&left, "      ");
	buf_addf(&left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	put_row(buf_slice(&left), help, HELP_COLUMN);
}

/* "text, json or tsv" */
static void add_names(struct buf *out, const char *const *names)
{
	for (size_t i = 0; names[i]; i++)
		buf_addf(out, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
}

/* `command` is NULL for the program. */
static void put_common_options(const struct command *command)
{
	out_text("\nCommon options:\n");
	for (const struct opt *o = common_opts; o->name; o++) {
		CLEANUP_BUF struct buf help = { 0 };
		buf_add_text(&help, o->help);
		if (command && o->str == &common.format) {
			buf_add_text(&help, ": ");
			add_names(&help, command_formats(command));
		}
		put_option(o, buf_text(&help));
	}
}

static void put_verbs(const struct verb *verbs)
{
	out_text("\nVerbs:\n");
	for (const struct verb *v = verbs; v->name; v++) {
		CLEANUP_BUF struct buf left = { 0 };
		bool operands = v->operands && v->operands[0];
		buf_addf(&left, "  %s%s%s", v->name, operands ? " " : "",
			operands ? v->operands : "");
		put_row(buf_slice(&left), v->summary, HELP_COLUMN);
	}
}

/* The next line of *rest, which loses it. */
static struct slice next_line(struct slice *rest)
{
	struct slice line = *rest;
	struct slice tail = { 0 };
	slice_cut(*rest, '\n', &line, &tail);
	*rest = tail;
	return line;
}

/* Indented, unless one of them would then be too wide: a command is never broken. */
static void put_examples(const char *examples)
{
	size_t widest = 0;
	for (struct slice rest = slice_of(examples); rest.len;) {
		struct slice line = next_line(&rest);
		widest = line.len > widest ? line.len : widest;
	}
	out_text("\nExamples:\n");
	for (struct slice rest = slice_of(examples); rest.len;) {
		struct slice line = next_line(&rest);
		outf("%s%.*s\n", line.len && widest + 2 <= WIDTH ? "  " : "", SLICE_ARG(line));
	}
}

static void put_usage(const struct command *command)
{
	CLEANUP_BUF struct buf line = { 0 };
	buf_addf(&line, "Usage: ledgerbox %s [options]", command->name);
	if (command->verbs)
		buf_add_text(&line, " VERB ...");
	else if (command->operands)
		buf_addf(&line, " %s", command->operands);
	put_wrapped(buf_slice(&line), 0, 10);
}

void help_command(const struct command *command)
{
	put_usage(command);
	put_wrapped(slice_of(command->summary), 0, 0);
	if (command->verbs)
		put_verbs(command->verbs);
	if (command->opts && command->opts->name)
		out_text("\nOptions:\n");
	for (const struct opt *o = command->opts; o && o->name; o++)
		put_option(o, o->help);
	put_common_options(command);
	if (command->examples)
		put_examples(command->examples);
	out_text("\nExit codes: see 'ledgerbox help exit-codes'\n");
}

void help_program(void)
{
	out_text("Usage: ledgerbox COMMAND [options] ...\n"
		 "       ledger-COMMAND [options] ...\n"
		 "An append-only, hash-chained, signed event ledger in one SQLite file.\n"
		 "\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++) {
		CLEANUP_BUF struct buf left = { 0 };
		buf_addf(&left, "  %s", (*c)->name);
		put_row(buf_slice(&left), (*c)->summary, NAME_COLUMN);
	}
	out_text("\nOptions:\n");
	for (const struct opt *o = program_opts; o->name; o++)
		put_option(o, o->help);
	put_common_options(NULL);
	out_text("\nMore about a command: 'ledgerbox help COMMAND' or ledgerbox-COMMAND(1)\n"
		 "Exit codes: see 'ledgerbox help exit-codes'\n");
}

/* --- The command ----------------------------------------------------------------------------- */

static void put_exit_codes(void)
{
	out_text("Exit codes:\n");
	for (int code = LEDGER_OK; code <= LEDGER_UNKNOWN; code++) {
		enum ledger_status status = (enum ledger_status)code;
		CLEANUP_BUF struct buf left = { 0 };
		if (!ledger_status_meaning(status)[0])
			continue;
		buf_addf(&left, "  %2d  %s", code, ledger_status_name(status));
		put_row(buf_slice(&left), ledger_status_meaning(status), 20);
	}
	out_text("\n10 to 15: nothing was recorded, the same call will fail again.\n"
		 "20 to 25: nothing was recorded, the same call may succeed later.\n"
		 "30 and 31: may be recorded; try again only with the same --id or --once.\n");
}

static enum ledger_status run(struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)l;
	if (argc > 1)
		return fail(err, LEDGER_USAGE, "help takes one name, not %d", argc);
	if (argc == 0)
		help_program();
	else if (strcmp(argv[0], "exit-codes") == 0)
		put_exit_codes();
	else if (command_find(argv[0]))
		help_command(command_find(argv[0]));
	else {
		const char *near = command_nearest(argv[0]);
		fail(err, LEDGER_USAGE, "there is no command '%.60s'", argv[0]);
		return near ? hint(err, "did you mean %s?", near) : LEDGER_USAGE;
	}
	return LEDGER_OK;
}

static const char *const formats[] = { "text", NULL };

const struct command cmd_help = {
	.name = "help",
	.summary = "Explain a command, or the exit codes.",
	.operands = "[COMMAND | exit-codes]",
	.opens = OPENS_NOTHING,
	.complete = COMPLETE_COMMAND,
	.formats = formats,
	.examples = "ledgerbox help append\n"
		    "ledgerbox help exit-codes\n",
	.run = run,
};
