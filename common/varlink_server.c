#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/passed.h"
#include "common/varlink_conn.h"

#define LISTEN_AGAIN_USEC 1000000u

/*
 * Is there a place for a connection of this user? Those that are not root's get half of the places
 * at most, so that no crowd of them can lock root out.
 */
static bool has_place(const struct varlink_server *server, uid_t uid)
{
	const struct varlink_limits *limits = &server->limits;
	unsigned all, others, same_uid;

	varlink_conn_count(server, uid, &all, &others, &same_uid);
	if (all >= limits->max_connections)
		return false;
	return uid == 0 ||
	       (others < limits->max_connections / 2 && same_uid < limits->max_connections_per_uid);
}

static int admit(struct varlink_server *server, int fd)
{
	_cleanup_(passed_closep) int owned = fd;
	socklen_t len = sizeof(struct ucred);
	struct ucred creds;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len) < 0)
		return -errno;
	if (!has_place(server, creds.uid))
		return -EUSERS;
	return varlink_conn_new(server, take_fd(&owned), &creds);
}

static int on_listen_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct varlink_server *server = userdata;

	return sd_event_source_set_enabled(server->listen_source, SD_EVENT_ON);
}

/* Without descriptors or memory the socket would stay readable and the loop would spin. */
static int pause_listening(struct varlink_server *server)
{
	int r;

	r = sd_event_source_set_enabled(server->listen_source, SD_EVENT_OFF);
	if (r < 0)
		return r;
	server->listen_again = sd_event_source_disable_unref(server->listen_again);
	return sd_event_add_time_relative(server->event, &server->listen_again, CLOCK_MONOTONIC,
					  LISTEN_AGAIN_USEC, 0, on_listen_again, server);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct varlink_server *server = userdata;
	int fd;

	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		/* Whoever cannot be served finds the connection closed. */
		(void)admit(server, fd);
		return 0;
	}
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return 0;
	if (server->on_exhausted)
		server->on_exhausted(server->userdata, -errno);
	return pause_listening(server);
}

int varlink_server_new(sd_event *event, const struct varlink_info *info,
		       const struct varlink_interface *interface,
		       const struct varlink_limits *limits, void *userdata,
		       struct varlink_server **ret_server)
{
	struct varlink_server *server;

	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->event = sd_event_ref(event);
	server->info = info;
	server->interface = interface;
	server->limits = *limits;
	server->userdata = userdata;
	server->listen_fd = -1;
	*ret_server = server;
	return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
	if (!server)
		return NULL;
	sd_event_source_disable_unref(server->listen_again);
	sd_event_source_disable_unref(server->listen_source);
	passed_close(server->listen_fd);
	while (server->conns)
		varlink_conn_free(server->conns);
	sd_event_unref(server->event);
	free(server);
	return NULL;
}

int varlink_server_listen(struct varlink_server *server, int fd)
{
	_cleanup_close_ int owned = fd;
	int r;

	if (server->listen_source)
		return -EBUSY;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = sd_event_add_io(server->event, &server->listen_source, fd, EPOLLIN, on_listen, server);
	if (r < 0)
		return r;
	server->listen_fd = take_fd(&owned);
	return 0;
}

void varlink_server_on_exhausted(struct varlink_server *server,
				 void (*fn)(void *userdata, int error))
{
	server->on_exhausted = fn;
}

int varlink_server_add_connection(struct varlink_server *server, int fd)
{
	return admit(server, fd);
}
