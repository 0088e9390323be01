#include "agent/netlink/nlwatch.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Our own large transactions are reported as well, and must fit. */
#define RECEIVE_BUFFER (16 << 20)

struct nlwatch {
	struct mnl_socket *mnl;
	sd_event_source *source;
	struct nlwatch_handler handler;
	char buffer[64 << 10];
};

/* Return: bytes, 0 (nothing more), -ENOBUFS (something was lost). */
static ssize_t receive(struct nlwatch *watch)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(mnl_socket_get_fd(watch->mnl), watch->buffer, sizeof(watch->buffer),
			     MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return errno == ENOBUFS ? -ENOBUFS : 0;
	return n;
}

void nlwatch_poll(struct nlwatch *watch)
{
	const struct nlwatch_handler *handler = &watch->handler;
	bool any = false;
	ssize_t n;

	while ((n = receive(watch)) != 0) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)watch->buffer;
		int len = (int)n;

		any = true;
		if (n < 0) {
			handler->lost(handler->userdata);
			continue;
		}
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			handler->message(nlh, handler->userdata);
	}
	if (any)
		handler->settled(handler->userdata);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	nlwatch_poll(userdata);
	return 0;
}

static int watch_open(struct nlwatch *watch, sd_event *event, int protocol, const int *groups,
		      size_t n_groups, const struct sock_fprog *filter)
{
	int size = RECEIVE_BUFFER, fd, r;

	watch->mnl = mnl_socket_open2(protocol, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->mnl)
		return -errno;
	fd = mnl_socket_get_fd(watch->mnl);
	/* Without the right to, the default has to do: what is lost is noticed. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (filter && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) < 0)
		return -errno;
	if (mnl_socket_bind(watch->mnl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	for (size_t i = 0; i < n_groups; i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(watch->mnl, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			return -errno;
	}
	r = sd_event_add_io(event, &watch->source, fd, EPOLLIN, on_readable, watch);
	if (r < 0)
		return r;
	/* The table may be gone: nobody's questions go before that. */
	return sd_event_source_set_priority(watch->source, SD_EVENT_PRIORITY_IMPORTANT);
}

int nlwatch_new(sd_event *event, int protocol, const int *groups, size_t n_groups,
		const struct sock_fprog *filter, const struct nlwatch_handler *handler,
		struct nlwatch **ret_watch)
{
	_cleanup_(nlwatch_freep) struct nlwatch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->handler = *handler;
	r = watch_open(watch, event, protocol, groups, n_groups, filter);
	if (r < 0)
		return r;
	*ret_watch = take_ptr(watch);
	return 0;
}

struct nlwatch *nlwatch_free(struct nlwatch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->source);
	if (watch->mnl)
		mnl_socket_close(watch->mnl);
	free(watch);
	return NULL;
}
