/* A machine whose clock is wrong: so many seconds as LEDGERBOX_TEST_CLOCK says, linked into a program
 * of the tests in place of the C library's. Only the wall clock: time passes as ever. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
	long failed = syscall(SYS_clock_gettime, clock, out);
	const char *offset = getenv("LEDGERBOX_TEST_CLOCK");
	if (!failed && offset && clock == CLOCK_REALTIME)
		out->tv_sec += strtol(offset, NULL, 10);
	return (int)failed;
}
