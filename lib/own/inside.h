/* What the files of own/ share. */
#ifndef OWN_INSIDE_H
#define OWN_INSIDE_H

#include "../own.h"
#include "../store/owner.h"

/* own.c: a row as callers see it. Words go to the ledger's arena of answers; a name must be there already. */
enum ledger_status own_describe(struct ledger *l, const struct owner_name *name,
	const struct owner_row *row, struct ledger_owner *out, struct ledger_error *err);

/* Checks the words and finds the domain where it is absent: the one with an owner. LEDGER_NO: in none. */
enum ledger_status own_find_name(struct ledger *l, struct slice domain, struct slice stream,
	struct owner_name *out, struct ledger_error *err);

#endif
