#include "common/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

size_t ip_addr_len(const struct ip_addr *a)
{
	switch (a->family) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 16;
	default:
		return 0;
	}
}

unsigned ip_addr_bits(const struct ip_addr *a)
{
	return (unsigned)ip_addr_len(a) * 8;
}

static bool is_v4_mapped(const uint8_t *bytes)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(bytes, head, sizeof(head)) == 0;
}

int ip_addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = AF_INET };

	if (inet_pton(AF_INET, text, addr.bytes) == 1) {
		*ret_addr = addr;
		return 0;
	}
	addr.family = AF_INET6;
	if (inet_pton(AF_INET6, text, addr.bytes) != 1 || is_v4_mapped(addr.bytes))
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

/* Sets all bits behind the first len to zero or one. */
static void fill_host_bits(struct ip_addr *a, unsigned len, bool ones)
{
	for (unsigned i = 0; i < ip_addr_len(a); i++) {
		unsigned keep = len > i * 8 ? len - i * 8 : 0;
		uint8_t host = keep >= 8 ? 0 : 0xff >> keep;

		a->bytes[i] = ones ? a->bytes[i] | host : a->bytes[i] & (uint8_t)~host;
	}
}

struct ip_addr ip_prefix_first(const struct ip_prefix *p)
{
	struct ip_addr first = p->addr;

	fill_host_bits(&first, p->len, false);
	return first;
}

struct ip_addr ip_prefix_last(const struct ip_prefix *p)
{
	struct ip_addr last = p->addr;

	fill_host_bits(&last, p->len, true);
	return last;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	char addr_text[IP_ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	size_t addr_len = slash ? (size_t)(slash - text) : strlen(text);
	struct ip_prefix prefix = { 0 };
	struct ip_addr first;
	uint64_t len;
	int r;

	if (addr_len >= sizeof(addr_text))
		return -EINVAL;
	memcpy(addr_text, text, addr_len);
	addr_text[addr_len] = '\0';
	r = ip_addr_parse(addr_text, &prefix.addr);
	if (r < 0)
		return r;

	prefix.len = (uint8_t)ip_addr_bits(&prefix.addr);
	if (slash) {
		r = parse_u64(slash + 1, prefix.len, &len);
		if (r < 0)
			return -EINVAL;
		prefix.len = (uint8_t)len;
	}
	first = ip_prefix_first(&prefix);
	if (!ip_addr_equal(&first, &prefix.addr))
		return -EINVAL;
	*ret_prefix = prefix;
	return 0;
}

int ip_endpoint_parse(const char *text, struct ip_endpoint *ret_ep)
{
	char host[IP_ADDR_STRLEN];
	bool bracket = text[0] == '[';
	const char *start = bracket ? text + 1 : text;
	const char *end = bracket ? strchr(start, ']') : strchr(start, ':');
	struct ip_endpoint ep = { 0 };
	uint64_t port;

	if (!end || (size_t)(end - start) >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	if (bracket && *++end != ':')
		return -EINVAL;
	if (ip_addr_parse(host, &ep.addr) < 0 || (ep.addr.family == AF_INET6) != bracket)
		return -EINVAL;
	if (parse_u64(end + 1, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	ep.port = (uint16_t)port;
	*ret_ep = ep;
	return 0;
}

/* Return: behind its last digit. */
static char *write_number(unsigned value, char *at)
{
	if (value >= 10)
		at = write_number(value / 10, at);
	*at++ = (char)('0' + value % 10);
	return at;
}

/* As inet_ntop(3), which goes through printf(3): a map of 10,000 peers is full of addresses. */
static char *write_ipv4(const uint8_t *bytes, char *at)
{
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = write_number(bytes[i], at);
	}
	*at = '\0';
	return at;
}

char *ip_addr_to_string(const struct ip_addr *a, char *buf)
{
	if (a->family == AF_INET)
		write_ipv4(a->bytes, buf);
	else if (!ip_addr_len(a) || !inet_ntop(a->family, a->bytes, buf, IP_ADDR_STRLEN))
		strcpy(buf, "-");
	return buf;
}

char *ip_prefix_to_string(const struct ip_prefix *p, char *buf)
{
	char *at = ip_addr_to_string(&p->addr, buf);

	at += strlen(at);
	*at++ = '/';
	*write_number(p->len, at) = '\0';
	return buf;
}

char *ip_endpoint_to_string(const struct ip_endpoint *ep, char *buf)
{
	char addr[IP_ADDR_STRLEN];

	snprintf(buf, IP_ENDPOINT_STRLEN, ep->addr.family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 ip_addr_to_string(&ep->addr, addr), ep->port);
	return buf;
}

int ip_addr_compare(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, ip_addr_len(a));
}

int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
	int c = ip_addr_compare(&a->addr, &b->addr);

	return c ? c : (a->len > b->len) - (a->len < b->len);
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_addr_compare(a, b) == 0;
}

bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return a->port == b->port && ip_addr_equal(&a->addr, &b->addr);
}

static bool ip4_is_special(const uint8_t *b)
{
	/* "this network", loopback, link-local, multicast and above (RFC 6890). */
	return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
}

static bool ip6_is_special(const uint8_t *b)
{
	static const uint8_t zero[15];

	/* ::, ::1, fe80::/10, ff00::/8 (RFC 4291). */
	return (memcmp(b, zero, sizeof(zero)) == 0 && b[15] <= 1) || b[0] == 0xff ||
	       (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

bool ip_addr_is_special(const struct ip_addr *a)
{
	return a->family == AF_INET ? ip4_is_special(a->bytes) : ip6_is_special(a->bytes);
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_prefix host = { .addr = *a, .len = p->len };
	struct ip_addr first;

	if (a->family != p->addr.family)
		return false;
	first = ip_prefix_first(&host);
	return ip_addr_equal(&first, &p->addr);
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len <= b->len ? ip_prefix_contains(a, &b->addr) : ip_prefix_contains(b, &a->addr);
}

struct ip_prefix ip_prefix_host(const struct ip_addr *a)
{
	return (struct ip_prefix){ .addr = *a, .len = (uint8_t)ip_addr_bits(a) };
}

int ip_endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct ip_endpoint *ret_ep)
{
	struct ip_endpoint ep = { 0 };

	if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		ep.addr.family = AF_INET;
		memcpy(ep.addr.bytes, &in->sin_addr, 4);
		ep.port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
		bool mapped = is_v4_mapped(in6->sin6_addr.s6_addr);

		ep.addr.family = mapped ? AF_INET : AF_INET6;
		memcpy(ep.addr.bytes, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		ep.port = ntohs(in6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_ep = ep;
	return 0;
}

socklen_t ip_endpoint_to_sockaddr(const struct ip_endpoint *ep, struct sockaddr_storage *ret_ss)
{
	memset(ret_ss, 0, sizeof(*ret_ss));
	if (ep->addr.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret_ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(ep->port);
		memcpy(&in->sin_addr, ep->addr.bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(ep->port);
	memcpy(&in6->sin6_addr, ep->addr.bytes, 16);
	return sizeof(*in6);
}
