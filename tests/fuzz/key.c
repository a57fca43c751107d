/* A key file: 64 hex digits and at most one newline make a key, nothing else does. */
#include "fuzz.h"

#include "../../lib/event/keyfile.h"

/* By hand, so that it is not held against itself. */
static bool is_key(struct slice text)
{
	if (text.len == 65 && text.ptr[64] == '\n')
		text.len--;
	if (text.len != 64)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (!text.ptr[i] || !strchr("0123456789abcdefABCDEF", text.ptr[i]))
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice text = { (const char *)bytes, size };
	struct ledger_error err = { 0 };
	struct chain_key key;
	char id[EVENT_KEY_ID_SIZE + 1];
	const char *path = fuzz_path("any.key");
	if (size == 0)
		text = SLICE("");
	fuzz_write(path, text);
	enum ledger_status status = ledger_key_id(path, NULL, id, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == (is_key(text) ? LEDGER_OK : LEDGER_INVALID));
	if (status == LEDGER_OK)
		CLAIM(strlen(id) == EVENT_KEY_ID_SIZE && strncmp(id, "hs256-", 6) == 0);
	status = keyfile_parse(text, &key, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status != LEDGER_OK || is_key(text));
	chain_key_done(&key);
	return 0;
}
