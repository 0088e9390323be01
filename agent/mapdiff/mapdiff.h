/*
 * What another map would change on this node, for people who are about to put it in force: pure.
 * Everything is judged as the agent and the kernel would, by the same code: rights come from the
 * compiled filter, logins from the SSH decision.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/netmap/netmap.h"

/*
 * from: the map in force; NULL: none, the mesh is blocked. Expired keys and rules count as absent
 * at now_usec. *ret_changes is the caller's; every member is there, empty where nothing changes:
 *
 *	"self"	 [{what, from, to}]
 *	"peers"	 {added: [PEER], removed: [PEER], changed: [{name, changes: [{what, from, to}]}]}
 *		 with PEER {name, owner, addresses}
 *	"reach"	 [{who, gained: [RIGHT], lost: [RIGHT]}]: what they may send to this node,
 *		 with RIGHT {protocol, firstPort, lastPort, destinations, rule}; ports are absent
 *for protocols without, destinations when it is all addresses of this node
 *	"ssh"	 [{who, gained: [LOGIN], lost: [LOGIN], changed: [{user, what, from, to}]}]
 *		 with LOGIN {user, account, rule}; user "*": any that no rule names
 *	"cut"	 true: there were too many SSH rules and users to try all of them
 *
 * "who" are names of peers ("NAME (ADDRESS)" when it is not all of their addresses) and, in reach,
 * networks behind them ("PREFIX behind NAME").
 * Return: 0; -ENOMEM; -E2BIG and *reterr_text: a filter is too large (filter_compile()).
 */
int mapdiff_build(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
		  char **reterr_text, json_t **ret_changes);
/* Does a document of mapdiff_build() tell of any change? */
bool mapdiff_empty(const json_t *changes);
