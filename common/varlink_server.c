#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/passed.h"
#include "common/varlink_conn.h"

#define LISTEN_AGAIN_USEC 1000000u
/* Callers that are accepted at a time. Others have their turn in between. */
#define ACCEPT_AT_ONCE 16

struct varlink_listener {
	struct varlink_listener *next;
	struct varlink_server *server;
	int fd;
	bool root_only;
	sd_event_source *source;
	sd_event_source *again; /* set after accept() failed for want of resources */
};

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

static int admit(struct varlink_server *server, int fd, bool root_only)
{
	_cleanup_(passed_closep) int owned = fd;
	socklen_t len = sizeof(struct ucred);
	struct ucred creds;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len) < 0)
		return -errno;
	if (root_only && creds.uid != 0)
		return -EPERM;
	if (!has_place(server, creds.uid))
		return -EUSERS;
	return varlink_conn_new(server, take_fd(&owned), &creds);
}

static int on_listen_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct varlink_listener *listener = userdata;

	return sd_event_source_set_enabled(listener->source, SD_EVENT_ON);
}

/* Without descriptors or memory the socket would stay readable and the loop would spin. */
static int pause_listening(struct varlink_listener *listener)
{
	int r;

	r = sd_event_source_set_enabled(listener->source, SD_EVENT_OFF);
	if (r < 0)
		return r;
	listener->again = sd_event_source_disable_unref(listener->again);
	return sd_event_add_time_relative(listener->server->event, &listener->again,
					  CLOCK_MONOTONIC, LISTEN_AGAIN_USEC, 0, on_listen_again,
					  listener);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct varlink_listener *listener = userdata;
	struct varlink_server *server = listener->server;

	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		/* Whoever cannot be served finds the connection closed. */
		(void)admit(server, fd, listener->root_only);
		errno = 0;
	}
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return 0;
	if (server->on_exhausted)
		server->on_exhausted(server->userdata, -errno);
	return pause_listening(listener);
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
	*ret_server = server;
	return 0;
}

static struct varlink_listener *listener_free(struct varlink_listener *listener)
{
	if (!listener)
		return NULL;
	sd_event_source_disable_unref(listener->again);
	sd_event_source_disable_unref(listener->source);
	passed_close(listener->fd);
	free(listener);
	return NULL;
}
DEFINE_CLEANUP(struct varlink_listener *, listener_free);

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
	if (!server)
		return NULL;
	while (server->listeners) {
		struct varlink_listener *first = server->listeners;

		server->listeners = first->next;
		listener_free(first);
	}
	while (server->conns)
		varlink_conn_free(server->conns);
	sd_event_unref(server->event);
	free(server);
	return NULL;
}

/* Takes fd, also on failure. */
static int listener_new(struct varlink_server *server, int fd, bool root_only,
			struct varlink_listener **ret_listener)
{
	_cleanup_(listener_freep) struct varlink_listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener) {
		passed_close(fd);
		return -ENOMEM;
	}
	listener->server = server;
	listener->fd = fd;
	listener->root_only = root_only;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = sd_event_add_io(server->event, &listener->source, fd, EPOLLIN, on_listen, listener);
	if (r >= 0)
		r = sd_event_source_set_priority(listener->source,
						 root_only ? SD_EVENT_PRIORITY_IMPORTANT
							   : SD_EVENT_PRIORITY_IDLE);
	if (r < 0)
		return r;
	*ret_listener = take_ptr(listener);
	return 0;
}

static int add_listener(struct varlink_server *server, int fd, bool root_only)
{
	struct varlink_listener *listener;
	int r = listener_new(server, fd, root_only, &listener);

	if (r < 0)
		return r;
	listener->next = server->listeners;
	server->listeners = listener;
	return 0;
}

int varlink_server_listen(struct varlink_server *server, int fd)
{
	return add_listener(server, fd, false);
}

int varlink_server_listen_root(struct varlink_server *server, int fd)
{
	return add_listener(server, fd, true);
}

void varlink_server_on_exhausted(struct varlink_server *server,
				 void (*fn)(void *userdata, int error))
{
	server->on_exhausted = fn;
}

int varlink_server_add_connection(struct varlink_server *server, int fd)
{
	return admit(server, fd, false);
}
