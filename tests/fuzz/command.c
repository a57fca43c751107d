/*
 * Commands and answers as they come from the network. The first byte says what the rest is: as it came, or
 * words that somebody with the key has signed. Nothing is believed without the MAC; what is taken keeps
 * to the limits, and says the same when it is sealed and opened again.
 */
#include "fuzz.h"

#include "../../lib/peers.h"
#include "../../lib/send.h"

static struct ledger *ledger(void)
{
	static struct ledger_options options;
	static struct ledger *l;
	if (!l) {
		options = fuzz_options();
		l = fuzz_ledger(&options);
	}
	return l;
}

/* The words with the right MAC behind them. */
static void sign(struct slice words, const char *label, struct buf *out)
{
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
	struct ledger_error err;
	MUST(ledger_sign(ledger(), label, words, key, mac, &err));
	buf_add_slice(out, words);
	buf_addf(out, "\n{\"key\":\"%s\",\"mac\":\"", key);
	buf_add_hex(out, mac, sizeof(mac));
	buf_add_text(out, "\"}\n");
}

static void claim_command(struct slice bytes, struct arena *arena)
{
	CLEANUP_BUF struct buf again = { 0 };
	struct ledger_error err = { 0 };
	struct ledger_command c, same;
	enum ledger_status status = ledger_command_open(ledger(), bytes, arena, &c, &err);
	fuzz_claim_error(status, &err);
	if (status) {
		CLAIM(status == LEDGER_INVALID || status == LEDGER_UNVERIFIED);
		return;
	}
	CLAIM(slice_is_token(c.sender) && slice_is_token(c.node) && slice_is_token(c.name));
	CLAIM(c.only_asks || c.payload.len <= EVENT_PAYLOAD_MAX);
	CLAIM(ledger_command_check(&c, &err) == LEDGER_OK);
	MUST(ledger_command_seal(ledger(), &c, &again, &err));
	MUST(ledger_command_open(ledger(), buf_slice(&again), arena, &same, &err));
	CLAIM(slice_eq(c.stream, same.stream) && slice_eq(c.name, same.name));
	CLAIM(c.only_asks == same.only_asks && memcmp(c.id, same.id, sizeof(c.id)) == 0);
}

static void claim_reply(struct slice bytes, struct arena *arena)
{
	CLEANUP_BUF struct buf again = { 0 };
	struct ledger_error err = { 0 };
	struct ledger_reply r, same;
	enum ledger_status status = ledger_reply_open(ledger(), bytes, arena, &r, &err);
	fuzz_claim_error(status, &err);
	if (status) {
		CLAIM(status == LEDGER_INVALID || status == LEDGER_UNVERIFIED);
		return;
	}
	MUST(ledger_reply_seal(ledger(), &r, &again, &err));
	MUST(ledger_reply_open(ledger(), buf_slice(&again), arena, &same, &err));
	CLAIM(r.status == same.status && r.exit == same.exit && r.repeated == same.repeated);
	CLAIM(slice_eq(r.text, same.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	CLEANUP_BUF struct buf signed_words = { 0 };
	uint8_t kind;
	struct slice rest = fuzz_rest(bytes, size, &kind);
	if (kind & 1) {
		sign(rest, kind & 2 ? "ledgerbox/answer/v1" : "ledgerbox/command/v1",
			&signed_words);
		rest = buf_slice(&signed_words);
	}
	if (kind & 2)
		claim_reply(rest, &arena);
	else
		claim_command(rest, &arena);
	return 0;
}
