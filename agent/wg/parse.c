#include "agent/wg/parse.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <string.h>

void wg_parse_restart(struct wg_parse *parse)
{
	struct wg_device *device = parse->device;

	for (size_t i = 0; i < device->n_peers; i++)
		free(device->peers[i].allowed);
	device->n_peers = 0;
	parse->n_allowed_alloc = 0;
}

/* Copy a value of exactly this size. */
static int get(const struct nlattr *attr, void *target, size_t len)
{
	if (mnl_attr_get_payload_len(attr) != len)
		return -EBADMSG;
	memcpy(target, mnl_attr_get_payload(attr), len);
	return 0;
}

static int parse_endpoint(const struct nlattr *attr, struct wg_peer *peer)
{
	struct sockaddr_storage ss = { 0 };
	uint16_t len = mnl_attr_get_payload_len(attr);

	if (len > sizeof(ss))
		return -EBADMSG;
	memcpy(&ss, mnl_attr_get_payload(attr), len);
	/* One that we cannot express counts as unknown. */
	(void)ip_endpoint_from_sockaddr((const struct sockaddr *)&ss, len, &peer->endpoint);
	return 0;
}

static int parse_handshake(const struct nlattr *attr, struct wg_peer *peer)
{
	struct __kernel_timespec time;
	int r = get(attr, &time, sizeof(time));

	if (r == 0 && time.tv_sec > 0)
		peer->last_handshake =
			(uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
	return r;
}

static int parse_allowed_ip(struct wg_parse *parse, struct wg_peer *peer, const struct nlattr *nest)
{
	struct ip_prefix prefix = { 0 };
	const struct nlattr *attr;
	uint16_t family = AF_UNSPEC;
	int r = 0;

	mnl_attr_for_each_nested(attr, nest)
	{
		switch (mnl_attr_get_type(attr)) {
		case WGALLOWEDIP_A_FAMILY:
			r = get(attr, &family, sizeof(family));
			prefix.addr.family = family;
			break;
		case WGALLOWEDIP_A_IPADDR:
			if (mnl_attr_get_payload_len(attr) > sizeof(prefix.addr.bytes))
				return -EBADMSG;
			memcpy(prefix.addr.bytes, mnl_attr_get_payload(attr),
			       mnl_attr_get_payload_len(attr));
			break;
		case WGALLOWEDIP_A_CIDR_MASK:
			r = get(attr, &prefix.len, sizeof(prefix.len));
			break;
		}
		if (r < 0)
			return r;
	}
	if (ip_addr_len(&prefix.addr) == 0 || prefix.len > ip_addr_bits(&prefix.addr))
		return -EBADMSG;
	return wg_peer_allow(peer, &parse->n_allowed_alloc, &prefix);
}

static int parse_allowed(struct wg_parse *parse, struct wg_peer *peer, const struct nlattr *list)
{
	const struct nlattr *nest;
	int r;

	mnl_attr_for_each_nested(nest, list)
	{
		r = parse_allowed_ip(parse, peer, nest);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_peer_attr(struct wg_parse *parse, struct wg_peer *peer, const struct nlattr *attr)
{
	switch (mnl_attr_get_type(attr)) {
	case WGPEER_A_ENDPOINT:
		return parse_endpoint(attr, peer);
	case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
		return get(attr, &peer->keepalive, sizeof(peer->keepalive));
	case WGPEER_A_LAST_HANDSHAKE_TIME:
		return parse_handshake(attr, peer);
	case WGPEER_A_RX_BYTES:
		return get(attr, &peer->rx_bytes, sizeof(peer->rx_bytes));
	case WGPEER_A_TX_BYTES:
		return get(attr, &peer->tx_bytes, sizeof(peer->tx_bytes));
	case WGPEER_A_ALLOWEDIPS:
		return parse_allowed(parse, peer, attr);
	}
	return 0;
}

/* The peer that this part is about: a new one, or the one that the last message broke off. */
static struct wg_peer *peer_for(struct wg_parse *parse, const struct wg_key *key)
{
	struct wg_device *device = parse->device;

	if (device->n_peers > 0 && wg_key_equal(&device->peers[device->n_peers - 1].key, key))
		return &device->peers[device->n_peers - 1];
	parse->n_allowed_alloc = 0;
	return wg_device_add(device, key);
}

static int parse_peer(struct wg_parse *parse, const struct nlattr *nest)
{
	const struct nlattr *attr;
	struct wg_peer *peer;
	struct wg_key key;
	bool found = false;
	int r = 0;

	mnl_attr_for_each_nested(attr, nest) if (mnl_attr_get_type(attr) == WGPEER_A_PUBLIC_KEY)
		found = get(attr, key.bytes, sizeof(key.bytes)) == 0;
	if (!found)
		return -EBADMSG;
	peer = peer_for(parse, &key);
	if (!peer)
		return -ENOMEM;
	mnl_attr_for_each_nested(attr, nest) if (r == 0) r = parse_peer_attr(parse, peer, attr);
	return r;
}

static int parse_peers(struct wg_parse *parse, const struct nlattr *list)
{
	const struct nlattr *nest;
	int r;

	mnl_attr_for_each_nested(nest, list)
	{
		r = parse_peer(parse, nest);
		if (r < 0)
			return r;
	}
	return 0;
}

int wg_parse_message(struct wg_parse *parse, const struct nlmsghdr *nlh)
{
	struct wg_device *device = parse->device;
	const struct nlattr *attr;
	int r = 0;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
	{
		switch (mnl_attr_get_type(attr)) {
		case WGDEVICE_A_PUBLIC_KEY:
			r = get(attr, device->public_key.bytes, WG_KEY_LEN);
			break;
		case WGDEVICE_A_LISTEN_PORT:
			r = get(attr, &device->listen_port, sizeof(device->listen_port));
			break;
		case WGDEVICE_A_FWMARK:
			r = get(attr, &device->fwmark, sizeof(device->fwmark));
			break;
		case WGDEVICE_A_PEERS:
			r = parse_peers(parse, attr);
			break;
		}
		if (r < 0)
			return r;
	}
	return 0;
}
