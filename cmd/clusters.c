#include "clusters.h"

#include "form.h"

#include "../lib/base/banned.h"

static struct cluster {
	const char *variable;
	const char *source;
	const char *name;
	const char *key;
	const char *urls; /* NULL: not set */
} clusters[] = {
	{ "NATS_PRIMARY_URL", "environment NATS_PRIMARY_URL", "primary", "clusters.primary.urls",
		NULL },
	{ "NATS_SECONDARY_URL", "environment NATS_SECONDARY_URL", "secondary",
		"clusters.secondary.urls", NULL },
};
#define N_CLUSTERS (sizeof(clusters) / sizeof(clusters[0]))

/* The next of several addresses with commas between; false at the end. */
static bool next_url(struct slice *rest, struct slice *url)
{
	struct slice all = *rest;
	if (!all.ptr)
		return false;
	if (!slice_cut(all, ',', url, rest)) {
		*url = all;
		*rest = (struct slice){ NULL, 0 };
	}
	return true;
}

enum ledger_status clusters_read(
	const char *(*variable)(const char *name), struct ledger_error *err)
{
	for (size_t i = 0; i < N_CLUSTERS; i++) {
		clusters[i].urls = variable(clusters[i].variable);
		struct slice url, rest = slice_of(clusters[i].urls);
		while (next_url(&rest, &url))
			if (form_url(url, NULL, NULL, err) != LEDGER_OK)
				return fail_in(err, "%s: ", clusters[i].variable);
	}
	return LEDGER_OK;
}

bool clusters_has(struct slice name)
{
	for (size_t i = 0; i < N_CLUSTERS; i++)
		if (clusters[i].urls && slice_is(name, clusters[i].name))
			return true;
	return false;
}

bool clusters_set(const char *key)
{
	for (size_t i = 0; i < N_CLUSTERS; i++)
		if (clusters[i].urls && strcmp(key, clusters[i].key) == 0)
			return true;
	return false;
}

static void add_urls(struct buf *out, struct slice rest)
{
	struct slice url;
	buf_add_char(out, '[');
	for (bool first = true; next_url(&rest, &url); first = false) {
		buf_add_text(out, first ? "" : ", ");
		form_add_hidden(out, url);
	}
	buf_add_char(out, ']');
}

void clusters_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context)
{
	for (size_t i = 0; i < N_CLUSTERS; i++) {
		if (!clusters[i].urls)
			continue;
		CLEANUP_BUF struct buf text = { 0 };
		add_urls(&text, slice_of(clusters[i].urls));
		fn(clusters[i].key, buf_text(&text), clusters[i].source, context);
	}
}
