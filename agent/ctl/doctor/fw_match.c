/* Loads and matches: registers know which of their bytes are known. */
#include "agent/ctl/doctor/fw_sim.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#define STATE_NEW 8u /* NF_CT_STATE_BIT(IP_CT_NEW) */
#define TCP_SYN	  0x02

/* ---- the packet ---- */

static void put(struct fw_bytes *bytes, size_t at, const void *value, size_t len)
{
	memcpy(bytes->value + at, value, len);
	memset(bytes->known + at, 0xff, len);
}

static uint8_t family_of(const struct fw_packet *packet)
{
	return packet->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

static void put_network(struct fw_sim *sim)
{
	const struct fw_packet *packet = sim->packet;
	bool v4 = family_of(packet) == NFPROTO_IPV4;
	const uint8_t version = v4 ? 0x45 : 0x60, no_fragment[2] = { 0 };

	if (v4) {
		put(&sim->network, 0, &version, 1);
		put(&sim->network, 6, no_fragment, 2);
	}
	put(&sim->network, v4 ? 9 : 6, &packet->proto, 1);
	if (packet->src.family)
		put(&sim->network, v4 ? 12 : 8, packet->src.bytes, ip_addr_len(&packet->src));
	if (packet->dst.family)
		put(&sim->network, v4 ? 16 : 24, packet->dst.bytes, ip_addr_len(&packet->dst));
}

static void put_transport(struct fw_sim *sim)
{
	const struct fw_packet *packet = sim->packet;
	const uint16_t sport = htons(packet->sport), dport = htons(packet->dport);
	const uint8_t echo4[2] = { 8, 0 }, echo6[2] = { 128, 0 }, flags = TCP_SYN;

	if (packet->proto == IPPROTO_ICMP)
		put(&sim->transport, 0, echo4, sizeof(echo4));
	else if (packet->proto == IPPROTO_ICMPV6)
		put(&sim->transport, 0, echo6, sizeof(echo6));
	if (packet->sport)
		put(&sim->transport, 0, &sport, sizeof(sport));
	if (packet->dport)
		put(&sim->transport, 2, &dport, sizeof(dport));
	if (packet->proto == IPPROTO_TCP)
		put(&sim->transport, 13, &flags, 1);
}

/* ---- registers ---- */

/* The kernel's numbers: four of 16 bytes, or the same as sixteen of 4. */
static size_t reg_offset(uint32_t reg)
{
	if (reg >= NFT_REG32_00 && reg <= NFT_REG32_15)
		return (reg - NFT_REG32_00) * 4;
	return reg >= NFT_REG_1 && reg <= NFT_REG_4 ? (reg - NFT_REG_1) * 16 : FW_DATA_MAX;
}

/* Do len bytes fit from the register on? */
static bool reg_fits(uint32_t reg, uint32_t len)
{
	size_t at = reg_offset(reg);

	return at < FW_DATA_MAX && len <= FW_DATA_MAX - at;
}

static void forget(struct fw_bytes *regs)
{
	memset(regs->known, 0, sizeof(regs->known));
}

static void load(struct fw_bytes *regs, uint32_t reg, const void *value, uint32_t len)
{
	if (reg_fits(reg, len))
		put(regs, reg_offset(reg), value, len);
	else
		forget(regs);
}

/* A register of up to 16 bytes gets something that is not known. */
static void blur(struct fw_bytes *regs, uint32_t reg)
{
	size_t at = reg_offset(reg), len = 16;

	if (at >= FW_DATA_MAX)
		return;
	if (len > FW_DATA_MAX - at)
		len = FW_DATA_MAX - at;
	memset(regs->known + at, 0, len);
}

static void load_name(struct fw_bytes *regs, uint32_t reg, const char *name)
{
	char padded[IFNAMSIZ] = { 0 };

	blur(regs, reg);
	if (!name)
		return;
	strncpy(padded, name, sizeof(padded) - 1);
	load(regs, reg, padded, sizeof(padded));
}

static void load_u32(struct fw_bytes *regs, uint32_t reg, uint32_t value, bool known)
{
	blur(regs, reg);
	if (known)
		load(regs, reg, &value, sizeof(value));
}

/* One byte or two: the rest of the register's word is zero. */
static void load_small(struct fw_bytes *regs, uint32_t reg, const void *value, uint32_t len)
{
	uint8_t word[4] = { 0 };

	memcpy(word, value, len);
	blur(regs, reg);
	load(regs, reg, word, sizeof(word));
}

static void do_meta(const struct fw_sim *sim, const struct fw_expr *expr, struct fw_bytes *regs)
{
	const struct fw_packet *packet = sim->packet;
	uint8_t family = family_of(packet), host = 0;
	uint16_t ether = htons(family == NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6);

	switch (expr->key) {
	case NFT_META_IIFNAME:
		return load_name(regs, expr->dreg, packet->iif);
	case NFT_META_OIFNAME:
		return load_name(regs, expr->dreg, packet->oif);
	case NFT_META_IIF:
		return load_u32(regs, expr->dreg, packet->iif_index, packet->iif_index);
	case NFT_META_OIF:
		return load_u32(regs, expr->dreg, packet->oif_index, packet->oif_index);
	case NFT_META_NFPROTO:
		return load_small(regs, expr->dreg, &family, 1);
	case NFT_META_L4PROTO:
		return load_small(regs, expr->dreg, &packet->proto, 1);
	case NFT_META_PROTOCOL:
		return load_small(regs, expr->dreg, &ether, sizeof(ether));
	case NFT_META_PKTTYPE:
		return load_small(regs, expr->dreg, &host, 1);
	default:
		return blur(regs, expr->dreg);
	}
}

static void do_ct(const struct fw_expr *expr, struct fw_bytes *regs)
{
	const uint8_t original = 0;

	switch (expr->key) {
	case NFT_CT_STATE:
		return load_u32(regs, expr->dreg, STATE_NEW, true);
	case NFT_CT_DIRECTION:
		return load_small(regs, expr->dreg, &original, 1);
	case NFT_CT_STATUS: /* seen no answer, and no translation */
		return load_u32(regs, expr->dreg, 0, true);
	default:
		return blur(regs, expr->dreg);
	}
}

static void do_payload(const struct fw_sim *sim, const struct fw_expr *expr, struct fw_bytes *regs)
{
	const struct fw_bytes *header = expr->key == NFT_PAYLOAD_NETWORK_HEADER ? &sim->network
					: expr->key == NFT_PAYLOAD_TRANSPORT_HEADER
						? &sim->transport
						: NULL;
	size_t to = reg_offset(expr->dreg);

	blur(regs, expr->dreg);
	if (!header || !reg_fits(expr->dreg, expr->len) || expr->offset > FW_DATA_MAX ||
	    expr->len > FW_DATA_MAX - expr->offset)
		return;
	memcpy(regs->value + to, header->value + expr->offset, expr->len);
	memcpy(regs->known + to, header->known + expr->offset, expr->len);
}

static void do_bitwise(const struct fw_expr *expr, struct fw_bytes *regs)
{
	size_t from = reg_offset(expr->reg), to = reg_offset(expr->dreg);

	if (!reg_fits(expr->reg, expr->len) || !reg_fits(expr->dreg, expr->len))
		return forget(regs);
	for (size_t i = 0; i < expr->len; i++) {
		regs->value[to + i] =
			(uint8_t)((regs->value[from + i] & expr->mask[i]) ^ expr->data[i]);
		/* What is masked out is known in any case. */
		regs->known[to + i] = expr->mask[i] == 0 ? 0xff : regs->known[from + i];
	}
}

/* ---- matches ---- */

static enum fw_match match_of(bool yes)
{
	return yes ? FW_YES : FW_NO;
}

static bool all_known(const struct fw_bytes *regs, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!regs->known[at + i])
			return false;
	return true;
}

static enum fw_match equal(const struct fw_bytes *regs, size_t at, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (regs->known[at + i] && regs->value[at + i] != data[i])
			return FW_NO;
	return all_known(regs, at, len) ? FW_YES : FW_PERHAPS;
}

static enum fw_match invert(enum fw_match match)
{
	return match == FW_YES ? FW_NO : match == FW_NO ? FW_YES : FW_PERHAPS;
}

static enum fw_match do_cmp(const struct fw_expr *expr, const struct fw_bytes *regs)
{
	size_t at = reg_offset(expr->reg);
	int order;

	if (!reg_fits(expr->reg, expr->len))
		return FW_PERHAPS;
	if (expr->key == NFT_CMP_EQ)
		return equal(regs, at, expr->data, expr->len);
	if (expr->key == NFT_CMP_NEQ)
		return invert(equal(regs, at, expr->data, expr->len));
	if (!all_known(regs, at, expr->len))
		return FW_PERHAPS;
	order = memcmp(regs->value + at, expr->data, expr->len);
	switch (expr->key) {
	case NFT_CMP_LT:
		return match_of(order < 0);
	case NFT_CMP_LTE:
		return match_of(order <= 0);
	case NFT_CMP_GT:
		return match_of(order > 0);
	case NFT_CMP_GTE:
		return match_of(order >= 0);
	default:
		return FW_PERHAPS;
	}
}

static enum fw_match do_range(const struct fw_expr *expr, const struct fw_bytes *regs)
{
	size_t at = reg_offset(expr->reg);
	bool in;

	if (!reg_fits(expr->reg, expr->len) || !all_known(regs, at, expr->len))
		return FW_PERHAPS;
	in = memcmp(regs->value + at, expr->data, expr->len) >= 0 &&
	     memcmp(regs->value + at, expr->mask, expr->len) <= 0;
	return match_of(in == (expr->key == NFT_RANGE_EQ));
}

/* Ranges are kept as their first elements and the elements behind their last. */
static enum fw_match find_interval(const struct fw_set *set, const struct fw_bytes *regs, size_t at,
				   const struct fw_element **ret_element)
{
	const struct fw_element *best = NULL;

	if (!all_known(regs, at, set->key_len))
		return FW_PERHAPS;
	for (size_t i = 0; i < set->n_elements; i++) {
		const struct fw_element *e = &set->elements[i];
		int order = best ? memcmp(e->key, best->key, set->key_len) : 1;

		if (memcmp(e->key, regs->value + at, set->key_len) > 0 || order < 0)
			continue;
		/* Where a range begins behind another, both stand at one place. */
		if (order > 0 || best->interval_end)
			best = e;
	}
	if (!best || best->interval_end)
		return FW_NO;
	*ret_element = best;
	return FW_YES;
}

static enum fw_match find_exact(const struct fw_set *set, const struct fw_bytes *regs, size_t at,
				const struct fw_element **ret_element)
{
	enum fw_match best = FW_NO;

	for (size_t i = 0; i < set->n_elements && best != FW_YES; i++) {
		enum fw_match match = equal(regs, at, set->elements[i].key, set->key_len);

		if (match > best)
			best = match;
		if (match == FW_YES)
			*ret_element = &set->elements[i];
	}
	return best;
}

static enum fw_match find_element(const struct fw_set *set, const struct fw_expr *expr,
				  const struct fw_bytes *regs,
				  const struct fw_element **ret_element)
{
	size_t at = reg_offset(expr->reg);

	if (!set || !set->complete || set->key_len == 0 || !reg_fits(expr->reg, set->key_len))
		return FW_PERHAPS;
	if (set->n_elements == 0)
		return FW_NO;
	if (!(set->flags & NFT_SET_INTERVAL))
		return find_exact(set, regs, at, ret_element);
	/* Ranges of several fields each: not worth the trouble here. */
	return set->flags & NFT_SET_CONCAT ? FW_PERHAPS : find_interval(set, regs, at, ret_element);
}

static bool port_in(const struct fw_expr *expr, uint16_t port)
{
	for (size_t i = 0; i < expr->len && (i + 1) * 4 <= FW_DATA_MAX; i++) {
		uint16_t range[2];

		memcpy(range, expr->data + i * sizeof(range), sizeof(range));
		if (port >= range[0] && port <= range[1])
			return true;
	}
	return false;
}

static enum fw_match do_xt_ports(const struct fw_sim *sim, const struct fw_expr *expr)
{
	uint16_t sport = sim->packet->sport, dport = sim->packet->dport;
	enum fw_match src = sport ? match_of(port_in(expr, sport)) : FW_PERHAPS;
	enum fw_match dst = dport ? match_of(port_in(expr, dport)) : FW_PERHAPS;
	enum fw_match match = expr->key == 0 ? src : expr->key == 1 ? dst : src > dst ? src : dst;

	return expr->reg ? invert(match) : match;
}

static enum fw_match do_xt_dst_type(const struct fw_sim *sim, const struct fw_expr *expr)
{
	/* What comes in is asked about for own addresses only, what goes out for another host's. */
	bool out = sim->packet->hook == NF_INET_LOCAL_OUT ||
		   sim->packet->hook == NF_INET_POST_ROUTING || sim->packet->hook == FW_EGRESS;
	enum fw_match match = match_of(expr->key & 1u << (out ? RTN_UNICAST : RTN_LOCAL));

	return expr->reg ? invert(match) : match;
}

void fw_sim_init(struct fw_sim *sim, const struct fw *fw, const struct fw_packet *packet)
{
	*sim = (struct fw_sim){ .fw = fw, .packet = packet };
	put_network(sim);
	put_transport(sim);
}

static enum fw_match do_lookup(const struct fw_sim *sim, const struct fw_chain *chain,
			       const struct fw_expr *expr, const struct fw_bytes *regs,
			       const struct fw_element **ret_element)
{
	const struct fw_set *set = fw_find_set(sim->fw, chain->family, chain->table, expr->name);
	enum fw_match match = find_element(set, expr, regs, ret_element);

	return expr->key ? invert(match) : match;
}

enum fw_match fw_match_expr(const struct fw_sim *sim, const struct fw_chain *chain,
			    const struct fw_expr *expr, struct fw_bytes *regs,
			    const struct fw_element **ret_element)
{
	switch (expr->kind) {
	case FW_META:
		do_meta(sim, expr, regs);
		return FW_YES;
	case FW_CT:
		do_ct(expr, regs);
		return FW_YES;
	case FW_PAYLOAD:
		do_payload(sim, expr, regs);
		return FW_YES;
	case FW_BITWISE:
		do_bitwise(expr, regs);
		return FW_YES;
	case FW_VALUE:
		load(regs, expr->dreg, expr->data, expr->len);
		return FW_YES;
	case FW_CMP:
		return do_cmp(expr, regs);
	case FW_RANGE:
		return do_range(expr, regs);
	case FW_LOOKUP:
		return do_lookup(sim, chain, expr, regs, ret_element);
	case FW_XT_PORTS:
		return do_xt_ports(sim, expr);
	case FW_XT_STATE:
		return match_of(!(expr->key & STATE_NEW) == (expr->reg != 0));
	case FW_XT_DST_TYPE:
		return do_xt_dst_type(sim, expr);
	case FW_VERDICT:
	case FW_DROP:
	case FW_DIVERT:
	case FW_LEAVE:
	case FW_PASS:
		return FW_YES;
	case FW_UNKNOWN:
		forget(regs);
		return FW_PERHAPS;
	}
	return FW_PERHAPS;
}
