/*
 * Clients that go away. libmicrohttpd does not look at suspended connections; and of the others it
 * misses an end that comes together with the last bytes of an unfinished request.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "coord/http/internal.h"

#define BATCH 256

void http_watch_add(struct http_conn *conn)
{
	struct epoll_event event = {
		/* Once is enough: nobody comes back. Errors and hang-ups are reported anyway. */
		.events = EPOLLRDHUP | EPOLLONESHOT,
		.data.ptr = conn,
	};

	if (conn->watched)
		return;
	/* Without a place in the set it is found out when something is written. */
	conn->watched =
		epoll_ctl(conn->listener->server->watch_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0;
}

void http_watch_remove(struct http_conn *conn)
{
	if (!conn->watched)
		return;
	(void)epoll_ctl(conn->listener->server->watch_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	conn->watched = false;
}

/* All that there are before libmicrohttpd is run, once: nothing is freed in between. */
static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct http_server *server = userdata;
	struct epoll_event events[BATCH];
	int n;

	do {
		n = epoll_wait(fd, events, BATCH, 0);
		for (int i = 0; i < n; i++) {
			struct http_conn *conn = events[i].data.ptr;

			conn->gone = true;
			if (conn->request && conn->request->suspended)
				http_flush_later(conn->request);
			else
				/* Makes its edge-triggered descriptor ready again. */
				shutdown(conn->fd, SHUT_RD);
		}
	} while (n == BATCH);
	http_flush(server);
	return 0;
}

int http_watch_init(struct http_server *server)
{
	int r;

	server->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->watch_fd < 0)
		return -errno;
	r = sd_event_add_io(server->event, &server->watch_source, server->watch_fd, EPOLLIN,
			    on_gone, server);
	return r < 0 ? r : 0;
}
