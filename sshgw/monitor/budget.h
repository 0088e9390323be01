/* What may be done in a burst, but in the long run only so often. Pure. */
#pragma once

#include <stdint.h>

struct budget {
	uint64_t cost_usec;	    /* that each one costs; time pays it back */
	uint64_t burst;		    /* that many at once at most */
	uint64_t spent_usec, since; /* what is not paid back at this time */
};

/* now: of a clock that does not go back. Return: 0, and it counts; else usec until it is possible.
 */
uint64_t budget_take(struct budget *budget, uint64_t now);
