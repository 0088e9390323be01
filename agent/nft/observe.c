#include "agent/nft/observe.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/nft/observation.h"

static struct nlmsghdr *request(void *buf, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(buf, type, NFPROTO_INET, flags, 0);
}

enum {
	ELSEWHERE = 1, /* in a table that is none of our business */
};

/* Where is the object? Return: 0 (in our table), ELSEWHERE, -EBADMSG (it lacks a name). */
static int place(const char *table, const char *name)
{
	if (!table || !name)
		return -EBADMSG;
	return strcmp(table, NFT_TABLE) == 0 ? 0 : ELSEWHERE;
}

static int take_table(const struct nlmsghdr *nlh, void *userdata)
{
	struct observation *ob = userdata;

	if (!ob->layout.table)
		ob->layout.table = nftnl_table_alloc();
	if (!ob->layout.table)
		return -ENOMEM;
	return nftnl_table_nlmsg_parse(nlh, ob->layout.table) < 0 ? -EBADMSG : 0;
}

static int observe_table(struct observation *ob)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, NFT_MSG_GETTABLE, NLM_F_ACK);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, NFT_TABLE);
	return nlsock_request(ob->sock, nlh, take_table, NULL, ob);
}

static int add_counter(struct observation *ob, uint32_t rule)
{
	struct filter_table *table = ob->table;
	int r = array_grow(&table->counters, &ob->n_counters_alloc, table->n_counters,
			   sizeof(*table->counters));

	if (r == 0)
		table->counters[table->n_counters++] = (struct filter_counter){ .rule = rule };
	return r;
}

static int take_chain(const struct nlmsghdr *nlh, void *userdata)
{
	struct observation *ob = userdata;
	struct nftnl_chain *chain = nftnl_chain_alloc();
	const char *name;
	uint32_t rule;
	int r = -EBADMSG;

	if (!chain)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(nlh, chain) == 0) {
		name = nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME);
		r = place(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE), name);
		if (r == 0 && !nft_acl_chain_parse(name, &rule))
			return nft_layout_add_chain(&ob->layout, chain);
		if (r == 0)
			r = add_counter(ob, rule);
	}
	nftnl_chain_free(chain);
	return r < 0 ? r : 0;
}

static void forget_chains(void *userdata)
{
	struct observation *ob = userdata;

	for (size_t i = 0; i < ob->layout.n_chains; i++)
		nftnl_chain_free(ob->layout.chains[i]);
	ob->layout.n_chains = 0;
	ob->table->n_counters = 0;
}

static int observe_chains(struct observation *ob)
{
	char buf[256];

	return nlsock_request(ob->sock, request(buf, NFT_MSG_GETCHAIN, NLM_F_DUMP), take_chain,
			      forget_chains, ob);
}

/* The one rule of a chain acl_N: anything else in such a chain is not ours. */
static int take_acl_rule(struct observation *ob, const struct nftnl_rule *rule, uint32_t number)
{
	_cleanup_free_ char *found = NULL, *expected = NULL;
	const char *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	struct filter_counter *counter = filter_table_counter(ob->table, number);
	struct nftnl_rule *ours;
	const char *comment;
	const void *udata;
	uint32_t len = 0;

	udata = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	comment = udata ? nft_udata_find_comment(udata, len, NFTNL_UDATA_RULE_COMMENT) : NULL;
	if (!counter || counter->comment || !comment) {
		ob->foreign = true;
		return 0;
	}
	ours = nft_acl_rule(chain, comment);
	if (!ours)
		return -ENOMEM;
	found = nft_rule_describe(rule);
	expected = nft_rule_describe(ours);
	nftnl_rule_free(ours);
	counter->comment = strdup(comment);
	if (!found || !expected || !counter->comment)
		return -ENOMEM;
	if (strcmp(found, expected) != 0)
		ob->foreign = true;
	return 0;
}

static int take_rule(const struct nlmsghdr *nlh, void *userdata)
{
	struct observation *ob = userdata;
	struct nftnl_rule *rule = nftnl_rule_alloc();
	const char *chain;
	uint32_t number;
	int r = -EBADMSG;

	if (!rule)
		return -ENOMEM;
	if (nftnl_rule_nlmsg_parse(nlh, rule) == 0) {
		chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
		r = place(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE), chain);
		if (r == 0 && !nft_acl_chain_parse(chain, &number))
			return nft_layout_add_rule(&ob->layout, rule);
		if (r == 0)
			r = take_acl_rule(ob, rule, number);
	}
	nftnl_rule_free(rule);
	return r < 0 ? r : 0;
}

static void forget_rules(void *userdata)
{
	struct observation *ob = userdata;

	for (size_t i = 0; i < ob->layout.n_rules; i++)
		nftnl_rule_free(ob->layout.rules[i]);
	ob->layout.n_rules = 0;
	for (size_t i = 0; i < ob->table->n_counters; i++) {
		free(ob->table->counters[i].comment);
		ob->table->counters[i].comment = NULL;
	}
}

static int observe_rules(struct observation *ob)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, NFT_MSG_GETRULE, NLM_F_DUMP);
	int r;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, NFT_TABLE);
	r = nlsock_request(ob->sock, nlh, take_rule, forget_rules, ob);
	for (size_t i = 0; i < ob->table->n_counters; i++)
		if (!ob->table->counters[i].comment)
			ob->foreign = true;
	return r;
}

static int take_set(const struct nlmsghdr *nlh, void *userdata)
{
	struct observation *ob = userdata;
	struct nftnl_set *set = nftnl_set_alloc();
	int r = -EBADMSG;

	if (!set)
		return -ENOMEM;
	if (nftnl_set_nlmsg_parse(nlh, set) == 0)
		r = place(nftnl_set_get_str(set, NFTNL_SET_TABLE),
			  nftnl_set_get_str(set, NFTNL_SET_NAME));
	if (r == 0)
		return nft_layout_add_set(&ob->layout, set);
	nftnl_set_free(set);
	return r < 0 ? r : 0;
}

static void forget_sets(void *userdata)
{
	struct observation *ob = userdata;

	for (size_t i = 0; i < ob->layout.n_sets; i++)
		nftnl_set_free(ob->layout.sets[i]);
	ob->layout.n_sets = 0;
}

static int observe_sets(struct observation *ob)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, NFT_MSG_GETSET, NLM_F_DUMP);

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, NFT_TABLE);
	return nlsock_request(ob->sock, nlh, take_set, forget_sets, ob);
}

static int observe_all(struct observation *ob)
{
	int r;

	r = observe_chains(ob);
	filter_table_sort(ob->table);
	if (r == 0)
		r = observe_rules(ob);
	if (r == 0)
		r = observe_sets(ob);
	for (int id = 0; id < NFT_N_FILTER_SETS && r == 0; id++)
		r = nft_observe_elements(ob, (enum nft_set_id)id);
	filter_table_sort(ob->table);
	return r;
}

static int observe(struct observation *ob, struct nft_observed *observed)
{
	int r;

	r = observe_table(ob);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && !ob->layout.table)
		r = -EBADMSG;
	if (r < 0)
		return r;
	observed->exists = true;
	observed->flags = nftnl_table_get_u32(ob->layout.table, NFTNL_TABLE_FLAGS);
	if (observed->flags & NFT_TABLE_F_OWNER)
		observed->owner = nftnl_table_get_u32(ob->layout.table, NFTNL_TABLE_OWNER);
	r = observe_all(ob);
	if (r < 0 || ob->foreign)
		return r;
	observed->structure = nft_layout_describe(&ob->layout);
	if (!observed->structure)
		return -ENOMEM;
	observed->table = take_ptr(ob->table);
	return 0;
}

int nft_observe(struct nlsock *sock, struct nft_observed *ret_observed)
{
	struct observation ob = { .sock = sock, .table = filter_table_new() };
	struct nft_observed observed = { 0 };
	int r;

	r = ob.table ? observe(&ob, &observed) : -ENOMEM;
	nft_layout_done(&ob.layout);
	filter_table_free(ob.table);
	if (r < 0) {
		nft_observed_done(&observed);
		return r;
	}
	*ret_observed = observed;
	return 0;
}

void nft_observed_done(struct nft_observed *observed)
{
	free(observed->structure);
	observed->table = filter_table_free(observed->table);
	*observed = (struct nft_observed){ 0 };
}
