#include "agent/nft/match.h"

#include <net/if.h>
#include <string.h>

#include "agent/kernel/link_mark.h"

const struct family families[N_FAMILIES] = {
	{
		.nfproto = NFPROTO_IPV4,
		.saddr_offset = 12,
		.daddr_offset = 16,
		.addr_len = 4,
		.icmp = IPPROTO_ICMP,
		.own = NFT_SET_OWN4,
		.src = NFT_SET_SRC4,
		.net = NFT_SET_NET4,
		.port = NFT_SET_PORT4,
		.acl = NFT_SET_ACL4,
		.asked = NFT_SET_ASKED4,
		.loopback = { 127, 0, 0, 1 },
	},
	{
		.nfproto = NFPROTO_IPV6,
		.saddr_offset = 8,
		.daddr_offset = 24,
		.addr_len = 16,
		.icmp = IPPROTO_ICMPV6,
		.own = NFT_SET_OWN6,
		.src = NFT_SET_SRC6,
		.net = NFT_SET_NET6,
		.port = NFT_SET_PORT6,
		.acl = NFT_SET_ACL6,
		.asked = NFT_SET_ASKED6,
		.loopback = { [15] = 1 },
	},
};

const struct side side_in = { NFT_META_IIFNAME, NFT_META_IIFGROUP };
const struct side side_out = { NFT_META_OIFNAME, NFT_META_OIFGROUP };

void match_other_name(struct rule_build *build, enum nft_meta_keys key, const char *ifname)
{
	char name[IFNAMSIZ] = { 0 };

	strncpy(name, ifname, sizeof(name) - 1);
	expr_meta(build, key, NFT_REG_1);
	expr_cmp(build, NFT_CMP_NEQ, name, sizeof(name));
}

void match_elsewhere(struct rule_build *build, const struct side *side,
		     const struct nft_layout_config *config)
{
	const uint32_t group = LINK_GROUP;

	match_other_name(build, side->name, config->ifname);
	expr_meta(build, side->group, NFT_REG_1);
	expr_cmp(build, NFT_CMP_NEQ, &group, sizeof(group));
}

void match_family(struct rule_build *build, const struct family *family)
{
	expr_meta(build, NFT_META_NFPROTO, NFT_REG_1);
	expr_cmp(build, NFT_CMP_EQ, &family->nfproto, sizeof(family->nfproto));
}

void match_l4proto(struct rule_build *build, uint8_t proto)
{
	expr_meta(build, NFT_META_L4PROTO, NFT_REG_1);
	expr_cmp(build, NFT_CMP_EQ, &proto, sizeof(proto));
}

void match_own_daddr(struct rule_build *build, const struct family *family)
{
	match_family(build, family);
	expr_payload(build, NFT_PAYLOAD_NETWORK_HEADER, family->daddr_offset, family->addr_len,
		     NFT_REG_1);
	expr_lookup(build, nft_set_name(family->own));
}

void match_ct_state(struct rule_build *build, uint32_t states)
{
	uint32_t none = 0;

	expr_ct(build, NFT_CT_STATE, NFT_REG_1);
	expr_mask(build, &states, sizeof(states));
	expr_cmp(build, NFT_CMP_NEQ, &none, sizeof(none));
}

void match_direction(struct rule_build *build, enum ip_conntrack_dir ct_direction)
{
	uint8_t byte = (uint8_t)ct_direction;

	expr_ct(build, NFT_CT_DIRECTION, NFT_REG_1);
	expr_cmp(build, NFT_CMP_EQ, &byte, sizeof(byte));
}

/* The register so many bytes behind register 1, by the name that the kernel has for it. */
static enum nft_registers register_at(uint32_t offset)
{
	return offset % 16 ? NFT_REG32_00 + offset / 4 : NFT_REG_1 + offset / 16;
}

void load_question(struct rule_build *build, const struct family *family, enum direction direction)
{
	bool original = direction == ORIGINAL;

	expr_payload(build, NFT_PAYLOAD_NETWORK_HEADER,
		     original ? family->saddr_offset : family->daddr_offset, family->addr_len,
		     NFT_REG_1);
	expr_payload(build, NFT_PAYLOAD_NETWORK_HEADER,
		     original ? family->daddr_offset : family->saddr_offset, family->addr_len,
		     register_at(family->addr_len));
	expr_payload(build, NFT_PAYLOAD_TRANSPORT_HEADER, original ? 2 : 0, 2,
		     register_at(2 * family->addr_len));
}
