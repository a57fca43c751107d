#include "yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "form.h"

#include "../lib/base/banned.h"

#ifndef YAML_DECLARE
#error "this <yaml.h> is ours, not libyaml's: build with implicit_include_directories: false"
#endif

struct reader {
	const char *name;
	struct arena *arena;
	yaml_parser_t parser;
	yaml_event_t event; /* the one being looked at; all zero: none */
};

static void reader_done(struct reader *r)
{
	yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
}

/* --- Errors ---------------------------------------------------------------------------------- */

static enum ledger_status refuse_at(struct reader *r, yaml_mark_t at, struct ledger_error *err,
	const char *what, const char *advice)
{
	fail(err, LEDGER_USAGE, "%s:%zu:%zu: %s", r->name, at.line + 1, at.column + 1, what);
	return hint(err, "%s", advice);
}

static enum ledger_status refuse(
	struct reader *r, struct ledger_error *err, const char *what, const char *advice)
{
	return refuse_at(r, r->event.start_mark, err, what, advice);
}

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

/* libyaml's own words, which name no value from the file. */
static enum ledger_status parser_failed(struct reader *r, struct ledger_error *err)
{
	const yaml_parser_t *p = &r->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(err);
	char what[200];
	snprintf(what, sizeof(what), "not valid YAML: %s%s%s",
		p->problem ? p->problem : "unreadable", p->context ? ", " : "",
		p->context ? p->context : "");
	return refuse_at(r, p->error == YAML_READER_ERROR ? p->mark : p->problem_mark, err, what,
		"look at the indentation (spaces only), colons and quotes around this place");
}

/* --- Bytes, before libyaml sees them --------------------------------------------------------- */

/* Length of a character that may stand in the file, 0 for one that may not. */
static size_t allowed_char(struct slice s)
{
	uint32_t code;
	size_t n = slice_utf8_char(s, &code);
	bool is_control = (code < 0x20 && code != '\t' && code != '\n' && code != '\r') ||
			  (code >= 0x7F && code < 0xA0);
	return n && !is_control ? n : 0;
}

static enum ledger_status check_bytes(const char *name, struct slice text, struct ledger_error *err)
{
	unsigned line = 1, column = 1;
	while (text.len) {
		size_t n = allowed_char(text);
		if (n == 0) {
			fail(err, LEDGER_USAGE,
				"%s:%u:%u: byte 0x%02x is a control character or not UTF-8", name,
				line, column, (unsigned)(uint8_t)text.ptr[0]);
			return hint(err, "a config is plain text in UTF-8");
		}
		column++;
		if (text.ptr[0] == '\n') {
			line++;
			column = 1;
		}
		text = slice_from(text, n);
	}
	return LEDGER_OK;
}

/* Escapes in double quotes can bring back what check_bytes has refused. */
static bool is_clean(struct slice text)
{
	while (text.len) {
		size_t n = allowed_char(text);
		if (n == 0)
			return false;
		text = slice_from(text, n);
	}
	return true;
}

/* --- Events ---------------------------------------------------------------------------------- */

static enum ledger_status next_event(struct reader *r, struct ledger_error *err)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event))
		return parser_failed(r, err);
	return LEDGER_OK;
}

static bool has_anchor(const yaml_event_t *e)
{
	return (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) ||
	       (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor) ||
	       (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor);
}

static bool has_tag(const yaml_event_t *e)
{
	return (e->type == YAML_SCALAR_EVENT && e->data.scalar.tag) ||
	       (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.tag) ||
	       (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag);
}

static enum ledger_status check_event(struct reader *r, unsigned depth, struct ledger_error *err)
{
	const yaml_event_t *e = &r->event;
	if (e->type == YAML_ALIAS_EVENT)
		return refuse(r, err, "an alias (*name) is not taken", "write the value out");
	if (has_anchor(e))
		return refuse(r, err, "an anchor (&name) is not taken", "write the value out");
	if (has_tag(e))
		return refuse(
			r, err, "a tag (!name) is not taken", "leave it out, or quote the text");
	if (e->type != YAML_SCALAR_EVENT && depth > YAML_DEPTH_MAX)
		return refuse(r, err, "nested deeper than 16 levels", "see ledgerbox-config(5)");
	return LEDGER_OK;
}

/* The scalar of the current event, copied. */
static enum ledger_status take_text(struct reader *r, struct slice *out, struct ledger_error *err)
{
	struct slice text = { (const char *)r->event.data.scalar.value,
		r->event.data.scalar.length };
	if (!is_clean(text))
		return refuse(r, err, "the text holds a control character", "leave it out");
	*out = arena_copy(r->arena, text);
	return out->ptr ? LEDGER_OK : no_memory(err);
}

static bool is_plain(const yaml_event_t *e)
{
	return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static enum ledger_status read_value(
	struct reader *r, unsigned depth, struct yaml *value, struct ledger_error *err);

/* Takes the key of the current event. */
static enum ledger_status read_key(
	struct reader *r, const struct yaml *map, struct yaml *value, struct ledger_error *err)
{
	TRY(check_event(r, 0, err));
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse(r, err, "a key must be a word", "see ledgerbox-config(5)");
	TRY(take_text(r, &value->key, err));
	if (value->key.len == 0)
		return refuse(r, err, "a key must not be empty", "see ledgerbox-config(5)");
	if (is_plain(&r->event) && slice_is(value->key, "<<"))
		return refuse(r, err, "a merge key (<<) is not taken", "write the keys out");
	const struct yaml *before = yaml_get(map, value->key.ptr);
	if (before) {
		char what[160], shown[FORM_EXCERPT_MAX];
		snprintf(what, sizeof(what), "key '%s' stands here a second time, after line %u",
			form_excerpt(value->key, shown), before->key_line);
		return refuse(r, err, what, "leave out one of the two");
	}
	value->key_line = (unsigned)r->event.start_mark.line + 1;
	value->key_column = (unsigned)r->event.start_mark.column + 1;
	return next_event(r, err);
}

/* Items of a list or members of a mapping, up to and with its end. */
static enum ledger_status read_items(
	struct reader *r, unsigned depth, struct yaml *parent, struct ledger_error *err)
{
	struct yaml **end = &parent->first;
	for (size_t n = 0;; n++) {
		TRY(next_event(r, err));
		if (r->event.type == YAML_SEQUENCE_END_EVENT ||
			r->event.type == YAML_MAPPING_END_EVENT)
			return LEDGER_OK;
		if (n == YAML_ITEMS_MAX)
			return refuse(r, err, "more than 1000 values in one place",
				"see ledgerbox-config(5)");
		struct yaml *value = arena_array(r->arena, 1, sizeof(*value));
		if (!value)
			return no_memory(err);
		if (parent->kind == YAML_MAP)
			TRY(read_key(r, parent, value, err));
		TRY(read_value(r, depth, value, err));
		*end = value;
		end = &value->next;
	}
}

/* Fills *value from the current event and those that belong to it. */
static enum ledger_status read_value(
	struct reader *r, unsigned depth, struct yaml *value, struct ledger_error *err)
{
	TRY(check_event(r, depth, err));
	value->line = (unsigned)r->event.start_mark.line + 1;
	value->column = (unsigned)r->event.start_mark.column + 1;
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		value->kind = YAML_TEXT;
		value->quoted = !is_plain(&r->event);
		return take_text(r, &value->text, err);
	case YAML_SEQUENCE_START_EVENT:
		value->kind = YAML_LIST;
		return read_items(r, depth + 1, value, err);
	case YAML_MAPPING_START_EVENT:
		value->kind = YAML_MAP;
		return read_items(r, depth + 1, value, err);
	default:
		return refuse(r, err, "a value is missing", "see ledgerbox-config(5)");
	}
}

/* The one document of the stream; *root stays NULL where there is none. */
static enum ledger_status read_document(
	struct reader *r, struct yaml **root, struct ledger_error *err)
{
	TRY(next_event(r, err)); /* the stream begins */
	TRY(next_event(r, err));
	if (r->event.type == YAML_STREAM_END_EVENT)
		return LEDGER_OK;
	if (r->event.data.document_start.tag_directives.start !=
		r->event.data.document_start.tag_directives.end)
		return refuse(r, err, "a %TAG directive is not taken", "leave the line out");
	struct yaml *value = arena_array(r->arena, 1, sizeof(*value));
	if (!value)
		return no_memory(err);
	TRY(next_event(r, err));
	TRY(read_value(r, 1, value, err));
	TRY(next_event(r, err)); /* the document ends */
	TRY(next_event(r, err));
	if (r->event.type != YAML_STREAM_END_EVENT)
		return refuse(r, err, "a second document begins here", "one config, one document");
	*root = yaml_is_empty(value) ? NULL : value;
	return LEDGER_OK;
}

enum ledger_status yaml_parse(const char *name, struct slice text, struct arena *arena,
	struct yaml **root, struct ledger_error *err)
{
	if (text.len > YAML_SIZE_MAX) {
		fail(err, LEDGER_USAGE, "%s: larger than 64 KiB", name);
		return hint(err, "is this a config? see ledgerbox-config(5)");
	}
	TRY(check_bytes(name, text, err));
	__attribute__((cleanup(reader_done))) struct reader r = { .name = name, .arena = arena };
	if (!yaml_parser_initialize(&r.parser))
		return no_memory(err);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.ptr, text.len);
	struct yaml *document = NULL;
	TRY(read_document(&r, &document, err));
	*root = document;
	return LEDGER_OK;
}

/* --- Looking --------------------------------------------------------------------------------- */

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *value = map->first; value; value = value->next)
		if (slice_is(value->key, key))
			return value;
	return NULL;
}

bool yaml_is_empty(const struct yaml *value)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	if (value->kind != YAML_TEXT || value->quoted)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_is(value->text, words[i]))
			return true;
	return false;
}
