/*
 * xtables within nftables, as iptables-nft writes it. Parameters are the kernel's structures of
 * linux/netfilter/xt_*.h, in host byte order.
 */
#include "agent/ctl/doctor/fw.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stddef.h>
#include <string.h>

/*
 * What the revisions of struct xt_conntrack_mtinfo begin with: the kernel's header defines it by
 * enumerators that clash with another's. In the first, the masks are of one byte each.
 */
struct conntrack_mtinfo {
	uint8_t addresses[8][16];
	uint32_t expires_min, expires_max;
	uint16_t l4proto;
	uint16_t ports[4];
	uint16_t match_flags, invert_flags;
	uint8_t states[2];
};
/* In flags: XT_CONNTRACK_STATE, and XT_CONNTRACK_STATE_ALIAS for "-m state". */
#define CONNTRACK_STATE 0x0001u
#define CONNTRACK_ALIAS 0x2000u

static bool copy(void *to, size_t size, const uint8_t *info, size_t len)
{
	/* Lengths are padded to what the machine aligns to. */
	if (len < size)
		return false;
	memcpy(to, info, size);
	return true;
}

static void add_range(struct fw_expr *expr, uint16_t first, uint16_t last)
{
	const uint16_t range[2] = { first, last };

	memcpy(expr->data + expr->len * sizeof(range), range, sizeof(range));
	expr->len++;
}

/* Both ends of tcp and udp at once are more than one expression holds: only one may be limited. */
static void take_ports(const uint16_t spts[2], const uint16_t dpts[2], bool invert_src,
		       bool invert_dst, struct fw_expr *expr)
{
	bool any_src = spts[0] == 0 && spts[1] == UINT16_MAX && !invert_src;
	bool any_dst = dpts[0] == 0 && dpts[1] == UINT16_MAX && !invert_dst;

	if (!any_src && !any_dst)
		return;
	expr->kind = FW_XT_PORTS;
	expr->key = any_src;
	expr->reg = any_src ? invert_dst : invert_src;
	add_range(expr, any_src ? dpts[0] : spts[0], any_src ? dpts[1] : spts[1]);
}

static void take_tcp(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct xt_tcp tcp;

	if (!copy(&tcp, sizeof(tcp), info, len) || tcp.option || tcp.flg_mask)
		return;
	take_ports(tcp.spts, tcp.dpts, tcp.invflags & XT_TCP_INV_SRCPT,
		   tcp.invflags & XT_TCP_INV_DSTPT, expr);
}

static void take_udp(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct xt_udp udp;

	if (copy(&udp, sizeof(udp), info, len))
		take_ports(udp.spts, udp.dpts, udp.invflags & XT_UDP_INV_SRCPT,
			   udp.invflags & XT_UDP_INV_DSTPT, expr);
}

static void take_multiport(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct xt_multiport_v1 multi;

	if (revision != 1 || !copy(&multi, sizeof(multi), info, len) ||
	    multi.count > XT_MULTI_PORTS || multi.flags > XT_MULTIPORT_EITHER)
		return;
	expr->kind = FW_XT_PORTS;
	expr->key = multi.flags;
	expr->reg = multi.invert;
	for (unsigned i = 0; i < multi.count; i++) {
		/* pflags: this one begins a range, which the next one ends. */
		bool range = multi.pflags[i] && i + 1 < multi.count;

		add_range(expr, multi.ports[i], multi.ports[i + range]);
		i += range;
	}
}

static void take_conntrack(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct conntrack_mtinfo ct;
	uint16_t states;

	if (revision < 1 || !copy(&ct, sizeof(ct), info, len) ||
	    (ct.match_flags & ~CONNTRACK_ALIAS) != CONNTRACK_STATE)
		return;
	memcpy(&states, ct.states, sizeof(states));
	expr->kind = FW_XT_STATE;
	expr->key = revision == 1 ? ct.states[0] : states;
	expr->reg = ct.invert_flags & CONNTRACK_STATE;
}

static void take_state(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct xt_state_info state;

	if (!copy(&state, sizeof(state), info, len))
		return;
	expr->kind = FW_XT_STATE;
	expr->key = state.statemask;
}

static void take_addrtype(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	struct xt_addrtype_info_v1 type;

	if (revision != 1 || !copy(&type, sizeof(type), info, len) || type.source ||
	    (type.flags & ~(uint32_t)XT_ADDRTYPE_INVERT_DEST))
		return;
	expr->kind = FW_XT_DST_TYPE;
	expr->key = type.dest;
	expr->reg = (type.flags & XT_ADDRTYPE_INVERT_DEST) != 0;
}

static void take_comment(uint32_t revision, const uint8_t *info, size_t len, struct fw_expr *expr)
{
	expr->kind = FW_PASS;
}

void fw_xt_match(const char *name, uint32_t revision, const uint8_t *info, size_t len,
		 struct fw_expr *expr)
{
	static const struct {
		const char *name;
		void (*take)(uint32_t revision, const uint8_t *info, size_t len,
			     struct fw_expr *expr);
	} matches[] = {
		{ "tcp", take_tcp },
		{ "udp", take_udp },
		{ "multiport", take_multiport },
		{ "conntrack", take_conntrack },
		{ "state", take_state },
		{ "addrtype", take_addrtype },
		{ "comment", take_comment },
	};

	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		if (strcmp(matches[i].name, name) == 0)
			matches[i].take(revision, info, len, expr);
}

void fw_xt_target(const char *name, struct fw_expr *expr)
{
	static const struct {
		const char *name;
		enum fw_kind kind;
	} targets[] = {
		{ "REJECT", FW_DROP },	   { "TARPIT", FW_DROP },    { "DNAT", FW_DIVERT },
		{ "REDIRECT", FW_DIVERT }, { "TPROXY", FW_DIVERT },  { "NETMAP", FW_DIVERT },
		{ "NFQUEUE", FW_LEAVE },   { "SYNPROXY", FW_LEAVE },
	};

	/* The others (LOG, MARK, TCPMSS, ...) do something by the way. */
	expr->kind = FW_PASS;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		if (strcmp(targets[i].name, name) == 0)
			expr->kind = targets[i].kind;
}
