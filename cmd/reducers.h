/* Reducers and upcasters of a config, as `settings.rules` holds them. */
#ifndef CMD_REDUCERS_H
#define CMD_REDUCERS_H

#include "rule.h"
#include "settings.h"

/* The rows of `reducers:` and `upcast:` in the table of keys. */
extern const struct rule reducer_rules[];

/* Fills settings.rules from a checked config (NULL: none). LEDGER_USAGE for what the table cannot say:
 * upcasts by schema. Expressions are not compiled: see ledger_rules_check. */
enum ledger_status reducers_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err);

#endif
