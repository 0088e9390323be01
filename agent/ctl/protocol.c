#include "agent/ctl/protocol.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/text.h"

static const struct {
	const char *name;
	uint8_t number;
	bool has_ports;
} protocols[] = {
	{ "tcp", IPPROTO_TCP, true },	      { "udp", IPPROTO_UDP, true },
	{ "icmp", IPPROTO_ICMP, false },      { "icmpv6", IPPROTO_ICMPV6, false },
	{ "sctp", IPPROTO_SCTP, true },	      { "dccp", IPPROTO_DCCP, true },
	{ "gre", IPPROTO_GRE, false },	      { "esp", IPPROTO_ESP, false },
	{ "ah", IPPROTO_AH, false },	      { "igmp", IPPROTO_IGMP, false },
	{ "udplite", IPPROTO_UDPLITE, true },
};

int protocol_parse(const char *text, uint8_t *ret_proto)
{
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].name, text) == 0) {
			*ret_proto = protocols[i].number;
			return 0;
		}
	if (parse_u64(text, UINT8_MAX, &number) < 0 || number == 0)
		return -EINVAL;
	*ret_proto = (uint8_t)number;
	return 0;
}

const char *protocol_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].number == proto)
			return protocols[i].name;
	return NULL;
}

bool protocol_has_ports(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].number == proto)
			return protocols[i].has_ports;
	return false;
}
