/* What tests of verify share that look at the golden ledger: made once, by another program. */
#ifndef GOLDEN_FIXTURE_H
#define GOLDEN_FIXTURE_H

#include "verify_fixture.h"

static struct golden {
	struct place *place;
	char db[128], a[128], b[128], copy[128];
	const char *others[1];
} golden;

/* Of so many events, for a group of tests. */
static inline int golden_make(const char *events)
{
	golden.place = place_empty();
	make_golden(golden.place, events);
	path_in(golden.place, "golden.db", golden.db);
	path_in(golden.place, "golden-a.key", golden.a);
	path_in(golden.place, "golden-b.key", golden.b);
	path_in(golden.place, "copy.db", golden.copy);
	golden.others[0] = golden.b;
	struct ledger_options *o = &golden.place->options;
	o->node = NULL;
	o->state_dir = NULL;
	o->sign_key = golden.a;
	o->verify_keys = golden.others;
	o->n_verify_keys = 1;
	return 0;
}

static inline int golden_remove(void **state)
{
	void *place = golden.place;
	(void)state;
	return place_remove(&place);
}

#endif
