/* Unix sockets to listen on. */
#pragma once

#include <sys/types.h>

/*
 * A new SOCK_STREAM socket at path, in place of a stale one. Return: 0 and a descriptor of the
 * caller's; negative errno and *reterr_text (-EADDRINUSE: somebody answers there).
 */
int listen_unix(const char *path, mode_t mode, char **reterr_text, int *ret_fd);
