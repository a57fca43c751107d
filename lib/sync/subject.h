/*
 * Subjects: tokens with dots between. libnats and the server take what they are given: an id with
 * CR LF in it would write a second command to the wire, one with a dot or a `*` would go elsewhere.
 * So whatever goes into a subject passes here first.
 */
#ifndef SYNC_SUBJECT_H
#define SYNC_SUBJECT_H

#include "../base/buf.h"
#include "../base/error.h"
#include "../base/slice.h"

#define SUBJECT_MAX 512 /* bytes, with the NUL behind it */

/* Composes a subject of n tokens of design section 1 ([A-Za-z0-9_-]{1,64}); LEDGER_INVALID names the
 * one that is none. */
enum ledger_status subject_of(
	char out[SUBJECT_MAX], const struct slice *tokens, size_t n, struct ledger_error *err);

/*
 * May it be published to? Tokens of printable ASCII with single dots between, no space, no `*` and no
 * `>`; with `pattern` a token may be `*`, and the last one `>` (for subscriptions).
 */
bool subject_is_valid(struct slice subject, bool pattern);

/* The token at `index` from 0; absent where there are not so many. */
struct slice subject_token(struct slice subject, size_t index);

#endif
