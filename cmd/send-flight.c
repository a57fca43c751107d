/* Commands under way: executed here where the stream is this node's, else sent to its owner. */
#include "send.h"

#include <errno.h>
#include <poll.h>

#include "execute.h"
#include "settings.h"
#include "sync-options.h"

#include "../lib/base/banned.h"

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

void send_done(struct sending *s)
{
	ledger_commands_close(s->here);
	sync_ask_close(s->there);
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		arena_done(&s->flights[i].arena);
	arena_done(&s->arena);
}

/* --- Answers --------------------------------------------------------------------------------- */

/* It may have been executed, or will be: its id is kept, so that --status knows whom to ask. */
static void remember(struct sending *s, const struct flight *f, const struct ledger_error *err)
{
	struct ledger_error ignored;
	if (f->command.only_asks)
		return;
	if (err->status == LEDGER_OK || err->status == LEDGER_UNKNOWN)
		ledger_command_sent(s->ledger, &f->command, &ignored);
	if (err->status)
		ledger_command_count(s->ledger, "unanswered", 1, &ignored);
}

static void over(struct sending *s, struct flight *f, const struct ledger_reply *reply,
	const struct ledger_error *err)
{
	(s->over ? s->over : send_print)(s, f, reply, err);
	f->used = false;
	arena_reset(&f->arena);
	s->n--;
}

static void answered_here(const struct ledger_command *command, const struct ledger_reply *reply,
	uint64_t tag, void *context)
{
	struct sending *s = context;
	struct ledger_error none = { 0 };
	(void)command;
	over(s, &s->flights[tag], reply, &none);
}

static void answered_there(uint64_t tag, const struct ledger_reply *reply,
	const struct ledger_error *err, void *context)
{
	struct sending *s = context;
	if (!reply)
		remember(s, &s->flights[tag], err);
	over(s, &s->flights[tag], reply, err);
}

/* --- On its way ------------------------------------------------------------------------------ */

static enum ledger_status open_here(struct sending *s, struct ledger_error *err)
{
	if (s->here)
		return LEDGER_OK;
	execute_options(&s->here_options, s->ledger);
	s->here_options.answered = answered_here;
	s->here_options.context = s;
	return ledger_commands_open(&s->here, &s->here_options, err);
}

static enum ledger_status open_there(struct sending *s, struct ledger_error *err)
{
	if (s->there)
		return LEDGER_OK;
	TRY(sync_options_read(&s->there_options, &s->arena, err));
	return sync_ask_open(&s->there, s->ledger, &s->there_options, answered_there, s, err);
}

static struct flight *free_flight(struct sending *s)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		if (!s->flights[i].used)
			return &s->flights[i];
	return NULL;
}

static enum ledger_status copy(
	struct flight *f, const struct ledger_command *from, struct ledger_error *err)
{
	f->command = *from;
	f->command.stream = arena_copy(&f->arena, from->stream);
	f->command.name = arena_copy(&f->arena, from->name);
	f->command.payload = arena_copy(&f->arena, from->payload);
	return f->command.stream.ptr && f->command.name.ptr && f->command.payload.ptr
		       ? LEDGER_OK
		       : no_memory(err);
}

static enum ledger_status go(
	struct sending *s, struct flight *f, const char *node, struct ledger_error *err)
{
	uint64_t tag = (uint64_t)(f - s->flights);
	TRY(ledger_command_check(&f->command, err));
	if (!node) {
		TRY(open_here(s, err));
		f->command.node = f->command.sender = slice_of(ledger_node(s->ledger));
		f->command.epoch = ledger_epoch(s->ledger);
		return ledger_commands_offer(s->here, &f->command, tag, err);
	}
	TRY(open_there(s, err));
	f->command.node = arena_copy(&f->arena, slice_of(node));
	return f->command.node.ptr
		       ? sync_ask_put(s->there, &f->command, s->async && !f->command.only_asks,
				 s->timeout, tag, err)
		       : no_memory(err);
}

static enum ledger_status begin(struct sending *s, const struct ledger_command *command,
	uint64_t line, struct flight **out, struct ledger_error *err)
{
	static const uint8_t nil[16];
	struct flight *f = free_flight(s);
	if (!f)
		return fail(err, LEDGER_BUSY, "%d commands are under way", FLIGHTS_MAX);
	TRY(copy(f, command, err));
	f->used = true;
	f->line = line;
	f->command.expires = time_now() + s->life;
	s->n++;
	*out = f;
	if (memcmp(command->id, nil, sizeof(nil)) != 0)
		return LEDGER_OK;
	return ledger_command_new_id(f->command.id, err);
}

enum ledger_status send_put(struct sending *s, const struct ledger_command *command, uint64_t line,
	struct ledger_error *err)
{
	struct flight *f;
	struct whose whose;
	struct ledger_error why = { 0 };
	TRY(begin(s, command, line, &f, err));
	enum ledger_status status = execute_whose(s->ledger, f->command.stream, &whose, &why);
	if (!status)
		status = go(s, f, whose.here ? NULL : whose.node, &why);
	if (status)
		over(s, f, NULL, &why);
	return LEDGER_OK;
}

enum ledger_status send_put_to(struct sending *s, const struct ledger_command *command,
	const char *node, struct ledger_error *err)
{
	struct flight *f;
	struct ledger_error why = { 0 };
	TRY(begin(s, command, 0, &f, err));
	if (go(s, f, node, &why) != LEDGER_OK)
		over(s, f, NULL, &why);
	return LEDGER_OK;
}

/* --- Waiting --------------------------------------------------------------------------------- */

static int until(const struct sending *s)
{
	uint64_t now = time_monotonic(), due = now + 10 * TIME_SECOND;
	if (s->here && ledger_commands_due(s->here) < due)
		due = ledger_commands_due(s->here);
	if (s->there && sync_ask_due(s->there) < due)
		due = sync_ask_due(s->there);
	return due <= now ? 0 : (int)((due - now + 999) / 1000);
}

enum ledger_status send_turn(struct sending *s, int fd, struct ledger_error *err)
{
	struct pollfd fds[3] = {
		{ s->here ? ledger_commands_fd(s->here) : -1, POLLIN, 0 },
		{ s->there ? sync_ask_fd(s->there) : -1, POLLIN, 0 },
		{ fd, POLLIN, 0 },
	};
	if (poll(fds, 3, until(s)) < 0 && errno != EINTR)
		return fail_errno(err, "cannot wait for answers");
	if (s->here)
		TRY(ledger_commands_step(s->here, err));
	if (s->there)
		sync_ask_step(s->there);
	return LEDGER_OK;
}
