/* A listening socket and its libmicrohttpd daemon in the event loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/http/internal.h"

#define BACKLOG 1024

static void set_timeout(struct http_listener *listener)
{
	MHD_UNSIGNED_LONG_LONG msec;

	if (MHD_get_timeout(listener->daemon, &msec) != MHD_YES) {
		(void)sd_event_source_set_enabled(listener->timeout, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time_relative(listener->timeout, msec * 1000);
	(void)sd_event_source_set_enabled(listener->timeout, SD_EVENT_ONESHOT);
}

void http_listener_run(struct http_listener *listener)
{
	uint64_t n_ended = listener->n_ended;

	http_tls_enter(listener->tls);
	(void)MHD_run(listener->daemon);
	/* If it was full, it looks at its socket again from the next run on. */
	if (listener->n_ended != n_ended)
		(void)MHD_run(listener->daemon);
	http_tls_enter(NULL);
	http_watch_wake(listener);
	set_timeout(listener);
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	http_listener_run(userdata);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	http_listener_run(userdata);
	return 0;
}

static int add_sources(struct http_listener *listener)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	sd_event *event = listener->server->event;
	int r;

	if (!info || info->epoll_fd < 0)
		return -EOPNOTSUPP;
	r = sd_event_add_io(event, &listener->source, info->epoll_fd, EPOLLIN, on_ready, listener);
	if (r < 0)
		return r;
	/* To the microsecond: "at once" is said as long as there is more to be sent. */
	r = sd_event_add_time(event, &listener->timeout, CLOCK_MONOTONIC, 0, 1, on_timeout,
			      listener);
	if (r < 0)
		return r;
	/* Its socket is in its set from the first run on. */
	http_listener_run(listener);
	return 0;
}

static int start_daemon(struct http_listener *l)
{
	const struct http_limits *limits = &l->server->config.limits;
	const struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, http_tls_callback() },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	if (l->tls)
		flags |= MHD_USE_TLS;
	/* clang-format off */
	l->daemon = MHD_start_daemon(
		flags, 0, http_conn_accept, l, http_dispatch, l,
		MHD_OPTION_EXTERNAL_LOGGER, http_log_mhd, l->server,
		MHD_OPTION_LISTEN_SOCKET, l->fd,
		MHD_OPTION_CONNECTION_LIMIT, limits->max_connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->connection_memory,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(limits->idle_usec / USEC_PER_SEC),
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_URI_LOG_CALLBACK, http_dispatch_begin, l,
		MHD_OPTION_NOTIFY_COMPLETED, http_dispatch_end, l,
		MHD_OPTION_NOTIFY_CONNECTION, http_conn_notify, l,
		MHD_OPTION_ARRAY, l->tls ? tls : tls + 2,
		MHD_OPTION_END);
	/* clang-format on */
	return l->daemon ? 0 : -EIO;
}

/* Is it a listening stream socket? Return: 0 and the kind, negative errno. */
static int inspect(int fd, bool tls, enum http_transport *ret_transport)
{
	int family, type, listening;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return -errno;
	if (type != SOCK_STREAM || !listening)
		return -EINVAL;
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (family == AF_UNIX && tls)
		return -EINVAL;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	/* Whoever made it may not have thought of ten thousand who come at once. */
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_transport = family == AF_UNIX ? HTTP_UNIX : tls ? HTTP_TLS : HTTP_TCP;
	return 0;
}

static int listener_start(struct http_listener *l, const struct http_tls_files *tls,
			  char **reterr_text)
{
	int r;

	r = inspect(l->fd, tls, &l->transport);
	if (r < 0) {
		*reterr_text =
			text_printf("The socket is not one to serve HTTP on: %s", strerror(-r));
		return r;
	}
	if (tls) {
		r = http_tls_new(tls, &l->tls, reterr_text);
		if (r < 0)
			return r;
	}
	r = start_daemon(l);
	if (r == 0)
		r = add_sources(l);
	if (r < 0)
		*reterr_text = text_printf("The HTTP server does not start: %s", strerror(-r));
	return r;
}

int http_server_listen_fd(struct http_server *server, int fd, const struct http_tls_files *tls,
			  char **reterr_text)
{
	struct http_listener *l = calloc(1, sizeof(*l));
	int r;

	*reterr_text = NULL;
	if (!l) {
		close_fd(fd);
		return -ENOMEM;
	}
	l->server = server;
	l->fd = fd;
	TAILQ_INIT(&l->dirty);
	LIST_INIT(&l->requests);
	LIST_INIT(&l->gone);
	TAILQ_INSERT_TAIL(&server->listeners, l, next);
	r = listener_start(l, tls, reterr_text);
	if (r < 0)
		http_listener_free(l);
	return r;
}

static int bind_socket(const struct ip_endpoint *address)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage ss;
	socklen_t len = ip_endpoint_to_sockaddr(address, &ss);
	const int on = 1;

	fd = socket(address->addr.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}

int http_server_listen(struct http_server *server, const struct ip_endpoint *address,
		       const struct http_tls_files *tls, char **reterr_text)
{
	char text[IP_ENDPOINT_STRLEN];
	int fd = bind_socket(address);

	if (fd >= 0)
		return http_server_listen_fd(server, fd, tls, reterr_text);
	*reterr_text = text_printf("%s: %s", ip_endpoint_to_string(address, text), strerror(-fd));
	return fd;
}

int http_server_endpoint(const struct http_server *server, size_t n, struct ip_endpoint *ret_ep)
{
	struct http_listener *l;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	TAILQ_FOREACH(l, &server->listeners, next)
	{
		if (n-- > 0)
			continue;
		if (getsockname(l->fd, (struct sockaddr *)&ss, &len) < 0)
			return -errno;
		return ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, ret_ep);
	}
	return -ENOENT;
}

void http_listener_quiesce(struct http_listener *l)
{
	if (l->fd < 0)
		return;
	/* It is ours again then. */
	(void)MHD_quiesce_daemon(l->daemon);
	l->fd = close_fd(l->fd);
}

static void resume_all(struct http_listener *l)
{
	struct http_request *req;

	LIST_FOREACH(req, &l->requests, all)
	{
		if (!req->suspended)
			continue;
		req->suspended = false;
		MHD_resume_connection(req->mhd);
	}
}

struct http_listener *http_listener_free(struct http_listener *l)
{
	TAILQ_REMOVE(&l->server->listeners, l, next);
	sd_event_source_disable_unref(l->source);
	sd_event_source_disable_unref(l->timeout);
	if (l->daemon) {
		/* It takes it ill if there are suspended connections when it stops. */
		resume_all(l);
		MHD_stop_daemon(l->daemon);
	} else {
		close_fd(l->fd);
	}
	http_tls_free(l->tls);
	free(l);
	return NULL;
}
