#include "sshgw/listener/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/ceiling.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/build.h"
#include "sshgw/child.h"
#include "sshgw/listener/connections.h"
#include "sshgw/listener/executables.h"
#include "sshgw/listener/keys_process.h"
#include "sshgw/steps.h"

#define MAX_LISTENERS	8u
#define SSH_PORT	22
#define ACCEPTS_AT_ONCE 16u

struct listener {
	sd_event *event;
	const struct listener_config *config;
	int exe_fds[N_EXECUTABLES];
	struct keys_process *keys;
	sd_event_source *sources[MAX_LISTENERS], *pause, *child;
	int fds[MAX_LISTENERS];
	size_t n_fds;
	struct connections *connections;
};

/* ---- monitors ---- */

/* The next listener has no children of ours: what happens to monitors, it learns by their pipes. */
static int on_child(sd_event_source *source, const struct signalfd_siginfo *signal, void *userdata)
{
	struct listener *l = userdata;
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
		const char *who = info.si_pid == keys_process_pid(l->keys)
					  ? "The keys process"
					  : "The monitor of a connection";

		bool exited = info.si_code == CLD_EXITED;
		bool misbehaved = exited && info.si_status == MON_EXIT_MISBEHAVED;

		/* What failed in it, it has logged itself. */
		if (!exited)
			log_error("%s was killed by signal %d", who, info.si_status);
		else if (info.si_status > MON_EXIT_FAILED && !misbehaved)
			log_error("%s could not be started (status %d)", who, info.si_status);
		connections_monitor_exited(l->connections, info.si_pid, misbehaved);
		info.si_pid = 0;
	}
	return 0;
}

static int spawn_monitor(struct listener *l, int fd, int status_fd, int keys_fd, pid_t *ret_pid,
			 int *ret_pidfd)
{
	const char *const argv[] = { "peergate-sshgw-monitor", build_id(), NULL };
	_cleanup_free_ char *journal = log_journal_env();
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", journal, NULL };
	const int *exe = l->exe_fds;
	const struct child_spec spec = {
		.exe_fd = exe[EXE_MONITOR],
		.argv = argv,
		.envp = envp,
		.fds = { fd, status_fd, exe[EXE_NET], exe[EXE_SESSION], keys_fd },
		.n_fds = 5,
	};

	return child_spawn(&spec, ret_pid, ret_pidfd);
}

static int start_monitor(struct listener *l, const struct ip_addr *peer, int fd)
{
	_cleanup_close_ int status = -1, theirs = -1, keys = -1, pidfd = -1;
	int ends[2], r;
	pid_t pid;

	r = keys_process_open(l->keys, &keys);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	status = ends[0];
	theirs = ends[1];
	r = spawn_monitor(l, fd, theirs, keys, &pid, &pidfd);
	if (r < 0)
		return r;
	r = connections_add(l->connections, peer, pid, take_fd(&status));
	/* One that is not counted is one too many. */
	if (r < 0)
		child_kill(pidfd);
	return r;
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

/* Whose it was, only accept4() still says: a monitor could not tell. */
static bool is_reset(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return getpeername(fd, (struct sockaddr *)&ss, &len) < 0 && errno == ENOTCONN;
}

/* RFC 4253, section 4.2: a line before the version. OpenSSH's client shows it with -v. */
static void tell_penalty(int fd, uint64_t usec)
{
	char line[128];
	int len = snprintf(line, sizeof(line),
			   "Peergate: too many connections from this address did not log in; try "
			   "again in %u s\r\n",
			   (unsigned)(usec / USEC_PER_SEC) + 1);

	if (send(fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug_errno(-errno, "The client cannot be told");
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

/* Return: 0; negative errno when nothing could be accepted. */
static int accept_one(struct listener *l, int listen_fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	_cleanup_close_ int fd =
		accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ip_endpoint peer;
	uint64_t penalty;
	int r;

	/* Errors of the connection that was to be accepted (accept(2)), or nothing there any more.
	 */
	if (fd < 0)
		return -errno;
	if (ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &peer) < 0)
		return 0;
	if (!came_through_the_mesh(fd, &peer))
		return 0;
	penalty = connections_penalty(l->connections, &peer.addr);
	if (penalty > 0) {
		tell_penalty(fd, penalty);
		return 0;
	}
	if (is_reset(fd)) {
		connections_reset(l->connections, &peer.addr);
		return 0;
	}
	if (!connections_admit(l->connections, &peer.addr))
		return 0;
	r = start_monitor(l, &peer.addr, fd);
	if (r < 0)
		log_error_errno(r, "Could not start a monitor, closed the connection");
	return 0;
}

/*
 * Several at once, since programs of this host can connect as fast as they like; not all that there
 * are, since they may never be done.
 */
static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct listener *l = userdata;
	int r = 0;

	for (unsigned i = 0; i < ACCEPTS_AT_ONCE && r == 0; i++)
		r = accept_one(l, listen_fd);
	if (is_exhaustion(-r))
		pause_listening(l, r);
	return 0;
}

/* ---- the start ---- */

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

/* Return: 0, negative errno after a message that ends with the consequence. */
static int load_limits(struct listener *l, const char *consequence)
{
	_cleanup_free_ char *text = NULL;
	struct ceiling ceiling;
	int r = ceiling_load(l->config->ceiling_path, &ceiling, &text);

	if (r < 0) {
		log_error("%s; %s", text ? text : strerror(-r), consequence);
		return r;
	}
	connections_set_limits(l->connections, &ceiling);
	if (!ceiling.ssh)
		log_notice("SSH is off: %s does not say SSH=yes. Connections are refused with "
			   "that reason",
			   l->config->ceiling_path);
	ceiling_done(&ceiling);
	return 0;
}

void listener_reload(struct listener *l)
{
	load_limits(l, "the limits stay as they were");
}

static void set_default_limits(struct listener *l)
{
	struct ceiling ceiling;

	ceiling_default(&ceiling);
	connections_set_limits(l->connections, &ceiling);
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
	r = executables_open(config->libexec_dir, l->exe_fds);
	if (r == 0)
		r = keys_process_new(event, l->exe_fds[EXE_KEYS], &l->keys);
	if (r < 0)
		return r;
	r = connections_new(event, &l->connections);
	if (r >= 0)
		r = sd_event_add_signal(event, &l->child, SIGCHLD | SD_EVENT_SIGNAL_PROCMASK,
					on_child, l);
	if (r >= 0)
		r = sd_event_add_time(event, &l->pause, CLOCK_MONOTONIC, 0, 0, on_pause_over, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->pause, SD_EVENT_OFF);
	if (r < 0)
		return log_error_errno(r, "Could not set up the event loop");
	set_default_limits(l);
	r = load_limits(l, "nobody is let in until that is mended");
	/* Who may write it would decide about root's logins. */
	if (r == -EPERM)
		return r;
	for (size_t i = 0; i < n_fds; i++) {
		r = add_socket(l, fds[i]);
		if (r < 0)
			return log_error_errno(r, "Could not use the socket handed over");
	}
	*ret_listener = take_ptr(l);
	return 0;
}

int listener_adopt(struct listener *l, const char *name, int fd)
{
	return connections_adopt(l->connections, name, fd);
}

struct listener *listener_free(struct listener *l)
{
	if (!l)
		return NULL;
	connections_free(l->connections);
	sd_event_source_disable_unref(l->child);
	for (size_t i = 0; i < l->n_fds; i++) {
		sd_event_source_disable_unref(l->sources[i]);
		close_fd(l->fds[i]);
	}
	sd_event_source_disable_unref(l->pause);
	keys_process_free(l->keys);
	for (size_t i = 0; i < N_EXECUTABLES; i++)
		close_fd(l->exe_fds[i]);
	sd_event_unref(l->event);
	free(l);
	return NULL;
}
