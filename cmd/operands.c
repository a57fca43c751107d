#include "operands.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "input.h"
#include "output.h"

#include "../lib/base/banned.h"

/* --- How many -------------------------------------------------------------------------------- */

/* "NAME" is missing: "a name is missing". */
static void add_missing(struct buf *out, struct slice word)
{
	buf_add_text(out, "a ");
	for (size_t i = 0; i < word.len; i++)
		buf_add_char(out, (char)(word.ptr[i] | 0x20));
	buf_add_text(out, " is missing");
}

enum ledger_status operands_check(
	int argc, char **argv, const char *usage, struct ledger_error *err)
{
	CLEANUP_BUF struct buf missing = { 0 };
	int wanted = -1; /* the first word is the verb */
	for (const char *at = usage; *at; wanted++) {
		size_t len = strcspn(at, " ");
		if (wanted == argc)
			add_missing(&missing, (struct slice){ at, len });
		at += len + strspn(at + len, " ");
	}
	TRY(buf_check(&missing, err));
	if (argc == wanted)
		return LEDGER_OK;
	if (argc > wanted)
		fail(err, LEDGER_USAGE, "'%.80s' is one operand too many", argv[wanted]);
	else
		fail(err, LEDGER_USAGE, "%s", buf_text(&missing));
	return hint(err, "usage: ledgerbox %s %s", output.command, usage);
}

/* --- Pairs ----------------------------------------------------------------------------------- */

/* NAME=TEXT or, where a colon stands before the first =, NAME:=JSON. */
static bool split_pair(struct slice pair, struct slice *name, struct slice *value, bool *is_json)
{
	if (!slice_cut(pair, '=', name, value))
		return false;
	*is_json = name->len > 0 && name->ptr[name->len - 1] == ':';
	name->len -= *is_json;
	return name->len > 0;
}

enum ledger_status operand_add_pair(
	struct slice pair, struct slice *name, struct buf *out, struct ledger_error *err)
{
	struct slice value;
	bool is_json;
	if (!split_pair(pair, name, &value, &is_json))
		return fail(err, LEDGER_INVALID, "'%.*s' is not NAME=TEXT or NAME:=JSON",
			SLICE_ARG(input_shown(pair)));
	if (!slice_is_utf8(pair))
		return fail(
			err, LEDGER_INVALID, "'%.*s' is not UTF-8", SLICE_ARG(input_shown(pair)));
	json_add_string(out, *name);
	buf_add_char(out, ':');
	if (!is_json) {
		json_add_string(out, value);
		return buf_check(out, err);
	}
	if (json_check(value, &value, err) != LEDGER_OK) {
		fail_in(err, "%.*s: ", SLICE_ARG(input_shown(*name)));
		return err->hint[0] ? err->status
				    : hint(err, "NAME:= takes JSON, NAME= takes text");
	}
	buf_add_slice(out, value);
	return buf_check(out, err);
}

static enum ledger_status object_of_pairs(
	int n, char **operands, struct buf *out, struct slice *payload, struct ledger_error *err)
{
	struct slice name;
	for (int i = 0; i < n; i++) {
		buf_add_char(out, i == 0 ? '{' : ',');
		TRY(operand_add_pair(slice_of(operands[i]), &name, out, err));
	}
	buf_add_char(out, '}');
	TRY(buf_check(out, err));
	*payload = buf_slice(out);
	return json_check_unique(*payload, err);
}

/* --- One payload ----------------------------------------------------------------------------- */

/* Generous: the ledger names its own limit, and outer white space does not count there. */
#define FILE_MAX (1u << 20)

static enum ledger_status read_payload(
	int fd, const char *name, struct buf *out, struct slice *payload, struct ledger_error *err)
{
	TRY(input_read_all(fd, name, FILE_MAX, out, err));
	if (json_check(buf_slice(out), payload, err) != LEDGER_OK)
		return fail_in(err, "%s: ", name);
	return LEDGER_OK;
}

/* A name that is wrong is input to mend, not an I/O error to try again. */
static enum ledger_status cannot_open(const char *path, struct ledger_error *err)
{
	bool misnamed =
		errno == ENOENT || errno == ENOTDIR || errno == EISDIR || errno == ENAMETOOLONG;
	fail_errno(err, "cannot open payload file '%.80s'", path);
	if (!misnamed)
		return err->status;
	err->status = LEDGER_INVALID;
	return hint(err, strcmp(path, "-") == 0 ? "a payload from stdin is written -"
						: "@FILE names a file that holds the payload");
}

static enum ledger_status payload_of_file(
	const char *path, struct buf *out, struct slice *payload, struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cannot_open(path, err);
	return read_payload(fd, path, out, payload, err);
}

/* Does it begin as JSON does? What is wrong further on, json_check says better. */
static bool looks_like_json(struct slice text)
{
	while (text.len && strchr(" \t\r\n", text.ptr[0]))
		text = slice_from(text, 1);
	while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1]))
		text.len--;
	if (text.len == 0)
		return false;
	if (text.ptr[0] == '-' && text.len > 1)
		text = slice_from(text, 1);
	return strchr("{[\"0123456789", text.ptr[0]) || slice_is(text, "true") ||
	       slice_is(text, "false") || slice_is(text, "null");
}

static enum ledger_status payload_of_json(
	struct slice text, struct slice *payload, struct ledger_error *err)
{
	if (json_check(text, payload, err) != LEDGER_OK)
		return fail_in(err, "payload: ");
	return LEDGER_OK;
}

static bool is_pair(struct slice operand)
{
	struct slice name, value;
	bool is_json;
	return !looks_like_json(operand) && operand.len && operand.ptr[0] != '@' &&
	       split_pair(operand, &name, &value, &is_json);
}

static enum ledger_status not_a_payload(struct slice operand, struct ledger_error *err)
{
	fail(err, LEDGER_INVALID, "operand '%.*s' is neither JSON nor NAME=TEXT nor @FILE",
		SLICE_ARG(input_shown(operand)));
	return hint(err, "a text alone is written '\"text\"', a field name=text, a number name:=5");
}

static enum ledger_status check_pairs(int n, char **operands, struct ledger_error *err)
{
	for (int i = 0; i < n; i++) {
		struct slice operand = slice_of(operands[i]);
		if (is_pair(operand))
			continue;
		if (!looks_like_json(operand) && operand.len && operand.ptr[0] != '@' &&
			!slice_is(operand, "-"))
			return not_a_payload(operand, err);
		fail(err, LEDGER_USAGE, "'%.*s' is a whole payload and stands alone",
			SLICE_ARG(input_shown(operand)));
		return hint(err, "give one payload, or only NAME=TEXT and NAME:=JSON; many events "
				 "go to stdin");
	}
	return LEDGER_OK;
}

enum ledger_status operands_payload(
	int n, char **operands, struct buf *out, struct slice *payload, struct ledger_error *err)
{
	struct slice first = slice_of(operands[0]);
	buf_reset(out);
	if (n == 1 && slice_is(first, "-"))
		return read_payload(STDIN_FILENO, "stdin", out, payload, err);
	if (n == 1 && slice_starts(first, SLICE("@")))
		return payload_of_file(operands[0] + 1, out, payload, err);
	if (n == 1 && looks_like_json(first))
		return payload_of_json(first, payload, err);
	if (n == 1 && !is_pair(first))
		return not_a_payload(first, err);
	TRY(check_pairs(n, operands, err));
	return object_of_pairs(n, operands, out, payload, err);
}
