#include "answer.h"

#include "../base/banned.h"

enum answer answer_parse(struct slice line, uint8_t id[16], struct slice *reason)
{
	struct slice word, rest, text;
	*reason = SLICE("");
	if (!slice_cut(line, ' ', &word, &rest))
		return ANSWER_GARBAGE;
	if (slice_is(word, "ok"))
		return uuid_parse(rest, id) ? ANSWER_OK : ANSWER_GARBAGE;
	if (!slice_is(word, "error"))
		return ANSWER_GARBAGE;
	if (slice_cut(rest, ' ', &word, &text))
		*reason = text;
	else
		word = rest;
	return uuid_parse(word, id) ? ANSWER_ERROR : ANSWER_GARBAGE;
}
