/*
 * The keys `handlers` and `projections` of a config: who gets the events of a replay.
 */
#ifndef CMD_CONSUMERS_H
#define CMD_CONSUMERS_H

#include "rule.h"
#include "settings.h"

/* The name of a consumer: a token, and no verb of `replay`. */
form_fn consumers_name;

/* Any text that can be an argument of a program. */
form_fn consumers_argument;

/* What stands under a name in `handlers` and in `projections`. */
extern const struct rule consumers_handler[];
extern const struct rule consumers_projection[];

/* Fills settings.handlers and settings.projections from a checked config. LEDGER_USAGE where a key is missing or does not go with
 * another. */
enum ledger_status consumers_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err);

/* The program and its arguments under the key `exec` of a mapping, NULL at the end, in the arena. */
enum ledger_status consumers_exec(const struct rule_file *file, const struct yaml *value,
	struct arena *arena, const char *const **out, struct ledger_error *err);

/* LEDGER_USAGE "ledger.yaml:12:3: 'KEY' is missing", with advice. */
enum ledger_status consumers_missing(const struct rule_file *file, const struct yaml *value,
	const char *key, const char *advice, struct ledger_error *err);

/* "NAME=value" of every program, NULL at the end: nothing else of this environment reaches one. */
const char *const *consumers_environment(void);

/* Reads the schema of settings.projections[i], which lives as long as `arena`. */
enum ledger_status consumers_load(size_t i, struct arena *arena, struct ledger_error *err);

/* May programs of this config run? LEDGER_REFUSED where others than root and this user could have written
 * the config, or the program `exec` (relative to the config), or a folder that holds one of them. */
enum ledger_status consumers_check_safe(const char *exec, struct ledger_error *err);

#endif
