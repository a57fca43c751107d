/* What init writes into ledger.yaml. */
#ifndef CMD_INIT_CONFIG_H
#define CMD_INIT_CONFIG_H

#include "../lib/ledger.h"

/* As they stand in the file: paths relative to it, or absolute. */
struct init_config {
	const char *node;
	const char *database;
	const char *group; /* NULL: none */
	const char *state_dir;
	const char *key;
};

void init_config_add(struct buf *out, const struct init_config *config);

#endif
