#include "subject.h"

#include "../base/banned.h"

enum ledger_status subject_of(
	char out[SUBJECT_MAX], const struct slice *tokens, size_t n, struct ledger_error *err)
{
	char composed[SUBJECT_MAX];
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		size_t shown = tokens[i].len < 80 ? tokens[i].len : 80;
		if (!slice_is_token(tokens[i]))
			return fail(err, LEDGER_INVALID, "'%.*s' cannot be part of a subject",
				(int)shown, tokens[i].ptr ? tokens[i].ptr : "");
		if (len + 1 + tokens[i].len >= SUBJECT_MAX)
			return fail(err, LEDGER_INVALID, "a subject of more than %d bytes",
				SUBJECT_MAX - 1);
		if (i > 0)
			composed[len++] = '.';
		memcpy(composed + len, tokens[i].ptr, tokens[i].len);
		len += tokens[i].len;
	}
	composed[len] = '\0';
	memcpy(out, composed, len + 1);
	return LEDGER_OK;
}

static bool is_token_valid(struct slice token, bool pattern, bool last)
{
	if (pattern && (slice_is(token, "*") || (last && slice_is(token, ">"))))
		return true;
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] <= ' ' || token.ptr[i] > '~' || token.ptr[i] == '*' ||
			token.ptr[i] == '>')
			return false;
	return token.len > 0;
}

bool subject_is_valid(struct slice subject, bool pattern)
{
	struct slice token, rest = subject;
	if (subject.len == 0 || subject.len >= SUBJECT_MAX)
		return false;
	while (slice_cut(rest, '.', &token, &rest))
		if (!is_token_valid(token, pattern, false))
			return false;
	return is_token_valid(rest, pattern, true);
}

struct slice subject_token(struct slice subject, size_t index)
{
	struct slice token, rest = subject;
	for (size_t i = 0; i < index; i++)
		if (!slice_cut(rest, '.', &token, &rest))
			return (struct slice){ NULL, 0 };
	return slice_cut(rest, '.', &token, &rest) ? token : rest;
}
