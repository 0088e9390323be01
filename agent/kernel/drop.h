/* A packet that the table dropped, as NFLOG tells of it. Pure: bytes from outside in, values out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

#define DROP_REASON_LEN 64

struct nlmsghdr;

struct drop {
	char reason[DROP_REASON_LEN]; /* of the dropping rule */
	uint8_t hook;		      /* NF_INET_* */
	uint32_t iif, oif;	      /* indices of interfaces; 0: none */
	/* Of the packet as far as it can be read: AF_UNSPEC, protocol 0, ports 0 where not. */
	struct ip_addr src, dst;
	uint8_t proto;
	bool has_ports;
	uint16_t sport, dport;
};

/* Return: 0, -EBADMSG (no packet of NFLOG). */
int drop_parse(const struct nlmsghdr *nlh, struct drop *ret_drop);
