/* nftables' answers, attribute by attribute. What is not understood becomes FW_UNKNOWN. */
#include "agent/ctl/doctor/fw.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "agent/grow.h"

#define OUR_TABLE "peergate"
#define MAX_ATTR  32

/* ---- attributes ---- */

struct attrs {
	const struct nlattr *of[MAX_ATTR];
};

static int index_attr(const struct nlattr *attr, void *data)
{
	struct attrs *attrs = data;

	if (mnl_attr_get_type(attr) < MAX_ATTR)
		attrs->of[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static struct attrs attrs_of(const struct nlattr *nest)
{
	struct attrs attrs = { 0 };

	if (nest)
		(void)mnl_attr_parse_nested(nest, index_attr, &attrs);
	return attrs;
}

/* Return: false when the message is no nftables message. */
static bool attrs_of_message(const struct nlmsghdr *nlh, struct attrs *attrs, uint8_t *ret_family)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

	*attrs = (struct attrs){ 0 };
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return false;
	*ret_family = nfg->nfgen_family;
	return mnl_attr_parse(nlh, sizeof(*nfg), index_attr, attrs) >= 0;
}

/* Numbers are big-endian; 0 if it is not there. */
static uint32_t attr_number(const struct nlattr *attr)
{
	uint32_t value;

	if (!attr || mnl_attr_get_payload_len(attr) < sizeof(value))
		return 0;
	memcpy(&value, mnl_attr_get_payload(attr), sizeof(value));
	return ntohl(value);
}

/* NULL if it is not there, or no string. Borrowed. */
static const char *attr_text(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attr)
									 : NULL;
}

/* The bytes of NFTA_DATA_VALUE; false: there are none, or too many. */
static bool attr_data(const struct nlattr *attr, uint8_t *data, uint32_t *ret_len)
{
	const struct attrs attrs = attrs_of(attr);
	const struct nlattr *value = attrs.of[NFTA_DATA_VALUE];
	uint32_t len = value ? mnl_attr_get_payload_len(value) : 0;

	if (len == 0 || len > FW_DATA_MAX)
		return false;
	memcpy(data, mnl_attr_get_payload(value), len);
	*ret_len = len;
	return true;
}

/* Return: 0, -ENOMEM. Without a verdict in it expr stays as it is. */
static int read_verdict(const struct nlattr *data, struct fw_expr *expr)
{
	const struct attrs outer = attrs_of(data), attrs = attrs_of(outer.of[NFTA_DATA_VERDICT]);
	const char *chain = attr_text(attrs.of[NFTA_VERDICT_CHAIN]);

	if (!attrs.of[NFTA_VERDICT_CODE])
		return 0;
	if (chain && !(expr->name = strdup(chain)))
		return -ENOMEM;
	expr->kind = FW_VERDICT;
	expr->key = attr_number(attrs.of[NFTA_VERDICT_CODE]);
	return 0;
}

/* ---- expressions ---- */

static int read_meta(const struct attrs *attrs, struct fw_expr *expr)
{
	if (attrs->of[NFTA_META_SREG]) {
		expr->kind = FW_PASS;
		return 0;
	}
	expr->kind = FW_META;
	expr->key = attr_number(attrs->of[NFTA_META_KEY]);
	expr->dreg = attr_number(attrs->of[NFTA_META_DREG]);
	return 0;
}

static int read_ct(const struct attrs *attrs, struct fw_expr *expr)
{
	if (attrs->of[NFTA_CT_SREG]) {
		expr->kind = FW_PASS;
		return 0;
	}
	expr->kind = FW_CT;
	expr->key = attr_number(attrs->of[NFTA_CT_KEY]);
	expr->dreg = attr_number(attrs->of[NFTA_CT_DREG]);
	return 0;
}

static int read_payload(const struct attrs *attrs, struct fw_expr *expr)
{
	if (attrs->of[NFTA_PAYLOAD_SREG]) {
		/* Changes the packet: what comes after it is anybody's guess. */
		return 0;
	}
	expr->kind = FW_PAYLOAD;
	expr->key = attr_number(attrs->of[NFTA_PAYLOAD_BASE]);
	expr->offset = attr_number(attrs->of[NFTA_PAYLOAD_OFFSET]);
	expr->len = attr_number(attrs->of[NFTA_PAYLOAD_LEN]);
	expr->dreg = attr_number(attrs->of[NFTA_PAYLOAD_DREG]);
	return 0;
}

static int read_cmp(const struct attrs *attrs, struct fw_expr *expr)
{
	if (!attr_data(attrs->of[NFTA_CMP_DATA], expr->data, &expr->len))
		return 0;
	expr->kind = FW_CMP;
	expr->key = attr_number(attrs->of[NFTA_CMP_OP]);
	expr->reg = attr_number(attrs->of[NFTA_CMP_SREG]);
	return 0;
}

static int read_bitwise(const struct attrs *attrs, struct fw_expr *expr)
{
	uint32_t mask_len, xor_len;

	if (attr_number(attrs->of[NFTA_BITWISE_OP]) != NFT_BITWISE_BOOL ||
	    !attr_data(attrs->of[NFTA_BITWISE_MASK], expr->mask, &mask_len) ||
	    !attr_data(attrs->of[NFTA_BITWISE_XOR], expr->data, &xor_len) || mask_len != xor_len)
		return 0;
	expr->kind = FW_BITWISE;
	expr->len = mask_len;
	expr->reg = attr_number(attrs->of[NFTA_BITWISE_SREG]);
	expr->dreg = attr_number(attrs->of[NFTA_BITWISE_DREG]);
	return 0;
}

static int read_range(const struct attrs *attrs, struct fw_expr *expr)
{
	uint32_t from_len, to_len;

	if (!attr_data(attrs->of[NFTA_RANGE_FROM_DATA], expr->data, &from_len) ||
	    !attr_data(attrs->of[NFTA_RANGE_TO_DATA], expr->mask, &to_len) || from_len != to_len)
		return 0;
	expr->kind = FW_RANGE;
	expr->len = from_len;
	expr->key = attr_number(attrs->of[NFTA_RANGE_OP]);
	expr->reg = attr_number(attrs->of[NFTA_RANGE_SREG]);
	return 0;
}

static int read_lookup(const struct attrs *attrs, struct fw_expr *expr)
{
	const char *set = attr_text(attrs->of[NFTA_LOOKUP_SET]);
	uint32_t dreg = attr_number(attrs->of[NFTA_LOOKUP_DREG]);

	/* A map that leads to a value: it is read, but not followed. */
	if (!set || (attrs->of[NFTA_LOOKUP_DREG] && dreg != NFT_REG_VERDICT))
		return 0;
	expr->name = strdup(set);
	if (!expr->name)
		return -ENOMEM;
	expr->kind = FW_LOOKUP;
	expr->key = attr_number(attrs->of[NFTA_LOOKUP_FLAGS]) & NFT_LOOKUP_F_INV;
	expr->reg = attr_number(attrs->of[NFTA_LOOKUP_SREG]);
	expr->dreg = attrs->of[NFTA_LOOKUP_DREG] ? NFT_REG_VERDICT : NFT_REG_1;
	return 0;
}

static int read_immediate(const struct attrs *attrs, struct fw_expr *expr)
{
	const struct nlattr *data = attrs->of[NFTA_IMMEDIATE_DATA];

	expr->dreg = attr_number(attrs->of[NFTA_IMMEDIATE_DREG]);
	if (expr->dreg == NFT_REG_VERDICT)
		return read_verdict(data, expr);
	if (attr_data(data, expr->data, &expr->len))
		expr->kind = FW_VALUE;
	return 0;
}

static int read_match(const struct attrs *attrs, struct fw_expr *expr)
{
	const char *name = attr_text(attrs->of[NFTA_MATCH_NAME]);
	const struct nlattr *info = attrs->of[NFTA_MATCH_INFO];

	if (name && info)
		fw_xt_match(name, attr_number(attrs->of[NFTA_MATCH_REV]),
			    mnl_attr_get_payload(info), mnl_attr_get_payload_len(info), expr);
	return 0;
}

static int read_target(const struct attrs *attrs, struct fw_expr *expr)
{
	const char *name = attr_text(attrs->of[NFTA_TARGET_NAME]);

	if (name)
		fw_xt_target(name, expr);
	return 0;
}

static int read_reject(const struct attrs *attrs, struct fw_expr *expr)
{
	expr->kind = FW_DROP;
	return 0;
}

static int read_divert(const struct attrs *attrs, struct fw_expr *expr)
{
	expr->kind = FW_DIVERT;
	return 0;
}

static int read_nat(const struct attrs *attrs, struct fw_expr *expr)
{
	expr->kind = attr_number(attrs->of[NFTA_NAT_TYPE]) == NFT_NAT_DNAT ? FW_DIVERT : FW_PASS;
	return 0;
}

static int read_leave(const struct attrs *attrs, struct fw_expr *expr)
{
	expr->kind = FW_LEAVE;
	return 0;
}

static int read_pass(const struct attrs *attrs, struct fw_expr *expr)
{
	expr->kind = FW_PASS;
	return 0;
}

static const struct {
	const char *name;
	int (*read)(const struct attrs *attrs, struct fw_expr *expr);
} readers[] = {
	{ "meta", read_meta },	   { "ct", read_ct },		{ "payload", read_payload },
	{ "cmp", read_cmp },	   { "bitwise", read_bitwise }, { "range", read_range },
	{ "lookup", read_lookup }, { "reject", read_reject },	{ "immediate", read_immediate },
	{ "match", read_match },   { "target", read_target },	{ "nat", read_nat },
	{ "redir", read_divert },  { "queue", read_leave },	{ "counter", read_pass },
	{ "log", read_pass },	   { "notrack", read_pass },	{ "masq", read_pass },
	{ "last", read_pass },
};

/* expr was zeroed. Return: 0, -ENOMEM. */
static int read_expr(const struct nlattr *attr, struct fw_expr *expr)
{
	const struct attrs outer = attrs_of(attr), attrs = attrs_of(outer.of[NFTA_EXPR_DATA]);
	const char *name = attr_text(outer.of[NFTA_EXPR_NAME]);

	expr->kind = FW_UNKNOWN;
	for (size_t i = 0; name && i < ARRAY_SIZE(readers); i++)
		if (strcmp(readers[i].name, name) == 0)
			return readers[i].read(&attrs, expr);
	return 0;
}

/* ---- messages ---- */

/* Of a family that IP packets come by, and not ours. */
static bool is_foreign(uint8_t family, const char *table)
{
	if (family != NFPROTO_INET && family != NFPROTO_IPV4 && family != NFPROTO_IPV6 &&
	    family != NFPROTO_NETDEV)
		return false;
	return family != NFPROTO_INET || strcmp(table, OUR_TABLE) != 0;
}

static uint32_t hook_of(uint8_t family, uint32_t number)
{
	if (family != NFPROTO_NETDEV)
		return number;
	return number == NF_NETDEV_EGRESS ? FW_EGRESS : NF_INET_INGRESS;
}

/* The kernel has this attribute for one device alone; what is at several may be at ours. */
static int read_device(const struct attrs *hook, char **ret_device)
{
	const char *name = attr_text(hook->of[NFTA_HOOK_DEV]);

	if (!name)
		return 0;
	*ret_device = strdup(name);
	return *ret_device ? 0 : -ENOMEM;
}

int fw_take_chain(struct fw *fw, const struct nlmsghdr *nlh)
{
	struct fw_chain chain = { 0 };
	struct attrs attrs, hook;
	const char *table, *name;
	int r;

	if (!attrs_of_message(nlh, &attrs, &chain.family))
		return -EBADMSG;
	table = attr_text(attrs.of[NFTA_CHAIN_TABLE]);
	name = attr_text(attrs.of[NFTA_CHAIN_NAME]);
	if (!table || !name)
		return -EBADMSG;
	hook = attrs_of(attrs.of[NFTA_CHAIN_HOOK]);
	fw->bridge |= chain.family == NFPROTO_BRIDGE && attrs.of[NFTA_CHAIN_HOOK];
	if (!is_foreign(chain.family, table))
		return 0;
	if (fw->n_chains == FW_MAX_CHAINS) {
		fw->cut = true;
		return 0;
	}
	chain.base = attrs.of[NFTA_CHAIN_HOOK];
	chain.hook = hook_of(chain.family, attr_number(hook.of[NFTA_HOOK_HOOKNUM]));
	chain.drops =
		attrs.of[NFTA_CHAIN_POLICY] && attr_number(attrs.of[NFTA_CHAIN_POLICY]) == NF_DROP;
	r = array_grow(&fw->chains, &fw->n_chains_alloc, fw->n_chains, sizeof(*fw->chains));
	if (r < 0)
		return r;
	chain.table = strdup(table);
	chain.name = strdup(name);
	r = read_device(&hook, &chain.device);
	fw->chains[fw->n_chains++] = chain;
	return chain.table && chain.name ? r : -ENOMEM;
}

static int read_exprs(const struct nlattr *list, struct fw_rule *rule)
{
	const struct nlattr *attr;
	int r;

	mnl_attr_for_each_nested(attr, list)
	{
		if (rule->n_exprs == FW_MAX_EXPRS)
			return -EBADMSG;
		r = array_grow(&rule->exprs, &rule->n_alloc, rule->n_exprs, sizeof(*rule->exprs));
		if (r < 0)
			return r;
		rule->exprs[rule->n_exprs] = (struct fw_expr){ 0 };
		r = read_expr(attr, &rule->exprs[rule->n_exprs++]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Rules of one chain come one after the other: most often it is the one of the rule before. */
static struct fw_chain *find_rules_chain(struct fw *fw, uint8_t family, const char *table,
					 const char *name)
{
	struct fw_chain *last = fw->last < fw->n_chains ? &fw->chains[fw->last] : NULL;
	const struct fw_chain *found;

	if (last && last->family == family && strcmp(last->name, name) == 0 &&
	    strcmp(last->table, table) == 0)
		return last;
	found = fw_find_chain(fw, family, table, name);
	if (!found)
		return NULL;
	fw->last = (size_t)(found - fw->chains);
	return &fw->chains[fw->last];
}

int fw_take_rule(struct fw *fw, const struct nlmsghdr *nlh)
{
	struct fw_chain *chain;
	const char *table, *name;
	struct attrs attrs;
	uint8_t family;
	int r;

	if (!attrs_of_message(nlh, &attrs, &family))
		return -EBADMSG;
	table = attr_text(attrs.of[NFTA_RULE_TABLE]);
	name = attr_text(attrs.of[NFTA_RULE_CHAIN]);
	if (!table || !name)
		return -EBADMSG;
	chain = find_rules_chain(fw, family, table, name);
	if (!chain)
		return 0;
	if (fw->n_rules == FW_MAX_RULES) {
		fw->cut = true;
		return 0;
	}
	r = array_grow(&chain->rules, &chain->n_alloc, chain->n_rules, sizeof(*chain->rules));
	if (r < 0)
		return r;
	fw->n_rules++;
	chain->rules[chain->n_rules++] = (struct fw_rule){ 0 };
	if (!attrs.of[NFTA_RULE_EXPRESSIONS])
		return 0;
	return read_exprs(attrs.of[NFTA_RULE_EXPRESSIONS], &chain->rules[chain->n_rules - 1]);
}

int fw_take_set(struct fw *fw, const struct nlmsghdr *nlh)
{
	struct fw_set set = { 0 };
	const char *table, *name;
	struct attrs attrs, desc;
	int r;

	if (!attrs_of_message(nlh, &attrs, &set.family))
		return -EBADMSG;
	table = attr_text(attrs.of[NFTA_SET_TABLE]);
	name = attr_text(attrs.of[NFTA_SET_NAME]);
	if (!table || !name)
		return -EBADMSG;
	if (!is_foreign(set.family, table))
		return 0;
	if (fw->n_sets == FW_MAX_SETS) {
		fw->cut = true;
		return 0;
	}
	set.flags = attr_number(attrs.of[NFTA_SET_FLAGS]);
	set.key_len = attr_number(attrs.of[NFTA_SET_KEY_LEN]);
	desc = attrs_of(attrs.of[NFTA_SET_DESC]);
	if (desc.of[NFTA_SET_DESC_CONCAT])
		set.flags |= NFT_SET_CONCAT;
	r = array_grow(&fw->sets, &fw->n_sets_alloc, fw->n_sets, sizeof(*fw->sets));
	if (r < 0)
		return r;
	set.table = strdup(table);
	set.name = strdup(name);
	fw->sets[fw->n_sets++] = set;
	return set.table && set.name ? 0 : -ENOMEM;
}

/* Return: 0, -ENOMEM, -EBADMSG. */
static int read_element(const struct nlattr *attr, struct fw_element *element)
{
	const struct attrs attrs = attrs_of(attr);
	uint32_t len;
	int r;

	/* What stands for all that is not listed has no key. */
	if (!attr_data(attrs.of[NFTA_SET_ELEM_KEY], element->key, &len))
		return -EBADMSG;
	element->interval_end =
		attr_number(attrs.of[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END;
	element->verdict.kind = FW_UNKNOWN;
	r = read_verdict(attrs.of[NFTA_SET_ELEM_DATA], &element->verdict);
	element->has_verdict = element->verdict.kind == FW_VERDICT;
	return r;
}

static int add_element(struct fw_set *set, const struct nlattr *attr)
{
	int r;

	if (set->n_elements == FW_MAX_ELEMENTS)
		return -EFBIG;
	r = array_grow(&set->elements, &set->n_alloc, set->n_elements, sizeof(*set->elements));
	if (r < 0)
		return r;
	set->elements[set->n_elements] = (struct fw_element){ 0 };
	return read_element(attr, &set->elements[set->n_elements++]);
}

int fw_take_elements(struct fw *fw, const struct nlmsghdr *nlh)
{
	const struct nlattr *attr, *list;
	const char *table, *name;
	struct fw_set *set;
	struct attrs attrs;
	uint8_t family;
	int r = 0;

	if (!attrs_of_message(nlh, &attrs, &family))
		return -EBADMSG;
	table = attr_text(attrs.of[NFTA_SET_ELEM_LIST_TABLE]);
	name = attr_text(attrs.of[NFTA_SET_ELEM_LIST_SET]);
	list = attrs.of[NFTA_SET_ELEM_LIST_ELEMENTS];
	set = table && name ? fw_find_set(fw, family, table, name) : NULL;
	if (!set || !list)
		return 0;
	mnl_attr_for_each_nested(attr, list)
	{
		r = add_element(set, attr);
		if (r < 0)
			break;
	}
	return r;
}
