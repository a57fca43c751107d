/*
 * replay - give a fuzz target the files of its corpus, once each: what a fuzzer once found stays found.
 *
 * usage: fuzz_TARGET [FILE | FOLDER ...]
 *
 * Without any, the folder fuzz/TARGET of the working folder. Prints TAP; a claim that does not hold
 * ends it, and a sanitizer does.
 */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static unsigned done;

static void replay_file(const char *path)
{
	CLEANUP_BUF struct buf bytes = { 0 };
	fprintf(stderr, "# %s\n", path);
	fuzz_read(path, &bytes);
	/* Exactly as many bytes as there are, or reading behind them would go unseen. */
	uint8_t *exact = malloc(bytes.len ? bytes.len : 1);
	CLAIM(exact);
	if (bytes.len)
		memcpy(exact, bytes.ptr, bytes.len);
	LLVMFuzzerTestOneInput(exact, bytes.len);
	free(exact);
	printf("ok %u %s\n", ++done, path);
}

static void replay(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	if (n < 0) {
		replay_file(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];
		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			replay_file(file);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		replay("fuzz/" FUZZ_TARGET);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("1..%u\n", done);
	return 0;
}
