#include "tests/unit/rtnl-state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/netns.h"

static const char *const prefixes[] = { "10.1.0.0/16", "2001:db8:1::/64" };
static const char *const guarded[] = { "100.64.0.0/10", "fd00:1::/48" };
static const char *const addresses[] = { "100.64.0.1", "fd00:1::1" };

static void parse(const char *const texts[2], struct ip_prefix ret_prefixes[2])
{
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ip_prefix_parse(texts[i], &ret_prefixes[i]), 0);
}

static int sync_all(struct rtnl *rtnl, int ifindex, size_t n, struct rtnl_changes *changes)
{
	struct ip_prefix routes[2], guards[2];
	struct ip_addr own[2];
	int r;

	parse(prefixes, routes);
	parse(guarded, guards);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ip_addr_parse(addresses[i], &own[i]), 0);
	r = rtnl_sync_addresses(rtnl, ifindex, own, n, changes);
	if (r == 0)
		r = rtnl_sync_routes(rtnl, ifindex, routes, n, changes);
	return r < 0 ? r : rtnl_sync_guards(rtnl, guards, n, changes);
}

int rtnl_state_make(struct rtnl *rtnl, struct rtnl_changes *changes)
{
	struct rtnl_changes done = { 0 };
	struct rtnl_link_state link;
	int r = rtnl_get_link(rtnl, STATE_LINK, &link);

	if (r == 0 && !link.marked)
		r = rtnl_mark_link(rtnl, link.ifindex);
	if (r == 0 && link.mtu != 1400)
		r = rtnl_set_link_mtu(rtnl, link.ifindex, 1400);
	if (r == 0 && !link.up)
		r = rtnl_set_link_up(rtnl, link.ifindex, true);
	if (r == 0)
		r = sync_all(rtnl, link.ifindex, 2, changes ? changes : &done);
	return r;
}

int rtnl_state_clear(struct rtnl *rtnl)
{
	struct rtnl_changes done = { 0 };
	struct rtnl_link_state link;
	int r = rtnl_get_link(rtnl, STATE_LINK, &link);

	if (r == 0)
		r = sync_all(rtnl, link.ifindex, 0, &done);
	if (r == 0)
		r = rtnl_set_link_mtu(rtnl, link.ifindex, 1500);
	return r < 0 ? r : rtnl_set_link_up(rtnl, link.ifindex, false);
}

void rtnl_state_assert(void)
{
	assert_output("ip -o link show " STATE_LINK " | grep -o 'mtu [0-9]*\\|UP' | sort -u",
		      "UP\nmtu 1400\n");
	assert_output("(ip -o -4 addr show dev " STATE_LINK "; ip -o -6 addr show dev " STATE_LINK
		      " scope global) | grep -o 'inet6\\? [^ ]*'",
		      "inet 100.64.0.1/32\ninet6 fd00:1::1/128\n");
	assert_output("(ip -4 route show proto 201; ip -6 route show proto 201) | cut -d' ' -f1-3",
		      "10.1.0.0/16 dev " STATE_LINK "\n2001:db8:1::/64 dev " STATE_LINK "\n");
	assert_output("(ip -4 route show proto 202; ip -6 route show proto 202) | cut -d' ' -f1-2",
		      "unreachable 100.64.0.0/10\nunreachable fd00:1::/48\n");
}
