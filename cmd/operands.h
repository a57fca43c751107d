/* Operands: their number, and those that become JSON, the payload's and NAME=TEXT, NAME:=JSON. */
#ifndef CMD_OPERANDS_H
#define CMD_OPERANDS_H

#include "../lib/ledger.h"

/* Of a command with verbs: `usage` is the verb and what stands behind it, as "set NAME POSITION". So many
 * operands there must be; LEDGER_USAGE names the one that is missing or too many. */
enum ledger_status operands_check(
	int argc, char **argv, const char *usage, struct ledger_error *err);

/*
 * Adds `"name":value` for NAME=TEXT (the value is a string) or NAME:=JSON. *name borrows from `pair`.
 * LEDGER_INVALID for what is neither, or is not UTF-8 or JSON.
 */
enum ledger_status operand_add_pair(
	struct slice pair, struct slice *name, struct buf *out, struct ledger_error *err);

/*
 * The payload that n (> 0) operands mean: a JSON value, @FILE, "-" for stdin, or pairs that make an
 * object in the given order. Checked JSON; borrows from the operands and `out` (emptied first).
 * LEDGER_USAGE for more than one payload; LEDGER_INVALID names the operand that is none of these.
 */
enum ledger_status operands_payload(
	int n, char **operands, struct buf *out, struct slice *payload, struct ledger_error *err);

#endif
