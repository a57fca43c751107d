/* send --status ID: what became of a command, as this ledger knows it, or the node that it was sent to. */
#include <inttypes.h>

#include "send.h"

#include "../lib/base/banned.h"

static void not_yet(struct sending *s, const struct flight *f, const struct ledger_reply *reply,
	const struct ledger_error *err)
{
	char id[UUID_TEXT_MAX];
	if (!reply || reply->status != LEDGER_NO || reply->exit != 0) {
		send_print(s, f, reply, err);
		return;
	}
	uuid_format(f->command.id, id);
	fail(&s->first, LEDGER_NO, "%.*s does not know command %s", SLICE_ARG(reply->node), id);
	hint(&s->first, "it was not executed yet, or it has expired");
}

static enum ledger_status ask(
	struct sending *s, const struct ledger_sent *sent, struct ledger_error *err)
{
	struct ledger_command question = { .stream = sent->stream,
		.name = sent->name,
		.payload = SLICE("null"),
		.only_asks = true };
	char node[65] = { 0 };
	memcpy(question.id, sent->id, sizeof(question.id));
	memcpy(node, sent->node.ptr, sent->node.len < 64 ? sent->node.len : 64);
	s->over = not_yet;
	TRY(send_put_to(s, &question, node, err));
	while (s->n > 0)
		TRY(send_turn(s, -1, err));
	*err = s->first;
	return err->status;
}

enum ledger_status send_status(struct sending *s, const char *text, struct ledger_error *err)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct ledger_reply reply = { 0 };
	struct ledger_sent sent;
	struct ledger_error none = { 0 };
	struct flight f = { 0 };
	if (!uuid_parse(slice_of(text), f.command.id))
		return fail(err, LEDGER_INVALID, "'%.64s' is not the id of a command", text);
	enum ledger_status status =
		ledger_command_answer(s->ledger, f.command.id, &arena, &reply, err);
	if (status == LEDGER_OK) {
		reply.node = slice_of(ledger_node(s->ledger));
		send_print(s, &f, &reply, &none);
		*err = s->first;
		return err->status;
	}
	if (status != LEDGER_NO)
		return status;
	status = ledger_command_find_sent(s->ledger, f.command.id, &arena, &sent, err);
	if (status == LEDGER_NO)
		return hint(err, "answers are kept until the command expires; is it an event? see "
				 "ledgerbox show");
	TRY(status);
	return ask(s, &sent, err);
}
