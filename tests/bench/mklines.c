/* mklines COUNT [FIRST] - print event lines for `ledgerbox append`: the same ones on every run. */
#include <stdlib.h>

#include "sample.h"
#include "../../lib/base/banned.h"

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: mklines COUNT [FIRST]\n");
		return 2;
	}
	uint64_t count = strtoull(argv[1], NULL, 10);
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	for (uint64_t i = first; i < first + count; i++) {
		char payload[SAMPLE_PAYLOAD + 1];
		sample_payload(i, payload);
		unsigned stream = sample_stream(i);
		printf("{\"domain\":\"" SAMPLE_DOMAIN
		       "\",\"type\":\"%s\",\"stream\":\"product/sku-%u\","
		       "\"tags\":[\"product:sku-%u\"],\"payload\":%s}\n",
			sample_type(i), stream, stream, payload);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
