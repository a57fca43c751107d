/*
 * The two files of the state folder, <node>-<epoch>.head and .verified. The first byte says which, with
 * or without a key, and whether the rest is the file or is laid over the true one (exclusive or).
 *
 * With a key a file that is not the true one says nothing: it is as if it were not there. Without one
 * it is taken at its word, which may make the ledger look restored, but never breaks a command.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { VERIFIED = 1, NO_KEY = 2, OVER = 4 };

static struct {
	struct ledger_options options;
	const char *paths[2];
	struct buf lines[2]; /* as they truly are */
	struct ledger_last_verify verified;
} place;

static const char *path_of(struct ledger *l, const char *suffix)
{
	CLEANUP_BUF struct buf name = { 0 };
	buf_addf(&name, "state/%s-%" PRIu64 ".%s", ledger_node(l), ledger_epoch(l), suffix);
	return fuzz_path(buf_text(&name));
}

static void prepare(void)
{
	struct ledger_error err = { 0 };
	static const struct ledger_verify_options all = { .workers = 1 };
	struct ledger_verify_report report;
	place.options = fuzz_options();
	struct ledger *l = fuzz_ledger(&place.options);
	MUST(ledger_verify(l, &all, &report, &err));
	MUST(ledger_last_verify(l, &place.verified, &err));
	place.paths[0] = path_of(l, "head");
	place.paths[1] = path_of(l, "verified");
	for (int i = 0; i < 2; i++)
		fuzz_read(place.paths[i], &place.lines[i]);
	ledger_close(l);
	place.options.mode = LEDGER_MODE_READ;
}

static void write_files(unsigned which, struct slice bytes, bool over)
{
	CLEANUP_BUF struct buf file = { 0 };
	struct slice line = buf_slice(&place.lines[which]);
	buf_add_slice(&file, over ? line : bytes);
	for (size_t i = 0; over && i < bytes.len && i < file.len; i++)
		file.ptr[i] = (char)(file.ptr[i] ^ bytes.ptr[i]);
	fuzz_write(place.paths[which], buf_slice(&file));
	fuzz_write(place.paths[!which], buf_slice(&place.lines[!which]));
}

static void claim_home(struct ledger *l, bool keyless)
{
	struct ledger_error err = { 0 };
	enum ledger_status status = ledger_check_home(l, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || (keyless && status == LEDGER_REFUSED));
}

static void claim_verified(struct ledger *l, bool keyless)
{
	struct ledger_error err = { 0 };
	struct ledger_last_verify last;
	struct ledger_verify_report report;
	struct ledger_verify_options since = {
		.since_last = true, .hash_only = keyless, .workers = 1
	};
	enum ledger_status status = ledger_last_verify(l, &last, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_NO);
	if (status == LEDGER_OK && !keyless)
		CLAIM(last.position == place.verified.position &&
			last.finished == place.verified.finished && last.ok == place.verified.ok);
	status = ledger_verify(l, &since, &report, &err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || (keyless && status == LEDGER_DAMAGED));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct ledger_error err = { 0 };
	uint8_t switches;
	struct slice text = fuzz_rest(bytes, size, &switches);
	bool keyless = switches & NO_KEY;
	struct ledger *l;
	if (!place.options.path)
		prepare();
	write_files(switches & VERIFIED, text, switches & OVER);
	struct ledger_options options = place.options;
	if (keyless)
		options.sign_key = NULL;
	MUST(ledger_open(&l, &options, &err));
	claim_home(l, keyless);
	claim_verified(l, keyless);
	ledger_close(l);
	return 0;
}
