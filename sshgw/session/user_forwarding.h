/*
 * Forwarding in the user process: connections and listeners that the monitor asks for. Nothing here
 * waits: names are resolved, connections made and xauth run in processes of their own.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "sshgw/msg_forward.h"

struct user_forwarding;

/* channel: to the monitor; env: of the login. Both stay the caller's. Return: 0, -ENOMEM. */
int user_forwarding_new(int channel, char *const *env, struct user_forwarding **ret_forwarding);
/* Closes and removes all sockets. */
struct user_forwarding *user_forwarding_free(struct user_forwarding *forwarding);

/* Messages of the monitor. Return: 0; negative errno: it, or the channel, cannot be gone on with.
 */
int user_forwarding_connect(struct user_forwarding *forwarding, const struct chan_msg *in);
int user_forwarding_listen(struct user_forwarding *forwarding, const struct chan_msg *in);
int user_forwarding_unlisten(struct user_forwarding *forwarding, const struct chan_msg *in);
int user_forwarding_next(struct user_forwarding *forwarding, const struct chan_msg *in);

/* What to wait for until somebody has connected; -1: nothing now. */
int user_forwarding_fd(const struct user_forwarding *forwarding);
/* How long at most, in msec; -1: for ever. */
int user_forwarding_timeout(const struct user_forwarding *forwarding);
/* After either. Return: as above. */
int user_forwarding_serve(struct user_forwarding *forwarding);

/* A child has ended that the caller does not know. Return: as above. */
int user_forwarding_reaped(struct user_forwarding *forwarding, pid_t pid, int status);

/* "SSH_AUTH_SOCK=...", "DISPLAY=..."; NULL: no such listener. */
const char *user_forwarding_variable(const struct user_forwarding *forwarding, uint32_t listener);
