/* Two nodes that share a key, both open and empty: a, the ledger of the place, and store-b beside it. */
#ifndef TWO_NODES_H
#define TWO_NODES_H

#include "accept_fixture.h"

static struct ledger *a, *b;
static struct ledger_options a_options, b_options;

static inline int setup(void **state)
{
	place_make(state);
	struct place *p = *state;
	a_options = p->options;
	a = open_ledger(&a_options);
	b = other_node(p, "store-b", "b.db", &b_options);
	return 0;
}

static inline int teardown(void **state)
{
	ledger_close(a);
	ledger_close(b);
	return place_remove(state);
}

#endif
