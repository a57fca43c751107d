/*
 * The schema: each object has to be that of schema.sql, word for word. It is looked at also where somebody
 * changed it so that nothing can or may be read from the file.
 */
#include "verify.h"

#include <stdlib.h>

#include "../base/banned.h"

static enum ledger_status next_object(
	struct store *s, struct stmt *st, bool *row, struct slice out[3], struct ledger_error *err)
{
	TRY(stmt_row(s, st, row, err));
	for (int i = 0; *row && i < 3; i++)
		out[i] = column_text(st, i);
	return LEDGER_OK;
}

static int compare_names(const struct slice a[3], const struct slice b[3])
{
	int order = slice_cmp(a[0], b[0]);
	return order ? order : slice_cmp(a[1], b[1]);
}

static void report_object(struct verification *v, const struct slice object[3], const char *what)
{
	verify_report_damage(v, "SCHEMA_CHANGED", NULL, 0, "%.*s %.*s %s", SLICE_ARG(object[0]),
		SLICE_ARG(object[1]), what);
}

/* Both lists are sorted by type and name: a merge finds what is missing, strange or different. */
static enum ledger_status compare_schemas(struct verification *v, struct store *model,
	struct stmt *want, struct stmt *got, struct ledger_error *err)
{
	struct store *s = v->ledger->store;
	struct slice wanted[3], present[3];
	bool more_wanted, more_present;
	TRY(next_object(model, want, &more_wanted, wanted, err));
	TRY(next_object(s, got, &more_present, present, err));
	while (more_wanted || more_present) {
		int order = !more_wanted ? 1 : !more_present ? -1 : compare_names(wanted, present);
		if (order < 0)
			report_object(v, wanted, "is missing");
		else if (order > 0)
			report_object(v, present, "does not belong here");
		else if (!slice_eq(wanted[2], present[2]))
			report_object(v, present, "was changed");
		v->foreign_schema |= order > 0 || (order == 0 && !slice_eq(wanted[2], present[2]));
		if (order <= 0)
			TRY(next_object(model, want, &more_wanted, wanted, err));
		if (order >= 0)
			TRY(next_object(s, got, &more_present, present, err));
	}
	return LEDGER_OK;
}

static void close_model(struct store **s)
{
	store_close(*s);
}

enum ledger_status verify_schema(struct verification *v, struct ledger_error *err)
{
	__attribute__((cleanup(close_model))) struct store *model = NULL;
	CLEANUP_OWN_STMT struct stmt *want = NULL;
	CLEANUP_OWN_STMT struct stmt *got = NULL;
	TRY(store_open_memory(&model, err));
	TRY(store_run_script(model, sql_schema, err));
	TRY(store_prepare(model, SQL_SCHEMA, &want, err));
	TRY(store_prepare(v->ledger->store, SQL_SCHEMA, &got, err));
	return compare_schemas(v, model, want, got, err);
}

/* --- A file that could not be opened ---------------------------------------------------------- */

static void close_handle(struct ledger **l)
{
	ledger_close(*l);
}

static enum ledger_status list_objects(struct verification *v, struct ledger_error *err)
{
	TRY(store_open(&v->ledger->store, v->ledger->options.path, STORE_READ,
		v->ledger->options.timeout, err));
	TRY(store_read_any_schema(v->ledger->store, err));
	return verify_schema(v, err);
}

enum ledger_status ledger_verify_unopened(const struct ledger_options *ledger,
	const struct ledger_verify_options *options, const struct ledger_error *why,
	struct ledger_verify_report *report, struct ledger_error *err)
{
	__attribute__((cleanup(close_handle))) struct ledger *l = NULL;
	struct verification v = { .options = options };
	TRY(handle_new(&l, ledger, err));
	v.ledger = l;
	TRY(findings_init(&v, err));
	verify_report_failure(&v, why);
	enum ledger_status status = list_objects(&v, err);
	if (status == LEDGER_DAMAGED) { /* not even that much can be read: it was said why */
		*err = *why;
	} else if (status == LEDGER_OK) {
		*err = *why;
		status = why->status;
	}
	findings_hand_over(&v);
	*report = (struct ledger_verify_report){ .problems = v.findings.damaged };
	findings_done(&v);
	return status;
}
