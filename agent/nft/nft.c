#include "agent/nft/nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "agent/filter/diff.h"
#include "agent/netlink/nlsock.h"
#include "agent/netlink/nlwatch.h"
#include "agent/nft/elements.h"
#include "agent/nft/layout.h"
#include "agent/nft/observe.h"
#include "common/text.h"

struct nft {
	char *ifname;
	uint16_t gateway_port;
	struct nlsock *sock;
	struct nlwatch *watch; /* NULL: not watched */
	void (*foreign_fn)(void *userdata, const char *what);
	void *foreign_userdata;

	bool applying; /* news that an apply comes across need no other apply */

	/* What is in the kernel, while known. */
	bool known;
	bool exists;
	char *structure; /* NULL: not ours */
	struct filter_table *table;
};

static void forget(struct nft *nft)
{
	free(nft->structure);
	nft->structure = NULL;
	nft->table = filter_table_free(nft->table);
	nft->exists = nft->known = false;
}

static void on_foreign_change(void *userdata, const char *what)
{
	struct nft *nft = userdata;

	nft->known = false;
	if (nft->foreign_fn && !nft->applying)
		nft->foreign_fn(nft->foreign_userdata, what);
}

/* Every nf_tables message names its table in attribute 1. */
static bool names_our_table(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) if (
		mnl_attr_get_type(attr) ==
		NFTA_TABLE_NAME) return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		strcmp(mnl_attr_get_str(attr), NFT_TABLE) == 0;
	return false;
}

/* What others did to our table. A generation's number is news of no table. */
static const char *classify(const struct nlmsghdr *nlh, void *userdata)
{
	const struct nft *nft = userdata;
	uint8_t message = nlh->nlmsg_type & 0xff;

	if (nlh->nlmsg_pid == nlsock_portid(nft->sock) ||
	    nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg) || message == NFT_MSG_NEWGEN ||
	    !names_our_table(nlh))
		return NULL;
	return message == NFT_MSG_DELTABLE ? "the table was deleted" : "the table was changed";
}

static int watch(struct nft *nft, sd_event *event)
{
	const int group = NFNLGRP_NFTABLES;
	const struct nlwatch_handler handler = {
		.classify = classify,
		.notify = on_foreign_change,
		.lost = "news of the table were lost",
		.userdata = nft,
	};

	return nlwatch_new(event, NETLINK_NETFILTER, &group, 1, &handler, &nft->watch);
}

int nft_open(sd_event *event, const struct nft_config *config, struct nft **ret_nft)
{
	_cleanup_(nft_freep) struct nft *nft = calloc(1, sizeof(*nft));
	int r;

	if (!nft)
		return -ENOMEM;
	nft->ifname = strdup(config->ifname);
	if (!nft->ifname)
		return -ENOMEM;
	nft->gateway_port = config->gateway_port;
	r = nlsock_open(NETLINK_NETFILTER, &nft->sock);
	if (r < 0)
		return r;
	if (event)
		r = watch(nft, event);
	if (r < 0)
		return r;
	*ret_nft = take_ptr(nft);
	return 0;
}

struct nft *nft_free(struct nft *nft)
{
	if (!nft)
		return NULL;
	forget(nft);
	nft->watch = nlwatch_free(nft->watch);
	nft->sock = nlsock_free(nft->sock);
	free(nft->ifname);
	free(nft);
	return NULL;
}

void nft_on_foreign_change(struct nft *nft, void (*fn)(void *userdata, const char *what),
			   void *userdata)
{
	nft->foreign_fn = fn;
	nft->foreign_userdata = userdata;
}

const struct filter_table *nft_table(const struct nft *nft)
{
	return nft->known ? nft->table : NULL;
}

int nft_refresh(struct nft *nft, char **reterr_text)
{
	struct nft_observed observed;
	int r;

	/* What we remember holds for as long as nobody else touches it. */
	if (nft->watch) {
		nft->applying = true;
		nlwatch_poll(nft->watch);
		nft->applying = false;
	}
	if (nft->known && nft->watch)
		return 0;
	r = nft_observe(nft->sock, &observed);
	if (r < 0) {
		*reterr_text =
			text_printf("could not read table inet %s: %s", NFT_TABLE, strerror(-r));
		return r;
	}
	forget(nft);
	nft->known = true;
	nft->exists = observed.exists;
	nft->structure = observed.structure;
	nft->table = observed.table;
	return 0;
}

static void put_table_deletion(struct nft_batch *batch)
{
	struct nlmsghdr *nlh = nft_batch_message(batch, NFT_MSG_DELTABLE, 0, "table " NFT_TABLE);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, NFT_TABLE);
	nft_batch_end_message(batch);
}

static size_t count_ranges(const struct filter_table *table)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n_flows; i++)
		n += !filter_flow_is_exact(&table->flows[i]);
	return n;
}

static size_t count_ranges_gone(const struct diff_list *flows)
{
	size_t n = 0;

	for (size_t i = 0; i < flows->n_gone; i++)
		n += !filter_flow_is_exact(flows->gone[i]);
	return n;
}

/*
 * The kernel's sets of ranges need time in proportion to their size for each element that goes
 * (a millisecond for every thousand): many at once are slower than a new table, which on the other
 * hand loses a few packets.
 */
static bool replacing_is_faster(const struct filter_table *from, const struct filter_table *to,
				const struct filter_diff *diff)
{
	const size_t few = 32, cost = 16;
	size_t n_gone = count_ranges_gone(&diff->flows);

	return n_gone > few &&
	       n_gone * count_ranges(from) > cost * (to->n_exact + to->n_nets + to->n_flows);
}

/* From the old table, of whatever kind, to the new one without a moment between. */
static int replace(struct nft *nft, struct nft_layout *layout, const struct filter_table *wanted,
		   struct nft_changes *changes, char **reterr_text)
{
	static const struct filter_table empty;
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	struct filter_diff diff;
	int r;

	r = filter_diff_build(&empty, wanted, &diff);
	if (r < 0)
		return r;
	r = nft_batch_new(nft->sock, &batch);
	if (r == 0) {
		if (nft->exists)
			put_table_deletion(batch);
		nft_layout_put(layout, batch);
		nft_put_diff(batch, &empty, wanted, &diff);
		r = nft_batch_commit(batch, reterr_text);
	}
	changes->full_replacements = 1;
	changes->elements_added = filter_diff_fresh(&diff);
	filter_diff_done(&diff);
	return r;
}

static int update(struct nft *nft, const struct filter_table *wanted,
		  const struct filter_diff *diff, struct nft_changes *changes, char **reterr_text)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	int r;

	changes->elements_added = filter_diff_fresh(diff);
	changes->elements_removed = filter_diff_gone(diff);
	if (filter_diff_empty(diff))
		return 0;
	r = nft_batch_new(nft->sock, &batch);
	if (r < 0)
		return r;
	nft_put_diff(batch, nft->table, wanted, diff);
	return nft_batch_commit(batch, reterr_text);
}

static int update_or_replace(struct nft *nft, struct nft_layout *layout,
			     const struct filter_table *wanted, struct nft_changes *changes,
			     char **reterr_text)
{
	struct filter_diff diff;
	int r;

	r = filter_diff_build(nft->table, wanted, &diff);
	if (r < 0)
		return r;
	if (replacing_is_faster(nft->table, wanted, &diff))
		r = replace(nft, layout, wanted, changes, reterr_text);
	else
		r = update(nft, wanted, &diff, changes, reterr_text);
	filter_diff_done(&diff);
	return r;
}

static int apply(struct nft *nft, struct nft_layout *layout, const char *structure,
		 const struct filter_table *wanted, struct nft_changes *changes, char **reterr_text)
{
	int r;

	r = nft_refresh(nft, reterr_text);
	if (r < 0)
		return r;
	if (nft->structure && strcmp(nft->structure, structure) == 0)
		r = update_or_replace(nft, layout, wanted, changes, reterr_text);
	else
		r = replace(nft, layout, wanted, changes, reterr_text);
	/* Refused: what we believed about the kernel may be wrong. */
	if (r < 0)
		nft->known = false;
	return r;
}

int nft_apply(struct nft *nft, struct filter_table *wanted_arg, bool divert_ssh,
	      struct nft_changes *ret_changes, struct filter_table **ret_old, char **reterr_text)
{
	_cleanup_(filter_table_freep) struct filter_table *wanted = wanted_arg;
	const struct nft_layout_config config = {
		.ifname = nft->ifname,
		.gateway_port = nft->gateway_port,
		.divert_ssh = divert_ssh,
	};
	_cleanup_free_ char *structure = NULL;
	struct nft_changes changes = { 0 };
	struct nft_layout layout;
	int r;

	r = nft_layout_build(&config, &layout);
	if (r < 0)
		return r;
	structure = nft_layout_describe(&layout);
	r = structure ? apply(nft, &layout, structure, wanted, &changes, reterr_text) : -ENOMEM;
	nft_layout_done(&layout);
	if (r < 0)
		return r;
	*ret_old = take_ptr(nft->table);
	forget(nft);
	nft->known = nft->exists = true;
	nft->structure = take_ptr(structure);
	nft->table = take_ptr(wanted);
	*ret_changes = changes;
	return 0;
}

static bool structure_is(const struct nft *nft, bool divert_ssh)
{
	const struct nft_layout_config config = {
		.ifname = nft->ifname,
		.gateway_port = nft->gateway_port,
		.divert_ssh = divert_ssh,
	};
	_cleanup_free_ char *structure = NULL;
	struct nft_layout layout;

	if (nft_layout_build(&config, &layout) < 0)
		return false;
	structure = nft_layout_describe(&layout);
	nft_layout_done(&layout);
	return structure && strcmp(structure, nft->structure) == 0;
}

bool nft_in_force(struct nft *nft)
{
	_cleanup_free_ char *text = NULL;

	if (nft_refresh(nft, &text) < 0 || !nft->structure)
		return false;
	return structure_is(nft, true) || structure_is(nft, false);
}

int nft_remove(struct nft *nft, char **reterr_text)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	r = nft_batch_new(nft->sock, &batch);
	if (r < 0)
		return r;
	put_table_deletion(batch);
	r = nft_batch_commit(batch, &text);
	forget(nft);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		*reterr_text = take_ptr(text);
	return r;
}
