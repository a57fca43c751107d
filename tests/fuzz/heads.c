/* A file of heads: what is taken is heads through and through, and is the same when it is written and
 * read again. */
#include "fuzz.h"

#include "../../cmd/heads.h"

static bool is_same(const struct ledger_head *a, const struct ledger_head *b)
{
	return slice_eq(a->origin, b->origin) && a->epoch == b->epoch &&
	       slice_eq(a->domain, b->domain) && a->sequence == b->sequence &&
	       memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static void claim_again(const struct heads *heads)
{
	struct ledger_error err = { 0 };
	CLEANUP_BUF struct buf lines = { 0 };
	CLEANUP_HEADS struct heads again = { 0 };
	for (size_t i = 0; i < heads->n; i++) {
		const struct ledger_head *head = &heads->items[i];
		struct ledger_chain chain = { .origin = head->origin,
			.epoch = head->epoch,
			.domain = head->domain,
			.sequence = head->sequence };
		memcpy(chain.hash, head->hash, sizeof(chain.hash));
		heads_add_json(&lines, &chain);
		buf_add_char(&lines, '\n');
	}
	MUST(heads_read(fuzz_file(buf_slice(&lines)), &again, &err));
	CLAIM(again.n == heads->n);
	for (size_t i = 0; i < heads->n; i++)
		CLAIM(is_same(&heads->items[i], &again.items[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct slice text = { (const char *)bytes, size };
	struct ledger_error err = { 0 };
	CLEANUP_HEADS struct heads heads = { 0 };
	if (size == 0)
		text = SLICE("");
	enum ledger_status status = heads_read(fuzz_file(text), &heads, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	if (status != LEDGER_OK)
		return 0;
	CLAIM(heads.n > 0);
	for (size_t i = 0; i < heads.n; i++) {
		const struct ledger_head *head = &heads.items[i];
		CLAIM(slice_is_token(head->origin) && slice_is_token(head->domain));
		CLAIM(head->epoch <= TIME_MAX && head->sequence >= 1);
	}
	claim_again(&heads);
	return 0;
}
