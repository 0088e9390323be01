/* One session of the user: a shell or command on a terminal or on three pipes. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "sshgw/msg.h"

struct user_child {
	pid_t pid;  /* leads its own session and process group */
	int fds[3]; /* the other side's: terminal master; or stdin's write end, stdout's and
		     * stderr's read ends */
	size_t n_fds;
};

/*
 * Start what msg asks for with the login's environment. A program that cannot be run is no failure
 * here: the child says so on its stderr and exits with 127, as a shell would.
 * Return: 0 and the caller owns the descriptors; negative errno with text.
 */
int user_child_start(const struct msg_start *msg, char *const *login_env,
		     struct user_child *ret_child, char **reterr_text);
/* Closes the descriptors; the process is left alone. */
void user_child_done(struct user_child *child);
