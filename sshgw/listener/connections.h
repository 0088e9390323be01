/*
 * The connections that monitors serve, and how many of which kind there may be.
 *
 * What is known of one comes through its status pipe. The bytes in it are never taken out: how many
 * there are says how far the connection has come, and the pipe's end that the monitor is gone. So
 * the pipe needs nobody who remembers. It is left with the service manager as well
 * (sd_notify(3), FDSTORE=1), which hands it to the next listener: connections of an earlier one
 * count for the limits like its own.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/ceiling.h"
#include "common/cleanup.h"
#include "common/ip.h"

struct connections;

int connections_new(sd_event *event, struct connections **ret_connections);
/* Monitors and their connections live on. */
struct connections *connections_free(struct connections *connections);
DEFINE_CLEANUP(struct connections *, connections_free);

void connections_set_limits(struct connections *connections, const struct ceiling *ceiling);

/* Is there room for one more from this peer? If not, that is logged, once a second at most. */
bool connections_admit(struct connections *connections, const struct ip_addr *peer);

/*
 * For how long nobody is let in from this address, since its connections misbehaved (usec; 0: they
 * may come). That one was turned away is logged, once a second at most.
 */
uint64_t connections_penalty(struct connections *connections, const struct ip_addr *peer);
/* One of this peer's was reset before anything was started for it: that is misbehaviour, too. */
void connections_reset(struct connections *connections, const struct ip_addr *peer);
/* A child of ours has ended: of a monitor, its exit status says how the client behaved. */
void connections_monitor_exited(struct connections *connections, pid_t monitor, bool misbehaved);

/* Count one in. status_fd: the read end, taken, also on failure. Return: 0, negative errno. */
int connections_add(struct connections *connections, const struct ip_addr *peer, pid_t monitor,
		    int status_fd);
/*
 * Count one in that an earlier listener left with the service manager, by the name that it has
 * there. Takes fd on success. Return: 0, -EINVAL (name is none of ours), negative errno.
 */
int connections_adopt(struct connections *connections, const char *name, int fd);

/* For display and tests: of each kind. */
struct connections_count {
	size_t live, unauthenticated, held, left;
};
struct connections_count connections_count(const struct connections *connections);
