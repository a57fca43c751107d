/* What the hash of an event covers: every field, and where each ends; and what signs it. */
#include "../../lib/event/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event_cases.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct event sample(void)
{
	struct event e = sample_event(42);
	e.position = 7;
	return e;
}

static void hash_of(const struct event *e, uint8_t out[32])
{
	uint8_t body[32];
	chain_body(e, body);
	chain_hash(e, body, out);
}

static void expect_other_hash(const char *what, const struct event *a, const struct event *b)
{
	uint8_t one[32], other[32];
	hash_of(a, one);
	hash_of(b, other);
	if (memcmp(one, other, 32) == 0)
		fail_msg("%s: the hash is the same", what);
}

enum field_kind { TEXT, NUMBER, BYTES };

static const struct field {
	const char *name;
	enum field_kind kind;
	size_t offset, size;
} fields[] = {
#define FIELD(name, kind)                                                                          \
	{                                                                                          \
#name, kind, offsetof(struct event, name), sizeof(((struct event *)0)->name)       \
	}
	FIELD(key, TEXT),
	FIELD(origin, TEXT),
	FIELD(epoch, NUMBER),
	FIELD(domain, TEXT),
	FIELD(sequence, NUMBER),
	FIELD(prev, BYTES),
	FIELD(id, BYTES),
	FIELD(clock, NUMBER),
	FIELD(time, NUMBER),
	FIELD(stream, TEXT),
	FIELD(version, NUMBER),
	FIELD(type, TEXT),
	FIELD(schema, NUMBER),
	FIELD(tags, TEXT),
	FIELD(payload, TEXT),
	FIELD(metadata, TEXT),
	FIELD(salt, BYTES),
};

/* Each byte of a text in turn, but not the blank between tags and the slash; then one byte less. */
static void change_text(const struct field *f)
{
	struct event plain = sample(), changed = plain;
	struct slice whole, *text = (struct slice *)(void *)((char *)&changed + f->offset);
	char bytes[64];
	whole = *text;
	assert_true(whole.len < sizeof(bytes));
	text->ptr = bytes;
	for (size_t i = 0; i < whole.len; i++) {
		memcpy(bytes, whole.ptr, whole.len);
		bytes[i] ^= 1;
		if (whole.ptr[i] != ' ' && whole.ptr[i] != '/')
			expect_other_hash(f->name, &plain, &changed);
	}
	memcpy(bytes, whole.ptr, whole.len);
	text->len--;
	expect_other_hash(f->name, &plain, &changed);
}

/* Each bit of a number or of bytes. */
static void change_bits(const struct field *f)
{
	struct event plain = sample();
	for (size_t i = 0; i < 8 * f->size; i++) {
		struct event changed = plain;
		((uint8_t *)&changed + f->offset)[i / 8] ^= (uint8_t)(1 << i % 8);
		expect_other_hash(f->name, &plain, &changed);
	}
}

static void each_field_changed_alone_changes_the_hash(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].kind == TEXT)
			change_text(&fields[i]);
		else
			change_bits(&fields[i]);
	}
}

static void hash_mac_and_position_are_not_hashed(void **state)
{
	struct event a = sample(), b = sample();
	uint8_t one[32], other[32];
	(void)state;
	b.position = 8;
	b.hash[0] = b.mac[0] = 1;
	hash_of(&a, one);
	hash_of(&b, other);
	assert_memory_equal(one, other, 32);
}

/* Two events that differ in nothing but where one field ends and another begins. */
static const struct moved {
	const char *name;
	struct event a, b;
} moved[] = {
	{ "key and origin", { .key = { "ab", 2 }, .origin = { "c", 1 } },
		{ .key = { "a", 1 }, .origin = { "bc", 2 } } },
	{ "origin and domain", { .origin = { "ab", 2 }, .domain = { "c", 1 } },
		{ .origin = { "a", 1 }, .domain = { "bc", 2 } } },
	{ "domain and type", { .domain = { "ab", 2 }, .type = { "c", 1 } },
		{ .domain = { "a", 1 }, .type = { "bc", 2 } } },
	{ "stream type and key", { .stream = { "ab/c", 4 } }, { .stream = { "a/bc", 4 } } },
	{ "slashes of a stream", { .stream = { "a//b", 4 } }, { .stream = { "a/b", 3 } } },
	{ "stream key and type", { .stream = { "a/bc", 4 }, .type = { "d", 1 } },
		{ .stream = { "a/b", 3 }, .type = { "cd", 2 } } },
	{ "type and tags", { .type = { "ta", 2 }, .tags = { "a:b", 3 } },
		{ .type = { "t", 1 }, .tags = { "aa:b", 4 } } },
	{ "two tags", { .tags = { "a:bc d:e", 8 } }, { .tags = { "a:b cd:e", 8 } } },
	{ "one tag and two", { .tags = { "a:b", 3 } }, { .tags = { "a:b a:b", 7 } } },
	{ "order of tags", { .tags = { "a:b c:d", 7 } }, { .tags = { "c:d a:b", 7 } } },
	{ "payload and metadata", { .payload = { "12", 2 }, .metadata = { "3", 1 } },
		{ .payload = { "1", 1 }, .metadata = { "23", 2 } } },
	{ "metadata given as payload", { .payload = { "{}", 2 } }, { .metadata = { "{}", 2 } } },
	{ "numbers that change places", { .clock = 1, .time = 2 }, { .clock = 2, .time = 1 } },
	{ "version and schema", { .version = 1, .schema = 2 }, { .version = 2, .schema = 1 } },
	{ "epoch and sequence", { .epoch = 1, .sequence = 2 }, { .epoch = 2, .sequence = 1 } },
};

static void moving_a_byte_between_fields_changes_the_hash(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(moved); i++)
		expect_other_hash(moved[i].name, &moved[i].a, &moved[i].b);
}

/* --- Small things ---------------------------------------------------------------------------- */

static void each_label_signs_differently(void **state)
{
	static const uint8_t secret[CHAIN_KEY_SIZE] = { 1 };
	struct chain_key key;
	uint8_t one[32], other[32];
	(void)state;
	chain_key_init(&key, secret);
	chain_sign(&key, "ledgerbox/seal/v1", SLICE("x"), one);
	chain_sign(&key, "ledgerbox/head/v1", SLICE("x"), other);
	assert_memory_not_equal(one, other, 32);
	chain_sign(&key, "ledgerbox/seal/v1x", SLICE(""), other);
	assert_memory_not_equal(one, other, 32);
}

static void a_key_that_is_done_with_is_wiped(void **state)
{
	static const uint8_t secret[CHAIN_KEY_SIZE] = { 1 };
	static const struct chain_key nothing;
	struct chain_key key;
	(void)state;
	chain_key_init(&key, secret);
	chain_key_done(&key);
	assert_memory_equal(&key, &nothing, sizeof(key));
}

static void sameness_counts_every_byte(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	(void)state;
	assert_true(chain_same(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] = 0x80;
		assert_false(chain_same(a, b, sizeof(a)));
		b[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_changed_alone_changes_the_hash),
		cmocka_unit_test(hash_mac_and_position_are_not_hashed),
		cmocka_unit_test(moving_a_byte_between_fields_changes_the_hash),
		cmocka_unit_test(each_label_signs_differently),
		cmocka_unit_test(a_key_that_is_done_with_is_wiped),
		cmocka_unit_test(sameness_counts_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
