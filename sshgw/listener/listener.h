/*
 * The gateway's listener: root, long-lived, reads no byte from the network. Accepts, counts, and
 * starts a monitor for each connection.
 */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct listener;

struct listener_config {
	const char *libexec_dir;  /* where the other executables are */
	const char *ceiling_path; /* for the limits */
};

/*
 * fds: listening sockets, which become the listener's. The executables are opened now, and have to
 * be of its own build: connections of this listener run this one, whatever is installed later.
 * Blocks SIGCHLD. Return: 0, negative errno (logged).
 */
int listener_new(sd_event *event, const struct listener_config *config, const int *fds,
		 size_t n_fds, struct listener **ret_listener);
/* Monitors and their connections live on. */
struct listener *listener_free(struct listener *listener);
DEFINE_CLEANUP(struct listener *, listener_free);

/* connections_adopt(). */
int listener_adopt(struct listener *listener, const char *name, int fd);

/* Read the limits again. A file that does not parse leaves those in force. */
void listener_reload(struct listener *listener);
