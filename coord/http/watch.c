/*
 * Clients that go away. libmicrohttpd does not look at suspended connections. Of the others it
 * misses an end that comes together with bytes: it reads them, takes a short read for all there is,
 * and its edge-triggered descriptor says no more. So it is woken, after each run, until it has seen
 * the end.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "coord/http/internal.h"

#define BATCH 256
/* It may be that it cannot read now; then the time of idle connections has to do. */
#define MAX_WAKES 64u

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
	if (conn->gone)
		LIST_REMOVE(conn, all_gone);
	if (!conn->watched)
		return;
	(void)epoll_ctl(conn->listener->server->watch_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	conn->watched = false;
}

/* Not while there is an answer to be written: the client may still read. */
static bool is_reading(const struct http_conn *conn)
{
	return !conn->request || conn->request->phase <= HTTP_BODY;
}

static void wake(struct http_conn *conn)
{
	if (!is_reading(conn) || conn->n_wakes >= MAX_WAKES)
		return;
	conn->n_wakes++;
	/* It changes nothing, but counts as an event. */
	shutdown(conn->fd, SHUT_RD);
}

void http_watch_wake(struct http_listener *listener)
{
	struct http_conn *conn;

	LIST_FOREACH(conn, &listener->gone, all_gone)
	wake(conn);
}

/* Return: whether it has to be resumed. */
static bool set_gone(struct http_conn *conn)
{
	conn->gone = true;
	LIST_INSERT_HEAD(&conn->listener->gone, conn, all_gone);
	if (conn->request && conn->request->suspended) {
		http_flush_later(conn->request);
		return true;
	}
	wake(conn);
	return false;
}

/* All that there are before libmicrohttpd is run, once: nothing is freed in between. */
static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct http_server *server = userdata;
	struct epoll_event events[BATCH];
	bool flush = false;
	int n;

	do {
		n = epoll_wait(fd, events, BATCH, 0);
		for (int i = 0; i < n; i++)
			flush |= set_gone(events[i].data.ptr);
	} while (n == BATCH);
	if (flush)
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
