/* What the config says of clusters, domains and sync, as the engine takes it. */
#ifndef CMD_SYNC_OPTIONS_H
#define CMD_SYNC_OPTIONS_H

#include "../lib/sync.h"

/* Fills prefix, create_streams, clusters and domains; they live in the arena and as long as the settings.
 * LEDGER_USAGE: no cluster is configured. */
enum ledger_status sync_options_read(
	struct sync_options *out, struct arena *arena, struct ledger_error *err);

#endif
