/*
 * What tests of a link share: servers (a child that runs servers.py and is told what to do), and
 * waiting for an event.
 */
#ifndef SYNC_FIXTURE_H
#define SYNC_FIXTURE_H

#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/base/time.h"
#include "../../lib/sync/link.h"

/* It calls a macro `fail`, as we a function. */
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))
#define PATIENCE     (30 * TIME_SECOND)

static struct ledger_error err;

/* The step must succeed; it must end with a status. */
#define MUST(step)                                                                                 \
	do {                                                                                       \
		if ((step) != LEDGER_OK)                                                           \
			fail_msg("%s: %s", #step, err.text);                                       \
	} while (0)
#define MUST_FAIL(wanted, step)                                                                    \
	do {                                                                                       \
		enum ledger_status got_ = (step);                                                  \
		if (got_ != (wanted))                                                              \
			fail_msg("%s: %d instead of %d: %s", #step, got_, wanted, err.text);       \
	} while (0)

static FILE *to_servers, *from_servers;
static pid_t servers_pid;
static char folder[64];
static int ports[3];

/* Tells servers.py what to do; the answer stands in `ports` where it has some. */
static inline const char *servers(const char *format, ...)
{
	static char answer[1 << 16];
	va_list arguments;
	va_start(arguments, format);
	vfprintf(to_servers, format, arguments);
	va_end(arguments);
	fputc('\n', to_servers);
	fflush(to_servers);
	if (!fgets(answer, sizeof(answer), from_servers))
		fail_msg("servers.py has ended");
	if (strncmp(answer, "ok", 2) != 0)
		fail_msg("servers.py: %s", answer);
	sscanf(answer, "ok %d %d %d", &ports[0], &ports[1], &ports[2]);
	answer[strcspn(answer, "\n")] = '\0';
	return answer + 3;
}

static inline int start_servers(void **state)
{
	int in[2], out[2];
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/link-test-%d", (int)getpid());
	if (pipe(in) || pipe(out))
		return -1;
	signal(SIGPIPE, SIG_IGN);
	servers_pid = fork();
	if (servers_pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("python3", "python3", "sync/servers.py", folder, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_servers = fdopen(in[1], "w");
	from_servers = fdopen(out[0], "r");
	return servers_pid < 0;
}

static inline int stop_servers(void **state)
{
	(void)state;
	fclose(to_servers);
	fclose(from_servers);
	return waitpid(servers_pid, NULL, 0) == servers_pid ? 0 : -1;
}

/* --- Links ----------------------------------------------------------------------------------- */

/* An address stays good until eight more were made. */
static inline const char *url_of(int port)
{
	static char urls[8][64];
	static unsigned next;
	char *url = urls[next++ % COUNT(urls)];
	snprintf(url, sizeof(urls[0]), "nats://localhost:%d", port);
	return url;
}

static inline struct link_options options_of(const char *const *urls, size_t n)
{
	return (struct link_options){ .cluster = "shop",
		.node = "store-a",
		.urls = urls,
		.n_urls = n,
		.retry_max = TIME_SECOND };
}

/* A link to one port, with these options otherwise. */
static inline struct link *open_with(int port, struct link_options options)
{
	struct link *l = NULL;
	const char *url = url_of(port);
	options.urls = &url;
	options.n_urls = 1;
	MUST(link_open(&l, &options, &err));
	return l;
}

static inline struct link *open_link(int port)
{
	return open_with(port, options_of(NULL, 0));
}

/* Pulls that were lost, of all links. */
static unsigned lost;

/* The next event of a kind with a tag; others are passed over. False after `patience` µs. */
static inline bool next_event(struct link *l, enum link_kind kind, uint64_t tag, uint64_t patience,
	struct link_event *event)
{
	uint64_t deadline = time_monotonic() + patience;
	for (;;) {
		while (link_next(l, event)) {
			lost += event->kind == LINK_LOST;
			if (event->kind == kind && event->tag == tag)
				return true;
		}
		uint64_t now = time_monotonic();
		if (now >= deadline)
			return false;
		struct pollfd fd = { .fd = link_fd(l), .events = POLLIN };
		poll(&fd, 1, (int)((deadline - now) / 1000) + 1);
	}
}

static inline struct link_event wait_event(struct link *l, enum link_kind kind, uint64_t tag)
{
	struct link_event event;
	if (!next_event(l, kind, tag, PATIENCE, &event))
		fail_msg("no event of kind %d with tag %" PRIu64, kind, tag);
	return event;
}

static inline void wait_up(struct link *l)
{
	while (!link_is_up(l))
		wait_event(l, LINK_UP, 0);
}

static inline struct link *open_up(int port)
{
	struct link *l = open_link(port);
	wait_up(l);
	return l;
}

/* --- Streams --------------------------------------------------------------------------------- */

static inline struct link_stream stream_named(const char *name)
{
	struct link_stream s = {
		.replicas = 1, .window = 120 * TIME_SECOND, .file = true, .guarded = true
	};
	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.subject, sizeof(s.subject), "ledger.events.%s.*", name);
	return s;
}

static inline void create_stream(struct link *l, const char *name)
{
	struct link_stream s = stream_named(name);
	MUST(link_stream_create(l, &s, 900, &err));
	struct link_event event = wait_event(l, LINK_STREAM, 900);
	if (event.status != LEDGER_OK)
		fail_msg("stream %s: %.*s", name, SLICE_ARG(event.text));
}

static inline struct link_consumer consumer_of(const char *stream)
{
	struct link_consumer c = {
		.ack_wait = 60 * TIME_SECOND, .max_pending = 1000, .plain = true
	};
	snprintf(c.stream, sizeof(c.stream), "%s", stream);
	snprintf(c.name, sizeof(c.name), "store-a");
	return c;
}

static inline void ensure_consumer(struct link *l, const char *stream)
{
	struct link_consumer c = consumer_of(stream);
	MUST(link_consumer_ensure(l, &c, 901, &err));
	struct link_event event = wait_event(l, LINK_CONSUMER, 901);
	if (event.status != LEDGER_OK)
		fail_msg("consumer of %s: %.*s", stream, SLICE_ARG(event.text));
}

/* Stores message number n of a stream and waits for the answer. */
static inline struct link_event store_one(struct link *l, const char *stream, int n)
{
	char subject[128], id[32], data[32];
	snprintf(subject, sizeof(subject), "ledger.events.%s.store-a", stream);
	snprintf(id, sizeof(id), "id-%d", n);
	snprintf(data, sizeof(data), "message %d", n);
	struct link_message message = {
		.subject = slice_of(subject), .id = slice_of(id), .data = slice_of(data)
	};
	MUST(link_store(l, &message, (uint64_t)n, &err));
	return wait_event(l, LINK_STORED, (uint64_t)n);
}

/* Sends any request of JetStream's API and waits until it is done. */
static inline void api(struct link *l, const char *subject, const char *body)
{
	MUST(link_request(l, slice_of(subject), slice_of(body), 1, 0, 902, &err));
	struct link_event event = wait_event(l, LINK_REPLY, 902);
	if (memmem(event.data.ptr, event.data.len, "\"error\"", 7))
		fail_msg("%s: %.*s", subject, SLICE_ARG(event.data));
	wait_event(l, LINK_END, 902);
}

#endif
