#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "banned.h"

static const struct {
	enum ledger_status status;
	const char *name;
	const char *meaning;
} statuses[] = {
	{ LEDGER_OK, "ok", "done, yes, verified" },
	{ LEDGER_NO, "no", "no: not found, nothing there" },
	{ LEDGER_USAGE, "usage", "usage or config" },
	{ LEDGER_DAMAGED, "damaged", "damaged: a fact is not as it was recorded" },
	{ LEDGER_CONFLICT, "conflict", "conflict: version or condition" },
	{ LEDGER_NOT_OWNER, "not-owner", "another node owns the stream" },
	{ LEDGER_INVALID, "invalid", "invalid input" },
	{ LEDGER_NOT_LEDGER, "not-a-ledger", "not a ledger, or a newer one" },
	{ LEDGER_REFUSED, "refused",
		"refused: copied or restored, permission, other node or history" },
	{ LEDGER_UNVERIFIED, "unverified", "could not verify: key, format or algorithm unknown" },
	{ LEDGER_BUSY, "busy", "busy" },
	{ LEDGER_UNREACHABLE, "unreachable", "unreachable" },
	{ LEDGER_TIMED_OUT, "timed-out", "timed out" },
	{ LEDGER_IO, "io", "I/O error" },
	{ LEDGER_NO_SPACE, "no-space", "no space left" },
	{ LEDGER_NO_MEMORY, "no-memory", "out of memory" },
	{ LEDGER_NOT_PROVEN, "not-proven", "recorded, but not proven by N nodes in time" },
	{ LEDGER_UNKNOWN, "unknown", "outcome unknown: may be recorded" },
};

enum ledger_status fail(
	struct ledger_error *err, enum ledger_status status, const char *format, ...)
{
	va_list args;
	*err = (struct ledger_error){ .status = status };
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return status;
}

static enum ledger_status status_of_errno(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
		return LEDGER_NO_SPACE;
	case ENOMEM:
		return LEDGER_NO_MEMORY;
	case EACCES:
	case EPERM:
	case EROFS:
		return LEDGER_REFUSED;
	default:
		return LEDGER_IO;
	}
}

enum ledger_status fail_errno(struct ledger_error *err, const char *format, ...)
{
	int code = errno;
	va_list args;
	*err = (struct ledger_error){ .status = status_of_errno(code) };
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	return err->status;
}

enum ledger_status fail_in(struct ledger_error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		return err->status;
	snprintf(text + n, sizeof(text) - (size_t)n, "%s", err->text);
	memcpy(err->text, text, sizeof(text));
	return err->status;
}

enum ledger_status hint(struct ledger_error *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(err->hint, sizeof(err->hint), format, args);
	va_end(args);
	return err->status;
}

const char *ledger_status_name(enum ledger_status status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].name;
	return "unknown";
}

const char *ledger_status_meaning(enum ledger_status status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].meaning;
	return "";
}

bool ledger_worth_retrying(enum ledger_status status)
{
	return status >= LEDGER_BUSY && status < LEDGER_NOT_PROVEN;
}
