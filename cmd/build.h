/* From the values of a checked config to what `settings` hold: texts, paths, lists, numbers, each in an
 * arena. What is not in the config is left as it is. */
#ifndef CMD_BUILD_H
#define CMD_BUILD_H

#include "rule.h"

struct build {
	const struct rule_file *file;
	struct arena *arena;
};

/* The values directly below; 0 for NULL. */
size_t build_count(const struct yaml *parent);

/* A zeroed array of `n` things; NULL for none. */
enum ledger_status build_array(
	const struct build *b, size_t n, size_t size, void **out, struct ledger_error *err);

/* The text of a key. */
void build_text(const struct yaml *map, const char *key, const char **out);

/* The path of a key, as it is from the working folder. */
enum ledger_status build_path(const struct build *b, const struct yaml *map, const char *key,
	const char **out, struct ledger_error *err);

/* The texts of a list (NULL: none); with `paths` as they are from the working folder. */
enum ledger_status build_list(const struct build *b, const struct yaml *list, bool paths,
	const char ***out, size_t *n, struct ledger_error *err);

/* The number, size, boolean or duration of a key, by the form it was checked with. */
void build_number(const struct yaml *map, const char *key, form_fn *form, uint64_t *out);
void build_bool(const struct yaml *map, const char *key, bool *out);

#endif
