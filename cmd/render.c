#include "render.h"

#include <stdio.h>
#include <time.h>

#include "output.h"

#include "../lib/base/banned.h"

/* On a terminal a long value is never cut to fewer columns than this. */
#define CUT_MIN 16

/* A long value that is not in the last column. */
#define CUT_INNER 40

struct column {
	const char *name;
	void (*add)(struct buf *out, const struct event *e);
	uint64_t (*moment)(const struct event *e); /* a time: shown to people in their own way */
	unsigned width;				   /* on a terminal, to begin with */
	bool is_long;				   /* may be cut on a terminal */
	const char *sgr;
};

static void add_position(struct buf *out, const struct event *e)
{
	buf_add_u64(out, e->position);
}

static void add_id(struct buf *out, const struct event *e)
{
	char id[UUID_TEXT_MAX];
	uuid_format(e->id, id);
	buf_add_text(out, id);
}

static void add_origin(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->origin);
}

static void add_epoch(struct buf *out, const struct event *e)
{
	buf_add_u64(out, e->epoch);
}

static void add_domain(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->domain);
}

static void add_sequence(struct buf *out, const struct event *e)
{
	buf_add_u64(out, e->sequence);
}

static void add_stream(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->stream);
}

static void add_version(struct buf *out, const struct event *e)
{
	if (e->stream.ptr)
		buf_add_u64(out, e->version);
}

static void add_type(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->type);
}

static void add_schema(struct buf *out, const struct event *e)
{
	buf_add_u64(out, e->schema);
}

static uint64_t clock_of(const struct event *e)
{
	return e->clock;
}

static uint64_t time_of(const struct event *e)
{
	return e->time;
}

static void add_tags(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->tags);
}

static void add_payload(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->payload);
}

static void add_metadata(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->metadata);
}

static void add_salt(struct buf *out, const struct event *e)
{
	buf_add_hex(out, e->salt, sizeof(e->salt));
}

static void add_prev(struct buf *out, const struct event *e)
{
	buf_add_hex(out, e->prev, sizeof(e->prev));
}

static void add_hash(struct buf *out, const struct event *e)
{
	buf_add_hex(out, e->hash, sizeof(e->hash));
}

static void add_key(struct buf *out, const struct event *e)
{
	buf_add_slice(out, e->key);
}

static void add_mac(struct buf *out, const struct event *e)
{
	buf_add_hex(out, e->mac, sizeof(e->mac));
}

static const struct column columns[] = {
	{ "position", add_position, NULL, 5, false, NULL },
	{ "id", add_id, NULL, 36, false, NULL },
	{ "origin", add_origin, NULL, 8, false, NULL },
	{ "epoch", add_epoch, NULL, 16, false, NULL },
	{ "domain", add_domain, NULL, 9, false, NULL },
	{ "sequence", add_sequence, NULL, 8, false, NULL },
	{ "stream", add_stream, NULL, 13, false, NULL },
	{ "version", add_version, NULL, 7, false, NULL },
	{ "type", add_type, NULL, 10, false, "1" },
	{ "schema", add_schema, NULL, 6, false, NULL },
	{ "clock", NULL, clock_of, 19, false, "2" },
	{ "time", NULL, time_of, 19, false, "2" },
	{ "tags", add_tags, NULL, 12, true, NULL },
	{ "payload", add_payload, NULL, 12, true, NULL },
	{ "metadata", add_metadata, NULL, 12, true, NULL },
	{ "hash", add_hash, NULL, 64, false, NULL },
	{ "salt", add_salt, NULL, 32, false, NULL },
	{ "prev", add_prev, NULL, 64, false, NULL },
	{ "key", add_key, NULL, EVENT_KEY_ID_SIZE, false, NULL },
	{ "mac", add_mac, NULL, 64, false, NULL },
};

/* Scripts count on these and their order: ledgerbox-tail(1) lists them. */
#define TSV_FIELDS                                                                                 \
	"position,id,origin,epoch,domain,sequence,stream,version,type,schema,clock,time,tags,"     \
	"payload,metadata,hash"
#define TEXT_FIELDS "position,time,domain,type,stream,payload"

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static enum ledger_status add_field(struct render *r, struct slice name, struct ledger_error *err)
{
	unsigned i = 0;
	while (i < COLUMNS && !slice_is(name, columns[i].name))
		i++;
	if (i == COLUMNS) {
		fail(err, LEDGER_USAGE, "--fields: there is no field '%.*s'",
			name.len < 64 ? (int)name.len : 64, name.ptr);
		return hint(err, "fields: " TSV_FIELDS ",salt,prev,key,mac");
	}
	if (r->n == RENDER_COLUMNS_MAX)
		return fail(err, LEDGER_USAGE, "--fields: more than %d fields", RENDER_COLUMNS_MAX);
	r->widths[r->n] = columns[i].width;
	r->columns[r->n++] = i;
	return LEDGER_OK;
}

enum ledger_status render_init(
	struct render *r, const char *fields, bool utc, struct ledger_error *err)
{
	const char *usual = output.format == FORMAT_TSV ? TSV_FIELDS : TEXT_FIELDS;
	struct slice rest = slice_of(fields ? fields : usual), head;
	*r = (struct render){ .utc = utc };
	while (slice_cut(rest, ',', &head, &rest))
		TRY(add_field(r, head, err));
	return add_field(r, rest, err);
}

void render_done(struct render *r)
{
	buf_done(&r->value);
	buf_done(&r->shown);
}

static void break_down(uint64_t us, bool utc, struct tm *tm)
{
	time_t seconds = (time_t)(us / TIME_SECOND);
	*tm = (struct tm){ .tm_mday = 1 };
	if (utc)
		gmtime_r(&seconds, tm);
	else
		localtime_r(&seconds, tm);
}

void render_moment(uint64_t us, bool utc, char out[RENDER_TIME_MAX])
{
	struct tm tm;
	break_down(us, utc, &tm);
	size_t n = strftime(
		out, RENDER_TIME_MAX, utc ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%S%z", &tm);
	if (utc || n < 5)
		return;
	/* strftime's +0100 lacks RFC 3339's colon. */
	memmove(out + n - 1, out + n - 2, 3);
	out[n - 2] = ':';
}

/* For the columns of text: no offset, it is the same for all (but for summer time). */
static void add_short_moment(struct buf *out, uint64_t us, bool utc)
{
	struct tm tm;
	char text[RENDER_TIME_MAX];
	break_down(us, utc, &tm);
	strftime(text, sizeof(text), utc ? "%Y-%m-%d %H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &tm);
	buf_add_text(out, text);
}

static void add_value(
	const struct render *r, const struct column *c, const struct event *e, struct buf *out)
{
	if (c->moment && output.format == FORMAT_TEXT) {
		add_short_moment(out, c->moment(e), r->utc);
	} else if (c->moment) {
		char text[TIME_TEXT_MAX];
		time_format(c->moment(e), text);
		buf_add_text(out, text);
	} else {
		c->add(out, e);
	}
}

/* --- Text ------------------------------------------------------------------------------------ */

/* How many columns of a terminal a character takes, near enough: nothing breaks where it is wrong. */
static unsigned char_columns(uint32_t code)
{
	if ((code >= 0x300 && code <= 0x36F) || (code >= 0x200B && code <= 0x200F))
		return 0;
	bool is_wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
		       (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
		       (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
		       (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
	return is_wide ? 2 : 1;
}

/* The longest front of `s` that fits in `room` columns; *used is how many it takes. */
static struct slice front_of(struct slice s, unsigned room, unsigned *used)
{
	struct slice rest = s;
	*used = 0;
	while (rest.len) {
		uint32_t code = 0;
		size_t n = slice_utf8_char(rest, &code);
		unsigned width = n ? char_columns(code) : 1;
		if (*used + width > room)
			break;
		*used += width;
		rest = slice_from(rest, n ? n : 1);
	}
	return (struct slice){ s.ptr, s.len - rest.len };
}

/* Adds what fits in `room` columns, with "…" for what does not. Returns the columns used. */
static unsigned add_cut(struct buf *out, struct slice s, unsigned room)
{
	unsigned used;
	struct slice front = front_of(s, room, &used);
	if (front.len < s.len) {
		front = front_of(s, room - 1, &used);
		buf_add_slice(out, front);
		buf_add_text(out, "…");
		return used + 1;
	}
	buf_add_slice(out, front);
	return used;
}

static void add_style(struct buf *out, const char *sgr)
{
	if (!output.colour || !sgr)
		return;
	buf_add_text(out, "\033[");
	buf_add_text(out, sgr);
	buf_add_char(out, 'm');
}

/* How much of the terminal is left for column i behind the `used` ones. */
static unsigned room_for(const struct render *r, size_t i, unsigned used)
{
	if (!columns[r->columns[i]].is_long)
		return UINT32_MAX;
	if (i + 1 < r->n)
		return CUT_INNER;
	return output.columns > used + CUT_MIN ? output.columns - used : CUT_MIN;
}

/* One cell on a terminal: escaped, cut, padded. Returns the columns used. */
static unsigned add_cell(
	struct render *r, size_t i, unsigned used, const char *sgr, struct buf *out)
{
	bool last = i + 1 == r->n;
	buf_reset(&r->shown);
	escape_slice(&r->shown, buf_slice(&r->value), false);
	add_style(out, sgr);
	unsigned width = add_cut(out, buf_slice(&r->shown), room_for(r, i, used));
	add_style(out, sgr ? "0" : NULL);
	if (width > r->widths[i] && width <= 64)
		r->widths[i] = width;
	while (!last && width < r->widths[i]) {
		buf_add_char(out, ' ');
		width++;
	}
	return width;
}

static void add_text_cell(
	struct render *r, size_t i, const char *sgr, unsigned *used, struct buf *out)
{
	if (i) {
		buf_add(out, "  ", 2);
		*used += 2;
	}
	if (output.terminal)
		*used += add_cell(r, i, *used, sgr, out);
	else
		buf_add_slice(out, buf_slice(&r->value));
}

static void add_text_line(struct render *r, const struct event *e, struct buf *out)
{
	unsigned used = 0;
	for (size_t i = 0; i < r->n; i++) {
		const struct column *c = &columns[r->columns[i]];
		buf_reset(&r->value);
		add_value(r, c, e, &r->value);
		/* So that awk and people count the same columns. */
		if (r->value.len == 0)
			buf_add_char(&r->value, '-');
		add_text_cell(r, i, c->sgr, &used, out);
	}
}

/* --- tsv ------------------------------------------------------------------------------------- */

/* What stands for a byte behind the backslash; 0: it stands for itself. */
static char tsv_escape(char c)
{
	return c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\\' ? '\\' : 0;
}

static void add_tsv_value(struct buf *out, struct slice s)
{
	size_t begin = 0;
	for (size_t i = 0; i < s.len; i++) {
		char escape = tsv_escape(s.ptr[i]);
		if (!escape)
			continue;
		buf_add(out, s.ptr + begin, i - begin);
		buf_add_char(out, '\\');
		buf_add_char(out, escape);
		begin = i + 1;
	}
	buf_add(out, s.ptr + begin, s.len - begin);
}

static void add_tsv_line(struct render *r, const struct event *e, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		if (i)
			buf_add_char(out, '\t');
		buf_reset(&r->value);
		add_value(r, &columns[r->columns[i]], e, &r->value);
		buf_reset(&r->shown);
		add_tsv_value(output.terminal ? &r->shown : out, buf_slice(&r->value));
		if (output.terminal)
			escape_slice(out, buf_slice(&r->shown), false);
	}
}

/* --- Lines ----------------------------------------------------------------------------------- */

void render_header(struct render *r, struct buf *out)
{
	unsigned used = 0;
	for (size_t i = 0; i < r->n; i++) {
		const char *name = columns[r->columns[i]].name;
		buf_reset(&r->value);
		buf_add_text(&r->value, name);
		if (output.format == FORMAT_TEXT) {
			add_text_cell(r, i, "2", &used, out);
		} else {
			buf_add_text(out, i ? "\t" : "");
			buf_add_text(out, name);
		}
	}
	buf_add_char(out, '\n');
}

static void add_shown(struct buf *out, struct slice s)
{
	if (output.terminal)
		escape_slice(out, s, false);
	else
		buf_add_slice(out, s);
}

/* The usual way, to a pipe, makes no copy: a million lines come through here. */
static void add_json_line(struct render *r, const struct event *e, struct buf *out)
{
	buf_reset(&r->value);
	event_add_line(output.terminal ? &r->value : out, e);
	add_shown(out, buf_slice(&r->value));
}

void render_event(struct render *r, const struct event *event, struct buf *out)
{
	switch (output.format) {
	case FORMAT_JSON:
		add_json_line(r, event, out);
		break;
	case FORMAT_TSV:
		add_tsv_line(r, event, out);
		break;
	case FORMAT_PAYLOAD:
		add_shown(out, event->payload);
		break;
	default:
		add_text_line(r, event, out);
		break;
	}
	buf_add_char(out, '\n');
	if (r->value.failed || r->shown.failed)
		out->failed = true;
}
