#include "claims.h"

#include "../lib/own.h"
#include "output.h"
#include "settings.h"
#include "sync-options.h"

#include "../lib/base/banned.h"

#define PATIENCE (2 * TIME_SECOND)

static struct {
	struct arena arena;
	struct sync_options options;
	struct sync_claims *claims;
	bool given_up;	/* nobody answers: not asked again */
	struct buf won; /* the last one */
} strict;

void claims_done(void)
{
	sync_claims_close(strict.claims);
	strict.claims = NULL;
	arena_done(&strict.arena);
	buf_done(&strict.won);
}

static enum ledger_status give_up(enum ledger_status status, struct ledger_error *err)
{
	if (status != LEDGER_UNREACHABLE)
		return status;
	warn("claims: strict, but nobody could be asked (%s): what is recorded decides later",
		err->text);
	strict.given_up = true;
	return LEDGER_OK;
}

static enum ledger_status connect_to_all(const char *node, struct ledger_error *err)
{
	if (strict.claims)
		return LEDGER_OK;
	TRY(sync_options_read(&strict.options, &strict.arena, err));
	return sync_claims_open(&strict.claims, &strict.options, node, PATIENCE, err);
}

bool claims_are_strict(void)
{
	return !strict.given_up && slice_is(slice_of(settings.sync_claims), "strict");
}

/* append --atomic completes its events once to check and once to record them. */
static bool is_won(struct slice domain, struct slice stream)
{
	CLEANUP_BUF struct buf name = { 0 };
	buf_addf(&name, "%.*s %.*s", SLICE_ARG(domain), SLICE_ARG(stream));
	bool won = !name.failed && slice_eq(buf_slice(&name), buf_slice(&strict.won));
	buf_reset(&strict.won);
	buf_add_slice(&strict.won, buf_slice(&name));
	return won;
}

enum ledger_status claims_win(
	struct ledger *l, struct slice domain, struct slice stream, struct ledger_error *err)
{
	struct ledger_owner owner;
	if (!claims_are_strict() || !domain.ptr || !stream.ptr || is_won(domain, stream))
		return LEDGER_OK;
	enum ledger_status status = ledger_owner_in(l, domain, stream, &owner, err);
	if (status != LEDGER_NO)
		return status; /* the check that follows says it */
	status = connect_to_all(ledger_node(l), err);
	if (!status)
		status = sync_claims_win(strict.claims, domain, stream, err);
	return give_up(status, err);
}
