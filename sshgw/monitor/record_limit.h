/*
 * How many records of a kind one connection may have in the journal: a client that begins and ends
 * things all day fills none. Of those that are left out the journal has the number.
 */
#pragma once

#include <stdbool.h>

#include "sshgw/monitor/budget.h"

struct record_limit {
	const char *of; /* what they are records of: "sessions" */
	struct budget budget;
	unsigned n_left_out; /* since the last one that was let through */
};

/* Return: whether one more may be written. If some were left out before it, they are told of. */
bool record_limit_take(struct record_limit *limit);
/* There will be no further one: those that were left out last are told of. */
void record_limit_end(struct record_limit *limit);
