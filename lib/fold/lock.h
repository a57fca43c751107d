/*
 * One consumer is run by one process at a time: a byte of the file DATABASE-replay is locked for it,
 * chosen by its name. The kernel lets go of it when the process ends, however it ends.
 */
#ifndef FOLD_LOCK_H
#define FOLD_LOCK_H

#include "../store/handle.h"

/* `what` names the consumer ("handler mail"). Waits as long as the ledger's options say, then
 * LEDGER_BUSY. Closing *fd (file_close) gives it back. */
enum ledger_status lock_take(struct ledger *l, const char *what, int *fd, struct ledger_error *err);

#endif
