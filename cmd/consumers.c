#include "consumers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/base/banned.h"

#define MILLISECOND	(TIME_SECOND / 1000)
#define TIMEOUT_DEFAULT (30 * TIME_SECOND)
#define RETRIES_DEFAULT 3
#define ARGUMENT_MAX	4096
#define SCHEMA_MAX	(1u << 20)

/* --- The forms ------------------------------------------------------------------------------- */

static enum ledger_status refuse(
	struct slice text, const char *what, const char *advice, struct ledger_error *err)
{
	char shown[FORM_EXCERPT_MAX];
	fail(err, LEDGER_USAGE, "'%s' %s", form_excerpt(text, shown), what);
	return hint(err, "%s", advice);
}

enum ledger_status consumers_name(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	if (slice_is(text, "parked"))
		return refuse(text, "is a verb of ledgerbox replay", "choose another name", err);
	return form_token(text, form, number, err);
}

static enum ledger_status form_type(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	struct ledger_error ignored;
	(void)form, (void)number;
	if (event_check_type(text, &ignored) == LEDGER_OK)
		return LEDGER_OK;
	return refuse(text, "is not an event type", "1 to 128 of A-Z a-z 0-9 _ - . :", err);
}

enum ledger_status consumers_argument(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (text.len <= ARGUMENT_MAX && !memchr(text.ptr, '\0', text.len))
		return LEDGER_OK;
	return refuse(text, "is too long", "an argument has at most 4096 bytes", err);
}

static enum ledger_status form_start(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	uint64_t position;
	(void)form, (void)number;
	if (slice_is(text, "beginning") || slice_is(text, "now") ||
		(slice_u64(text, &position) && position > 0 && position <= INT64_MAX))
		return LEDGER_OK;
	return refuse(text, "is no place to start at",
		"one of: beginning, now, or the position of the first event", err);
}

static enum ledger_status form_apply(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	return slice_is(text, "*") ? LEDGER_OK : form_type(text, form, number, err);
}

static enum ledger_status form_sql(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err)
{
	(void)form, (void)number;
	if (text.len > 0 && !memchr(text.ptr, '\0', text.len))
		return LEDGER_OK;
	return refuse(text, "is no SQL", "such as: insert into stock values (:stream_key)", err);
}

static const char *const modes[] = { "each", "lines", NULL };

const struct rule consumers_handler[] = {
	{ "domain", .is = { form_token } },
	{ "type", .is = { form_type } },
	{ "schema", .is = { form_number, 1, INT64_MAX, "1 or more" } },
	{ "exec", .items = { consumers_argument } },
	{ "mode", .is = { form_choice, .choices = modes } },
	{ "start", .is = { form_start } },
	{ "timeout", .is = { form_duration, MILLISECOND, 24 * 3600 * TIME_SECOND, "1ms to 1d" } },
	{ "retries", .is = { form_number, 0, 1000, "0 to 1000" } },
	{ "park_after", .is = { form_number, 1, 1000000, "1 to 1000000" } },
	{ 0 },
};

const struct rule consumers_projection[] = {
	{ "database", .is = { form_path }, .path = true },
	{ "schema", .is = { form_path }, .path = true },
	{ "domains", .items = { form_token } },
	{ "apply", .names = { form_apply }, .is = { form_sql } },
	{ 0 },
};

/* --- Handlers -------------------------------------------------------------------------------- */

/* What is being built, and from where. */
struct builder {
	const struct rule_file *file;
	const struct yaml *value; /* of the consumer at hand */
	struct arena *arena;
	struct ledger_error *err;
};

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static size_t count(const struct yaml *parent)
{
	size_t n = 0;
	for (const struct yaml *value = parent ? parent->first : NULL; value; value = value->next)
		n++;
	return n;
}

static struct slice text_of(const struct builder *b, const char *key)
{
	const struct yaml *value = yaml_get(b->value, key);
	return value ? value->text : (struct slice){ NULL, 0 };
}

/* A number or duration in the form of its row, checked before; `fallback` where it is not given. */
static uint64_t number_of(const struct builder *b, const char *key, uint64_t fallback)
{
	struct slice text = text_of(b, key);
	uint64_t number = fallback;
	for (const struct rule *rule = consumers_handler; text.ptr && rule->key; rule++)
		if (strcmp(rule->key, key) == 0)
			rule->is.check(text, &rule->is, &number, b->err);
	return number;
}

enum ledger_status consumers_missing(const struct rule_file *file, const struct yaml *value,
	const char *key, const char *advice, struct ledger_error *err)
{
	fail(err, LEDGER_USAGE, "'%s' is missing", key);
	hint(err, "%s", advice);
	return rule_fail_at(file, value, err);
}

static enum ledger_status missing(const struct builder *b, const char *key, const char *advice)
{
	return consumers_missing(b->file, b->value, key, advice, b->err);
}

enum ledger_status consumers_exec(const struct rule_file *file, const struct yaml *value,
	struct arena *arena, const char *const **out, struct ledger_error *err)
{
	const struct yaml *list = yaml_get(value, "exec"), *item = list ? list->first : NULL;
	const char **argv = arena_array(arena, count(list) + 1, sizeof(*argv));
	size_t n = 0;
	if (!item)
		return consumers_missing(file, value, "exec",
			"the program and its arguments: exec: [./low-stock]", err);
	if (!argv)
		return no_memory(err);
	if (!memchr(item->text.ptr, '/', item->text.len)) {
		refuse(item->text, "is not a path",
			"write where the program is, such as /usr/bin/jq or ./low-stock", err);
		return rule_fail_at(file, item, err);
	}
	for (; item; item = item->next)
		argv[n++] = item->text.ptr;
	*out = argv;
	return LEDGER_OK;
}

static enum ledger_status build_start(const struct builder *b, struct ledger_handler *h)
{
	struct slice start = text_of(b, "start");
	if (!start.ptr)
		return missing(b, "start",
			"where it begins when it runs for the first time: beginning, now or a "
			"position");
	if (slice_is(start, "beginning"))
		h->start = LEDGER_START_BEGINNING;
	else if (slice_is(start, "now"))
		h->start = LEDGER_START_NOW;
	else if (slice_u64(start, &h->start_position))
		h->start = LEDGER_START_POSITION;
	return LEDGER_OK;
}

static enum ledger_status build_handler(const struct builder *b, struct ledger_handler *h)
{
	h->name = b->value->key.ptr;
	h->domain = text_of(b, "domain");
	h->type = text_of(b, "type");
	h->schema = number_of(b, "schema", 0);
	if (!h->domain.ptr)
		return missing(b, "domain", "whose events it takes: domain: inventory");
	if (h->schema && !h->type.ptr)
		return missing(b, "type", "a schema is the version of a type");
	if (slice_is(text_of(b, "mode"), "lines"))
		h->mode = LEDGER_HANDLER_LINES;
	h->rules = &settings.rules;
	h->timeout = number_of(b, "timeout", TIMEOUT_DEFAULT);
	h->retries = number_of(b, "retries", RETRIES_DEFAULT);
	h->park_after = number_of(b, "park_after", 0);
	TRY(build_start(b, h));
	return consumers_exec(b->file, b->value, b->arena, &h->exec, b->err);
}

static enum ledger_status build_handlers(struct builder *b, const struct yaml *map)
{
	struct ledger_handler *handlers = arena_array(b->arena, count(map) + 1, sizeof(*handlers));
	if (!handlers)
		return no_memory(b->err);
	settings.handlers = handlers;
	for (b->value = map ? map->first : NULL; b->value; b->value = b->value->next)
		TRY(build_handler(b, &handlers[settings.n_handlers++]));
	return LEDGER_OK;
}

/* --- Projections ----------------------------------------------------------------------------- */

/* A path of the config as it is from here; *out stays as it is where the key is not given. */
static enum ledger_status build_path(const struct builder *b, const char *key, const char **out)
{
	CLEANUP_BUF struct buf path = { 0 };
	struct slice text = text_of(b, key);
	if (!text.ptr)
		return LEDGER_OK;
	rule_add_path(&path, b->file, text);
	TRY(buf_check(&path, b->err));
	*out = arena_copy(b->arena, buf_slice(&path)).ptr;
	return *out ? LEDGER_OK : no_memory(b->err);
}

static enum ledger_status build_domains(const struct builder *b, struct ledger_projection *p)
{
	const struct yaml *list = yaml_get(b->value, "domains");
	struct slice *domains = arena_array(b->arena, count(list) + 1, sizeof(*domains));
	if (!domains)
		return no_memory(b->err);
	p->domains = domains;
	for (const struct yaml *item = list ? list->first : NULL; item; item = item->next)
		domains[p->n_domains++] = item->text;
	return LEDGER_OK;
}

static enum ledger_status build_apply(const struct builder *b, struct ledger_projection *p)
{
	const struct yaml *map = yaml_get(b->value, "apply");
	struct ledger_apply *apply = arena_array(b->arena, count(map) + 1, sizeof(*apply));
	if (!map || !map->first)
		return missing(
			b, "apply", "what to do for an event: apply: {TYPE: \"insert ...\"}");
	if (!apply)
		return no_memory(b->err);
	p->apply = apply;
	for (const struct yaml *item = map->first; item; item = item->next)
		apply[p->n_apply++] = (struct ledger_apply){ item->key, item->text };
	return LEDGER_OK;
}

/* One rebuild would take away what another has made. */
static enum ledger_status check_own_file(const struct builder *b, const struct ledger_projection *p)
{
	for (size_t i = 0; i < settings.n_projections; i++)
		if (strcmp(settings.projections[i].database, p->database) == 0) {
			fail(b->err, LEDGER_USAGE, "'%s' has that database too",
				settings.projections[i].name);
			hint(b->err, "each projection has a file of its own");
			return rule_fail_at(b->file, b->value, b->err);
		}
	return LEDGER_OK;
}

static enum ledger_status build_projection(
	const struct builder *b, struct ledger_projection *p, const char **schema)
{
	p->name = b->value->key.ptr;
	p->rules = &settings.rules;
	TRY(build_path(b, "database", &p->database));
	TRY(build_path(b, "schema", schema));
	if (!p->database)
		return missing(b, "database", "the file it is made in: database: stock.db");
	TRY(check_own_file(b, p));
	TRY(build_domains(b, p));
	return build_apply(b, p);
}

static enum ledger_status build_projections(struct builder *b, const struct yaml *map)
{
	settings.projections = arena_array(b->arena, count(map) + 1, sizeof(*settings.projections));
	settings.schemas = arena_array(b->arena, count(map) + 1, sizeof(*settings.schemas));
	if (!settings.projections || !settings.schemas)
		return no_memory(b->err);
	for (b->value = map ? map->first : NULL; b->value; b->value = b->value->next) {
		size_t i = settings.n_projections;
		TRY(build_projection(b, &settings.projections[i], &settings.schemas[i]));
		settings.n_projections++;
	}
	return LEDGER_OK;
}

/* A consumer is named without saying of which kind. */
static enum ledger_status check_names(const struct builder *b, const struct yaml *projections)
{
	for (const struct yaml *p = projections ? projections->first : NULL; p; p = p->next)
		for (size_t i = 0; i < settings.n_handlers; i++)
			if (slice_is(p->key, settings.handlers[i].name)) {
				fail(b->err, LEDGER_USAGE, "there is a handler of that name");
				hint(b->err, "ledgerbox replay NAME has to mean one of them");
				return rule_fail_at(b->file, p, b->err);
			}
	return LEDGER_OK;
}

enum ledger_status consumers_build(const struct rule_file *file, const struct yaml *root,
	struct arena *arena, struct ledger_error *err)
{
	struct builder b = { file, NULL, arena, err };
	settings.folder = file->folder[0] ? file->folder : NULL;
	TRY(build_handlers(&b, yaml_get(root, "handlers")));
	TRY(build_projections(&b, yaml_get(root, "projections")));
	return check_names(&b, yaml_get(root, "projections"));
}

static enum ledger_status read_file(const char *path, struct buf *text, struct ledger_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	while (fd >= 0 && n > 0 && text->len <= SCHEMA_MAX) {
		char *at = buf_extend(text, 65536);
		if (!at)
			return buf_check(text, err);
		do
			n = read(fd, at, 65536);
		while (n < 0 && errno == EINTR);
		text->len -= 65536 - (n > 0 ? (size_t)n : 0);
	}
	if (fd < 0 || n < 0) {
		fail_errno(err, "cannot read schema %.200s", path);
		err->status = err->status == LEDGER_IO ? LEDGER_USAGE : err->status;
		return err->status;
	}
	if (text->len > SCHEMA_MAX)
		return fail(err, LEDGER_USAGE, "schema %.200s is larger than 1 MiB", path);
	return LEDGER_OK;
}

enum ledger_status consumers_load(size_t i, struct arena *arena, struct ledger_error *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (settings.schemas[i])
		TRY(read_file(settings.schemas[i], &text, err));
	settings.projections[i].schema = arena_copy(arena, text.len ? buf_slice(&text) : SLICE(""));
	return settings.projections[i].schema.ptr ? LEDGER_OK : no_memory(err);
}

/* --- Their environment ------------------------------------------------------------------------- */

/* One variable of ours that programs get too, as "NAME=value"; NULL where it is not set. */
static const char *inherited(const char *name, struct buf *text)
{
	const char *value = getenv(name);
	buf_reset(text);
	buf_addf(text, "%s=%s", name, value ? value : "");
	return value && !text->failed ? buf_text(text) : NULL;
}

const char *const *consumers_environment(void)
{
	static const char *items[8];
	static struct buf texts[4];
	static const char *const names[] = { "HOME", "TZ", "USER", "LOGNAME" };
	size_t n = 0;
	items[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	items[n++] = "LC_ALL=C.UTF-8";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		items[n] = inherited(names[i], &texts[i]);
		n += items[n] != NULL;
	}
	items[n] = NULL;
	return items;
}

/* --- Who could have written it --------------------------------------------------------------- */

static enum ledger_status refuse_path(
	const char *path, const char *why, const char *advice, struct ledger_error *err)
{
	fail(err, LEDGER_REFUSED, "no program is run: %.200s %s", path, why);
	return hint(err, "%s %.200s", advice, path);
}

static enum ledger_status check_owned(const char *path, bool is_folder, struct ledger_error *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return fail_errno(err, "cannot look at %.200s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse_path(path, "belongs to another user",
			"it has to belong to root or to who runs this, see: ls -ld", err);
	/* In a sticky folder (/tmp) only the owner can put another file in the place of one. */
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(is_folder && (st.st_mode & S_ISVTX)))
		return refuse_path(
			path, "can be written by others", "take that away with: chmod go-w", err);
	return LEDGER_OK;
}

/* A file and the folder it is in: who may write that may exchange the file. */
static enum ledger_status check_with_folder(const char *path, struct ledger_error *err)
{
	CLEANUP_BUF struct buf folder = { 0 };
	const char *slash = strrchr(path, '/');
	TRY(check_owned(path, false, err));
	if (slash)
		buf_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
	else
		buf_add_char(&folder, '.');
	TRY(buf_check(&folder, err));
	return check_owned(buf_text(&folder), true, err);
}

/* Under the name that is used, and where a link leads to. */
static enum ledger_status check_file(const char *path, struct ledger_error *err)
{
	char real[PATH_MAX];
	if (!realpath(path, real))
		return fail_errno(err, "cannot look at %.200s", path);
	TRY(check_with_folder(path, err));
	return check_with_folder(real, err);
}

enum ledger_status consumers_check_safe(const char *exec, struct ledger_error *err)
{
	CLEANUP_BUF struct buf path = { 0 };
	TRY(check_file(settings.config, err));
	if (exec[0] != '/' && settings.folder)
		buf_add_text(&path, settings.folder);
	buf_add_text(&path, strncmp(exec, "./", 2) == 0 && path.len ? exec + 2 : exec);
	TRY(buf_check(&path, err));
	if (access(buf_text(&path), F_OK) != 0) {
		fail_errno(err, "cannot run %.200s", buf_text(&path));
		err->status = LEDGER_USAGE;
		return hint(
			err, "name a program that is there: see exec in %.150s", settings.config);
	}
	return check_file(buf_text(&path), err);
}
