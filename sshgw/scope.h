/*
 * The control group of a login (cgroup v2): where everything it started can be found and killed,
 * however often it forked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"

/*
 * Put the leader into a fresh group below our own, before it opens the PAM session. pam_systemd
 * then moves it into its logind scope; on a host without logind it stays here.
 * Return: 0 and *ret_path (the caller's), negative errno (-EOPNOTSUPP: no cgroup.kill).
 */
int scope_create(pid_t leader, char **ret_path);
/* The group that the leader is in now; the caller frees. -EXDEV when it is our own. */
int scope_find(pid_t leader, char **ret_path);
/*
 * Kill every process of the group and of groups below it but the leader, which has a PAM session to
 * close, and has to be in the group for that. The group is frozen meanwhile: forks do not race.
 * usec: how long their end is waited for. Return: 0, -ETIME (some, though killed, have not died),
 * negative errno.
 */
int scope_kill_around(const char *path, pid_t leader, uint64_t usec);
/* Take the leader out of the login's group, into our own. */
int scope_leave(pid_t leader);
/*
 * For the leader itself: the group that scope_create() made for it, in which it still is, and the
 * one of whoever made it, which is right above. The caller frees both. -ENOENT: it is in no such
 * group.
 */
int scope_find_made(char **ret_made, char **ret_above);
/* The group that this process is in; the caller frees. */
int scope_own(char **ret_path);
/* Move this process into a group. */
int scope_enter(const char *path);
/*
 * Kill every process of the group and of groups below it, forks that race with us included
 * (cgroup.kill, kernel 5.14). A group that is gone is no error. Return: 0, negative errno.
 */
int scope_kill(const char *path);
/* The same for who has nothing else to try: a failure is logged. */
void scope_kill_logged(const char *path);
/*
 * Whether the group, or one below it, has a process. Return: 1, 0 (also when it is gone), negative
 * errno.
 */
int scope_is_populated(const char *path);
/*
 * A descriptor that polls EPOLLPRI when that has changed since it was last asked by
 * scope_watch_ask(), which answers as above. Return: the caller's fd, negative errno.
 */
int scope_watch(const char *path);
int scope_watch_ask(int fd);
/* Remove an empty group that scope_create() made. */
void scope_remove(const char *path);
