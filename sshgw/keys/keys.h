/*
 * The process that holds the host's SSH keys: one for all connections of a listener, so that they
 * are read once and lie in no process that serves anybody. Each monitor has a channel to it.
 */
#pragma once

struct keys_config {
	int control_fd;		 /* to the listener: KEYS_SERVE */
	const char *hostkey_dir; /* the gateway's own key, where /etc/ssh has none */
	const char *public_path; /* where the public halves are published */
};

/*
 * Serve until the listener and the last monitor are gone. Keys that change on disk are read again
 * for the connections that come after. control_fd becomes the process's.
 * Return: 0, negative errno (logged).
 */
int keys_run(const struct keys_config *config);
/*
 * Only load the keys, make one if there is none, and publish them: before the first connection, so
 * that whoever connects can know what to expect. Return: as above.
 */
int keys_publish(const struct keys_config *config);
