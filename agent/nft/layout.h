/*
 * The structure of the table: sets, chains and rules, without elements and without the acl_N
 * chains. Either as we want it, or as the kernel has it.
 */
#pragma once

#include <netinet/in.h> /* before the kernel headers that libnftnl includes */

#include <stdio.h>

#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <stdbool.h>

#include "agent/nft/batch.h"

/* Of NFLOG: where dropped packets are sent to while somebody wants to see them. */
#define NFT_LOG_GROUP 5182
/* Packets of each dropping rule that are logged in a second; beyond that they are only counted. */
#define NFT_LOG_RATE 10
/* Bytes of each: headers are all that is looked at. */
#define NFT_LOG_BYTES 128

struct nft_layout_config {
	const char *ifname;
	uint16_t gateway_port;
	bool divert_ssh; /* tcp/22 of the own addresses goes to the gateway */
	bool log_drops;	 /* what is dropped is logged to NFT_LOG_GROUP, in samples */
	bool owned;	 /* made with the flags of agent/nft/owner.h */
};

struct nft_layout {
	struct nftnl_table *table;
	struct nftnl_set **sets;
	size_t n_sets, n_sets_alloc;
	struct nftnl_chain **chains;
	size_t n_chains, n_chains_alloc;
	struct nftnl_rule **rules; /* those of one chain in order */
	size_t n_rules, n_rules_alloc;
};

/* Return: 0, -ENOMEM. */
int nft_layout_build(const struct nft_layout_config *config, struct nft_layout *ret_layout);
void nft_layout_done(struct nft_layout *layout);

/* Take over an object; it is freed when there is no memory. Return: 0, -ENOMEM. */
int nft_layout_add_set(struct nft_layout *layout, struct nftnl_set *set);
int nft_layout_add_chain(struct nft_layout *layout, struct nftnl_chain *chain);
int nft_layout_add_rule(struct nft_layout *layout, struct nftnl_rule *rule);

/*
 * Everything that matters, as text: equal texts are equal tables. Numbers of counters, handles, the
 * owner and the like are left out; sets and chains are brought into order of their names.
 * Return: the caller's; NULL: no memory.
 */
char *nft_layout_describe(struct nft_layout *layout);
/* One rule in that text. Return: the caller's; NULL: no memory. */
char *nft_rule_describe(const struct nftnl_rule *rule);

/* Put the creation of all objects into a batch (which remembers failure). */
void nft_layout_put(const struct nft_layout *layout, struct nft_batch *batch);
/*
 * Put other rules into the chains that are there: each goes from the old ones to the new in one
 * step, without elements being touched.
 */
void nft_layout_put_rules_anew(const struct nft_layout *layout, struct nft_batch *batch);
/* The table alone; one that is there gets its flags. */
void nft_table_put(const struct nftnl_table *table, struct nft_batch *batch);

/* The rule of a chain acl_N: count and let in. Return: the caller's; NULL: no memory. */
struct nftnl_rule *nft_acl_rule(const char *chain, const char *comment);
void nft_chain_put(const struct nftnl_chain *chain, struct nft_batch *batch);
void nft_rule_put(const struct nftnl_rule *rule, struct nft_batch *batch);
