#include "answers.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"

#include "../lib/base/banned.h"

static void add_text(struct buf *out, const struct ledger_answer *answer, const char *id)
{
	buf_add_u64(out, answer->position);
	buf_add_char(out, ' ');
	buf_add_u64(out, answer->sequence);
	buf_add_char(out, ' ');
	buf_add_u64(out, answer->version);
	buf_add_char(out, ' ');
	buf_add(out, id, UUID_TEXT_MAX - 1);
	buf_add_char(out, ' ');
	buf_add_hex(out, answer->hash, sizeof(answer->hash));
	buf_add_char(out, '\n');
}

static void add_json(struct buf *out, const struct ledger_answer *answer, const char *id)
{
	buf_add_text(out, "{\"position\":");
	buf_add_u64(out, answer->position);
	buf_add_text(out, ",\"sequence\":");
	buf_add_u64(out, answer->sequence);
	buf_add_text(out, ",\"version\":");
	buf_add_u64(out, answer->version);
	buf_add_text(out, ",\"id\":\"");
	buf_add(out, id, UUID_TEXT_MAX - 1);
	buf_add_text(out, "\",\"hash\":\"");
	buf_add_hex(out, answer->hash, sizeof(answer->hash));
	buf_add_text(
		out, answer->repeated ? "\",\"repeated\":true}\n" : "\",\"repeated\":false}\n");
}

void answer_add(struct buf *out, const struct ledger_answer *answer)
{
	char id[UUID_TEXT_MAX];
	if (output.quiet)
		return;
	uuid_format(answer->id, id);
	if (output.format == FORMAT_JSON)
		add_json(out, answer, id);
	else
		add_text(out, answer, id);
}

enum ledger_status answers_print(struct slice lines, struct ledger_error *err)
{
	if (lines.len == 0)
		return LEDGER_OK;
	out_slice(lines);
	return out_flush(err);
}

enum ledger_status answers_lost(uint64_t position, struct ledger_error *err)
{
	struct ledger_error cause = *err;
	const char *why = cause.status == LEDGER_NO ? "nobody reads stdout" : cause.text;
	return fail(err, LEDGER_UNKNOWN,
		"recorded up to position %" PRIu64 ", but the answers were not read: %s", position,
		why);
}

#define WARNINGS_MAX 8

void answers_warn(struct ledger *l)
{
	static char told[WARNINGS_MAX][128];
	static size_t n;
	const char *text = ledger_warning(l);
	if (!text || n == WARNINGS_MAX)
		return;
	for (size_t i = 0; i < n; i++)
		if (strncmp(told[i], text, sizeof(told[i]) - 1) == 0)
			return;
	snprintf(told[n++], sizeof(told[0]), "%s", text);
	warn("%s", text);
}
