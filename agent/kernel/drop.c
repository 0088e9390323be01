#include "agent/kernel/drop.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

#include "common/cleanup.h"

#define IPV4_MIN    20
#define IPV6_HEADER 40
#define MAX_EXT	    8 /* extension headers of IPv6 that are passed over */
#define FRAGMENTED  0x1fff
#define FRAGMENT    44 /* RFC 8200 */

/* What is left of the packet. */
struct rest {
	const uint8_t *data;
	size_t len;
};

static uint16_t get_u16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static void take_ports(struct rest rest, struct drop *drop)
{
	bool ports = drop->proto == IPPROTO_TCP || drop->proto == IPPROTO_UDP ||
		     drop->proto == IPPROTO_SCTP || drop->proto == IPPROTO_UDPLITE ||
		     drop->proto == IPPROTO_DCCP;

	if (!ports || rest.len < 4)
		return;
	drop->has_ports = true;
	drop->sport = get_u16(rest.data);
	drop->dport = get_u16(rest.data + 2);
}

static void take_ipv4(struct rest rest, struct drop *drop)
{
	size_t header;

	if (rest.len < IPV4_MIN)
		return;
	drop->src.family = drop->dst.family = AF_INET;
	memcpy(drop->src.bytes, rest.data + 12, 4);
	memcpy(drop->dst.bytes, rest.data + 16, 4);
	drop->proto = rest.data[9];
	header = (rest.data[0] & 0x0f) * 4u;
	/* Only the first fragment has ports. */
	if (header < IPV4_MIN || header > rest.len || get_u16(rest.data + 6) & FRAGMENTED)
		return;
	take_ports((struct rest){ rest.data + header, rest.len - header }, drop);
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == FRAGMENT;
}

/* Return: false if there are no ports to be found behind it. */
static bool skip_extensions(struct rest *rest, uint8_t *next)
{
	for (int i = 0; is_extension(*next); i++) {
		size_t len;

		if (i == MAX_EXT || rest->len < 8)
			return false;
		/* All but the last three bits are the offset. */
		if (*next == FRAGMENT && get_u16(rest->data + 2) & ~7u)
			return false;
		len = *next == FRAGMENT ? 8 : (rest->data[1] + 1u) * 8;
		if (len > rest->len)
			return false;
		*next = rest->data[0];
		rest->data += len;
		rest->len -= len;
	}
	return true;
}

static void take_ipv6(struct rest rest, struct drop *drop)
{
	uint8_t next;

	if (rest.len < IPV6_HEADER)
		return;
	drop->src.family = drop->dst.family = AF_INET6;
	memcpy(drop->src.bytes, rest.data + 8, 16);
	memcpy(drop->dst.bytes, rest.data + 24, 16);
	next = rest.data[6];
	rest = (struct rest){ rest.data + IPV6_HEADER, rest.len - IPV6_HEADER };
	if (skip_extensions(&rest, &next)) {
		drop->proto = next;
		take_ports(rest, drop);
	}
}

static void take_packet(struct rest rest, struct drop *drop)
{
	if (rest.len == 0)
		return;
	if (rest.data[0] >> 4 == 4)
		take_ipv4(rest, drop);
	else if (rest.data[0] >> 4 == 6)
		take_ipv6(rest, drop);
}

static void take_reason(const char *text, size_t len, struct drop *drop)
{
	len = strnlen(text, len);
	if (len >= sizeof(drop->reason))
		len = sizeof(drop->reason) - 1;
	memcpy(drop->reason, text, len);
	drop->reason[len] = '\0';
}

static uint32_t get_index(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? ntohl(mnl_attr_get_u32(attr))
								  : 0;
}

static int take_attr(const struct nlattr *attr, void *userdata)
{
	const uint8_t *data = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	struct drop *drop = userdata;

	switch (mnl_attr_get_type(attr)) {
	case NFULA_PACKET_HDR:
		if (len >= sizeof(struct nfulnl_msg_packet_hdr))
			drop->hook = data[offsetof(struct nfulnl_msg_packet_hdr, hook)];
		break;
	case NFULA_IFINDEX_INDEV:
		drop->iif = get_index(attr);
		break;
	case NFULA_IFINDEX_OUTDEV:
		drop->oif = get_index(attr);
		break;
	case NFULA_PREFIX:
		take_reason((const char *)data, len, drop);
		break;
	case NFULA_PAYLOAD:
		take_packet((struct rest){ data, len }, drop);
		break;
	}
	return MNL_CB_OK;
}

int drop_parse(const struct nlmsghdr *nlh, struct drop *ret_drop)
{
	struct drop drop = { 0 };

	if (nlh->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg) ||
	    mnl_attr_parse(nlh, sizeof(struct nfgenmsg), take_attr, &drop) < 0)
		return -EBADMSG;
	*ret_drop = drop;
	return 0;
}
