#include "sshgw/monitor/record_limit.h"

#include "common/clock.h"
#include "common/log.h"

bool record_limit_take(struct record_limit *limit)
{
	if (budget_take(&limit->budget, clock_usec(CLOCK_MONOTONIC)) > 0) {
		limit->n_left_out++;
		return false;
	}
	record_limit_end(limit);
	return true;
}

void record_limit_end(struct record_limit *limit)
{
	if (limit->n_left_out > 0)
		log_notice("%u records of %s are left out, there were too many", limit->n_left_out,
			   limit->of);
	limit->n_left_out = 0;
}
