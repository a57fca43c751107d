/*
 * What wire.c (queues, the thread's life, the daemon's side) and link_nats.c (one connection) share.
 */
#ifndef SYNC_WIRE_INSIDE_H
#define SYNC_WIRE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "../base/arena.h"

#include "subject.h"
#include "wire.h"

#define WIRE_IN_MAX   (8u << 20) /* bytes taken from the socket and not yet freed */
#define WIRE_OUT_MAX  (8u << 20)
#define WIRE_SUBS_MAX 64

struct packet {
	struct packet *next;
	struct wire_out out; /* slices point behind it; subject and reply have a NUL */
	size_t size;
};

struct wire {
	struct link_options options; /* in the arena */
	struct arena arena;
	char inbox[SUBJECT_MAX];
	pthread_t thread;
	int wake;  /* for the thread */
	int ready; /* for the daemon */
	_Atomic size_t max_payload;
	_Atomic uint64_t heard;
	_Atomic size_t in_bytes;

	pthread_mutex_t mutex; /* of what follows */
	int owners;	       /* the daemon and the thread: the last one frees */
	bool stop;
	bool up;
	const char *cut; /* why the daemon cut the connection; NULL: it did not */
	int socket;	 /* -1: none */
	struct packet *out, **out_end;
	size_t out_bytes;
	struct wire_in *in, **in_end;
	char patterns[WIRE_SUBS_MAX][SUBJECT_MAX];
	size_t n_patterns;
};

/* For the daemon: a copy goes into the queue. */
void wire_hand_over(struct wire *w, const struct wire_in *from);

/* What is to be sent next, to be freed; NULL: nothing. */
struct packet *wire_next_packet(struct wire *w);

bool wire_stopping(struct wire *w);
void wire_hush(int fd);
void wire_ring(int fd);

/* --- One connection (link_nats.c) ------------------------------------------------------------ */

struct session;

/* Can these options work? */
enum ledger_status session_check(const struct link_options *options, struct ledger_error *err);

/* Connects; blocks. */
enum ledger_status session_open(struct session **out, struct wire *w, struct ledger_error *err);

/* Works until the connection is over or the wire is to stop; *err says why it is over. */
void session_serve(struct session *s, struct ledger_error *err);

void session_close(struct session *s);

/* Before a thread that used sessions ends. */
void session_leave_thread(void);

#endif
