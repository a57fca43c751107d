/*
 * What a co-process says about an event, a line each, in the order in which it got them:
 *
 *	ok 0193a5c2-…
 *	error 0193a5c2-… no such product
 */
#ifndef FOLD_ANSWER_H
#define FOLD_ANSWER_H

#include "../ledger.h"

enum answer { ANSWER_OK, ANSWER_ERROR, ANSWER_GARBAGE };

/* *reason (of an error; may be empty) borrows from the line. */
enum answer answer_parse(struct slice line, uint8_t id[16], struct slice *reason);

#endif
