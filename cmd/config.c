/* config - check a config and print what is in force and why. */
#include "command.h"
#include "consumers.h"
#include "output.h"
#include "settings.h"

#include "../lib/base/banned.h"

#define COLUMN_MAX 40 /* a longer value pushes its source to the right */

/* What a listing is made of. */
struct listing {
	struct buf line;
	int key_width, value_width;
	bool first;
};

#define CLEANUP_LISTING __attribute__((cleanup(listing_done)))

static void listing_done(struct listing *listing)
{
	buf_done(&listing->line);
}

/* --- check ----------------------------------------------------------------------------------- */

/* Programs of handlers and commands: are they there, and is it safe to run them? */
static enum ledger_status check_programs(struct ledger_error *err)
{
	for (size_t i = 0; i < settings.n_handlers; i++) {
		const struct ledger_handler *h = &settings.handlers[i];
		if (consumers_check_safe(h->exec[0], err))
			return fail_in(err, "handler %s: ", h->name);
	}
	for (size_t i = 0; i < settings.n_commands; i++) {
		const struct ledger_command_handler *h = &settings.commands[i];
		if (consumers_check_safe(h->exec[0], err))
			return fail_in(err, "command %s: ", h->name);
	}
	return LEDGER_OK;
}

/* The settings were read before: what is left are the files that commands read and run later. */
static enum ledger_status run_check(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)l, (void)argc, (void)argv;
	if (!settings.config) {
		fail(err, LEDGER_NO,
			"there is no config: neither ledger.yaml here nor "
			"/etc/ledgerbox/ledger.yaml");
		return hint(err, "make one with: ledgerbox init, or name one with --config");
	}
	TRY(settings_check_files(err));
	TRY(check_programs(err));
	/* What else the commands would find out when they need it. */
	if (ledger_rules_check(&settings.rules, err))
		return fail_in(err, "%s: ", settings.config);
	if (output.quiet)
		return LEDGER_OK;
	CLEANUP_BUF struct buf line = { 0 };
	if (output.format == FORMAT_JSON) {
		buf_add_text(&line, "{\"config\":");
		json_add_string(&line, slice_of(settings.config));
		buf_add_text(&line, ",\"ok\":true}\n");
	} else {
		buf_addf(&line, "%s: ok\n", settings.config);
	}
	TRY(buf_check(&line, err));
	out_safe_lines(buf_slice(&line));
	return out_flush(err);
}

/* --- show ------------------------------------------------------------------------------------ */

/* A value may be text of several lines; here it is one. */
static void add_column(struct buf *out, const char *text, int width)
{
	size_t before = out->len;
	escape_slice(out, slice_of(text), false);
	int used = (int)(out->len - before);
	buf_addf(out, "%*s", used < width ? width - used : 0, "");
}

static int wider(struct buf *scratch, const char *text, int width)
{
	buf_reset(scratch);
	escape_slice(scratch, slice_of(text), false);
	int used = scratch->len > COLUMN_MAX ? 0 : (int)scratch->len;
	return used > width ? used : width;
}

static void measure(const char *key, const char *value, const char *source, void *context)
{
	struct listing *listing = context;
	(void)source;
	listing->key_width = wider(&listing->line, key, listing->key_width);
	listing->value_width = wider(&listing->line, value ? value : "-", listing->value_width);
}

static void print_text(const char *key, const char *value, const char *source, void *context)
{
	struct listing *listing = context;
	buf_reset(&listing->line);
	add_column(&listing->line, key, listing->key_width);
	buf_add_text(&listing->line, "  ");
	add_column(&listing->line, value ? value : "-", listing->value_width);
	buf_add_text(&listing->line, "  ");
	add_column(&listing->line, source, 0);
	buf_add_char(&listing->line, '\n');
	out_safe_lines(buf_slice(&listing->line));
}

static void print_json(const char *key, const char *value, const char *source, void *context)
{
	struct listing *listing = context;
	struct buf *line = &listing->line;
	buf_reset(line);
	buf_add_char(line, listing->first ? '{' : ',');
	json_add_string(line, slice_of(key));
	buf_add_text(line, ":{\"value\":");
	if (value)
		json_add_string(line, slice_of(value));
	else
		buf_add_text(line, "null");
	buf_add_text(line, ",\"source\":");
	json_add_string(line, slice_of(source));
	buf_add_char(line, '}');
	out_safe(buf_slice(line));
	listing->first = false;
}

static enum ledger_status run_show(
	struct ledger *l, int argc, char **argv, struct ledger_error *err)
{
	(void)l, (void)argc, (void)argv;
	CLEANUP_LISTING struct listing listing = { .first = true };
	if (output.format == FORMAT_JSON) {
		settings_each(print_json, &listing);
		out_text("}\n");
	} else {
		settings_each(measure, &listing);
		settings_each(print_text, &listing);
	}
	TRY(buf_check(&listing.line, err));
	return out_flush(err);
}

static const struct verb verbs[] = {
	{ "check", NULL, "read the config and say whether it is right", OPENS_SETTINGS,
		COMPLETE_NONE, run_check },
	{ "show", NULL, "every setting, its value and where it came from", OPENS_SETTINGS,
		COMPLETE_NONE, run_show },
	{ 0 },
};

const struct command cmd_config = {
	.name = "config",
	.summary = "Check a config and print what is in force and why.",
	.opens = OPENS_SETTINGS,
	.verbs = verbs,
	.examples = "ledgerbox config check\n"
		    "ledgerbox config show --format json\n",
};
