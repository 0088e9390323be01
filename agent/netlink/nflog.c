#include "agent/netlink/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define RECEIVE_TIMEOUT 10 /* seconds; the kernel answers at once, or not at all */
#define AT_ONCE		64 /* datagrams before others have their turn */

struct nflog {
	struct mnl_socket *mnl;
	sd_event_source *source;
	void (*fn)(const struct nlmsghdr *nlh, void *userdata);
	void *userdata;
	char buffer[64 << 10];
};

static struct nlmsghdr *request(void *buf, uint16_t group, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(group);
	return nlh;
}

/* Packets that come before the answer have been sampled away. */
static int await_ack(struct nflog *log, uint32_t seq)
{
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(log->mnl, log->buffer, sizeof(log->buffer));
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)log->buffer;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			if (nlh->nlmsg_type == NLMSG_ERROR && nlh->nlmsg_seq == seq &&
			    mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct nlmsgerr))
				return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
	}
}

static int send_request(struct nflog *log, struct nlmsghdr *nlh)
{
	if (mnl_socket_sendto(log->mnl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	return await_ack(log, nlh->nlmsg_seq);
}

static int take_group(struct nflog *log, uint16_t group, uint32_t bytes)
{
	const struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	const struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(bytes),
		.copy_mode = NFULNL_COPY_PACKET,
	};
	struct nlmsghdr *nlh;
	char buf[256];
	int r;

	nlh = request(buf, group, 1);
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(bind), &bind);
	r = send_request(log, nlh);
	/* What the kernel answers when the group is another socket's; a right that lacks is the
	 * same to it, but without that nobody gets as far as having packets to log. */
	if (r == -EPERM)
		return -EBUSY;
	if (r < 0)
		return r;
	nlh = request(buf, group, 2);
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	/* Each at once: they are few. */
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(1));
	return send_request(log, nlh);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct nflog *log = userdata;

	for (int i = 0; i < AT_ONCE; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, log->buffer, sizeof(log->buffer), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)log->buffer;
		int len = (int)n;

		/* What did not fit into the queue is counted as not shown. */
		if (n < 0)
			return 0;
		if (from.nl_pid != 0)
			continue;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			log->fn(nlh, log->userdata);
	}
	return 0;
}

static int set_up(struct nflog *log, sd_event *event, uint16_t group, uint32_t bytes)
{
	struct timeval timeout = { .tv_sec = RECEIVE_TIMEOUT };
	int fd, r;

	log->mnl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!log->mnl)
		return -errno;
	fd = mnl_socket_get_fd(log->mnl);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    mnl_socket_bind(log->mnl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	r = take_group(log, group, bytes);
	if (r < 0)
		return r;
	r = sd_event_add_io(event, &log->source, fd, EPOLLIN, on_readable, log);
	if (r >= 0)
		r = sd_event_source_set_priority(log->source, SD_EVENT_PRIORITY_IDLE);
	return r < 0 ? r : 0;
}

int nflog_open(sd_event *event, uint16_t group, uint32_t bytes,
	       void (*fn)(const struct nlmsghdr *nlh, void *userdata), void *userdata,
	       struct nflog **ret_log)
{
	_cleanup_(nflog_freep) struct nflog *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return -ENOMEM;
	log->fn = fn;
	log->userdata = userdata;
	r = set_up(log, event, group, bytes);
	if (r < 0)
		return r;
	*ret_log = take_ptr(log);
	return 0;
}

struct nflog *nflog_free(struct nflog *log)
{
	if (!log)
		return NULL;
	sd_event_source_disable_unref(log->source);
	if (log->mnl)
		mnl_socket_close(log->mnl);
	free(log);
	return NULL;
}
