/* Opens libnats when it is needed (see door.h). */
#include "door.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "../base/banned.h"

/* The library that belongs to the header. */
#define TEXT_OF(x)		 #x
#define VERSION_OF(major, minor) TEXT_OF(major) "." TEXT_OF(minor)
#define VERSION			 VERSION_OF(NATS_VERSION_MAJOR, NATS_VERSION_MINOR)

struct door door;

static const struct {
	const char *name;
	size_t place;
} functions[] = {
#define FUNCTION(name) { #name, offsetof(struct door, name) },
	DOOR_FUNCTIONS(FUNCTION)
#undef FUNCTION
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char complaint[256]; /* "": it is open */

/* It stays open until the program ends: its threads may outlive the last link. */
static void open_library(void)
{
	void *library = dlopen("libnats.so." VERSION, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; library && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = dlsym(library, functions[i].name);
		if (!function) {
			library = NULL;
			break;
		}
		memcpy((char *)&door + functions[i].place, &function, sizeof(function));
	}
	if (!library)
		door_clean(dlerror(), complaint, sizeof(complaint));
}

enum ledger_status door_open(struct ledger_error *err)
{
	pthread_once(&once, open_library);
	if (!complaint[0])
		return LEDGER_OK;
	fail(err, LEDGER_IO, "cannot open libnats: %s", complaint);
	return hint(err, "on Debian: apt install libnats" VERSION);
}
