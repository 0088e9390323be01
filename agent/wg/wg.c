#include "agent/wg/wg.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <string.h>

#include "agent/netlink/nlsock.h"
#include "agent/wg/parse.h"

/* Nested attributes have 16 bits of length: peers are spread over messages below that. */
#define MESSAGE_BYTES 56000u

struct wg {
	struct nlsock *sock;
	uint16_t family; /* 0: not asked yet */
};

int wg_open(struct wg **ret_wg)
{
	_cleanup_(wg_freep) struct wg *wg = calloc(1, sizeof(*wg));
	int r;

	if (!wg)
		return -ENOMEM;
	r = nlsock_open(NETLINK_GENERIC, &wg->sock);
	if (r < 0)
		return r;
	*ret_wg = take_ptr(wg);
	return 0;
}

struct wg *wg_free(struct wg *wg)
{
	if (!wg)
		return NULL;
	wg->sock = nlsock_free(wg->sock);
	free(wg);
	return NULL;
}

static struct nlmsghdr *start(void *buf, uint16_t type, uint16_t flags, uint8_t cmd,
			      uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

static int take_family(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nlattr *attr;
	uint16_t *family = userdata;

	mnl_attr_for_each(
		attr, nlh,
		sizeof(struct genlmsghdr)) if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
					       mnl_attr_validate(attr, MNL_TYPE_U16) >= 0) *family =
		mnl_attr_get_u16(attr);
	return 0;
}

/* The number that generic netlink has given to WireGuard; asking loads the module. */
static int find_family(struct wg *wg)
{
	char buf[256];
	struct nlmsghdr *nlh;
	int r;

	if (wg->family)
		return 0;
	nlh = start(buf, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	r = nlsock_request(wg->sock, nlh, take_family, NULL, &wg->family);
	if (r == -ENOENT || (r == 0 && !wg->family))
		return -EOPNOTSUPP;
	return r;
}

static void restart_dump(void *userdata)
{
	wg_parse_restart(userdata);
}

static int take_device(const struct nlmsghdr *nlh, void *userdata)
{
	return wg_parse_message(userdata, nlh);
}

int wg_get(struct wg *wg, const char *ifname, struct wg_device **ret_device)
{
	struct wg_parse parse = { .device = wg_device_new() };
	char buf[256];
	struct nlmsghdr *nlh;
	int r;

	if (!parse.device)
		return -ENOMEM;
	r = find_family(wg);
	if (r == 0) {
		nlh = start(buf, wg->family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
		mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, ifname);
		r = nlsock_request(wg->sock, nlh, take_device, restart_dump, &parse);
		nlsock_wipe(wg->sock); /* it held the private key */
	}
	if (r < 0) {
		wg_device_free(parse.device);
		return r;
	}
	wg_device_sort(parse.device);
	*ret_device = parse.device;
	return 0;
}

static void put_endpoint(struct nlmsghdr *nlh, const struct ip_endpoint *endpoint)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = ip_endpoint_to_sockaddr(endpoint, &ss);

	mnl_attr_put(nlh, WGPEER_A_ENDPOINT, len, &ss);
}

static void put_allowed(struct nlmsghdr *nlh, const struct ip_prefix *allowed, size_t n)
{
	struct nlattr *list = mnl_attr_nest_start(nlh, WGPEER_A_ALLOWEDIPS);

	for (size_t i = 0; i < n; i++) {
		struct nlattr *nest = mnl_attr_nest_start(nlh, 0);

		mnl_attr_put_u16(nlh, WGALLOWEDIP_A_FAMILY, allowed[i].addr.family);
		mnl_attr_put(nlh, WGALLOWEDIP_A_IPADDR, ip_addr_len(&allowed[i].addr),
			     allowed[i].addr.bytes);
		mnl_attr_put_u8(nlh, WGALLOWEDIP_A_CIDR_MASK, allowed[i].len);
		mnl_attr_nest_end(nlh, nest);
	}
	mnl_attr_nest_end(nlh, list);
}

static void put_change(struct nlmsghdr *nlh, const struct wg_change *change)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, 0);
	uint32_t flags = 0;

	if (change->remove)
		flags |= WGPEER_F_REMOVE_ME;
	if (!change->add)
		flags |= WGPEER_F_UPDATE_ONLY;
	if (change->replace_allowed)
		flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
	mnl_attr_put(nlh, WGPEER_A_PUBLIC_KEY, WG_KEY_LEN, change->peer->key.bytes);
	mnl_attr_put_u32(nlh, WGPEER_A_FLAGS, flags);
	if (change->set_endpoint)
		put_endpoint(nlh, &change->peer->endpoint);
	if (change->set_keepalive)
		mnl_attr_put_u16(nlh, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
				 change->peer->keepalive);
	if (change->n_allowed > 0)
		put_allowed(nlh, change->allowed, change->n_allowed);
	mnl_attr_nest_end(nlh, nest);
}

/* Bytes of a change, at most. */
static size_t change_size(const struct wg_change *change)
{
	return 128 + 40 * change->n_allowed;
}

static struct nlmsghdr *start_set(struct wg *wg, void *buf, const char *ifname)
{
	struct nlmsghdr *nlh =
		start(buf, wg->family, NLM_F_ACK, WG_CMD_SET_DEVICE, WG_GENL_VERSION);

	mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, ifname);
	return nlh;
}

static int set_device(struct wg *wg, void *buf, const char *ifname, const struct wg_device *to,
		      const struct wg_diff *diff, const struct wg_key *private_key)
{
	struct nlmsghdr *nlh = start_set(wg, buf, ifname);
	int r;

	if (diff->set_private_key)
		mnl_attr_put(nlh, WGDEVICE_A_PRIVATE_KEY, WG_KEY_LEN, private_key->bytes);
	if (diff->set_listen_port)
		mnl_attr_put_u16(nlh, WGDEVICE_A_LISTEN_PORT, to->listen_port);
	if (diff->set_fwmark)
		mnl_attr_put_u32(nlh, WGDEVICE_A_FWMARK, to->fwmark);
	r = nlsock_request(wg->sock, nlh, NULL, NULL, NULL);
	explicit_bzero(buf, nlh->nlmsg_len);
	nlsock_wipe(wg->sock);
	return r;
}

/* As many changes as fit into one message. *pos moves on. */
static int set_peers(struct wg *wg, void *buf, const char *ifname, const struct wg_diff *diff,
		     size_t *pos)
{
	struct nlmsghdr *nlh = start_set(wg, buf, ifname);
	struct nlattr *list = mnl_attr_nest_start(nlh, WGDEVICE_A_PEERS);
	size_t first = *pos;

	while (*pos < diff->n_changes &&
	       (*pos == first ||
		nlh->nlmsg_len + change_size(&diff->changes[*pos]) < MESSAGE_BYTES))
		put_change(nlh, &diff->changes[(*pos)++]);
	mnl_attr_nest_end(nlh, list);
	return nlsock_request(wg->sock, nlh, NULL, NULL, NULL);
}

int wg_set(struct wg *wg, const char *ifname, const struct wg_device *to,
	   const struct wg_diff *diff, const struct wg_key *private_key)
{
	_cleanup_free_ void *buf = calloc(1, NLSOCK_MESSAGE_MAX);
	size_t pos = 0;
	int r;

	if (!buf)
		return -ENOMEM;
	r = find_family(wg);
	if (r == 0 && (diff->set_private_key || diff->set_listen_port || diff->set_fwmark))
		r = set_device(wg, buf, ifname, to, diff, private_key);
	while (r == 0 && pos < diff->n_changes)
		r = set_peers(wg, buf, ifname, diff, &pos);
	return r;
}
