/* The parts of a config that are lists of things with names, as `settings` holds them: domains,
 * stream types, keys to verify with. */
#ifndef CMD_DOMAINS_H
#define CMD_DOMAINS_H

#include "build.h"
#include "settings.h"

/* Fills settings.domains, .stream_types and .verify_keys from a checked config (NULL: none). */
enum ledger_status domains_build(
	const struct build *b, const struct yaml *root, struct ledger_error *err);

/* Is every domain and cluster that is named also listed? `is_cluster` knows those of the
 * environment. LEDGER_USAGE with the place and the name nearest in spelling. */
enum ledger_status domains_check_names(const struct rule_file *file, const struct yaml *root,
	bool (*is_cluster)(struct slice name), struct ledger_error *err);

/* Does what is said of each domain go together? After clusters_build. LEDGER_USAGE with the place. */
enum ledger_status domains_check(
	const struct rule_file *file, const struct yaml *root, struct ledger_error *err);

#endif
