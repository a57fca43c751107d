/* How far publishing is: kept in the ledger once a second, said in the log, and asked by --once. */
#include "engine.h"

#include <inttypes.h>

#include "../base/banned.h"

/* --- The cursor in the ledger ---------------------------------------------------------------------- */

/* A stream that is only published to: where it stood, to find later that it has lost something. */
static enum ledger_status save_places(struct sync *s, struct ledger_error *err)
{
	for (size_t i = 0; i < s->n_tracks; i++) {
		struct track *t = &s->tracks[i];
		struct ledger_stream_place place = { slice_of(
							     s->clusters[t->cluster].options->name),
			slice_of(t->domain), t->made, t->stored };
		struct ledger_accepted none;
		if (t->subscribe || t->stored <= t->committed)
			continue;
		s->saved_at = s->now;
		TRY(ledger_accept(s->ledger, NULL, 0, &place, 1, &none, err));
		t->committed = t->stored;
	}
	return LEDGER_OK;
}

/* What went to one cluster since the last time. */
struct told {
	uint64_t chains, events;
	const struct source *last;
};

/* The sources of a chain stand together, the best cluster's first. */
uint64_t publish_left(const struct sync *s)
{
	uint64_t left = 0;
	for (size_t i = 0; i < s->n_sources; i++) {
		const struct source *source = &s->sources[i];
		if (source->head > source->acked &&
			(i == 0 || !publish_same_chain(s, source, &s->sources[i - 1])))
			left += source->head - source->acked;
	}
	return left;
}

/* A line for each cluster, not for each chain. */
static void tell(struct sync *s, const struct told *told)
{
	uint64_t left = publish_left(s);
	for (size_t i = 0; i < s->n_clusters; i++) {
		const struct told *t = &told[i];
		uint64_t rate = report_rate(t->events, s->now - s->publishing);
		struct sync_field fields[9] = { WORD("cluster", s->clusters[i].options->name) };
		size_t n = 1;
		if (t->chains == 0)
			continue;
		if (t->chains == 1)
			fields[n++] = WORD("domain", s->tracks[t->last->track].domain);
		fields[n++] = t->chains == 1 ? NUMBER("sequence", t->last->acked)
					     : NUMBER("chains", t->chains);
		fields[n++] = NUMBER("events", t->events);
		if (left) {
			fields[n++] = NUMBER("done", s->published);
			fields[n++] = NUMBER("of", s->published + left);
		}
		if (left && rate) {
			fields[n++] = NUMBER("rate", rate);
			fields[n++] = NUMBER("rest_s", left / rate);
		}
		sync_say(s, false, "published", fields);
	}
	s->publishing = s->now;
}

enum ledger_status publish_save(struct sync *s, struct ledger_error *err)
{
	struct told told[CLUSTERS_MAX] = { { 0 } };
	enum ledger_status places = save_places(s, err);
	if (places)
		return places == LEDGER_BUSY ? LEDGER_OK : places;
	for (size_t i = 0; i < s->n_sources; i++) {
		struct source *source = &s->sources[i];
		struct ledger_published p = {
			.cluster = slice_of(publish_cluster(s, source)->options->name),
			.chain = { slice_of(s->node), source->epoch,
				slice_of(s->tracks[source->track].domain) },
			.sequence = source->acked,
		};
		if (source->saved == source->acked)
			continue;
		s->saved_at = s->now;
		enum ledger_status status = ledger_published_set(s->ledger, &p, 1, err);
		if (status == LEDGER_BUSY)
			return LEDGER_OK;
		TRY(status);
		struct told *t = &told[s->tracks[source->track].cluster];
		source->saved = source->acked;
		/* Not what another cluster has taken in its place. */
		if (source->told == 0)
			continue;
		t->chains++;
		t->events += source->told;
		t->last = source;
		source->told = 0;
	}
	s->unsaved = false;
	tell(s, told);
	return LEDGER_OK;
}

bool publish_is_level(const struct sync *s, struct buf *why)
{
	if (s->changed)
		buf_add_text(why, "new events were not looked at yet");
	for (size_t i = 0; i < s->n_sources && !s->changed; i++) {
		const struct source *source = &s->sources[i];
		uint64_t acked = 0;
		for (size_t j = 0; j < s->n_sources && acked < source->head; j++)
			if (s->sources[j].acked > acked &&
				publish_same_chain(s, source, &s->sources[j]))
				acked = s->sources[j].acked;
		if (acked >= source->head)
			continue;
		buf_addf(why, "%" PRIu64 " events of domain %s are not published",
			source->head - acked, s->tracks[source->track].domain);
		return false;
	}
	return !s->changed;
}
