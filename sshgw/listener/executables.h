/* The gateway's other programs, opened for as long as the listener runs. */
#pragma once

enum executable {
	EXE_MONITOR,
	EXE_NET,
	EXE_SESSION,
	EXE_KEYS,
	N_EXECUTABLES,
};

/*
 * Open them in dir, and see that all are of the listener's own build: while an upgrade replaces the
 * files one by one, they may not be. Return: 0 and the caller's fds; negative errno (logged;
 * -ESTALE: of another build). On failure what was opened is in ret_fds, the rest is -1.
 */
int executables_open(const char *dir, int ret_fds[N_EXECUTABLES]);
