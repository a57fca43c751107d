/*
 * An event line, read back: the strict reader of what event_add_line writes (design section 2).
 *
 * It looks at structure and limits and computes nothing: whether hash, MAC, place and link are right
 * is for who takes the event in. A line that was read is one that this version could have written,
 * up to the order of its fields, blanks between them and escapes in its strings.
 */
#ifndef EVENT_LINE_H
#define EVENT_LINE_H

#include "../base/arena.h"
#include "event.h"

/*
 * Reads one line, without its newline. Slices of the event borrow from the line and the arena.
 *
 * LEDGER_INVALID: not a line of format v1; the text says what is wrong and in which field.
 * LEDGER_UNVERIFIED: a format, an algorithm or an erased event that a later version may understand.
 */
enum ledger_status event_read_line(
	struct slice line, struct arena *arena, struct event *event, struct ledger_error *err);

#endif
