/*
 * Command lines. The first byte chooses the command, the rest are its words, one per line: the options
 * are read by its table, and the choice of events that they make is worked out.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "../../cmd/command.h"
#include "../../cmd/filter.h"
#include "../../cmd/operands.h"
#include "../../cmd/output.h"
#include "../../cmd/settings.h"

#define WORDS_MAX 64

struct line {
	int argc;
	char *argv[WORDS_MAX + 1];
	char *before[WORDS_MAX];
};

/* Each word is memory of its own, so that reading behind it is seen. */
static void split(struct slice text, struct line *line)
{
	bool more = true;
	while (more && line->argc < WORDS_MAX) {
		struct slice word = text;
		more = slice_cut(text, '\n', &word, &text);
		char *copy = malloc(word.len + 1);
		CLAIM(copy);
		memcpy(copy, word.ptr, word.len);
		copy[word.len] = '\0';
		line->argv[line->argc] = line->before[line->argc] = copy;
		line->argc++;
	}
}

static bool was_given(const struct line *line, const char *word)
{
	for (int i = 0; i < line->argc; i++)
		if (line->before[i] == word)
			return true;
	return false;
}

static const struct command *choose(uint8_t which)
{
	unsigned n = 0;
	while (commands[n])
		n++;
	return commands[which % n];
}

static void forget(const struct command *command)
{
	opt_done(command->opts);
	filter_words = (struct filter_words){ 0 };
	flags = (struct settings_flags){ .timeout = SETTINGS_NOT_GIVEN };
	common = (struct common){ 0 };
	output.quiet = true; /* a range of times is said on stderr */
}

static void claim_filter(void)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	struct ledger_error err = { 0 };
	struct ledger_filter filter = { 0 };
	enum ledger_status status = filter_resolve(&filter, &arena, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	if (status != LEDGER_OK)
		return;
	for (size_t i = 0; i < filter.n_streams; i++)
		CLAIM(memchr(filter.streams[i].ptr, '/', filter.streams[i].len));
	for (size_t i = 0; i < filter.n_domains; i++)
		CLAIM(slice_is_token(filter.domains[i]));
}

/* Pairs make an object; "@FILE" and "-" would read what is not ours. */
static void claim_payload(int n, char **operands)
{
	CLEANUP_BUF struct buf room = { 0 };
	struct ledger_error err = { 0 };
	struct slice payload, value;
	for (int i = 0; i < n; i++)
		if (operands[i][0] == '@' || strcmp(operands[i], "-") == 0)
			return;
	enum ledger_status status = operands_payload(n, operands, &room, &payload, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE || status == LEDGER_INVALID);
	if (status == LEDGER_OK)
		CLAIM(json_check(payload, &value, &err) == LEDGER_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t which;
	struct line line = { 0 };
	struct ledger_error err = { 0 };
	int n = -1;
	split(fuzz_rest(bytes, size, &which), &line);
	const struct command *command = choose(which & 31);
	forget(command);
	enum ledger_status status =
		opt_parse(command->opts, common_opts, line.argc, line.argv, which & 32, &n, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	if (status == LEDGER_OK) {
		CLAIM(n >= 0 && n <= line.argc);
		for (int i = 0; i < n; i++)
			CLAIM(was_given(&line, line.argv[i]));
		claim_filter();
		if (n > 0)
			claim_payload(n, line.argv);
	}
	forget(command);
	for (int i = 0; i < line.argc; i++)
		free(line.before[i]);
	return 0;
}
