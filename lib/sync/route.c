/* Which domains go where: the options, applied to domains as they are met. */
#include "engine.h"

#include <stdio.h>

#include "../base/banned.h"

/* Domains that begin with "_" are reserved: every node has them, and takes them. */
static const struct sync_domain everything = { .name = "*", .propagate = true, .subscribe = true };

const struct sync_domain *route_of(const struct sync *s, struct slice domain)
{
	const struct sync_options *o = s->options;
	bool reserved = slice_starts(domain, SLICE("_"));
	const struct sync_domain *other = reserved || o->n_domains == 0 ? &everything : NULL;
	for (size_t i = 0; i < o->n_domains; i++) {
		if (slice_is(domain, o->domains[i].name))
			return &o->domains[i];
		if (!reserved && slice_is(SLICE("*"), o->domains[i].name))
			other = &o->domains[i];
	}
	return other;
}

bool route_names_cluster(const struct sync_domain *domain, const struct cluster *cluster)
{
	for (size_t i = 0; i < domain->n_clusters; i++)
		if (strcmp(domain->clusters[i], cluster->options->name) == 0)
			return true;
	return domain->n_clusters == 0;
}

bool route_is_shared(const struct sync *s, struct slice origin, struct slice domain)
{
	const struct sync_domain *route = route_of(s, domain);
	bool own = slice_is(origin, s->node);
	return route && (route->propagate || (!own && route->subscribe));
}

static bool has_track(const struct sync *s, size_t cluster, struct slice domain)
{
	for (size_t i = 0; i < s->n_tracks; i++)
		if (s->tracks[i].cluster == cluster && slice_is(domain, s->tracks[i].domain))
			return true;
	return false;
}

static enum ledger_status fill_stream(const struct sync *s, const struct sync_domain *route,
	struct track *t, struct ledger_error *err)
{
	int n = route->stream
			? snprintf(t->stream.name, sizeof(t->stream.name), "%s", route->stream)
			: snprintf(t->stream.name, sizeof(t->stream.name), "%s-%s", s->prefix,
				  t->domain);
	if (n < 0 || (size_t)n >= sizeof(t->stream.name)) {
		fail(err, LEDGER_USAGE, "the stream of domain %s has a name that is too long",
			t->domain);
		return hint(
			err, "give it one of 64 characters at most: domains.%s.stream", t->domain);
	}
	snprintf(t->stream.subject, sizeof(t->stream.subject), "%s.events.%s.*", s->prefix,
		t->domain);
	t->stream.replicas = route->replicas ? route->replicas : 1;
	t->stream.max_age = route->max_age;
	t->stream.max_bytes = route->max_bytes;
	t->stream.window = 120 * TIME_SECOND;
	t->stream.file = t->stream.guarded = true;
	return LEDGER_OK;
}

static enum ledger_status add_track(struct sync *s, const struct sync_domain *route, size_t cluster,
	struct slice domain, struct ledger_error *err)
{
	if (s->n_tracks == TRACKS_MAX) {
		report_beyond(s, CEILING_DOMAINS, "the others get those by repair only");
		return LEDGER_OK;
	}
	struct track *t = &s->tracks[s->n_tracks];
	*t = (struct track){
		.cluster = cluster,
		.propagate = route->propagate,
		.subscribe = route->subscribe,
		.dual = route->dual,
		.named = strcmp(route->name, "*") != 0 || slice_starts(domain, SLICE("_")),
	};
	memcpy(t->domain, domain.ptr, domain.len);
	TRY(fill_stream(s, route, t, err));
	s->n_tracks++;
	if (s->clusters[cluster].ready)
		t->state = TRACK_STREAM;
	return LEDGER_OK;
}

enum ledger_status route_meet(struct sync *s, struct slice domain, struct ledger_error *err)
{
	const struct sync_domain *route = route_of(s, domain);
	if (!route || !(route->propagate || route->subscribe) || !slice_is_token(domain))
		return LEDGER_OK;
	for (size_t i = 0; i < s->n_clusters; i++)
		if (route_names_cluster(route, &s->clusters[i]) && !has_track(s, i, domain))
			TRY(add_track(s, route, i, domain, err));
	return LEDGER_OK;
}

enum ledger_status route_start(struct sync *s, struct ledger_error *err)
{
	TRY(route_meet(s, SLICE("_ledger"), err));
	TRY(route_meet(s, SLICE("_ownership"), err));
	for (size_t i = 0; i < s->options->n_domains; i++)
		TRY(route_meet(s, slice_of(s->options->domains[i].name), err));
	return LEDGER_OK;
}
