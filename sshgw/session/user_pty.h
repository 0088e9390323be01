/* Pseudo terminals, opened by the user's own process so that the kernel makes them the user's. */
#pragma once

#include "common/cleanup.h"
#include "sshgw/msg.h"

#define USER_PTY_NAME 32 /* "/dev/pts/4294967295" and its NUL */

/*
 * Open a terminal with the size and modes asked for. name gets its path.
 * Return: 0 and the caller owns both descriptors (close-on-exec); negative errno with text.
 */
int user_pty_open(const struct msg_pty *pty, int *ret_master, int *ret_slave,
		  char name[USER_PTY_NAME], char **reterr_text);
