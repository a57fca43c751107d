/*
 * What an analyser that looks at one file at a time cannot know: a failure is never LEDGER_OK. Without
 * it each output of a step that failed looks as if it were used without a value.
 */
#ifndef ANALYSIS_FACTS_H
#define ANALYSIS_FACTS_H

#include "../../lib/base/error.h"

#define fail(err, status, ...) (fail(err, status, __VA_ARGS__), (status))
#define fail_errno(...)	       (fail_errno(__VA_ARGS__), LEDGER_IO)
#define fail_in(...)	       (fail_in(__VA_ARGS__), LEDGER_INVALID)
#define hint(...)	       (hint(__VA_ARGS__), LEDGER_INVALID)

#endif
