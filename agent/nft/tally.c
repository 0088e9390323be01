#include "agent/nft/tally.h"

#include <netinet/in.h> /* before the kernel headers that libnftnl includes */

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/nft/batch.h"
#include "agent/nft/sets.h"
#include "agent/nft/udata.h"

/* Rules of the map are fewer. */
#define DROPS (UINT32_MAX - NFT_TALLY_MAX_REASONS)

/* One look. */
struct look {
	struct nft_tally *tally;
	struct nft_seen *seen;
	size_t n_seen, n_alloc;
};

/* What a rule counts, and whether it drops. */
struct counted {
	bool found, drops;
	struct nft_count count;
};

static int take_expr(struct nftnl_expr *expr, void *userdata)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
	struct counted *counted = userdata;

	if (strcmp(name, "counter") == 0) {
		counted->found = true;
		counted->count.packets = nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
		counted->count.bytes = nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_BYTES);
	} else if (strcmp(name, "immediate") == 0 &&
		   nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_VERDICT)) {
		counted->drops = nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_VERDICT) == NF_DROP;
	}
	return 0;
}

/* The place of a reason; made if it is new. NFT_TALLY_MAX_REASONS: there is no more room. */
static uint32_t find_reason(struct nft_tally *tally, const char *reason)
{
	size_t i = 0;

	while (i < tally->n_dropped && strcmp(tally->dropped[i].reason, reason) != 0)
		i++;
	if (i == tally->n_dropped && i < NFT_TALLY_MAX_REASONS) {
		strncpy(tally->dropped[i].reason, reason, sizeof(tally->dropped[i].reason) - 1);
		tally->n_dropped++;
	}
	return (uint32_t)i;
}

/* Both families have rules of the same reason: they are summed up. */
static int add_seen(struct look *look, uint32_t rule, const struct nft_count *count)
{
	int r;

	for (size_t i = 0; rule >= DROPS && i < look->n_seen; i++)
		if (look->seen[i].rule == rule) {
			look->seen[i].count.packets += count->packets;
			look->seen[i].count.bytes += count->bytes;
			return 0;
		}
	r = array_grow(&look->seen, &look->n_alloc, look->n_seen, sizeof(*look->seen));
	if (r == 0)
		look->seen[look->n_seen++] = (struct nft_seen){ .rule = rule, .count = *count };
	return r;
}

static int take_counted(struct look *look, const struct nftnl_rule *rule,
			const struct counted *counted)
{
	uint32_t len = 0, number;
	const void *udata = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	const char *comment;

	if (nft_acl_chain_parse(nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN), &number))
		return add_seen(look, number, &counted->count);
	comment = udata ? nft_udata_find_comment(udata, len, NFTNL_UDATA_RULE_COMMENT) : NULL;
	if (!counted->drops || !comment)
		return 0;
	number = find_reason(look->tally, comment);
	return number < NFT_TALLY_MAX_REASONS ? add_seen(look, DROPS + number, &counted->count) : 0;
}

static int take_rule(const struct nlmsghdr *nlh, void *userdata)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct counted counted = { 0 };
	struct look *look = userdata;
	const char *table;
	int r = 0;

	if (!rule)
		return -ENOMEM;
	if (nftnl_rule_nlmsg_parse(nlh, rule) < 0)
		r = -EBADMSG;
	else if ((table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE)) &&
		 strcmp(table, NFT_TABLE) == 0) {
		nftnl_expr_foreach(rule, take_expr, &counted);
		if (counted.found)
			r = take_counted(look, rule, &counted);
	}
	nftnl_rule_free(rule);
	return r;
}

static void forget(void *userdata)
{
	struct look *look = userdata;

	look->n_seen = 0;
}

static int seen_order(const void *a, const void *b)
{
	const struct nft_seen *x = a, *y = b;

	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static void add_since(struct nft_count *sum, const struct nft_count *now,
		      const struct nft_count *before)
{
	bool anew = now->packets < before->packets || now->bytes < before->bytes;

	sum->packets += now->packets - (anew ? 0 : before->packets);
	sum->bytes += now->bytes - (anew ? 0 : before->bytes);
}

static void add_up(struct nft_tally *tally, const struct look *look)
{
	static const struct nft_count none;

	for (size_t i = 0; i < look->n_seen; i++) {
		const struct nft_seen *now = &look->seen[i], *before = NULL;
		struct nft_count *sum = &tally->accepted;

		if (tally->n_seen > 0)
			before = bsearch(now, tally->seen, tally->n_seen, sizeof(*now), seen_order);
		if (now->rule >= DROPS)
			sum = &tally->dropped[now->rule - DROPS].count;
		add_since(sum, &now->count, before ? &before->count : &none);
	}
}

int nft_tally_update(struct nft_tally *tally, struct nlsock *sock)
{
	struct look look = { .tally = tally };
	char buf[256];
	struct nlmsghdr *nlh;
	int r;

	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, NFT_TABLE);
	r = nlsock_request(sock, nlh, take_rule, forget, &look);
	if (r < 0) {
		free(look.seen);
		return r;
	}
	if (look.n_seen > 1)
		qsort(look.seen, look.n_seen, sizeof(*look.seen), seen_order);
	add_up(tally, &look);
	free(tally->seen);
	tally->seen = look.seen;
	tally->n_seen = look.n_seen;
	return 0;
}

void nft_tally_done(struct nft_tally *tally)
{
	free(tally->seen);
	*tally = (struct nft_tally){ 0 };
}
