#include "form.h"

#include <stdio.h>
#include <strings.h>

#include "opt.h"
#include "output.h"

#include "../lib/base/banned.h"

#define PATH_TEXT_MAX  1024
#define TAG_PATH_MAX   256
#define TAG_PATH_DEPTH 8

/* --- Showing --------------------------------------------------------------------------------- */

const char *form_excerpt(struct slice text, char out[FORM_EXCERPT_MAX])
{
	CLEANUP_BUF struct buf hidden = { 0 };
	CLEANUP_BUF struct buf shown = { 0 };
	form_add_hidden(&hidden, text);
	escape_slice(&shown, buf_slice(&hidden), false);
	snprintf(out, FORM_EXCERPT_MAX, "%s", buf_text(&shown));
	if (shown.len < FORM_EXCERPT_MAX)
		return out;
	/* Cut before a character, not inside one. */
	size_t at = FORM_EXCERPT_MAX - sizeof("…");
	while (at && ((uint8_t)out[at] & 0xC0) == 0x80)
		at--;
	snprintf(out + at, FORM_EXCERPT_MAX - at, "…");
	return out;
}

/* From the front to the last @ before white space. A raw / in a password does not end it: to
 * hide too much is better than to show a part. False without one. */
static bool cut_userinfo(struct slice s, struct slice *userinfo)
{
	bool found = false;
	for (size_t i = 0; i < s.len && (uint8_t)s.ptr[i] > ' '; i++) {
		if (s.ptr[i] == '@') {
			*userinfo = (struct slice){ s.ptr, i };
			found = true;
		}
	}
	return found;
}

void form_add_hidden(struct buf *out, struct slice text)
{
	const char *scheme;
	while (text.len && (scheme = memmem(text.ptr, text.len, "://", 3)) != NULL) {
		size_t before = (size_t)(scheme - text.ptr) + 3;
		buf_add(out, text.ptr, before);
		text = slice_from(text, before);
		struct slice userinfo, user, password;
		if (!cut_userinfo(text, &userinfo))
			continue;
		if (slice_cut(userinfo, ':', &user, &password)) {
			buf_add_slice(out, user);
			buf_add_char(out, ':');
		}
		buf_add_text(out, "***");
		text = slice_from(text, userinfo.len);
	}
	buf_add_slice(out, text);
}

void nearest_try(struct nearest *nearest, const char *word)
{
	unsigned distance = spelling_distance(nearest->typed, slice_of(word));
	if (distance > SPELLING_NEAR || (nearest->best && distance >= nearest->distance))
		return;
	nearest->best = word;
	nearest->distance = distance;
}

/* --- Names ----------------------------------------------------------------------------------- */

static enum ledger_status refuse(
	struct slice text, const char *what, const char *advice, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_USAGE, "'%s' %s", form_excerpt(text, shown), what);
	return hint(err, "%s", advice);
}

/* Letters and digits of ASCII and those of `also`, 1 to `max` of them. */
static bool is_made_of(struct slice text, const char *also, size_t max)
{
	if (text.len < 1 || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool word =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!word && (c == '\0' || !strchr(also, c)))
			return false;
	}
	return true;
}

/* 1 to `max` bytes of UTF-8 without control characters. */
static bool is_line(struct slice text, size_t max)
{
	if (text.len < 1 || text.len > max || !slice_is_utf8(text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((uint8_t)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
			return false;
	return true;
}

enum ledger_status form_token(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!slice_is_token(text))
		return refuse(text, "is not a name", "a name is 1 to 64 of A-Z a-z 0-9 _ -", err);
	return LEDGER_OK;
}

enum ledger_status form_node(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	TRY(form_token(text, form, number, err));
	if (text.len == strlen("localhost") && strncasecmp(text.ptr, "localhost", text.len) == 0)
		return refuse(text, "is every machine's name, not a node's",
			"give the node a name of its own, such as store-a", err);
	return LEDGER_OK;
}

enum ledger_status form_domain(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!slice_is(text, "*") && !slice_is_token(text))
		return refuse(text, "is not a domain",
			"a domain is 1 to 64 of A-Z a-z 0-9 _ -, or \"*\" for any other", err);
	return LEDGER_OK;
}

enum ledger_status form_event_type(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	struct ledger_error ignored;
	if (!slice_is(text, "*") && event_check_type(text, &ignored))
		return refuse(text, "is not an event type",
			"a type is 1 to 128 of A-Z a-z 0-9 _ . : -, or \"*\" for any other", err);
	return LEDGER_OK;
}

enum ledger_status form_text(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (text.len == 0 || !slice_is_utf8(text) || memchr(text.ptr, '\0', text.len))
		return refuse(text, "is not a text", "write at least one character", err);
	return LEDGER_OK;
}

enum ledger_status form_json(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	struct ledger_error why;
	struct slice value;
	if (json_check(text, &value, &why))
		return refuse(text, "is not JSON", "write it in quotes: '{\"quantity\":0}'", err);
	return LEDGER_OK;
}

enum ledger_status form_label(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!is_line(text, 128))
		return refuse(
			text, "is not a name", "a name here is one line of at most 128 bytes", err);
	return LEDGER_OK;
}

enum ledger_status form_path(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!is_line(text, PATH_TEXT_MAX))
		return refuse(text, "is not a path",
			"a path is 1 to 1024 bytes of UTF-8 without control characters", err);
	return LEDGER_OK;
}

enum ledger_status form_group(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!is_made_of(text, "_.-", 32) || text.ptr[0] == '-')
		return refuse(text, "is not a group",
			"name a group of this system, see: getent group", err);
	return LEDGER_OK;
}

enum ledger_status form_host(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (!is_made_of(text, ".-", 253))
		return refuse(text, "is not a host name",
			"write it as in the certificate, without port", err);
	return LEDGER_OK;
}

enum ledger_status form_choice(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)number;
	CLEANUP_BUF struct buf all = { 0 };
	for (const char *const *choice = form->choices; *choice; choice++) {
		if (slice_is(text, *choice))
			return LEDGER_OK;
		buf_addf(&all, "%s%s", all.len ? " or " : "write ", *choice);
	}
	return refuse(text, "is not a choice", buf_text(&all), err);
}

/* --- Composed texts -------------------------------------------------------------------------- */

static enum ledger_status refuse_url(struct slice text, struct ledger_error *err)
{
	return refuse(text, "is not a NATS URL",
		"write nats://host:4222 or tls://user:password@host:4222, one address each; "
		"a password with other signs goes into a password_file",
		err);
}

/* "host", "host:port", "[v6]:port" */
static bool is_host_port(struct slice s)
{
	struct slice host = s, port = { NULL, 0 };
	if (s.len && s.ptr[0] == '[') {
		if (!slice_cut(slice_from(s, 1), ']', &host, &port) || !is_made_of(host, ":.", 45))
			return false;
		if (port.len == 0)
			return true;
		if (port.ptr[0] != ':')
			return false;
		port = slice_from(port, 1);
	} else {
		bool has_port = slice_cut(s, ':', &host, &port);
		if (!is_made_of(host, ".-_", 253))
			return false;
		if (!has_port)
			return true;
	}
	uint64_t n;
	return slice_u64(port, &n) && n >= 1 && n <= 65535;
}

enum ledger_status form_url(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	static const char *const schemes[] = { "nats://", "tls://" };
	struct slice rest = { NULL, 0 };
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (slice_starts(text, slice_of(schemes[i])))
			rest = slice_from(text, strlen(schemes[i]));
	if (!rest.ptr || !is_line(text, 512) || memchr(text.ptr, ' ', text.len))
		return refuse_url(text, err);
	struct slice userinfo, host;
	if (!slice_cut(rest, '@', &userinfo, &host))
		host = rest;
	else if (!is_made_of(userinfo, ":%!$&'()*+;=._~-", 400))
		return refuse_url(text, err);
	return is_host_port(host) ? LEDGER_OK : refuse_url(text, err);
}

/* A member's name in a tag path: anything that cannot be mistaken for the path's own signs. */
static bool is_member(struct slice name)
{
	return is_line(name, 128) && !memchr(name.ptr, ' ', name.len) &&
	       !memchr(name.ptr, '[', name.len) && !memchr(name.ptr, '"', name.len) &&
	       !memchr(name.ptr, '*', name.len);
}

static bool is_member_path(struct slice rest)
{
	for (unsigned depth = 0; depth < TAG_PATH_DEPTH; depth++) {
		struct slice name = rest, tail = { NULL, 0 };
		bool more = slice_cut(rest, '.', &name, &tail);
		if (!is_member(name))
			return false;
		if (!more)
			return true;
		rest = tail;
	}
	return false;
}

enum ledger_status form_tag_path(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	struct slice path = text;
	if (slice_starts(path, SLICE("metadata.")))
		path = slice_from(path, strlen("metadata."));
	if (text.len > TAG_PATH_MAX || !slice_starts(path, SLICE("$.")) ||
		!is_member_path(slice_from(path, 2)))
		return refuse(text, "is not a path into payload or metadata",
			"write $.product_id, $.order.id, or metadata.$.actor", err);
	return LEDGER_OK;
}

enum ledger_status form_key_hex(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	uint8_t key[32];
	bool ok = slice_unhex(text, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	if (ok)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE,
		"a key is 64 hex digits, this has %zu characters or others among them", text.len);
	return hint(err, "make one with: openssl rand -hex 32");
}

/* --- Numbers --------------------------------------------------------------------------------- */

static enum ledger_status check_range(struct slice text, const struct form *form, uint64_t value,
	uint64_t *number, struct ledger_error *err)
{
	if (value < form->min || value > form->max) {
		refuse(text, "is out of range", "", err);
		return hint(err, "it may be %s", form->range);
	}
	*number = value;
	return LEDGER_OK;
}

enum ledger_status form_bool(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form;
	if (!slice_is(text, "true") && !slice_is(text, "false"))
		return refuse(text, "is neither true nor false",
			"write true or false (yes, no, on and off are not taken)", err);
	*number = slice_is(text, "true");
	return LEDGER_OK;
}

enum ledger_status form_number(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	uint64_t value;
	if (!slice_u64(text, &value))
		return refuse(text, "is not a whole number", "write digits only", err);
	return check_range(text, form, value, number, err);
}

enum ledger_status form_duration(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	uint64_t value;
	struct ledger_error ignored;
	if (time_parse_duration(text, &value, &ignored) != LEDGER_OK)
		return refuse(text, "is not a duration",
			"write a whole number and ms, s, m, h, d or w: 250ms, 5s, 30d", err);
	return check_range(text, form, value, number, err);
}

enum ledger_status form_size(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = { { "", 0 }, { "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 },
		{ "TiB", 40 } };
	size_t digits = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t value;
		if (!slice_is(slice_from(text, digits), units[i].unit) ||
			!slice_u64((struct slice){ text.ptr, digits }, &value) ||
			value > UINT64_MAX >> units[i].shift)
			continue;
		return check_range(text, form, value << units[i].shift, number, err);
	}
	return refuse(text, "is not a size",
		"write a whole number and KiB, MiB, GiB or TiB: 64KiB, 1GiB", err);
}
