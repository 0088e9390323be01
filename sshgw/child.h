/* Starting a process by the descriptor of its executable, with exactly the descriptors it gets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"

#define CHILD_MAX_FDS 5u

struct child_spec {
	int exe_fd; /* opened when the listener started: one version per connection */
	const char *const *argv;
	const char *const *envp;
	int fds[CHILD_MAX_FDS]; /* become 3, 4, ...; stay the caller's */
	size_t n_fds;
	int nice; /* added to the caller's own */
};

/*
 * Fork and exec, in a session of its own. Input and output are /dev/null, errors go where ours go
 * (the journal); nothing else is inherited, signals are at their defaults. Return: 0 and *ret_pidfd
 * (the caller's) and *ret_pid; negative errno.
 */
int child_spawn(const struct child_spec *spec, pid_t *ret_pid, int *ret_pidfd);
/* By pidfd; does nothing for -1. child_kill(): SIGKILL. */
void child_signal(int pidfd, int sig);
void child_kill(int pidfd);

/*
 * Reap a child once it has ended, and wait for that no longer than this. SIGKILL is no promise that
 * it does: one that waits for a filesystem may have to wait until that answers (FUSE, NFS). Who
 * forks it may give -1 for the descriptor if there was none to be had: then all of the time is
 * waited for. Return: whether it was reaped; if not, it stays a child, and a number that is taken.
 */
bool child_reap(pid_t pid, int pidfd, uint64_t timeout_usec);
