/*
 * Programs that a login left running go on by the lease that their monitor holds. A guard is a
 * child that kills them when the monitor ends without having dismissed it: killed, crashed, for
 * want of memory. (While there is a leader, that does it: sshgw/session/leader_scope.h.)
 */
#pragma once

#include <sys/types.h>

struct guard {
	int fd;	   /* its other end is the guard's; -1: none */
	int pidfd; /* of the guard */
};
#define GUARD_NONE ((struct guard){ .fd = -1, .pidfd = -1 })

/*
 * group: what is to be killed; made: the group that scope_create() made, to be removed then.
 * Return: 0 and *ret_guard, negative errno.
 */
int guard_start(const char *group, const char *made, struct guard *ret_guard);
/* Nothing is left to guard. */
void guard_dismiss(struct guard *guard);
