#include "tests/unit/wg-stand-in.h"

#include <errno.h>
#include <netlink/route/link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/kernel/link_mark.h"
#include "agent/rtnl/rtnl.h"
#include "agent/wg/wg.h"
#include "tests/unit/netns.h"

#define MAX_PEERS 8

void (*wg_stand_in_on_read)(void);
int wg_stand_in_link_error;

struct fake_peer {
	struct wg_key key;
	struct ip_prefix allowed[MAX_PEERS];
	size_t n_allowed;
};

/* Shared with the children: it outlives them, as the kernel does. */
static struct fake_device {
	struct wg_key public_key;
	uint16_t listen_port;
	struct fake_peer peers[MAX_PEERS];
	size_t n_peers;
} * fake; /* NULL: WireGuard is real */

int __real_wg_get(struct wg *wg, const char *ifname, struct wg_device **ret_device);
int __real_wg_set(struct wg *wg, const char *ifname, const struct wg_device *to,
		  const struct wg_diff *diff, const struct wg_key *private_key);
int __real_rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state);
int __real_rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state);
int __real_rtnl_create_link(struct rtnl *rtnl, const char *ifname, unsigned mtu);
int __wrap_wg_get(struct wg *wg, const char *ifname, struct wg_device **ret_device);
int __wrap_wg_set(struct wg *wg, const char *ifname, const struct wg_device *to,
		  const struct wg_diff *diff, const struct wg_key *private_key);
int __wrap_rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state);
int __wrap_rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state);
int __wrap_rtnl_create_link(struct rtnl *rtnl, const char *ifname, unsigned mtu);

int __wrap_wg_get(struct wg *wg, const char *ifname, struct wg_device **ret_device)
{
	struct wg_device *device;

	if (wg_stand_in_on_read)
		wg_stand_in_on_read();
	if (!fake)
		return __real_wg_get(wg, ifname, ret_device);
	device = wg_device_new();
	device->public_key = fake->public_key;
	device->listen_port = fake->listen_port;
	for (size_t i = 0; i < fake->n_peers; i++) {
		struct wg_peer *peer = wg_device_add(device, &fake->peers[i].key);
		size_t n_alloc = 0;

		for (size_t j = 0; j < fake->peers[i].n_allowed; j++)
			assert_int_equal(wg_peer_allow(peer, &n_alloc, &fake->peers[i].allowed[j]),
					 0);
	}
	wg_device_sort(device);
	*ret_device = device;
	return 0;
}

static struct fake_peer *fake_find(const struct wg_key *key)
{
	for (size_t i = 0; i < fake->n_peers; i++)
		if (wg_key_equal(&fake->peers[i].key, key))
			return &fake->peers[i];
	return NULL;
}

/* A prefix belongs to one peer: whoever had it loses it. */
static void fake_allow(struct fake_peer *peer, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < fake->n_peers; i++) {
		struct fake_peer *other = &fake->peers[i];

		for (size_t j = 0; j < other->n_allowed; j++)
			if (ip_prefix_compare(&other->allowed[j], prefix) == 0)
				other->allowed[j--] = other->allowed[--other->n_allowed];
	}
	peer->allowed[peer->n_allowed++] = *prefix;
}

static void fake_change(const struct wg_change *change)
{
	struct fake_peer *peer = fake_find(&change->peer->key);

	if (change->remove) {
		if (peer)
			*peer = fake->peers[--fake->n_peers];
		return;
	}
	if (!peer) {
		peer = &fake->peers[fake->n_peers++];
		*peer = (struct fake_peer){ .key = change->peer->key };
	}
	if (change->replace_allowed)
		peer->n_allowed = 0;
	for (size_t i = 0; i < change->n_allowed; i++)
		fake_allow(peer, &change->allowed[i]);
}

/* A moment at which the child may be killed; the sends of libmnl and libnl are others. */
static void kill_point(void)
{
	syscall(SYS_getppid);
}

int __wrap_wg_set(struct wg *wg, const char *ifname, const struct wg_device *to,
		  const struct wg_diff *diff, const struct wg_key *private_key)
{
	if (!fake)
		return __real_wg_set(wg, ifname, to, diff, private_key);
	if (diff->set_private_key)
		fake->public_key = to->public_key;
	if (diff->set_listen_port)
		fake->listen_port = to->listen_port;
	for (size_t i = 0; i < diff->n_changes; i++) {
		kill_point();
		fake_change(&diff->changes[i]);
	}
	return 0;
}

int __wrap_rtnl_get_link(struct rtnl *rtnl, const char *ifname, struct rtnl_link_state *ret_state)
{
	int r = wg_stand_in_link_error;

	if (r == 0)
		r = __real_rtnl_get_link(rtnl, ifname, ret_state);
	if (r == 0 && fake)
		ret_state->wireguard = true;
	return r;
}

int __wrap_rtnl_find_marked_link(struct rtnl *rtnl, int ifindex, struct rtnl_link_state *ret_state)
{
	static const char *const names[] = { WG_STAND_IN_NAME, WG_STAND_IN_OTHER_NAME };

	if (!fake)
		return __real_rtnl_find_marked_link(rtnl, ifindex, ret_state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (__real_rtnl_get_link(rtnl, names[i], ret_state) == 0 &&
		    (ret_state->marked || ret_state->ifindex == ifindex))
			return 0;
	return -ENODEV;
}

static int add_stand_in(const char *ifname, unsigned mtu)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct rtnl_link *link = rtnl_link_alloc();
	int r;

	rtnl_link_set_name(link, ifname);
	rtnl_link_set_mtu(link, mtu);
	rtnl_link_set_group(link, LINK_GROUP);
	rtnl_link_set_type(link, "ifb");
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r == 0)
		r = rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	nl_socket_free(sock);
	return r < 0 ? -EIO : 0;
}

int __wrap_rtnl_create_link(struct rtnl *rtnl, const char *ifname, unsigned mtu)
{
	struct rtnl_link_state state;
	int r;

	if (!fake)
		return __real_rtnl_create_link(rtnl, ifname, mtu);
	*fake = (struct fake_device){ 0 };
	r = add_stand_in(ifname, mtu);
	if (r == 0)
		r = __real_rtnl_get_link(rtnl, ifname, &state);
	return r < 0 ? r : rtnl_mark_link(rtnl, state.ifindex);
}

bool wg_stand_in_begin(void)
{
	if (netns_has_wireguard())
		return false;
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(fake, MAP_FAILED);
	return true;
}

void wg_stand_in_wipe(void)
{
	if (fake)
		*fake = (struct fake_device){ 0 };
}
