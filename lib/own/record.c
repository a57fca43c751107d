/*
 * What handlers have answered goes into the ledger: many commands in one transaction, each all or nothing.
 * Where one cannot be recorded, the others are recorded without it, and that it was refused is.
 */
#include "command.h"

#include <inttypes.h>

#include "../store/command.h"

#include "../base/banned.h"

#define FORGET_INTERVAL (10 * TIME_SECOND)
#define COUNT_INTERVAL	TIME_SECOND

struct group {
	struct job *jobs[GROUP_MAX];
	size_t n;
	size_t failed; /* which one could not be recorded; n: none of them */
};

static const char *const count_names[COUNTS] = { "executed", "repeated", "failed", "refused",
	"expired", "timed-out" };

/* --- One command ----------------------------------------------------------------------------- */

static void add_place(struct buf *out, const struct ledger_answer *a)
{
	char id[UUID_TEXT_MAX];
	uuid_format(a->id, id);
	buf_addf(out,
		"%s{\"position\":%" PRIu64 ",\"sequence\":%" PRIu64 ",\"version\":%" PRIu64
		",\"id\":\"%s\",\"hash\":\"",
		out->len > 1 ? "," : "", a->position, a->sequence, a->version, id);
	buf_add_hex(out, a->hash, EVENT_HASH_SIZE);
	buf_add_text(out, "\"}");
}

static enum ledger_status add_events(
	struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	const struct ledger_condition *condition = &job->condition;
	buf_reset(&job->recorded);
	buf_add_char(&job->recorded, '[');
	for (size_t i = 0; i < job->n_events; i++) {
		struct ledger_answer answer;
		TRY(ledger_add(c->ledger, &job->events[i], i ? NULL : condition, &answer, err));
		add_place(&job->recorded, &answer);
	}
	buf_add_char(&job->recorded, ']');
	return buf_check(&job->recorded, err);
}

/* Another process may have executed it since it was looked up. */
static enum ledger_status check_known(
	struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	struct command_known known;
	TRY(command_lookup(c->ledger, &job->command, &known, &answer, err));
	return known.found ? fail(err, LEDGER_CONFLICT, "the command was executed meanwhile")
			   : LEDGER_OK;
}

static enum ledger_status add_job(
	struct ledger_commands *c, struct job *job, struct ledger_error *err)
{
	CLEANUP_BUF struct buf answer = { 0 };
	bool refused = job->state == JOB_REFUSED;
	if (!refused) {
		TRY(check_known(c, job, err));
		TRY(add_events(c, job, err));
		job->reply.events = buf_slice(&job->recorded);
	}
	ledger_reply_add(&answer, &job->reply);
	TRY(buf_check(&answer, err));
	const struct command_answer kept = { job->digest, buf_slice(&answer),
		job->command.expires };
	return refused ? command_refuse(c->ledger, &job->command, &kept, err)
		       : command_keep(c->ledger, &job->command, &kept, err);
}

/* --- A transaction --------------------------------------------------------------------------- */

static enum ledger_status write_counts(
	struct ledger_commands *c, const uint64_t counts[COUNTS], struct ledger_error *err)
{
	for (size_t i = 0; i < COUNTS; i++)
		if (counts[i])
			TRY(command_add_count(c->ledger, count_names[i], counts[i], err));
	return LEDGER_OK;
}

static enum ledger_status write_rest(
	struct ledger_commands *c, const struct group *g, struct ledger_error *err)
{
	uint64_t counts[COUNTS], now = time_monotonic();
	memcpy(counts, c->counts, sizeof(counts));
	for (size_t i = 0; i < g->n; i++)
		if (g->jobs[i]->state != JOB_REFUSED)
			counts[g->jobs[i]->reply.status ? COUNT_FAILED : COUNT_EXECUTED]++;
	TRY(write_counts(c, counts, err));
	TRY(refused_write(c, err));
	if (now >= c->forgot + FORGET_INTERVAL) {
		c->forgot = now;
		TRY(command_forget(c->ledger, time_now(), err));
	}
	return LEDGER_OK;
}

static enum ledger_status write_group(
	struct ledger_commands *c, struct group *g, struct ledger_error *err)
{
	g->failed = g->n;
	TRY(ledger_begin(c->ledger, err));
	for (size_t i = 0; i < g->n; i++) {
		enum ledger_status status = add_job(c, g->jobs[i], err);
		if (status) {
			ledger_rollback(c->ledger);
			g->failed = i;
			return status;
		}
	}
	enum ledger_status status = write_rest(c, g, err);
	if (status) {
		ledger_rollback(c->ledger);
		return status;
	}
	TRY(ledger_commit(c->ledger, err));
	refused_forget(c);
	memset(c->counts, 0, sizeof(c->counts));
	c->counted = time_monotonic();
	return LEDGER_OK;
}

/* --- A group --------------------------------------------------------------------------------- */

static void collect(struct ledger_commands *c, struct group *g)
{
	for (struct job *job = c->first; job && g->n < GROUP_MAX; job = job->next)
		if (job->state == JOB_READY || job->state == JOB_REFUSED)
			g->jobs[g->n++] = job;
	c->more = c->more || g->n == GROUP_MAX;
}

/* Not even that it was refused can be written. */
static void not_recorded(struct ledger_commands *c, struct job *job, const struct ledger_error *err)
{
	if (job->state != JOB_REFUSED && !job_refuse(c, job, err))
		return;
	refused_remember(c, &job->command, &job->reply);
	job_answer(c, job, &job->reply);
}

/* The stream has moved, or the command was executed by another process: it runs again. *stays: it is
 * refused, which is to be recorded. */
static void one_failed(
	struct ledger_commands *c, struct job *job, const struct ledger_error *err, bool *stays)
{
	uint64_t retries = job->handler ? job->handler->retries : 0;
	*stays = false;
	if (job->state == JOB_REFUSED)
		not_recorded(c, job, err);
	else if (err->status == LEDGER_CONFLICT && job->runs <= retries)
		job_again(c, job);
	else
		*stays = job_refuse(c, job, err);
}

static void record_group(struct ledger_commands *c, struct group *g)
{
	struct ledger_error err = { 0 };
	while (g->n > 0) {
		enum ledger_status status = write_group(c, g, &err);
		if (status == LEDGER_OK) {
			for (size_t i = 0; i < g->n; i++)
				job_answer(c, g->jobs[i], &g->jobs[i]->reply);
			return;
		}
		if (g->failed == g->n) {
			for (size_t i = 0; i < g->n; i++)
				not_recorded(c, g->jobs[i], &err);
			return;
		}
		bool stays;
		one_failed(c, g->jobs[g->failed], &err, &stays);
		if (stays)
			continue;
		memmove(&g->jobs[g->failed], &g->jobs[g->failed + 1],
			(g->n - g->failed - 1) * sizeof(g->jobs[0]));
		g->n--;
	}
}

/* What was refused is counted too, now and then; a ledger that is busy gets it later. */
static void count(struct ledger_commands *c)
{
	struct ledger_error ignored;
	struct group none = { .n = 0 };
	uint64_t sum = c->n_refused, now = time_monotonic();
	for (size_t i = 0; i < COUNTS; i++)
		sum += c->counts[i];
	if (sum == 0 || (now < c->counted + COUNT_INTERVAL && c->n_jobs > 0))
		return;
	if (write_group(c, &none, &ignored) != LEDGER_OK)
		c->counted = now;
}

enum ledger_status record_step(struct ledger_commands *c, struct ledger_error *err)
{
	struct group g = { .n = 0 };
	(void)err;
	collect(c, &g);
	if (g.n > 0)
		record_group(c, &g);
	count(c);
	return LEDGER_OK;
}
