/* Allocations that fail: ours (the linker's --wrap), SQLite's and OpenSSL's (through their own doors). */
#include "faulty.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

WRAPS(void *, malloc, size_t n)
{
	return fault_hits(FAULT_ALLOC) ? NULL : __real_malloc(n);
}

WRAPS(void *, calloc, size_t n, size_t size)
{
	return fault_hits(FAULT_ALLOC) ? NULL : __real_calloc(n, size);
}

WRAPS(void *, realloc, void *old, size_t n)
{
	return fault_hits(FAULT_ALLOC) ? NULL : __real_realloc(old, n);
}

WRAPS(char *, strdup, const char *text)
{
	return fault_hits(FAULT_ALLOC) ? NULL : __real_strdup(text);
}

WRAPS(char *, strndup, const char *text, size_t n)
{
	return fault_hits(FAULT_ALLOC) ? NULL : __real_strndup(text, n);
}

int __wrap_asprintf(char **out, const char *format, ...);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list args;
	if (fault_hits(FAULT_ALLOC))
		return -1;
	va_start(args, format);
	int n = vasprintf(out, format, args);
	va_end(args);
	return n;
}

static sqlite3_mem_methods sqlite;

static void *sqlite_malloc(int n)
{
	return fault_hits(FAULT_ALLOC) ? NULL : sqlite.xMalloc(n);
}

static void *sqlite_realloc(void *old, int n)
{
	return fault_hits(FAULT_ALLOC) ? NULL : sqlite.xRealloc(old, n);
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fault_hits(FAULT_ALLOC) ? NULL : __real_malloc(n);
}

static void *crypto_realloc(void *old, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fault_hits(FAULT_ALLOC) ? NULL : __real_realloc(old, n);
}

static void crypto_free(void *old, const char *file, int line)
{
	(void)file, (void)line;
	free(old);
}

/* Small pieces come from a store of their own otherwise, and never fail. */
__attribute__((constructor(102))) static void put_in_place(void)
{
	sqlite3_mem_methods mine;
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite) != SQLITE_OK)
		abort();
	mine = sqlite;
	mine.xMalloc = sqlite_malloc;
	mine.xRealloc = sqlite_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) != SQLITE_OK ||
		sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
		!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
		abort();
}
