/*
 * The user process of a login: starts shells and commands as the user, hands their terminals and
 * pipes to the monitor, and says how they ended; connects and listens for forwarding. The user may
 * trace it: it holds nothing that the user has no right to, and nothing depends on its honesty.
 */
#pragma once

#define USER_MAX_CHILDREN 64

/*
 * Serve on the channel until the monitor closes it or SIGTERM comes; then hang up what runs.
 * env is what all sessions of the login share, HOME and SHELL among it.
 * Return: 0, negative errno after a message that was out of order or could not be read.
 */
int user_run(int channel, char *const *env);
