/*
 * Refusals that could not be written, as the ledger was busy or there was no room for the command: they are
 * remembered here until the next transaction. Whoever has caught the message of such a command could else
 * have it executed when its sender, who was told that it was not, has done something else.
 */
#include "command.h"

#include <stdlib.h>

#include "../store/command.h"

#include "../base/banned.h"

#define REFUSED_MAX 4096

struct refused {
	struct refused *next;
	uint8_t id[16];
	uint8_t digest[EVENT_HASH_SIZE];
	uint64_t counter, expires;
	size_t sender, answer; /* bytes of each in … */
	char text[];
};

static struct slice sender_of(const struct refused *r)
{
	return (struct slice){ r->text, r->sender };
}

static struct slice answer_of(const struct refused *r)
{
	return (struct slice){ r->text + r->sender, r->answer };
}

static void forget_first(struct ledger_commands *c)
{
	struct refused *first = c->refused;
	c->refused = first->next;
	if (!c->refused)
		c->last_refused = &c->refused;
	c->n_refused--;
	free(first);
}

void refused_remember(struct ledger_commands *c, const struct ledger_command *command,
	const struct ledger_reply *reply)
{
	CLEANUP_BUF struct buf answer = { 0 };
	if (!command->counter || command->stored)
		return;
	ledger_reply_add(&answer, reply);
	struct refused *r =
		answer.failed ? NULL : malloc(sizeof(*r) + command->sender.len + answer.len);
	if (!r)
		return;
	r->next = NULL;
	memcpy(r->id, command->id, sizeof(r->id));
	command_digest(command, r->digest);
	r->counter = command->counter;
	r->expires = command->expires;
	r->sender = command->sender.len;
	r->answer = answer.len;
	memcpy(r->text, command->sender.ptr, r->sender);
	memcpy(r->text + r->sender, answer.ptr, r->answer);
	*c->last_refused = r;
	c->last_refused = &r->next;
	if (++c->n_refused > REFUSED_MAX)
		forget_first(c);
}

struct slice refused_find(const struct ledger_commands *c, const struct ledger_command *command)
{
	if (command->counter)
		for (const struct refused *r = c->refused; r; r = r->next)
			if (memcmp(r->id, command->id, sizeof(r->id)) == 0 &&
				r->counter >= command->counter &&
				slice_eq(sender_of(r), command->sender))
				return answer_of(r);
	return (struct slice){ NULL, 0 };
}

enum ledger_status refused_write(struct ledger_commands *c, struct ledger_error *err)
{
	for (const struct refused *r = c->refused; r; r = r->next) {
		struct ledger_command command = { .sender = sender_of(r), .counter = r->counter };
		struct command_answer answer = { r->digest, answer_of(r), r->expires };
		memcpy(command.id, r->id, sizeof(command.id));
		TRY(command_refuse(c->ledger, &command, &answer, err));
	}
	return LEDGER_OK;
}

void refused_forget(struct ledger_commands *c)
{
	while (c->refused)
		forget_first(c);
}
