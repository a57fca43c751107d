/*
 * mklines COUNT [FIRST [RUN]] - print event lines for `ledgerbox append`: the same ones on every run.
 * FIRST is the number of the first event, 0 by default. With RUN, so many events of one stream follow
 * each other: that fills a ledger faster, with indexes of the same size.
 */
#include <stdlib.h>

#include "sample.h"
#include "../../lib/base/banned.h"

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: mklines COUNT [FIRST [RUN]]\n");
		return 2;
	}
	uint64_t count = strtoull(argv[1], NULL, 10);
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t run = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	if (run == 0)
		run = 1;
	for (uint64_t i = first; i < first + count; i++) {
		char payload[SAMPLE_PAYLOAD + 1];
		sample_payload(i, payload);
		unsigned stream = sample_stream(i / run);
		printf("{\"domain\":\"" SAMPLE_DOMAIN
		       "\",\"type\":\"%s\",\"stream\":\"product/sku-%u\","
		       "\"tags\":[\"product:sku-%u\"],\"payload\":%s}\n",
			sample_type(i), stream, stream, payload);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
