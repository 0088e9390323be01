#include "sshgw/listener/limits.h"

#include <errno.h>

enum limits_answer limits_check(const struct limits *limits, const struct ip_addr *addr)
{
	size_t same = 0;

	if (limits->n >= limits->max_total)
		return LIMITS_TOTAL;
	for (size_t i = 0; i < limits->n; i++)
		same += ip_addr_equal(&limits->addrs[i], addr);
	return same >= limits->max_per_peer ? LIMITS_PER_PEER : LIMITS_OK;
}

int limits_enter(struct limits *limits, const struct ip_addr *addr)
{
	struct ip_addr *addrs;

	addrs = reallocarray(limits->addrs, limits->n + 1, sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	limits->addrs = addrs;
	addrs[limits->n++] = *addr;
	return 0;
}

void limits_leave(struct limits *limits, const struct ip_addr *addr)
{
	for (size_t i = 0; i < limits->n; i++) {
		if (ip_addr_equal(&limits->addrs[i], addr)) {
			limits->addrs[i] = limits->addrs[--limits->n];
			return;
		}
	}
}

void limits_done(struct limits *limits)
{
	free(limits->addrs);
	limits->addrs = NULL;
	limits->n = 0;
}
