/* Canonical bytes, hashes and MACs, held against golden/vectors.json, which another program wrote. */
#include "../../lib/event/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../lib/store/handle.h"

static struct ledger_error err;

/* --- The file of vectors --------------------------------------------------------------------- */

struct vectors {
	struct buf file;
	struct slice groups;
	struct arena arena; /* what was decoded of the vector at hand */
};

static int load_vectors(void **state)
{
	static struct vectors v;
	FILE *f = fopen("golden/vectors.json", "re");
	assert_non_null(f);
	char room[65536];
	for (size_t n; (n = fread(room, 1, sizeof(room), f)) > 0;)
		buf_add(&v.file, room, n);
	fclose(f);
	assert_int_equal(json_check(buf_slice(&v.file), &v.groups, &err), LEDGER_OK);
	*state = &v;
	return 0;
}

static int free_vectors(void **state)
{
	struct vectors *v = *state;
	buf_done(&v->file);
	arena_done(&v->arena);
	return 0;
}

/* The text of a string, decoded; absent where there is none of that name. */
static struct slice text_of(struct vectors *v, struct slice object, const char *name)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct slice value;
	if (!json_member(object, slice_of(name), &value))
		return (struct slice){ NULL, 0 };
	json_decode_string(value, &text);
	assert_false(text.failed);
	return arena_copy(&v->arena, buf_slice(&text));
}

static uint64_t number_of(struct slice object, const char *name)
{
	struct slice value;
	uint64_t number;
	if (!json_member(object, slice_of(name), &value) || !json_u64(value, &number))
		fail_msg("no number %s", name);
	return number;
}

static struct slice bytes_of_hex(struct vectors *v, struct slice hex)
{
	uint8_t *bytes = arena_alloc(&v->arena, hex.len / 2 + 1);
	assert_non_null(bytes);
	assert_true(slice_unhex(hex, bytes, hex.len / 2));
	return (struct slice){ (const char *)bytes, hex.len / 2 };
}

static struct slice bytes_of(struct vectors *v, struct slice object, const char *name)
{
	struct slice hex = text_of(v, object, name);
	if (!hex.ptr)
		fail_msg("no bytes %s", name);
	return bytes_of_hex(v, hex);
}

/* Bytes of a fixed size. */
static void fill_from(
	struct vectors *v, struct slice object, const char *name, uint8_t *out, size_t n)
{
	struct slice bytes = bytes_of(v, object, name);
	assert_int_equal(bytes.len, n);
	memcpy(out, bytes.ptr, n);
}

static void expect_bytes(struct slice vector, const char *what, struct slice got, struct slice want)
{
	if (!slice_eq(got, want))
		fail_msg("%s differs: %.*s", what, SLICE_ARG(vector));
}

static void expect_digest(
	struct slice vector, const char *what, const uint8_t got[32], struct slice want)
{
	expect_bytes(vector, what, (struct slice){ (const char *)got, 32 }, want);
}

typedef void vector_fn(struct vectors *v, struct slice vector);

/* Every vector of a group; a group without any is no proof. */
static void each_vector(void **state, const char *group, size_t at_least, vector_fn *fn)
{
	struct vectors *v = *state;
	struct slice list, key, vector;
	struct json_walk walk;
	size_t n = 0;
	assert_true(json_member(v->groups, slice_of(group), &list));
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &vector)) {
		fn(v, vector);
		arena_reset(&v->arena);
		n++;
	}
	assert_true(n >= at_least);
}

/* --- Groups ---------------------------------------------------------------------------------- */

static void check_pae(struct vectors *v, struct slice vector)
{
	CLEANUP_BUF struct buf out = { 0 };
	struct slice list, key, piece;
	struct json_walk walk;
	uint64_t n = 0;
	assert_true(json_member(vector, SLICE("pieces"), &list));
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &piece))
		n++;
	pae_begin(&out, n);
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &piece)) {
		CLEANUP_BUF struct buf hex = { 0 };
		json_decode_string(piece, &hex);
		pae_add(&out, bytes_of_hex(v, buf_slice(&hex)));
	}
	expect_bytes(vector, "pae", buf_slice(&out), bytes_of(v, vector, "pae"));
}

static void pieces_are_put_together_as_the_vectors_say(void **state)
{
	each_vector(state, "pae", 10, check_pae);
}

static void numbers_are_pieces_of_eight_bytes_big_endian(void **state)
{
	CLEANUP_BUF struct buf out = { 0 };
	(void)state;
	pae_add_u64(&out, UINT64_C(0x0102030405060708));
	expect_bytes(SLICE("number"), "pae", buf_slice(&out),
		SLICE("\0\0\0\0\0\0\0\x08\x01\x02\x03\x04\x05\x06\x07\x08"));
}

static struct chain_key key_of(struct vectors *v, struct slice vector)
{
	uint8_t secret[CHAIN_KEY_SIZE];
	struct chain_key key;
	fill_from(v, vector, "secret", secret, sizeof(secret));
	chain_key_init(&key, secret);
	return key;
}

static void check_key_id(struct vectors *v, struct slice vector)
{
	struct chain_key key = key_of(v, vector);
	expect_bytes(vector, "key id", slice_of(key.id), text_of(v, vector, "key"));
}

static void key_ids_are_those_of_the_vectors(void **state)
{
	each_vector(state, "key_id", 4, check_key_id);
}

static void check_genesis(struct vectors *v, struct slice vector)
{
	uint8_t prev[32];
	chain_genesis(text_of(v, vector, "origin"), number_of(vector, "epoch"),
		text_of(v, vector, "domain"), prev);
	expect_digest(vector, "prev", prev, bytes_of(v, vector, "prev"));
}

static void a_chain_begins_as_the_vectors_say(void **state)
{
	each_vector(state, "genesis", 5, check_genesis);
}

static uint8_t link_at_hand[32];

static void check_link(struct vectors *v, struct slice vector)
{
	uint8_t hash[32];
	if (number_of(vector, "n") == 0) {
		memset(link_at_hand, 0, sizeof(link_at_hand));
	} else {
		fill_from(v, vector, "hash", hash, sizeof(hash));
		chain_link(link_at_hand, hash);
	}
	expect_digest(vector, "link", link_at_hand, bytes_of(v, vector, "link"));
}

static void links_follow_as_the_vectors_say(void **state)
{
	each_vector(state, "link", 6, check_link);
}

static void check_once(struct vectors *v, struct slice vector)
{
	uint8_t id[16];
	char text[UUID_TEXT_MAX];
	ledger_once_id(text_of(v, vector, "domain"), text_of(v, vector, "once"), id);
	uuid_format(id, text);
	expect_bytes(vector, "id", slice_of(text), text_of(v, vector, "id"));
}

static void once_ids_are_those_of_the_vectors(void **state)
{
	each_vector(state, "once", 6, check_once);
}

static void check_seal(struct vectors *v, struct slice vector)
{
	struct ledger l = { .node = "" };
	struct seal seal = {
		.epoch = number_of(vector, "epoch"),
		.position = number_of(vector, "position"),
		.clock = number_of(vector, "clock"),
		.inode = number_of(vector, "inode"),
		.birth = number_of(vector, "birth"),
	};
	struct slice node = text_of(v, vector, "node");
	struct chain_key key = key_of(v, vector);
	uint8_t mac[32];
	memcpy(l.node, node.ptr, node.len);
	fill_from(v, vector, "link", seal.link, sizeof(seal.link));
	seal_mac(&l, &seal, &key, mac);
	expect_digest(vector, "mac", mac, bytes_of(v, vector, "mac"));
}

static void seals_are_signed_as_the_vectors_say(void **state)
{
	each_vector(state, "seal", 5, check_seal);
}

/* --- Events ---------------------------------------------------------------------------------- */

/* The tags of a vector, a list there, one text here. */
static struct slice tags_of(struct vectors *v, struct slice vector)
{
	CLEANUP_BUF struct buf tags = { 0 };
	struct slice list, key, tag;
	struct json_walk walk;
	assert_true(json_member(vector, SLICE("tags"), &list));
	json_walk_init(&walk, list);
	while (json_walk_next(&walk, &key, &tag)) {
		if (tags.len)
			buf_add_char(&tags, ' ');
		json_decode_string(tag, &tags);
	}
	return tags.len ? arena_copy(&v->arena, buf_slice(&tags)) : (struct slice){ NULL, 0 };
}

static struct event event_of(struct vectors *v, struct slice vector)
{
	struct event e = {
		.origin = text_of(v, vector, "origin"),
		.epoch = number_of(vector, "epoch"),
		.domain = text_of(v, vector, "domain"),
		.sequence = number_of(vector, "sequence"),
		.stream = text_of(v, vector, "stream"),
		.version = number_of(vector, "version"),
		.type = text_of(v, vector, "type"),
		.schema = number_of(vector, "schema"),
		.clock = number_of(vector, "clock"),
		.time = number_of(vector, "time"),
		.tags = tags_of(v, vector),
		.payload = text_of(v, vector, "payload"),
		.metadata = text_of(v, vector, "metadata"),
		.key = text_of(v, vector, "key"),
	};
	assert_true(uuid_parse(text_of(v, vector, "id"), e.id));
	fill_from(v, vector, "salt", e.salt, sizeof(e.salt));
	fill_from(v, vector, "prev", e.prev, sizeof(e.prev));
	fill_from(v, vector, "hash", e.hash, sizeof(e.hash));
	fill_from(v, vector, "mac", e.mac, sizeof(e.mac));
	return e;
}

static void check_event(struct vectors *v, struct slice vector)
{
	struct event e = event_of(v, vector);
	struct chain_key key = key_of(v, vector);
	uint8_t body[32], hash[32], mac[32];
	chain_body(&e, body);
	expect_digest(vector, "body", body, bytes_of(v, vector, "body"));
	chain_hash(&e, body, hash);
	expect_digest(vector, "hash", hash, bytes_of(v, vector, "hash"));
	chain_mac(&key, hash, mac);
	expect_digest(vector, "mac", mac, bytes_of(v, vector, "mac"));
}

static void events_hash_and_sign_as_the_vectors_say(void **state)
{
	each_vector(state, "event", 70, check_event);
}

static void check_event_bytes(struct vectors *v, struct slice vector)
{
	CLEANUP_BUF struct buf out = { 0 };
	struct event e = event_of(v, vector);
	uint8_t body[32];
	chain_body_bytes(&e, &out);
	expect_bytes(vector, "pae_body", buf_slice(&out), bytes_of(v, vector, "pae_body"));
	buf_reset(&out);
	chain_body(&e, body);
	chain_hash_bytes(&e, body, &out);
	expect_bytes(vector, "pae_event", buf_slice(&out), bytes_of(v, vector, "pae_event"));
}

static void a_proof_shows_the_bytes_of_the_vectors(void **state)
{
	each_vector(state, "event", 70, check_event_bytes);
}

static void check_line(struct vectors *v, struct slice vector)
{
	CLEANUP_BUF struct buf out = { 0 };
	struct event e = event_of(v, vector);
	event_add_line(&out, &e);
	expect_bytes(vector, "line", buf_slice(&out), text_of(v, vector, "line"));
}

static void event_lines_are_those_of_the_vectors(void **state)
{
	each_vector(state, "event", 70, check_line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_put_together_as_the_vectors_say),
		cmocka_unit_test(numbers_are_pieces_of_eight_bytes_big_endian),
		cmocka_unit_test(key_ids_are_those_of_the_vectors),
		cmocka_unit_test(a_chain_begins_as_the_vectors_say),
		cmocka_unit_test(links_follow_as_the_vectors_say),
		cmocka_unit_test(once_ids_are_those_of_the_vectors),
		cmocka_unit_test(seals_are_signed_as_the_vectors_say),
		cmocka_unit_test(events_hash_and_sign_as_the_vectors_say),
		cmocka_unit_test(a_proof_shows_the_bytes_of_the_vectors),
		cmocka_unit_test(event_lines_are_those_of_the_vectors),
	};
	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
