/* JSON Merge Patch, RFC 7396. SQLite's json_patch keeps a key that stands twice in the patch twice. */
#ifndef FOLD_MERGE_H
#define FOLD_MERGE_H

#include "../base/json.h"

/*
 * Adds `target` (absent: none) with `patch` merged into it to `out`, without white space between
 * tokens. Both are checked JSON; numbers and strings keep their bytes. Members keep their order, new ones
 * come behind, of a key that stands twice in the patch the last one counts. LEDGER_NO_MEMORY where
 * `out` reaches its ceiling.
 */
enum ledger_status merge_patch(
	struct slice target, struct slice patch, struct buf *out, struct ledger_error *err);

/* Adds a checked value without white space between tokens. */
void merge_add_compact(struct buf *out, struct slice value);

#endif
