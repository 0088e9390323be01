/*
 * Other programs' packet filters, as far as they decide over our traffic: nftables' base chains and
 * what they jump to, as plain data, and what they would do to a packet. iptables-nft's rules are
 * among them; those of iptables-legacy are not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ip.h"

#define FW_MAX_CHAINS	4096u
#define FW_MAX_RULES	65536u
#define FW_MAX_EXPRS	64u   /* of one rule */
#define FW_MAX_SETS	4096u /* of them, those are read that rules look into */
#define FW_MAX_ELEMENTS 1024u /* of one set */
/* The device's own hook on the way out, which only tables of the family netdev have. */
#define FW_EGRESS   (NF_INET_INGRESS + 1u)
#define FW_DATA_MAX 64u /* bytes: all registers of the kernel */

enum fw_kind {
	FW_META,    /* key NFT_META_*: into dreg */
	FW_CT,	    /* key NFT_CT_*: into dreg */
	FW_PAYLOAD, /* key: base; offset, len: into dreg */
	FW_CMP,	    /* reg against data, key NFT_CMP_* */
	FW_BITWISE, /* dreg = reg & mask ^ data */
	FW_RANGE,   /* data <= reg <= mask; key NFT_RANGE_* */
	FW_LOOKUP,  /* reg in the set "name"; key: inverted; dreg 0: its value is the verdict */
	FW_VALUE,   /* data into dreg */
	FW_VERDICT, /* key: code; name: the chain to go to */
	FW_DROP,    /* reject */
	FW_DIVERT,  /* to another address or port */
	FW_LEAVE,   /* to a program: nobody can tell */
	FW_PASS,    /* counters, logs: the rule goes on */
	/* Matches of xtables. reg: inverted. */
	FW_XT_PORTS, /* key: 0 source, 1 destination, 2 either; data: n = len ranges of uint16_t */
	FW_XT_STATE, /* key: states, bits as in FW_CT's NFT_CT_STATE */
	FW_XT_DST_TYPE, /* key: mask of RTN_* */
	FW_UNKNOWN,	/* may match or not, and leave anything in any register */
};

struct fw_expr {
	enum fw_kind kind;
	uint32_t key, reg, dreg, offset, len;
	uint8_t data[FW_DATA_MAX], mask[FW_DATA_MAX];
	char *name;
};

struct fw_rule {
	struct fw_expr *exprs;
	size_t n_exprs, n_alloc;
};

struct fw_chain {
	uint8_t family; /* NFPROTO_* */
	char *table, *name;
	bool base;
	uint32_t hook; /* NF_INET_*, FW_EGRESS */
	char *device;  /* of ingress and egress; NULL: may be any */
	bool drops;    /* policy */
	struct fw_rule *rules;
	size_t n_rules, n_alloc;
};

struct fw_element {
	uint8_t key[FW_DATA_MAX];
	bool interval_end;
	bool has_verdict;
	struct fw_expr verdict;
};

struct fw_set {
	uint8_t family;
	char *table, *name;
	uint32_t flags, key_len;
	bool complete; /* all elements are here */
	struct fw_element *elements;
	size_t n_elements, n_alloc;
};

struct fw {
	struct fw_chain *chains;
	size_t n_chains, n_chains_alloc;
	struct fw_set *sets;
	size_t n_sets, n_sets_alloc;
	size_t n_rules;
	size_t last; /* chain that the last rule was put into */
	bool cut;    /* there is more than is kept */
	bool bridge; /* there are base chains of bridges, which are not kept */
};

/* ---- reading (fw_parse.c, fw_xt.c, fw_read.c) ---- */

struct nlmsghdr;
/*
 * Take in one answer of the kernel: a chain, a rule, a set, elements. Our own table is left out,
 * and so is what a rule or element belongs to that is not there.
 * Return: 0, -EBADMSG, -EFBIG (elements of a set that has too many), -ENOMEM.
 */
int fw_take_chain(struct fw *fw, const struct nlmsghdr *nlh);
int fw_take_rule(struct fw *fw, const struct nlmsghdr *nlh);
int fw_take_set(struct fw *fw, const struct nlmsghdr *nlh);
int fw_take_elements(struct fw *fw, const struct nlmsghdr *nlh);

/* A match or target of xtables in a rule, by its name and parameters. */
void fw_xt_match(const char *name, uint32_t revision, const uint8_t *info, size_t len,
		 struct fw_expr *expr);
void fw_xt_target(const char *name, struct fw_expr *expr);

struct fw_set *fw_find_set(const struct fw *fw, uint8_t family, const char *table,
			   const char *name);
const struct fw_chain *fw_find_chain(const struct fw *fw, uint8_t family, const char *table,
				     const char *name);
void fw_forget_chains(struct fw *fw);
void fw_forget_rules(struct fw *fw);
void fw_forget_sets(struct fw *fw);

/* Read all from the kernel. Return: 0, -EPERM (root only), negative errno. */
int fw_read(struct fw **ret_fw);
struct fw *fw_free(struct fw *fw);
DEFINE_CLEANUP(struct fw *, fw_free);

/* ---- asking (fw_sim.c) ---- */

/* The first packet of a connection. But for hook, family and proto, what is zero or NULL may be
 * anything. */
struct fw_packet {
	uint32_t hook; /* NF_INET_*, FW_EGRESS: to, or from, this host */
	sa_family_t family;
	const char *iif, *oif;
	uint32_t iif_index, oif_index;
	struct ip_addr src, dst; /* AF_UNSPEC: may be anything */
	uint8_t proto;
	uint16_t sport, dport;
};

enum fw_fate {
	FW_ACCEPTED,
	FW_DROPPED,
	FW_DIVERTED,
	FW_UNDECIDED, /* goes to a program, or there is too much to look at */
};

struct fw_answer {
	/* What happens if no rule matches that cannot be told to. */
	enum fw_fate fate;
	bool certain; /* whether or not such rules match */
	/* Where that is decided. Borrowed. */
	const struct fw_chain *base; /* the base chain */
	const struct fw_chain *at;   /* the chain of the rule; base: perhaps its policy */
	bool by_policy;
};

/* What one base chain does to the packet. Return: false if the packet does not come by it. */
bool fw_ask(const struct fw *fw, const struct fw_chain *base, const struct fw_packet *packet,
	    struct fw_answer *ret_answer);
