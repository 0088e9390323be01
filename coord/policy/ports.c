#include "coord/policy/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

/* The first name of a number is the one that is written. */
static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = {
	{ "icmp", 1 },	 { "igmp", 2 }, { "ipv4", 4 }, { "ip-in-ip", 4 },   { "tcp", 6 },
	{ "egp", 8 },	 { "igp", 9 },	{ "udp", 17 }, { "dccp", 33 },	    { "ipv6", 41 },
	{ "gre", 47 },	 { "esp", 50 }, { "ah", 51 },  { "ipv6-icmp", 58 }, { "icmpv6", 58 },
	{ "sctp", 132 }, { "fc", 133 },
};

int policy_protocol_parse(const char *text, uint8_t *ret_proto)
{
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcasecmp(protocols[i].name, text) == 0) {
			*ret_proto = protocols[i].proto;
			return 0;
		}
	if (text[0] == '0' || parse_u64(text, 255, &number) < 0)
		return -EINVAL;
	*ret_proto = (uint8_t)number;
	return 0;
}

const char *protocol_to_string(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].proto == proto)
			return protocols[i].name;
	return NULL;
}

bool protocol_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

bool protocol_read(struct reader *rd, const char *text, struct place at, uint8_t *ret_proto)
{
	if (policy_protocol_parse(text, ret_proto) == 0)
		return true;
	read_error(rd, at,
		   "\"%.60s\" is no protocol; write tcp, udp, icmp or a number from 1 to 255",
		   text);
	return false;
}

static const struct ports all_ports[] = { { 0, UINT16_MAX } };

struct port_list ports_all(void)
{
	return (struct port_list){ .items = all_ports, .n = 1 };
}

bool ports_are_all(const struct port_list *ports)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->items[i].first == 0 && ports->items[i].last == UINT16_MAX)
			return true;
	return false;
}

bool ports_contain(const struct port_list *ports, uint16_t port)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->items[i].first <= port && port <= ports->items[i].last)
			return true;
	return false;
}

int port_parse(const char *text, uint16_t *ret_port)
{
	uint64_t port;

	if (parse_u64(text, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* One item of the list, of len bytes. NULL: fine; else what is wrong. */
static const char *parse_item(const char *item, size_t len, struct ports *ret_ports)
{
	char first[16], *last;

	if (len == 1 && *item == '*') {
		*ret_ports = all_ports[0];
		return NULL;
	}
	if (len == 0 || len >= sizeof(first))
		return "is no port; write a number, 80-443, 22,80 or *";
	memcpy(first, item, len);
	first[len] = '\0';
	last = strchr(first, '-');
	if (last)
		*last++ = '\0';
	if (strcmp(first, "0") == 0)
		return "is port 0; write a port from 1 to 65535, or * for all";
	if (port_parse(first, &ret_ports->first) < 0 ||
	    port_parse(last ? last : first, &ret_ports->last) < 0)
		return "is no port; write a number from 1 to 65535, 80-443, 22,80 or *";
	if (ret_ports->last < ret_ports->first)
		return "ends before it begins; write the lower port first";
	return NULL;
}

bool ports_read(struct reader *rd, const char *text, const char *what, struct place at,
		struct port_list *ret_ports)
{
	size_t n = 1, i = 0;
	struct ports *items;

	for (const char *p = text; *p; p++)
		n += *p == ',';
	items = read_alloc(rd, n, sizeof(*items));
	if (!items)
		return false;
	for (const char *p = text; i < n; i++) {
		size_t len = strcspn(p, ",");
		const char *wrong = parse_item(p, len, &items[i]);

		if (wrong) {
			read_error(rd, at, "\"%s\": \"%.*s\" %s", what, (int)len, p, wrong);
			return false;
		}
		p += len + 1;
	}
	*ret_ports = (struct port_list){ .items = items, .n = n };
	return true;
}
