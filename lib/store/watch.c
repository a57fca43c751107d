/*
 * Waiting for others' commits without polling: every commit writes the -wal, and inotify(7) tells of
 * that at once. Where it cannot (a network file system, no watches left) the wait ends by itself
 * every 100 ms; data_version then tells, at the price of a read of shared memory, whether anything is new.
 */
#include "handle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../base/banned.h"

#define POLL_INTERVAL_MS 100

/* The -wal is written, synced, and only then is the commit seen (in shared memory, of which inotify
 * does not tell): for so long after a write we look again, at first after 1 ms, then ever more rarely.
 * Also where something new was seen: what was written may be another commit, behind that one. */
#define SETTLE_MS     2000
#define SETTLE_MAX_MS 20

/* True when the -wal is watched. */
static bool open_watch(struct ledger *l)
{
	CLEANUP_BUF struct buf path = { 0 };
	if (l->watch_fd >= 0)
		return true;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return false;
	buf_addf(&path, "%s-wal", store_path(l->store));
	if (inotify_add_watch(fd, buf_text(&path), IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF) < 0) {
		close(fd);
		return false;
	}
	l->watch_fd = fd;
	return true;
}

/* Takes what inotify had to say; a -wal that is gone is watched anew next time. */
static void drain_watch(struct ledger *l)
{
	_Alignas(struct inotify_event) char room[4096];
	ssize_t n;
	bool gone = false;
	while ((n = read(l->watch_fd, room, sizeof(room))) > 0) {
		for (char *at = room; at < room + n;) {
			struct inotify_event *e = (struct inotify_event *)(void *)at;
			gone = gone || (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED));
			at += sizeof(*e) + e->len;
		}
	}
	if (gone) {
		close(l->watch_fd);
		l->watch_fd = -1;
	}
}

static enum ledger_status has_changed(struct ledger *l, bool *changed, struct ledger_error *err)
{
	uint64_t version;
	TRY(store_data_version(l->store, &version, err));
	*changed = version != l->data_version;
	l->data_version = version;
	return LEDGER_OK;
}

/* How long to sleep at most; `written` µs ago the -wal was written, UINT64_MAX: no commit is under way. */
static int milliseconds(uint64_t us, bool watching, uint64_t written)
{
	uint64_t ms = (us + 999) / 1000, most = UINT64_MAX;
	if (!watching)
		most = POLL_INTERVAL_MS;
	else if (written < SETTLE_MS * 1000)
		most = 1 + written / 4000 < SETTLE_MAX_MS ? 1 + written / 4000 : SETTLE_MAX_MS;
	if (ms > most)
		ms = most;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

enum ledger_status ledger_watch(
	struct ledger *l, int fd, uint64_t timeout, bool *changed, struct ledger_error *err)
{
	uint64_t begun = time_monotonic();
	uint64_t end = timeout > UINT64_MAX - begun ? UINT64_MAX : begun + timeout;
	for (;;) {
		bool watching = open_watch(l);
		/* Asked after the watch is set: a commit before it is seen here, one behind it wakes the poll. */
		TRY(has_changed(l, changed, err));
		uint64_t now = time_monotonic();
		if (*changed || now >= end)
			return LEDGER_OK;
		struct pollfd fds[2] = { { fd, POLLIN, 0 }, { l->watch_fd, POLLIN, 0 } };
		int n = poll(fds, 2,
			milliseconds(end - now, watching,
				l->wal_written ? now - l->wal_written : UINT64_MAX));
		if (n < 0 && errno != EINTR)
			return fail_errno(err, "cannot wait for events");
		if (l->watch_fd >= 0 && fds[1].revents) {
			drain_watch(l);
			l->wal_written = time_monotonic();
		}
		if (n < 0 || fds[0].revents)
			return has_changed(l, changed, err);
	}
}
