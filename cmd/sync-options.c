#include "sync-options.h"

#include "settings.h"

#include "../lib/base/banned.h"

static enum ledger_status no_memory(struct ledger_error *err)
{
	return fail(err, LEDGER_NO_MEMORY, "out of memory");
}

static enum ledger_status read_clusters(
	struct sync_options *out, struct arena *arena, struct ledger_error *err)
{
	struct sync_cluster *clusters =
		arena_array(arena, settings.n_clusters + 1, sizeof(*clusters));
	if (!clusters)
		return no_memory(err);
	out->clusters = clusters;
	for (size_t i = 0; i < settings.n_clusters; i++) {
		const struct cluster_settings *c = &settings.clusters[i];
		if (c->n_urls == 0)
			return fail(err, LEDGER_USAGE, "cluster %s has no urls", c->name);
		clusters[out->n_clusters++] = (struct sync_cluster){
			.name = c->name,
			.urls = c->urls,
			.n_urls = c->n_urls,
			.priority = c->priority,
			.credentials = c->credentials,
			.nkey = c->nkey,
			.user = c->user,
			.password_file = c->password_file,
			.token_file = c->token_file,
			.tls_ca = c->tls_ca,
			.tls_cert = c->tls_cert,
			.tls_key = c->tls_key,
			.tls_hostname = c->tls_hostname,
		};
	}
	if (out->n_clusters)
		return LEDGER_OK;
	fail(err, LEDGER_USAGE, "no cluster is configured");
	return hint(err, "name one under clusters: in the config, or set NATS_PRIMARY_URL");
}

static enum ledger_status read_domains(
	struct sync_options *out, struct arena *arena, struct ledger_error *err)
{
	struct sync_domain *domains = arena_array(arena, settings.n_domains + 1, sizeof(*domains));
	if (!domains)
		return no_memory(err);
	out->domains = domains;
	for (size_t i = 0; i < settings.n_domains; i++) {
		const struct domain_settings *d = &settings.domains[i];
		domains[out->n_domains++] = (struct sync_domain){
			.name = d->name,
			.stream = d->stream,
			.propagate = d->propagate,
			.subscribe = d->subscribe,
			.dual = d->dual,
			.clusters = d->clusters,
			.n_clusters = d->n_clusters,
			.replicas = d->replicas,
			.max_age = d->max_age,
			.max_bytes = d->max_bytes,
		};
	}
	return LEDGER_OK;
}

enum ledger_status sync_options_read(
	struct sync_options *out, struct arena *arena, struct ledger_error *err)
{
	out->prefix = settings.sync_prefix;
	out->create_streams = settings.sync_create_streams != 0;
	TRY(read_clusters(out, arena, err));
	return read_domains(out, arena, err);
}
