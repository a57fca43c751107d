/* A consistent copy while others write: copied beside its place, verified, synced, then renamed into it. */
#include "handle.h"

#include <sys/stat.h>

#include "../base/file.h"

#include "../base/banned.h"

static enum ledger_status verify_copy(struct ledger *l, const char *path,
	struct ledger_verify_report *report, void (*progress)(uint64_t, uint64_t, void *),
	void *context, struct ledger_error *err)
{
	struct ledger_options options = l->options;
	struct ledger_error ignored;
	struct ledger *copy;
	options.path = path;
	options.mode = LEDGER_MODE_READ;
	options.state_dir = NULL; /* the copy has no history of its own */
	TRY(ledger_open(&copy, &options, err));
	enum ledger_status status = handle_load_keys(copy, &ignored);
	struct ledger_verify_options all = {
		.progress = progress,
		.context = context,
		.hash_only = status != LEDGER_OK || copy->n_keys == 0,
	};
	if (ledger_worth_retrying(status)) /* the key may be there: it cannot be read just now */
		*err = ignored;
	else
		status = ledger_verify(copy, &all, report, err);
	ledger_close(copy);
	if (status == LEDGER_OK || (status == LEDGER_UNVERIFIED && all.hash_only))
		return LEDGER_OK;
	fail_in(err, "the copy does not verify: ");
	return hint(err, "nothing was put in place; run: ledgerbox verify");
}

/* Before anything is copied, for that takes long. */
static enum ledger_status check_place(
	struct ledger *l, const char *path, bool replace, struct ledger_error *err)
{
	struct stat theirs, ours;
	if (stat(path, &theirs) != 0)
		return LEDGER_OK;
	if (stat(store_path(l->store), &ours) == 0 && ours.st_ino == theirs.st_ino &&
		ours.st_dev == theirs.st_dev)
		return fail(err, LEDGER_REFUSED, "%s is the ledger itself", path);
	if (replace)
		return LEDGER_OK;
	fail(err, LEDGER_REFUSED, "%s exists", path);
	return hint(err, "to replace it: --force");
}

enum ledger_status ledger_backup(struct ledger *l, const char *path, bool replace,
	void (*progress)(uint64_t done, uint64_t total, void *context), void *context,
	struct ledger_verify_report *report, struct ledger_error *err)
{
	CLEANUP_PARTIAL struct partial copy = { 0 };
	const char *group = l->options.group;
	TRY(check_place(l, path, replace, err));
	partial_sweep(path);
	TRY(partial_begin(&copy, path, err));
	TRY(file_share(copy.fd, copy.path, group, group ? 0660 : 0600, err));
	TRY(store_copy(l->store, copy.path, progress, context, err));
	TRY(verify_copy(l, copy.path, report, progress, context, err));
	return partial_commit(&copy, replace, err);
}
