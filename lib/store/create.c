/* Making a ledger: filled under a temporary name, so that its own name never stands for half a ledger. */
#include "handle.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"

#include "../base/banned.h"

/* By its temporary name: the inode and the birth stay the same when it gets its own. */
static enum ledger_status write_first_seal(struct ledger *l, struct ledger_error *err)
{
	struct seal seal = { .epoch = time_now() };
	TRY(home_of_file(l->options.path, &seal.inode, &seal.birth, err));
	memcpy(seal.key, l->keys[0].id, sizeof(seal.key));
	seal_mac(l, &seal, &l->keys[0], seal.mac);
	return seal_insert(l, &seal, err);
}

static enum ledger_status write_tables(struct ledger *l, struct ledger_error *err)
{
	char identity[128];
	TRY(store_open(&l->store, l->options.path, STORE_CREATE, l->options.timeout, err));
	TRY(store_run_script(l->store, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;", err));
	snprintf(identity, sizeof(identity),
		"PRAGMA application_id = %d; PRAGMA user_version = %d;", FORMAT_APPLICATION_ID,
		FORMAT_VERSION);
	TRY(store_begin_write(l->store, err));
	TRY(store_run_script(l->store, identity, err));
	TRY(store_run_script(l->store, sql_schema, err));
	TRY(write_first_seal(l, err));
	TRY(store_commit(l->store, err));
	/* The file is to be whole without its -wal, which does not get its new name. */
	return store_fold(l->store, err);
}

static enum ledger_status check_node(struct ledger *l, struct ledger_error *err)
{
	struct slice node = slice_of(l->options.node);
	if (!slice_is_token(node))
		return fail(err, LEDGER_INVALID, "node name '%.80s' is not a token",
			node.ptr ? node.ptr : "");
	memcpy(l->node, node.ptr, node.len);
	return LEDGER_OK;
}

static void close_handle(struct ledger **l)
{
	ledger_close(*l);
}

static enum ledger_status fill(const struct ledger_options *options, struct ledger_error *err)
{
	__attribute__((cleanup(close_handle))) struct ledger *l = NULL;
	TRY(handle_new(&l, options, err));
	TRY(check_node(l, err));
	TRY(handle_load_keys(l, err));
	if (!l->can_sign)
		return fail(err, LEDGER_USAGE, "a new ledger needs a signing key");
	return write_tables(l, err);
}

enum ledger_status ledger_prepare(
	const struct ledger_options *options, struct partial *out, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial file = { 0 };
	struct ledger_options there = *options;
	struct stat st;
	if (lstat(options->path, &st) == 0)
		return fail(err, LEDGER_REFUSED, "%s exists", options->path);
	TRY(partial_begin(&file, options->path, err));
	/* SQLite gives the mode to what it makes beside it, now and later. */
	TRY(file_share(file.fd, file.path, options->group, options->group ? 0660 : 0600, err));
	there.path = file.path;
	enum ledger_status status = fill(&there, err);
	if (status == LEDGER_UNKNOWN) { /* whatever became of the commit: the file goes */
		fail_in(err, "%s cannot be made: ", options->path);
		err->hint[0] = '\0';
		err->status = LEDGER_IO;
	}
	if (status)
		return err->status;
	*out = file;
	file = (struct partial){ 0 };
	return LEDGER_OK;
}

/* An empty file, or one that an interrupted attempt left. */
static enum ledger_status make_empty(
	const char *path, const char *group, bool *made, struct ledger_error *err)
{
	struct stat st;
	CLEANUP_FD int fd =
		open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) != 0)
		return fail_errno(err, "cannot make %s", path);
	*made = true;
	if (!S_ISREG(st.st_mode) || st.st_size != 0 || st.st_uid != geteuid()) {
		*made = false;
		return fail(err, LEDGER_REFUSED, "%s exists", path);
	}
	return file_share(fd, path, group, group ? 0660 : 0600, err);
}

/*
 * The -wal and -shm come into being before the ledger gets its name: made later by SQLite they would belong
 * to the group of whoever comes first, and the others of the ledger's group could not open them. Empty they
 * mean nothing.
 */
enum ledger_status ledger_put_in_place(
	struct partial *file, const char *group, struct ledger_error *err)
{
	CLEANUP_BUF struct buf wal = { 0 }, shm = { 0 };
	bool made_wal = false, made_shm = false;
	buf_addf(&wal, "%s-wal", file->target);
	buf_addf(&shm, "%s-shm", file->target);
	TRY(buf_check(&wal, err));
	TRY(buf_check(&shm, err));
	enum ledger_status status = make_empty(buf_text(&wal), group, &made_wal, err);
	if (!status)
		status = make_empty(buf_text(&shm), group, &made_shm, err);
	if (!status)
		status = partial_commit(file, false, err);
	if (status && made_wal)
		unlink(buf_text(&wal));
	if (status && made_shm)
		unlink(buf_text(&shm));
	return status;
}

enum ledger_status ledger_create(const struct ledger_options *options, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial file = { 0 };
	TRY(ledger_prepare(options, &file, err));
	return ledger_put_in_place(&file, options->group, err);
}
