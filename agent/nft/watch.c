#include "agent/nft/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <string.h>

#include "agent/nft/batch.h"

/* What a transaction has done so far, the worst last. */
enum deed {
	DEED_NONE,
	DEED_CHANGED,
	DEED_DELETED,
};

struct nft_watch {
	struct nlwatch *news;
	uint32_t own_portid;
	struct nft_watch_handler handler;
	enum deed deed; /* of a transaction whose end was not told yet */
	uint32_t portid;
	char what[160]; /* of complete ones; "": nothing to tell */
};

/* Every nf_tables message names its table in attribute 1; other families may have one of that name.
 */
static bool names_our_table(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nfg->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) if (
		mnl_attr_get_type(attr) ==
		NFTA_TABLE_NAME) return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		strcmp(mnl_attr_get_str(attr), NFT_TABLE) == 0;
	return false;
}

/* By whom: the kernel says so at the end of a transaction (NFTA_GEN_*, 4.7). */
struct author {
	uint32_t pid; /* as the initial namespace counts; 0: not told */
	const char *name;
};

static void take_author(const struct nlmsghdr *nlh, struct author *author)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case NFTA_GEN_PROC_PID:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
				author->pid = ntohl(mnl_attr_get_u32(attr));
			break;
		case NFTA_GEN_PROC_NAME:
			if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
				author->name = mnl_attr_get_str(attr);
			break;
		}
	}
}

static void end_transaction(struct nft_watch *watch, const struct nlmsghdr *nlh)
{
	const char *done = watch->deed == DEED_DELETED ? "deleted" : "changed";
	struct author author = { 0 };

	watch->deed = DEED_NONE;
	take_author(nlh, &author);
	if (author.pid && author.name)
		snprintf(watch->what, sizeof(watch->what), "table inet %s was %s by %s (pid %u)",
			 NFT_TABLE, done, author.name, author.pid);
	else
		snprintf(watch->what, sizeof(watch->what), "table inet %s was %s", NFT_TABLE, done);
}

static void on_message(const struct nlmsghdr *nlh, void *userdata)
{
	struct nft_watch *watch = userdata;
	uint8_t message = nlh->nlmsg_type & 0xff;

	if (nlh->nlmsg_pid == watch->own_portid || nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return;
	if (message == NFT_MSG_NEWGEN) {
		if (watch->deed != DEED_NONE && nlh->nlmsg_pid == watch->portid)
			end_transaction(watch, nlh);
		return;
	}
	if (!names_our_table(nlh))
		return;
	watch->handler.stale(watch->handler.userdata);
	watch->portid = nlh->nlmsg_pid;
	if (message == NFT_MSG_DELTABLE)
		watch->deed = DEED_DELETED;
	else if (watch->deed == DEED_NONE)
		watch->deed = DEED_CHANGED;
}

static void on_lost(void *userdata)
{
	struct nft_watch *watch = userdata;

	watch->deed = DEED_NONE;
	snprintf(watch->what, sizeof(watch->what), "news of table inet %s were lost", NFT_TABLE);
	watch->handler.stale(watch->handler.userdata);
}

static void on_settled(void *userdata)
{
	struct nft_watch *watch = userdata;
	char what[sizeof(watch->what)];

	if (!watch->what[0])
		return;
	memcpy(what, watch->what, sizeof(what));
	watch->what[0] = '\0';
	watch->handler.changed(watch->handler.userdata, what);
}

int nft_watch_new(sd_event *event, uint32_t own_portid, const struct nft_watch_handler *handler,
		  struct nft_watch **ret_watch)
{
	static const int group = NFNLGRP_NFTABLES;
	_cleanup_(nft_watch_freep) struct nft_watch *watch = calloc(1, sizeof(*watch));
	struct nlwatch_handler news = {
		.message = on_message,
		.lost = on_lost,
		.settled = on_settled,
		.userdata = watch,
	};
	int r;

	if (!watch)
		return -ENOMEM;
	watch->own_portid = own_portid;
	watch->handler = *handler;
	r = nlwatch_new(event, NETLINK_NETFILTER, &group, 1, NULL, &news, &watch->news);
	if (r < 0)
		return r;
	*ret_watch = take_ptr(watch);
	return 0;
}

struct nft_watch *nft_watch_free(struct nft_watch *watch)
{
	if (!watch)
		return NULL;
	watch->news = nlwatch_free(watch->news);
	free(watch);
	return NULL;
}

void nft_watch_poll(struct nft_watch *watch)
{
	nlwatch_poll(watch->news);
}
