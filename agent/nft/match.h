/*
 * What the rules of the table match, a piece each. They work on register 1 and those behind it, and
 * leave nothing there that another needs.
 */
#pragma once

#include <netinet/in.h> /* before the kernel's */

#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <stdint.h>

#include "agent/nft/expr.h"
#include "agent/nft/layout.h"
#include "agent/nft/sets.h"

/* What differs between the families. */
struct family {
	uint8_t nfproto;
	uint32_t saddr_offset, daddr_offset, addr_len; /* in the network header */
	uint8_t icmp;
	enum nft_set_id own, src, net, port, acl, asked;
	uint8_t loopback[16];
};

#define N_FAMILIES 2u
extern const struct family families[N_FAMILIES];

/* Which side of a packet is the one that a right is about. */
enum direction {
	ORIGINAL, /* from the peer: source and destination as they stand */
	REPLY,	  /* to the peer: the original tuple is the packet's, turned round */
};

/* Where a packet came in, or goes out. */
struct side {
	enum nft_meta_keys name, group;
};

extern const struct side side_in, side_out;

/* iifname != "lo" */
void match_other_name(struct rule_build *build, enum nft_meta_keys key, const char *ifname);
/*
 * iifname != "mesh0" iifgroup != 5182
 *
 * The link is the mesh's by its name and by its group: whoever takes one of them away, by renaming
 * it while it is up, has not taken it out of the filter.
 */
void match_elsewhere(struct rule_build *build, const struct side *side,
		     const struct nft_layout_config *config);
void match_family(struct rule_build *build, const struct family *family);
void match_l4proto(struct rule_build *build, uint8_t proto);
/* ip daddr @own4 */
void match_own_daddr(struct rule_build *build, const struct family *family);
/* ct state STATES */
void match_ct_state(struct rule_build *build, uint32_t states);
/* ct direction reply, ct direction original */
void match_direction(struct rule_build *build, enum ip_conntrack_dir ct_direction);
/* ip saddr . ip daddr . udp dport: the question that a packet is, or (REPLY) would answer */
void load_question(struct rule_build *build, const struct family *family, enum direction direction);
