#include "agent/netlink/nlsock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define RECEIVE_BUFFER	(8 << 20)
#define RECEIVE_TIMEOUT 10 /* seconds; the kernel answers at once, or not at all */
#define DUMP_ATTEMPTS	20

struct nlsock {
	struct mnl_socket *mnl;
	uint32_t portid, seq;
	char ext[NLSOCK_EXT_MAX];
	char buffer[NLSOCK_MESSAGE_MAX];
};

/* What one request has brought so far. */
struct exchange {
	uint32_t first, last;
	nlsock_answer_fn fn;
	void *userdata;
	int error; /* the first */
	uint32_t error_seq;
	bool interrupted;
};

enum {
	EXCHANGE_MORE,
	EXCHANGE_DONE,
};

static int socket_setup(struct nlsock *sock)
{
	struct timeval timeout = { .tv_sec = RECEIVE_TIMEOUT };
	int fd = mnl_socket_get_fd(sock->mnl);
	int size = RECEIVE_BUFFER, on = 1;

	/* Forced where allowed; without CAP_NET_ADMIN the requests fail anyway, and say so. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	(void)mnl_socket_setsockopt(sock->mnl, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(sock->mnl, NETLINK_CAP_ACK, &on, sizeof(on));
	if (mnl_socket_bind(sock->mnl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	sock->portid = mnl_socket_get_portid(sock->mnl);
	return 0;
}

int nlsock_open(int protocol, struct nlsock **ret_sock)
{
	_cleanup_(nlsock_freep) struct nlsock *sock = calloc(1, sizeof(*sock));
	int r;

	if (!sock)
		return -ENOMEM;
	sock->mnl = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	if (!sock->mnl)
		return -errno;
	r = socket_setup(sock);
	if (r < 0)
		return r;
	*ret_sock = take_ptr(sock);
	return 0;
}

struct nlsock *nlsock_free(struct nlsock *sock)
{
	if (!sock)
		return NULL;
	if (sock->mnl)
		mnl_socket_close(sock->mnl);
	explicit_bzero(sock->buffer, sizeof(sock->buffer));
	free(sock);
	return NULL;
}

void nlsock_narrow_dumps(struct nlsock *sock)
{
	int on = 1;

	(void)mnl_socket_setsockopt(sock->mnl, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
}

uint32_t nlsock_portid(const struct nlsock *sock)
{
	return sock->portid;
}

uint32_t nlsock_next_seq(struct nlsock *sock)
{
	if (++sock->seq == 0)
		sock->seq = 1;
	return sock->seq;
}

void nlsock_wipe(struct nlsock *sock)
{
	explicit_bzero(sock->buffer, sizeof(sock->buffer));
}

const char *nlsock_ext_text(const struct nlsock *sock)
{
	return sock->ext;
}

static int ext_attr(const struct nlattr *attr, void *data)
{
	struct nlsock *sock = data;
	size_t len = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_MSG)
		return MNL_CB_OK;
	if (len >= sizeof(sock->ext))
		len = sizeof(sock->ext) - 1;
	memcpy(sock->ext, mnl_attr_get_payload(attr), len);
	sock->ext[len] = '\0';
	return MNL_CB_OK;
}

static void note_ext_text(struct nlsock *sock, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	unsigned offset = sizeof(*err);

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && err->msg.nlmsg_len > sizeof(err->msg))
		offset += err->msg.nlmsg_len - sizeof(err->msg);
	if (offset < mnl_nlmsg_get_payload_len(nlh))
		(void)mnl_attr_parse(nlh, offset, ext_attr, sock);
}

static void exchange_fail(struct exchange *ex, int error, uint32_t seq)
{
	if (ex->error)
		return;
	ex->error = error;
	ex->error_seq = seq;
}

/* Acknowledgement or error of one message. */
static int take_error(struct nlsock *sock, const struct nlmsghdr *nlh, struct exchange *ex)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*err)) {
		exchange_fail(ex, -EBADMSG, nlh->nlmsg_seq);
		return EXCHANGE_DONE;
	}
	if (err->error) {
		if (!ex->error)
			note_ext_text(sock, nlh);
		exchange_fail(ex, err->error, nlh->nlmsg_seq);
		return EXCHANGE_DONE;
	}
	return nlh->nlmsg_seq == ex->last ? EXCHANGE_DONE : EXCHANGE_MORE;
}

static int take_message(struct nlsock *sock, const struct nlmsghdr *nlh, struct exchange *ex)
{
	int r;

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		ex->interrupted = true;
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		return take_error(sock, nlh, ex);
	case NLMSG_DONE:
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int)) {
			r = *(const int *)mnl_nlmsg_get_payload(nlh);
			if (r < 0)
				exchange_fail(ex, r, nlh->nlmsg_seq);
		}
		return EXCHANGE_DONE;
	}
	if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && ex->fn && !ex->interrupted && !ex->error) {
		r = ex->fn(nlh, ex->userdata);
		if (r < 0)
			exchange_fail(ex, r, nlh->nlmsg_seq);
	}
	return EXCHANGE_MORE;
}

/* One datagram; other programs' messages and those of earlier requests are passed over. */
static int receive(struct nlsock *sock, struct exchange *ex, int flags)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = sock->buffer, .iov_len = sizeof(sock->buffer) };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)sock->buffer;
	int verdict = EXCHANGE_MORE, len;
	ssize_t n;

	do
		n = recvmsg(mnl_socket_get_fd(sock->mnl), &msg, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (from.nl_pid != 0)
		return EXCHANGE_MORE;
	for (len = (int)n; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		if (nlh->nlmsg_seq - ex->first <= ex->last - ex->first &&
		    take_message(sock, nlh, ex) == EXCHANGE_DONE)
			verdict = EXCHANGE_DONE;
	return verdict;
}

/* Whatever a failed exchange left in the queue must not meet the next one. */
static void drain(struct nlsock *sock)
{
	ssize_t n;

	do
		n = recv(mnl_socket_get_fd(sock->mnl), sock->buffer, sizeof(sock->buffer),
			 MSG_DONTWAIT | MSG_TRUNC);
	while (n >= 0 || errno == EINTR || errno == ENOBUFS);
}

static int transact(struct nlsock *sock, const void *data, size_t len, struct exchange *ex)
{
	int r;

	sock->ext[0] = '\0';
	if (mnl_socket_sendto(sock->mnl, data, len) < 0)
		return -errno;
	do
		r = receive(sock, ex, 0);
	while (r == EXCHANGE_MORE);
	if (r < 0 || ex->error)
		drain(sock);
	return r < 0 ? r : ex->error;
}

int nlsock_request(struct nlsock *sock, struct nlmsghdr *nlh, nlsock_answer_fn fn,
		   void (*restart)(void *userdata), void *userdata)
{
	int r;

	for (int i = 0; i < DUMP_ATTEMPTS; i++) {
		struct exchange ex = { .fn = fn, .userdata = userdata };

		nlh->nlmsg_seq = ex.first = ex.last = nlsock_next_seq(sock);
		r = transact(sock, nlh, nlh->nlmsg_len, &ex);
		if (!ex.interrupted || (r < 0 && r != -EINTR))
			return r;
		if (!restart)
			break;
		restart(userdata);
	}
	return -EBUSY;
}

static int grow_send_buffer(struct nlsock *sock, size_t len)
{
	int fd = mnl_socket_get_fd(sock->mnl);
	int size = len < INT32_MAX / 2 ? (int)len : INT32_MAX / 2;

	if (len < NLSOCK_MESSAGE_MAX)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		return -errno;
	return 0;
}

int nlsock_batch(struct nlsock *sock, const void *data, size_t len, uint32_t first, uint32_t last,
		 uint32_t *ret_seq)
{
	struct exchange ex = { .first = first, .last = last };
	int r;

	r = grow_send_buffer(sock, len);
	if (r < 0)
		return r;
	r = transact(sock, data, len, &ex);
	if (r < 0)
		*ret_seq = ex.error ? ex.error_seq : first;
	return r;
}
