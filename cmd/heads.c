/* Heads of chains, written as lines and read back. */
#include "heads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "output.h"
#include "../lib/base/banned.h"

/* A line is about 250 bytes at most, so this is room for tens of thousands of chains. */
#define HEADS_FILE_MAX (16u << 20)

void heads_done(struct heads *heads)
{
	arena_done(&heads->arena);
	free(heads->items);
	*heads = (struct heads){ 0 };
}

/* --- Writing --------------------------------------------------------------------------------- */

void heads_add_json(struct buf *out, const struct ledger_chain *chain)
{
	buf_add_text(out, "{\"origin\":");
	json_add_string(out, chain->origin);
	buf_addf(out, ",\"epoch\":%" PRIu64 ",\"domain\":", chain->epoch);
	json_add_string(out, chain->domain);
	buf_addf(out, ",\"sequence\":%" PRIu64 ",\"hash\":\"", chain->sequence);
	buf_add_hex(out, chain->hash, sizeof(chain->hash));
	buf_add_text(out, "\"}");
}

/* Names are escaped even into a file: in a damaged ledger they need not be tokens, and a newline in
 * one would forge a line. */
static void add_text(struct buf *out, const struct ledger_chain *chain)
{
	escape_slice(out, chain->origin, false);
	buf_addf(out, " %" PRIu64 " ", chain->epoch);
	escape_slice(out, chain->domain, false);
	buf_addf(out, " %" PRIu64 " ", chain->sequence);
	buf_add_hex(out, chain->hash, sizeof(chain->hash));
}

enum ledger_status head_print(const struct ledger_chain *chain, struct ledger_error *err)
{
	CLEANUP_BUF struct buf line = { 0 };
	if (output.format == FORMAT_JSON)
		heads_add_json(&line, chain);
	else
		add_text(&line, chain);
	TRY(buf_check(&line, err));
	out_safe(buf_slice(&line));
	out_text("\n");
	return LEDGER_OK;
}

static enum ledger_status print_one(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	(void)context;
	return chain->domain.ptr ? head_print(chain, err) : LEDGER_OK;
}

enum ledger_status heads_print(struct ledger *l, struct ledger_error *err)
{
	TRY(ledger_chains(l, print_one, NULL, err));
	uint64_t missing = ledger_malformed_chains(l);
	if (!missing)
		return LEDGER_OK;
	fail(err, LEDGER_DAMAGED,
		"%" PRIu64 " chain%s not listed: a name in the ledger is not one that it takes",
		missing, missing == 1 ? " is" : "s are");
	return hint(err, "ledgerbox verify lists what is wrong");
}

/* --- Lists of chains ------------------------------------------------------------------------- */

void chain_list_done(struct chain_list *list)
{
	arena_done(&list->arena);
	free(list->items);
	*list = (struct chain_list){ 0 };
}

static enum ledger_status keep_chain(
	const struct ledger_chain *chain, void *context, struct ledger_error *err)
{
	struct chain_list *list = context;
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 64;
		struct ledger_chain *grown = realloc(list->items, cap * sizeof(*grown));
		if (!grown)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		list->items = grown;
		list->cap = cap;
	}
	struct ledger_chain *copy = &list->items[list->n];
	*copy = *chain;
	copy->origin = arena_copy(&list->arena, chain->origin);
	copy->domain = arena_copy(&list->arena, chain->domain);
	if (!copy->origin.ptr || !copy->domain.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	list->n++;
	return LEDGER_OK;
}

enum ledger_status chain_list_read(
	struct ledger *l, struct chain_list *list, struct ledger_error *err)
{
	return ledger_chains(l, keep_chain, list, err);
}

/* --- Reading --------------------------------------------------------------------------------- */

static enum ledger_status read_all(
	int fd, const char *path, struct buf *out, struct ledger_error *err)
{
	char chunk[16384];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "cannot read %s", path);
		if (n == 0)
			return buf_check(out, err);
		if (out->len + (size_t)n > HEADS_FILE_MAX)
			return fail(err, LEDGER_USAGE, "%s is larger than 16 MiB: no file of heads",
				path);
		buf_add(out, chunk, (size_t)n);
	}
}

static enum ledger_status read_file(const char *path, struct buf *out, struct ledger_error *err)
{
	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, "stdin", out, err);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return fail(err, LEDGER_USAGE, "there is no file %s", path);
	if (fd < 0)
		return fail_errno(err, "cannot open %s", path);
	enum ledger_status status = read_all(fd, path, out, err);
	close(fd);
	return status;
}

/* The next word between blanks; an empty one at the end. */
static struct slice next_word(struct slice *rest)
{
	struct slice word = slice_trim(*rest);
	size_t n = 0;
	while (n < word.len && word.ptr[n] != ' ' && word.ptr[n] != '\t')
		n++;
	*rest = slice_from(word, n);
	word.len = n;
	return word;
}

static bool is_head(const struct ledger_head *head)
{
	return slice_is_token(head->origin) && slice_is_token(head->domain) &&
	       head->epoch <= TIME_MAX && head->sequence >= 1 && head->sequence <= TIME_MAX;
}

static bool parse_text(struct slice line, struct ledger_head *head)
{
	head->origin = next_word(&line);
	bool ok = slice_u64(next_word(&line), &head->epoch);
	head->domain = next_word(&line);
	ok = ok && slice_u64(next_word(&line), &head->sequence);
	ok = ok && slice_unhex(next_word(&line), head->hash, sizeof(head->hash));
	return ok && slice_trim(line).len == 0;
}

/* A member that is a string without escapes, which is all that tokens and hex digits need. */
static bool plain_member(struct slice object, const char *key, struct slice *out)
{
	struct slice value;
	if (!json_member(object, slice_of(key), &value) || json_kind(value) != JSON_STRING)
		return false;
	*out = (struct slice){ value.ptr + 1, value.len - 2 };
	return true;
}

static bool number_member(struct slice object, const char *key, uint64_t *out)
{
	struct slice value;
	return json_member(object, slice_of(key), &value) && json_kind(value) == JSON_NUMBER &&
	       json_u64(value, out);
}

static bool parse_json(struct slice line, struct ledger_head *head)
{
	struct ledger_error ignored;
	struct slice object, hash;
	if (json_check(line, &object, &ignored) != LEDGER_OK || json_kind(object) != JSON_OBJECT ||
		json_check_unique(object, &ignored) != LEDGER_OK)
		return false;
	return plain_member(object, "origin", &head->origin) &&
	       number_member(object, "epoch", &head->epoch) &&
	       plain_member(object, "domain", &head->domain) &&
	       number_member(object, "sequence", &head->sequence) &&
	       plain_member(object, "hash", &hash) &&
	       slice_unhex(hash, head->hash, sizeof(head->hash));
}

static enum ledger_status keep(
	struct heads *heads, struct ledger_head head, struct ledger_error *err)
{
	if (heads->n == heads->cap) {
		size_t cap = heads->cap ? 2 * heads->cap : 64;
		struct ledger_head *grown = realloc(heads->items, cap * sizeof(*grown));
		if (!grown)
			return fail(err, LEDGER_NO_MEMORY, "out of memory");
		heads->items = grown;
		heads->cap = cap;
	}
	head.origin = arena_copy(&heads->arena, head.origin);
	head.domain = arena_copy(&heads->arena, head.domain);
	if (!head.origin.ptr || !head.domain.ptr)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	heads->items[heads->n++] = head;
	return LEDGER_OK;
}

static enum ledger_status bad_line(
	const char *path, uint64_t number, struct slice line, struct ledger_error *err)
{
	CLEANUP_BUF struct buf shown = { 0 };
	bool cut = line.len > 60;
	if (cut)
		line.len = 60;
	escape_slice(&shown, line, false);
	fail(err, LEDGER_USAGE, "%s:%" PRIu64 ": not a head: \"%s%s\"", path, number,
		buf_text(&shown), cut ? "..." : "");
	return hint(err,
		"a line is: origin epoch domain sequence hash; `status --heads` and `backup` "
		"print such lines");
}

static enum ledger_status read_line(const char *path, uint64_t number, struct slice line,
	struct heads *heads, struct ledger_error *err)
{
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return LEDGER_OK;
	struct ledger_head head = { 0 };
	bool ok = line.ptr[0] == '{' ? parse_json(line, &head) : parse_text(line, &head);
	if (!ok || !is_head(&head))
		return bad_line(path, number, line, err);
	return keep(heads, head, err);
}

enum ledger_status heads_read(const char *path, struct heads *heads, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	TRY(read_file(path, &text, err));
	struct slice rest = buf_slice(&text);
	for (uint64_t number = 1; rest.len; number++) {
		struct slice line;
		if (!slice_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest.len = 0;
		}
		TRY(read_line(path, number, line, heads, err));
	}
	if (heads->n == 0) {
		fail(err, LEDGER_USAGE, "%s has no head in it: there is nothing to expect", path);
		return hint(err,
			"write one with `ledgerbox status --heads > FILE` once there are events");
	}
	return LEDGER_OK;
}
