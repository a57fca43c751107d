/*
 * pricer - a handler of commands, mode lines: for each command one event, and its id.
 *
 * {"id":"0193…","command":…}  ->  {"type":"price_updated","payload":{"n":1}}
 *                                 ok 0193…
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	unsigned long n = 0;
	while (getline(&line, &room, stdin) > 0) {
		if (strncmp(line, "{\"id\":\"", 7) != 0)
			return 1;
		printf("{\"type\":\"price_updated\",\"payload\":{\"n\":%lu}}\nok %.36s\n", ++n,
			line + 7);
		if (fflush(stdout) != 0)
			return 1;
	}
	free(line);
	return 0;
}
