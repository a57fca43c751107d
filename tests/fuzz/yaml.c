/* A config: read, checked by the rules, shown again. A refusal names the place in the file. */
#include "fuzz.h"

#include <stdlib.h>

#include "../../cmd/settings.h"
#include "../../cmd/yaml.h"

static void look(const char *key, const char *value, const char *source, void *context)
{
	CLAIM(key && key[0] && source && source[0]);
	CLAIM(slice_is_utf8(slice_of(key)) && slice_is_utf8(slice_of(value ? value : "")));
	++*(unsigned *)context;
}

/* "FILE:12:3: …" */
static bool names_a_place(const char *text, const char *file)
{
	size_t n = strlen(file);
	return strncmp(text, file, n) == 0 && text[n] == ':' && strspn(text + n + 1, "0123456789");
}

/* A tree's places lie in the file, and no deeper than is allowed. */
static void claim_tree(const struct yaml *value, unsigned depth)
{
	CLAIM(depth <= YAML_DEPTH_MAX && value->line && value->column);
	if (value->kind == YAML_TEXT)
		CLAIM(value->text.ptr && value->text.ptr[value->text.len] == '\0');
	for (const struct yaml *item = value->first; item; item = item->next) {
		CLAIM(value->kind == YAML_LIST || item->key.ptr);
		CLAIM(value->kind == YAML_LIST || yaml_get(value, item->key.ptr) == item);
		claim_tree(item, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP_ARENA struct arena arena = { 0 };
	struct slice text = { (const char *)bytes, size };
	struct ledger_error err = { 0 };
	struct yaml *root = NULL;
	unsigned shown = 0;
	if (size == 0)
		text = SLICE("");
	enum ledger_status parsed = yaml_parse("x", text, &arena, &root, &err);
	fuzz_claim_error(parsed, &err);
	if (parsed == LEDGER_OK && root)
		claim_tree(root, 0);

	flags = (struct settings_flags){ .timeout = SETTINGS_NOT_GIVEN };
	flags.config = fuzz_file(text);
	enum ledger_status status = settings_read(&err);
	fuzz_claim_error(status, &err);
	CLAIM(status == LEDGER_OK || status == LEDGER_USAGE);
	CLAIM(parsed == LEDGER_OK || status == LEDGER_USAGE);
	CLAIM(status == LEDGER_OK || names_a_place(err.text, flags.config));
	if (status == LEDGER_OK) {
		settings_each(look, &shown);
		CLAIM(shown > 5 && settings.database && settings.timeout);
	}
	settings_done();
	return 0;
}
