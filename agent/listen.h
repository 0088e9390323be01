/* The agent's listening socket: from systemd, or made by ourselves. */
#pragma once

/*
 * The socket that systemd passed (LISTEN_FDS), else a new one at path, mode 0666, in place of a
 * stale one. Return: 0 and a descriptor of the caller's; negative errno and *reterr_text
 * (-EADDRINUSE: another agent answers there).
 */
int listen_open(const char *path, char **reterr_text, int *ret_fd);
