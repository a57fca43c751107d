/* SIGHUP, SIGINT and SIGTERM leave no unfinished file behind. */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

/* From here on they first remove what partial_begin made. One that is ignored stays ignored; one that has a
 * handler of its own keeps it. */
void interrupt_removes_partials(void);

#endif
