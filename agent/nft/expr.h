/* Building nftables rules, one expression after the other. */
#pragma once

#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdint.h>

/* A rule under construction. Running out of memory is remembered, and told by rule_finish(). */
struct rule_build {
	struct nftnl_rule *rule;
	bool failed;
};

struct rule_build rule_start(const char *chain);
/* Another one that has the same so far. */
struct rule_build rule_copy(const struct rule_build *build);
/* comment may be NULL. Return: the rule; NULL when memory ran out. */
struct nftnl_rule *rule_finish(struct rule_build *build, const char *comment);

void expr_meta(struct rule_build *build, enum nft_meta_keys key, enum nft_registers dreg);
void expr_set_mark(struct rule_build *build, enum nft_registers sreg);
void expr_ct(struct rule_build *build, enum nft_ct_keys key, enum nft_registers dreg);
void expr_payload(struct rule_build *build, enum nft_payload_bases base, uint32_t offset,
		  uint32_t len, enum nft_registers dreg);
void expr_cmp(struct rule_build *build, enum nft_cmp_ops op, const void *data, uint32_t len);
/* Register 1 &= mask. */
void expr_mask(struct rule_build *build, const void *mask, uint32_t len);
void expr_hton(struct rule_build *build, enum nft_registers reg, uint32_t len, uint32_t size);
/* Is what is in register 1 in the set? */
void expr_lookup(struct rule_build *build, const char *set);
void expr_lookup_not(struct rule_build *build, const char *set);
/* Put what is in register 1 into the set, or begin its time there anew. */
void expr_update(struct rule_build *build, const char *set);
/* What the map holds for register 1; dreg NFT_REG_VERDICT: a verdict map. */
void expr_map(struct rule_build *build, const char *map, enum nft_registers dreg);
void expr_load(struct rule_build *build, enum nft_registers dreg, const void *data, uint32_t len);
void expr_tproxy(struct rule_build *build, uint32_t family, enum nft_registers addr,
		 enum nft_registers port);
void expr_counter(struct rule_build *build);
/* Go on with so many packets a second and no more. */
void expr_limit(struct rule_build *build, uint64_t per_second);
/* Send to a group of NFLOG; bytes: of each packet. */
void expr_log(struct rule_build *build, uint16_t group, uint32_t bytes, const char *prefix);
void expr_accept(struct rule_build *build);
void expr_drop(struct rule_build *build);
void expr_goto(struct rule_build *build, const char *chain);
