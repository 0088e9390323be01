#include "sshgw/monitor/ending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "sshgw/child.h"
#include "sshgw/monitor/journal.h"
#include "sshgw/monitor/monitor.h"
#include "sshgw/scope.h"

/* After the notice: time for the net process to send it, and for PAM to close the session. */
#define NET_END_USEC	(500 * 1000ull)
#define LEADER_END_USEC (5 * 1000000ull)
/*
 * For each of the login's control groups: what is killed may be slow to die (state D), and we wait
 * for it. While the net process is there to be killed in time, not for long; it is done again then.
 */
#define KILL_USEC	(1000 * 1000ull)
#define FIRST_KILL_USEC (150 * 1000ull)
/* A refused client gets this long to read why and to leave by itself. */
#define REFUSED_USEC (3 * 1000000ull)

/* ---- killing ---- */

/* All but the leader; if that does not go, the leader is taken out of the way. */
static void kill_around_leader(struct monitor *m, const char *group, uint64_t usec)
{
	pid_t leader = m->peers[MON_LEADER].pid;
	int r = scope_kill_around(group, leader, usec);

	if (r == 0)
		return;
	if (r == -ETIME && usec < KILL_USEC) {
		m->kill_again = true;
		return;
	}
	log_warning_errno(r, "Could not kill the login's processes one by one, killing the whole "
			     "control group");
	r = scope_leave(leader);
	if (r < 0 && r != -ESRCH)
		log_warning_errno(r, "Could not spare the session leader, continuing");
	scope_kill_logged(group);
}

/*
 * Everything that the login started, wherever it forked to. A leader that is there stays, for it
 * has the PAM session to close; PAM may have moved it without its having told us.
 */
static void kill_within(struct monitor *m, uint64_t usec)
{
	bool led = m->peers[MON_LEADER].pidfd >= 0;
	const char *groups[] = { m->own_scope, NULL };

	if (led && !m->scope)
		scope_find(m->peers[MON_LEADER].pid, &m->scope);
	if (m->scope && (!m->own_scope || strcmp(m->scope, m->own_scope) != 0))
		groups[1] = m->scope;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (!groups[i])
			continue;
		if (led)
			kill_around_leader(m, groups[i], usec);
		else
			scope_kill_logged(groups[i]);
	}
}

static void kill_login(struct monitor *m)
{
	kill_within(m, m->peers[MON_NET].pidfd >= 0 ? FIRST_KILL_USEC : KILL_USEC);
}

/* What was slow to die when the net process was still to be killed. */
static void kill_rest(struct monitor *m)
{
	if (m->kill_again)
		kill_login(m);
	m->kill_again = false;
}

static void arm_kill(struct monitor *m, uint64_t usec)
{
	loop_time_set_relative(m->kill, usec);
	loop_time_enable(m->kill, LOOP_ONESHOT);
}

/* ---- what is left of the login's processes ---- */

static void on_scope_event(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct monitor *m = userdata;

	if (scope_watch_ask(fd) <= 0)
		loop_exit(m->loop);
}

static int watch_scope(struct monitor *m)
{
	m->scope_fd = scope_watch(m->scope);
	if (m->scope_fd < 0)
		return m->scope_fd;
	return loop_add_io(m->loop, m->scope_fd, EPOLLPRI, on_scope_event, m, &m->left);
}

/*
 * As after a login through sshd, nohup's children live on. But they do so by the same right: as
 * long as there is one, the lease stays, and revoking it reaches them.
 */
static void keep_lease(struct monitor *m)
{
	int r = guard_start(m->scope, m->own_scope, &m->guard);

	if (r < 0) {
		log_error_errno(r, "Nobody would kill what the login left running if we could not, "
				   "killing it");
		m->killed = true;
		kill_login(m);
		arm_kill(m, LEADER_END_USEC);
		return;
	}
	mon_enter(m, MON_LEFT, "programs go on without the connection");
	mon_tell_listener(m, MON_STEP_LEFT);
	/* The time limit was the leader's. */
	loop_time_enable(m->kill, LOOP_OFF);
	log_info("The connection ended; programs that %s left running keep its lease",
		 m->account->name);
}

/* Connection and leader are gone. Is that all? */
static void finish(struct monitor *m)
{
	int r;

	if (!m->scope || scope_is_populated(m->scope) <= 0) {
		loop_exit(m->loop);
		return;
	}
	r = watch_scope(m);
	if (r < 0) {
		log_error_errno(r, "Could not watch what the login left running, killing it");
		kill_login(m);
		loop_exit(m->loop);
		return;
	}
	if (m->killed)
		arm_kill(m, LEADER_END_USEC);
	else
		keep_lease(m);
	/* The last one may have ended between the question and the watch. */
	if (scope_watch_ask(m->scope_fd) <= 0)
		loop_exit(m->loop);
}

/* ---- ending ---- */

void mon_end_child_gone(struct monitor *m)
{
	if (m->state != MON_ENDING || m->peers[MON_NET].pidfd >= 0)
		return;
	kill_rest(m);
	if (m->peers[MON_LEADER].pidfd >= 0)
		/* From here on it is the leader that is waited for. */
		arm_kill(m, LEADER_END_USEC);
	else
		finish(m);
}

/*
 * The connection is not only the net process's: it ends whether that dies or not. One that does not
 * (state D) is left to whoever reaps what we leave behind.
 */
static void kill_net(struct monitor *m)
{
	struct mon_peer *net = &m->peers[MON_NET];

	child_kill(net->pidfd);
	if (m->config.connection_fd >= 0)
		shutdown(m->config.connection_fd, SHUT_RDWR);
	if (!m->net_killed) {
		m->net_killed = true;
		arm_kill(m, LEADER_END_USEC);
		return;
	}
	log_error("The net process does not end although it was killed, going on without it");
	net->exit = loop_source_free(net->exit);
	net->pidfd = close_fd(net->pidfd);
	story_end(m);
	mon_end_child_gone(m);
}

/* First the net process, later whatever is left. */
static void on_kill_timer(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct monitor *m = userdata;

	if (m->peers[MON_NET].pidfd >= 0) {
		kill_net(m);
	} else if (m->peers[MON_LEADER].pidfd >= 0) {
		log_warning("The session leader does not end, killing it");
		child_kill(m->peers[MON_LEADER].pidfd);
	} else {
		log_error("Processes of the login do not end although they were killed");
		loop_exit(m->loop);
	}
}

/*
 * Programs are not ours to kill for that: systemd asks them to end, and gives them the time that it
 * gives all others. So there is nothing to do if they are all that is left.
 */
static void on_shutdown(struct loop_source *source, const struct signalfd_siginfo *info,
			void *userdata)
{
	struct monitor *m = userdata;

	if (m->state >= MON_ENDING)
		return;
	journal_record(m, "shutdown", LOG_NOTICE, LOG_FIELDS({ "REASON", "shutdown" }),
		       "The connection ends because this host shuts down");
	mon_end(m, MON_END_ASKED, "Peergate: this host is shutting down", "the host shuts down");
}

int mon_end_init(struct monitor *m)
{
	int r = loop_add_time(m->loop, CLOCK_MONOTONIC, on_kill_timer, m, &m->kill);

	if (r == 0)
		r = loop_add_signal(m->loop, MON_SIGNAL_SHUTDOWN, on_shutdown, m, &m->shutdown);
	return r;
}

/*
 * Ended already: all that can still be asked for is that nothing goes on. Once: what there is
 * afterwards is what the leader starts to clean up (PAM modules, leader_sockets.h).
 */
static void end_again(struct monitor *m, enum mon_end how)
{
	if (how != MON_END_KILLED || m->killed)
		return;
	m->killed = true;
	kill_login(m);
	if (m->state == MON_LEFT)
		arm_kill(m, LEADER_END_USEC);
}

void mon_end_now(struct monitor *m)
{
	kill_within(m, KILL_USEC);
}

void mon_end_opened(struct monitor *m)
{
	char *scope = NULL;

	/* What was found when the end came may be where the leader was before PAM moved it. */
	if (m->peers[MON_LEADER].pidfd >= 0 && scope_find(m->peers[MON_LEADER].pid, &scope) == 0) {
		free(m->scope);
		m->scope = scope;
	}
	if (m->killed)
		kill_login(m);
}

static void tell(struct monitor *m, const char *notice)
{
	struct chan_writer w = { 0 };

	chan_put_bytes(&w, notice, strnlen(notice, MSG_MAX_TEXT));
	mon_send(m, MON_NET, NET_END, &w, NULL, 0);
}

void mon_end(struct monitor *m, enum mon_end how, const char *notice, const char *why)
{
	if (m->state == MON_ENDING || m->state == MON_LEFT) {
		end_again(m, how);
		return;
	}
	mon_enter(m, MON_ENDING, why);
	story_why(m, why);
	if (notice)
		tell(m, notice);
	else if (how != MON_END_REFUSED)
		child_kill(m->peers[MON_NET].pidfd);
	/* Before anything that may take time. */
	arm_kill(m, how == MON_END_REFUSED ? REFUSED_USEC : NET_END_USEC);
	if (how == MON_END_KILLED) {
		m->killed = true;
		kill_login(m);
		/* The leader, which removes its sockets, is to know of them all. */
		mon_drain(m, MON_USER);
	}
	mon_detach(m, MON_USER);
	mon_send(m, MON_LEADER, LEADER_CLOSE, NULL, NULL, 0);
	loop_time_enable(m->grace, LOOP_OFF);
	loop_time_enable(m->idle, LOOP_OFF);
	mon_end_child_gone(m);
}
