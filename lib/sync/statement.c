#include "statement.h"

#include <inttypes.h>

#include "../base/json.h"

#include "../base/banned.h"

#define ASK_LABEL "ledgerbox/ask/v1"
#define ASK_MAX	  512 /* bytes; longer ones are none */

/* --- Signed words -------------------------------------------------------------------------------- */

enum ledger_status statement_sign(
	struct ledger *l, const char *label, struct buf *text, struct ledger_error *err)
{
	char key[EVENT_KEY_ID_SIZE + 1];
	uint8_t mac[EVENT_HASH_SIZE];
	TRY(buf_check(text, err));
	TRY(ledger_sign(l, label, buf_slice(text), key, mac, err));
	buf_addf(text, "\n{\"key\":\"%s\",\"mac\":\"", key);
	buf_add_hex(text, mac, sizeof(mac));
	buf_add_text(text, "\"}\n");
	return buf_check(text, err);
}

bool statement_text(struct slice object, struct slice key, struct arena *arena, struct slice *out)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	if (!json_member(object, key, &value) || json_kind(value) != JSON_STRING)
		return false;
	json_decode_string(value, &text);
	*out = arena_copy(arena, (struct slice){ buf_text(&text), text.len });
	return !text.failed && out->ptr;
}

bool statement_number(struct slice object, struct slice key, uint64_t *out)
{
	struct slice value;
	return json_member(object, key, &value) && json_u64(value, out) && *out <= TIME_MAX;
}

bool statement_open(struct ledger *l, const char *label, struct slice data, struct arena *arena,
	struct slice *object, struct ledger_error *err)
{
	struct slice words, signature, key, mac;
	uint8_t bytes[EVENT_HASH_SIZE];
	fail(err, LEDGER_INVALID, "not a signed statement");
	if (!slice_cut(data, '\n', &words, &signature) ||
		json_check(signature, &signature, err) != LEDGER_OK ||
		json_kind(signature) != JSON_OBJECT ||
		!statement_text(signature, SLICE("key"), arena, &key) ||
		!statement_text(signature, SLICE("mac"), arena, &mac) ||
		!slice_unhex(mac, bytes, sizeof(bytes)) || mac.len != 2 * sizeof(bytes))
		return false;
	/* Before anything of it is believed. */
	return ledger_check_signature(l, label, words, key, bytes, err) == LEDGER_OK &&
	       json_check(words, object, err) == LEDGER_OK && json_kind(*object) == JSON_OBJECT;
}

/* --- Heads --------------------------------------------------------------------------------------- */

bool statement_read(struct ledger *l, struct slice data, struct arena *arena, struct heard *out,
	struct ledger_error *err)
{
	struct slice value, node, flag;
	if (!statement_open(l, STATEMENT_HEADS, data, arena, &value, err))
		return false;
	fail(err, LEDGER_INVALID, "not a statement of heads");
	if (!statement_text(value, SLICE("node"), arena, &node) || !slice_is_token(node) ||
		!statement_number(value, SLICE("epoch"), &out->epoch) ||
		!statement_number(value, SLICE("counter"), &out->counter) ||
		!statement_number(value, SLICE("boot"), &out->boot) ||
		!json_member(value, SLICE("heads"), &out->heads) ||
		json_kind(out->heads) != JSON_ARRAY)
		return false;
	out->part = 0;
	if (json_member(value, SLICE("part"), &flag) &&
		!statement_number(value, SLICE("part"), &out->part))
		return false;
	out->more = json_member(value, SLICE("more"), &flag) && json_kind(flag) == JSON_TRUE;
	memcpy(out->node, node.ptr, node.len + 1);
	return true;
}

bool statement_read_head(
	struct slice object, struct arena *arena, struct ledger_head *out, bool *branch)
{
	struct slice hash, flag;
	*branch = false;
	if (json_kind(object) != JSON_OBJECT ||
		!statement_text(object, SLICE("origin"), arena, &out->origin) ||
		!statement_text(object, SLICE("domain"), arena, &out->domain) ||
		!statement_text(object, SLICE("hash"), arena, &hash) ||
		!statement_number(object, SLICE("epoch"), &out->epoch) ||
		!statement_number(object, SLICE("sequence"), &out->sequence))
		return false;
	*branch = json_member(object, SLICE("branch"), &flag) && json_kind(flag) == JSON_TRUE;
	return slice_is_token(out->origin) && slice_is_token(out->domain) && out->sequence &&
	       hash.len == 2 * EVENT_HASH_SIZE && slice_unhex(hash, out->hash, EVENT_HASH_SIZE);
}

void statement_add_head(struct buf *out, const struct ledger_head *head, bool branch)
{
	buf_addf(out, "{\"origin\":\"%.*s\",\"epoch\":%" PRIu64 ",\"domain\":\"%.*s\"",
		SLICE_ARG(head->origin), head->epoch, SLICE_ARG(head->domain));
	buf_addf(out, ",\"sequence\":%" PRIu64 ",\"hash\":\"", head->sequence);
	buf_add_hex(out, head->hash, EVENT_HASH_SIZE);
	buf_add_text(out, branch ? "\",\"branch\":true}" : "\"}");
}

/* --- Asking for them ----------------------------------------------------------------------------- */

enum ledger_status statement_ask(
	struct ledger *l, const char *node, struct buf *out, struct ledger_error *err)
{
	buf_addf(out, "{\"v\":1,\"node\":\"%s\",\"ask\":\"heads\",\"time\":%" PRIu64 "}", node,
		time_now());
	return statement_sign(l, ASK_LABEL, out, err);
}

bool statement_is_ask(struct ledger *l, struct slice data)
{
	CLEANUP_ARENA struct arena arena = { NULL };
	struct slice object, what;
	struct ledger_error err;
	return data.len <= ASK_MAX && statement_open(l, ASK_LABEL, data, &arena, &object, &err) &&
	       statement_text(object, SLICE("ask"), &arena, &what) && slice_is(what, "heads");
}
