/*
 * The key `commands` of a config: which program executes which command of which streams. Only what stands
 * there is ever run; a message from elsewhere names a command, never a program.
 */
#ifndef CMD_ORDERS_H
#define CMD_ORDERS_H

#include "rule.h"
#include "settings.h"

/* What one of `commands` may have. */
extern const struct rule orders_command[];

/* Fills settings.commands from a checked config. LEDGER_USAGE where a key is missing, or two execute the same. */
enum ledger_status orders_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err);

#endif
