#include "agent/nft/expr.h"

#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <string.h>

#include "agent/nft/batch.h"
#include "agent/nft/udata.h"

struct rule_build rule_start(const char *chain)
{
	struct rule_build build = { .rule = nftnl_rule_alloc() };

	if (!build.rule || nftnl_rule_set_str(build.rule, NFTNL_RULE_TABLE, NFT_TABLE) < 0 ||
	    nftnl_rule_set_str(build.rule, NFTNL_RULE_CHAIN, chain) < 0)
		build.failed = true;
	else
		nftnl_rule_set_u32(build.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	return build;
}

struct rule_build rule_copy(const struct rule_build *build)
{
	/* Far more than a rule has when it is still being built. */
	char buf[8192];
	struct rule_build copy = { .rule = nftnl_rule_alloc(), .failed = build->failed };
	struct nlmsghdr *nlh;

	if (!copy.rule)
		copy.failed = true;
	if (copy.failed)
		return copy;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 0);
	nftnl_rule_nlmsg_build_payload(nlh, build->rule);
	if (nftnl_rule_nlmsg_parse(nlh, copy.rule) < 0)
		copy.failed = true;
	return copy;
}

static int set_comment(struct nftnl_rule *rule, const char *comment)
{
	struct nft_udata udata;

	nft_udata_init(&udata);
	if (!nft_udata_put_comment(&udata, NFTNL_UDATA_RULE_COMMENT, comment))
		return -1;
	return nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, udata.bytes, udata.len);
}

struct nftnl_rule *rule_finish(struct rule_build *build, const char *comment)
{
	if (!build->failed && comment && set_comment(build->rule, comment) < 0)
		build->failed = true;
	if (build->failed && build->rule) {
		nftnl_rule_free(build->rule);
		build->rule = NULL;
	}
	return build->rule;
}

static struct nftnl_expr *add(struct rule_build *build, const char *name)
{
	struct nftnl_expr *expr = build->failed ? NULL : nftnl_expr_alloc(name);

	if (!expr) {
		build->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(build->rule, expr);
	return expr;
}

static void set_data(struct rule_build *build, struct nftnl_expr *expr, uint16_t attr,
		     const void *data, uint32_t len)
{
	if (nftnl_expr_set(expr, attr, data, len) < 0)
		build->failed = true;
}

static void set_text(struct rule_build *build, struct nftnl_expr *expr, uint16_t attr,
		     const char *text)
{
	if (nftnl_expr_set_str(expr, attr, text) < 0)
		build->failed = true;
}

void expr_meta(struct rule_build *build, enum nft_meta_keys key, enum nft_registers dreg)
{
	struct nftnl_expr *expr = add(build, "meta");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, dreg);
}

void expr_set_mark(struct rule_build *build, enum nft_registers sreg)
{
	struct nftnl_expr *expr = add(build, "meta");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, sreg);
}

void expr_ct(struct rule_build *build, enum nft_ct_keys key, enum nft_registers dreg)
{
	struct nftnl_expr *expr = add(build, "ct");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, dreg);
}

void expr_payload(struct rule_build *build, enum nft_payload_bases base, uint32_t offset,
		  uint32_t len, enum nft_registers dreg)
{
	struct nftnl_expr *expr = add(build, "payload");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

void expr_cmp(struct rule_build *build, enum nft_cmp_ops op, const void *data, uint32_t len)
{
	struct nftnl_expr *expr = add(build, "cmp");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
	set_data(build, expr, NFTNL_EXPR_CMP_DATA, data, len);
}

void expr_mask(struct rule_build *build, const void *mask, uint32_t len)
{
	static const uint8_t no_xor[16];
	struct nftnl_expr *expr = add(build, "bitwise");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
	set_data(build, expr, NFTNL_EXPR_BITWISE_MASK, mask, len);
	set_data(build, expr, NFTNL_EXPR_BITWISE_XOR, no_xor, len);
}

void expr_hton(struct rule_build *build, enum nft_registers reg, uint32_t len, uint32_t size)
{
	struct nftnl_expr *expr = add(build, "byteorder");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BYTEORDER_SREG, reg);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BYTEORDER_DREG, reg);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BYTEORDER_LEN, len);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BYTEORDER_SIZE, size);
}

/* What is a default is spelled out where the kernel does so: rules are compared as text. */
static void lookup(struct rule_build *build, const char *set, uint32_t flags)
{
	struct nftnl_expr *expr = add(build, "lookup");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, flags);
	set_text(build, expr, NFTNL_EXPR_LOOKUP_SET, set);
}

void expr_lookup(struct rule_build *build, const char *set)
{
	lookup(build, set, 0);
}

void expr_lookup_not(struct rule_build *build, const char *set)
{
	lookup(build, set, NFT_LOOKUP_F_INV);
}

void expr_update(struct rule_build *build, const char *set)
{
	struct nftnl_expr *expr = add(build, "dynset");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_DYNSET_TIMEOUT, 0); /* the set's */
	set_text(build, expr, NFTNL_EXPR_DYNSET_SET_NAME, set);
}

void expr_map(struct rule_build *build, const char *map, enum nft_registers dreg)
{
	struct nftnl_expr *expr = add(build, "lookup");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, dreg);
	set_text(build, expr, NFTNL_EXPR_LOOKUP_SET, map);
}

void expr_load(struct rule_build *build, enum nft_registers dreg, const void *data, uint32_t len)
{
	struct nftnl_expr *expr = add(build, "immediate");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, dreg);
	set_data(build, expr, NFTNL_EXPR_IMM_DATA, data, len);
}

void expr_tproxy(struct rule_build *build, uint32_t family, enum nft_registers addr,
		 enum nft_registers port)
{
	struct nftnl_expr *expr = add(build, "tproxy");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_FAMILY, family);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_REG_ADDR, addr);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_REG_PORT, port);
}

void expr_counter(struct rule_build *build)
{
	struct nftnl_expr *expr = add(build, "counter");

	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_PACKETS, 0);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_CTR_BYTES, 0);
}

void expr_limit(struct rule_build *build, uint64_t per_second)
{
	struct nftnl_expr *expr = add(build, "limit");

	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, (uint32_t)per_second);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

void expr_log(struct rule_build *build, uint16_t group, uint32_t bytes, const char *prefix)
{
	struct nftnl_expr *expr = add(build, "log");

	if (!expr)
		return;
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, bytes);
	set_text(build, expr, NFTNL_EXPR_LOG_PREFIX, prefix);
}

static void verdict(struct rule_build *build, uint32_t code, const char *chain)
{
	struct nftnl_expr *expr = add(build, "immediate");

	if (!expr)
		return;
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, code);
	if (chain)
		set_text(build, expr, NFTNL_EXPR_IMM_CHAIN, chain);
}

void expr_accept(struct rule_build *build)
{
	verdict(build, NF_ACCEPT, NULL);
}

void expr_drop(struct rule_build *build)
{
	verdict(build, NF_DROP, NULL);
}

void expr_goto(struct rule_build *build, const char *chain)
{
	verdict(build, (uint32_t)NFT_GOTO, chain);
}
