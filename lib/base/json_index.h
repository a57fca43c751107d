/* The members of a JSON object by name, for who asks for many of them: json_member reads all of it each
 * time. */
#ifndef BASE_JSON_INDEX_H
#define BASE_JSON_INDEX_H

#include "arena.h"
#include "json.h"

struct json_entry {
	struct slice key;  /* as it stands, quotes included */
	struct slice name; /* decoded */
	struct slice value;
	size_t at;     /* its place in the object, from 0 */
	bool repeated; /* a later member has its name, and counts */
	bool seen;     /* for the caller */
};

struct json_index {
	struct json_entry *entries; /* by name */
	size_t n;
};

/* Of a checked object. Entries live in the arena, as long as the object does. False without memory. */
bool json_index_init(struct json_index *index, struct slice object, struct arena *arena);

/* The last member of that name; NULL without one. */
struct json_entry *json_index_find(struct json_index *index, struct slice name);

/* Puts the entries in the order of the object; find is then over. */
void json_index_unsort(struct json_index *index);

/* A checked key, decoded: the bytes that stand there where no escape is among them, else in the arena;
 * absent without memory. */
struct slice json_key_name(struct slice key, struct arena *arena);

#endif
