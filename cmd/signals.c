#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "../lib/base/banned.h"

static volatile sig_atomic_t stopping;
static int wake[2] = { -1, -1 };

static void stop(int number)
{
	(void)number;
	int saved = errno;
	stopping = 1;
	/* A full pipe has enough in it to wake us. */
	ssize_t ignored = write(wake[1], "", 1);
	(void)ignored;
	errno = saved;
}

enum ledger_status signals_catch(struct ledger_error *err)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND };
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
		return fail_errno(err, "cannot make a pipe");
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
		return fail_errno(err, "cannot catch signals");
	return LEDGER_OK;
}

bool signals_stop(void)
{
	return stopping != 0;
}

int signals_wake(void)
{
	return wake[0];
}
