#include "sshgw/listener/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/ceiling.h"
#include "sshgw/child.h"
#include "sshgw/listener/limits.h"

#define MAX_LISTENERS 8u
#define SSH_PORT      22

enum executable {
	EXE_MONITOR,
	EXE_NET,
	EXE_SESSION,
	N_EXECUTABLES,
};

static const char *const executable_names[N_EXECUTABLES] = {
	[EXE_MONITOR] = "peergate-sshgw-monitor",
	[EXE_NET] = "peergate-sshgw-net",
	[EXE_SESSION] = "peergate-sshgw-session",
};

/* One monitor that this listener started. */
struct connection {
	struct listener *listener;
	struct connection *next, **link;
	struct ip_addr peer;
	bool unauthenticated; /* counted as such */
	int status_fd, pidfd;
	sd_event_source *status, *exit;
};

struct listener {
	sd_event *event;
	const struct listener_config *config;
	int exe_fds[N_EXECUTABLES];
	sd_event_source *sources[MAX_LISTENERS], *pause;
	int fds[MAX_LISTENERS];
	size_t n_fds;
	struct limits all, unauthenticated;
	struct connection *connections;
};

/* ---- connections ---- */

/* The status pipe has said all it can. */
static void connection_authenticated(struct connection *c)
{
	if (c->unauthenticated)
		limits_leave(&c->listener->unauthenticated, &c->peer);
	c->unauthenticated = false;
	c->status = sd_event_source_disable_unref(c->status);
	c->status_fd = close_fd(c->status_fd);
}

static void connection_free(struct connection *c)
{
	connection_authenticated(c);
	limits_leave(&c->listener->all, &c->peer);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	sd_event_source_disable_unref(c->exit);
	close_fd(c->pidfd);
	free(c);
}

/* A byte: logged in. The end: the monitor is gone, its exit follows. */
static int on_status(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	connection_authenticated(userdata);
	return 0;
}

static int on_monitor_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return 0;
	/* Status 1 it has logged itself. */
	if (info.si_code != CLD_EXITED)
		log_error("The monitor of a connection was killed by signal %d", info.si_status);
	else if (info.si_status > 1)
		log_error("The monitor of a connection could not be started (status %d)",
			  info.si_status);
	connection_free(userdata);
	return 0;
}

static int connection_watch(struct connection *c, int status_fd, int pidfd)
{
	struct listener *l = c->listener;
	int r;

	c->status_fd = status_fd;
	c->pidfd = pidfd;
	r = sd_event_add_io(l->event, &c->status, status_fd, EPOLLIN, on_status, c);
	if (r >= 0)
		r = sd_event_add_io(l->event, &c->exit, pidfd, EPOLLIN, on_monitor_exit, c);
	return r < 0 ? r : 0;
}

static struct connection *connection_new(struct listener *l, const struct ip_addr *peer)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct connection){
		.listener = l,
		.peer = *peer,
		.unauthenticated = true,
		.status_fd = -1,
		.pidfd = -1,
		.next = l->connections,
		.link = &l->connections,
	};
	if (c->next)
		c->next->link = &c->next;
	l->connections = c;
	return c;
}

static int start_monitor(struct connection *c, int fd)
{
	static const char *const argv[] = { "peergate-sshgw-monitor", NULL };
	const char *stream = getenv("JOURNAL_STREAM");
	_cleanup_free_ char *journal = stream ? text_printf("JOURNAL_STREAM=%s", stream) : NULL;
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", journal, NULL };
	const int *exe = c->listener->exe_fds;
	int status[2], pidfd, r;
	pid_t pid;

	if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	r = child_spawn(
		&(struct child_spec){ .exe_fd = exe[EXE_MONITOR],
				      .argv = argv,
				      .envp = envp,
				      .fds = { fd, status[1], exe[EXE_NET], exe[EXE_SESSION] },
				      .n_fds = 4 },
		&pid, &pidfd);
	close_fd(status[1]);
	if (r < 0) {
		close_fd(status[0]);
		return r;
	}
	return connection_watch(c, status[0], pidfd);
}

/* ---- accepting ---- */

/*
 * TPROXY leaves the address that the client meant: a mesh address, port 22. Whoever connects to the
 * loopback socket itself, from this host, must not cost us a process. The monitor looks closer.
 */
static bool came_through_the_mesh(int fd, const struct ip_endpoint *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ip_endpoint local;

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	       ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &local) == 0 &&
	       local.port == SSH_PORT && !ip_addr_is_special(&local.addr) &&
	       !ip_addr_equal(&local.addr, &peer->addr);
}

static bool enter(struct limits *limits, const struct ip_addr *peer, const char *kind)
{
	char text[IP_ADDR_STRLEN];

	ip_addr_to_string(peer, text);
	switch (limits_enter(limits, peer)) {
	case LIMITS_OK:
		return true;
	case LIMITS_TOTAL:
		log_with(LOG_WARNING, 0, LOG_FIELDS({ "PEER", text }),
			 "Closed a connection from %s: there are %zu of %s= already", text,
			 limits->n, kind);
		return false;
	case LIMITS_PER_PEER:
		log_with(LOG_WARNING, 0, LOG_FIELDS({ "PEER", text }),
			 "Closed a connection from %s: it has %zu of %sPerPeer= already", text,
			 limits->max_per_peer, kind);
		return false;
	case LIMITS_NO_MEMORY:
		break;
	}
	return false;
}

static bool admit(struct listener *l, const struct ip_addr *peer)
{
	if (!enter(&l->all, peer, "MaxConnections"))
		return false;
	if (enter(&l->unauthenticated, peer, "MaxUnauthenticated"))
		return true;
	limits_leave(&l->all, peer);
	return false;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct listener *l = userdata;

	for (size_t i = 0; i < l->n_fds; i++)
		sd_event_source_set_enabled(l->sources[i], SD_EVENT_ON);
	return 0;
}

/* Out of descriptors or memory: what waits in the queue would wake us for ever. */
static void pause_listening(struct listener *l, int error)
{
	log_warning_errno(error, "Could not accept a connection, pausing for a second");
	for (size_t i = 0; i < l->n_fds; i++)
		sd_event_source_set_enabled(l->sources[i], SD_EVENT_OFF);
	sd_event_source_set_time_relative(l->pause, USEC_PER_SEC);
	sd_event_source_set_enabled(l->pause, SD_EVENT_ONESHOT);
}

static bool is_exhaustion(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct listener *l = userdata;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	_cleanup_close_ int fd =
		accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ip_endpoint peer;
	struct connection *c;
	int r;

	if (fd < 0 && is_exhaustion(errno))
		pause_listening(l, -errno);
	/* Errors of the connection that was to be accepted (accept(2)), or nothing there any more.
	 */
	if (fd < 0 || ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &peer) < 0)
		return 0;
	if (!came_through_the_mesh(fd, &peer) || !admit(l, &peer.addr))
		return 0;
	c = connection_new(l, &peer.addr);
	if (!c) {
		limits_leave(&l->unauthenticated, &peer.addr);
		limits_leave(&l->all, &peer.addr);
		return 0;
	}
	r = start_monitor(c, fd);
	if (r < 0) {
		log_error_errno(r, "Could not start a monitor, closed the connection");
		connection_free(c);
	}
	return 0;
}

/* ---- the start ---- */

static int open_executables(struct listener *l)
{
	for (size_t i = 0; i < N_EXECUTABLES; i++) {
		_cleanup_free_ char *path =
			text_printf("%s/%s", l->config->libexec_dir, executable_names[i]);

		if (!path)
			return -ENOMEM;
		l->exe_fds[i] = open(path, O_PATH | O_CLOEXEC);
		if (l->exe_fds[i] < 0)
			return log_error_errno(-errno, "Could not open %s", path);
	}
	return 0;
}

static int add_socket(struct listener *l, int fd)
{
	size_t i = l->n_fds;
	int r;

	/* Another process may take the connection between poll and accept. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	r = sd_event_add_io(l->event, &l->sources[i], fd, EPOLLIN, on_connection, l);
	if (r < 0)
		return r;
	l->fds[l->n_fds++] = fd;
	return 0;
}

static void set_limits(struct listener *l, const struct ceiling *ceiling)
{
	l->all.max_total = ceiling->max_connections;
	l->all.max_per_peer = ceiling->max_connections_per_peer;
	l->unauthenticated.max_total = ceiling->max_unauthenticated;
	l->unauthenticated.max_per_peer = ceiling->max_unauthenticated_per_peer;
}

void listener_reload(struct listener *l)
{
	_cleanup_free_ char *text = NULL;
	struct ceiling ceiling;
	int r = ceiling_load(l->config->ceiling_path, &ceiling, &text);

	if (r < 0) {
		log_error("%s; the limits stay as they were", text ? text : strerror(-r));
		return;
	}
	set_limits(l, &ceiling);
	if (!ceiling.ssh)
		log_notice("SSH is off: %s does not say SSH=yes. Connections are refused with "
			   "that reason",
			   l->config->ceiling_path);
	ceiling_done(&ceiling);
}

static void set_default_limits(struct listener *l)
{
	struct ceiling ceiling;

	ceiling_default(&ceiling);
	set_limits(l, &ceiling);
}

int listener_new(sd_event *event, const struct listener_config *config, const int *fds,
		 size_t n_fds, struct listener **ret_listener)
{
	_cleanup_(listener_freep) struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->event = sd_event_ref(event);
	l->config = config;
	for (size_t i = 0; i < N_EXECUTABLES; i++)
		l->exe_fds[i] = -1;
	if (n_fds == 0 || n_fds > MAX_LISTENERS)
		return log_error_errno(-EINVAL, "%zu sockets were handed over; expected 1 to %u",
				       n_fds, MAX_LISTENERS);
	r = open_executables(l);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &l->pause, CLOCK_MONOTONIC, 0, 0, on_pause_over, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->pause, SD_EVENT_OFF);
	if (r < 0)
		return log_error_errno(r, "Could not set up a timer");
	set_default_limits(l);
	listener_reload(l);
	for (size_t i = 0; i < n_fds; i++) {
		r = add_socket(l, fds[i]);
		if (r < 0)
			return log_error_errno(r, "Could not use the socket handed over");
	}
	*ret_listener = take_ptr(l);
	return 0;
}

struct listener *listener_free(struct listener *l)
{
	if (!l)
		return NULL;
	while (l->connections)
		connection_free(l->connections);
	for (size_t i = 0; i < l->n_fds; i++) {
		sd_event_source_disable_unref(l->sources[i]);
		close_fd(l->fds[i]);
	}
	sd_event_source_disable_unref(l->pause);
	for (size_t i = 0; i < N_EXECUTABLES; i++)
		close_fd(l->exe_fds[i]);
	limits_done(&l->unauthenticated);
	limits_done(&l->all);
	sd_event_unref(l->event);
	free(l);
	return NULL;
}
