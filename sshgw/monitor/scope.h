/*
 * The control group of a login (cgroup v2): where everything it started can be found and killed,
 * however often it forked.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"

/*
 * Put the leader into a fresh group below our own, before it opens the PAM session. pam_systemd
 * then moves it into its logind scope; on a host without logind it stays here.
 * Return: 0 and *ret_path (the caller's), negative errno.
 */
int scope_create(pid_t leader, char **ret_path);
/* The group that the leader is in now; the caller frees. -EXDEV when it is our own. */
int scope_find(pid_t leader, char **ret_path);
/*
 * Kill every process of the group but spare (0: none), forks that race with us included: the group
 * is frozen meanwhile. Return: 0, -ETIME when some did not die in time, negative errno.
 */
int scope_kill(const char *path, pid_t spare);
/* Remove an empty group that scope_create() made. */
void scope_remove(const char *path);
