/*
 * Which events: the option rows that every command with a choice of events has, and what they mean.
 * Repeated is OR (--tag: AND); different ones AND. Times without offset are local.
 *
 *	static const struct opt opts[] = {
 *		FILTER_OPTS,
 *		{ 0 }
 *	};
 *
 *	CLEANUP_ARENA struct arena arena = { 0 };
 *	TRY(filter_resolve(&filter, &arena, err));
 */
#ifndef CMD_FILTER_H
#define CMD_FILTER_H

#include "opt.h"

/* As typed. */
struct filter_words {
	struct opt_u64 from;
	struct opt_u64 to;
	struct opt_u64 after;
	const char *since;
	const char *until;
	const char *on;
	bool utc;
	struct opt_list domains;
	struct opt_list types;
	struct opt_list streams;
	struct opt_list tags;
	struct opt_list origins;
	struct opt_list correlations;
};
extern struct filter_words filter_words;

/* clang-format off */
#define FILTER_OPTS \
	{ 0, "from", "begin at this position", "<position>", .maybe_u64 = &filter_words.from }, \
	{ 0, "to", "end with this position", "<position>", .maybe_u64 = &filter_words.to }, \
	{ 0, "after", "begin behind this position", "<position>", .maybe_u64 = &filter_words.after }, \
	{ 0, "since", "only what happened at this time or later", "<time>", .str = &filter_words.since }, \
	{ 0, "until", "only what happened before this time", "<time>", .str = &filter_words.until }, \
	{ 0, "on", "only what happened on this day", "<date>", .str = &filter_words.on }, \
	{ 0, "utc", "read and show times in UTC, not local time", NULL, .flag = &filter_words.utc }, \
	{ 'd', "domain", "only these domains", "<domain,...>", .list = &filter_words.domains, .complete = COMPLETE_DOMAIN }, \
	{ 't', "type", "only these event types", "<type,...>", .list = &filter_words.types, .complete = COMPLETE_TYPE }, \
	{ 's', "stream", "only this stream, or type/ for all of a type", "<type/key>", .list = &filter_words.streams, .complete = COMPLETE_STREAM }, \
	{ 0, "tag", "only with this tag; twice: with both", "<name:value>", .list = &filter_words.tags, .complete = COMPLETE_TAG }, \
	{ 0, "origin", "only what these nodes recorded", "<node,...>", .list = &filter_words.origins, .complete = COMPLETE_ORIGIN }, \
	{ 0, "correlation", "only with this correlation id", "<id>", .list = &filter_words.correlations }
/* clang-format on */

/*
 * What was typed, as a filter: slices live in `arena` and argv. LEDGER_USAGE names a bad value. Where
 * a time was given in words or without offset, the range it became is said on stderr.
 */
enum ledger_status filter_resolve(
	struct ledger_filter *filter, struct arena *arena, struct ledger_error *err);

/* A stream, or type/, given to another command's option, which LEDGER_USAGE names. NULL, not given, is
 * fine. */
enum ledger_status filter_check_stream(
	const char *option, const char *value, struct ledger_error *err);

/* Was a bound given: a position or a time? */
bool filter_is_bounded(void);

/* Was a position to begin with given? */
bool filter_has_start(void);

#endif
