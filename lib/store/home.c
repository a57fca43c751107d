/*
 * Home: a ledger remembers which file it is (inode and birth time), and its last position and hash
 * also go to a small head file in the state folder. So a copy, and an older file put back in place,
 * are noticed before a sequence is used twice.
 *
 * The head file is <state folder>/<node>-<epoch>.head, one line of fixed length, written after the
 * commit and not synced (being behind is normal):
 *
 *	<position, 20 digits> <hash, 64 hex> <place, 64 hex> <mac, 64 hex>\n
 *	place = SHA-256 of the file's absolute path, links followed
 *	mac = HMAC(key, "ledgerbox/head/v1" 0x00 PAE(node, epoch, position, hash, place))
 *
 * The place tells an older file put back under the ledger's name from a backup that lies elsewhere.
 */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"

#include "../base/banned.h"

#define HEAD_SIZE (20 + 1 + 64 + 1 + 64 + 1 + 64 + 1)

enum ledger_status home_of_file(
	const char *path, uint64_t *inode, uint64_t *birth, struct ledger_error *err)
{
	struct statx sx;
	if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &sx) != 0)
		return fail_errno(err, "cannot look at %s", path);
	*inode = sx.stx_ino & INT64_MAX;
	*birth = 0;
	if (sx.stx_mask & STATX_BTIME && sx.stx_btime.tv_sec > 0)
		*birth = (uint64_t)sx.stx_btime.tv_sec * TIME_SECOND + sx.stx_btime.tv_nsec / 1000;
	return LEDGER_OK;
}

enum ledger_status home_path(const struct ledger *l, const char *suffix, uint64_t epoch,
	struct buf *out, struct ledger_error *err)
{
	if (!l->options.state_dir)
		return fail(err, LEDGER_NO, "there is no state folder");
	buf_addf(out, "%s/%s-%" PRIu64 ".%s", l->options.state_dir, l->node, epoch, suffix);
	return buf_check(out, err);
}

static void find_place(struct ledger *l)
{
	char *path = l->has_place ? NULL : realpath(store_path(l->store), NULL);
	if (path)
		chain_sha256(slice_of(path), l->place);
	l->has_place = l->has_place || path;
	free(path);
}

static void head_mac(const struct ledger *l, uint64_t epoch, const struct head_file *head,
	const struct chain_key *key, uint8_t out[EVENT_HASH_SIZE])
{
	const struct pae_piece pieces[] = { PAE_BYTES(slice_of(l->node)), PAE_NUMBER(epoch),
		PAE_NUMBER(head->position), PAE_DIGEST(head->hash), PAE_DIGEST(head->place) };
	pae_sign(key, "ledgerbox/head/v1", PAE_PIECES(pieces), out);
}

static bool parse_digest(struct slice line, size_t at, uint8_t out[EVENT_HASH_SIZE])
{
	return line.ptr[at - 1] == ' ' &&
	       slice_unhex((struct slice){ line.ptr + at, 64 }, out, EVENT_HASH_SIZE);
}

/* A head file that is cut or garbled says nothing: it is never synced, a power loss may do that. */
static bool parse_head(
	const struct ledger *l, uint64_t epoch, struct slice line, struct head_file *head)
{
	uint8_t mac[EVENT_HASH_SIZE], want[EVENT_HASH_SIZE];
	if (line.len != HEAD_SIZE || line.ptr[HEAD_SIZE - 1] != '\n' ||
		!slice_u64((struct slice){ line.ptr, 20 }, &head->position) ||
		!parse_digest(line, 21, head->hash) || !parse_digest(line, 86, head->place) ||
		!parse_digest(line, 151, mac))
		return false;
	for (size_t i = 0; i < l->n_keys; i++) {
		head_mac(l, epoch, head, &l->keys[i], want);
		if (chain_same(mac, want, EVENT_HASH_SIZE))
			return true;
	}
	/* Without a key the line is taken at its word; with one, a forged line is not. */
	return l->n_keys == 0;
}

enum ledger_status home_read_head(
	struct ledger *l, uint64_t epoch, struct head_file *head, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	char line[HEAD_SIZE + 1];
	TRY(home_path(l, "head", epoch, &path, err));
	CLEANUP_FD int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail(err, LEDGER_NO, "no head file");
	ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof(line), 0);
	if (n < 0) {
		fail_errno(err, "cannot read the head file %s", buf_text(&path));
		return hint(err, "it tells whether the ledger was put back from an older copy");
	}
	if (!parse_head(l, epoch, (struct slice){ line, (size_t)n }, head))
		return fail(err, LEDGER_NO, "no head file");
	return LEDGER_OK;
}

bool home_may_lack(enum ledger_status status)
{
	return status == LEDGER_OK || status == LEDGER_NO || status == LEDGER_REFUSED;
}

static bool open_head(struct ledger *l, uint64_t epoch)
{
	CLEANUP_BUF struct buf path = { 0 };
	struct ledger_error err;
	if (l->head_fd >= 0 && l->head_epoch == epoch)
		return true;
	file_close(&l->head_fd);
	if (file_make_folder(l->options.state_dir, l->options.group,
		    l->options.group ? 02770 : 0700, &err) ||
		home_path(l, "head", epoch, &path, &err))
		return false;
	l->head_fd = open(
		buf_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	l->head_epoch = epoch;
	struct stat st;
	if (l->head_fd >= 0 && l->options.group && fstat(l->head_fd, &st) == 0 && st.st_size == 0)
		file_share(l->head_fd, buf_text(&path), l->options.group, 0660, &err);
	return l->head_fd >= 0;
}

static void add_digest(struct buf *line, const uint8_t digest[EVENT_HASH_SIZE], char end)
{
	buf_add_hex(line, digest, EVENT_HASH_SIZE);
	buf_add_char(line, end);
}

void home_write_head(struct ledger *l, const struct seal *seal, const uint8_t hash[EVENT_HASH_SIZE])
{
	struct head_file head = { .position = seal->position };
	uint8_t mac[EVENT_HASH_SIZE];
	CLEANUP_BUF struct buf line = { 0 };
	if (!l->options.state_dir)
		return;
	find_place(l);
	memcpy(head.hash, hash, EVENT_HASH_SIZE);
	memcpy(head.place, l->place, EVENT_HASH_SIZE);
	head_mac(l, seal->epoch, &head, &l->keys[0], mac);
	buf_addf(&line, "%020" PRIu64 " ", head.position);
	add_digest(&line, head.hash, ' ');
	add_digest(&line, head.place, ' ');
	add_digest(&line, mac, '\n');
	if (!open_head(l, seal->epoch) || pwrite(l->head_fd, line.ptr, line.len, 0) != HEAD_SIZE)
		snprintf(l->warning, sizeof(l->warning),
			"the head file in %.150s cannot be written (%s): a restored ledger may go "
			"unnoticed",
			l->options.state_dir, strerror(errno));
}

static enum ledger_status moved(struct ledger *l, struct ledger_error *err)
{
	fail(err, LEDGER_REFUSED, "%s was copied: it is not the file that was last written",
		store_path(l->store));
	return hint(err, "begin a new epoch here with: ledgerbox recover (without other nodes: "
			 "ledgerbox recover --offline)");
}

static enum ledger_status restored(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err)
{
	if (head->position > seal->position)
		fail(err, LEDGER_REFUSED,
			"%s was restored: it ends at position %" PRIu64 ", but %" PRIu64
			" was recorded here",
			store_path(l->store), seal->position, head->position);
	else
		fail(err, LEDGER_REFUSED,
			"%s was restored: position %" PRIu64
			" is not the event that was recorded here",
			store_path(l->store), head->position);
	return hint(err, "begin a new epoch here with: ledgerbox recover (without other nodes: "
			 "ledgerbox recover --offline)");
}

/* Does the head file know a later or another event than this file? */
static enum ledger_status compare_head(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err)
{
	if (head->position == 0)
		return LEDGER_OK;
	if (head->position > seal->position)
		return restored(l, seal, head, err);
	CLEANUP_STMT struct stmt *st = NULL;
	bool row;
	TRY(store_get(l->store, SQL_EVENT_HASH, &st, err));
	bind_u64(st, 1, head->position);
	TRY(stmt_row(l->store, st, &row, err));
	struct slice hash = row ? column_blob(st, 0) : (struct slice){ NULL, 0 };
	if (hash.len != EVENT_HASH_SIZE || memcmp(hash.ptr, head->hash, EVENT_HASH_SIZE) != 0)
		return restored(l, seal, head, err);
	return LEDGER_OK;
}

static enum ledger_status look_at_home(
	struct ledger *l, const struct seal *seal, bool *at_home, struct ledger_error *err)
{
	uint64_t inode, birth;
	TRY(home_of_file(store_path(l->store), &inode, &birth, err));
	*at_home = inode == seal->inode && !(birth && seal->birth && birth != seal->birth);
	return LEDGER_OK;
}

bool home_is_of(struct ledger *l, const struct seal *seal, const struct head_file *head)
{
	struct ledger_error ignored;
	bool at_home;
	find_place(l);
	if (look_at_home(l, seal, &at_home, &ignored))
		return false;
	return at_home ||
	       (head && l->has_place && memcmp(head->place, l->place, EVENT_HASH_SIZE) == 0);
}

enum ledger_status home_check_head(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err)
{
	return head && home_is_of(l, seal, head) ? compare_head(l, seal, head, err) : LEDGER_OK;
}

enum ledger_status home_check(struct ledger *l, const struct seal *seal,
	const struct head_file *head, struct ledger_error *err)
{
	bool at_home;
	TRY(home_check_head(l, seal, head, err));
	TRY(look_at_home(l, seal, &at_home, err));
	return at_home ? LEDGER_OK : moved(l, err);
}

enum ledger_status ledger_check_home(struct ledger *l, struct ledger_error *err)
{
	CLEANUP_READ_TXN struct read_txn txn = { 0 };
	struct head_file head;
	struct seal seal;
	struct ledger_error ignored;
	/* The head file first: it is written after the commit, so the ledger is never behind what it says. */
	handle_load_keys(l, &ignored);
	enum ledger_status status = home_read_head(l, l->epoch, &head, err);
	if (!home_may_lack(status))
		return status;
	TRY(read_txn_begin(&txn, l->store, err));
	TRY(seal_read(l, &seal, err));
	return home_check(l, &seal, !status && seal.epoch == l->epoch ? &head : NULL, err);
}
