/* From our options to those of libnats: addresses, who we are, whom we trust. And their errors. */
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/file.h"

#include "../base/banned.h"

#define SECRET_MAX 8192

/* --- Errors ---------------------------------------------------------------------------------- */

void door_clean(const char *text, char *out, size_t n)
{
	size_t len = 0;
	for (; text && *text && len + 1 < n; text++)
		out[len++] = *text >= ' ' && *text <= '~' ? *text : '?';
	out[len] = '\0';
}

/* user:password@ of an address becomes ***@ wherever it stands. */
static void hide_users(char *text)
{
	for (char *from = text; (from = strstr(from, "://")); from++) {
		char *begin = from + 3;
		char *at = memrchr(begin, '@', strcspn(begin, " \"'"));
		if (!at)
			continue;
		/* As many stars as there is room for: a token may be one letter. */
		size_t stars = at - begin < 3 ? (size_t)(at - begin) : 3;
		memset(begin, '*', stars);
		memmove(begin + stars, at, strlen(at) + 1);
	}
}

static const struct {
	natsStatus code;
	enum ledger_status status;
	const char *text;
} meanings[] = {
	{ NATS_CONNECTION_AUTH_FAILED, LEDGER_REFUSED, "the server does not take our credentials" },
	{ NATS_NOT_PERMITTED, LEDGER_REFUSED, "the server does not permit it" },
	{ NATS_SSL_ERROR, LEDGER_REFUSED, "TLS failed" },
	{ NATS_SECURE_CONNECTION_WANTED, LEDGER_REFUSED, "the server does not speak TLS" },
	{ NATS_SECURE_CONNECTION_REQUIRED, LEDGER_REFUSED, "the server wants TLS" },
	{ NATS_NO_SERVER, LEDGER_UNREACHABLE, "no server answers" },
	{ NATS_TIMEOUT, LEDGER_UNREACHABLE, "no answer in time" },
	{ NATS_IO_ERROR, LEDGER_UNREACHABLE, "the connection broke" },
	{ NATS_CONNECTION_CLOSED, LEDGER_UNREACHABLE, "the connection was closed" },
	{ NATS_STALE_CONNECTION, LEDGER_UNREACHABLE, "the server heard nothing from us" },
	{ NATS_MAX_PAYLOAD, LEDGER_INVALID, "larger than the server allows" },
	{ NATS_NO_MEMORY, LEDGER_NO_MEMORY, "out of memory" },
};

/* Their texts begin with "(conn.c:1905): ". */
static const char *without_place(const char *text)
{
	const char *end = text && text[0] == '(' ? strstr(text, "): ") : NULL;
	return end ? end + 3 : text;
}

/* Theirs stands in brackets, where it says more than ours. */
enum ledger_status door_fail_nats(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err)
{
	enum ledger_status status = LEDGER_UNREACHABLE;
	const char *ours = "the connection failed";
	char clean[256];
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (meanings[i].code == code) {
			status = meanings[i].status;
			ours = meanings[i].text;
		}
	}
	door_clean(without_place(theirs), clean, sizeof(clean));
	hide_users(clean);
	if (!clean[0] || strcmp(clean, door.natsStatus_GetText(code)) == 0)
		return fail(err, status, "cluster %s: %s", options->cluster, ours);
	return fail(err, status, "cluster %s: %s (%s)", options->cluster, ours, clean);
}

/* --- Secrets --------------------------------------------------------------------------------- */

/* Reads a small file; the caller wipes it. */
static enum ledger_status read_secret(
	const char *path, char out[SECRET_MAX], struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	for (;;) {
		ssize_t n = read(fd, out + len, SECRET_MAX - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read %s", path);
		len += (size_t)n;
		if (n == 0)
			break;
		if (len == SECRET_MAX - 1)
			return fail(err, LEDGER_USAGE, "%s is too long for a secret", path);
	}
	out[len] = '\0';
	return LEDGER_OK;
}

/* The first line, in place. */
static enum ledger_status read_line(
	const char *path, const char *what, char out[SECRET_MAX], struct ledger_error *err)
{
	TRY(read_secret(path, out, err));
	out[strcspn(out, "\r\n")] = '\0';
	if (!out[0])
		return fail(err, LEDGER_USAGE, "%s has no %s in its first line", path, what);
	return LEDGER_OK;
}

#define NKEY_MAX 128

/* The first word of an nkey file's line that begins so; false without one. */
static bool find_key(const char *text, const char *prefix, char out[NKEY_MAX])
{
	for (const char *line = text; *line; line += strspn(line, "\r\n")) {
		size_t len = strcspn(line, " \t\r\n");
		if (strncmp(line, prefix, strlen(prefix)) == 0 && len > 40 && len < NKEY_MAX) {
			memcpy(out, line, len);
			out[len] = '\0';
			return true;
		}
		line += strcspn(line, "\r\n");
	}
	return false;
}

/* Signs what the server sent; the seed is in memory only for that long. */
static natsStatus sign(
	char **error, unsigned char **signature, int *length, const char *nonce, void *path)
{
	char text[SECRET_MAX], seed[NKEY_MAX] = "";
	struct ledger_error err;
	natsStatus code = NATS_ERR;
	if (read_secret(path, text, &err) == LEDGER_OK && find_key(text, "SU", seed))
		code = door.nats_Sign(seed, nonce, signature, length);
	if (code != NATS_OK)
		*error = strdup(seed[0] ? "cannot sign with the seed" : "there is no seed");
	explicit_bzero(text, sizeof(text));
	explicit_bzero(seed, sizeof(seed));
	return code;
}

static enum ledger_status set_nkey(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	char text[SECRET_MAX], seed[NKEY_MAX], public[NKEY_MAX];
	enum ledger_status status = read_secret(options->nkey, text, err);
	bool both =
		status == LEDGER_OK && find_key(text, "SU", seed) && find_key(text, "U", public);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(seed, sizeof(seed));
	TRY(status);
	if (!both) {
		fail(err, LEDGER_USAGE, "%s is not an nkey file", options->nkey);
		return hint(err,
			"it holds the seed (SU…) and the public key (U…) of a user, a line "
			"each, as `nk -gen user -pubout` prints them");
	}
	if (door.natsOptions_SetNKey(nats, public, sign, (void *)(uintptr_t)options->nkey))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return LEDGER_OK;
}

static enum ledger_status set_user(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	char password[SECRET_MAX];
	enum ledger_status status = read_line(options->password_file, "password", password, err);
	if (status == LEDGER_OK && door.natsOptions_SetUserInfo(nats, options->user, password))
		status = fail(err, LEDGER_NO_MEMORY, "out of memory");
	explicit_bzero(password, sizeof(password));
	return status;
}

static enum ledger_status set_token(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	char token[SECRET_MAX];
	enum ledger_status status = read_line(options->token_file, "token", token, err);
	if (status == LEDGER_OK && door.natsOptions_SetToken(nats, token))
		status = fail(err, LEDGER_NO_MEMORY, "out of memory");
	explicit_bzero(token, sizeof(token));
	return status;
}

/* libnats reads the file while it connects: look here whether it can, and say so better. */
static enum ledger_status set_credentials_file(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	char text[SECRET_MAX];
	enum ledger_status status = read_secret(options->credentials, text, err);
	bool good = status == LEDGER_OK && strstr(text, "BEGIN NATS USER JWT");
	explicit_bzero(text, sizeof(text));
	TRY(status);
	if (!good)
		return fail(err, LEDGER_USAGE, "%s is not a credentials file of NATS",
			options->credentials);
	if (door.natsOptions_SetUserCredentialsFromFiles(nats, options->credentials, NULL))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return LEDGER_OK;
}

static enum ledger_status set_credentials(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	int kinds =
		!!options->credentials + !!options->nkey + !!options->user + !!options->token_file;
	if (kinds > 1)
		return fail(err, LEDGER_USAGE, "more than one kind of credentials");
	if (!options->user != !options->password_file)
		return fail(err, LEDGER_USAGE, "user and password file go together");
	if (options->nkey)
		return set_nkey(nats, options, err);
	if (options->user)
		return set_user(nats, options, err);
	if (options->token_file)
		return set_token(nats, options, err);
	return options->credentials ? set_credentials_file(nats, options, err) : LEDGER_OK;
}

/* --- TLS ------------------------------------------------------------------------------------- */

static bool wants_tls(const struct link_options *options)
{
	bool wanted = options->tls_ca || options->tls_cert || options->tls_hostname;
	for (size_t i = 0; i < options->n_urls; i++)
		wanted = wanted || strncmp(options->urls[i], "tls://", 6) == 0;
	return wanted;
}

/* With TLS 1.3 a server that does not like our certificate says so after the handshake, and libnats
 * does not pass it on: it only sees that the answer to its first words is missing. */
enum ledger_status door_fail_connect(natsStatus code, const char *theirs,
	const struct link_options *options, struct ledger_error *err)
{
	bool broke = code == NATS_PROTOCOL_ERROR || code == NATS_IO_ERROR ||
		     code == NATS_CONNECTION_CLOSED;
	if (!broke || !wants_tls(options))
		return door_fail_nats(code, theirs, options, err);
	return fail(err, LEDGER_REFUSED,
		"cluster %s: the server ended the TLS connection; it may not take our "
		"certificate%s",
		options->cluster, options->tls_cert ? "" : ": none is set");
}

static enum ledger_status fail_tls(const char *what, const char *path, struct ledger_error *err)
{
	char theirs[128];
	door_clean(without_place(door.nats_GetLastError(NULL)), theirs, sizeof(theirs));
	return fail(err, LEDGER_USAGE, "cannot use %s %s: %s", what, path, theirs);
}

static enum ledger_status set_tls(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	if (!options->tls_cert != !options->tls_key)
		return fail(err, LEDGER_USAGE, "TLS certificate and key go together");
	if (!wants_tls(options))
		return LEDGER_OK;
	if (door.natsOptions_SetSecure(nats, true))
		return fail(err, LEDGER_USAGE, "this libnats has no TLS");
	if (options->tls_ca && door.natsOptions_LoadCATrustedCertificates(nats, options->tls_ca))
		return fail_tls("TLS CA", options->tls_ca, err);
	if (options->tls_cert &&
		door.natsOptions_LoadCertificatesChain(nats, options->tls_cert, options->tls_key))
		return fail_tls("TLS certificate", options->tls_cert, err);
	if (options->tls_hostname &&
		door.natsOptions_SetExpectedHostname(nats, options->tls_hostname))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	return LEDGER_OK;
}

/* --- All ------------------------------------------------------------------------------------- */

/* libnats knows no web sockets. */
static enum ledger_status set_urls(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	if (options->n_urls == 0 || options->n_urls > 64)
		return fail(err, LEDGER_USAGE, "cluster %s has %zu addresses, 1 to 64 will do",
			options->cluster, options->n_urls);
	for (size_t i = 0; i < options->n_urls; i++)
		if (strncmp(options->urls[i], "nats://", 7) != 0 &&
			strncmp(options->urls[i], "tls://", 6) != 0)
			return fail(err, LEDGER_USAGE,
				"cluster %s: address %zu does not begin with nats:// or tls://",
				options->cluster, i + 1);
	/* The addresses are not changed: their declaration lacks a const. */
	if (door.natsOptions_SetServers(
		    nats, (const char **)(uintptr_t)options->urls, (int)options->n_urls))
		return fail(
			err, LEDGER_USAGE, "cluster %s: an address is not valid", options->cluster);
	return LEDGER_OK;
}

/* No reconnects, no pings, no threads of its own: the wire does all that. */
static enum ledger_status set_manners(
	natsOptions *nats, const struct link_options *options, struct ledger_error *err)
{
	char name[128] = "ledgerbox ";
	strncat(name, options->node, sizeof(name) - strlen(name) - 1);
	int64_t timeout = (int64_t)(options->timeout / 1000);
	if (door.natsOptions_SetName(nats, name) ||
		door.natsOptions_SetAllowReconnect(nats, false) ||
		door.natsOptions_SetPingInterval(nats, 0) ||
		door.natsOptions_SetTimeout(nats, timeout) ||
		door.natsOptions_SetSendAsap(nats, true) ||
		door.natsOptions_SetIOBufSize(nats, 256 << 10) ||
		door.natsOptions_SetIgnoreDiscoveredServers(nats, true))
		return fail(err, LEDGER_NO_MEMORY, "libnats: %s", door.nats_GetLastError(NULL));
	return LEDGER_OK;
}

enum ledger_status door_options(
	natsOptions **out, const struct link_options *options, struct ledger_error *err)
{
	natsOptions *nats = NULL;
	TRY(door_open(err));
	if (door.natsOptions_Create(&nats))
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	enum ledger_status status = set_urls(nats, options, err);
	if (status == LEDGER_OK)
		status = set_manners(nats, options, err);
	if (status == LEDGER_OK)
		status = set_tls(nats, options, err);
	if (status == LEDGER_OK)
		status = set_credentials(nats, options, err);
	if (status != LEDGER_OK) {
		door.natsOptions_Destroy(nats);
		return status;
	}
	*out = nats;
	return LEDGER_OK;
}
