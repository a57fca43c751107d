/* A stream in the order of all nodes. */
#ifndef STORE_SHARED_H
#define STORE_SHARED_H

#include "handle.h"

/* Which events of it; each bound is inclusive, UINT64_MAX: none. */
struct shared_bounds {
	uint64_t after; /* only behind this position */
	uint64_t position;
	uint64_t time;
	uint64_t clock;
	uint64_t version;
};

/*
 * Hands the events of one stream of one domain to `fn` in the order of all nodes, inside one read
 * transaction. Needs 16 MiB at most; reads a stream that lies in order once.
 */
enum ledger_status shared_read(struct ledger *l, struct slice stream, struct slice domain,
	const struct shared_bounds *bounds, ledger_event_fn *fn, void *context,
	struct ledger_error *err);

/* How many of its keys are in memory at a time; a test makes it small. */
extern size_t shared_window;

/* The domains (`domain` absent: of all, else it alone) that have events of a stream. */
typedef enum ledger_status shared_domain_fn(
	struct slice stream, struct slice domain, void *context, struct ledger_error *err);
enum ledger_status shared_domains(struct ledger *l, struct slice stream, struct slice domain,
	shared_domain_fn *fn, void *context, struct ledger_error *err);

#endif
