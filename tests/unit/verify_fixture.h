/* What tests of verify share: a run whose findings are kept, and changes made behind the guards. */
#ifndef VERIFY_FIXTURE_H
#define VERIFY_FIXTURE_H

#include "ledger_fixture.h"

struct finding {
	char code[24];
	enum ledger_status status;
	uint64_t position;
	char place[200], text[200];
};

struct verdict {
	enum ledger_status status;
	struct ledger_verify_report report;
	struct ledger_error err;
	struct finding found[200];
	size_t n;
};

static inline void keep_finding(const struct ledger_problem *problem, void *context)
{
	struct verdict *v = context;
	assert_true(v->n < COUNT(v->found));
	struct finding *f = &v->found[v->n++];
	*f = (struct finding){ .status = problem->status, .position = problem->position };
	snprintf(f->code, sizeof(f->code), "%s", problem->code);
	snprintf(f->place, sizeof(f->place), "%s", problem->place);
	snprintf(f->text, sizeof(f->text), "%s", problem->text);
}

/* Verifies an open ledger. */
static inline const struct verdict *verify_open(
	struct ledger *l, const struct ledger_verify_options *options)
{
	static struct verdict v;
	struct ledger_verify_options o = *options;
	v = (struct verdict){ .n = 0 };
	o.problem = keep_finding;
	o.context = &v;
	v.status = ledger_verify(l, &o, &v.report, &v.err);
	return &v;
}

/* Opens, verifies and closes. */
static inline const struct verdict *verify_file_at(const struct ledger_options *place,
	const char *path, const struct ledger_verify_options *options)
{
	struct ledger_options o = *place;
	o.path = path;
	o.mode = LEDGER_MODE_READ;
	struct ledger *l = open_ledger(&o);
	const struct verdict *v = verify_open(l, options);
	ledger_close(l);
	return v;
}

static inline bool has_finding(const struct verdict *v, const char *code, uint64_t position)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->found[i].code, code) == 0 && v->found[i].position == position)
			return true;
	return false;
}

static inline void show_findings(const struct verdict *v)
{
	print_message("# status %d: %s\n", v->status, v->status ? v->err.text : "");
	for (size_t i = 0; i < v->n; i++)
		print_message("# %s %" PRIu64 " %s: %s\n", v->found[i].code, v->found[i].position,
			v->found[i].place, v->found[i].text);
}

/* Changes a file as somebody who knows its guards would: they are gone meanwhile and back afterwards. */
static inline void tamper(const char *path, const char *sql)
{
	CLEANUP_BUF struct buf script = { 0 }, back = { 0 };
	sqlite3 *db;
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(
		db, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'", -1, &st, NULL);
	while (sqlite3_step(st) == SQLITE_ROW) {
		buf_addf(&script, "DROP TRIGGER %s;\n", sqlite3_column_text(st, 0));
		buf_addf(&back, "%s;\n", sqlite3_column_text(st, 1));
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	buf_addf(&script, "%s;\n%s", sql, buf_text(&back));
	run_sql(path, buf_text(&script));
}

#endif
