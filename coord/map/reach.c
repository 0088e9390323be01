#include "coord/map/reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/hash.h"

#define SITE_INSIDE 1 /* seen without NAT in between, at a private address; or not known where */

static bool in_list(const char *const *texts, size_t n, const struct ip_addr *addr)
{
	struct ip_prefix prefix;

	for (size_t i = 0; i < n; i++)
		if (ip_prefix_parse(texts[i], &prefix) == 0 && ip_prefix_contains(&prefix, addr))
			return true;
	return false;
}

/* RFC 1918, 4193, 6598: the same address is another host elsewhere. */
static bool is_private(const struct ip_addr *addr)
{
	static const char *const prefixes[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
						"100.64.0.0/10", "fc00::/7" };

	return in_list(prefixes, ARRAY_SIZE(prefixes), addr);
}

static bool is_of_use(const struct ip_addr *addr, const struct ip_prefix *mesh, size_t n_mesh)
{
	for (size_t i = 0; i < n_mesh; i++)
		if (ip_prefix_contains(&mesh[i], addr))
			return false;
	return addr->family != AF_UNSPEC && !ip_addr_is_special(addr);
}

static uint8_t can_send(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? REACH_V4 : REACH_V6;
}

static uint8_t is_open(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? REACH_OPEN4 : REACH_OPEN6;
}

/* ---- a node ---- */

static bool has_endpoint(const struct reach_node *node, const struct ip_endpoint *ep)
{
	for (size_t i = 0; i < node->n_endpoints; i++)
		if (ip_endpoint_equal(&node->endpoints[i].endpoint, ep))
			return true;
	return false;
}

static void add_endpoint(struct reach_node *node, const struct ip_endpoint *ep,
			 enum reach_kind kind)
{
	if (ep->port != 0 && !has_endpoint(node, ep))
		node->endpoints[node->n_endpoints++] = (struct reach_endpoint){ *ep, kind };
}

static void add_configured(struct reach_node *node, const struct endpoint_list *list,
			   const struct ip_prefix *mesh, size_t n_mesh)
{
	for (size_t i = 0; i < list->n; i++) {
		if (!is_of_use(&list->items[i].addr, mesh, n_mesh))
			continue;
		add_endpoint(node, &list->items[i], REACH_CONFIGURED);
		node->view.flags |= is_open(&list->items[i].addr);
	}
}

static void add_own(struct reach_node *node, const struct endpoint_list *list, enum reach_kind kind,
		    const struct ip_prefix *mesh, size_t n_mesh)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct ip_addr *addr = &list->items[i].addr;

		if (!is_of_use(addr, mesh, n_mesh) || is_private(addr) != (kind == REACH_PRIVATE))
			continue;
		add_endpoint(node, &list->items[i], kind);
		node->view.flags |=
			kind == REACH_PRIVATE ? REACH_LOCAL : is_open(addr) | can_send(addr);
	}
}

/* The port that the node listens at, as far as it is known. */
static uint16_t port_of(const struct node_facts *facts)
{
	if (facts->listen_port || facts->endpoints.n == 0)
		return facts->listen_port;
	return facts->endpoints.items[0].port;
}

static void add_seen(struct reach_node *node, const struct node_facts *facts,
		     const struct ip_prefix *mesh, size_t n_mesh)
{
	struct ip_endpoint ep = { .addr = facts->seen, .port = port_of(facts) };

	if (!is_of_use(&facts->seen, mesh, n_mesh))
		return;
	node->view.flags |= can_send(&facts->seen);
	if (node_facts_behind_nat(facts))
		add_endpoint(node, &ep, REACH_SEEN);
}

static uint32_t hash_site(const struct ip_addr *addr)
{
	/* Hosts of an IPv6 network have addresses of their own in the same /64. */
	uint32_t hash = (uint32_t)hash_bytes(addr->bytes, addr->family == AF_INET ? 4 : 8);

	return hash > SITE_INSIDE ? hash : SITE_INSIDE + 1;
}

static uint32_t site_of(const struct node_facts *facts)
{
	if (facts->seen.family == AF_UNSPEC ||
	    (!node_facts_behind_nat(facts) && is_private(&facts->seen)))
		return SITE_INSIDE;
	return hash_site(&facts->seen);
}

int reach_node_make(const struct node_facts *facts, const struct ip_prefix *mesh, size_t n_mesh,
		    struct reach_node *ret_node)
{
	struct reach_endpoint room[REACH_MAX_ENDPOINTS];
	struct reach_node node = { .endpoints = room };
	struct reach_endpoint *endpoints;

	node.view.site = site_of(facts);
	if (node_facts_behind_nat(facts))
		node.view.flags |= REACH_NAT;
	add_configured(&node, &facts->configured, mesh, n_mesh);
	add_own(&node, &facts->endpoints, REACH_PRIVATE, mesh, n_mesh);
	add_seen(&node, facts, mesh, n_mesh);
	add_own(&node, &facts->endpoints, REACH_PUBLIC, mesh, n_mesh);
	endpoints = calloc(node.n_endpoints + 1, sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	memcpy(endpoints, room, node.n_endpoints * sizeof(*endpoints));
	node.endpoints = endpoints;
	*ret_node = node;
	return 0;
}

void reach_node_done(struct reach_node *node)
{
	free(node->endpoints);
	*node = (struct reach_node){ 0 };
}

bool reach_view_equal(const struct reach_view *a, const struct reach_view *b)
{
	return a->flags == b->flags && a->site == b->site;
}

bool reach_node_equal(const struct reach_node *a, const struct reach_node *b)
{
	if (!reach_view_equal(&a->view, &b->view) || a->n_endpoints != b->n_endpoints)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++)
		if (a->endpoints[i].kind != b->endpoints[i].kind ||
		    !ip_endpoint_equal(&a->endpoints[i].endpoint, &b->endpoints[i].endpoint))
			return false;
	return true;
}

/* ---- two nodes ---- */

static bool same_site(const struct reach_view *a, const struct reach_view *b)
{
	return a->site != 0 && a->site == b->site;
}

/* Which families it can send by; of a node that has said nothing yet, both. */
static unsigned families(const struct reach_view *view)
{
	unsigned known = view->flags & (REACH_V4 | REACH_V6);

	return known ? known : REACH_V4 | REACH_V6;
}

static bool can_reach(const struct reach_view *from, const struct reach_view *to)
{
	if (same_site(from, to) && (to->flags & REACH_LOCAL))
		return true;
	return ((families(from) & REACH_V4) && (to->flags & REACH_OPEN4)) ||
	       ((families(from) & REACH_V6) && (to->flags & REACH_OPEN6));
}

static enum reach_path path_between(const struct reach_view *a, const struct reach_view *b)
{
	const unsigned open = REACH_OPEN4 | REACH_OPEN6;

	if (can_reach(a, b) || can_reach(b, a))
		return REACH_PATH;
	if ((a->flags | b->flags) & open)
		return REACH_NO_FAMILY;
	return (a->flags & b->flags & REACH_NAT) ? REACH_BOTH_NAT : REACH_NO_ENDPOINT;
}

const char *reach_path_reason(enum reach_path path)
{
	switch (path) {
	case REACH_PATH:
		return NULL;
	case REACH_BOTH_NAT:
		return "both hosts are behind NAT, and neither has a configured endpoint";
	case REACH_NO_FAMILY:
		return "one host has IPv4 alone, and the other can be reached by IPv6 alone";
	case REACH_NO_ENDPOINT:
		return "no address is known where either host can be reached";
	}
	return NULL;
}

static bool is_usable(const struct reach_view *viewer, const struct ip_endpoint *ep)
{
	return families(viewer) & (ep->addr.family == AF_INET ? REACH_V4 : REACH_V6);
}

/* Private addresses of another site are those of somebody else here. */
static bool is_meant_for(const struct reach_view *viewer, const struct reach_node *peer,
			 const struct reach_endpoint *ep)
{
	return ep->kind != REACH_PRIVATE || same_site(viewer, &peer->view);
}

static bool is_local(const struct reach_endpoint *ep)
{
	return ep->kind == REACH_PRIVATE;
}

/* Those of a family that the viewer has first: the first one is what agents try. */
static void add_endpoints(const struct reach_view *viewer, const struct reach_node *peer,
			  bool usable, struct reach_outcome *out)
{
	for (size_t i = 0; i < peer->n_endpoints; i++) {
		const struct reach_endpoint *ep = &peer->endpoints[i];

		if (is_meant_for(viewer, peer, ep) &&
		    (is_local(ep) || is_usable(viewer, &ep->endpoint)) == usable)
			out->endpoints[out->n_endpoints++] = ep;
	}
}

void reach_outcome(const struct reach_view *viewer, const struct reach_node *peer,
		   struct reach_outcome *ret_outcome)
{
	struct reach_outcome out = { .path = path_between(viewer, &peer->view) };
	bool inside = same_site(viewer, &peer->view) && (peer->view.flags & REACH_LOCAL);

	add_endpoints(viewer, peer, true, &out);
	add_endpoints(viewer, peer, false, &out);
	/*
	 * Who is behind NAT keeps its own way open; from the other side a keepalive would only
	 * follow hosts that are switched off. Without a path it would never end.
	 */
	if ((viewer->flags & REACH_NAT) && out.path == REACH_PATH && !inside)
		out.keepalive = REACH_KEEPALIVE;
	*ret_outcome = out;
}
