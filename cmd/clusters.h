/* The clusters that the environment names: NATS_PRIMARY_URL is the address of cluster `primary`,
 * NATS_SECONDARY_URL that of `secondary`. Each takes the place of that cluster's urls in the
 * config. */
#ifndef CMD_CLUSTERS_H
#define CMD_CLUSTERS_H

#include "build.h"

#define CLUSTER_URLS_MAX 64

/* Reads them with `variable`, which gives NULL for what is not set. LEDGER_USAGE for a bad
 * address. */
enum ledger_status clusters_read(
	const char *(*variable)(const char *name), struct ledger_error *err);

/* Does the environment name this cluster? And set this dotted key ("clusters.primary.urls")? */
bool clusters_has(struct slice name);
bool clusters_set(const char *key);

/* Fills settings.clusters from a checked config (NULL: none) and the environment, in the order in which
 * they are tried. LEDGER_USAGE with the place for what does not go together. After clusters_read. */
enum ledger_status clusters_build(
	const struct build *b, const struct yaml *root, struct ledger_error *err);

/* Are the files there that clusters name, and the secret ones private? LEDGER_USAGE and LEDGER_REFUSED
 * with the place. Opens none: who checks a config need not be who runs it. */
enum ledger_status clusters_check_files(
	const struct rule_file *file, const struct yaml *root, struct ledger_error *err);

/* Calls `fn` for each, with passwords hidden; see settings_each. */
void clusters_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context);

#endif
