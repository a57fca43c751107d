/* What is wrong, in words for somebody who was woken up by it, and what to type next. */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "settings.h"

#include "../lib/base/banned.h"

#define SILENT	    (120 * TIME_SECOND)
#define A_DAY	    (86400 * TIME_SECOND)
#define LARGE_NAMED 3

struct findings {
	const struct facts *facts;
	finding_fn *fn;
	void *context;
	size_t large; /* named so far */
	struct buf text;
};

static void done(struct findings *f)
{
	buf_done(&f->text);
}

/* f->text and what to do; the text is used up. */
static enum ledger_status found(
	struct findings *f, const char *what, const char *next, struct ledger_error *err)
{
	TRY(buf_check(&f->text, err));
	struct finding finding = { what, buf_text(&f->text), next };
	TRY(f->fn(&finding, f->context, err));
	buf_reset(&f->text);
	return LEDGER_OK;
}

static enum ledger_status find_in_ledger(struct findings *f, struct ledger_error *err)
{
	const struct facts *facts = f->facts;
	const struct ledger_trouble *t = &facts->trouble;
	if (facts->o.home != LEDGER_OK) {
		buf_addf(&f->text, "nothing can be recorded: %s", facts->o.home_text);
		TRY(found(f, "home", "ledgerbox recover --dry-run, then ledgerbox recover", err));
	}
	if (facts->verified && !facts->last.ok) {
		buf_addf(&f->text, "the last verify found damage after position %" PRIu64,
			facts->last.position);
		TRY(found(f, "damage", "ledgerbox verify", err));
	}
	if (t->forks) {
		buf_addf(&f->text, "%" PRIu64 " OPEN; these chains take nothing more until settled",
			t->forks);
		TRY(found(f, "forks", "ledgerbox fork list", err));
	}
	if (t->quarantined || t->dropped) {
		buf_addf(&f->text,
			"%" PRIu64 " open, %" PRIu64 " of them wait for a key or a newer version, "
			"%" PRIu64 " more only counted",
			t->quarantined, t->waiting, t->dropped);
		TRY(found(f, "quarantine", "ledgerbox quarantine list", err));
	}
	return LEDGER_OK;
}

static enum ledger_status find_consumer(
	const struct consumer_state *c, void *context, struct ledger_error *err)
{
	struct findings *f = context;
	char next[160];
	bool stopped = strcmp(c->state, "stopped") == 0, refused = strcmp(c->state, "refused") == 0;
	if (stopped || refused) {
		buf_addf(&f->text, "%s %s %s after position %" PRIu64 ": %s", c->kind, c->name,
			stopped ? "stopped" : "is refused", c->position, c->reason);
		snprintf(next, sizeof(next), "ledgerbox replay %s%s", c->name,
			refused && strcmp(c->kind, "projection") == 0 ? " --rebuild" : "");
		TRY(found(f, "consumer", next, err));
	}
	if (c->parked) {
		buf_addf(&f->text, "%" PRIu64 " events of %s %s are parked", c->parked, c->kind,
			c->name);
		snprintf(next, sizeof(next), "ledgerbox replay parked list %s", c->name);
		TRY(found(f, "parked", next, err));
	}
	return LEDGER_OK;
}

/* --- Owners and commands --------------------------------------------------------------------- */

static enum ledger_status find_owners(struct findings *f, struct ledger_error *err)
{
	const struct owner_facts *o = &f->facts->owners;
	if (o->counts.contested) {
		buf_addf(&f->text,
			"%" PRIu64 " claimed by several nodes; of each the first owns it: %s%s",
			o->counts.contested, o->contested, o->counts.contested > 3 ? " …" : "");
		TRY(found(f, "contested", "ledgerbox own conflicts", err));
	}
	if (o->counts.moving) {
		buf_addf(&f->text, "%s: nobody writes to it", o->moving);
		if (o->counts.moving > 1)
			buf_addf(&f->text, "; and %" PRIu64 " more: ledgerbox own list",
				o->counts.moving - 1);
		TRY(found(f, "offered", o->next, err));
	}
	return LEDGER_OK;
}

/* What is long over is counted, but wakes nobody. */
static enum ledger_status find_commands(struct findings *f, struct ledger_error *err)
{
	const struct command_facts *c = &f->facts->commands;
	uint64_t age = facts_age(f->facts, c->last);
	if (!c->failed || age >= A_DAY)
		return LEDGER_OK;
	buf_addf(&f->text, "%s, the last one ", c->what);
	add_age(&f->text, age);
	buf_add_text(&f->text, " ago");
	return found(f, "commands_failed",
		"journalctl -u ledgerbox-serve-sync -g command- names each with its id", err);
}

/* --- Others ---------------------------------------------------------------------------------- */

static enum ledger_status find_daemon(struct findings *f, struct ledger_error *err)
{
	const struct sync_facts *s = &f->facts->sync;
	if (s->daemon == DAEMON_STOPPED && !s->once) {
		buf_addf(&f->text, "serve-sync does not run");
		if (s->written) {
			buf_add_text(&f->text, ", it was last seen ");
			add_age(&f->text, facts_age(f->facts, s->written));
			buf_add_text(&f->text, " ago");
		}
		buf_addf(&f->text,
			"; %" PRIu64 " events wait to be published, %" PRIu64 " are missing here",
			s->unpublished, s->missing);
		return found(f, "daemon",
			"systemctl start ledgerbox-serve-sync (or: ledgerbox serve-sync)", err);
	}
	if (s->daemon == DAEMON_RUNNING && s->left.ptr && s->stale) {
		buf_add_text(&f->text, "serve-sync runs but has left no word for ");
		add_age(&f->text, facts_age(f->facts, s->written));
		return found(f, "daemon", "journalctl -u ledgerbox-serve-sync -e", err);
	}
	return LEDGER_OK;
}

static enum ledger_status find_cluster(
	const struct cluster_state *c, void *context, struct ledger_error *err)
{
	struct findings *f = context;
	if (c->up)
		return LEDGER_OK;
	buf_addf(&f->text, "%s cannot be reached", c->name);
	if (c->since) {
		buf_add_text(&f->text, ", for ");
		add_age(&f->text, facts_age(f->facts, c->since));
	}
	buf_addf(&f->text, ": %s", c->trouble[0] ? c->trouble : "no answer yet");
	return found(f, "cluster", "see to its servers; serve-sync goes on trying by itself", err);
}

static enum ledger_status find_stream(
	const struct stream_state *s, void *context, struct ledger_error *err)
{
	struct findings *f = context;
	if (!s->trouble[0] || strcmp(s->state, "unreachable") == 0)
		return LEDGER_OK;
	buf_addf(&f->text, "%s of cluster %s: %s", s->stream, s->cluster, s->trouble);
	const char *todo = "man ledgerbox-protocol says what it has to be";
	if (strcmp(s->trouble, "missing") == 0)
		todo = "make it, or set sync.create_streams: true in the config";
	else if (strncmp(s->trouble, "delivers nothing", 16) == 0)
		todo = "see to the store of its servers; other nodes are asked meanwhile";
	return found(f, "stream", todo, err);
}

static enum ledger_status find_silent(
	const struct ledger_peer *peer, void *context, struct ledger_error *err)
{
	struct findings *f = context;
	uint64_t age = facts_age(f->facts, peer->time);
	if (age < SILENT)
		return LEDGER_OK;
	buf_addf(&f->text, "%.*s was not heard for ", SLICE_ARG(peer->node));
	add_age(&f->text, age);
	return found(f, "peer", "on that node: ledgerbox status", err);
}

static enum ledger_status name_large(
	const struct large_event *e, void *context, struct ledger_error *err)
{
	struct findings *f = context;
	(void)err;
	if (f->large++ < LARGE_NAMED)
		buf_addf(&f->text, "%s%s/%" PRIu64 " (%" PRIu64 " bytes, cluster %s)",
			f->large > 1 ? ", " : ": ", e->domain, e->sequence, e->bytes, e->cluster);
	return LEDGER_OK;
}

static enum ledger_status find_limits(struct findings *f, struct ledger_error *err)
{
	const struct sync_facts *s = &f->facts->sync;
	if (s->too_large) {
		buf_addf(&f->text,
			"%" PRIu64 " events are larger than a server takes, others get them by "
			"repair",
			s->too_large);
		TRY(status_each_large(f->facts, name_large, f, err));
		TRY(found(f, "too_large", "raise max_payload in the server's config", err));
	}
	if (s->too_many[0]) {
		buf_addf(&f->text, "serve-sync has more than it can hold: %s", s->too_many);
		TRY(found(f, "too_many", "man ledgerbox-serve-sync, LIMITS", err));
	}
	return LEDGER_OK;
}

enum ledger_status status_each_finding(struct ledger *l, const struct facts *facts, finding_fn *fn,
	void *context, struct ledger_error *err)
{
	__attribute__((cleanup(
		done))) struct findings f = { .facts = facts, .fn = fn, .context = context };
	TRY(find_in_ledger(&f, err));
	TRY(find_owners(&f, err));
	TRY(find_commands(&f, err));
	TRY(status_each_consumer(l, facts, find_consumer, &f, err));
	if (!facts->sync.expected)
		return LEDGER_OK;
	TRY(find_daemon(&f, err));
	if (sync_is_current(facts)) {
		TRY(status_each_cluster(facts, find_cluster, &f, err));
		TRY(status_each_stream(facts, find_stream, &f, err));
	}
	if (facts->sync.daemon == DAEMON_RUNNING)
		TRY(ledger_peers(l, find_silent, &f, err));
	return find_limits(&f, err);
}
