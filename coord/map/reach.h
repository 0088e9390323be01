/*
 * How two nodes may reach one another, as far as the coordinator can tell: from the addresses that
 * they name and the ones that it sees them at. Pure.
 *
 * A node that is seen at an address that is none of its own is behind NAT: what it sends gets out,
 * what is sent to it gets in only to an endpoint that its operator configured. Nodes that are seen
 * at the same address are at the same site, as are those that are seen at private addresses of
 * their own, with no NAT between them and the coordinator: private addresses mean the same to them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coord/registry/model.h"

#define REACH_KEEPALIVE 25 /* seconds, for who is behind NAT: as WireGuard recommends */

enum reach_flags {
	REACH_V4 = 1 << 0, /* it can send to the internet by IPv4, by IPv6 */
	REACH_V6 = 1 << 1,
	REACH_NAT = 1 << 2,
	REACH_OPEN4 = 1 << 3, /* anybody can send to it by IPv4, by IPv6 */
	REACH_OPEN6 = 1 << 4,
	REACH_LOCAL = 1 << 5, /* it has private addresses, of use at its site */
};
#define REACH_FLAGS ((1u << 6) - 1)

/* All that matters of the node whose map it is. */
struct reach_view {
	uint8_t flags;
	uint32_t site; /* equal: the same site; 0: unknown, equal to none */
};
bool reach_view_equal(const struct reach_view *a, const struct reach_view *b);

enum reach_kind {
	REACH_CONFIGURED, /* by the operator, for everybody */
	REACH_PRIVATE,	  /* own and private: for nodes at the same site */
	REACH_SEEN,	  /* where the coordinator sees it; behind NAT, a guess */
	REACH_PUBLIC,	  /* own and public */
};

struct reach_endpoint {
	struct ip_endpoint endpoint;
	enum reach_kind kind;
};
#define REACH_MAX_ENDPOINTS (2 * RECORD_MAX_ENDPOINTS + 1)

/* What matters of a node in others' maps, too. */
struct reach_node {
	struct reach_view view;
	struct reach_endpoint *endpoints; /* by kind, then as they came; each once */
	size_t n_endpoints;
};
/* mesh: its prefixes; endpoints within are left out. Return: 0, -ENOMEM. */
int reach_node_make(const struct node_facts *facts, const struct ip_prefix *mesh, size_t n_mesh,
		    struct reach_node *ret_node);
void reach_node_done(struct reach_node *node);
bool reach_node_equal(const struct reach_node *a, const struct reach_node *b);

enum reach_path {
	REACH_PATH,	   /* one of them can reach the other */
	REACH_BOTH_NAT,	   /* none: both are behind NAT */
	REACH_NO_FAMILY,   /* none: one has IPv4 alone, the other IPv6 alone */
	REACH_NO_ENDPOINT, /* none: no address is known where either can be reached */
};
/* For "path_reason"; NULL: REACH_PATH. */
const char *reach_path_reason(enum reach_path path);

/* A peer's part of a map. */
struct reach_outcome {
	enum reach_path path;
	unsigned keepalive;					     /* seconds; 0: none */
	const struct reach_endpoint *endpoints[REACH_MAX_ENDPOINTS]; /* the best one first */
	size_t n_endpoints;
};
void reach_outcome(const struct reach_view *viewer, const struct reach_node *peer,
		   struct reach_outcome *ret_outcome);
