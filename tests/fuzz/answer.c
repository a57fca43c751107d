/* What a co-process says: an answer, when written again, is the line it was; all else is garbage. */
#include "fuzz.h"

#include "../../lib/base/uuid.h"
#include "../../lib/fold/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice line = { (const char *)bytes, size }, reason = { NULL, 0 };
	char text[UUID_TEXT_MAX];
	uint8_t id[16] = { 0 };
	if (size == 0)
		line = SLICE("");
	enum answer is = answer_parse(line, id, &reason);
	CLAIM(is == ANSWER_OK || is == ANSWER_ERROR || is == ANSWER_GARBAGE);
	if (is == ANSWER_GARBAGE)
		return 0;
	CLEANUP_BUF struct buf again = { 0 };
	uuid_format(id, text);
	buf_addf(&again, "%s %s", is == ANSWER_OK ? "ok" : "error", text);
	CLAIM(line.len >= again.len);
	/* Ids may be written in capitals. */
	CLAIM(slice_starts(line, is == ANSWER_OK ? SLICE("ok ") : SLICE("error ")));
	if (is == ANSWER_OK) {
		CLAIM(line.len == again.len);
		return 0;
	}
	CLAIM(reason.len == 0 || (reason.ptr == line.ptr + again.len + 1 &&
					 reason.ptr + reason.len == line.ptr + line.len));
	return 0;
}
