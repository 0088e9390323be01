/* The agent's listening sockets: from systemd, or made by ourselves. */
#pragma once

/* Descriptors; -1: none. */
struct listen_sockets {
	int all;  /* agent.sock, mode 0666 */
	int root; /* agent-root.sock, mode 0600: nobody else can fill its queue */
};

void listen_sockets_done(struct listen_sockets *sockets);

/*
 * The sockets that systemd passed (LISTEN_FDS); what it did not is made in this directory, in place
 * of stale ones. Return: 0 and both, the caller's; negative errno and *reterr_text (-EADDRINUSE:
 * another agent answers there).
 */
int listen_open(const char *dir, char **reterr_text, struct listen_sockets *ret_sockets);
