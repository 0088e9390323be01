/* Packets that nftables' "log group N" sends, in the event loop. Needs CAP_NET_ADMIN. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct nflog;

/*
 * Take over the group, with so many bytes of each packet. fn gets each message.
 * Return: 0, -EBUSY (another program has the group, or CAP_NET_ADMIN lacks), -EINVAL (the kernel
 * has no NFLOG), other negative errno.
 */
int nflog_open(sd_event *event, uint16_t group, uint32_t bytes,
	       void (*fn)(const struct nlmsghdr *nlh, void *userdata), void *userdata,
	       struct nflog **ret_log);
struct nflog *nflog_free(struct nflog *log);
DEFINE_CLEANUP(struct nflog *, nflog_free);
