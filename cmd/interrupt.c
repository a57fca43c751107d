#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

#include "../lib/ledger.h"

#include "../lib/base/banned.h"

/* Then the signal does what it came for. */
static void remove_partials(int signal_number)
{
	partial_remove_all();
	raise(signal_number);
}

void interrupt_removes_partials(void)
{
	static const int deadly[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = remove_partials, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &action, NULL);
}
