/* Opening and closing a ledger, and its keys. */
#include "handle.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "../base/file.h"
#include "../event/keyfile.h"
#include "owner.h"

#include "../base/banned.h"

void ledger_limit_cache(struct ledger *l, size_t bytes)
{
	store_limit_cache(l->store, bytes);
}

const char *ledger_path(const struct ledger *l)
{
	return store_path(l->store);
}

const char *ledger_node(const struct ledger *l)
{
	return l->node;
}

uint64_t ledger_epoch(const struct ledger *l)
{
	return l->epoch;
}

const char *ledger_warning(const struct ledger *l)
{
	return l->warning[0] ? l->warning : NULL;
}

/* --- Keys ------------------------------------------------------------------------------------ */

static enum ledger_status load_signing_key(struct ledger *l, struct ledger_error *err)
{
	const struct ledger_options *o = &l->options;
	if (!o->sign_key_hex && !o->sign_key)
		return LEDGER_OK;
	if (o->sign_key_hex)
		TRY(keyfile_parse(slice_of(o->sign_key_hex), &l->keys[0], err));
	else
		TRY(keyfile_read(o->sign_key, o->group, &l->keys[0], err));
	l->n_keys = 1;
	l->can_sign = true;
	return LEDGER_OK;
}

static void forget_keys(struct ledger *l)
{
	for (size_t i = 0; i < l->n_keys; i++)
		chain_key_done(&l->keys[i]);
	free(l->keys);
	l->keys = NULL;
	l->n_keys = 0;
}

enum ledger_status handle_load_keys(struct ledger *l, struct ledger_error *err)
{
	if (l->has_keys)
		return LEDGER_OK;
	const struct ledger_options *o = &l->options;
	forget_keys(l);
	l->keys = calloc(o->n_verify_keys + 1, sizeof(*l->keys));
	if (!l->keys)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	enum ledger_status status = load_signing_key(l, err);
	for (size_t i = 0; !status && i < o->n_verify_keys; i++) {
		status = keyfile_read(o->verify_keys[i], o->group, &l->keys[l->n_keys], err);
		l->n_keys += !status;
	}
	l->has_keys = !status;
	return status;
}

const struct chain_key *handle_find_key(const struct ledger *l, struct slice id)
{
	for (size_t i = 0; i < l->n_keys; i++)
		if (slice_is(id, l->keys[i].id))
			return &l->keys[i];
	return NULL;
}

enum ledger_status handle_random(struct ledger *l, void *out, size_t n, struct ledger_error *err)
{
	if (l->random_left < n) {
		if (!chain_random(l->random, sizeof(l->random)))
			return fail_errno(err, "no random bytes from the kernel");
		l->random_left = sizeof(l->random);
	}
	l->random_left -= n;
	memcpy(out, l->random + l->random_left, n);
	return LEDGER_OK;
}

/* --- Open and close -------------------------------------------------------------------------- */

enum ledger_status handle_new(
	struct ledger **out, const struct ledger_options *options, struct ledger_error *err)
{
	struct ledger *l = calloc(1, sizeof(*l));
	if (!l)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	l->options = *options;
	l->head_fd = -1;
	l->watch_fd = -1;
	*out = l;
	return LEDGER_OK;
}

static void close_handle(struct ledger **l)
{
	ledger_close(*l);
}

static enum ledger_status check_node(struct ledger *l, struct ledger_error *err)
{
	const char *node = l->options.node;
	if (!node || strcmp(node, l->node) == 0)
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "%s is the ledger of node %s, the config says %s",
		store_path(l->store), l->node, node);
	return hint(err, "name the right config with --config, or the right file with --database");
}

/* Whoever can write the file can throw away what was answered, and no key prevents that. */
static enum ledger_status check_mode(struct ledger *l, struct ledger_error *err)
{
	struct stat st;
	if (l->options.mode != LEDGER_MODE_WRITE || stat(store_path(l->store), &st) != 0 ||
		!(st.st_mode & S_IWOTH))
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "%s can be written by everybody", store_path(l->store));
	return hint(err, "chmod o-w %.200s", store_path(l->store));
}

enum ledger_status ledger_open(
	struct ledger **out, const struct ledger_options *options, struct ledger_error *err)
{
	__attribute__((cleanup(close_handle))) struct ledger *l = NULL;
	struct seal seal;
	TRY(handle_new(&l, options, err));
	TRY(store_open(&l->store, options->path,
		options->mode == LEDGER_MODE_WRITE ? STORE_WRITE : STORE_READ, options->timeout,
		err));
	TRY(guard_open(l, err));
	TRY(seal_read(l, &seal, err));
	TRY(check_node(l, err));
	TRY(check_mode(l, err));
	l->epoch = seal.epoch;
	*out = l;
	l = NULL;
	return LEDGER_OK;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	ledger_rollback(l);
	owner_cache_done(l);
	arena_done(&l->batch.arena);
	names_done(&l->names);
	store_close(l->store);
	forget_keys(l);
	file_close(&l->head_fd);
	file_close(&l->watch_fd);
	free(l);
}
