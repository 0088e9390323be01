#include "sshgw/listener/limits.h"

#include <errno.h>

static size_t count(const struct limits *limits, const struct ip_addr *addr)
{
	size_t same = 0;

	for (size_t i = 0; i < limits->n; i++)
		same += ip_addr_equal(&limits->addrs[i], addr);
	return same;
}

enum limits_answer limits_check(const struct limits *limits, const struct ip_addr *addr)
{
	if (limits->n >= limits->max_total)
		return LIMITS_TOTAL;
	return count(limits, addr) >= limits->max_per_peer ? LIMITS_PER_PEER : LIMITS_OK;
}

/* In proportion to what is free, and max_per_peer for one that has all but that to itself. */
static size_t share(const struct limits *limits)
{
	size_t others, places;

	if (limits->max_per_peer >= limits->max_total)
		return limits->max_per_peer;
	others = limits->max_total - limits->max_per_peer;
	places = limits->max_per_peer * (limits->max_total - limits->n) / others;
	return places > 0 ? places : 1;
}

enum limits_answer limits_admit(const struct limits *limits, const struct ip_addr *addr)
{
	enum limits_answer answer = limits_check(limits, addr);

	if (answer == LIMITS_OK && count(limits, addr) >= share(limits))
		return LIMITS_SHARE;
	return answer;
}

const struct ip_addr *limits_greediest(const struct limits *limits, const struct ip_addr *addr)
{
	size_t most = count(limits, addr) + 1;
	const struct ip_addr *greediest = NULL;

	for (size_t i = 0; i < limits->n; i++) {
		size_t n = count(limits, &limits->addrs[i]);

		if (n > most) {
			most = n;
			greediest = &limits->addrs[i];
		}
	}
	return greediest;
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
