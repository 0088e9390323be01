/*
 * Files that other programs of this host read, written from the map at every change: the host keys
 * of the peers, for ssh, the names of the mesh, for libnss_peergate, and the map in force itself,
 * for "agentctl netmap check". They stay when the agent stops, as what it made of the kernel does.
 */
#pragma once

#include "agent/netmap/netmap.h"
#include "common/cleanup.h"

#define HOSTFILES_NETMAP "netmap.json"

struct hostfiles;

/* In this directory. Return: 0, -ENOMEM. */
int hostfiles_new(const char *dir, struct hostfiles **ret_hostfiles);
struct hostfiles *hostfiles_free(struct hostfiles *hostfiles);
DEFINE_CLEANUP(struct hostfiles *, hostfiles_free);

/* There is no map any more: what they say is not true. */
void hostfiles_remove(struct hostfiles *hostfiles);
/* The map has changed: what is there says something else. */
void hostfiles_outdate(struct hostfiles *hostfiles);

/*
 * Write those that are out of date, each in one step. Return: 0, or the errno of the last one that
 * could not be written: it is logged, and stays out of date.
 */
int hostfiles_write(struct hostfiles *hostfiles, const struct netmap *map);
