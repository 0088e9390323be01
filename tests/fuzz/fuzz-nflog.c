/* A message of NFLOG: what comes behind its header, with the packet that somebody sent in it. */
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdint.h>
#include <string.h>

#include "agent/kernel/drop.h"
#include "common/cleanup.h"

#define MAX_MESSAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct nlmsghdr *nlh = NULL;
	struct drop drop;

	if (size > MAX_MESSAGE)
		return 0;
	/* Of its own, so that a byte behind its end is noticed; messages are padded. */
	nlh = calloc(1, MNL_ALIGN(MNL_NLMSG_HDRLEN + size));
	if (!nlh)
		return 0;
	nlh->nlmsg_len = (uint32_t)(MNL_NLMSG_HDRLEN + size);
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	memcpy((char *)nlh + MNL_NLMSG_HDRLEN, data, size);
	if (drop_parse(nlh, &drop) < 0)
		return 0;
	if (memchr(drop.reason, '\0', sizeof(drop.reason)) == NULL ||
	    drop.src.family != drop.dst.family || (drop.has_ports && drop.src.family == AF_UNSPEC))
		abort();
	return 0;
}
