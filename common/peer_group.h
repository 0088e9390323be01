/* Which groups the peer of a unix socket is in. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Was the process that connected a member of the group, by its supplementary groups (socket(7),
 * SO_PEERGROUPS)? The kernel knows; no name service is asked, which could block. False also if that
 * cannot be found out.
 */
bool peer_in_group(int fd, gid_t gid);
