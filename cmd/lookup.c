#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "form.h"
#include "yaml.h"

#include "../lib/base/banned.h"

static enum ledger_status cannot_read(
	const char *path, const char *source, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	bool may_pass = errno == EIO || errno == EMFILE || errno == ENFILE;
	fail_errno(err, "cannot read config %s (%s)", form_excerpt(slice_of(path), shown), source);
	if (err->status == LEDGER_REFUSED)
		return hint(err, "ask for the right to read it, or name another with --config "
				 "(/dev/null is an empty one)");
	if (may_pass || err->status != LEDGER_IO)
		return err->status;
	err->status = LEDGER_USAGE;
	return hint(err, "name one that is there, or make one with: ledgerbox init");
}

static enum ledger_status read_file(
	const char *path, const char *source, struct buf *text, struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cannot_read(path, source, err);
	while (text->len <= YAML_SIZE_MAX) {
		size_t room = YAML_SIZE_MAX + 1 - text->len;
		char *at = buf_extend(text, room);
		if (!at)
			return buf_check(text, err);
		ssize_t n = read(fd, at, room);
		text->len -= room;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot_read(path, source, err);
		if (n == 0)
			return LEDGER_OK;
		text->len += (size_t)n;
	}
	return LEDGER_OK;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

enum ledger_status lookup_config(const char *given, struct lookup *out, struct ledger_error *err)
{
	static const char *const places[] = { "ledger.yaml", "/etc/ledgerbox/ledger.yaml" };
	const char *named = getenv("LEDGERBOX_CONFIG");
	const char *path = NULL, *source = "default";
	if (given) {
		path = given;
		source = "--config";
	} else if (named && named[0]) {
		path = named;
		source = "environment LEDGERBOX_CONFIG";
	}
	for (size_t i = 0; !path && i < sizeof(places) / sizeof(places[0]); i++)
		if (exists(places[i]))
			path = places[i];
	if (path)
		TRY(read_file(path, source, &out->text, err));
	out->path = path;
	out->source = source;
	return LEDGER_OK;
}
