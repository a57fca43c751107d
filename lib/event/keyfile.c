#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"
#include "../ledger.h"

#include "../base/banned.h"

#define KEY_HEX_SIZE (2 * CHAIN_KEY_SIZE)

enum ledger_status keyfile_parse(struct slice hex, struct chain_key *key, struct ledger_error *err)
{
	uint8_t secret[CHAIN_KEY_SIZE];
	if (hex.len == KEY_HEX_SIZE + 1 && hex.ptr[KEY_HEX_SIZE] == '\n')
		hex.len--;
	if (!slice_unhex(hex, secret, sizeof(secret))) {
		chain_wipe(secret, sizeof(secret)); /* as far as it was read */
		fail(err, LEDGER_INVALID,
			"a key is 64 hex digits, this has %zu characters or others among them",
			hex.len);
		return hint(err, "make one with: ledgerbox init, or: openssl rand -hex 32");
	}
	chain_key_init(key, secret);
	chain_wipe(secret, sizeof(secret));
	return LEDGER_OK;
}

static enum ledger_status refuse(struct ledger_error *err, const char *path, const char *why)
{
	return fail(err, LEDGER_REFUSED, "key file %s %s", path, why);
}

/* May the group of the file read it? Only the one that the ledger is shared with. */
static bool is_our_group(const struct stat *st, const char *group)
{
	struct group entry, *found = NULL;
	char room[4096];
	return group && getgrnam_r(group, &entry, room, sizeof(room), &found) == 0 && found &&
	       found->gr_gid == st->st_gid;
}

static enum ledger_status check_private(
	int fd, const char *path, const char *group, struct ledger_error *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail_errno(err, "cannot read key file %s", path);
	if (!S_ISREG(st.st_mode))
		return refuse(err, path, "is not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(err, path, "belongs to another user");
	if (st.st_mode & S_IRWXO) {
		refuse(err, path, "can be read by others");
		return hint(err, "chmod 600 %s", path);
	}
	if ((st.st_mode & S_IRWXG & ~S_IRGRP) ||
		((st.st_mode & S_IRGRP) && !is_our_group(&st, group))) {
		refuse(err, path, "can be read by its group");
		return hint(
			err, "chmod 600 %s, or name the group in the config: group: NAME", path);
	}
	return LEDGER_OK;
}

enum ledger_status keyfile_read(
	const char *path, const char *group, struct chain_key *key, struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		return refuse(err, path, "is a symbolic link");
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		fail(err, LEDGER_USAGE, "there is no key file %s", path);
		return hint(err, "name the key with --key-file or keys: {sign: …} in the config");
	}
	if (fd < 0)
		return fail_errno(err, "cannot read key file %s", path);
	TRY(check_private(fd, path, group, err));
	char hex[KEY_HEX_SIZE + 2];
	ssize_t n = read(fd, hex, sizeof(hex));
	if (n < 0)
		return fail_errno(err, "cannot read key file %s", path);
	enum ledger_status status = keyfile_parse((struct slice){ hex, (size_t)n }, key, err);
	chain_wipe(hex, sizeof(hex));
	return status ? fail_in(err, "key file %s: ", path) : LEDGER_OK;
}

enum ledger_status ledger_key_id(const char *path, const char *group,
	char out[EVENT_KEY_ID_SIZE + 1], struct ledger_error *err)
{
	struct chain_key key;
	TRY(keyfile_read(path, group, &key, err));
	memcpy(out, key.id, sizeof(key.id));
	chain_key_done(&key);
	return LEDGER_OK;
}

static enum ledger_status write_key(
	int fd, const char *path, const char *group, struct ledger_error *err)
{
	uint8_t secret[CHAIN_KEY_SIZE];
	CLEANUP_BUF struct buf hex = { 0 };
	if (!chain_random(secret, sizeof(secret)))
		return fail_errno(err, "no random bytes from the kernel");
	buf_add_hex(&hex, secret, sizeof(secret));
	buf_add_char(&hex, '\n');
	chain_wipe(secret, sizeof(secret));
	enum ledger_status status = file_write_all(fd, buf_slice(&hex), path, err);
	chain_wipe(hex.ptr, hex.len);
	TRY(status);
	return file_share(fd, path, group, group ? 0640 : 0600, err);
}

enum ledger_status ledger_key_prepare(
	const char *path, const char *group, struct partial *out, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial file = { 0 };
	struct stat st;
	if (lstat(path, &st) == 0)
		return fail(err, LEDGER_REFUSED, "key file %s exists", path);
	TRY(partial_begin(&file, path, err));
	TRY(write_key(file.fd, path, group, err));
	*out = file;
	file = (struct partial){ 0 };
	return LEDGER_OK;
}

enum ledger_status ledger_key_create(const char *path, const char *group, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial file = { 0 };
	TRY(ledger_key_prepare(path, group, &file, err));
	return partial_commit(&file, false, err);
}
