#include "agent/nft/layout.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/nft/expr.h"
#include "agent/nft/owner.h"
#include "agent/nft/rules.h"
#include "agent/nft/sets.h"
#include "agent/nft/udata.h"

#define NOT_A_BASE_CHAIN UINT32_MAX

struct chain_spec {
	const char *name;
	uint32_t hook, priority;
	const char *comment;
	int (*rules)(struct nft_layout *layout, const struct nft_layout_config *config);
};

static const struct chain_spec chain_specs[] = {
	{ "divert", NF_INET_PRE_ROUTING, (uint32_t)NF_IP_PRI_MANGLE,
	  "SSH from the mesh goes to the gateway", nft_rules_divert },
	{ "input", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, "what peers may send", nft_rules_input },
	{ "asked", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER + 1, "UDP: who has asked which port",
	  nft_rules_asked },
	{ "replies", NOT_A_BASE_CHAIN, 0, "answers need the right that the question had",
	  nft_rules_replies },
	{ "output", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER, "what peers may be answered",
	  nft_rules_output },
	{ "forward", NF_INET_FORWARD, NF_IP_PRI_FILTER, "this host is no router for the mesh",
	  nft_rules_forward },
};

int nft_layout_add_set(struct nft_layout *layout, struct nftnl_set *set)
{
	int r = array_grow(&layout->sets, &layout->n_sets_alloc, layout->n_sets,
			   sizeof(struct nftnl_set *));

	if (r < 0)
		nftnl_set_free(set);
	else
		layout->sets[layout->n_sets++] = set;
	return r;
}

int nft_layout_add_chain(struct nft_layout *layout, struct nftnl_chain *chain)
{
	int r = array_grow(&layout->chains, &layout->n_chains_alloc, layout->n_chains,
			   sizeof(struct nftnl_chain *));

	if (r < 0)
		nftnl_chain_free(chain);
	else
		layout->chains[layout->n_chains++] = chain;
	return r;
}

int nft_layout_add_rule(struct nft_layout *layout, struct nftnl_rule *rule)
{
	int r = array_grow(&layout->rules, &layout->n_rules_alloc, layout->n_rules,
			   sizeof(struct nftnl_rule *));

	if (r < 0)
		nftnl_rule_free(rule);
	else
		layout->rules[layout->n_rules++] = rule;
	return r;
}

void nft_layout_done(struct nft_layout *layout)
{
	if (layout->table)
		nftnl_table_free(layout->table);
	for (size_t i = 0; i < layout->n_sets; i++)
		nftnl_set_free(layout->sets[i]);
	for (size_t i = 0; i < layout->n_chains; i++)
		nftnl_chain_free(layout->chains[i]);
	for (size_t i = 0; i < layout->n_rules; i++)
		nftnl_rule_free(layout->rules[i]);
	free(layout->sets);
	free(layout->chains);
	free(layout->rules);
	*layout = (struct nft_layout){ 0 };
}

static int add_table(struct nft_layout *layout, bool owned)
{
	struct nft_udata udata;

	layout->table = nftnl_table_alloc();
	if (!layout->table || nftnl_table_set_str(layout->table, NFTNL_TABLE_NAME, NFT_TABLE) < 0)
		return -ENOMEM;
	nftnl_table_set_u32(layout->table, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_set_u32(layout->table, NFTNL_TABLE_FLAGS, owned ? NFT_OWNER_FLAGS : 0);
	nft_udata_init(&udata);
	nft_udata_put_comment(&udata, NFTNL_UDATA_TABLE_COMMENT,
			      "kept by peergate-agent: changes made by hand are undone");
	if (nftnl_table_set_data(layout->table, NFTNL_TABLE_USERDATA, udata.bytes, udata.len) < 0)
		return -ENOMEM;
	return 0;
}

static int fill_chain(struct nftnl_chain *chain, const struct chain_spec *spec)
{
	struct nft_udata udata;

	if (nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, NFT_TABLE) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, spec->name) < 0)
		return -ENOMEM;
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
	nft_udata_init(&udata);
	nft_udata_put_comment(&udata, NFTNL_UDATA_CHAIN_COMMENT, spec->comment);
	if (nftnl_chain_set_data(chain, NFTNL_CHAIN_USERDATA, udata.bytes, udata.len) < 0)
		return -ENOMEM;
	if (spec->hook == NOT_A_BASE_CHAIN)
		return 0;
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, spec->hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, (int32_t)spec->priority);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	return nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") < 0 ? -ENOMEM : 0;
}

static int add_chain(struct nft_layout *layout, const struct chain_spec *spec)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	if (!chain)
		return -ENOMEM;
	if (fill_chain(chain, spec) < 0) {
		nftnl_chain_free(chain);
		return -ENOMEM;
	}
	return nft_layout_add_chain(layout, chain);
}

static int build(struct nft_layout *layout, const struct nft_layout_config *config)
{
	int r;

	r = add_table(layout, config->owned);
	for (int id = 0; id < NFT_N_SETS && r == 0; id++) {
		struct nftnl_set *set = nft_set_declare((enum nft_set_id)id);

		r = set ? nft_layout_add_set(layout, set) : -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(chain_specs) && r == 0; i++) {
		r = add_chain(layout, &chain_specs[i]);
		if (r == 0)
			r = chain_specs[i].rules(layout, config);
	}
	return r;
}

int nft_layout_build(const struct nft_layout_config *config, struct nft_layout *ret_layout)
{
	struct nft_layout layout = { 0 };
	int r;

	r = build(&layout, config);
	if (r < 0) {
		nft_layout_done(&layout);
		return r;
	}
	*ret_layout = layout;
	return 0;
}

/* counter meta mark set 0 accept: the class must not be taken for somebody else's mark */
struct nftnl_rule *nft_acl_rule(const char *chain, const char *comment)
{
	struct rule_build rule = rule_start(chain);
	const uint32_t no_mark = 0;

	expr_counter(&rule);
	expr_load(&rule, NFT_REG_1, &no_mark, sizeof(no_mark));
	expr_set_mark(&rule, NFT_REG_1);
	expr_accept(&rule);
	return rule_finish(&rule, comment);
}

void nft_chain_put(const struct nftnl_chain *chain, struct nft_batch *batch)
{
	struct nlmsghdr *nlh = nft_batch_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "chain %s",
						 nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));

	if (!nlh)
		return;
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	nft_batch_end_message(batch);
}

void nft_rule_put(const struct nftnl_rule *rule, struct nft_batch *batch)
{
	struct nlmsghdr *nlh =
		nft_batch_message(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
				  "a rule of chain %s", nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));

	if (!nlh)
		return;
	nftnl_rule_nlmsg_build_payload(nlh, (struct nftnl_rule *)rule);
	nft_batch_end_message(batch);
}

void nft_table_put(const struct nftnl_table *table, struct nft_batch *batch)
{
	struct nlmsghdr *nlh =
		nft_batch_message(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, "table " NFT_TABLE);

	if (!nlh)
		return;
	nftnl_table_nlmsg_build_payload(nlh, table);
	nft_batch_end_message(batch);
}

static void set_put(const struct nftnl_set *set, struct nft_batch *batch)
{
	struct nlmsghdr *nlh = nft_batch_message(batch, NFT_MSG_NEWSET, NLM_F_CREATE, "set %s",
						 nftnl_set_get_str(set, NFTNL_SET_NAME));

	if (!nlh)
		return;
	nftnl_set_nlmsg_build_payload(nlh, (struct nftnl_set *)set);
	nft_batch_end_message(batch);
}

static void put_rules_deletion(const char *chain, struct nft_batch *batch)
{
	struct nlmsghdr *nlh =
		nft_batch_message(batch, NFT_MSG_DELRULE, 0, "the rules of chain %s", chain);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, NFT_TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	nft_batch_end_message(batch);
}

void nft_layout_put_rules_anew(const struct nft_layout *layout, struct nft_batch *batch)
{
	for (size_t i = 0; i < layout->n_chains; i++)
		put_rules_deletion(nftnl_chain_get_str(layout->chains[i], NFTNL_CHAIN_NAME), batch);
	for (size_t i = 0; i < layout->n_rules; i++)
		nft_rule_put(layout->rules[i], batch);
}

void nft_layout_put(const struct nft_layout *layout, struct nft_batch *batch)
{
	nft_table_put(layout->table, batch);
	for (size_t i = 0; i < layout->n_sets; i++)
		set_put(layout->sets[i], batch);
	for (size_t i = 0; i < layout->n_chains; i++)
		nft_chain_put(layout->chains[i], batch);
	for (size_t i = 0; i < layout->n_rules; i++)
		nft_rule_put(layout->rules[i], batch);
}
