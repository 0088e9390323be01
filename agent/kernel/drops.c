/* Dropped packets, for as long as somebody wants to see them. */
#include <errno.h>

#include "agent/kernel/drop.h"
#include "agent/kernel/state.h"
#include "agent/netlink/nflog.h"
#include "agent/nft/layout.h"

static void on_packet(const struct nlmsghdr *nlh, void *userdata)
{
	struct kernel *kernel = userdata;
	struct drop drop;

	if (drop_parse(nlh, &drop) == 0)
		kernel->drop_fn(&drop, kernel->drop_userdata);
}

int kernel_watch_drops(struct kernel *kernel, sd_event *event,
		       void (*fn)(const struct drop *drop, void *userdata), void *userdata)
{
	int r = 0;

	kernel->nflog = nflog_free(kernel->nflog);
	kernel->drop_fn = fn;
	kernel->drop_userdata = userdata;
	if (fn)
		r = nflog_open(event, NFT_LOG_GROUP, NFT_LOG_BYTES, on_packet, kernel,
			       &kernel->nflog);
	nft_log_drops(kernel->nft, fn && r == 0);
	return r;
}
