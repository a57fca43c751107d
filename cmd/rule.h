/*
 * What a config may hold is a table of rules: one row per key, and the pointer or form that is set
 * says what stands behind the key. The same rows check a file and print it.
 *
 *	static const struct rule tls[] = {
 *		{ "ca", .is = { form_path }, .path = true },
 *		{ 0 }
 *	};
 */
#ifndef CMD_RULE_H
#define CMD_RULE_H

#include "form.h"
#include "yaml.h"

struct setting;

/* With none of is, items, fields and maps set: a mapping of anything, for a later part. */
struct rule {
	const char *key;	   /* NULL ends the table */
	struct form is;		   /* a text, */
	struct form items;	   /* or a list of texts, */
	const struct rule *fields; /* or (with `is`: as well) a mapping with these keys, */
	bool maps;		   /* or a list of mappings: of anything, or with these fields; */
	struct form names;	   /* if set: a mapping of names of this form to one of the above */
	bool path;		   /* texts are paths, relative to the config */
	struct setting *setting;   /* where the text is kept, see settings.c; NULL: nowhere */
};

/* The config that is read. */
struct rule_file {
	const char *name;   /* for messages */
	const char *folder; /* what relative paths begin with: "" or with a slash at the end */
	/* Gets each text whose rule has a setting. */
	enum ledger_status (*take)(
		const struct rule *rule, const struct yaml *value, struct ledger_error *err);
};

/* LEDGER_USAGE "ledger.yaml:12:3: …" for a mapping that does not follow the rules. */
enum ledger_status rule_check(const struct rule_file *file, const struct rule *rules,
	const struct yaml *map, struct ledger_error *err);

/* Puts "ledger.yaml:12:3: key: " in front of an error about that value. */
enum ledger_status rule_fail_at(
	const struct rule_file *file, const struct yaml *value, struct ledger_error *err);

/* LEDGER_USAGE "ledger.yaml:12:3: key: text", with advice. */
enum ledger_status rule_refuse(const struct rule_file *file, const struct yaml *value,
	const char *text, const char *advice, struct ledger_error *err);

/* Adds a path as it is from the working folder. */
void rule_add_path(struct buf *out, const struct rule_file *file, struct slice path);

/*
 * Calls `fn` with every value under `value`, whose dotted key is in `key`: a list of texts is one
 * value ("[a, b]"), secrets in URLs are hidden. Key and text are valid for that call.
 */
typedef void rule_show_fn(const char *key, const char *text, unsigned line, void *context);
void rule_show(const struct rule_file *file, const struct rule *rule, const struct yaml *value,
	struct buf *key, rule_show_fn *fn, void *context);

#endif
