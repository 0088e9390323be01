#include "sshgw/monitor/budget.h"

uint64_t budget_take(struct budget *budget, uint64_t now)
{
	uint64_t limit = budget->burst * budget->cost_usec, paid = now - budget->since;

	budget->spent_usec -= paid < budget->spent_usec ? paid : budget->spent_usec;
	budget->since = now;
	if (budget->spent_usec + budget->cost_usec > limit)
		return budget->spent_usec + budget->cost_usec - limit;
	budget->spent_usec += budget->cost_usec;
	return 0;
}
