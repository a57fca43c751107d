/*
 * A command is one file, named as typed, that ends in a `struct command`. To add one: copy tail.c,
 * add two lines to commands.c, write its page and its .bats.
 */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "opt.h"

enum command_opens {
	OPENS_NOTHING,	/* no config is read, no ledger opened */
	OPENS_SETTINGS, /* settings are read, `ledger` is NULL */
	OPENS_READ,
	OPENS_DAMAGED, /* for reading; where the file is too damaged, `ledger` is NULL, `err` tells why */
	OPENS_WRITE
};

/* A word after the command's name: `cursor set NAME POSITION`. */
struct verb {
	const char *name;     /* NULL ends the table */
	const char *operands; /* "NAME POSITION" */
	const char *summary;
	enum command_opens opens;
	enum complete complete; /* of its first operand */
	enum ledger_status (*run)(
		struct ledger *l, int argc, char **argv, struct ledger_error *err);
};

struct command {
	const char *name;
	const char *summary;  /* one sentence, capital and full stop */
	const char *operands; /* "[PAYLOAD | @FILE | - | NAME=TEXT NAME:=JSON ...]"; NULL: none */
	enum command_opens opens;
	const struct opt *opts;	    /* NULL: none of its own */
	const struct verb *verbs;   /* NULL: none; then `run` is */
	enum complete complete;	    /* of its operands */
	const char *const *formats; /* what --format takes, NULL at the end; NULL: text and json */
	const char *examples;	    /* lines for --help, NULL: none */
	/* argv holds the operands only. */
	enum ledger_status (*run)(
		struct ledger *l, int argc, char **argv, struct ledger_error *err);
};

/* All commands in the order of the help; NULL at the end. */
extern const struct command *const commands[];

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);

/* The name nearest in spelling, NULL without one near. */
const char *command_nearest(const char *name);

/* Options that every command takes (config, database, key-file, format …), and what they set beside
 * `flags` and `output`. */
extern const struct opt common_opts[];

struct common {
	bool help;
	const char *format; /* as typed; NULL: not given */
};
extern struct common common;

/* What --format takes for this command; NULL at the end. */
const char *const *command_formats(const struct command *command);

/* The ledger that `settings` name. */
struct ledger_options command_ledger_options(enum ledger_mode mode);

/* Opens the ledger that `settings` name; they have to stay as they are while it is open. */
enum ledger_status command_open_ledger(
	enum ledger_mode mode, struct ledger **out, struct ledger_error *err);

/*
 * For a command that only reads, once everything is open: from here on it can neither write files nor
 * make connections, but for what reading a ledger and -o need, files in `folder`, and files beside `file`
 * (NULL: none).
 */
void command_confine(const char *folder, const char *file);

/* In two steps, for one that asks peers before it reads: files now; connections when those are closed. */
void command_confine_files(const char *folder);
void command_close_network(void);

/* Options of the program itself, before the command's name; the common ones are taken there too. */
extern const struct opt program_opts[];
extern bool version_asked;

/* help.c: what `--help` prints. */
void help_program(void);
void help_command(const struct command *command);

/* complete.c: answers `ledgerbox __complete -- WORD…` (the last word is the one being typed) with
 * lines `candidate<TAB>summary`; a line ":file" or ":folder" asks the shell for file names. Always 0:
 * a shell has no use for the reason why there is nothing to offer. */
int complete_words(int argc, char **argv);

#endif
