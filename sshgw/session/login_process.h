/* The step from root to the user: fork, become the account, exec the user process. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/account.h"
#include "common/cleanup.h"

#define LOGIN_USER_CHANNEL 3 /* where the user process finds its channel */

struct login_process {
	pid_t pid;
	int pidfd;
};

/*
 * Start the session executable (exe, a descriptor) as "user", as the account, with channel as its
 * only descriptor besides /dev/null. Supplementary groups, limits, umask, keyring and cgroup are
 * this process's own: PAM has set them up here.
 * Return: 0 once the program runs; negative errno with text.
 */
int login_process_start(const struct account *account, char *const *env, int exe, int channel,
			struct login_process *ret_process, char **reterr_text);

/*
 * Become the account, for good; supplementary groups stay. In a child only. Return: 0, negative
 * errno after which the process must not go on.
 */
int login_process_become(const struct account *account);

/*
 * Ask it to end, insist after grace_usec, reap it. One that does not even die then, since it waits
 * for a filesystem that does not answer, is left behind half a second later. Does nothing when
 * there is none. Logs.
 */
void login_process_end(struct login_process *process, uint64_t grace_usec);
