/* The clusters that the environment names: NATS_PRIMARY_URL is the address of cluster `primary`,
 * NATS_SECONDARY_URL that of `secondary`. Each takes the place of that cluster's urls in the
 * config. */
#ifndef CMD_CLUSTERS_H
#define CMD_CLUSTERS_H

#include "../lib/ledger.h"

/* Reads them with `variable`, which gives NULL for what is not set. LEDGER_USAGE for a bad
 * address. */
enum ledger_status clusters_read(
	const char *(*variable)(const char *name), struct ledger_error *err);

/* Does the environment name this cluster? And set this dotted key ("clusters.primary.urls")? */
bool clusters_has(struct slice name);
bool clusters_set(const char *key);

/* Calls `fn` for each, with passwords hidden; see settings_each. */
void clusters_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context);

#endif
