#include "agent/rtnl/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

static void put_tuple(struct nlmsghdr *nlh, const struct ip_endpoint *src,
		      const struct ip_endpoint *dst)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG), *nest;
	bool v4 = src->addr.family == AF_INET;

	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, ip_addr_len(&src->addr),
		     src->addr.bytes);
	mnl_attr_put(nlh, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, ip_addr_len(&dst->addr),
		     dst->addr.bytes);
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(src->port));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(dst->port));
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

static const struct nlattr *find_nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) if (mnl_attr_get_type(attr) == type) return attr;
	return NULL;
}

/* Source address of the packet that began the connection. */
static int take_entry(const struct nlmsghdr *nlh, void *userdata)
{
	struct ip_addr *origin = userdata;
	const struct nlattr *attr, *found = NULL;

	mnl_attr_for_each(attr, nlh,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == CTA_TUPLE_ORIG)
		found = find_nested(attr, CTA_TUPLE_IP);
	if (found)
		found = find_nested(found,
				    origin->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
	if (!found || mnl_attr_get_payload_len(found) != ip_addr_len(origin))
		return -EBADMSG;
	memcpy(origin->bytes, mnl_attr_get_payload(found), ip_addr_len(origin));
	return 0;
}

int conntrack_is_outbound(struct nlsock *sock, const struct ip_endpoint *local,
			  const struct ip_endpoint *remote, bool *ret_outbound)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	struct ip_addr origin = { .family = local->addr.family };
	int r;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg->nfgen_family = (uint8_t)local->addr.family;
	nfg->version = NFNETLINK_V0;
	put_tuple(nlh, local, remote);
	r = nlsock_request(sock, nlh, take_entry, NULL, &origin);
	if (r < 0)
		return r;
	*ret_outbound = ip_addr_equal(&origin, &local->addr);
	return 0;
}
