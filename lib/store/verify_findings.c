/* What the workers of verify find, collected until all is known, then handed over in order of position. */
#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/banned.h"

#define PROBLEMS_DEFAULT 100

enum ledger_status findings_init(struct verification *v, struct ledger_error *err)
{
	struct findings *f = &v->findings;
	f->max = v->options->max_problems ? v->options->max_problems : PROBLEMS_DEFAULT;
	f->list = calloc(f->max, sizeof(*f->list));
	if (!f->list)
		return fail(err, LEDGER_NO_MEMORY, "out of memory");
	pthread_mutex_init(&f->lock, NULL);
	return LEDGER_OK;
}

void findings_done(struct verification *v)
{
	if (v->findings.list)
		pthread_mutex_destroy(&v->findings.lock);
	free(v->findings.list);
}

static void add_found(struct findings *f, const struct found *found)
{
	if (found->position && (!f->first_bad || found->position < f->first_bad) &&
		found->status == LEDGER_DAMAGED)
		f->first_bad = found->position;
	if (f->n < f->max)
		f->list[f->n++] = *found;
}

static void fill_place(struct found *found, const struct event *event)
{
	if (!event || !event->origin.ptr)
		return;
	found->position = event->position;
	snprintf(found->place, sizeof(found->place), "%.*s/%" PRIu64 "/%.*s/%" PRIu64,
		SLICE_ARG(event->origin), event->epoch, SLICE_ARG(event->domain), event->sequence);
}

void verify_report_damage(struct verification *v, const char *code, const struct event *event,
	uint64_t position, const char *format, ...)
{
	struct found found = { .code = code, .status = LEDGER_DAMAGED, .position = position };
	va_list args;
	va_start(args, format);
	vsnprintf(found.text, sizeof(found.text), format, args);
	va_end(args);
	fill_place(&found, event);
	pthread_mutex_lock(&v->findings.lock);
	v->findings.damaged++;
	add_found(&v->findings, &found);
	pthread_mutex_unlock(&v->findings.lock);
}

/* Is it said already? A key that is missing is missing for every event. */
static bool is_said(const struct findings *f, const struct found *found)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].status == LEDGER_UNVERIFIED &&
			strcmp(f->list[i].text, found->text) == 0)
			return true;
	return false;
}

void verify_report_unverified(struct verification *v, const char *code, const struct event *event,
	const char *format, ...)
{
	struct found found = { .code = code, .status = LEDGER_UNVERIFIED };
	va_list args;
	va_start(args, format);
	vsnprintf(found.text, sizeof(found.text), format, args);
	va_end(args);
	fill_place(&found, event);
	pthread_mutex_lock(&v->findings.lock);
	v->findings.unverified++;
	if (!is_said(&v->findings, &found))
		add_found(&v->findings, &found);
	pthread_mutex_unlock(&v->findings.lock);
}

void verify_report_failure(struct verification *v, const struct ledger_error *err)
{
	if (err->status == LEDGER_DAMAGED)
		verify_report_damage(v, "FILE_CORRUPT", NULL, 0, "%.180s", err->text);
	pthread_mutex_lock(&v->findings.lock);
	if (v->findings.failed == LEDGER_OK) {
		v->findings.failed = err->status;
		v->findings.failure = *err;
	}
	pthread_mutex_unlock(&v->findings.lock);
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = (x->position > y->position) - (x->position < y->position);
	return order ? order : strcmp(x->code, y->code);
}

void findings_hand_over(struct verification *v)
{
	struct findings *f = &v->findings;
	qsort(f->list, f->n, sizeof(f->list[0]), compare_found);
	for (size_t i = 0; i < f->n && v->options->problem; i++) {
		const struct found *found = &f->list[i];
		struct ledger_problem problem = { found->code, found->status, found->position,
			found->place, found->text };
		v->options->problem(&problem, v->options->context);
	}
}
