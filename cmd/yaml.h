/*
 * The part of YAML that a config needs: texts, lists and mappings, each with the place where it
 * stands. Refused, with line and column: aliases, anchors, tags, merge keys, a second document,
 * nesting deeper than YAML_DEPTH_MAX, the same key twice in a mapping, keys that are not plain
 * words, control characters and whatever is not UTF-8. Nothing is converted: `5`, `no` and `~` are
 * texts here.
 */
#ifndef CMD_YAML_H
#define CMD_YAML_H

#include "../lib/ledger.h"

#define YAML_SIZE_MAX  (64u << 10)
#define YAML_DEPTH_MAX 16
#define YAML_ITEMS_MAX 1000 /* in one list or mapping */

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

/* A value; everything it points to lives in the arena it was parsed into. */
struct yaml {
	enum yaml_kind kind;
	bool quoted;	  /* a text in quotes or a block: "" and "null" mean themselves */
	unsigned line;	  /* from 1 */
	unsigned column;  /* from 1, in characters */
	struct slice key; /* of a value in a mapping; absent elsewhere. NUL-terminated */
	unsigned key_line, key_column;
	struct slice text;  /* NUL-terminated */
	struct yaml *first; /* of a list or a mapping, in the order of the file */
	struct yaml *next;
};

/*
 * Parses one document. `name` is the file's name for messages ("ledger.yaml:12:3: …") and the only
 * thing that must outlive the call besides the arena. *root is NULL where the file holds nothing
 * but comments. LEDGER_USAGE for what is refused, LEDGER_NO_MEMORY.
 */
enum ledger_status yaml_parse(const char *name, struct slice text, struct arena *arena,
	struct yaml **root, struct ledger_error *err);

/* The value of a key in a mapping; NULL without one, or where `map` is NULL or no mapping. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

/* Nothing was written behind the colon, or one of YAML's words for that (~, null). */
bool yaml_is_empty(const struct yaml *value);

#endif
