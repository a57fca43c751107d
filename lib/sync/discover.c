/*
 * Domains that nobody has named here: where the config takes them all, the streams of a cluster are
 * asked for at the start and now and then, since a stream may hold what no peer says that it has.
 *
 *	$JS.API.STREAM.NAMES	{"subject":"<prefix>.events.*.*","offset":0}
 *
 * <prefix>-<domain> is the stream of a domain. A stream with another name needs the config.
 */
#include "engine.h"

#include <stdio.h>

#include "../base/json.h"

#include "../base/banned.h"

#define INTERVAL (30 * TIME_SECOND)
#define RETRY	 (5 * TIME_SECOND)
#define PATIENCE 3 /* failures, after which all that is to do is not held up */

/* Does this cluster take domains that are not named? */
static bool is_wanted(const struct sync *s, const struct cluster *c)
{
	const struct sync_domain *route = route_of(s, SLICE("*"));
	return route && route->subscribe && !route->stream && route_names_cluster(route, c);
}

static void ask(struct sync *s, struct cluster *c)
{
	char subject[SUBJECT_MAX];
	struct ledger_error err;
	uint64_t tag = tag_of(TAG_NAMES, 0, (size_t)(c - s->clusters));
	snprintf(subject, sizeof(subject), "%s.events.*.*", s->prefix);
	c->listing.asked =
		link_stream_names(c->link, subject, c->listing.offset, tag, &err) == LEDGER_OK;
	if (!c->listing.asked)
		c->listing.rest = s->now + RETRY;
}

void discover_step(struct sync *s)
{
	for (size_t i = 0; i < s->n_clusters; i++) {
		struct cluster *c = &s->clusters[i];
		if (!c->ready) {
			c->listing = (struct listing){ .told = c->listing.told };
			continue;
		}
		if (c->listing.asked || !is_wanted(s, c))
			continue;
		if (s->now >= c->listing.rest)
			ask(s, c);
		if (!c->listing.asked)
			sync_wake_at(s, c->listing.rest);
	}
}

/* One that its owner gave another purpose is none of ours: its subject tells, when it is looked up. */
static enum ledger_status meet(struct sync *s, struct slice name, struct ledger_error *err)
{
	size_t n = strlen(s->prefix);
	if (name.len <= n + 1 || !slice_starts(name, slice_of(s->prefix)) || name.ptr[n] != '-')
		return LEDGER_OK;
	struct slice domain = { name.ptr + n + 1, name.len - n - 1 };
	const struct sync_domain *route = route_of(s, domain);
	return route && route->subscribe ? route_meet(s, domain, err) : LEDGER_OK;
}

static enum ledger_status meet_all(
	struct sync *s, struct slice names, uint64_t *n, struct ledger_error *err)
{
	CLEANUP_BUF struct buf name = { 0 };
	struct json_walk walk;
	struct slice key, value;
	json_walk_init(&walk, names);
	for (*n = 0; json_walk_next(&walk, &key, &value); (*n)++) {
		buf_reset(&name);
		if (json_kind(value) != JSON_STRING)
			continue;
		json_decode_string(value, &name);
		TRY(buf_check(&name, err));
		TRY(meet(s, buf_slice(&name), err));
	}
	return LEDGER_OK;
}

enum ledger_status discover_names(
	struct sync *s, const struct link_event *event, struct ledger_error *err)
{
	struct cluster *c = &s->clusters[tag_index(event->tag)];
	uint64_t n = 0;
	if (!c->listing.asked)
		return LEDGER_OK;
	c->listing.asked = false;
	if (event->status != LEDGER_OK) {
		c->listing.failures++;
		c->listing.offset = 0;
		c->listing.rest = s->now + (c->listing.denied ? INTERVAL : RETRY);
		sync_wake_at(s, c->listing.rest);
		return LEDGER_OK;
	}
	c->listing.failures = 0;
	if (event->data.ptr)
		TRY(meet_all(s, event->data, &n, err));
	c->listing.offset += n;
	s->more = true;
	if (n && c->listing.offset < event->number)
		return LEDGER_OK;
	c->listing.offset = 0;
	c->listing.done = true;
	c->listing.rest = s->now + INTERVAL;
	return LEDGER_OK;
}

bool discover_denied(struct sync *s, size_t cluster, struct slice text)
{
	struct cluster *c = &s->clusters[cluster];
	if (!memmem(text.ptr, text.len, "STREAM.NAMES", 12))
		return false;
	c->listing.denied = true;
	if (!c->listing.told)
		WARN(s, "streams-not-listed", WORD("cluster", c->options->name), TEXT("text", text),
			WORD("hint", "permit $JS.API.STREAM.NAMES, or name the domains in the "
				     "config; others are learned from nodes that are up"));
	c->listing.told = true;
	return true;
}

bool discover_is_level(const struct sync *s, struct buf *why)
{
	for (size_t i = 0; i < s->n_clusters; i++) {
		const struct cluster *c = &s->clusters[i];
		if (!c->ready || c->listing.done || c->listing.denied ||
			c->listing.failures >= PATIENCE || !is_wanted(s, c))
			continue;
		buf_addf(why, "the streams of cluster %s have not been listed yet",
			c->options->name);
		return false;
	}
	return true;
}
