/* "DST[:PORT][/PROTOCOL]", as agentctl acl explain takes it. Pure. */
#pragma once

#include <stdint.h>

#include "common/cleanup.h"

struct flow_arg {
	char *host;    /* a name or an address, without brackets */
	uint16_t port; /* 0: any */
	uint8_t proto;
};

/*
 * "server:22", "[fd7a::1]:22", "fd7a::1", "server:53/udp", "server/icmp", "server:*".
 * Without a protocol it is TCP. What could be an IPv6 address as it stands is one.
 * Return: 0; -EINVAL and *reterr_text (the caller's); -ENOMEM.
 */
int flow_arg_parse(const char *text, struct flow_arg *ret_arg, char **reterr_text);
/* The same without port and protocol: "server", "fd7a::1", "[fd7a::1]". NULL: no memory. */
char *flow_arg_host(const char *text);
void flow_arg_done(struct flow_arg *arg);
