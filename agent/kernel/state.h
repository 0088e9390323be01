/* What the files kernel*.c share. */
#pragma once

#include "agent/kernel/kernel.h"
#include "agent/kernel/plan.h"
#include "agent/kernel/poll.h"
#include "agent/nft/nft.h"
#include "agent/rtnl/rtnl.h"
#include "agent/rtnl/watch.h"
#include "agent/wg/wg.h"

struct kernel {
	char *ifname;
	struct wg_key private_key;
	struct wg_device settings; /* without peers */
	struct nft *nft;
	struct rtnl *rtnl;
	struct rtnl_watch *rtnl_watch; /* NULL: not watched */
	struct wg *wg;
	struct kernel_poll *poll; /* NULL: nobody looks at WireGuard between applies */
	void (*foreign_fn)(void *userdata, const char *what);
	void *foreign_userdata;
	struct nflog *nflog; /* NULL: nobody wants to see what is dropped */
	void (*drop_fn)(const struct drop *drop, void *userdata);
	void *drop_userdata;

	/* The plan of the last apply that went through, without the filter: nft has that. */
	struct kernel_plan done;
	int ifindex;	 /* of the link that has it; 0: there was no such apply */
	bool told_holds; /* WireGuard has what that plan told it */
	bool net_holds;	 /* the link has that plan's addresses and routes, and is up */
	unsigned n_shut; /* empty tables that were put there since */
};

/* Tell the owner. */
void kernel_tell(struct kernel *kernel, const char *what);
