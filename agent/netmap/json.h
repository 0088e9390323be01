/* A map as text again, as peergate-netmap(5) describes it: what was understood of it, no more. */
#pragma once

#include "agent/netmap/netmap.h"

/*
 * Parsing the text gives the same map: the same peers, rules and order, with sources written as the
 * prefixes that they were taken apart into. What the parser ignored is left out. One line for each
 * peer and rule; the same map gives the same bytes.
 * Return: 0 and *ret_text (the caller's) with *ret_len, -ENOMEM.
 */
int netmap_to_json(const struct netmap *map, char **ret_text, size_t *ret_len);
/* A peer of it alone, as the same object. */
int netmap_peer_to_json(const struct netmap_node *peer, char **ret_text, size_t *ret_len);
