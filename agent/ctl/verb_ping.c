/*
 * ping: whether a peer answers, how fast, and by which way. An echo request is sent through the
 * tunnel; whether there was a handshake tells a peer that is away from one that does not answer.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/link.h"
#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/ip.h"
#include "common/text.h"

#define N_TRIES	  4
#define WAIT_MSEC 1000

/* ---- whom ---- */

static bool has_address(const json_t *node, const struct ip_addr *addr)
{
	const json_t *addresses = json_object_get(node, "addresses");

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *text = json_string_value(json_array_get(addresses, i));
		struct ip_addr own;

		if (text && ip_addr_parse(text, &own) == 0 && ip_addr_equal(&own, addr))
			return true;
	}
	return false;
}

/* A name may have the mesh's domain behind it. */
static bool is_named(const json_t *node, const char *text)
{
	const char *name = value_text(node, "nodeName");
	size_t len = strlen(name);

	return strcmp(value_text(node, "nodeId"), text) == 0 ||
	       (strncmp(name, text, len) == 0 && (!text[len] || text[len] == '.'));
}

static const json_t *find_peer(const json_t *reply, const char *text)
{
	const json_t *peers = json_object_get(reply, "peers");
	struct ip_addr addr;
	bool is_addr = ip_addr_parse(text, &addr) == 0;

	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *node = json_object_get(json_array_get(peers, i), "node");

		if (is_addr ? has_address(node, &addr) : is_named(node, text))
			return json_array_get(peers, i);
	}
	return NULL;
}

/* The address that was named, or the peer's first. */
static int address_of(const json_t *peer, const char *text, struct ip_addr *ret_addr)
{
	const json_t *addresses = json_object_get(json_object_get(peer, "node"), "addresses");
	const char *first = json_string_value(json_array_get(addresses, 0));

	if (ip_addr_parse(text, ret_addr) == 0)
		return 0;
	return first ? ip_addr_parse(first, ret_addr) : -EINVAL;
}

/* ---- the echo ---- */

/* Of both families. mark tells our answers from those to others. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
	uint64_t mark;
};

struct echo_socket {
	int fd;
	bool v4;
	bool raw; /* IPv4: answers have their IP header, and the checksum is ours to make */
};

/* RFC 1071 */
static uint16_t checksum_of(const struct echo *echo)
{
	uint16_t words[sizeof(*echo) / 2];
	uint32_t sum = 0;

	memcpy(words, echo, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/*
 * Everybody may have a socket that the kernel fills identifier and checksum in for, if
 * net.ipv4.ping_group_range says so; root may have a raw one. Return: 0, negative errno.
 */
static int open_echo(const struct ip_addr *addr, struct echo_socket *ret_socket)
{
	const struct ip_endpoint to = { .addr = *addr };
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(&to, &ss);
	struct echo_socket s = { .v4 = addr->family == AF_INET };
	int protocol = s.v4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	_cleanup_close_ int fd = -1;

	fd = socket(addr->family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
	s.raw = fd < 0;
	if (fd < 0)
		fd = socket(addr->family, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	s.fd = take_fd(&fd);
	*ret_socket = s;
	return 0;
}

/* Is the next thing that has come the answer with this mark? */
static bool take_answer(const struct echo_socket *s, uint64_t mark)
{
	uint8_t buf[128];
	ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
	size_t head = s->raw && s->v4 && n > 0 ? (buf[0] & 15u) * 4u : 0;
	struct echo in;

	if (n < 0 || (size_t)n < head + sizeof(in))
		return false;
	memcpy(&in, buf + head, sizeof(in));
	return in.mark == mark && in.type == (s->v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
}

/* Return: microseconds; -1: no answer, and *ret_error of the sending (0: it went out). */
static int64_t echo_once(const struct echo_socket *s, uint16_t sequence, int *ret_error)
{
	uint64_t began = clock_usec(CLOCK_MONOTONIC), now = began;
	struct echo out = {
		.type = s->v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
		.id = htons((uint16_t)getpid()),
		.sequence = htons(sequence),
		.mark = began,
	};

	out.checksum = checksum_of(&out);
	*ret_error = send(s->fd, &out, sizeof(out), 0) < 0 ? errno : 0;
	while (*ret_error == 0 && now - began < WAIT_MSEC * 1000u) {
		struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
		int left = (int)(WAIT_MSEC - (now - began) / 1000);

		if (poll(&pfd, 1, left > 0 ? left : 1) > 0 && take_answer(s, out.mark))
			return (int64_t)(clock_usec(CLOCK_MONOTONIC) - began);
		now = clock_usec(CLOCK_MONOTONIC);
	}
	return -1;
}

/* ---- what is told ---- */

struct ping {
	struct ctl *ctl;
	const char *text;
	json_t *reply; /* GetPeers, the latest */
	const json_t *peer;
	struct ip_addr addr;
	uint64_t began_usec; /* since 1970 */
	json_t *times;	     /* of answers, usec */
};

/* The endpoint and the handshake may be others by now. */
static int look(struct ping *ping)
{
	json_decref(ping->reply);
	ping->reply = NULL;
	ping->peer = NULL;
	if (ctl_call_parts(ping->ctl, "GetPeers", &ping->reply) != CLI_OK)
		return CLI_UNREACHABLE;
	ping->peer = find_peer(ping->reply, ping->text);
	return ping->peer ? CLI_OK
			  : ctl_tell(CLI_NO, "this host knows no peer '%s'; see 'agentctl peers'",
				     ping->text);
}

static void tell_answer(const struct ping *ping, int64_t usec)
{
	_cleanup_free_ char *name = value_shown(json_object_get(ping->peer, "node"), "nodeName");
	_cleanup_free_ char *endpoint = value_shown(ping->peer, "endpoint");
	char addr[IP_ADDR_STRLEN];

	if (!ping->ctl->json)
		fprintf(ping->ctl->out.file, "%s (%s) answers in %.1f ms, directly by %s\n",
			name ? name : "-", ip_addr_to_string(&ping->addr, addr),
			(double)usec / 1000, endpoint ? endpoint : "-");
	fflush(ping->ctl->out.file);
}

/* Nothing came back: how far does it go? */
static const char *why_not(const struct ping *ping, int error)
{
	uint64_t handshake = value_number(ping->peer, "lastHandshake");
	const char *reason = json_string_value(json_object_get(ping->peer, "pathReason"));

	if (error == EACCES || error == EPERM)
		return "this user may not send echo requests (net.ipv4.ping_group_range)";
	if (error == EDESTADDRREQ || error == ENOKEY)
		return "its endpoint is not known here; it has to speak first";
	if (error != 0)
		return strerror(error);
	if (handshake + 180 * USEC_PER_SEC >= ping->began_usec)
		return "the tunnel works, but echo requests are not answered: its packet filter "
		       "lets none in, perhaps";
	if (json_is_true(json_object_get(ping->peer, "noPath")))
		return reason ? reason : "neither side can reach the other";
	return "no handshake: it is away, or its endpoint cannot be reached from here";
}

static int finish(struct ping *ping, int error)
{
	_cleanup_free_ char *name = value_shown(json_object_get(ping->peer, "node"), "nodeName");
	bool answered = json_array_size(ping->times) > 0;
	const char *why = answered ? NULL : why_not(ping, error);
	json_auto_t *told = NULL;

	if (ping->ctl->json) {
		told = json_pack("{s:O, s:O, s:s*}", "peer", ping->peer, "times", ping->times,
				 "problem", why);
		(void)ctl_print_json(ping->ctl, told);
	} else if (!answered) {
		_cleanup_free_ char *shown = text_sanitize(why, 300);

		fprintf(ping->ctl->out.file, "%s does not answer: %s\n", name ? name : "-",
			shown ? shown : "");
	}
	return answered ? CLI_OK : CLI_NO;
}

static int run(struct ping *ping)
{
	struct echo_socket echo = { .fd = -1 };
	int error = 0, r;

	r = look(ping);
	if (r == CLI_OK && address_of(ping->peer, ping->text, &ping->addr) < 0)
		r = ctl_tell(CLI_NO, "the peer has no address");
	if (r != CLI_OK)
		return r;
	r = open_echo(&ping->addr, &echo);
	if (r < 0)
		return finish(ping, -r);
	for (uint16_t i = 1; i <= N_TRIES && r == CLI_OK; i++) {
		int64_t usec = echo_once(&echo, i, &error);

		r = look(ping);
		if (r == CLI_OK && usec >= 0) {
			json_array_append_new(ping->times, json_integer(usec));
			tell_answer(ping, usec);
		}
		if (error != 0)
			break;
		if (usec >= 0 && i < N_TRIES)
			usleep(200000);
	}
	close(echo.fd);
	return r == CLI_OK ? finish(ping, error) : r;
}

int verb_ping(int argc, char **argv, void *userdata)
{
	struct ping ping = {
		.ctl = userdata,
		.text = argv[0],
		.began_usec = clock_usec(CLOCK_REALTIME),
		.times = json_array(),
	};
	int r = run(&ping);

	json_decref(ping.reply);
	json_decref(ping.times);
	return r;
}
