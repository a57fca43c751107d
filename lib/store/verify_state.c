/*
 * What the last complete verify left: <state folder>/<node>-<epoch>.verified, one line, replaced as a
 * whole:
 *
 *	<position> <hash, 64 hex> <finished, µs> <ok, 0 or 1> <mac, 64 hex>\n
 *	position and hash: the last event of the last run that found nothing wrong
 *	mac = HMAC(key, "ledgerbox/verified/v1" 0x00 the line up to the mac)
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../base/file.h"

#include "../base/banned.h"

static bool next_number(struct slice *rest, uint64_t *out)
{
	struct slice word;
	return slice_cut(*rest, ' ', &word, rest) && slice_u64(word, out);
}

static bool parse(const struct ledger *l, struct slice line, struct verify_state *state)
{
	uint8_t mac[EVENT_HASH_SIZE], want[EVENT_HASH_SIZE];
	struct slice rest = line, hash;
	uint64_t ok;
	if (!next_number(&rest, &state->position) || !slice_cut(rest, ' ', &hash, &rest) ||
		!slice_unhex(hash, state->hash, EVENT_HASH_SIZE) ||
		!next_number(&rest, &state->finished) || !next_number(&rest, &ok) ||
		rest.len != 2 * EVENT_HASH_SIZE + 1 ||
		!slice_unhex((struct slice){ rest.ptr, 2 * EVENT_HASH_SIZE }, mac, EVENT_HASH_SIZE))
		return false;
	state->ok = ok == 1;
	for (size_t i = 0; i < l->n_keys; i++) {
		chain_sign(&l->keys[i], "ledgerbox/verified/v1",
			(struct slice){ line.ptr, (size_t)(rest.ptr - line.ptr) }, want);
		if (chain_same(mac, want, EVENT_HASH_SIZE))
			return true;
	}
	return l->n_keys == 0; /* without a key it is taken at its word */
}

enum ledger_status verify_state_read(
	struct ledger *l, struct verify_state *state, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	char line[512];
	TRY(home_path(l, "verified", l->epoch, &path, err));
	CLEANUP_FD int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line));
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		return fail_errno(err, "cannot read %s", buf_text(&path));
	if (n < 0 || !parse(l, (struct slice){ line, (size_t)n }, state))
		return fail(err, LEDGER_NO,
			"this ledger was not verified before, or not with this state folder");
	return LEDGER_OK;
}

static void compose(const struct ledger *l, const struct verify_state *state, struct buf *line)
{
	uint8_t mac[EVENT_HASH_SIZE];
	buf_addf(line, "%" PRIu64 " ", state->position);
	buf_add_hex(line, state->hash, EVENT_HASH_SIZE);
	buf_addf(line, " %" PRIu64 " %d ", state->finished, state->ok);
	chain_sign(&l->keys[0], "ledgerbox/verified/v1", buf_slice(line), mac);
	buf_add_hex(line, mac, EVENT_HASH_SIZE);
	buf_add_char(line, '\n');
}

enum ledger_status verify_state_write(
	struct ledger *l, const struct verify_state *state, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 }, fresh = { 0 }, line = { 0 };
	if (!l->options.state_dir || l->n_keys == 0)
		return LEDGER_OK;
	compose(l, state, &line);
	TRY(home_path(l, "verified", l->epoch, &path, err));
	buf_addf(&fresh, "%s.%ld", buf_text(&path), (long)getpid());
	TRY(buf_check(&fresh, err));
	TRY(file_make_folder(
		l->options.state_dir, l->options.group, l->options.group ? 02770 : 0700, err));
	CLEANUP_FD int fd =
		open(buf_text(&fresh), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "cannot write %s", buf_text(&fresh));
	enum ledger_status status = file_write_all(fd, buf_slice(&line), buf_text(&fresh), err);
	if (!status && l->options.group)
		status = file_share(fd, buf_text(&fresh), l->options.group, 0660, err);
	if (!status && rename(buf_text(&fresh), buf_text(&path)) != 0)
		status = fail_errno(err, "cannot write %s", buf_text(&path));
	if (status)
		unlink(buf_text(&fresh));
	return status;
}

enum ledger_status verify_state_fits(struct verification *v, bool *fits, struct ledger_error *err)
{
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(v->ledger->store, SQL_EVENT_HASH, &st, err));
	bind_u64(st, 1, v->state.position);
	TRY(stmt_row(v->ledger->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	*fits = hash.len == EVENT_HASH_SIZE &&
		memcmp(hash.ptr, v->state.hash, EVENT_HASH_SIZE) == 0;
	return LEDGER_OK;
}

enum ledger_status ledger_last_verify(
	struct ledger *l, struct ledger_last_verify *out, struct ledger_error *err)
{
	struct verify_state state;
	struct ledger_error ignored;
	handle_load_keys(l, &ignored);
	TRY(verify_state_read(l, &state, err));
	*out = (struct ledger_last_verify){ state.position, state.finished, state.ok };
	return LEDGER_OK;
}
