/* The kernel's rules, fetched. Needs CAP_NET_ADMIN. */
#include "agent/ctl/doctor/fw.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "agent/netlink/nlsock.h"

static void rule_done(struct fw_rule *rule)
{
	for (size_t i = 0; i < rule->n_exprs; i++)
		free(rule->exprs[i].name);
	free(rule->exprs);
}

void fw_forget_rules(struct fw *fw)
{
	for (size_t c = 0; c < fw->n_chains; c++) {
		struct fw_chain *chain = &fw->chains[c];

		for (size_t i = 0; i < chain->n_rules; i++)
			rule_done(&chain->rules[i]);
		chain->n_rules = 0;
	}
	fw->n_rules = 0;
}

void fw_forget_chains(struct fw *fw)
{
	fw_forget_rules(fw);
	for (size_t i = 0; i < fw->n_chains; i++) {
		free(fw->chains[i].rules);
		free(fw->chains[i].table);
		free(fw->chains[i].name);
		free(fw->chains[i].device);
	}
	fw->n_chains = 0;
}

static void forget_elements(struct fw_set *set)
{
	for (size_t i = 0; i < set->n_elements; i++)
		free(set->elements[i].verdict.name);
	set->n_elements = 0;
}

void fw_forget_sets(struct fw *fw)
{
	for (size_t i = 0; i < fw->n_sets; i++) {
		forget_elements(&fw->sets[i]);
		free(fw->sets[i].elements);
		free(fw->sets[i].table);
		free(fw->sets[i].name);
	}
	fw->n_sets = 0;
}

struct fw *fw_free(struct fw *fw)
{
	if (!fw)
		return NULL;
	fw_forget_chains(fw);
	fw_forget_sets(fw);
	free(fw->chains);
	free(fw->sets);
	free(fw);
	return NULL;
}

const struct fw_chain *fw_find_chain(const struct fw *fw, uint8_t family, const char *table,
				     const char *name)
{
	for (size_t i = 0; i < fw->n_chains; i++) {
		const struct fw_chain *chain = &fw->chains[i];

		if (chain->family == family && strcmp(chain->name, name) == 0 &&
		    strcmp(chain->table, table) == 0)
			return chain;
	}
	return NULL;
}

struct fw_set *fw_find_set(const struct fw *fw, uint8_t family, const char *table, const char *name)
{
	for (size_t i = 0; i < fw->n_sets; i++) {
		struct fw_set *set = &fw->sets[i];

		if (set->family == family && strcmp(set->name, name) == 0 &&
		    strcmp(set->table, table) == 0)
			return set;
	}
	return NULL;
}

/* ---- dumps ---- */

struct dump {
	struct fw *fw;
	int (*take)(struct fw *fw, const struct nlmsghdr *nlh);
	void (*forget)(struct fw *fw);
	struct fw_set *set; /* whose elements are read */
};

static int on_answer(const struct nlmsghdr *nlh, void *userdata)
{
	struct dump *dump = userdata;

	return dump->take(dump->fw, nlh);
}

static void on_restart(void *userdata)
{
	struct dump *dump = userdata;

	if (dump->set)
		forget_elements(dump->set);
	else
		dump->forget(dump->fw);
}

static struct nlmsghdr *request(void *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int read_all(struct nlsock *sock, struct fw *fw, uint16_t type,
		    int (*take)(struct fw *, const struct nlmsghdr *), void (*forget)(struct fw *))
{
	struct dump dump = { .fw = fw, .take = take, .forget = forget };
	char buf[64];

	return nlsock_request(sock, request(buf, type, NFPROTO_UNSPEC), on_answer, on_restart,
			      &dump);
}

/* A set that cannot be read whole is left incomplete: nobody can tell what is in it. */
static void read_set(struct nlsock *sock, struct fw *fw, struct fw_set *set)
{
	struct dump dump = { .fw = fw, .take = fw_take_elements, .set = set };
	char buf[2048];
	struct nlmsghdr *nlh;

	if (strlen(set->table) + strlen(set->name) > sizeof(buf) / 2)
		return;
	nlh = request(buf, NFT_MSG_GETSETELEM, set->family);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	set->complete = nlsock_request(sock, nlh, on_answer, on_restart, &dump) == 0;
}

static void read_sets_of_rule(struct nlsock *sock, struct fw *fw, const struct fw_chain *chain,
			      const struct fw_rule *rule)
{
	for (size_t i = 0; i < rule->n_exprs; i++) {
		const struct fw_expr *expr = &rule->exprs[i];
		struct fw_set *set;

		if (expr->kind != FW_LOOKUP)
			continue;
		set = fw_find_set(fw, chain->family, chain->table, expr->name);
		if (set && !set->complete && set->n_elements == 0)
			read_set(sock, fw, set);
	}
}

static void read_sets(struct nlsock *sock, struct fw *fw)
{
	for (size_t c = 0; c < fw->n_chains; c++)
		for (size_t i = 0; i < fw->chains[c].n_rules; i++)
			read_sets_of_rule(sock, fw, &fw->chains[c], &fw->chains[c].rules[i]);
}

int fw_read(struct fw **ret_fw)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	_cleanup_(fw_freep) struct fw *fw = calloc(1, sizeof(*fw));
	int r;

	if (!fw)
		return -ENOMEM;
	r = nlsock_open(NETLINK_NETFILTER, &sock);
	if (r == 0)
		r = read_all(sock, fw, NFT_MSG_GETCHAIN, fw_take_chain, fw_forget_chains);
	if (r == 0)
		r = read_all(sock, fw, NFT_MSG_GETRULE, fw_take_rule, fw_forget_rules);
	if (r == 0)
		r = read_all(sock, fw, NFT_MSG_GETSET, fw_take_set, fw_forget_sets);
	if (r < 0)
		return r;
	read_sets(sock, fw);
	*ret_fw = take_ptr(fw);
	return 0;
}
