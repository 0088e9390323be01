#include "sshgw/monitor/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "common/log.h"
#include "common/passed.h"
#include "common/text.h"
#include "sshgw/build.h"
#include "sshgw/child.h"
#include "sshgw/monitor/absence.h"
#include "sshgw/monitor/check.h"
#include "sshgw/monitor/children.h"
#include "sshgw/monitor/dispatch.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/idle.h"
#include "sshgw/monitor/incoming.h"
#include "sshgw/monitor/journal.h"
#include "sshgw/monitor/login.h"
#include "sshgw/monitor/origin.h"
#include "sshgw/monitor/sessions.h"
#include "sshgw/monitor/signing.h"
#include "sshgw/priority.h"
#include "sshgw/scope.h"

#define KEYS_TIMEOUT_USEC (10 * 1000000ull)

const char *mon_state_to_string(enum mon_state state)
{
	switch (state) {
	case MON_START:
		return "start";
	case MON_KEX:
		return "kex";
	case MON_ASKING:
		return "asking";
	case MON_CHECK:
		return "check";
	case MON_ACCOUNT:
		return "account";
	case MON_AGREED:
		return "agreed";
	case MON_OPENING:
		return "opening";
	case MON_OPEN:
		return "open";
	case MON_ENDING:
		return "ending";
	case MON_LEFT:
		return "left";
	}
	return "unknown";
}

void mon_enter(struct monitor *m, enum mon_state state, const char *why)
{
	/* From the end there is no way back, whatever was under way when it came. */
	if (m->state >= MON_ENDING && state <= m->state)
		return;
	log_debug("%s -> %s: %s", mon_state_to_string(m->state), mon_state_to_string(state), why);
	story_leave_state(m);
	m->state = state;
}

/* ---- channels to the other processes ---- */

static void on_message(struct loop_source *source, int fd, uint32_t revents, void *userdata);

static void peer_close(struct mon_peer *peer)
{
	peer->io = loop_source_free(peer->io);
	peer->fd = passed_close(peer->fd);
}

void mon_detach(struct monitor *m, enum mon_peer_index index)
{
	peer_close(&m->peers[index]);
}

int mon_attach(struct monitor *m, enum mon_peer_index index, int fd)
{
	struct mon_peer *peer = &m->peers[index];

	peer->fd = fd;
	return loop_add_io(m->loop, fd, EPOLLIN, on_message, m, &peer->io);
}

/* What it said before that may still be to come. */
static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

/*
 * It ended, or hung up. Its end is that of the connection, but none of its programs' that the
 * person has left running: that is for a peer that broke its word.
 */
static void peer_gone(struct monitor *m, enum mon_peer_index index)
{
	switch (index) {
	case MON_NET:
		check_client_gone(m);
		mon_end(m, MON_END_GONE, NULL, story_net_gone);
		break;
	case MON_KEYS:
		mon_end(m, MON_END_ASKED,
			"Peergate: this host cannot exchange keys on this connection any more",
			"the keys process ended");
		break;
	default:
		if (index == MON_LEADER)
			login_leader_lost(m);
		mon_end(m, MON_END_GONE, NULL, "the session ended");
		break;
	}
}

void mon_send(struct monitor *m, enum mon_peer_index index, uint32_t type, struct chan_writer *w,
	      const int *fds, size_t n_fds)
{
	struct mon_peer *peer = &m->peers[index];
	int r = peer->fd < 0 ? -ENOTCONN : chan_send(peer->fd, type, w, fds, n_fds);

	if (w)
		chan_writer_done(w);
	if (r == 0 || m->state >= MON_ENDING)
		return;
	/* That has not been read yet; or it was, of the keys process. */
	if (peer->fd < 0 || has_hung_up(peer->fd)) {
		peer_gone(m, index);
		return;
	}
	log_error_errno(r, "The %s process does not take its messages", peer->name);
	mon_end(m, MON_END_KILLED, NULL, "a process does not read");
}

void mon_tell_listener(struct monitor *m, enum mon_step step)
{
	unsigned bytes = step + (m->check.held && step != MON_STEP_HELD ? MON_STEP_HELD : 0);

	/* At once, so that no number in between is seen. */
	if (bytes > m->told && m->config.status_fd >= 0 &&
	    write(m->config.status_fd, "+++++", bytes - m->told) < 0)
		log_debug_errno(-errno, "The listener is away");
	if (bytes > m->told)
		m->told = bytes;
}

static enum mon_peer_index peer_by_fd(const struct monitor *m, int fd)
{
	enum mon_peer_index i = MON_NET;

	while (i < MON_N_PEERS - 1 && m->peers[i].fd != fd)
		i++;
	return i;
}

static void end_for_bad_message(struct monitor *m, enum mon_peer_index index)
{
	/* It has been taken over; by whom, there is one to be. */
	if (index == MON_NET)
		m->story.misbehaved = true;
	mon_end(m, MON_END_KILLED, NULL, "a process broke the protocol");
}

/* A peer hung up, or broke the protocol. */
static void on_peer_gone(struct monitor *m, enum mon_peer_index index, int error)
{
	peer_close(&m->peers[index]);
	if (error != -ECONNRESET)
		end_for_bad_message(m, index);
	/* What is running needs the keys process only to exchange keys again, and ends then. */
	else if (index != MON_KEYS || m->signing.is_wanted)
		peer_gone(m, index);
}

static void on_message(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct monitor *m = userdata;
	enum mon_peer_index index = peer_by_fd(m, fd);
	struct chan_msg msg = { 0 };
	int r = chan_receive(fd, &msg);

	if (r == -EAGAIN)
		return;
	if (r == 0) {
		r = dispatch(m, index, &msg);
		chan_msg_drop(&msg);
	} else if (r != -ECONNRESET) {
		log_error_errno(r, "The %s process sent something that is no message",
				m->peers[index].name);
	}
	if (r < 0)
		on_peer_gone(m, index, r);
}

void mon_drain(struct monitor *m, enum mon_peer_index index)
{
	struct pollfd channel = { .fd = m->peers[index].fd, .events = POLLIN };

	while (m->peers[index].fd >= 0 && poll(&channel, 1, 0) > 0)
		on_message(m->peers[index].io, channel.fd, POLLIN, m);
}

/* ---- timers and signals ---- */

static void on_grace(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct monitor *m = userdata;

	log_notice("No login within the grace time");
	mon_end(m, MON_END_GONE, NULL, "login grace time is over");
	if (!m->story.kept_waiting)
		m->story.misbehaved = true;
}

static void on_expiry(struct loop_source *source, uint64_t usec, void *userdata)
{
	login_run_out(userdata);
}

static void on_duration(struct loop_source *source, uint64_t usec, void *userdata)
{
	journal_record(userdata, "duration", LOG_NOTICE,
		       LOG_FIELDS({ "REASON", "maximum-duration" }),
		       "The rule's maximum duration is over");
	mon_end(userdata, MON_END_KILLED, "Peergate: the maximum duration of a session is over",
		"maximum duration is over");
}

/* The connection is to end. If it has already, what it left running is meant. */
static void on_signal(struct loop_source *source, const struct signalfd_siginfo *info,
		      void *userdata)
{
	struct monitor *m = userdata;

	if (m->state == MON_LEFT)
		log_notice("Ending the programs that %s left running", m->account->name);
	mon_end(m, m->state == MON_LEFT ? MON_END_KILLED : MON_END_ASKED,
		"Peergate: this host ended the connection", "asked by a signal");
}

static int add_timers(struct monitor *m)
{
	int r = loop_add_time(m->loop, CLOCK_MONOTONIC, on_grace, m, &m->grace);

	if (r == 0)
		r = loop_add_time(m->loop, CLOCK_REALTIME, on_expiry, m, &m->expiry);
	if (r == 0)
		/* The rule's time goes on while this host is suspended. */
		r = loop_add_time(m->loop, CLOCK_BOOTTIME, on_duration, m, &m->duration);
	if (r == 0)
		r = idle_init(m);
	if (r == 0)
		r = mon_end_init(m);
	if (r == 0)
		r = signing_init(m);
	if (r == 0)
		r = check_init(m);
	if (r == 0)
		r = incoming_add_timer(m);
	if (r == 0)
		r = children_init(m);
	if (r == 0)
		r = loop_add_signal(m->loop, SIGTERM, on_signal, m, &m->term);
	if (r < 0)
		return r;
	loop_time_set_relative(m->grace, m->ceiling.login_grace_usec);
	loop_time_enable(m->grace, LOOP_ONESHOT);
	return 0;
}

/* ---- the start ---- */

static int read_addresses(struct monitor *m)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int r;

	if (getpeername(m->config.connection_fd, (struct sockaddr *)&ss, &len) < 0) {
		/* Reset since the listener looked. */
		m->story.misbehaved = errno == ENOTCONN;
		return -errno;
	}
	r = ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &m->peer);
	if (r < 0)
		return r;
	len = sizeof(ss);
	if (getsockname(m->config.connection_fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return ip_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &m->local);
}

static void set_log_context(struct monitor *m)
{
	char peer[IP_ADDR_STRLEN];
	uint32_t salt;

	/* A name for people, no secret: what fails here leaves one that is less unique. */
	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		salt = (uint32_t)getpid();
	snprintf(m->name, sizeof(m->name), "ssh-%08" PRIx32, salt);
	ip_addr_to_string(&m->peer.addr, peer);
	log_set_context((const struct log_field[]){ { "CONNECTION", m->name }, { "PEER", peer } },
			2);
}

/* A file that cannot be read is like none: SSH is off, and the client is told so. */
static void load_ceiling(struct monitor *m)
{
	_cleanup_free_ char *text = NULL;
	int r = ceiling_load(m->config.ceiling_path, &m->ceiling, &text);

	if (r < 0) {
		log_error("%s", text ? text : strerror(-r));
		ceiling_default(&m->ceiling);
	}
}

static int prepare_agent(struct monitor *m)
{
	struct agent_link_config config = {
		.socket_path = m->config.agent_socket,
		.max_absence_usec = m->ceiling.max_agent_absence_usec,
		.check_timeout_usec = m->ceiling.check_timeout_usec,
		.peer = m->peer,
		.local = m->local.addr,
		.connection = m->name,
	};

	return agent_link_new(m->loop, &config, &login_agent_events, m, &m->agent);
}

/* It sent them when the listener told it of us, before we were there. */
static int receive_host_keys(struct monitor *m)
{
	struct chan_msg msg = { 0 };
	int r = chan_receive_wait(m->config.keys_fd, KEYS_TIMEOUT_USEC, &msg);

	if (r == 0)
		r = msg.type == KEYS_PUBLIC ? msg_host_keys_get(&msg, &m->host_keys) : -EBADMSG;
	chan_msg_done(&msg);
	if (r == 0)
		r = mon_attach(m, MON_KEYS, take_fd(&m->config.keys_fd));
	return r < 0 ? log_error_errno(r, "No host keys (the keys process has said why)") : 0;
}

static void send_init(struct monitor *m)
{
	struct msg_net_init init = {
		.max_sessions = (uint32_t)m->ceiling.max_sessions,
		.max_env = (uint32_t)m->ceiling.max_env,
		.max_forwards = (uint32_t)m->ceiling.max_forwards,
		.max_listens = (uint32_t)m->ceiling.max_listens,
		.login_grace_sec = (uint32_t)(m->ceiling.login_grace_usec / 1000000),
		.rekey_bytes = m->ceiling.rekey.bytes,
		.rekey_sec = (uint32_t)(m->ceiling.rekey.usec / 1000000),
	};
	struct chan_writer w = { 0 };

	init.host_keys = m->host_keys; /* borrowed */
	msg_net_init_put(&w, &init);
	mon_send(m, MON_NET, NET_INIT, &w, NULL, 0);
}

static int start_net(struct monitor *m)
{
	const char *const argv[] = { "peergate-sshgw-net", build_id(), NULL };
	static const char *const envp[] = { NULL };
	struct child_spec spec = {
		.exe_fd = m->config.net_exe_fd, .argv = argv, .envp = envp, .nice = m->raised
	};
	int pair[2], pidfd, r;
	pid_t pid;

	r = chan_pair(pair);
	if (r < 0)
		return r;
	spec.fds[spec.n_fds++] = m->config.connection_fd;
	spec.fds[spec.n_fds++] = pair[1];
	r = child_spawn(&spec, &pid, &pidfd);
	close_fd(pair[1]);
	if (r < 0) {
		close_fd(pair[0]);
		return r;
	}
	r = mon_watch_exit(m, MON_NET, pid, pidfd);
	if (r == 0)
		r = mon_attach(m, MON_NET, pair[0]);
	if (r >= 0)
		send_init(m);
	return r;
}

static int monitor_start(struct monitor *m)
{
	int r = read_addresses(m);

	if (r == -ENOTCONN)
		log_info("The client has reset the connection before it began");
	else if (r < 0)
		log_error_errno(r, "Could not tell whose the connection is");
	if (r < 0)
		return r;
	set_log_context(m);
	story_begin(m);
	/*
	 * When a right is taken away that hundreds of connections live by, their monitors have to
	 * kill before what they kill, and whom they tell, gets its turn.
	 */
	m->raised = priority_raise();
	load_ceiling(m);
	absence_watch(m);
	r = loop_new(&m->loop);
	if (r == 0)
		r = prepare_agent(m);
	if (r == 0)
		r = origin_check(m);
	if (r == 0)
		r = receive_host_keys(m);
	if (r == 0)
		r = add_timers(m);
	if (r == 0)
		r = start_net(m);
	return r;
}

static void monitor_done(struct monitor *m)
{
	for (size_t i = 0; i < MON_N_PEERS; i++) {
		child_kill(m->peers[i].pidfd);
		peer_close(&m->peers[i]);
		loop_source_free(m->peers[i].exit);
		m->peers[i].pidfd = close_fd(m->peers[i].pidfd);
	}
	loop_source_free(m->grace);
	loop_source_free(m->expiry);
	loop_source_free(m->duration);
	loop_source_free(m->idle);
	loop_source_free(m->kill);
	loop_source_free(m->left);
	loop_source_free(m->term);
	loop_source_free(m->shutdown);
	loop_source_free(m->children);
	loop_source_free(m->check.no_room);
	signing_done(m);
	forwarding_done(m);
	close_fd(m->scope_fd);
	guard_dismiss(&m->guard);
	m->agent = agent_link_free(m->agent);
	msg_host_keys_done(&m->host_keys);
	if (m->own_scope)
		scope_remove(m->own_scope);
	free(m->own_scope);
	free(m->scope);
	free(m->ssh_user);
	free(m->login_text);
	lease_done(&m->lease);
	m->account = account_free(m->account);
	channels_done(&m->channels);
	session_log_done(&m->session_log);
	ceiling_done(&m->ceiling);
	close_fd(m->config.connection_fd);
	close_fd(m->config.status_fd);
	close_fd(m->config.net_exe_fd);
	close_fd(m->config.session_exe_fd);
	close_fd(m->config.keys_fd);
	loop_free(m->loop);
}

enum mon_exit monitor_run(const struct monitor_config *config)
{
	struct monitor m = {
		.config = *config,
		.scope_fd = -1,
		.guard = GUARD_NONE,
		.peers = {
			[MON_NET] = { .name = "net", .fd = -1, .pidfd = -1 },
			[MON_LEADER] = { .name = "leader", .fd = -1, .pidfd = -1 },
			[MON_USER] = { .name = "user", .fd = -1, .pidfd = -1 },
			[MON_KEYS] = { .name = "keys", .fd = -1, .pidfd = -1 },
		},
	};
	int r;

	sessions_init(&m);
	forwarding_init(&m);
	r = monitor_start(&m);

	if (r == 0)
		r = loop_run(m.loop);
	if (r < 0)
		mon_end_now(&m);
	if (m.state == MON_LEFT)
		log_info("The last program that %s left running is gone", m.account->name);
	story_end(&m);
	monitor_done(&m);
	return story_exit_status(&m, r);
}
