/*
 * What a shell may offer for the word being typed. The shims in completions/ hand over the words of the
 * line; the tables of commands.c say what can stand there, the ledger knows the names in it.
 */
#include "command.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

/* Enough to choose from; a shell that shows more shows too much. */
#define WORDS_MAX 500

/* A lock is not worth waiting for here. */
#define TIMEOUT (TIME_SECOND / 5)

/* What the words before the one being typed have settled. */
struct line {
	const struct command *command; /* NULL: not named yet */
	const struct verb *verb;
	const struct opt *pending; /* its value is what is being typed */
	int operands;		   /* without the names of command and verb */
	bool no_options;	   /* behind "--" */
	bool lost;		   /* an unknown name: nothing to offer */
	int argc;		   /* the words, for the options that say which ledger it is */
	char **argv;
};

static const struct opt *own_opts(const struct line *line)
{
	return line->command ? line->command->opts : program_opts;
}

/* --- Reading the line ------------------------------------------------------------------------ */

static const struct verb *find_verb(const struct verb *verbs, const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static void see_operand(struct line *line, const char *word)
{
	if (!line->command)
		line->lost = !(line->command = command_find(word));
	else if (line->command->verbs && !line->verb)
		line->lost = !(line->verb = find_verb(line->command->verbs, word));
	else
		line->operands++;
}

static void see_long(struct line *line, const char *word)
{
	const struct opt *o = opt_find(own_opts(line), common_opts, slice_of(word));
	if (o && !o->flag)
		line->pending = o;
}

/* The rest of the word, where there is one, is the value of the first letter that takes one. */
static void see_letters(struct line *line, const char *letters)
{
	for (; *letters; letters++) {
		const struct opt *o = opt_find_letter(own_opts(line), common_opts, *letters);
		if (o && !o->flag) {
			line->pending = letters[1] ? NULL : o;
			return;
		}
	}
}

static void see_word(struct line *line, const char *word)
{
	if (line->pending)
		line->pending = NULL;
	else if (line->no_options || word[0] != '-' || !word[1])
		see_operand(line, word);
	else if (strcmp(word, "--") == 0)
		line->no_options = true;
	else if (word[1] == '-')
		see_long(line, word + 2);
	else
		see_letters(line, word + 1);
}

/* --- Offering -------------------------------------------------------------------------------- */

/* A candidate is `head` and a word that begins with `prefix`. */
struct wanted {
	struct slice head;
	struct slice prefix;
};

static bool is_printable(struct slice word)
{
	CLEANUP_BUF struct buf shown = { 0 };
	escape_slice(&shown, word, false);
	return slice_eq(buf_slice(&shown), word);
}

static void offer(const struct wanted *wanted, struct slice word, const char *summary)
{
	if (!slice_starts(word, wanted->prefix) || !is_printable(word))
		return;
	out_slice(wanted->head);
	out_slice(word);
	outf("\t%s\n", summary);
}

static enum ledger_status offer_word(struct slice word, void *context, struct ledger_error *err)
{
	(void)err;
	offer(context, word, "");
	return LEDGER_OK;
}

/* The common options may stand before and behind the command's name, as in main. */
static void read_options(const struct line *line)
{
	struct ledger_error ignored;
	int n = 0;
	if (opt_parse(program_opts, common_opts, line->argc, line->argv, true, &n, &ignored) ==
			LEDGER_OK &&
		n > 0 && line->command)
		opt_parse(line->command->opts, common_opts, n - 1, line->argv + 1, false, &n,
			&ignored);
}

static void offer_from_ledger(
	const struct line *line, enum ledger_words which, struct wanted *wanted)
{
	struct ledger_error ignored;
	struct ledger *l = NULL;
	read_options(line);
	if (settings_read(&ignored) != LEDGER_OK)
		return;
	settings.timeout = TIMEOUT;
	if (command_open_ledger(LEDGER_MODE_READ, &l, &ignored) == LEDGER_OK)
		ledger_list_words(
			l, which, wanted->prefix, WORDS_MAX, offer_word, wanted, &ignored);
	ledger_close(l);
}

/* The config's; and the verb of `replay`, which takes them. */
static void offer_consumers(const struct line *line, const struct wanted *wanted)
{
	struct ledger_error ignored;
	read_options(line);
	if (settings_read(&ignored) != LEDGER_OK)
		return;
	for (size_t i = 0; i < settings.n_handlers; i++)
		offer(wanted, slice_of(settings.handlers[i].name), "handler");
	for (size_t i = 0; i < settings.n_projections; i++)
		offer(wanted, slice_of(settings.projections[i].name), "projection");
	offer(wanted, SLICE("parked"), "list, retry or discard what handlers could not take");
}

static void offer_commands(const struct wanted *wanted)
{
	for (const struct command *const *c = commands; *c; c++)
		offer(wanted, slice_of((*c)->name), (*c)->summary);
}

static void offer_verbs(const struct wanted *wanted, const struct verb *verbs)
{
	for (const struct verb *v = verbs; v->name; v++)
		offer(wanted, slice_of(v->name), v->summary);
}

static void offer_choices(const struct wanted *wanted, const char *const *choices)
{
	for (; *choices; choices++)
		offer(wanted, slice_of(*choices), "");
}

static void offer_kind(const struct line *line, enum complete kind, struct wanted *wanted)
{
	static const enum ledger_words words[] = {
		[COMPLETE_DOMAIN] = LEDGER_WORDS_DOMAIN,
		[COMPLETE_ORIGIN] = LEDGER_WORDS_ORIGIN,
		[COMPLETE_TYPE] = LEDGER_WORDS_TYPE,
		[COMPLETE_STREAM] = LEDGER_WORDS_STREAM,
		[COMPLETE_TAG] = LEDGER_WORDS_TAG,
		[COMPLETE_CURSOR] = LEDGER_WORDS_CURSOR,
	};
	switch (kind) {
	case COMPLETE_NONE:
		return;
	case COMPLETE_FILE:
		out_text(":file\n");
		return;
	case COMPLETE_FOLDER:
		out_text(":folder\n");
		return;
	case COMPLETE_COMMAND:
		offer_commands(wanted);
		return;
	case COMPLETE_CONSUMER:
		offer_consumers(line, wanted);
		return;
	case COMPLETE_DOMAIN:
	case COMPLETE_ORIGIN:
	case COMPLETE_TYPE:
	case COMPLETE_STREAM:
	case COMPLETE_TAG:
	case COMPLETE_CURSOR:
		offer_from_ledger(line, words[kind], wanted);
		return;
	}
}

/* `--type a,b`: what is before the last comma stays. Streams and tags may have commas in them. */
static void skip_listed(const struct opt *o, struct wanted *wanted, struct slice typed)
{
	bool listed = o->list && (o->complete == COMPLETE_DOMAIN || o->complete == COMPLETE_TYPE ||
					 o->complete == COMPLETE_ORIGIN);
	const char *comma = listed && wanted->prefix.len
				    ? memrchr(wanted->prefix.ptr, ',', wanted->prefix.len)
				    : NULL;
	if (!comma)
		return;
	size_t head = (size_t)(comma + 1 - typed.ptr);
	wanted->head = (struct slice){ typed.ptr, head };
	wanted->prefix = slice_from(typed, head);
}

/* The value of an option, which begins at byte `from` of the typed word. */
static void offer_value(
	const struct line *line, const struct opt *o, struct slice typed, size_t from)
{
	struct wanted wanted = { { typed.ptr, from }, slice_from(typed, from) };
	skip_listed(o, &wanted, typed);
	if (o->str == &common.format && line->command)
		offer_choices(&wanted, command_formats(line->command));
	else if (o->choices)
		offer_choices(&wanted, o->choices);
	else
		offer_kind(line, o->complete, &wanted);
}

static void offer_table(const struct opt *table, struct slice prefix)
{
	struct wanted wanted = { SLICE("--"), prefix };
	for (const struct opt *o = table; o && o->name; o++)
		offer(&wanted, slice_of(o->name), o->help);
}

/* The word begins with a hyphen: a long option with its value, or names of options. */
static void offer_options(const struct line *line, struct slice typed)
{
	struct slice name;
	struct slice value;
	struct slice bare = slice_from(typed, typed.len > 1 ? 2 : 1);
	if (typed.len > 1 && typed.ptr[1] != '-')
		return;
	if (slice_cut(bare, '=', &name, &value)) {
		const struct opt *o = opt_find(own_opts(line), common_opts, name);
		if (o && !o->flag)
			offer_value(line, o, typed, typed.len - value.len);
		return;
	}
	offer_table(own_opts(line), bare);
	offer_table(common_opts, bare);
}

static void offer_operand(const struct line *line, struct wanted *wanted)
{
	const struct command *command = line->command;
	if (!command)
		offer_commands(wanted);
	else if (line->verb)
		offer_kind(line, line->operands ? COMPLETE_NONE : line->verb->complete, wanted);
	else if (command->verbs)
		offer_verbs(wanted, command->verbs);
	else
		offer_kind(line, command->complete, wanted);
	if (command && command->complete == COMPLETE_COMMAND)
		offer(wanted, SLICE("exit-codes"), "What the exit codes mean.");
}

int complete_words(int argc, char **argv)
{
	struct ledger_error ignored;
	struct line line = { .argc = argc - 1, .argv = argv };
	if (argc < 1)
		return 0;
	for (int i = 0; i < line.argc; i++)
		see_word(&line, argv[i]);
	struct slice typed = slice_of(argv[argc - 1]);
	struct wanted wanted = { { "", 0 }, typed };
	if (line.lost)
		return 0;
	if (line.pending)
		offer_value(&line, line.pending, typed, 0);
	else if (!line.no_options && typed.len && typed.ptr[0] == '-')
		offer_options(&line, typed);
	else
		offer_operand(&line, &wanted);
	out_flush(&ignored);
	return 0;
}
