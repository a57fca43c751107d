#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "../base/banned.h"

/* The kernel cannot wait for a lock and watch a clock; it is asked this often. */
#define PAUSE_NS 10000000

/* Two names with one byte would only wait for each other. */
static off_t byte_of(const char *what)
{
	uint8_t hash[EVENT_HASH_SIZE];
	uint64_t byte = 0;
	chain_sha256(slice_of(what), hash);
	for (int i = 0; i < 7; i++)
		byte = byte << 8 | hash[i];
	return (off_t)byte;
}

static enum ledger_status open_file(struct ledger *l, int *fd, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	buf_addf(&path, "%s-replay", store_path(l->store));
	TRY(buf_check(&path, err));
	bool is_new = access(buf_text(&path), F_OK) != 0;
	*fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd < 0)
		return fail_errno(err, "cannot open %s", buf_text(&path));
	if (is_new && l->options.group)
		return file_share(*fd, buf_text(&path), l->options.group, 0660, err);
	return LEDGER_OK;
}

enum ledger_status lock_take(struct ledger *l, const char *what, int *out, struct ledger_error *err)
{
	CLEANUP_FD int fd = -1;
	uint64_t end = time_monotonic() + l->options.timeout;
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte_of(what), .l_len = 1
	};
	TRY(open_file(l, &fd, err));
	while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return fail_errno(err, "cannot lock %s-replay", store_path(l->store));
		if (time_monotonic() >= end) {
			fail(err, LEDGER_BUSY, "another process replays %s", what);
			return hint(err, "try again, or wait longer with --timeout");
		}
		nanosleep(&(struct timespec){ 0, PAUSE_NS }, NULL);
	}
	*out = fd;
	fd = -1;
	return LEDGER_OK;
}
