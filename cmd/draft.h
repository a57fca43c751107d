/*
 * A draft is an event on its way into the ledger: what its line (or the operands) said, then what the
 * flags say where the line was silent, then what the config adds. JSON that came in is never written
 * anew: payload and metadata are slices of what was read, or of the arena.
 */
#ifndef CMD_DRAFT_H
#define CMD_DRAFT_H

#include "../lib/ledger.h"

struct draft {
	struct ledger_new event; /* without tags until draft_finish */
	struct slice tags[EVENT_TAGS_MAX];
	size_t n_tags;
};

/* A member of the metadata that the flags give. */
struct draft_member {
	struct slice name; /* as text */
	struct slice json; /* "name":value */
};

/* What the flags say about every event; absent and zero say nothing. */
struct draft_defaults {
	struct slice domain;
	struct slice type;
	struct slice stream;
	const struct slice *tags; /* go with the event's own */
	size_t n_tags;
	uint64_t schema; /* 1 where no flag said otherwise */
	bool has_time;
	uint64_t time;
	const struct draft_member
		*members; /* each goes where the event's metadata lacks its name */
	size_t n_members;
	struct slice metadata; /* all of them as one object; absent: none */
};

/*
 * Reads one line: a JSON object with the keys id domain type stream schema time tags payload metadata.
 * LEDGER_INVALID for anything else: no JSON, another key, a key twice, a value of the wrong kind.
 * The draft borrows from the line and the arena.
 */
enum ledger_status draft_from_line(
	struct draft *d, struct slice line, struct arena *arena, struct ledger_error *err);

enum ledger_status draft_fill(struct draft *d, const struct draft_defaults *defaults,
	struct arena *arena, struct ledger_error *err);

/* One tag more; one that is there already counts once. LEDGER_INVALID for too many. */
enum ledger_status draft_add_tag(struct draft *d, struct slice tag, struct ledger_error *err);

/* The event with its tags, good as long as the line and the arena are. */
enum ledger_status draft_finish(const struct draft *d, struct arena *arena,
	struct ledger_new *event, struct ledger_error *err);

/* The text of a JSON string: in place where it has no escapes, else decoded into the arena. `what` is
 * what errors call it. */
enum ledger_status draft_text(struct slice value, const char *what, struct arena *arena,
	struct slice *text, struct ledger_error *err);

#endif
