#include "agent/rtnl/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/netlink/nlsock.h"

/* Connections that somebody may still use; listeners and time-wait have nothing to end. */
#define STATES                                                                                   \
	(1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_SYN_RECV | 1u << TCP_FIN_WAIT1 | \
	 1u << TCP_FIN_WAIT2 | 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)

struct doomed {
	uint8_t family;
	struct inet_diag_sockid id;
};

struct hunt {
	struct nlsock *sock;
	sockdiag_doomed_fn fn;
	void *userdata;
	struct doomed *found;
	size_t n, n_alloc;
	size_t n_before; /* found by earlier dumps */
};

static void get_addr(struct ip_addr *addr, uint8_t family, const __be32 *words)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *bytes = (const uint8_t *)words;

	*addr = (struct ip_addr){ .family = family };
	if (family == AF_INET6 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		addr->family = AF_INET;
		bytes += sizeof(mapped);
	}
	memcpy(addr->bytes, bytes, ip_addr_len(addr));
}

static int take_socket(const struct nlmsghdr *nlh, void *userdata)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct ip_endpoint local, remote;
	struct hunt *hunt = userdata;
	int r;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg))
		return -EBADMSG;
	if (msg->idiag_family != AF_INET && msg->idiag_family != AF_INET6)
		return 0;
	get_addr(&local.addr, msg->idiag_family, msg->id.idiag_src);
	get_addr(&remote.addr, msg->idiag_family, msg->id.idiag_dst);
	local.port = ntohs(msg->id.idiag_sport);
	remote.port = ntohs(msg->id.idiag_dport);
	if (!hunt->fn(&local, &remote, hunt->userdata))
		return 0;
	r = array_grow(&hunt->found, &hunt->n_alloc, hunt->n, sizeof(*hunt->found));
	if (r == 0)
		hunt->found[hunt->n++] = (struct doomed){ msg->idiag_family, msg->id };
	return r;
}

static void restart(void *userdata)
{
	struct hunt *hunt = userdata;

	hunt->n = hunt->n_before;
}

/* Let the kernel pass over sockets at other local addresses. IPv4 ones match mapped IPv6 too. */
static void put_local_address(struct nlmsghdr *nlh, const struct ip_addr *addr)
{
	uint8_t code[sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond) + 16];
	size_t addr_len = ip_addr_len(addr), len = sizeof(code) - 16 + addr_len;
	const struct inet_diag_bc_op op = {
		.code = INET_DIAG_BC_S_COND,
		.yes = (unsigned char)len,
		.no = (unsigned short)(len + 4), /* behind the end: no match */
	};
	const struct inet_diag_hostcond cond = {
		.family = (uint8_t)addr->family,
		.prefix_len = (uint8_t)ip_addr_bits(addr),
		.port = -1,
	};

	memcpy(code, &op, sizeof(op));
	memcpy(code + sizeof(op), &cond, sizeof(cond));
	memcpy(code + sizeof(op) + sizeof(cond), addr->bytes, addr_len);
	mnl_attr_put(nlh, INET_DIAG_REQ_BYTECODE, len, code);
}

static int dump(struct hunt *hunt, uint8_t family, const struct ip_addr *local)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = STATES;
	put_local_address(nlh, local);
	hunt->n_before = hunt->n;
	return nlsock_request(hunt->sock, nlh, take_socket, restart, hunt);
}

static int destroy(struct hunt *hunt, const struct doomed *doomed)
{
	char buf[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	nlh->nlmsg_type = SOCK_DESTROY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	req->sdiag_family = doomed->family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->id = doomed->id;
	return nlsock_request(hunt->sock, nlh, NULL, NULL, NULL);
}

static int hunt_all(struct hunt *hunt, const struct ip_addr *local, size_t n, unsigned *ret_n)
{
	unsigned n_destroyed = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (local[i].family == AF_INET)
			r = dump(hunt, AF_INET, &local[i]);
		if (r == 0)
			r = dump(hunt, AF_INET6, &local[i]);
	}
	for (size_t i = 0; i < hunt->n && r == 0; i++) {
		r = destroy(hunt, &hunt->found[i]);
		if (r == -EOPNOTSUPP)
			break;
		n_destroyed += r == 0;
		if (r == -ENOENT) /* gone by itself */
			r = 0;
	}
	*ret_n = n_destroyed;
	return r == -EOPNOTSUPP ? 0 : r;
}

int sockdiag_destroy(const struct ip_addr *local, size_t n, sockdiag_doomed_fn fn, void *userdata,
		     unsigned *ret_n)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = NULL;
	struct hunt hunt = { .fn = fn, .userdata = userdata };
	int r;

	r = nlsock_open(NETLINK_SOCK_DIAG, &sock);
	if (r < 0)
		return r;
	hunt.sock = sock;
	r = hunt_all(&hunt, local, n, ret_n);
	free(hunt.found);
	return r;
}
