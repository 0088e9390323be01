/*
 * Who is in the mesh that is measured, and its policy. Of every two nodes one is a person's and one
 * a tagged server: N_USERS people in N_GROUPS groups, N_TAGS tags, and the last two nodes monitor
 * all others. A node sees some hundreds of others; a few people see all servers.
 */
#pragma once

#include <stdbool.h>

/* Users, auth keys and the policy, through the admin socket. */
void mesh_set_up(void);
/*
 * Bring the policy into force in which the monitoring nodes may reach this port: each node's packet
 * filter names it. Goes on at once, see admin_is_answered().
 */
void mesh_begin_policy(unsigned port);
/* Text of the policy; the caller's. */
char *mesh_policy(unsigned port);
/* What a packet filter with that port has in it. */
const char *mesh_port_text(unsigned port);

/* All nodes enrol, each from its own address with its own key. */
void mesh_enrol(void);

/* Is it one that all others see? */
bool mesh_is_monitor(unsigned number);
/* A node that is not behind NAT, so that its peers are told the endpoints that it says. */
bool mesh_is_open(unsigned number);
/* "198.18.1.2:PORT", of an open node: where it is reached. Writes buf; returns it. */
const char *mesh_endpoint(unsigned number, unsigned port, char buf[32]);
