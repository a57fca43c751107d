/*
 * What the fuzz targets share. A target is one file with one function, which gets any bytes and claims
 * what must hold for them. libFuzzer calls it (tests/fuzz/run), and replay.c with the files of its
 * corpus, which is the folder of its name.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "../../lib/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Must hold, whatever the bytes were. */
#define CLAIM(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			fuzz_broken(__FILE__, __LINE__, #what, NULL);                              \
	} while (0)

/* The step must succeed; `err` is in scope. */
#define MUST(step)                                                                                 \
	do {                                                                                       \
		if ((step) != LEDGER_OK)                                                           \
			fuzz_broken(__FILE__, __LINE__, #step, err.text);                          \
	} while (0)

_Noreturn void fuzz_broken(const char *file, int line, const char *what, const char *why);

/* A failure must say what it is: its status, and a text that fits. */
void fuzz_claim_error(enum ledger_status status, const struct ledger_error *err);

/* The bytes behind the first one, which a target takes as its switches (0 where there is none). */
struct slice fuzz_rest(const uint8_t *bytes, size_t size, uint8_t *switches);

/* A folder in memory for this process, gone when it ends well; what lies there after a crash is what was
 * worked on. */
const char *fuzz_folder(void);

/* "FOLDER/NAME"; good until the process ends. */
const char *fuzz_path(const char *name);

/* Puts bytes into a file, which keeps its inode where it is there. */
void fuzz_write(const char *path, struct slice bytes);

/* All of a file; whoever asks frees it. */
void fuzz_read(const char *path, struct buf *out);

/* A name for bytes in memory, to be opened as a file; good until the next call. */
const char *fuzz_file(struct slice bytes);

/* A key file, the same key each time, and options for a ledger FOLDER/ledger.db that is signed with it. */
struct ledger_options fuzz_options(void);

/* Makes that ledger anew, with a few events of three streams, and opens it for writing. */
struct ledger *fuzz_ledger(const struct ledger_options *options);

#endif
