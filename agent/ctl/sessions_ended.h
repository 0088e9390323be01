/* Which SSH sessions a map would end. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "agent/ctl/ctl.h"
#include "agent/netmap/netmap.h"

/*
 * Ask the agent for its sessions and judge each by the new map, as the agent would. What a session
 * was granted is taken from what the map in force gives it.
 * Return: 0 and *ret_ended (the caller's), [{user, node, sshUser, reason, message}]; NULL: the
 * agent has no list. -ENOMEM.
 */
int sessions_ended(struct ctl *ctl, const struct netmap *in_force, const struct netmap *map,
		   uint64_t now_usec, json_t **ret_ended);

/* The pure part: of these sessions (as ListSessions has them). NULL: no memory. */
json_t *sessions_judge(const json_t *sessions, const struct netmap *in_force,
		       const struct netmap *map, uint64_t now_usec);
