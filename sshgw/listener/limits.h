/* How many connections of a kind may be there: in total and from one address. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/ip.h"

struct limits {
	size_t max_total, max_per_peer;
	struct ip_addr *addrs; /* one entry per connection */
	size_t n;
};

enum limits_answer {
	LIMITS_OK,
	LIMITS_TOTAL,
	LIMITS_PER_PEER,
	LIMITS_SHARE,
};

/* Is there room for one more? */
enum limits_answer limits_check(const struct limits *limits, const struct ip_addr *addr);
/*
 * The same where who comes too late is turned away: the fewer places are free, the fewer an address
 * may have (LIMITS_SHARE), but for one. An address may have max_per_peer while it is alone, and a
 * few that take what they can get leave room for others; so does a peer with two addresses.
 */
enum limits_answer limits_admit(const struct limits *limits, const struct ip_addr *addr);
/* The address that has most, by more than one more than this one. Borrowed; NULL: none has. */
const struct ip_addr *limits_greediest(const struct limits *limits, const struct ip_addr *addr);
/* Count one in, whether there is room or not. Return: 0, -ENOMEM (it is not counted). */
int limits_enter(struct limits *limits, const struct ip_addr *addr);
/* It ended, or is of the kind no more. One that was not counted in is ignored. */
void limits_leave(struct limits *limits, const struct ip_addr *addr);
void limits_done(struct limits *limits);
