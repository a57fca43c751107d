/*
 * status --check: one line in the way of monitoring plugins, "LEDGERBOX STATE - why | figures", with
 * the exit code 0 ok, 1 warning, 2 critical, 3 unknown. Figures are perfdata as
 * https://www.monitoring-plugins.org/doc/guidelines.html has them: name=value[unit];warn;crit.
 */
#include "status.h"

#include <inttypes.h>

#include "output.h"
#include "../lib/base/banned.h"

enum unit { UNIT_SECONDS, UNIT_BYTES, UNIT_EVENTS };

struct measure {
	const char *name;
	enum unit unit;
	bool below; /* the alarm is below the limit, not above it */
	/* False: there is no value. */
	bool (*value)(const struct facts *facts, uint64_t *out);
	bool must_be;	     /* and having none is an alarm too … */
	const char *unknown; /* … of these words; NULL: serve-sync has not said it */
	struct opt_u64 warn;
	struct opt_u64 crit;
};

/* --- What is measured ------------------------------------------------------------------------ */

static bool verify_age(const struct facts *facts, uint64_t *out)
{
	*out = facts_age(facts, facts->last.finished) / TIME_SECOND;
	return facts->verified;
}

static bool last_event_age(const struct facts *facts, uint64_t *out)
{
	*out = facts_age(facts, facts->newest) / TIME_SECOND;
	return facts->newest > 0;
}

static bool file_bytes(const struct facts *facts, uint64_t *out)
{
	*out = facts->o.file_bytes;
	return true;
}

static bool wal_bytes(const struct facts *facts, uint64_t *out)
{
	*out = facts->o.wal_bytes;
	return true;
}

static bool free_bytes(const struct facts *facts, uint64_t *out)
{
	*out = facts->o.free_bytes;
	return true;
}

static bool cursor_lag(const struct facts *facts, uint64_t *out)
{
	*out = facts->lag;
	return facts->has_cursor;
}

static bool forks(const struct facts *facts, uint64_t *out)
{
	*out = facts->trouble.forks;
	return true;
}

static bool quarantined(const struct facts *facts, uint64_t *out)
{
	*out = facts->trouble.quarantined;
	return true;
}

static bool consumer_lag(const struct facts *facts, uint64_t *out)
{
	*out = facts->consumers.behind;
	return facts->consumers.n > 0;
}

static bool consumers_stopped(const struct facts *facts, uint64_t *out)
{
	*out = facts->consumers.stopped;
	return facts->consumers.n > 0;
}

static bool parked(const struct facts *facts, uint64_t *out)
{
	*out = facts->consumers.parked;
	return facts->consumers.n > 0;
}

static bool unpublished(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.unpublished;
	return facts->sync.expected;
}

static bool missing(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.missing;
	return facts->sync.expected || facts->sync.peers;
}

static bool gaps(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.gaps;
	return facts->sync.expected || facts->sync.peers;
}

static bool peer_age(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.peer_age / TIME_SECOND;
	return facts->sync.peers > 0;
}

static bool peers_heard(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.peers_heard;
	return facts->sync.expected || facts->sync.peers;
}

static bool daemon_down(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.daemon == DAEMON_STOPPED;
	return facts->sync.expected && facts->sync.daemon != DAEMON_UNKNOWN;
}

static bool daemon_age(const struct facts *facts, uint64_t *out)
{
	*out = facts_age(facts, facts->sync.written) / TIME_SECOND;
	return facts->sync.written > 0;
}

static bool clusters_down(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.clusters_down;
	return sync_is_current(facts);
}

static bool streams_unusable(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.streams_unusable;
	return sync_is_current(facts);
}

static bool too_large(const struct facts *facts, uint64_t *out)
{
	*out = facts->sync.too_large;
	return facts->sync.left.ptr != NULL;
}

static bool contested(const struct facts *facts, uint64_t *out)
{
	*out = facts->owners.counts.contested;
	return true;
}

static bool offered(const struct facts *facts, uint64_t *out)
{
	*out = facts->owners.counts.moving;
	return true;
}

static bool commands_failed(const struct facts *facts, uint64_t *out)
{
	*out = facts->commands.failed;
	return true;
}

static struct measure measures[] = {
	{ "verify_age", UNIT_SECONDS, .value = verify_age, .must_be = true,
		.unknown = "never verified" },
	{ "last_event_age", UNIT_SECONDS, .value = last_event_age, .must_be = true,
		.unknown = "no event" },
	{ "file_bytes", UNIT_BYTES, .value = file_bytes },
	{ "wal_bytes", UNIT_BYTES, .value = wal_bytes },
	{ "free_bytes", UNIT_BYTES, .below = true, .value = free_bytes },
	{ "cursor_lag", UNIT_EVENTS, .value = cursor_lag },
	{ "forks", UNIT_EVENTS, .value = forks },
	{ "quarantined", UNIT_EVENTS, .value = quarantined },
	{ "contested", UNIT_EVENTS, .value = contested },
	{ "offered", UNIT_EVENTS, .value = offered },
	{ "commands_failed", UNIT_EVENTS, .value = commands_failed },
	{ "consumer_lag", UNIT_EVENTS, .value = consumer_lag },
	{ "consumers_stopped", UNIT_EVENTS, .value = consumers_stopped },
	{ "parked", UNIT_EVENTS, .value = parked },
	{ "unpublished", UNIT_EVENTS, .value = unpublished },
	{ "missing", UNIT_EVENTS, .value = missing },
	{ "gaps", UNIT_EVENTS, .value = gaps },
	{ "peer_age", UNIT_SECONDS, .value = peer_age, .must_be = true },
	{ "peers_heard", UNIT_EVENTS, .below = true, .value = peers_heard, .must_be = true },
	{ "daemon_down", UNIT_EVENTS, .value = daemon_down, .must_be = true },
	{ "daemon_age", UNIT_SECONDS, .value = daemon_age, .must_be = true },
	{ "clusters_down", UNIT_EVENTS, .value = clusters_down, .must_be = true },
	{ "streams_unusable", UNIT_EVENTS, .value = streams_unusable, .must_be = true },
	{ "too_large", UNIT_EVENTS, .value = too_large },
};

#define N_MEASURES (sizeof(measures) / sizeof(measures[0]))

/* --- Limits ---------------------------------------------------------------------------------- */

/* "1MiB", "2GiB" or plain bytes. */
static bool parse_bytes(struct slice text, uint64_t *out)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct slice number = { text.ptr, text.len < 3 ? 0 : text.len - 3 };
		if (number.len && slice_is(slice_from(text, number.len), units[i]))
			return slice_u64(number, out) &&
			       !__builtin_mul_overflow(*out, UINT64_C(1) << (10 * (i + 1)), out);
	}
	return slice_u64(text, out);
}

static bool parse_seconds(struct slice text, uint64_t *out)
{
	struct ledger_error ignored;
	if (slice_u64(text, out))
		return true;
	if (time_parse_duration(text, out, &ignored) != LEDGER_OK)
		return false;
	*out /= TIME_SECOND;
	return true;
}

static bool parse_limit(enum unit unit, struct slice text, uint64_t *out)
{
	switch (unit) {
	case UNIT_SECONDS:
		return parse_seconds(text, out);
	case UNIT_BYTES:
		return parse_bytes(text, out);
	default:
		return slice_u64(text, out);
	}
}

static enum ledger_status bad_limit(
	const char *option, const char *text, const char *what, struct ledger_error *err)
{
	fail(err, LEDGER_USAGE, "%s %.80s: %s", option, text, what);
	return hint(err, "ages are seconds, or 2d; bytes are bytes, or 1GiB; the rest are numbers. "
			 "The names: "
			 "man ledgerbox-status, CHECK");
}

static enum ledger_status set_limit(const char *option, const char *text, struct ledger_error *err)
{
	struct slice name, value;
	if (!slice_cut(slice_of(text), '=', &name, &value))
		return bad_limit(option, text, "not NAME=VALUE", err);
	for (struct measure *m = measures; m < measures + N_MEASURES; m++) {
		if (!slice_is(name, m->name))
			continue;
		struct opt_u64 *limit = option[2] == 'w' ? &m->warn : &m->crit;
		if (limit->given)
			return bad_limit(option, text, "given twice", err);
		if (!parse_limit(m->unit, value, &limit->value))
			return bad_limit(option, text, "not a value of that kind", err);
		limit->given = true;
		return LEDGER_OK;
	}
	if (slice_is(name, "home"))
		return bad_limit(option, text, "home is always critical and has no limit", err);
	return bad_limit(option, text, "nothing of that name is measured", err);
}

enum ledger_status check_limits(
	const struct opt_list *warn, const struct opt_list *crit, struct ledger_error *err)
{
	for (size_t i = 0; i < warn->n; i++)
		TRY(set_limit("--warn", warn->items[i], err));
	for (size_t i = 0; i < crit->n; i++)
		TRY(set_limit("--crit", crit->items[i], err));
	return LEDGER_OK;
}

/* --- Judging --------------------------------------------------------------------------------- */

struct verdict {
	enum check_result result;
	struct buf why;
	struct buf figures;
};

static void done(struct verdict *v)
{
	buf_done(&v->why);
	buf_done(&v->figures);
}

static struct buf *raise_to(struct verdict *v, enum check_result result)
{
	if (result > v->result)
		v->result = result;
	if (v->why.len)
		buf_add_text(&v->why, ", ");
	return &v->why;
}

static bool is_over(
	const struct measure *m, const struct opt_u64 *limit, bool known, uint64_t value)
{
	if (!limit->given)
		return false;
	if (!known)
		return m->must_be;
	return m->below ? value < limit->value : value >= limit->value;
}

static void add_value(struct buf *out, enum unit unit, uint64_t value)
{
	static const char *const letters[] = { "s", "B", "" };
	buf_addf(out, "%" PRIu64 "%s", value, letters[unit]);
}

/* A limit as a range: "10" alarms above 10, so one less is written; "10:" below 10. */
static void add_limit(struct buf *out, const struct measure *m, const struct opt_u64 *limit)
{
	buf_add_char(out, ';');
	if (!limit->given)
		return;
	if (m->below)
		buf_addf(out, "%" PRIu64 ":", limit->value);
	else
		buf_addf(out, "%" PRIu64, limit->value - (limit->value > 0));
}

static void judge_measure(struct verdict *v, const struct measure *m, const struct facts *facts)
{
	uint64_t value = 0;
	bool known = m->value(facts, &value);
	bool critical = is_over(m, &m->crit, known, value);
	if (critical || is_over(m, &m->warn, known, value)) {
		struct buf *why = raise_to(v, critical ? CHECK_CRITICAL : CHECK_WARNING);
		buf_addf(why, "%s ", m->name);
		if (known)
			add_value(why, m->unit, value);
		else
			buf_addf(why, "unknown: %s",
				m->unknown ? m->unknown : "no word of serve-sync or of others");
	}
	if (!known)
		return;
	buf_addf(&v->figures, " %s=", m->name);
	add_value(&v->figures, m->unit, value);
	add_limit(&v->figures, m, &m->warn);
	add_limit(&v->figures, m, &m->crit);
}

static void judge(struct verdict *v, const struct facts *facts)
{
	if (facts->o.home != LEDGER_OK)
		buf_addf(raise_to(v, CHECK_CRITICAL), "home: %s", facts->o.home_text);
	if (facts->verified && !facts->last.ok)
		buf_add_text(raise_to(v, CHECK_CRITICAL), "the last verify found damage");
	buf_addf(&v->figures, "events=%" PRIu64 " chains=%" PRIu64, facts->o.events,
		facts->o.chains);
	for (size_t i = 0; i < N_MEASURES; i++)
		judge_measure(v, &measures[i], facts);
}

/* What stands before the figures holds no "|", which would begin them, and is one line. */
static void print_line(const char *state, const char *why, const char *figures)
{
	CLEANUP_BUF struct buf line = { 0 };
	buf_addf(&line, "LEDGERBOX %s - ", state);
	escape_slice(&line, slice_of(why), false);
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '|')
			line.ptr[i] = '/';
	if (figures[0])
		buf_addf(&line, " | %s", figures);
	buf_add_char(&line, '\n');
	out_slice(buf_slice(&line));
}

enum check_result check_print(const struct facts *facts)
{
	static const char *const states[] = { "OK", "WARNING", "CRITICAL" };
	__attribute__((cleanup(done))) struct verdict v = { .result = CHECK_OK };
	judge(&v, facts);
	if (v.result == CHECK_OK)
		buf_addf(&v.why, "%" PRIu64 " event%s in %" PRIu64 " chain%s", facts->o.events,
			facts->o.events == 1 ? "" : "s", facts->o.chains,
			facts->o.chains == 1 ? "" : "s");
	print_line(states[v.result], buf_text(&v.why), buf_text(&v.figures));
	return v.result;
}

void check_print_unknown(const struct ledger_error *err)
{
	print_line("UNKNOWN", err->text, "");
}
