/*
 * offer DATABASE KEY-FILE NODE [FRAME] - offers event lines from stdin to a ledger as a peer would, so many
 * in a transaction (256), and says what became of them: outcomes and how often, then events a second.
 */
#include "../lib/peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t counts[LEDGER_LOST + 1];

static void offer(struct ledger *l, struct ledger_received *events, size_t n)
{
	struct ledger_error err;
	struct ledger_accepted results[4096];
	if (ledger_accept(l, events, n, NULL, 0, results, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(err.status);
	}
	for (size_t i = 0; i < n; i++)
		counts[results[i].outcome]++;
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)events[i].line.ptr);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	struct ledger_options options = { .path = argv[1],
		.mode = LEDGER_MODE_WRITE,
		.sign_key = argv[2],
		.timeout = 10 * TIME_SECOND };
	struct ledger_source source = { .name = slice_of(argv[3]) };
	size_t frame = argc > 4 ? (size_t)atol(argv[4]) : 256, n = 0; /* NOLINT: a test's operand */
	struct ledger_received events[4096];
	struct ledger_error err;
	struct ledger *l;
	if (frame == 0 || frame > 4096 || ledger_open(&l, &options, &err))
		return 2;
	uint64_t total = 0, begin = time_monotonic();
	char *line = NULL;
	size_t room = 0;
	ssize_t got;
	while ((got = getline(&line, &room, stdin)) > 0) {
		size_t len = (size_t)got - (line[got - 1] == '\n');
		events[n++] = (struct ledger_received){ .line = { line, len }, .source = &source };
		line = NULL;
		room = 0;
		total++;
		if (n < frame)
			continue;
		offer(l, events, n);
		n = 0;
	}
	offer(l, events, n);
	free(line);
	uint64_t took = time_monotonic() - begin;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i])
			printf("%s %" PRIu64 "\n", ledger_outcome_name((enum ledger_outcome)i),
				counts[i]);
	fprintf(stderr, "%" PRIu64 " events/s\n", took ? total * TIME_SECOND / took : 0);
	ledger_close(l);
	return 0;
}
