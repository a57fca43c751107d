/* Finds the config and reads it: --config, else $LEDGERBOX_CONFIG, else ./ledger.yaml, else
 * /etc/ledgerbox/ledger.yaml, else none. */
#ifndef CMD_LOOKUP_H
#define CMD_LOOKUP_H

#include "../lib/ledger.h"

struct lookup {
	const char *path;   /* NULL: no config */
	const char *source; /* "--config", "environment LEDGERBOX_CONFIG", "default" */
	struct buf text;    /* at most YAML_SIZE_MAX bytes and one more, so that too much is seen */
};

/* `given`: what --config said, or NULL. One that is named must be there: LEDGER_USAGE. One that is
 * found but may not be read is LEDGER_REFUSED. The caller frees out->text. */
enum ledger_status lookup_config(const char *given, struct lookup *out, struct ledger_error *err);

#endif
