#include "sshgw/listener/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/text.h"
#include "sshgw/ceiling.h"
#include "sshgw/child.h"
#include "sshgw/listener/limits.h"

#define MAX_LISTENERS 8u

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
	bool counted; /* as unauthenticated */
	int status_fd, pidfd;
	sd_event_source *status, *exit;
};

struct listener {
	sd_event *event;
	const struct listener_config *config;
	int exe_fds[N_EXECUTABLES];
	sd_event_source *sources[MAX_LISTENERS];
	int fds[MAX_LISTENERS];
	size_t n_fds;
	struct limits limits;
	struct connection *connections;
};

/* ---- connections ---- */

static void connection_logged_in_or_gone(struct connection *c)
{
	if (c->counted)
		limits_leave(&c->listener->limits, &c->peer);
	c->counted = false;
	c->status = sd_event_source_disable_unref(c->status);
}

static void connection_free(struct connection *c)
{
	connection_logged_in_or_gone(c);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	sd_event_source_disable_unref(c->exit);
	close_fd(c->status_fd);
	close_fd(c->pidfd);
	free(c);
}

/* A byte: logged in. The end: the monitor is gone, its exit follows. */
static int on_status(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	connection_logged_in_or_gone(userdata);
	return 0;
}

static int on_monitor_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return 0;
	if (info.si_code != CLD_EXITED)
		log_error("The monitor of a connection was killed by signal %d", info.si_status);
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
		.counted = true,
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

static bool admit(struct listener *l, const struct ip_endpoint *peer)
{
	char text[IP_ADDR_STRLEN];

	ip_addr_to_string(&peer->addr, text);
	switch (limits_enter(&l->limits, &peer->addr)) {
	case LIMITS_OK:
		return true;
	case LIMITS_TOTAL:
		log_with(LOG_WARNING, 0, LOG_FIELDS({ "PEER", text }),
			 "Closed a connection from %s: %zu others have not logged in yet "
			 "(MaxUnauthenticated=)",
			 text, l->limits.n);
		return false;
	case LIMITS_PER_PEER:
		log_with(LOG_WARNING, 0, LOG_FIELDS({ "PEER", text }),
			 "Closed a connection from %s: %zu others of it have not logged in yet "
			 "(MaxUnauthenticatedPerPeer=)",
			 text, l->limits.max_per_peer);
		return false;
	case LIMITS_NO_MEMORY:
		break;
	}
	return false;
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

	/* Errors of the connection that was to be accepted (accept(2)), or nothing there any more.
	 */
	if (fd < 0 || ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &peer) < 0)
		return 0;
	if (!admit(l, &peer))
		return 0;
	c = connection_new(l, &peer.addr);
	if (!c) {
		limits_leave(&l->limits, &peer.addr);
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

void listener_reload(struct listener *l)
{
	_cleanup_free_ char *text = NULL;
	struct ceiling ceiling;
	int r = ceiling_load(l->config->ceiling_path, &ceiling, &text);

	if (r < 0) {
		log_error("%s; the limits stay as they were", text ? text : strerror(-r));
		return;
	}
	l->limits.max_total = ceiling.max_unauthenticated;
	l->limits.max_per_peer = ceiling.max_unauthenticated_per_peer;
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
	l->limits.max_total = ceiling.max_unauthenticated;
	l->limits.max_per_peer = ceiling.max_unauthenticated_per_peer;
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
	for (size_t i = 0; i < N_EXECUTABLES; i++)
		close_fd(l->exe_fds[i]);
	limits_done(&l->limits);
	sd_event_unref(l->event);
	free(l);
	return NULL;
}
