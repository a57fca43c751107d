/* Files, a ledger and complaints for the fuzz targets. */
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_broken(const char *file, int line, const char *what, const char *why)
{
	fprintf(stderr, "ERROR: %s:%d: does not hold: %s%s%s\n", file, line, what, why ? ": " : "",
		why ? why : "");
	abort();
}

void fuzz_claim_error(enum ledger_status status, const struct ledger_error *err)
{
	if (status == LEDGER_OK)
		return;
	CLAIM(err->status == status);
	CLAIM(strcmp(ledger_status_name(status), "") != 0);
	CLAIM(err->text[0] && memchr(err->text, 0, sizeof(err->text)));
	CLAIM(memchr(err->hint, 0, sizeof(err->hint)));
	CLAIM(memchr(err->id, 0, sizeof(err->id)));
}

struct slice fuzz_rest(const uint8_t *bytes, size_t size, uint8_t *switches)
{
	*switches = size ? bytes[0] : 0;
	return size ? (struct slice){ (const char *)bytes + 1, size - 1 } : SLICE("");
}

/* --- Files ----------------------------------------------------------------------------------- */

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
	if (folder[0])
		return folder;
	snprintf(folder, sizeof(folder), "%s/ledgerbox-fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CLAIM(mkdtemp(folder));
	atexit(remove_folder);
	return folder;
}

const char *fuzz_path(const char *name)
{
	static struct arena paths;
	CLEANUP_BUF struct buf path = { 0 };
	buf_addf(&path, "%s/%s", fuzz_folder(), name);
	const char *copy = arena_copy(&paths, buf_slice(&path)).ptr;
	CLAIM(copy);
	return copy;
}

void fuzz_write(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CLAIM(fd >= 0);
	CLAIM(write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
	close(fd);
}

void fuzz_read(const char *path, struct buf *out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLAIM(fd >= 0 && fstat(fd, &st) == 0);
	buf_reset(out);
	char *to = buf_extend(out, (size_t)st.st_size);
	CLAIM(to && read(fd, to, (size_t)st.st_size) == st.st_size);
	close(fd);
}

const char *fuzz_file(struct slice bytes)
{
	static char name[32];
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	CLAIM(fd >= 0 && ftruncate(fd, 0) == 0);
	CLAIM(pwrite(fd, bytes.ptr, bytes.len, 0) == (ssize_t)bytes.len);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return name;
}

/* --- A ledger -------------------------------------------------------------------------------- */

struct ledger_options fuzz_options(void)
{
	static const char *key;
	if (!key) {
		key = fuzz_path("ledger.key");
		fuzz_write(key, SLICE("00112233445566778899aabbccddeeff"
				      "00112233445566778899aabbccddeeff\n"));
	}
	return (struct ledger_options){
		.path = fuzz_path("ledger.db"),
		.mode = LEDGER_MODE_WRITE,
		.node = "store-a",
		.sign_key = key,
		.state_dir = fuzz_path("state"),
		.timeout = 5 * TIME_SECOND,
	};
}

static void append_some(struct ledger *l)
{
	struct ledger_error err = { 0 };
	static const struct slice tags[] = { SLICE_INIT("product:sku-1"), SLICE_INIT("shelf:A") };
	static const struct slice types[] = { SLICE_INIT("stock_counted"),
		SLICE_INIT("stock_adjusted"), SLICE_INIT("sold") };
	static const struct slice streams[] = { SLICE_INIT("product/sku-1"),
		SLICE_INIT("product/sku-2"), SLICE_INIT("order/1001") };
	MUST(ledger_begin(l, &err));
	for (size_t i = 0; i < 9; i++) {
		struct ledger_answer answer;
		struct ledger_new new = {
			.domain = i % 3 == 2 ? SLICE("sales") : SLICE("inventory"),
			.type = types[i % 3],
			.stream = i == 4 ? (struct slice){ NULL, 0 } : streams[i % 3],
			.schema = 1,
			.has_time = true,
			.time = (1763658000 + 3600 * i) * TIME_SECOND,
			.tags = tags,
			.n_tags = i % 3,
			.payload = SLICE("{\"delta\":-2}"),
			.metadata = i % 2 ? SLICE("{\"correlation_id\":\"c-1\"}")
					  : (struct slice){ NULL, 0 },
		};
		MUST(ledger_add(l, &new, NULL, &answer, &err));
	}
	MUST(ledger_commit(l, &err));
}

struct ledger *fuzz_ledger(const struct ledger_options *options)
{
	struct ledger_error err = { 0 };
	struct ledger *l;
	unlink(options->path);
	unlink(fuzz_path("ledger.db-wal"));
	unlink(fuzz_path("ledger.db-shm"));
	MUST(ledger_create(options, &err));
	MUST(ledger_open(&l, options, &err));
	append_some(l);
	return l;
}
