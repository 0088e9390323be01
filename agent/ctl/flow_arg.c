#include "agent/ctl/flow_arg.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/ctl/protocol.h"
#include "common/ip.h"
#include "common/text.h"

#define SHOWN_MAX 64 /* bytes of what somebody typed */

static int refuse(char **reterr_text, const char *text, const char *problem)
{
	_cleanup_free_ char *shown = text_sanitize(text, SHOWN_MAX);

	*reterr_text = shown ? text_printf("'%s' %s", shown, problem) : NULL;
	return *reterr_text ? -EINVAL : -ENOMEM;
}

char *flow_arg_host(const char *text)
{
	size_t len = strlen(text);

	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		return strndup(text + 1, len - 2);
	return strdup(text);
}

/* Cut "/PROTOCOL" off. */
static int take_proto(char *text, uint8_t *ret_proto, char **reterr_text)
{
	char *slash = strrchr(text, '/');

	*ret_proto = IPPROTO_TCP;
	if (!slash)
		return 0;
	*slash = '\0';
	if (protocol_parse(slash + 1, ret_proto) < 0)
		return refuse(reterr_text, slash + 1,
			      "is no protocol; write tcp, udp, icmp or a number from 1 to 255");
	return 0;
}

/* Cut ":PORT" off. What is behind the last colon of "fd7a::1" is no port. */
static int take_port(char *text, uint16_t *ret_port, char **reterr_text)
{
	char *colon = strrchr(text, ':');
	struct ip_addr addr;
	uint64_t port = 0;

	*ret_port = 0;
	if (!colon || ip_addr_parse(text, &addr) == 0 || text[strlen(text) - 1] == ']')
		return 0;
	*colon = '\0';
	if (strcmp(colon + 1, "*") == 0)
		return 0;
	if (parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)
		return refuse(reterr_text, colon + 1,
			      "is no port; write a number from 1 to 65535, or nothing for any");
	*ret_port = (uint16_t)port;
	return 0;
}

int flow_arg_parse(const char *text, struct flow_arg *ret_arg, char **reterr_text)
{
	_cleanup_free_ char *rest = strdup(text);
	struct flow_arg arg = { 0 };
	int r;

	if (!rest)
		return -ENOMEM;
	r = take_proto(rest, &arg.proto, reterr_text);
	if (r == 0)
		r = take_port(rest, &arg.port, reterr_text);
	if (r < 0)
		return r;
	if (arg.port > 0 && !protocol_has_ports(arg.proto))
		return refuse(reterr_text, text,
			      "names a port, which the protocol does not have; leave it out");
	if (!rest[0])
		return refuse(reterr_text, text, "lacks a host");
	arg.host = flow_arg_host(rest);
	if (!arg.host)
		return -ENOMEM;
	*ret_arg = arg;
	return 0;
}

void flow_arg_done(struct flow_arg *arg)
{
	free(arg->host);
	*arg = (struct flow_arg){ 0 };
}
