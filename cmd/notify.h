/* Telling the service manager how it goes: sd_notify(3) without its library. */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

#include <stdint.h>

/* "READY=1"; does nothing where nobody asked ($NOTIFY_SOCKET). */
void notify(const char *state);

/* µs between two "WATCHDOG=1" that are expected of us; 0: none are. */
uint64_t notify_interval(void);

#endif
