/* Connections: who they are from, and how long they may take for a request. */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "coord/http/internal.h"

/* A peer that is silent at the TCP level, too, is given up after this. */
#define PEER_TIMEOUT_SEC 60

static void arm(struct http_server *server)
{
	struct http_conn *first = TAILQ_FIRST(&server->by_due);

	if (!first) {
		(void)sd_event_source_set_enabled(server->due_source, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(server->due_source, first->due);
	(void)sd_event_source_set_enabled(server->due_source, SD_EVENT_ONESHOT);
}

void http_conn_set_due(struct http_conn *conn)
{
	struct http_server *server = conn->listener->server;

	if (conn->due)
		return;
	/* The time is the same for all: who comes last is due last. */
	conn->due = clock_usec(CLOCK_MONOTONIC) + server->config.limits.request_usec;
	TAILQ_INSERT_TAIL(&server->by_due, conn, by_due);
	if (TAILQ_FIRST(&server->by_due) == conn)
		arm(server);
}

/* The timer stays as it is: it finds nothing due, and is set again then. */
void http_conn_clear_due(struct http_conn *conn)
{
	if (!conn->due)
		return;
	TAILQ_REMOVE(&conn->listener->server->by_due, conn, by_due);
	conn->due = 0;
}

int http_conn_on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http_server *server = userdata;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct http_conn *conn;

	while ((conn = TAILQ_FIRST(&server->by_due)) && conn->due <= now) {
		http_conn_clear_due(conn);
		/* libmicrohttpd has no call to close a connection; it sees that it has ended. */
		conn->cut = true;
		shutdown(conn->fd, SHUT_RDWR);
		server->stats.slow_senders++;
	}
	arm(server);
	return 0;
}

/* Without this, a client that lost its network would be kept for as long as nothing is sent. */
static void set_tcp_options(int fd)
{
	const int on = 1, idle = PEER_TIMEOUT_SEC, interval = 10, n_probes = 3;
	const unsigned timeout_msec = PEER_TIMEOUT_SEC * 1000;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n_probes, sizeof(n_probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_msec, sizeof(timeout_msec));
}

enum MHD_Result http_conn_accept(void *cls, const struct sockaddr *addr, socklen_t len)
{
	struct http_listener *listener = cls;
	struct http_server *server = listener->server;
	unsigned most = server->config.limits.max_connections_per_address, n;
	struct ip_endpoint peer;

	if (most == 0 || listener->transport == HTTP_UNIX ||
	    ip_endpoint_from_sockaddr(addr, len, &peer) < 0 ||
	    http_proxies_trust(&server->proxies, &peer.addr))
		return MHD_YES;
	n = http_sources_count(&server->sources, &peer.addr);
	if (n < most)
		return MHD_YES;
	server->stats.connections_full++;
	http_log_full(server, &peer.addr, n);
	return MHD_NO;
}

/* All that come through a proxy come from its address. */
static bool count_source(struct http_conn *conn)
{
	struct http_server *server = conn->listener->server;

	if (conn->listener->transport == HTTP_UNIX ||
	    http_proxies_trust(&server->proxies, &conn->peer.addr))
		return true;
	conn->source = http_sources_add(&server->sources, &conn->peer.addr);
	return conn->source;
}

static bool identify(struct http_conn *conn)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (conn->listener->transport == HTTP_UNIX) {
		len = sizeof(conn->creds);
		return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &conn->creds, &len) == 0;
	}
	set_tcp_options(conn->fd);
	return getpeername(conn->fd, (struct sockaddr *)&ss, &len) == 0 &&
	       ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &conn->peer) == 0;
}

static void begin(struct http_listener *listener, struct MHD_Connection *mhd, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_conn *conn = calloc(1, sizeof(*conn));

	*context = conn;
	if (conn) {
		conn->listener = listener;
		conn->fd = info->connect_fd;
	}
	if (!conn || !identify(conn) || !count_source(conn)) {
		/* Gone already, or no memory: requests without a connection are not served. */
		shutdown(info->connect_fd, SHUT_RDWR);
		free(conn);
		*context = NULL;
		return;
	}
	listener->server->stats.connections++;
	listener->server->stats.connections_total++;
	http_conn_set_due(conn);
	http_watch_add(conn);
}

static void end(struct http_conn *conn)
{
	struct http_request *req = conn->request;

	/*
	 * A head that left no memory, not even for the answer that it is too large: libmicrohttpd
	 * does not tell of all of these that they have ended.
	 */
	if (req) {
		conn->request = NULL;
		conn->listener->server->stats.requests[0]++;
		http_request_detach(req);
	}
	http_conn_clear_due(conn);
	http_watch_remove(conn);
	http_sources_drop(&conn->listener->server->sources, conn->source);
	conn->listener->server->stats.connections--;
	free(conn);
}

void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
		      enum MHD_ConnectionNotificationCode code)
{
	struct http_listener *listener = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		begin(listener, mhd, context);
		return;
	}
	listener->n_ended++;
	if (*context)
		end(*context);
	*context = NULL;
}
