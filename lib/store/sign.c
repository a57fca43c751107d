/* Words between nodes that share a key: whoever has it can have said them. */
#include "accept.h"

#include "../base/banned.h"

enum ledger_status ledger_sign(struct ledger *l, const char *label, struct slice bytes,
	char key[EVENT_KEY_ID_SIZE + 1], uint8_t mac[EVENT_HASH_SIZE], struct ledger_error *err)
{
	TRY(handle_load_keys(l, err));
	if (!l->can_sign)
		return fail(err, LEDGER_REFUSED, "there is no key to sign with");
	memcpy(key, l->keys[0].id, EVENT_KEY_ID_SIZE + 1);
	chain_sign(&l->keys[0], label, bytes, mac);
	return LEDGER_OK;
}

enum ledger_status ledger_check_signature(struct ledger *l, const char *label, struct slice bytes,
	struct slice key, const uint8_t mac[EVENT_HASH_SIZE], struct ledger_error *err)
{
	uint8_t ours[EVENT_HASH_SIZE];
	TRY(handle_load_keys(l, err));
	const struct chain_key *known = handle_find_key(l, key);
	if (!known)
		return fail(err, LEDGER_UNVERIFIED, "key %.*s is not among the keys here",
			(int)(key.len < 80 ? key.len : 80), key.ptr ? key.ptr : "");
	chain_sign(known, label, bytes, ours);
	return chain_same(ours, mac, sizeof(ours))
		       ? LEDGER_OK
		       : fail(err, LEDGER_INVALID, "the MAC is not that of the words");
}

enum ledger_status ledger_check_event(
	struct ledger *l, const struct event *event, struct ledger_error *err)
{
	uint8_t body[EVENT_HASH_SIZE], ours[EVENT_HASH_SIZE];
	TRY(handle_load_keys(l, err));
	const struct chain_key *key = handle_find_key(l, event->key);
	if (!key)
		return fail(err, LEDGER_UNVERIFIED, "key %.*s is not among the keys here",
			SLICE_ARG(event->key));
	chain_body(event, body);
	chain_hash(event, body, ours);
	if (!chain_same(ours, event->hash, EVENT_HASH_SIZE))
		return fail(err, LEDGER_INVALID, "the hash is not that of the content");
	chain_mac(key, event->hash, ours);
	return chain_same(ours, event->mac, EVENT_HASH_SIZE)
		       ? LEDGER_OK
		       : fail(err, LEDGER_INVALID, "the MAC is not that of the hash");
}
