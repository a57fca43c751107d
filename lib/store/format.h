/* What says that a file is a ledger, and of which version (ledgerbox-format(5)). */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include <inttypes.h>

#define FORMAT_APPLICATION_ID 0x4c424f58 /* "LBOX" */
#define FORMAT_VERSION	      1

/* A row in table mark at every so many positions. */
#define FORMAT_MARK_EVERY 1024

/* Positions to a block of table term. */
#define FORMAT_BLOCK 32768

#endif
